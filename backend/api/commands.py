"""Asking devices: commands, batches, one-click actions."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any

from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from ninja import Status
from ninja.errors import HttpError
from ninja.params.functions import Body, Query

from backend.accounts.models import User
from backend.api import control_schemas as schemas
from backend.api.auth import operator
from backend.api.base import ERRORS, Endpoint, api, device_or_404, person
from backend.api.parameters import LIMIT, strict
from backend.api.schemas import Error
from backend.commands.actions import ACTIONS, ActionError, action_get
from backend.commands.models import ASKABLE, Command, CommandBatch, Kind, State
from backend.commands.selectors import (
    BatchProgress,
    batch_get,
    batch_list,
    batch_progress,
    batches_progress,
    command_get,
    command_list,
    commands_short,
)
from backend.commands.services import CommandError, batch_cancel, command_cancel, command_create, commands_create
from backend.commands.texts import answer_summary, command_summary
from backend.devices.models import Device
from backend.devices.selectors import device_list

MAX_PAGE = 500
CONFLICT = {409: Error}


def command_shape(command: Command) -> dict[str, Any]:
    """As schemas.Command; with device, asked_by and cancelled_by at hand."""
    return {
        "id": command.pk,
        "device": command.device.endpoint,
        "batch": command.batch_id,
        "kind": command.kind,
        "path": command.path,
        "arguments": command.arguments,
        "content_format": command.content_format,
        "note": command.note,
        "summary": command_summary(command),
        "state": command.state,
        "reason": command.reason,
        "asked_by": command.asked_by.username if command.asked_by else None,
        "asked_at": command.asked_at,
        "expires_at": command.expires_at,
        "not_before": command.not_before,
        "sent_at": command.sent_at,
        "attempts": command.attempts,
        "cancel_requested_at": command.cancel_requested_at,
        "cancelled_by": command.cancelled_by.username if command.cancelled_by else None,
        "ended_at": command.ended_at,
        "duration_ms": command.duration_ms,
        "status": command.status,
        "answer": command.answer,
        "answer_summary": answer_summary(command),
    }


def _batch_shape(batch: CommandBatch, progress: BatchProgress) -> dict[str, Any]:
    return {
        "id": batch.pk,
        "kind": batch.kind,
        "path": batch.path,
        "note": batch.note,
        "asked_by": batch.asked_by.username if batch.asked_by else None,
        "asked_at": batch.asked_at,
        "progress": vars(progress),
    }


def chosen_devices(endpoints: Sequence[str] | None, chosen: schemas.DeviceFilter | None) -> QuerySet[Device]:
    """The devices of these names, or those that a filter finds. Raises HttpError, Http404 on unknown names."""
    if (endpoints is None) == (chosen is None):
        raise HttpError(400, 'name the devices: either devices, such as ["sim-1", "sim-2"], or a filter; {} is all.')
    if chosen is not None:
        return device_list(
            search=chosen.search,
            status=chosen.status,
            model=chosen.model,
            firmware_version=chosen.firmware_version,
            manufacturer=chosen.manufacturer,
        )
    wanted = set(endpoints or ())
    if not wanted:
        raise HttpError(400, "devices is empty: name at least one.")
    ids = dict(Device.objects.filter(endpoint__in=wanted).values_list("endpoint", "pk"))
    missing = sorted(wanted - ids.keys())
    if missing:
        more = f" (and {len(missing) - 1} more that do not exist)" if len(missing) > 1 else ""
        raise Http404(f"There is no device {missing[0]!r}{more}.")
    return Device.objects.filter(pk__in=ids.values())


def _value_arguments(asked: schemas.CommandAsk) -> dict[str, Any]:
    """`value` as the arguments of a write."""
    if asked.kind != Kind.WRITE:
        raise HttpError(400, "value belongs to kind write; other kinds take arguments.")
    if asked.arguments is not None:
        raise HttpError(400, "value and arguments are two ways to say it: use one.")
    # an object link is an object too
    links = isinstance(asked.value, dict) and asked.value.keys() <= {"objectId", "objectInstanceId", "nullLink"}
    several = isinstance(asked.value, dict) and not (links and asked.value)
    node: dict[str, Any] = {"values" if several else "value": asked.value}
    if asked.type is not None:
        node["type"] = asked.type
    return {"node": node}


def _asked(asked: schemas.CommandAsk) -> dict[str, Any]:
    """kind, path, arguments and note, as the services take them."""
    given = asked.model_fields_set
    if asked.action is not None:
        if given & {"kind", "path", "arguments", "type"}:
            raise HttpError(400, "an action has its own kind, path and arguments: leave those out.")
        text = "" if asked.value is None else str(asked.value)
        try:
            action = action_get(key=asked.action)
            arguments = action.arguments(text)
        except ActionError as error:
            raise HttpError(400, f"{error}") from None
        return {
            "kind": action.kind,
            "path": action.path,
            "arguments": arguments,
            "note": asked.note or action.title,
        }
    if asked.kind is None:
        raise HttpError(400, f"say kind ({', '.join(ASKABLE)}) or action.")
    if asked.type is not None and "value" not in given:
        raise HttpError(400, "type belongs to value; in arguments, a node has its own.")
    arguments = _value_arguments(asked) if "value" in given else asked.arguments or {}
    return {"kind": asked.kind, "path": asked.path, "arguments": arguments, "note": asked.note}


@api.post(
    "/commands",
    auth=operator,
    response={201: schemas.Asked, **ERRORS},
    summary="Ask one device, or many",
    tags=["commands"],
)
@strict()
def command_ask(request: HttpRequest, asked: Annotated[schemas.CommandAsk, Body()]) -> Status[dict[str, Any]]:
    """Queues a command, or the same one for many devices (a batch). It is carried out as soon as the device listens."""
    values = _asked(asked) | {
        "by": person(request),
        "expires_in": None if asked.expires_in is None else timedelta(seconds=asked.expires_in),
        "content_format": asked.content_format,
        "force": asked.force,
    }
    try:
        if asked.device is not None:
            if asked.devices is not None or asked.filter is not None:
                raise HttpError(400, "device, devices and filter are three ways to say it: use one.")
            command = command_create(device=device_or_404(asked.device), **values)
            return Status(201, {"command": command_shape(command), "batch": None})
        batch = commands_create(devices=chosen_devices(asked.devices, asked.filter), **values)
    except CommandError as error:
        raise HttpError(400, str(error)) from None
    return Status(201, {"command": None, "batch": _batch_shape(batch, batch_progress(batch=batch))})


def _asker(name: str | None) -> User | None:
    if name is None:
        return None
    try:
        return User.objects.get(username=name)
    except User.DoesNotExist:
        raise Http404(f"There is no user {name!r}.") from None


@api.get("/commands", response={200: schemas.Commands, **ERRORS}, summary="Commands", tags=["commands"])
@strict("device", "state", "kind", "by", "batch", "search", "before", "limit")
def commands(
    request: HttpRequest,
    device: Annotated[Endpoint | None, Query(description="of this device")] = None,
    state: Annotated[list[State], Query(description="repeat it for more than one")] = [],  # noqa: B006 - read only
    kind: Annotated[list[Kind], Query(description="repeat it for more than one")] = [],  # noqa: B006 - read only
    by: Annotated[str | None, Query(max_length=150, description="asked by this user")] = None,
    batch: Annotated[int | None, Query(ge=1, le=LIMIT)] = None,
    search: Annotated[str, Query(max_length=255, description="words in endpoint, path, note or reason")] = "",
    before: Annotated[int | None, Query(ge=1, le=LIMIT, description="the `next` of an earlier answer")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
) -> dict[str, Any]:
    """A portion of the commands, newest first. Arguments and answers over 64 KiB are `{"cut": characters}` here."""
    found = command_list(
        device=None if device is None else device_or_404(device),
        states=state,
        kinds=kind,
        by=_asker(by),
        batch=batch,
        search=search,
    )
    if before is not None:
        found = found.filter(pk__lt=before)
    page = commands_short(commands=found[: limit + 1])
    return {
        "items": [command_shape(one) for one in page[:limit]],
        "next": page[limit - 1].pk if len(page) > limit else None,
    }


@api.get(
    "/commands/{int:command_id}",
    response={200: schemas.Command, **ERRORS},
    summary="One command",
    tags=["commands"],
)
@strict()
def command(request: HttpRequest, command_id: int) -> dict[str, Any]:
    """A command with the device's answer."""
    try:
        return command_shape(command_get(id=_existing(command_id)))
    except Command.DoesNotExist:
        raise Http404(f"There is no command {command_id}.") from None


def _existing(number: int) -> int:
    """No row has a greater number, and a database refuses to look for one."""
    if number > LIMIT:
        raise Http404(f"There is nothing of the number {number}.")
    return number


@api.delete(
    "/commands/{int:command_id}",
    auth=operator,
    response={200: schemas.Command, **ERRORS, **CONFLICT},
    summary="Cancel a command",
    tags=["commands"],
)
@strict()
def command_end(request: HttpRequest, command_id: int) -> dict[str, Any]:
    """One that waits is cancelled at once; one in flight when Leshan has let go of it, unless its answer is faster."""
    try:
        return command_shape(command_cancel(command_id=_existing(command_id), by=person(request)))
    except Command.DoesNotExist:
        raise Http404(f"There is no command {command_id}.") from None
    except CommandError as error:
        raise HttpError(409, str(error)) from None


@api.get("/batches", response={200: schemas.Batches, **ERRORS}, summary="Batches", tags=["commands"])
@strict("before", "limit")
def batches(
    request: HttpRequest,
    before: Annotated[int | None, Query(ge=1, le=LIMIT, description="the `next` of an earlier answer")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
) -> dict[str, Any]:
    """A portion of the batches, newest first."""
    found = batch_list().order_by("-id")
    if before is not None:
        found = found.filter(pk__lt=before)
    page = list(found[: limit + 1])
    progress = batches_progress(batches=page[:limit])
    return {
        "items": [_batch_shape(one, progress[one.pk]) for one in page[:limit]],
        "next": page[limit - 1].pk if len(page) > limit else None,
    }


def _batch_or_404(batch_id: int) -> CommandBatch:
    try:
        return batch_get(id=_existing(batch_id))
    except CommandBatch.DoesNotExist:
        raise Http404(f"There is no batch {batch_id}.") from None


@api.get("/batches/{int:batch_id}", response={200: schemas.Batch, **ERRORS}, summary="One batch", tags=["commands"])
@strict()
def batch(request: HttpRequest, batch_id: int) -> dict[str, Any]:
    """How far it has come."""
    found = _batch_or_404(batch_id)
    return _batch_shape(found, batch_progress(batch=found))


@api.delete(
    "/batches/{int:batch_id}",
    auth=operator,
    response={200: schemas.BatchCancelled, **ERRORS},
    summary="Cancel a batch",
    tags=["commands"],
)
@strict()
def batch_end(request: HttpRequest, batch_id: int) -> dict[str, Any]:
    """Cancels all of its commands that have not ended."""
    found = _batch_or_404(batch_id)
    cancelled = batch_cancel(batch_id=found.pk, by=person(request))
    return {"cancelled": cancelled, "batch": _batch_shape(found, batch_progress(batch=found))}


@api.get("/actions", response={200: schemas.Actions, **ERRORS}, summary="One-click actions", tags=["commands"])
@strict()
def actions(request: HttpRequest) -> dict[str, Any]:
    """Commands with everything filled in."""
    return {"items": [vars(action) for action in ACTIONS.values()]}
