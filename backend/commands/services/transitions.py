"""The steps of a command that `sync` makes: conditional writes, so that it and a person who cancels never both win.

Constant numbers of statements, however many commands. All of them tell the live pages.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from backend.commands.models import HARMLESS, Command, Kind, State
from backend.commands.services.outcomes import Verdict
from backend.devices.models import Change
from backend.devices.selectors import registration_of

# ids in one statement: both databases take more, but plans get slow
_CHUNK = 500

_END = """
UPDATE "commands_command" SET "state" = %s, "reason" = %s, "answer" = {answer}, "status" = %s, "duration_ms" = %s,
    "not_before" = %s, "ended_at" = %s, "attempts" = %s
WHERE "id" = %s AND "state" = 'sent' AND "attempts" = %s
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A queued command, as far as its turn depends on it."""

    id: int
    device_id: int
    endpoint: str
    not_before: datetime | None
    kind: str


@dataclass(frozen=True, slots=True)
class Settled:
    """A command that is no longer in flight."""

    id: int
    device_id: int
    endpoint: str
    state: str
    not_before: datetime | None
    # the device did not answer, and it is one with queue mode: it is asked when it gives a sign of life
    silent: bool
    # it is a package's transfer, which has a lane of its own
    package: bool = False


def commands_queued(*, above: int = 0) -> set[int]:
    """The ids of the queued commands above an id."""
    return set(Command.objects.filter(state=State.QUEUED, id__gt=above).order_by().values_list("id", flat=True))


def commands_waiting_rows(*, ids: Collection[int]) -> list[Waiting]:
    """Those of these that are queued, lowest id first."""
    found: list[Waiting] = []
    for part in _parts(ids):
        rows = Command.objects.filter(id__in=part, state=State.QUEUED).order_by("id")
        found += [
            Waiting(*row)
            for row in rows.values_list("id", "device_id", "device__endpoint", "not_before", "kind").iterator()
        ]
    return found


def commands_sent(*, ids: Collection[int] | None = None) -> list[Command]:
    """The commands in flight (of these ids), with their devices and registrations."""
    rows = Command.objects.filter(state=State.SENT).select_related("device", "device__registration")
    return list(rows if ids is None else rows.filter(id__in=ids))


def commands_sent_ids() -> set[int]:
    """The ids of those in flight."""
    return set(Command.objects.filter(state=State.SENT).order_by().values_list("id", flat=True))


def commands_cancelling() -> list[int]:
    """The ids of commands in flight that a person wants back."""
    rows = Command.objects.filter(state=State.SENT, cancel_requested_at__isnull=False)
    return list(rows.order_by("id").values_list("id", flat=True))


@transaction.atomic
def commands_claim(*, ids: Sequence[int], journal: str, at: datetime) -> list[Command]:
    """queued → sent: those of these that are still there to be sent, with device and registration.

    Of a device, at most one ordinary command and one package's transfer may be among them.

    `journal` is the id of the server's that they are about to be given to.
    """
    claimed: list[Command] = []
    for part in _parts(ids):
        commands_hold(Command.objects.filter(id__in=part))
        package = Q(kind=Kind.WRITE_PACKAGE)
        for lane in (~package, package):
            in_flight = Command.objects.filter(lane, device=OuterRef("device"), state=State.SENT)
            Command.objects.filter(lane, ~Exists(in_flight), id__in=part, state=State.QUEUED, expires_at__gt=at).update(
                state=State.SENT, sent_at=at, attempts=F("attempts") + 1, journal=journal, reason="", not_before=None
            )
        claimed += commands_sent(ids=part)
    tell_pages(device_ids=[command.device_id for command in claimed])
    return claimed


@transaction.atomic
def commands_expire(*, at: datetime) -> list[tuple[int, int]]:
    """queued → expired: (id, device id) of those whose time is over."""
    due = Command.objects.filter(state=State.QUEUED, expires_at__lte=at)
    rows = list(due.order_by("id").values_list("id", "device_id"))
    for part in _parts([id_ for id_, _ in rows]):
        commands_hold(Command.objects.filter(id__in=part))
        these = Command.objects.filter(id__in=part, state=State.QUEUED)
        silent = Q(attempts__gt=0)
        these.filter(~silent).update(
            state=State.EXPIRED, ended_at=at, not_before=None, reason="Not sent in time: the device could not be asked"
        )
        harmless = Q(kind__in=HARMLESS)
        these.filter(silent & harmless).update(
            state=State.EXPIRED, ended_at=at, not_before=None, reason="No answer from the device in time"
        )
        these.filter(silent & ~harmless).update(
            state=State.EXPIRED,
            ended_at=at,
            not_before=None,
            reason="No answer from the device in time: unknown whether it did it",
        )
    tell_pages(device_ids=[device_id for _, device_id in rows])
    return rows


@transaction.atomic
def commands_refuse(*, ids: Iterable[int], reason: str, at: datetime) -> int:
    """queued → failed, without asking the device."""
    count = 0
    devices: list[int] = []
    for part in _parts(ids):
        commands_hold(Command.objects.filter(id__in=part))
        rows = Command.objects.filter(id__in=part, state=State.QUEUED)
        devices += rows.values_list("device_id", flat=True)
        count += rows.update(state=State.FAILED, ended_at=at, not_before=None, reason=reason)
    tell_pages(device_ids=devices)
    return count


def commands_locked(*, request_ids: Iterable[str]) -> dict[str, Command]:
    """Request-Id → the command that is in exactly this attempt, held until the transaction ends."""
    ids = {number for number in map(_command_id, request_ids) if number is not None}
    wanted = set(request_ids)
    found: dict[str, Command] = {}
    for part in _parts(ids):
        rows: QuerySet[Command] = Command.objects.select_for_update(of=("self",)).filter(id__in=part, state=State.SENT)
        rows = rows.order_by("id")
        for command in rows.select_related("device", "device__profile", "device__registration"):
            if command.request_id in wanted:
                found[command.request_id] = command
    return found


def commands_settle(*, verdicts: Sequence[tuple[Command, Verdict]], at: datetime, tell: bool = True) -> list[Settled]:
    """sent → what the verdicts say, for commands from `commands_locked` in the same transaction.

    A command that would go back to the queue ends instead where it was cancelled meanwhile, or its time is over.
    """
    rows: list[tuple[Any, ...]] = []
    settled: list[Settled] = []
    for command, given in verdicts:
        final = _final(command, given, at)
        queued = final.state == State.QUEUED
        silent = queued and final.silent and _queue_mode(command)
        not_before = at + final.delay if queued and final.delay is not None and not silent else None
        rows.append(
            (
                final.state,
                _clean(final.reason),
                None if final.answer is None else json.dumps(final.answer).replace("\\u0000", "\\ufffd"),
                _clean(final.status),
                final.duration_ms,
                _moment(not_before),
                None if queued else _moment(at),
                command.attempts if final.counted else command.attempts - 1,
                command.pk,
                command.attempts,
            )
        )
        package = command.kind == Kind.WRITE_PACKAGE
        settled.append(
            Settled(command.pk, command.device_id, command.device.endpoint, final.state, not_before, silent, package)
        )
    if rows:
        with connection.cursor() as cursor:
            answer = "%s" if connection.vendor == "sqlite" else "%s::jsonb"
            cursor.executemany(_END.format(answer=answer), rows)
        if tell:
            tell_pages(device_ids=[item.device_id for item in settled])
    return settled


def commands_return(*, verdicts: Sequence[tuple[str, Verdict]], at: datetime) -> list[Settled]:
    """As `commands_settle`, by Request-Id and in a transaction of its own; those in another attempt are left alone."""
    with transaction.atomic():
        locked = commands_locked(request_ids=[request_id for request_id, _ in verdicts])
        pairs = [(locked[request_id], given) for request_id, given in verdicts if request_id in locked]
        return commands_settle(verdicts=pairs, at=at)


def tell_pages(*, device_ids: Iterable[int]) -> None:
    """Something about these devices' commands is new."""
    Change.objects.bulk_create(
        [Change(device_id=device_id, kind=Change.Kind.COMMANDS) for device_id in dict.fromkeys(device_ids)]
    )


def commands_hold(rows: QuerySet[Command]) -> None:
    """Takes hold of the rows in the order of ids, as everybody does: else two could wait for each other for ever."""
    if connection.features.has_select_for_update:
        list(rows.select_for_update().order_by("id").values_list("id", flat=True))


def _final(command: Command, given: Verdict, at: datetime) -> Verdict:
    if given.state != State.QUEUED:
        return given
    doubt = ": unknown whether the device did it" if given.in_doubt else ""
    if command.cancel_requested_at is not None:
        text = "Cancelled before the device answered" if given.counted else "Cancelled before anything of it was sent"
        return Verdict(State.CANCELLED, text + doubt, duration_ms=given.duration_ms, counted=given.counted)
    if command.expires_at <= at:
        never = not given.counted and command.attempts <= 1
        text = "Not sent in time: the device could not be asked" if never else "No answer from the device in time"
        return Verdict(State.EXPIRED, text + doubt, duration_ms=given.duration_ms, counted=given.counted)
    return given


def _queue_mode(command: Command) -> bool:
    registration = registration_of(command.device)
    return registration is not None and registration.queue_mode


def _command_id(request_id: str) -> int | None:
    digits = request_id.partition("-")[0]
    return int(digits) if digits.isdecimal() and digits.isascii() and len(digits) < 19 else None


def _clean(text: str) -> str:
    """PostgreSQL holds no NUL in a text."""
    return text.replace("\x00", "\ufffd")


def _moment(at: datetime | None) -> Any:
    return None if at is None else connection.ops.adapt_datetimefield_value(at)


def _parts(ids: Iterable[int]) -> Iterable[list[int]]:
    every = sorted(ids)
    for start in range(0, len(every), _CHUNK):
        yield every[start : start + _CHUNK]
