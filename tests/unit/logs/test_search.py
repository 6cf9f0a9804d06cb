"""What is found equals what a look at every line would find, on both databases."""

import random
from collections.abc import Iterator

import pytest
from django.db import transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from backend.devices.models import Device
from backend.logs import search
from backend.logs.filters import Cursor, LineFilter
from backend.logs.models import Line
from backend.logs.search import keys_newer, keys_older
from backend.logs.selectors import lines_iter
from backend.logs.storage import lines_insert
from tests.unit.logs.rows import T0

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every way to search is taken with few lines."""
    for name, size in {"WINDOW": 3, "MOST_WINDOW": 4, "WALK": 8, "FEW": 5, "NAMED": 2, "SCANNED": 3}.items():
        monkeypatch.setattr(search, name, size)
    monkeypatch.setattr(search, "_GROWTH", 2)


def folded(text: str) -> str:
    """ASCII letters in lower case, and nothing else changed."""
    return "".join(character.lower() if character.isascii() else character for character in text)


def naive(filter: LineFilter) -> list[Cursor]:
    """Newest first."""
    found = [
        Cursor(line.time, line.pk)
        for line in Line.objects.all()
        if (filter.devices is None or line.device_id in filter.devices)
        and (filter.severity is None or line.severity <= filter.severity)
        and (not filter.modules or line.module in filter.modules)
        and (filter.start is None or line.time >= filter.start)
        and (filter.end is None or line.time < filter.end)
        and folded(filter.search) in folded(line.text)
    ]
    return sorted(found, reverse=True)


# dotless i, long s and the Kelvin sign are letters of ASCII to some, and must not be here
alphabet = "abABkKiIsS%_\\'\"*.- 0x\u00e4\u00c4\u00df\u0301\u20ac\U0001f600\u0130\u0131\u212a\u017f"
words = st.text(st.sampled_from(alphabet), max_size=7)
lines = st.tuples(st.integers(0, 2), st.integers(0, 12), st.integers(0, 4), st.sampled_from(["", "m", "n"]), words)
picks = st.none() | st.lists(st.integers(0, 2), unique=True)
Plan = list[tuple[int, int, int, str, str]]


@pytest.fixture
def devices() -> list[int]:
    return [Device.objects.create(endpoint=name).pk for name in "abc"]


def stored(devices: list[int], plan: Plan) -> None:
    """Lines whose ids are in no order of time."""
    from backend.logs.models import Boot, Usage
    from tests.unit.logs.rows import AT

    boots = {
        one: Boot.objects.create(
            device_id=one, boot_id=1, started=0, stretch_started=0, stretch_uptime=0, first_received_at=AT
        ).pk
        for one in devices
    }
    rows = []
    for number, (device, time, severity, module, text) in enumerate(plan):
        known = (boots[devices[device]], number, number) if severity else (None, None, None)
        rows.append((devices[device], *known[:2], T0 + time, T0, known[2], severity, module, text, ""))
    assert lines_insert(rows) == len(rows)
    for one in devices:
        Usage.objects.create(device_id=one, lines=sum(row[0] == one for row in rows), counted_at=AT)


@settings(deadline=None, max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    plan=st.lists(lines, max_size=40),
    text=words,
    from_line=st.booleans(),
    picked=picks,
    severity=st.none() | st.integers(1, 4),
    modules=st.lists(st.sampled_from(["m", "n", "o"]), max_size=2),
    start=st.none() | st.integers(0, 12),
    end=st.none() | st.integers(0, 12),
    limit=st.integers(1, 6),
)
@example([(0, 1, 1, "m", "Ä%_x")], "ä%_", False, None, None, [], None, None, 2)
@example([(0, 12 - n, 1, "", "abc") for n in range(12)], "abc", False, None, None, [], None, None, 2)
def test_equals_a_look_at_every_line(
    devices: list[int],
    plan: Plan,
    text: str,
    from_line: bool,
    picked: list[int] | None,
    severity: int | None,
    modules: list[str],
    start: int | None,
    end: int | None,
    limit: int,
) -> None:
    with transaction.atomic():
        stored(devices, plan)
        if from_line and plan:
            # a piece of a line that is there
            whole = plan[len(plan) // 2][4]
            text = whole[len(whole) // 4 :].swapcase() if whole.isascii() else whole[len(whole) // 4 :]
        filter = LineFilter(
            devices=None if picked is None else [devices[one] for one in picked],
            severity=severity,
            modules=modules,
            search=text,
            start=None if start is None else T0 + start,
            end=None if end is None else T0 + end,
        )
        expected = naive(filter)
        assert list(_down(filter, limit)) == expected
        assert list(_up(filter, limit)) == expected[::-1]
        assert [line.cursor for line in lines_iter(filter=filter, portion=4)] == expected[::-1]
        for middle in (Cursor(T0 + 6, 0), Cursor(T0 + 5, 2**62)):
            assert (
                keys_older(filter=filter, before=middle, limit=limit)
                == [key for key in expected if key < middle][:limit]
            )
            assert (
                keys_newer(filter=filter, after=middle, limit=limit, inclusive=True)
                == [key for key in expected[::-1] if key >= middle][:limit]
            )
        transaction.set_rollback(True)


def _down(filter: LineFilter, limit: int) -> Iterator[Cursor]:
    before = None
    while keys := keys_older(filter=filter, before=before, limit=limit):
        yield from keys
        before = keys[-1]


def _up(filter: LineFilter, limit: int) -> Iterator[Cursor]:
    after = None
    while keys := keys_newer(filter=filter, after=after, limit=limit):
        yield from keys
        after = keys[-1]


def test_many_lines_that_came_late(devices: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    random_ = random.Random(5)
    plan = []
    for number in range(2000):
        late = random_.choice([0, 0, 0, random_.randint(0, 900)])
        old = number < 600
        text = f"fault {number}" if old and random_.random() < 0.8 else f"0x{number:08X} ok"
        plan.append((number % 3, number - late, 1 + number % 4, "m", text))
    stored(devices, plan)
    monkeypatch.setattr(search, "WINDOW", 50)
    monkeypatch.setattr(search, "NAMED", 40)
    monkeypatch.setattr(search, "SCANNED", 100)
    for text in ("fault", "FAULT 1", "0x0000", "lt", "7", " ", "nowhere", "no"):
        for more in ({}, {"devices": devices[:1]}, {"severity": 1}, {"start": T0 + 100, "end": T0 + 900}):
            filter = LineFilter(search=text, **more)
            expected = naive(filter)
            assert keys_older(filter=filter, before=None, limit=20) == expected[:20]
            assert keys_newer(filter=filter, after=None, limit=20) == expected[::-1][:20]
            middle = Cursor(T0 + 300, 0)
            assert keys_older(filter=filter, before=middle, limit=20) == [key for key in expected if key < middle][:20]


@pytest.mark.parametrize(
    "filter",
    [
        LineFilter(devices=[]),
        LineFilter(search="a\0b"),
        LineFilter(modules=["\0"]),
        LineFilter(start=5, end=5),
    ],
)
def test_what_can_have_nothing(devices: list[int], filter: LineFilter) -> None:
    stored(devices, [(0, 1, 1, "m", "ab")])
    assert keys_older(filter=filter, before=None, limit=5) == []
    assert keys_newer(filter=filter, after=None, limit=5) == []
    assert list(lines_iter(filter=filter)) == []


def test_deleted_and_changed_lines_are_not_found(devices: list[int]) -> None:
    stored(devices, [(0, number, 1, "m", f"word {number}") for number in range(20)])
    Line.objects.filter(text="word 3").delete()
    Line.objects.filter(text="word 4").update(text="other 4")
    assert len(keys_older(filter=LineFilter(search="word"), before=None, limit=50)) == 18
    assert len(keys_older(filter=LineFilter(search="other"), before=None, limit=50)) == 1
    Device.objects.all().delete()
    assert keys_older(filter=LineFilter(search="word"), before=None, limit=50) == []


@pytest.mark.parametrize("text", ["", "1", "1.2.3", "a.b", "1.-2", "01.2", " 1.2", f"{2**63}.1", f"1.{2**63}"])
def test_what_is_no_cursor(text: str) -> None:
    with pytest.raises(ValueError, match="no cursor"):
        Cursor.parse(text)


def test_a_cursor_as_text() -> None:
    assert Cursor.parse(str(Cursor(-5, 7))) == Cursor(-5, 7)
