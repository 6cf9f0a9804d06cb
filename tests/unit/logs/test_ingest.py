"""Log messages as they come: doubled, in the wrong order, packed anew, too many."""

from datetime import timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from backend.devices.models import Device, Profile
from backend.logs.format import LogEntry, LogMessage, pack
from backend.logs.models import Boot, Line, Loss, Severity, Usage
from backend.logs.services import Incoming, messages_store
from backend.logs.services.ingest import OVERDRAFT
from backend.lwm2m.times import datetime_of_us
from tests.unit.logs.rows import AT, SECOND, T0, counted_right, losses, message, numbered, sequences, store

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture
def device() -> Device:
    return Device.objects.create(endpoint="a")


def limited(per_minute: int | None = 60, **fields: int | None) -> Profile:
    return Profile.objects.create(name="limited", logs_per_minute=per_minute, **fields)


# -- numbers


def test_a_message_is_stored_once(device: Device) -> None:
    kept = store(device, numbered(0, 9))
    assert (kept.lines, kept.cut, kept.devices) == (10, 0, {device.pk})
    kept = store(device, numbered(0, 9), numbered(0, 9))
    assert (kept.lines, kept.cut, kept.devices) == (0, 0, set())
    line = Line.objects.order_by("sequence")[3]
    assert (line.text, line.module, line.severity, line.sequence, line.uptime) == ("line 3", "main", 3, 3, 30)
    assert (line.boot and line.boot.boot_id, line.problem, line.received) == (1, "", T0)
    assert losses(device) == []
    counted_right(device)


def test_packed_anew_only_what_is_new_is_stored(device: Device) -> None:
    store(device, numbered(0, 9))
    assert store(device, numbered(5, 14)).lines == 5
    assert store(device, numbered(3, 14)).lines == 0
    assert sequences(device) == list(range(15))
    assert losses(device) == []


def test_lines_that_never_arrived_and_then_do(device: Device) -> None:
    store(device, numbered(0, 9))
    store(device, numbered(20, 29), received=T0 + SECOND)
    assert losses(device) == [(10, 19, "missing")]
    assert store(device, numbered(13, 14)).lines == 2
    assert losses(device) == [(10, 12, "missing"), (15, 19, "missing")]
    assert store(device, numbered(8, 17)).lines == 6
    assert losses(device) == [(18, 19, "missing")]
    assert store(device, numbered(0, 29)).lines == 2
    assert losses(device) == []
    assert sequences(device) == list(range(30))
    counted_right(device)


def test_lines_that_the_device_gave_up(device: Device) -> None:
    store(device, numbered(0, 9), numbered(20, 29, lost=10))
    assert losses(device) == [(10, 19, "device")]
    # six never arrived, four were given up; then it shows which
    store(device, numbered(40, 49, lost=14))
    assert losses(device)[1:] == [(30, 39, "missing")]
    loss = Loss.objects.get(first=30)
    assert (loss.lost_before, loss.lost_after) == (10, 14)
    store(device, numbered(34, 39, lost=14))
    assert losses(device)[1:] == [(30, 33, "device")]


def test_a_message_without_lines_tells_of_lost_ones(device: Device) -> None:
    store(device, numbered(0, 9), numbered(20, 19, lost=10))
    assert losses(device) == [(10, 19, "device")]
    store(device, numbered(30, 39, lost=10))
    assert losses(device) == [(10, 19, "device"), (20, 29, "missing")]
    assert store(device, numbered(30, 29, lost=10)).devices == set()


def test_another_boot_is_another_count(device: Device) -> None:
    store(device, numbered(0, 4), numbered(0, 4, boot=2), numbered(5, 6, boot=1))
    assert (sequences(device), sequences(device, boot=2)) == ([*range(7)], [*range(5)])
    assert losses(device) == []


class Sender:
    """A device that keeps to the document: it gives up old lines, repeats what was not answered, and packs anew."""

    def __init__(self, boot: int) -> None:
        self.boot = boot
        self.next = 0
        self.waiting: list[int] = []
        self.lost = 0
        self.messages: list[bytes] = []
        self.given_up: set[int] = set()

    def log(self, count: int) -> None:
        self.waiting += range(self.next, self.next + count)
        self.next += count

    def give_up(self, count: int) -> None:
        gone, self.waiting = self.waiting[:count], self.waiting[count:]
        self.lost += len(gone)
        self.given_up |= set(gone)

    def send(self, count: int, *, answered: bool) -> None:
        first = self.waiting[0] if self.waiting else self.next
        count = min(count, len(self.waiting))
        self.messages.append(numbered(first, first + count - 1, boot=self.boot, lost=self.lost))
        if answered:
            del self.waiting[:count]


steps = st.lists(
    st.tuples(st.sampled_from(["log", "log", "give_up", "answered", "answered", "repeat"]), st.integers(0, 6)),
    max_size=25,
)


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(runs=st.lists(steps, min_size=1, max_size=3), data=st.data())
def test_any_order_and_any_doubles_end_in_the_same_lines_and_losses(
    device: Device, runs: list[list[tuple[str, int]]], data: st.DataObject
) -> None:
    with transaction.atomic():
        senders = [Sender(boot) for boot in range(1, len(runs) + 1)]
        for sender, run in zip(senders, runs, strict=True):
            for step, count in run:
                if step in {"answered", "repeat"}:
                    sender.send(count, answered=step == "answered")
                else:
                    getattr(sender, step)(count)
            sender.send(0, answered=False)
        sent = [one for sender in senders for one in sender.messages]
        order = data.draw(st.permutations(sent))
        order += data.draw(st.lists(st.sampled_from(sent), max_size=5))
        dropped = data.draw(st.sets(st.integers(0, len(order)), max_size=2))
        order = [one for index, one in enumerate(order) if index not in dropped]
        size = data.draw(st.integers(1, 4))
        for start in range(0, len(order), size):
            store(device, *order[start : start + size], received=T0 + start)
        for sender in senders:
            here = [one for one in order if one[2:6] == sender.boot.to_bytes(4, "big")]
            arrived = {
                number
                for one in here
                for number in range(int.from_bytes(one[6:10], "big"), int.from_bytes(one[6:10], "big") + _count(one))
            }
            known = max([int.from_bytes(one[6:10], "big") + _count(one) for one in here], default=0)
            assert sequences(device, sender.boot) == sorted(arrived)
            holes: set[int] = set()
            for loss in Loss.objects.filter(device=device, boot__boot_id=sender.boot):
                numbers = set(range(loss.first, loss.last + 1))
                assert not numbers & holes
                holes |= numbers
                assert loss.reason in {"device", "missing"}
                if not dropped and loss.reason == "device":
                    assert numbers <= sender.given_up
            assert holes == set(range(known)) - arrived
            if not dropped:
                # with everything arrived, nothing else is missing than what the device gave up
                assert holes <= sender.given_up
                assert (
                    not Loss.objects.filter(device=device, boot__boot_id=sender.boot, reason="missing").exists()
                    or sender.given_up & arrived
                )
        if any(Usage.objects.filter(device=device)):
            counted_right(device)
        transaction.set_rollback(True)


def _count(packed: bytes) -> int:
    from backend.logs.format import parse

    return len(parse(packed).lines)


def test_a_constant_number_of_statements(device: Device, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    other = Device.objects.create(endpoint="b")
    items = [
        Incoming(one.pk, numbered(start, start + 4, boot=boot), T0)
        for one in (device, other)
        for boot in range(20)
        for start in (20, 0, 40, 10)
    ]
    with django_assert_max_num_queries(18):
        assert messages_store(items, at=AT).lines == 800
    with django_assert_max_num_queries(18):
        messages_store([Incoming(device.pk, numbered(30, 34, boot=boot), T0) for boot in range(20)], at=AT)


def test_a_device_that_was_deleted_meanwhile(device: Device) -> None:
    pk = device.pk
    device.delete()
    assert messages_store([Incoming(pk, numbered(0, 3), T0)], at=AT).lines == 0
    assert messages_store([], at=AT).lines == 0


# -- what does not parse


@pytest.mark.parametrize(
    ("data", "text", "problem"),
    [
        (b"boot ok \xff\r\n", "boot ok \\xff\r\n", "No log message: its version is 98, and only 1 is known."),
        (b"\x02\xff\xfe\x80", "02fffe80", "No log message: its version is 2, and only 1 is known."),
        (b"", "", "No log message: it is empty."),
        ("Zähler läuft".encode(), "Zähler läuft", "No log message: its version is 90, and only 1 is known."),
    ],
)
def test_what_is_no_log_message_is_kept_as_it_came(device: Device, data: bytes, text: str, problem: str) -> None:
    kept = messages_store([Incoming(device.pk, data, T0, T0 - 5)], at=AT)
    assert kept.lines == 1
    line = Line.objects.get()
    assert (line.severity, line.text, line.problem, line.boot, line.sequence) == (
        Severity.UNREAD,
        text,
        problem,
        None,
        None,
    )
    assert (line.time, line.received, line.uptime) == (T0 - 5, T0, None)
    counted_right(device)


@pytest.mark.parametrize("sent", [T0 + 1, T0 - 8 * 86_400 * SECOND, 0, None])
def test_a_time_that_cannot_be_is_not_taken(device: Device, sent: int | None) -> None:
    messages_store([Incoming(device.pk, b"x", T0, sent)], at=AT)
    assert Line.objects.get().time == T0


def test_the_rest_of_a_message_is_kept_once(device: Device) -> None:
    whole = numbered(0, 2)
    store(device, whole[:-3], whole[:-3])
    assert sequences(device) == [0, 1]
    line = Line.objects.get(severity=Severity.UNREAD)
    assert line.problem == "The rest of a log message: it is cut short in line 3."
    assert "lin" in line.text
    store(device, whole)
    assert sequences(device) == [0, 1, 2]


# -- times


def times(device: Device) -> list[int]:
    return list(Line.objects.filter(device=device).order_by("boot", "sequence").values_list("time", flat=True))


def test_the_fastest_message_is_the_clock(device: Device) -> None:
    store(device, numbered(0, 1, uptime=10), received=T0 + 10_000)
    # under way for three seconds
    store(device, numbered(100, 101, uptime=1010), received=T0 + 4_010_000)
    assert times(device) == [T0, T0 + 10_000, T0 + 1_000_000, T0 + 1_010_000]


def test_times_never_go_back_within_a_boot(device: Device) -> None:
    # the first message was slow
    store(device, numbered(0, 1, uptime=10), received=T0 + 5_010_000)
    store(device, numbered(2, 3, uptime=30), received=T0 + 5_020_000)
    store(device, numbered(600, 601, uptime=6010), received=T0 + 6_010_000)
    assert times(device) == [
        T0 + 5_000_000,
        T0 + 5_010_000,
        T0 + 5_010_000,
        T0 + 5_020_000,
        T0 + 6_000_000,
        T0 + 6_010_000,
    ]


def test_a_late_message_lies_between_its_neighbours(device: Device) -> None:
    store(device, numbered(0, 9, uptime=90), received=T0 + 90_000)
    store(device, numbered(20, 29, uptime=290), received=T0 + 290_000)
    store(device, numbered(10, 19, uptime=190), received=T0 + 60 * SECOND)
    found = times(device)
    assert found == [T0 + number * 10_000 for number in range(30)]


def test_49_days_of_uptime(device: Device) -> None:
    day = 86_400_000
    for days in range(0, 60, 7):
        uptime = days * day
        first = days * 10
        lines = [LogEntry(uptime + index, 3, "m", f"{first + index}") for index in range(10)]
        # a clock that is slow by 50 ppm
        real = T0 + int(uptime * 1000 * 1.00005)
        store(device, pack(LogMessage(1, first, 0, uptime + 10, lines)), received=real + 10_000)
    found = Line.objects.order_by("sequence")
    assert [line.time for line in found] == sorted(line.time for line in found)
    for line in found:
        assert line.received - line.time >= 0
    # a message a week: the stretch is eight messages long
    assert max(line.received - line.time for line in found) < 60 * 60 * SECOND


def test_a_clock_that_drifts_is_followed(device: Device) -> None:
    for minute in range(0, 60 * 24 * 3, 10):
        uptime = minute * 60_000
        real = T0 + int(uptime * 1000 * 1.0001)
        store(
            device,
            pack(LogMessage(1, minute // 10, 0, uptime, [LogEntry(uptime, 3, "m", "x")])),
            received=real + 50_000,
        )
    last = Line.objects.order_by("-sequence")[0]
    assert 0 <= last.received - last.time < 2 * SECOND


def test_our_clock_is_set_forward(device: Device) -> None:
    hour = 3600 * SECOND
    for minute in range(0, 400, 5):
        uptime = minute * 60_000
        received = T0 + uptime * 1000 + (hour if minute >= 100 else 0)
        store(device, pack(LogMessage(1, minute // 5, 0, uptime, [LogEntry(uptime, 3, "m", "x")])), received=received)
    found = times(device)
    assert found == sorted(found)
    last = Line.objects.order_by("-sequence")[0]
    assert last.received == last.time


def test_our_clock_is_set_back(device: Device) -> None:
    hour = 3600 * SECOND
    for second in range(20):
        uptime = second * 1000
        received = T0 + uptime * 1000 - (hour if second >= 10 else 0)
        store(device, pack(LogMessage(1, second, 0, uptime, [LogEntry(uptime, 3, "m", "x")])), received=received)
    assert times(device) == [T0 + second * SECOND - (hour if second >= 10 else 0) for second in range(20)]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 3), st.integers(0, 4 * 10**9), st.booleans()), max_size=15)
)
def test_times_are_monotone_and_never_after_receipt(device: Device, plan: list[tuple[int, int, int, bool]]) -> None:
    """Messages of any delay, some of them late, from a device whose clock is right."""
    with transaction.atomic():
        uptime = first = 0
        late: list[bytes] = []
        received = T0
        for pause, count, delay, kept_back in plan:
            uptime += pause
            lines = [LogEntry(uptime + index, 3, "m", f"{first + index}") for index in range(count)]
            packed = pack(LogMessage(1, first, 0, uptime + count, lines))
            received = max(received, T0 + (uptime + count) * 1000 + delay)
            first += count
            uptime += count
            if kept_back:
                late.append(packed)
            else:
                store(device, packed, received=received)
        for one in late:
            store(device, one, received=received)
        found = list(Line.objects.filter(device=device).order_by("sequence"))
        assert [line.sequence for line in found] == list(range(first))
        assert [line.time for line in found] == sorted(line.time for line in found)
        assert all(line.time <= line.received for line in found)
        transaction.set_rollback(True)


def test_losses_stand_where_the_lines_would(device: Device) -> None:
    store(device, numbered(0, 9, uptime=90), received=T0 + 90_000)
    store(device, numbered(20, 29, uptime=290), received=T0 + 290_000)
    loss = Loss.objects.get()
    assert (loss.since, loss.time) == (T0 + 90_000, T0 + 200_000)
    store(device, numbered(13, 14, uptime=290), received=T0 + 290_000)
    assert list(Loss.objects.order_by("first").values_list("since", "time")) == [
        (T0 + 90_000, T0 + 130_000),
        (T0 + 140_000, T0 + 200_000),
    ]


# -- limits


def test_a_storm_is_cut_exactly(device: Device) -> None:
    Device.objects.filter(pk=device.pk).update(profile=limited())
    other = Device.objects.create(endpoint="b")
    kept = store(device, *(numbered(start, start + 99) for start in range(0, 5000, 100)))
    assert (kept.lines, kept.cut) == (1999, 3001)
    assert losses(device) == [(1999, 4999, "rate")]
    assert store(other, numbered(0, 99)).lines == 100
    usage = Usage.objects.get(device=device)
    assert (usage.lines, usage.cut) == (1999, 3001)
    # a minute later: 60 lines more
    minute = AT + timedelta(minutes=1)
    kept = messages_store([Incoming(device.pk, numbered(5000, 5099), T0 + 60 * SECOND)], at=minute)
    assert (kept.lines, kept.cut) == (60, 40)
    assert losses(device) == [(1999, 4999, "rate"), (5060, 5099, "rate")]
    counted_right(device)
    # sent again they are cut again, and not counted twice
    kept = messages_store([Incoming(device.pk, numbered(5000, 5099), T0 + 60 * SECOND)], at=minute)
    assert (kept.lines, kept.cut) == (0, 0)
    assert Usage.objects.get(device=device).cut == 3041
    # and later they are kept after all
    later = AT + timedelta(minutes=2)
    assert messages_store([Incoming(device.pk, numbered(5000, 5099), T0 + 120 * SECOND)], at=later).lines == 40
    assert losses(device) == [(1999, 4999, "rate")]
    assert Usage.objects.get(device=device).cut == 3001
    counted_right(device)


def test_a_storm_that_goes_on_is_one_loss_a_minute(device: Device) -> None:
    Device.objects.filter(pk=device.pk).update(profile=limited(600))
    for start in range(0, 30_000, 100):
        # 100 lines a second, for five minutes
        received = T0 + start * 10_000
        messages_store([Incoming(device.pk, numbered(start, start + 99), received)], at=datetime_of_us(received))
    usage = Usage.objects.get(device=device)
    assert 6000 + 5 * 600 - 700 <= usage.lines <= 6000 + 5 * 600
    assert Loss.objects.count() <= 6
    assert usage.lines + usage.cut == 30_000
    counted_right(device)


def test_late_lines_may_be_cut_too(device: Device) -> None:
    Device.objects.filter(pk=device.pk).update(profile=limited(0))
    store(device, numbered(0, 999), numbered(2000, 2899))
    kept = store(device, numbered(1500, 1999), numbered(1000, 1999))
    assert (kept.lines, kept.cut) == (99, 901)
    assert losses(device) == [(1000, 1499, "rate"), (1599, 1999, "rate")]
    counted_right(device)


def test_long_lines_cost_more(device: Device) -> None:
    Device.objects.filter(pk=device.pk).update(profile=limited(0))
    long = "x" * 10 * 1024
    kept = store(device, *(message(number, [long]) for number in range(400)))
    assert kept.lines == 1999 // 11
    assert Usage.objects.get(device=device).bytes == kept.lines * len(long)


def test_without_a_limit(device: Device) -> None:
    Device.objects.filter(pk=device.pk).update(profile=limited(None))
    assert store(device, *(numbered(start, start + 99) for start in range(0, 5000, 100))).lines == 5000


def test_a_device_that_starts_all_the_time_leaves_no_mountain_of_boots(device: Device) -> None:
    Device.objects.filter(pk=device.pk).update(profile=limited(0))
    for start in range(0, 5000, 500):
        store(device, *(numbered(0, 1, boot=boot) for boot in range(start, start + 500)))
    assert Boot.objects.count() < 2000 - OVERDRAFT + 500
    assert Usage.objects.get(device=device).cut > 5000
    counted_right(device)


def test_a_device_without_a_profile_has_the_default_one(device: Device) -> None:
    Profile.objects.filter(is_default=True).update(logs_per_minute=0)
    assert store(device, *(numbered(start, start + 99) for start in range(0, 3000, 100))).lines == 1999


def test_lines_that_are_there_although_nothing_says_so(device: Device) -> None:
    store(device, numbered(0, 9))
    Boot.objects.update(last_sequence=4)
    store(device, numbered(5, 12))
    assert sequences(device) == list(range(13))
    counted_right(device)
