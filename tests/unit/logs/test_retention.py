"""Old lines go, and those that take too much space; the figures stay right."""

import pytest

from backend.devices.models import Device, Profile
from backend.logs.models import Boot, Line, Loss, Usage
from backend.logs.services import retention, retention_step
from backend.logs.services.retention import DAY, MIB
from tests.unit.logs.rows import SECOND, T0, counted_right, losses, message, numbered, sequences, store

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def device(name: str = "a", **limits: int | None) -> Device:
    fields = {"logs_days": None, "logs_mib": None, "logs_per_minute": None, **limits}
    return Device.objects.create(endpoint=name, profile=Profile.objects.create(name=name, **fields))


def until_done(now: int) -> int:
    deleted = steps = 0
    while (step := retention_step(now=now, budget=0)).more:
        deleted += step.deleted
        steps += 1
        assert steps < 1000
    return deleted + step.deleted


def test_old_lines_go_in_small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "PORTION", 7)
    mine, other = device(logs_days=10), device("b")
    for one in (mine, other):
        store(one, numbered(0, 49, uptime=490), b"unread", received=T0 + 490_000)
        store(one, numbered(0, 39, boot=2), numbered(50, 59, boot=2), received=T0 + 5 * DAY)
    assert retention_step(now=T0 + 10 * DAY, budget=0).deleted == 0
    assert retention_step(now=T0 + 11 * DAY, budget=0).deleted == 7
    counted_right(mine)
    assert until_done(T0 + 11 * DAY) == 44
    assert sequences(mine) == []
    assert sequences(mine, boot=2) == [*range(40), *range(50, 60)]
    counted_right(mine)
    assert Usage.objects.get(device=mine).cut == 0
    assert losses(mine) == [(40, 49, "missing")]
    assert len(sequences(other)) == 50
    # with its last line the boot goes, and what was lost of it
    assert until_done(T0 + 16 * DAY) == 50
    assert not Boot.objects.filter(device=mine).exists()
    assert not Loss.objects.filter(device=mine).exists()
    counted_right(mine)
    counted_right(other)


def test_what_comes_late_is_not_old_when_it_comes() -> None:
    made = device(logs_days=10)
    # it counts its uptime in microseconds: its first hour looks like a month
    store(made, message(0, ["boot", "later"], uptime=3_600_000_000, step=1_800_000_000), received=T0)
    store(made, numbered(0, 9, boot=2), received=T0)
    assert until_done(T0 + DAY) == 0
    assert until_done(T0 + 11 * DAY) == 12
    counted_right(made)


def test_a_device_that_is_deleted_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    made = device(logs_days=10)
    store(made, numbered(0, 9))
    due = retention._due(T0 + 11 * DAY)
    Usage.objects.all().delete()
    monkeypatch.setattr(retention, "_due", lambda _: due)
    assert retention_step(now=T0 + 11 * DAY, budget=1).deleted == 0


def test_a_step_looks_through_a_few_devices_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "SWEEP", 2)
    monkeypatch.setattr(retention, "LOSSES", 1)
    devices = [device(f"d{n}", logs_days=10) for n in range(5)]
    for made in devices:
        for first in (1, 3, 5):
            store(made, numbered(first, first))
    after, left = 0, []
    for _ in range(4):
        after = retention_step(now=T0, budget=1, after=after).after
        left.append(sorted(len(losses(made)) for made in devices))
    assert left == [[1, 1, 3, 3, 3], [1, 1, 1, 1, 3], [1] * 5, [1] * 5]
    assert after == devices[1].pk, "from the beginning again"
    for made in devices:
        Line.objects.filter(device=made).delete()
    Loss.objects.all().delete()
    for _ in range(3):
        after = retention_step(now=T0 + 11 * DAY, budget=1, after=after).after
    assert not Boot.objects.exists()


def test_devices_without_a_profile_have_the_default_one() -> None:
    made = Device.objects.create(endpoint="a")
    Profile.objects.filter(is_default=True).update(logs_days=1)
    store(made, numbered(0, 9))
    assert until_done(T0 + 2 * DAY) == 10


def test_lines_that_take_too_much_space_go_oldest_first() -> None:
    made = device(logs_mib=1)
    text = "x" * 1024
    for start in range(0, 1100, 100):
        store(made, message(start, [text] * 100), received=T0 + start * 10_000)
    until_done(T0 + DAY)
    usage = Usage.objects.get(device=made)
    assert usage.bytes <= MIB
    assert (usage.lines, usage.cut) == (1024, 76)
    assert losses(made) == [(0, 75, "space")]
    counted_right(made)
    store(made, message(1100, [text] * 100), received=T0 + 11 * SECOND)
    until_done(T0 + DAY)
    assert losses(made) == [(0, 175, "space")]
    assert Usage.objects.get(device=made).cut == 176
    # what went for its space does not come back when it is sent again
    assert store(made, message(0, [text] * 100), received=T0 + 12 * SECOND).lines == 0
    assert losses(made) == [(0, 175, "space")]
    counted_right(made)


def test_space_of_several_boots_and_of_unread_lines() -> None:
    made = device(logs_mib=0)
    store(made, numbered(0, 4), numbered(10, 14), numbered(0, 4, boot=2), b"unread")
    until_done(T0)
    assert not Line.objects.exists()
    assert sorted(losses(made)) == sorted([(0, 4, "space"), (5, 9, "missing"), (10, 14, "space"), (0, 4, "space")])
    assert Usage.objects.get(device=made).cut == 16
    counted_right(made)


def test_the_number_of_losses_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "LOSSES", 5)
    monkeypatch.setattr(retention, "PORTION", 4)
    made = device()
    store(made, *(numbered(number, number) for number in range(0, 40, 2)))
    until_done(T0)
    assert [first for first, _, _ in losses(made)] == [29, 31, 33, 35, 37]
    assert len(sequences(made)) == 20


def test_nothing_to_do() -> None:
    step = retention_step(now=T0, budget=1)
    assert (step.deleted, step.more) == (0, False)
