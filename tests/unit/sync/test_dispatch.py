"""The dispatcher's bookkeeping and the transitions in the database, without HTTP."""

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext

from backend.commands.models import Command, Kind, State
from backend.commands.services.cancel import command_cancel
from backend.commands.services.outcomes import Record, verdict
from backend.commands.services.transitions import commands_claim, commands_expire, commands_locked, commands_settle
from backend.devices.models import Change, Device, Registration
from backend.sync.dispatch import HANDING_OVER, STOCK, Dispatcher
from backend.sync.requests import Answer, Handed

pytestmark = [pytest.mark.django_db, pytest.mark.database]


class Hands:
    """Leshan's side: what was handed over, looked for and taken back."""

    def __init__(self) -> None:
        self.started: list[Command] = []
        self.looked: list[Command] = []
        self.cancelled: list[Command] = []

    def start(self, command: Command) -> None:
        self.started.append(command)

    def look(self, command: Command) -> None:
        self.looked.append(command)

    def cancel(self, command: Command) -> None:
        self.cancelled.append(command)


class World:
    """A dispatcher and everything around it."""

    def __init__(self) -> None:
        self.hands = Hands()
        self.busy: set[str] = set()
        self.held: set[str] = set()
        self.records: list[dict[str, Any]] = []
        self.unplanned: list[str] = []
        self.dispatcher = self.restart()

    def restart(self) -> Dispatcher:
        """A new `sync`, on the same database."""
        self.dispatcher = Dispatcher(
            hands=self.hands,
            retry=lambda action: action(),
            hold=self._hold,
            release=self.held.discard,
            answered=self.records.append,
            replan=self.unplanned.append,
        )
        return self.dispatcher

    def _hold(self, endpoint: str) -> bool:
        self.held.add(endpoint)
        return endpoint not in self.busy

    def begin(self, *registered: str, asleep: Iterable[str] = (), journal: str | None = "j") -> None:
        self.dispatcher.start(registered=registered, asleep=asleep)
        self.dispatcher.connected(journal)
        self.tick()

    def tick(self) -> None:
        self.dispatcher.tick()

    def rescan(self) -> None:
        self.dispatcher._rescan_at = 0.0
        self.tick()

    def take(self) -> list[Command]:
        taken, self.hands.started = self.hands.started, []
        return taken

    def hand(self, command: Command, answer: Answer, *, handing: bool = True, **more: Any) -> None:
        started = more.pop("started", time.monotonic())
        self.dispatcher.handle(Handed(command.pk, command.request_id, answer, started, handing=handing, **more))
        self.dispatcher.pump()

    def accept(self, command: Command) -> None:
        self.hand(command, Answer.RECORD, record={"state": "pending"})

    def end(self, command: Command, outcome: str = "answered", **fields: Any) -> None:
        """As the ingest does it with an event."""
        at = datetime.now(UTC)
        if outcome == "answered":
            fields = {"response": {"success": True, "status": "CONTENT(205)"}} | fields
        record = Record(command.request_id, outcome, **fields)
        locked = commands_locked(request_ids=[command.request_id])
        pairs = [
            (row, verdict(record, kind=row.kind, attempts=row.attempts, expires_at=row.expires_at))
            for row in locked.values()
        ]
        self.dispatcher.settled(commands_settle(verdicts=pairs, at=at))
        self.dispatcher.pump()


@pytest.fixture
def world() -> World:
    return World()


def device(endpoint: str = "a", *, queue_mode: bool = False) -> Device:
    made, _ = Device.objects.get_or_create(endpoint=endpoint)
    now = datetime.now(UTC)
    Registration.objects.get_or_create(
        device=made,
        defaults={
            "registration_id": "r", "registered_at": now, "last_update": now, "lifetime": 300, "address": "x",
            "lwm2m_version": "1.1", "queue_mode": queue_mode,
        },
    )  # fmt: skip
    return made


def ask(of: Device, kind: Kind = Kind.READ, **fields: Any) -> Command:
    now = datetime.now(UTC)
    values = {"path": "/3/0/9", "asked_at": now, "expires_at": now + timedelta(hours=1)} | fields
    return Command.objects.create(device=of, kind=kind, **values)


def state(command: Command) -> str:
    command.refresh_from_db()
    return command.state


def test_one_at_a_time_in_the_order_asked(world: World) -> None:
    of = device()
    commands = [ask(of) for _ in range(20)]
    world.begin("a")
    for expected in commands:
        (sent,) = world.take()
        assert sent == expected
        assert Command.objects.filter(state=State.SENT).count() == 1
        world.accept(sent)
        world.end(sent)
        assert state(expected) == State.SUCCEEDED
    assert world.take() == []
    assert world.dispatcher.empty("a")
    assert world.held == set()


def test_the_request_id_tells_attempts_apart(world: World) -> None:
    command = ask(device())
    world.begin("a")
    (first,) = world.take()
    world.end(first, "timeout")
    assert state(command) == State.QUEUED
    assert command.not_before is not None
    assert world.take() == []
    world.dispatcher._known[command.pk] = (0.0, world.dispatcher._known[command.pk][1])
    world.dispatcher.freed("a")
    world.tick()
    (second,) = world.take()
    assert (first.request_id, second.request_id) == (f"{command.pk}-{command.nonce}", f"{first.request_id}.2")
    # the late end of the first attempt changes nothing any more
    world.end(first)
    assert state(command) == State.SENT
    world.end(second)
    assert state(command) == State.SUCCEEDED


def test_a_device_that_waits_holds_up_no_other(world: World) -> None:
    one, two, three = device("a"), device("b"), device("c")
    for of in (one, two, three):
        ask(of)
    world.begin("a", "c", asleep=["c"])
    assert [command.device for command in world.take()] == [one]
    # what is not registered or asleep waits for a sign
    world.dispatcher.registered("b")
    world.tick()
    assert [command.device for command in world.take()] == [two]
    world.dispatcher.awake("c")
    world.tick()
    assert [command.device for command in world.take()] == [three]


def test_a_sleeping_device_by_leshans_word(world: World) -> None:
    command = ask(device(queue_mode=True))
    world.begin("a")
    (sent,) = world.take()
    world.hand(sent, Answer.SLEEPING)
    assert state(command) == State.QUEUED
    # it never was an attempt: the same id is used again
    assert (command.attempts, command.not_before) == (0, None)
    assert "sleeps" in command.reason
    assert world.held == set()
    world.tick()
    assert world.take() == []
    world.dispatcher.awake("a")
    world.tick()
    (again,) = world.take()
    assert again.request_id == sent.request_id


def test_a_sign_of_life_that_crossed_leshans_word(world: World) -> None:
    command = ask(device(queue_mode=True))
    world.begin("a")
    (sent,) = world.take()
    before = time.monotonic()
    world.dispatcher.awake("a")
    world.hand(sent, Answer.SLEEPING, started=before - 1)
    assert state(command) == State.QUEUED
    assert command.not_before is not None


def test_an_unregistered_device_is_waited_for(world: World) -> None:
    command = ask(device())
    world.begin("a")
    (sent,) = world.take()
    world.hand(sent, Answer.NOT_REGISTERED)
    assert state(command) == State.QUEUED
    world.rescan()
    assert world.take() == []
    world.dispatcher.registered("a")
    world.tick()
    assert len(world.take()) == 1


def test_a_queue_mode_device_that_was_silent_is_asked_at_a_sign(world: World) -> None:
    command, _ = ask(device(queue_mode=True)), ask(device())
    world.begin("a")
    (sent,) = world.take()
    world.accept(sent)
    world.end(sent, "timeout")
    assert state(command) == State.QUEUED
    assert command.not_before is None
    world.rescan()
    assert world.take() == []
    world.dispatcher.awake("a")
    world.tick()
    assert [one.pk for one in world.take()] == [command.pk]


@pytest.mark.parametrize("kind", [Kind.EXECUTE, Kind.CREATE, Kind.DELETE])
def test_what_might_be_done_twice_is_not_asked_again(world: World, kind: Kind) -> None:
    command = ask(device(), kind)
    world.begin("a")
    (sent,) = world.take()
    world.end(sent, "timeout", sent=True)
    assert state(command) == State.FAILED
    assert "unknown whether" in command.reason
    assert world.take() == []


def test_leshan_refuses(world: World) -> None:
    command = ask(device(), Kind.WRITE)
    world.begin("a")
    (sent,) = world.take()
    world.hand(sent, Answer.REFUSED, error="Invalid request: no node")
    assert (state(command), command.reason) == (State.FAILED, "Invalid request: no node")


def test_an_observation_that_is_not_there_is_ended(world: World) -> None:
    command = ask(device(), Kind.CANCEL_OBSERVE)
    world.begin("a")
    world.hand(world.take()[0], Answer.NOTHING_TO_END)
    assert state(command) == State.SUCCEEDED


def test_leshan_away_in_the_middle_asks_with_the_same_id(world: World) -> None:
    command = ask(device(), Kind.EXECUTE)
    world.begin("a")
    (sent,) = world.take()
    world.hand(sent, Answer.UNAVAILABLE, error="gone")
    assert state(command) == State.SENT
    world.dispatcher._again = [(0.0, command.pk)]
    world.tick()
    assert [one.request_id for one in world.hands.looked] == [sent.request_id]
    # it never got there: the same again
    world.hand(sent, Answer.NO_RECORD, handing=False)
    (again,) = world.take()
    assert (again.request_id, state(command), command.attempts) == (sent.request_id, State.SENT, 1)
    world.accept(again)
    world.end(again)
    assert state(command) == State.SUCCEEDED


def test_what_never_got_there_in_time_is_expired_and_not_late(world: World) -> None:
    command = ask(device(), Kind.EXECUTE)
    world.begin("a")
    (sent,) = world.take()
    past = datetime.now(UTC) - timedelta(seconds=1)
    Command.objects.update(expires_at=past)
    sent.expires_at = past
    world.hand(sent, Answer.UNAVAILABLE)
    world.hand(sent, Answer.NO_RECORD, handing=False)
    assert (state(command), command.attempts) == (State.EXPIRED, 0)
    assert world.take() == []


@pytest.mark.parametrize(
    ("kind", "journal", "expected"),
    [
        (Kind.READ, "j", State.SENT),
        (Kind.EXECUTE, "j", State.SENT),
        (Kind.READ, "other", State.QUEUED),
        (Kind.EXECUTE, "other", State.FAILED),
    ],
)
def test_a_restart_of_sync_with_one_in_flight(world: World, kind: Kind, journal: str, expected: str) -> None:
    command = ask(device(), kind)
    world.begin("a")
    (sent,) = world.take()
    world.restart()
    world.begin("a", journal=journal)
    assert world.take() == []
    assert [one.pk for one in world.hands.looked] == [command.pk]
    world.hand(sent, Answer.NO_RECORD, handing=False)
    assert state(command) == expected
    # never accepted: handed over with the same id
    assert [one.request_id for one in world.take()] == ([sent.request_id] if expected == State.SENT else [])


def test_a_restart_of_sync_takes_the_answer_up(world: World) -> None:
    command = ask(device())
    world.begin("a")
    (sent,) = world.take()
    world.restart()
    world.begin("a")
    record = {"state": "ended", "requestId": sent.request_id, "outcome": "answered"}
    world.hand(sent, Answer.RECORD, handing=False, record=record)
    assert world.records == [record]
    world.end(sent)
    assert state(command) == State.SUCCEEDED


def test_a_new_connection_asks_for_what_is_in_flight(world: World) -> None:
    ask(device())
    world.begin("a")
    (sent,) = world.take()
    world.accept(sent)
    world.dispatcher.disconnected()
    world.tick()
    assert world.hands.looked == []
    world.dispatcher.connected("j")
    assert len(world.hands.looked) == 1
    world.hand(sent, Answer.RECORD, handing=False, record={"state": "pending"})
    world.dispatcher.look_again()
    assert len(world.hands.looked) == 2


def test_an_answer_that_never_comes_is_asked_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(device())
    world.begin("a")
    (sent,) = world.take()
    world.accept(sent)
    monkeypatch.setattr("backend.sync.dispatch.OVERDUE_SECONDS", -100.0)
    world.dispatcher._expire_at = 0.0
    world.tick()
    assert len(world.hands.looked) == 1


def test_nothing_is_sent_while_leshan_is_away(world: World) -> None:
    ask(device())
    world.dispatcher.start(registered=["a"], asleep=[])
    world.tick()
    assert world.take() == []
    world.dispatcher.connected("j")
    world.tick()
    assert len(world.take()) == 1


def test_a_stock_server_cannot(world: World) -> None:
    command = ask(device())
    world.begin("a", journal=None)
    assert (state(command), command.reason) == (State.FAILED, STOCK)


def test_expiry(world: World) -> None:
    of = device()
    soon, kept = ask(of, expires_at=datetime.now(UTC) + timedelta(milliseconds=1)), ask(of)
    asked = ask(of, Kind.WRITE, attempts=1, expires_at=datetime.now(UTC))
    world.begin()
    world.dispatcher._expire_at = 0.0
    world.tick()
    assert (state(soon), state(kept), state(asked)) == (State.EXPIRED, State.QUEUED, State.EXPIRED)
    assert "unknown" not in soon.reason
    assert "unknown whether" in asked.reason
    world.dispatcher.registered("a")
    world.tick()
    assert [one.pk for one in world.take()] == [kept.pk]


def test_cancelled_while_queued_is_never_sent(world: World) -> None:
    of = device()
    first, second = ask(of), ask(of)
    world.begin()
    command_cancel(command_id=first.pk, by=None)
    world.dispatcher.registered("a")
    world.tick()
    assert [one.pk for one in world.take()] == [second.pk]
    assert state(first) == State.CANCELLED


def test_the_race_between_cancel_and_claim_has_one_winner() -> None:
    of = device()
    command = ask(of)
    now = datetime.now(UTC)
    command_cancel(command_id=command.pk, by=None)
    assert commands_claim(ids=[command.pk], journal="j", at=now) == []
    other = ask(of)
    assert len(commands_claim(ids=[other.pk], journal="j", at=now)) == 1
    assert command_cancel(command_id=other.pk, by=None).state == State.SENT
    # and a second one of the same device is not claimed beside it
    third = ask(of)
    assert commands_claim(ids=[third.pk], journal="j", at=now) == []
    with pytest.raises(IntegrityError):
        Command.objects.filter(pk=third.pk).update(state=State.SENT)


def test_cancelled_in_flight(world: World) -> None:
    command = ask(device(), Kind.EXECUTE)
    world.begin("a")
    (sent,) = world.take()
    command_cancel(command_id=command.pk, by=None)
    # not before Leshan has said whether it has it
    world.tick()
    assert world.hands.cancelled == []
    world.accept(sent)
    world.tick()
    world.tick()
    assert [one.pk for one in world.hands.cancelled] == [command.pk]
    world.hand(sent, Answer.RECORD, handing=False, record={})
    assert state(command) == State.SENT
    world.end(sent, "cancelled", sent=True)
    assert state(command) == State.CANCELLED
    assert "unknown whether" in command.reason


def test_the_answer_may_win_against_cancel(world: World) -> None:
    command = ask(device())
    world.begin("a")
    (sent,) = world.take()
    world.accept(sent)
    command_cancel(command_id=command.pk, by=None)
    world.tick()
    world.end(sent)
    assert state(command) == State.SUCCEEDED
    world.hand(sent, Answer.RECORD, handing=False, record={"state": "ended"})
    assert state(command) == State.SUCCEEDED


def test_a_cancelled_one_does_not_go_back_to_the_queue(world: World) -> None:
    of = device()
    first, second = ask(of), ask(of, Kind.WRITE)
    world.begin("a")
    (sent,) = world.take()
    command_cancel(command_id=first.pk, by=None)
    world.hand(sent, Answer.SLEEPING)
    assert (state(first), first.attempts) == (State.CANCELLED, 0)
    world.dispatcher.awake("a")
    world.tick()
    (sent,) = world.take()
    world.accept(sent)
    command_cancel(command_id=second.pk, by=None)
    world.end(sent, "timeout")
    assert state(second) == State.CANCELLED
    assert "unknown whether" in second.reason


def test_expired_in_flight(world: World) -> None:
    command = ask(device())
    world.begin("a")
    (sent,) = world.take()
    Command.objects.update(expires_at=datetime.now(UTC))
    world.end(sent, "timeout")
    assert state(command) == State.EXPIRED


def test_a_plans_request_goes_to_its_end_first(world: World) -> None:
    ask(device())
    world.busy.add("a")
    world.begin("a")
    assert world.take() == []
    assert world.held == {"a"}
    world.busy.clear()
    world.dispatcher.freed("a")
    world.tick()
    (sent,) = world.take()
    world.end(sent)
    assert world.held == set()


def test_a_wait_is_a_wait_for_those_behind_it_too(world: World) -> None:
    of = device()
    ask(of, not_before=datetime.now(UTC) + timedelta(hours=1))
    ask(of)
    world.begin("a")
    assert world.take() == []
    assert not world.dispatcher.empty("a")
    # what the device's plan wants may go meanwhile
    assert world.held == set()


def test_ids_that_are_committed_late_are_noticed(world: World) -> None:
    late, early = ask(device("a")), ask(device("b"))
    Command.objects.filter(pk=late.pk).update(state=State.FAILED, ended_at=datetime.now(UTC), reason="x")
    world.begin("a", "b")
    assert [one.pk for one in world.take()] == [early.pk]
    Command.objects.filter(pk=late.pk).update(state=State.QUEUED, ended_at=None, reason="")
    world.tick()
    assert [one.pk for one in world.take()] == [late.pk]


def test_a_deleted_device_is_forgotten(world: World) -> None:
    of = device()
    ask(of)
    world.begin("a")
    (sent,) = world.take()
    of.delete()
    world.rescan()
    world.hand(sent, Answer.RECORD, record={"state": "pending"})
    assert world.dispatcher.empty("a")


def test_five_hundred_devices_at_once(world: World) -> None:
    devices = [device(f"d-{number:03}") for number in range(500)]
    now = datetime.now(UTC)
    Command.objects.bulk_create(
        Command(device=of, kind=Kind.READ, path="/3/0/9", asked_at=now, expires_at=now + timedelta(hours=1))
        for of in devices
        for _ in range(2)
    )
    world.dispatcher.start(registered=[of.endpoint for of in devices], asleep=[])
    world.dispatcher.connected("j")
    first = world.take()
    world.tick()
    first = world.take()
    # not all at once: those that wait for their turn are still queued, and say so
    assert len(first) == HANDING_OVER
    assert Command.objects.filter(state=State.SENT).count() == HANDING_OVER
    for command in first:
        world.dispatcher.handle(Handed(command.pk, command.request_id, Answer.RECORD, 0.0, {}, handing=True))
    with CaptureQueriesContext(
        connection,
    ) as queries:
        world.tick()
    assert len(queries) <= 12
    second = world.take()
    assert len({command.device_id for command in [*first, *second]}) == 500


def test_idle_ticks_write_nothing(world: World) -> None:
    ask(device("b"))
    world.begin("a")
    world.dispatcher._expire_at = time.monotonic() + 100
    with CaptureQueriesContext(connection) as queries:
        world.tick()
    assert len(queries) == 1
    assert queries[0]["sql"].startswith("SELECT")


def test_settling_many_takes_a_constant_number_of_queries() -> None:
    now = datetime.now(UTC)
    counts = []
    for amount in (3, 30):
        ids = [ask(device(f"{amount}-{number}")).pk for number in range(amount)]
        claimed = commands_claim(ids=ids, journal="j", at=now)
        with CaptureQueriesContext(connection) as queries:
            locked = commands_locked(request_ids=[command.request_id for command in claimed])
            record = Record("", "answered", {"success": True, "status": "x\u0000", "content": "\u0000"})
            given = verdict(record, kind=Kind.READ, attempts=1, expires_at=now)
            commands_settle(verdicts=[(command, given) for command in locked.values()], at=now)
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert Command.objects.filter(state=State.SUCCEEDED).count() == 33
    command = Command.objects.filter(state=State.SUCCEEDED).first()
    assert command is not None
    assert command.answer is not None


def test_pages_are_told(world: World) -> None:
    of = device()
    world.begin("a")
    ask(of)
    world.tick()
    assert Change.objects.filter(kind="commands", device_id=of.pk).count() == 2
    (sent,) = world.take()
    world.end(sent)
    assert Change.objects.filter(kind="commands", device_id=of.pk).count() == 3
    ask(of, expires_at=datetime.now(UTC))
    assert len(commands_expire(at=datetime.now(UTC))) == 1
    assert Change.objects.filter(kind="commands", device_id=of.pk).count() == 4


def test_what_was_to_be_held_is_let_go_when_nothing_goes(world: World) -> None:
    command = ask(device())
    world.busy.add("a")
    world.begin("a")
    assert world.held == {"a"}
    command_cancel(command_id=command.pk, by=None)
    world.rescan()
    world.busy.clear()
    world.dispatcher.freed("a")
    world.tick()
    # else the device's plan would never go on
    assert world.held == set()


def test_a_device_that_was_deleted_and_came_back(world: World) -> None:
    of = device()
    ask(of)
    world.begin("a", asleep=["a"])
    of.delete()
    came_back = device()
    command = ask(came_back)
    world.tick()
    world.rescan()
    world.dispatcher.awake("a")
    world.tick()
    assert world.take() == [command]
    world.end(command)
    assert world.held == set()
    assert world.dispatcher.empty("a")


def test_in_flight_when_a_stock_server_comes(world: World) -> None:
    commands = {kind: ask(device(kind), kind) for kind in (Kind.READ, Kind.EXECUTE)}
    world.begin(*commands)
    for sent in world.take():
        world.accept(sent)
    world.dispatcher.disconnected()
    world.dispatcher.connected(None)
    for looked in world.hands.looked:
        world.hand(looked, Answer.NO_RECORD, handing=False)
    assert {state(command) for command in commands.values()} == {State.FAILED}
    assert "unknown" in commands[Kind.EXECUTE].reason
    assert commands[Kind.READ].reason == STOCK
    assert world.held == set()


def test_in_flight_while_leshan_stays_away(world: World) -> None:
    commands = {kind: ask(device(kind), kind) for kind in (Kind.READ, Kind.WRITE)}
    world.begin(*commands)
    for sent in world.take():
        world.hand(sent, Answer.UNAVAILABLE)
    world.dispatcher.disconnected()
    for flight in world.dispatcher._flights.values():
        flight.command.expires_at = datetime.now(UTC) - timedelta(minutes=4)
    Command.objects.update(expires_at=datetime.now(UTC) - timedelta(minutes=4))
    world.dispatcher._expire_at = 0.0
    world.tick()
    assert {state(command) for command in commands.values()} == {State.SENT}
    for flight in world.dispatcher._flights.values():
        flight.command.expires_at = datetime.now(UTC) - timedelta(minutes=6)
    world.dispatcher._expire_at = 0.0
    world.tick()
    assert {state(command) for command in commands.values()} == {State.EXPIRED}
    assert "unknown whether" in commands[Kind.WRITE].reason
    assert "unknown" not in commands[Kind.READ].reason


def test_a_wish_to_cancel_is_no_storm_while_leshan_gives_no_answer(world: World) -> None:
    command = ask(device())
    world.begin("a")
    (sent,) = world.take()
    world.accept(sent)
    command_cancel(command_id=command.pk, by=None)
    world.tick()
    world.hand(sent, Answer.UNAVAILABLE, handing=False)
    for _ in range(5):
        world.tick()
    assert len(world.hands.cancelled) == 1
    world.dispatcher._flights[command.pk].rest_until = 0.0
    world.tick()
    assert len(world.hands.cancelled) == 2


@pytest.mark.parametrize(("kind", "expected"), [(Kind.READ, State.QUEUED), (Kind.EXECUTE, State.FAILED)])
def test_leshan_had_it_and_knows_it_no_more(world: World, kind: Kind, expected: str) -> None:
    command = ask(device(), kind)
    world.begin("a")
    (sent,) = world.take()
    world.accept(sent)
    world.hand(sent, Answer.NO_RECORD, handing=False)
    # it may have been done: handed over again, it would be done twice
    assert world.take() == []
    assert state(command) == expected


def test_what_leshan_keeps_no_longer_is_not_handed_over_again(world: World) -> None:
    now = datetime.now(UTC)
    command = ask(
        device(), Kind.EXECUTE, state=State.SENT, attempts=1, journal="j", sent_at=now - timedelta(days=7),
        expires_at=now + timedelta(days=1),
    )  # fmt: skip
    world.begin("a")
    (looked,) = world.hands.looked
    world.hand(looked, Answer.NO_RECORD, handing=False)
    assert world.take() == []
    assert state(command) == State.FAILED
    assert "unknown" in command.reason


def test_an_end_that_cannot_be_stored_with_its_values(world: World) -> None:
    command = ask(device())
    world.begin("a")
    (sent,) = world.take()
    record = {
        "requestId": sent.request_id, "state": "ended", "outcome": "answered",
        "response": {"success": True, "status": "CONTENT(205)"}, "duration": 12,
    }  # fmt: skip
    world.hand(sent, Answer.RECORD, record=record)
    world.hand(sent, Answer.RECORD, handing=False, record=record)
    assert len(world.records) == 2
    assert state(command) == State.SENT
    world.dispatcher._flights[command.pk].told = time.monotonic() - 60
    world.hand(sent, Answer.RECORD, handing=False, record=record)
    assert (state(command), command.duration_ms) == (State.SUCCEEDED, 12)


def test_an_observation_is_the_plans_again(world: World) -> None:
    devices = {name: device(name) for name in ("cancelled", "expired", "nothing", "answered")}
    commands = {name: ask(of, Kind.CANCEL_OBSERVE) for name, of in devices.items()}
    world.begin("nothing", "answered")
    for sent in world.take():
        if sent.pk == commands["nothing"].pk:
            world.hand(sent, Answer.NOTHING_TO_END)
        else:
            # the ingest says so itself
            world.end(sent)
    command_cancel(command_id=commands["cancelled"].pk, by=None)
    world.rescan()
    Command.objects.filter(pk=commands["expired"].pk).update(expires_at=datetime.now(UTC))
    world.dispatcher._expire_at = 0.0
    world.tick()
    assert sorted(world.unplanned) == ["cancelled", "expired", "nothing"]
    assert {state(command) for command in commands.values()} == {State.CANCELLED, State.EXPIRED, State.SUCCEEDED}


def test_claims_are_made_in_portions(world: World) -> None:
    for number in range(HANDING_OVER + 100):
        ask(device(f"d-{number:03}"))
    world.begin(*(f"d-{number:03}" for number in range(HANDING_OVER + 100)))
    first = world.take()
    assert len(first) == HANDING_OVER
    for sent in first[:31]:
        world.accept(sent)
    assert world.take() == []
    world.accept(first[31])
    assert len(world.take()) == 32


def test_pages_are_told_of_what_a_person_cancelled(world: World) -> None:
    of = device()
    command = ask(of)
    world.begin()
    Change.objects.all().delete()
    command_cancel(command_id=command.pk, by=None)
    world.rescan()
    assert list(Change.objects.values_list("device_id", "kind")) == [(of.pk, Change.Kind.COMMANDS)]


def package(of: Device, **fields: Any) -> Command:
    arguments = {"sha256": "ab" * 32, "size": 9, "seconds": 600}
    return ask(of, Kind.WRITE_PACKAGE, **({"path": "/5/0/0", "arguments": arguments} | fields))


def test_a_package_and_commands_do_not_wait_for_each_other(world: World) -> None:
    of = device()
    transfer, waiting = package(of), package(of)
    first, second = ask(of), ask(of)
    world.begin("a")
    assert sorted(command.pk for command in world.take()) == [transfer.pk, first.pk]
    world.accept(transfer)
    world.accept(first)
    world.end(first)
    assert world.take() == [second]
    world.end(second)
    # nothing ordinary is open: what is planned may go on in the middle of the transfer
    assert world.held == set()
    assert world.dispatcher.empty("a")
    assert state(waiting) == State.QUEUED
    world.end(transfer)
    assert world.take() == [waiting]


def test_a_package_holds_nothing_back(world: World) -> None:
    world.busy.add("a")
    transfer = package(device())
    world.begin("a")
    assert world.take() == [transfer]
    assert world.held == set()


def test_the_database_lets_one_package_and_one_command_be_in_flight(world: World) -> None:
    of = device()
    commands = [ask(of), ask(of), package(of), package(of)]
    for at in (0, 2):
        claimed = commands_claim(ids=[commands[at].pk], journal="j", at=datetime.now(UTC))
        assert claimed == [commands[at]]
    commands_claim(ids=[command.pk for command in commands], journal="j", at=datetime.now(UTC))
    assert [state(command) for command in commands] == ["sent", "queued", "sent", "queued"]


def test_a_package_in_flight_survives_a_restart(world: World) -> None:
    of = device()
    transfer = package(of)
    world.begin("a")
    world.accept(world.take()[0])
    world.restart()
    other = package(of)
    ordinary = ask(of)
    world.begin("a")
    assert world.hands.looked == [transfer]
    assert world.take() == [ordinary]
    world.hand(transfer, Answer.RECORD, handing=False, record={"state": "pending"})
    world.end(transfer)
    assert world.take() == [other]


@pytest.mark.parametrize(
    ("outcome", "expected"), [("timeout", "failed"), ("unknown", "failed"), ("cancelled", "cancelled")]
)
def test_a_transfer_is_not_begun_again(world: World, outcome: str, expected: str) -> None:
    transfer = package(device())
    world.begin("a")
    world.accept(world.take()[0])
    world.end(transfer, outcome)
    assert state(transfer) == expected
    assert transfer.reason


def test_a_package_that_leshan_does_not_have(world: World) -> None:
    of = device()
    refused, failed = package(of), package(of)
    world.begin("a")
    said = "there is no package abab: PUT /api/packages/abab first"
    world.hand(world.take()[0], Answer.NO_PACKAGE, error=said)
    assert state(refused) == State.FAILED
    assert (refused.status, refused.reason) == ("PACKAGE-MISSING", said)
    world.end(world.take()[0], "failed", error=said)
    assert state(failed) == State.FAILED
    assert failed.status == "PACKAGE-MISSING"


def test_a_transfer_is_asked_for_when_its_own_time_is_over(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    package(device())
    world.begin("a")
    world.accept(world.take()[0])
    for slack, looked in ((-500.0, 0), (-700.0, 1)):
        monkeypatch.setattr("backend.sync.dispatch.OVERDUE_SECONDS", slack)
        world.dispatcher._expire_at = 0.0
        world.tick()
        assert len(world.hands.looked) == looked


def test_whoever_waits_for_a_command_hears_of_its_end(world: World) -> None:
    touched: list[tuple[int, bool]] = []
    of = device()
    transfer, late = package(of), ask(of, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    world.dispatcher._touched = lambda device_id, untransferred: touched.append((device_id, untransferred))
    world.begin("a")
    assert touched == [(of.pk, False)]
    assert state(late) == State.EXPIRED
    world.accept(world.take()[0])
    world.end(transfer)
    assert touched == [(of.pk, False)] * 2
    package(of)
    world.tick()
    world.hand(world.take()[0], Answer.NO_PACKAGE, error="there is no package")
    assert touched[2:] == [(of.pk, True)]
