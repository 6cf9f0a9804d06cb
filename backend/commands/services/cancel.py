"""Cancelling. Every step is one conditional UPDATE, so that it and `sync`, which sends, never both win."""

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from backend.accounts.models import User
from backend.commands.models import OPEN, Command, CommandBatch, State
from backend.commands.services.errors import CommandError
from backend.commands.services.transitions import commands_hold


def _by(by: User | None) -> str:
    return f"cancelled by {by.username}" if by else "cancelled"


def _cancel_queued(commands: QuerySet[Command], by: User | None, at: datetime) -> int:
    """Ends those that wait; how many."""
    values: dict[str, Any] = {
        "state": State.CANCELLED,
        "ended_at": at,
        "cancel_requested_at": at,
        "cancelled_by": by,
        "not_before": None,
    }
    never_sent = commands.filter(state=State.QUEUED, attempts=0).update(
        **values, reason=f"{_by(by)} before anything was sent"
    )
    # an earlier attempt was not answered: nobody knows whether it arrived
    sent_before = commands.filter(state=State.QUEUED, attempts__gt=0).update(
        **values, reason=f"{_by(by)}; it had been sent without an answer: unknown whether the device did it"
    )
    return never_sent + sent_before


def _ask_for_sent(commands: QuerySet[Command], by: User | None, at: datetime) -> int:
    """Notes the wish on those in flight, for `sync` to carry out; how many."""
    return commands.filter(state=State.SENT, cancel_requested_at__isnull=True).update(
        cancel_requested_at=at, cancelled_by=by
    )


def command_cancel(*, command_id: int, by: User | None) -> Command:
    """Cancels the command: one that waits ends at once, one in flight when Leshan has let go of it.

    Returns the command as it is then (`sent` with `cancel_requested_at` for one in flight; its answer may still win).
    Raises Command.DoesNotExist; CommandError where it has ended already.
    """
    one = Command.objects.filter(pk=command_id)
    while True:
        at = timezone.now()
        changed = _cancel_queued(one, by, at) or _ask_for_sent(one, by, at)
        command = Command.objects.select_related("device", "asked_by").get(pk=command_id)
        if changed:
            return command
        if command.ended_at is not None:
            raise CommandError(f"already ended: {State(command.state).label.lower()}. Nothing was changed.")
        if command.state == State.SENT and command.cancel_requested_at is not None:
            return command
        # it went back to the queue, or out of it, between two statements: look again


def commands_cancel(*, commands: QuerySet[Command], by: User | None, at: datetime) -> int:
    """Cancels those of them that have not ended; how many. In a transaction of the caller's."""
    # held until its end, in the order in which `sync` takes them: none changes its state between the statements
    commands_hold(commands.filter(state__in=OPEN))
    return _cancel_queued(commands, by, at) + _ask_for_sent(commands, by, at)


def batch_cancel(*, batch_id: int, by: User | None) -> int:
    """Cancels all commands of the batch that have not ended; how many. Raises CommandBatch.DoesNotExist."""
    with transaction.atomic():
        batch = CommandBatch.objects.get(pk=batch_id)
        return commands_cancel(commands=Command.objects.filter(batch=batch), by=by, at=timezone.now())
