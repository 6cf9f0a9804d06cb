"""Firmware updates as `sync` drives them: what the database knows goes to the machine, what it decides comes back.

Each call is one transaction with the same few statements for any number of updates. Nothing is kept between calls.
"""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Field, Q

from backend.commands.models import Command, Kind, State
from backend.commands.services.bulk import Asking, commands_ask, commands_drop
from backend.devices.models import Change, Device, Registration, Resource, Status
from backend.devices.selectors import registration_of
from backend.firmware import machine
from backend.firmware.models import ACTIVE, ENDED, FirmwareUpdate, Step, UpdateLine, UpdateState
from backend.firmware.selectors.images import image_fits, image_usable
from backend.firmware.services.updates import campaigns_hold, retry_make
from backend.lwm2m.objects import object_instances
from backend.lwm2m.times import datetime_of_us

log = logging.getLogger(__name__)

# the machine decides these; the other columns are a person's or the campaign's
_FIXED = frozenset(
    {"id", "object_instance", "method", "force", "hold_seconds", "admitted_at", "give_up_at", "cancel_requested_at"}
)
_ROW = tuple(one.name for one in fields(machine.Row))
_WRITTEN = tuple(name for name in _ROW if name not in _FIXED)
# a device that did not come back is taken up again for this long
_RETURN = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What `sync` knows of the LwM2M server at this moment."""

    connected: bool
    # of the present connection
    connected_since: datetime | None
    # SHA-256 of the packages that the server has
    packages: frozenset[str]
    # update id → the URI under which its device may fetch its package
    grants: Mapping[int, str]
    # why the server takes a package (by SHA-256) or gives no grant (by update id)
    refused: Mapping[int | str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """Something to be done at the LwM2M server. Asked for again until the World shows it: doing it twice does no harm.

    "package": give it the image (PUT /api/packages/{sha256}). "grant": let the device fetch it. "revoke": no longer.
    """

    kind: str
    update_id: int
    endpoint: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a transfer is, as the server tells it (PROGRESS). `request_id` is "" where the device fetches."""

    endpoint: str
    request_id: str
    sha256: str
    # bytes
    sent: int
    total: int
    block: int | None


@dataclass(frozen=True, slots=True)
class _Open:
    """Another open update of a device."""

    id: int
    object_instance: int
    state: str
    step: str
    admitted: bool

    @property
    def begun(self) -> bool:
        return self.state in ACTIVE or self.step != Step.WAIT


def updates_step(*, ids: Collection[int], world: World, at: datetime) -> list[Deed]:
    """Decides for these updates until each rests, and writes what was decided.

    Of those that a person ended the pages are told: `sync` alone writes the feed that they follow. Unknown ids do
    nothing.
    """
    if not ids:
        return []
    try:
        with transaction.atomic():
            return _step(ids, world, at)
    except IntegrityError:
        if len(ids) == 1:
            raise
    # what one of them runs into must not hold up the others
    deeds: list[Deed] = []
    for one in sorted(ids):
        try:
            with transaction.atomic():
                deeds += _step([one], world, at)
        except IntegrityError:
            log.exception("firmware update %s could not go on", one)
    return deeds


def _step(ids: Collection[int], world: World, at: datetime) -> list[Deed]:
    updates = list(
        FirmwareUpdate.objects.select_for_update(of=("self",))
        .filter(Q(ended_at=None) | Q(look_at__isnull=False), pk__in=ids)
        .select_related(
            "device", "device__registration", "image", "image__profile", "command", "campaign", "cancelled_by"
        )
        .order_by("id")
    )
    ended = [update for update in updates if update.ended_at is not None]
    if ended:
        _tell_ended(ended, at)
        updates = [update for update in updates if update.ended_at is None]
    if not updates:
        return []
    device_ids = {update.device_id for update in updates}
    others = _others(device_ids)
    values = _values(device_ids)
    decided: list[tuple[FirmwareUpdate, machine.Row, machine.Decision]] = []
    for update in updates:
        view = _view(update, others[update.device_id], values.get(update.device_id, {}), world, at)
        decision = machine.decide(view)
        decided.append((update, view.row, decision))
        # what comes after it sees it as it will be
        others[update.device_id] = [
            one for one in others[update.device_id] if one.id != update.pk or decision.row.ended_at is None
        ]
        for index, one in enumerate(others[update.device_id]):
            if one.id == update.pk:
                others[update.device_id][index] = _Open(
                    one.id, one.object_instance, decision.row.state, decision.row.step, one.admitted
                )
    return _write(decided, at)


def _tell_ended(updates: Sequence[FirmwareUpdate], at: datetime) -> None:
    FirmwareUpdate.objects.filter(pk__in=[update.pk for update in updates]).update(look_at=None)
    device_ids = list(dict.fromkeys(update.device_id for update in updates))
    _free(device_ids, at)
    Change.objects.bulk_create([Change(device_id=one, kind=Change.Kind.FIRMWARE) for one in device_ids])


def _free(device_ids: Collection[int], at: datetime) -> None:
    """The next updates of these devices may have their turn."""
    waiting = FirmwareUpdate.objects.filter(device_id__in=device_ids, ended_at=None, step=Step.WAIT)
    waiting.exclude(admitted_at=None).update(look_at=at)


def _others(device_ids: Collection[int]) -> dict[int, list[_Open]]:
    """All open updates of these devices."""
    found: dict[int, list[_Open]] = {device_id: [] for device_id in device_ids}
    rows = FirmwareUpdate.objects.filter(device_id__in=device_ids, ended_at=None).order_by("id")
    for device_id, pk, instance, state, step, admitted_at in rows.values_list(
        "device_id", "id", "object_instance", "state", "step", "admitted_at"
    ):
        found[device_id].append(_Open(pk, instance, state, step, admitted_at is not None))
    return found


def _values(device_ids: Collection[int]) -> dict[int, dict[str, machine.Said]]:
    """Device id → path → what it said of its firmware."""
    found: dict[int, dict[str, machine.Said]] = {}
    rows = Resource.objects.filter(Q(object_id=5) | Q(path=machine.VERSION), device_id__in=device_ids)
    for device_id, path, value, received in rows.order_by().values_list("device_id", "path", "value", "received"):
        try:
            moment = datetime_of_us(received)
        except OverflowError:
            continue
        found.setdefault(device_id, {})[path] = machine.Said(value, moment)
    return found


def _view(
    update: FirmwareUpdate, others: Sequence[_Open], said: Mapping[str, machine.Said], world: World, at: datetime
) -> machine.View:
    device, image, campaign = update.device, update.image, update.campaign
    registration = registration_of(device)
    session = _session(device, registration)
    waiting = update.step == Step.WAIT
    return machine.View(
        now=at,
        row=machine.Row(**{name: getattr(update, name) for name in _ROW}),
        image=machine.Image(image.sha256, image.size, image.version, image.deleted_at is not None),
        limits=machine.Limits(
            stall=timedelta(seconds=settings.FIRMWARE_STALL_SECONDS),
            install=timedelta(seconds=settings.FIRMWARE_INSTALL_SECONDS),
            transfers=settings.FIRMWARE_TRANSFERS,
        ),
        session=session,
        away_since=registration.ended_at if registration is not None else None,
        said=said,
        ask=None if update.command is None else _asked(update.command),
        connected=world.connected,
        connected_since=world.connected_since,
        package=image.sha256 in world.packages,
        uri=world.grants.get(update.pk, ""),
        refused=world.refused.get(update.pk) or world.refused.get(image.sha256) or "",
        ahead=_ahead(update, others) if waiting else "",
        newer=any(
            one.id > update.pk and one.state == UpdateState.PENDING and one.object_instance == update.object_instance
            for one in others
        ),
        barred="" if image.deleted_at is not None else image_usable(image=image),
        misfit=image_fits(image=image, device=device) if waiting and session is not None else "",
        unnamed=not (device.manufacturer and device.model),
        campaign_held=campaign is not None and (campaign.paused_at or campaign.stopped_at) is not None,
        campaign_cancelled=campaign is not None and campaign.cancelled_at is not None,
        cancelled_by=update.cancelled_by.username if update.cancelled_by is not None else "",
    )


def _session(device: Device, registration: Registration | None) -> machine.Session | None:
    if registration is None or registration.ended_at is not None:
        return None
    instances = object_instances(registration.object_links).get(5)
    return machine.Session(
        id=registration.registration_id,
        registered_at=registration.registered_at,
        queue_mode=registration.queue_mode,
        asleep=device.status == Status.ASLEEP,
        secure=registration.secure,
        instances=None if instances is None else tuple(instances),
    )


def _asked(command: Command) -> machine.Asked:
    return machine.Asked(
        kind=command.kind,
        path=command.path,
        state=command.state,
        asked_at=command.asked_at,
        reason=command.reason,
        status=command.status,
        answer=command.answer,
        sent_at=command.sent_at,
        ended_at=command.ended_at,
        attempts=command.attempts,
        cancelling=command.cancel_requested_at is not None,
    )


def _ahead(update: FirmwareUpdate, others: Sequence[_Open]) -> str:
    """The update of the same device that goes first: one that has begun, else the one that was asked first."""
    begun = [one.id for one in others if one.id != update.pk and one.begun]
    earlier = [one.id for one in others if one.id < update.pk and one.admitted]
    first = min(begun or earlier, default=None)
    return "" if first is None else f"Waits until update {first} of this device has ended."


def _write(decided: Sequence[tuple[FirmwareUpdate, machine.Row, machine.Decision]], at: datetime) -> list[Deed]:
    drop = [update.command_id for update, _, decision in decided if decision.cancel and update.command_id is not None]
    commands_drop(ids=drop, at=at)
    asking = [(update, decision.asking) for update, _, decision in decided if decision.asking is not None]
    made = commands_ask(
        asks=[
            Asking(
                device_id=update.device_id,
                kind=ask.kind,
                path=ask.path,
                arguments=ask.arguments,
                expires_in=ask.expires_in,
                note=f"Firmware update {update.pk}",
            )
            for update, ask in asking
        ],
        at=at,
    )
    command_of = {update.pk: command.pk for (update, _), command in zip(asking, made, strict=True)}
    rows: list[tuple[Any, ...]] = []
    lines: list[UpdateLine] = []
    told: dict[int, None] = {}
    freed: set[int] = set()
    deeds: list[Deed] = []
    for update, before, decision in decided:
        row = decision.row
        kept = None if decision.detach else update.command_id
        command_id = command_of.get(update.pk, kept)
        if row != before or command_id != update.command_id:
            rows.append(_columns(row, command_id, update.pk))
        if decision.lines or _visible(row) != _visible(before):
            told[update.device_id] = None
        lines += [UpdateLine(update=update, at=at, text=text) for text in decision.lines]
        if row.state in ENDED:
            freed.add(update.device_id)
        deeds += [
            Deed(
                kind=kind,
                update_id=update.pk,
                endpoint=update.device.endpoint,
                sha256=update.image.sha256,
                size=update.image.size,
            )
            for kind in (decision.deed, "revoke" if decision.revoke else "")
            if kind
        ]
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(_UPDATE, rows)
    UpdateLine.objects.bulk_create(lines)
    if freed:
        _free(freed, at)
    Change.objects.bulk_create([Change(device_id=device_id, kind=Change.Kind.FIRMWARE) for device_id in told])
    return deeds


def _visible(row: machine.Row) -> tuple[Any, ...]:
    """What a page shows of it."""
    return row.state, row.step, row.code, row.reason, row.lwm2m_state, row.update_result, row.version_after


_COLUMNS = (*_WRITTEN, "command_id")
_UPDATE = (
    f'UPDATE "{FirmwareUpdate._meta.db_table}" SET '  # noqa: S608 - names of our own columns
    + ", ".join(f'"{name}" = %s' for name in _COLUMNS)
    + ' WHERE "id" = %s AND "ended_at" IS NULL'
)


_FIELDS: "dict[str, Field[Any, Any]]" = {field.name: field for field in FirmwareUpdate._meta.concrete_fields}


def _columns(row: machine.Row, command_id: int | None, pk: int) -> tuple[Any, ...]:
    values: list[Any] = []
    for name in _WRITTEN:
        value = getattr(row, name)
        if isinstance(value, str):
            # PostgreSQL holds no NUL in a text, and no database half a character
            value = str(value).replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
        values.append(_FIELDS[name].get_db_prep_save(value, connection))
    return (*values, command_id, pk)


def updates_due(*, at: datetime, limit: int) -> list[int]:
    """Updates whose time to be looked at has come, the longest due first; also those that a person ended."""
    rows = FirmwareUpdate.objects.filter(look_at__lte=at).order_by("look_at", "id")
    return list(rows.values_list("id", flat=True)[:limit])


def updates_open(*, device_ids: Collection[int] | None) -> list[int]:
    """The open, admitted updates of these devices; None: all that have begun, whatever their device."""
    rows = FirmwareUpdate.objects.filter(ended_at=None, admitted_at__isnull=False)
    if device_ids is None:
        rows = rows.filter(~Q(state=UpdateState.PENDING) | ~Q(step=Step.WAIT))
    else:
        rows = rows.filter(device_id__in=device_ids)
    return list(rows.order_by("id").values_list("id", flat=True))


@transaction.atomic
def updates_returned(*, device_ids: Collection[int], at: datetime) -> list[int]:
    """Devices that were given up as not coming back have registered: their updates are made anew, once; the new ids.

    Not where a newer update of that firmware instance was asked for meanwhile, or the campaign was cancelled.
    """
    if not device_ids:
        return []
    wanted = FirmwareUpdate.objects.filter(
        device_id__in=device_ids,
        state=UpdateState.FAILED,
        code="not-back",
        retried_at=None,
        retry_of=None,
        # one that installs what runs already would do it all again
        force=False,
        ended_at__gt=at - _RETURN,
        image__deleted_at=None,
    ).order_by("id")
    campaigns = set(wanted.values_list("campaign_id", flat=True))
    if not campaigns:
        return []
    campaigns_hold(ids=campaigns)
    failed = list(
        wanted.filter(Q(campaign=None) | Q(campaign__cancelled_at=None))
        .select_for_update(of=("self",))
        .select_related("device", "campaign")
    )
    newest: dict[tuple[int, int], int] = {}
    rows = FirmwareUpdate.objects.filter(device_id__in={update.device_id for update in failed}).order_by("id")
    for device_id, instance, pk in rows.values_list("device_id", "object_instance", "id"):
        newest[device_id, instance] = pk
    again = [update for update in failed if newest[update.device_id, update.object_instance] == update.pk]
    made = [retry_make(update=update, by=None, at=at) for update in again]
    UpdateLine.objects.bulk_create(
        [UpdateLine(update=update, at=at, text="The device is back: the update is looked at anew") for update in made]
    )
    return [update.pk for update in made]


@transaction.atomic
def progress_store(*, items: Iterable[Progress], at: datetime) -> list[int]:
    """Stores how far transfers are; the ids of the updates that it belongs to. Few statements for any number."""
    newest = {item.endpoint: item for item in items}
    if not newest:
        return []
    updates = (
        FirmwareUpdate.objects.select_for_update(of=("self",))
        .filter(
            device__endpoint__in=newest, state=UpdateState.DOWNLOADING, step__in=[Step.DELIVER, Step.FETCH, Step.VERIFY]
        )
        .select_related("device", "command", "image")
        .order_by("id")
    )
    rows: list[tuple[Any, ...]] = []
    ids: list[int] = []
    told: list[int] = []
    for update in updates:
        item = newest[update.device.endpoint]
        if item.sha256 != update.image.sha256 or not _of_transfer(update, item):
            continue
        sent = max(0, min(item.sent, update.image.size))
        ids.append(update.pk)
        told.append(update.device_id)
        # the same place once more is no progress
        moved = at if sent > update.bytes_sent or update.progress_at is None else update.progress_at
        moment = connection.ops.adapt_datetimefield_value(moved)
        rows.append((sent, moment, item.block or update.block_size, update.pk))
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(_PROGRESS, rows)
        Change.objects.bulk_create([Change(device_id=one, kind=Change.Kind.FIRMWARE) for one in told])
    return ids


_PROGRESS = (
    f'UPDATE "{FirmwareUpdate._meta.db_table}" '  # noqa: S608 - a name of our own
    'SET "bytes_sent" = %s, "progress_at" = %s, "block_size" = %s WHERE "id" = %s'
)


def _of_transfer(update: FirmwareUpdate, item: Progress) -> bool:
    """Does it belong to the transfer that is under way?"""
    if update.method_used == "pull":
        return item.request_id == "" and update.step in (Step.FETCH, Step.VERIFY)
    command = update.command
    return (
        update.step == Step.DELIVER
        and command is not None
        and command.kind == Kind.WRITE_PACKAGE
        and command.state == State.SENT
        and command.request_id == item.request_id
    )


def wished_paths(*, device_ids: Collection[int]) -> dict[int, list[str]]:
    """Device id → the paths that have to be observed because an update of it is open and admitted."""
    found: dict[int, list[str]] = {}
    rows = FirmwareUpdate.objects.filter(device_id__in=device_ids, ended_at=None, admitted_at__isnull=False)
    for device_id, instance in rows.order_by("id").values_list("device_id", "object_instance"):
        paths = found.setdefault(device_id, [])
        paths += [path for path in (f"/5/{instance}/3", f"/5/{instance}/5") if path not in paths]
    return found
