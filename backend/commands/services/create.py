"""Asking: one command, or the same one of many devices."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from backend.accounts.models import User
from backend.commands.models import ASKABLE, Command, CommandBatch, Kind, State, new_nonce
from backend.commands.services.check import arguments_check, object_ids, paths_of
from backend.commands.services.errors import CommandError
from backend.devices.models import Device
from backend.devices.selectors import Models, models_of
from backend.devices.services import device_observation_set, observations_ask, rows_insert

MAX_EXPIRY = timedelta(days=30)
LONG_NOTE = 200
# characters of arguments that all commands of a batch hold together
MAX_BATCH = 256 * 2**20
GONE = "A device was deleted at this moment: nothing was asked. Try again."
# the desired state goes along with these
WANTED = {
    Kind.OBSERVE: True,
    Kind.OBSERVE_COMPOSITE: True,
    Kind.CANCEL_OBSERVE: False,
    Kind.CANCEL_COMPOSITE: False,
}


def _kind(kind: str) -> Kind:
    if kind == Kind.WRITE_PACKAGE:
        raise CommandError("packages are sent by firmware updates: add the image and start an update of the device.")
    try:
        return Kind(kind)
    except ValueError:
        raise CommandError(f"there is no command {str(kind)[:40]!r}: use one of {', '.join(ASKABLE)}.") from None


def _expiry(expires_in: timedelta | None) -> timedelta:
    if expires_in is None:
        return timedelta(hours=settings.COMMAND_EXPIRY_HOURS)
    if not timedelta(seconds=1) <= expires_in <= MAX_EXPIRY:
        raise CommandError("a command expires after 1 second at the earliest and 30 days at the latest.")
    return expires_in


def _note(note: str) -> str:
    note = " ".join(note.split())
    if "\0" in note:
        raise CommandError("a note cannot hold the character NUL.")
    if len(note) > LONG_NOTE:
        raise CommandError(f"a note has at most {LONG_NOTE} characters.")
    return note


def _arguments(arguments: Any) -> Mapping[str, Any]:
    if arguments is None:
        return {}
    if not isinstance(arguments, Mapping):
        raise CommandError("arguments is an object; docs/api.md says what each kind takes.")
    return arguments


def command_create(
    *,
    device: Device,
    kind: str,
    path: str = "",
    arguments: Mapping[str, Any] | None = None,
    by: User | None,
    expires_in: timedelta | None = None,
    content_format: str = "",
    note: str = "",
    batch: CommandBatch | None = None,
    force: bool = False,
    wanted_attributes: Mapping[str, Any] | None = None,
) -> Command:
    """Queues one command; `sync` carries it out. Observe and cancel also become what is wanted on the device.

    `arguments` by kind, see docs/api.md; a node's `type` may be left out where an object model knows it. `force`: also
    what the device's object model forbids. `expires_in`: 1 s to 30 days, None for the setting. `wanted_attributes`
    (observe only): pmin, pmax, gt, lt, st that are wanted on this device from now on, None leaves them as they are;
    where the command is refused, they are not kept either.
    Raises CommandError, whose message says what is wrong and what to do, and ValueError on attributes that are none.
    """
    asked = _kind(kind)
    given = _arguments(arguments)
    paths = paths_of(asked, path, given)
    models = models_of(devices=[device], object_ids=object_ids(paths))
    checked = arguments_check(
        kind=asked,
        path=path,
        arguments=given,
        content_format=content_format,
        definitions=models[0].definition,
        force=force,
    )
    expiry, said = _expiry(expires_in), _note(note)
    now = timezone.now()
    try:
        with transaction.atomic():
            command = Command.objects.create(
                device=device,
                batch=batch,
                kind=asked,
                path=path,
                arguments=checked,
                content_format=content_format,
                note=said,
                asked_by=by,
                asked_at=now,
                expires_at=now + expiry,
            )
            if asked == Kind.OBSERVE and wanted_attributes is not None:
                device_observation_set(device=device, path=path, attributes=wanted_attributes, by=by)
            if asked in WANTED:
                observations_ask(devices=Device.objects.filter(pk=device.pk), paths=paths, wanted=WANTED[asked])
    except IntegrityError:
        raise CommandError(GONE) from None
    return command


def _chosen(devices: "Iterable[Device] | QuerySet[Device]") -> QuerySet[Device]:
    """The devices as one query, whatever their number."""
    if not isinstance(devices, QuerySet):
        return Device.objects.filter(pk__in={device.pk for device in devices})
    # a slice takes no further conditions
    return (
        Device.objects.filter(pk__in=list(devices.values_list("pk", flat=True))) if devices.query.is_sliced else devices
    )


def _refused(group: Models, groups: int, error: CommandError) -> CommandError:
    """Says which devices it is about, where it is not all."""
    if groups == 1:
        return error
    return CommandError(f"{group.count} of the devices ({group.example} for one): {error}")


def commands_create(
    *,
    devices: "Iterable[Device] | QuerySet[Device]",
    kind: str,
    path: str = "",
    arguments: Mapping[str, Any] | None = None,
    by: User | None,
    expires_in: timedelta | None = None,
    content_format: str = "",
    note: str = "",
    force: bool = False,
) -> CommandBatch:
    """Queues the same command for many devices: one transaction, the same few queries for any number of them.

    Raises CommandError where it fits one of the devices not (by its object model), or there is no device: then nothing
    is asked of any.
    """
    asked = _kind(kind)
    given = _arguments(arguments)
    paths = paths_of(asked, path, given)
    chosen = _chosen(devices)
    groups = models_of(devices=chosen, object_ids=object_ids(paths))
    if not groups:
        raise CommandError("no device was chosen: nothing was asked.")
    checked: dict[str, Any] = {}
    for group in groups:
        try:
            # what is written does not depend on the model's version where it fits all of them
            checked = arguments_check(
                kind=asked,
                path=path,
                arguments=given,
                content_format=content_format,
                definitions=group.definition,
                force=force,
            )
        except CommandError as error:
            raise _refused(group, len(groups), error) from None
    total = sum(group.count for group in groups)
    if len(json.dumps(checked)) * total > MAX_BATCH:
        raise CommandError(f"this is too much to write to {total} devices at once: choose fewer, or write less.")
    expiry, said = _expiry(expires_in), _note(note)
    now: datetime = timezone.now()
    try:
        with transaction.atomic():
            batch = CommandBatch.objects.create(kind=asked, path=path, note=said, asked_by=by, asked_at=now)
            made = rows_insert(
                model=Command,
                devices=chosen,
                values={
                    "batch_id": batch.pk,
                    "kind": asked.value,
                    "path": path,
                    "arguments": checked,
                    "content_format": content_format,
                    "note": said,
                    "state": State.QUEUED.value,
                    "asked_by_id": by.pk if by else None,
                    "asked_at": now,
                    "expires_at": now + expiry,
                    # ids differ within the batch, so one nonce does
                    "nonce": new_nonce(),
                },
            )
            if not made:
                raise CommandError("no device was chosen: nothing was asked.")
            if asked in WANTED:
                of_batch = Device.objects.filter(commands__batch=batch)
                observations_ask(devices=of_batch, paths=paths, wanted=WANTED[asked])
    except IntegrityError:
        raise CommandError(GONE) from None
    return batch
