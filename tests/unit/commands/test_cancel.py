"""Cancelling against sending, one after the other and at once."""

from datetime import timedelta

import pytest
from django.utils import timezone

from backend.commands.models import ENDED, Command, CommandBatch, State
from backend.commands.services import CommandError, batch_cancel, command_cancel, command_create, commands_create
from backend.devices.models import Device
from tests.support.threads import in_threads, threads
from tests.unit.api.builders import device, user

__all__ = ["threads"]

pytestmark = pytest.mark.database


def sent(command: Command, attempts: int = 1) -> int:
    """As `sync` claims it."""
    return Command.objects.filter(pk=command.pk, state=State.QUEUED).update(
        state=State.SENT, sent_at=timezone.now(), attempts=attempts
    )


@pytest.mark.django_db
def test_one_that_waits_ends_in_threads() -> None:
    by = user("ada")
    command = command_create(device=device(), kind="read", path="/3", by=by)
    done = command_cancel(command_id=command.pk, by=by)
    assert (done.state, done.reason) == (State.CANCELLED, "cancelled by ada before anything was sent")
    with pytest.raises(CommandError, match="already ended: cancelled"):
        command_cancel(command_id=command.pk, by=by)
    with pytest.raises(Command.DoesNotExist):
        command_cancel(command_id=command.pk + 1, by=by)


@pytest.mark.django_db
def test_one_in_flight_is_asked_for() -> None:
    command = command_create(device=device(), kind="read", path="/3", by=None)
    sent(command)
    first = command_cancel(command_id=command.pk, by=None)
    assert first.state == State.SENT
    assert first.cancel_requested_at is not None
    assert command_cancel(command_id=command.pk, by=None).cancel_requested_at == first.cancel_requested_at


@pytest.mark.django_db
def test_one_that_waits_for_its_second_attempt_may_have_been_done() -> None:
    command = command_create(device=device(), kind="read", path="/3", by=None)
    Command.objects.filter(pk=command.pk).update(attempts=1)
    assert "unknown whether the device did it" in command_cancel(command_id=command.pk, by=None).reason


@pytest.mark.django_db
def test_a_batch() -> None:
    made = [device(f"d{number}") for number in range(4)]
    batch = commands_create(devices=made, kind="read", path="/3", by=None)
    one, two, *_ = batch.commands.order_by("id")
    sent(one)
    Command.objects.filter(pk=two.pk).update(state=State.SUCCEEDED, ended_at=timezone.now())
    assert batch_cancel(batch_id=batch.pk, by=None) == 3
    assert batch_cancel(batch_id=batch.pk, by=None) == 0
    states = batch.commands.order_by("id").values_list("state", flat=True)
    assert list(states) == [State.SENT, State.SUCCEEDED, State.CANCELLED, State.CANCELLED]
    with pytest.raises(CommandBatch.DoesNotExist):
        batch_cancel(batch_id=batch.pk + 1, by=None)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("threads")
def test_cancel_and_send_at_once_never_both_win() -> None:
    def prepare() -> Command:
        one, _ = Device.objects.get_or_create(endpoint="dev-1")
        Command.objects.filter(state=State.SENT).update(state=State.FAILED, reason="over", ended_at=timezone.now())
        return command_create(device=one, kind="read", path="/3", by=None, expires_in=timedelta(hours=1))

    outcomes = set()
    for _ in range(25):
        (command,) = in_threads(prepare)
        assert isinstance(command, Command), command
        claimed, cancelled, again = in_threads(
            lambda command=command: sent(command),
            lambda command=command: command_cancel(command_id=command.pk, by=None),
            lambda command=command: command_cancel(command_id=command.pk, by=None),
        )
        (row,) = in_threads(lambda command=command: Command.objects.get(pk=command.pk))
        said = [one for one in (cancelled, again) if isinstance(one, Command)]
        refused = [one for one in (cancelled, again) if isinstance(one, CommandError)]
        assert len(said) + len(refused) == 2, (cancelled, again)
        if claimed:
            # it left: both wishes stand, nothing was ended behind sync's back
            assert row.state == State.SENT
            assert row.cancel_requested_at is not None
            assert not refused
        else:
            # it never left, and says so; the slower one hears that it is over
            assert row.state == State.CANCELLED
            assert row.attempts == 0
            assert "before anything was sent" in row.reason
            assert len(refused) == 1
        outcomes.add(row.state)
    assert outcomes <= {State.SENT, State.CANCELLED}


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("threads")
def test_cancel_against_back_to_the_queue() -> None:
    """A command that goes to and fro between queue and flight is caught all the same."""

    def prepare() -> Command:
        Command.objects.filter(state=State.SENT).update(state=State.FAILED, reason="over", ended_at=timezone.now())
        one, _ = Device.objects.get_or_create(endpoint="dev-1")
        return command_create(device=one, kind="read", path="/3", by=None)

    def to_and_fro(command: Command) -> None:
        for attempt in range(1, 20):
            sent(command, attempt)
            Command.objects.filter(pk=command.pk, state=State.SENT).update(state=State.QUEUED)

    for _ in range(5):
        (command,) = in_threads(prepare)
        _, cancelled = in_threads(
            lambda command=command: to_and_fro(command),
            lambda command=command: command_cancel(command_id=command.pk, by=None),
        )
        assert isinstance(cancelled, Command), cancelled
        (row,) = in_threads(lambda command=command: Command.objects.get(pk=command.pk))
        assert row.state in ENDED or row.cancel_requested_at is not None
