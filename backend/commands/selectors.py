"""Reads of commands and batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Count, QuerySet, TextField
from django.db.models.functions import Cast, Coalesce, Length

from backend.accounts.models import User
from backend.commands.models import ENDED, Command, CommandBatch, Kind, State
from backend.commands.texts import CUT
from backend.devices.models import Device
from backend.devices.selectors import words_match

# characters of JSON that one command contributes to a list, for its arguments and for its answer
LONG_JSON = 65_536


@dataclass(frozen=True, kw_only=True)
class BatchProgress:
    """How far a batch has come. Every state is in `counts`, also with 0."""

    total: int
    counts: Mapping[State, int]
    ended: int
    # of those that have ended, in whole percent, rounded down: 100 means all
    percent: int


def _known(values: Sequence[str] | None, known: Sequence[str], what: str) -> list[str]:
    wanted = list(values or ())
    for one in wanted:
        if one not in known:
            raise ValueError(f"there is no {what} {one!r}: use one of {', '.join(known)}")
    return wanted


def command_list(
    *,
    device: Device | None = None,
    states: Sequence[str] | None = None,
    kinds: Sequence[str] | None = None,
    by: User | None = None,
    batch: CommandBatch | int | None = None,
    search: str = "",
) -> QuerySet[Command]:
    """Commands with device and asker at hand, newest first (one query for any number).

    `search`: every word of it occurs in the device's endpoint, the path, the note or the reason.
    Raises ValueError on an unknown state or kind.
    """
    commands = Command.objects.select_related("device", "asked_by", "cancelled_by").order_by("-id")
    wanted_states = _known(states, State.values, "state")
    wanted_kinds = _known(kinds, Kind.values, "kind")
    if device is not None:
        commands = commands.filter(device=device)
    if wanted_states:
        commands = commands.filter(state__in=wanted_states)
    if wanted_kinds:
        commands = commands.filter(kind__in=wanted_kinds)
    if by is not None:
        commands = commands.filter(asked_by=by)
    if batch is not None:
        commands = commands.filter(batch=batch)
    if "\0" in search:
        # no text in a database holds it, and PostgreSQL refuses to look
        return commands.none()
    return commands.filter(words_match(search, "device__endpoint", "path", "note", "reason"))


def commands_short(*, commands: QuerySet[Command]) -> list[Command]:
    """These commands for a list: arguments and answers of more than LONG_JSON characters are left in the database.

    In their place is `{CUT: characters}`. Three queries, whatever their number; `commands` may be sliced.
    """
    sizes = {f"{name}_size": Coalesce(Length(Cast(name, TextField())), 0) for name in ("arguments", "answer")}
    rows = list(commands.defer("arguments", "answer").annotate(**sizes))
    for name in ("arguments", "answer"):
        small = [row.pk for row in rows if getattr(row, f"{name}_size") <= LONG_JSON]
        values = dict(Command.objects.filter(pk__in=small).order_by().values_list("pk", name))
        for row in rows:
            size = getattr(row, f"{name}_size")
            setattr(row, name, {CUT: size} if size > LONG_JSON else values.get(row.pk))
            if name == "arguments" and row.arguments is None:
                # deleted meanwhile
                row.arguments = {}
    return rows


def command_get(*, id: int) -> Command:
    """One command with device, asker and batch. Raises Command.DoesNotExist."""
    return Command.objects.select_related("device", "asked_by", "cancelled_by", "batch").get(pk=id)


def commands_waiting(*, device: Device) -> int:
    """How many commands wait for the device (the one in flight is not among them)."""
    return Command.objects.filter(device=device, state=State.QUEUED).count()


def batch_get(*, id: int) -> CommandBatch:
    """One batch with its asker. Raises CommandBatch.DoesNotExist."""
    return CommandBatch.objects.select_related("asked_by").get(pk=id)


def batch_list() -> QuerySet[CommandBatch]:
    """Batches with their askers, newest first."""
    return CommandBatch.objects.select_related("asked_by")


def _progress(counted: Mapping[str, int]) -> BatchProgress:
    counts = {state: counted.get(state.value, 0) for state in State}
    total = sum(counts.values())
    ended = sum(counts[state] for state in ENDED)
    return BatchProgress(total=total, counts=counts, ended=ended, percent=100 * ended // total if total else 100)


def batch_progress(*, batch: CommandBatch) -> BatchProgress:
    """How far the batch has come, in one query."""
    return batches_progress(batches=[batch])[batch.pk]


def batches_progress(*, batches: Sequence[CommandBatch]) -> dict[int, BatchProgress]:
    """The same for several, by the batch's id, in one query."""
    counted: dict[int, dict[str, int]] = {batch.pk: {} for batch in batches}
    rows = (
        Command.objects.filter(batch__in=list(counted))
        .order_by()
        .values_list("batch_id", "state")
        .annotate(number=Count("pk"))
    )
    for batch_id, state, number in rows:
        if batch_id is not None:
            counted[batch_id][state] = number
    return {batch_id: _progress(counts) for batch_id, counts in counted.items()}
