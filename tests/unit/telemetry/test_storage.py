from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.devices.models import Change, Device, Resource, Status
from backend.telemetry.models import Sample, Series
from backend.telemetry.services import series_ensure
from backend.telemetry.storage import (
    ResourceRow,
    SampleBuffer,
    changes_insert,
    contacts_update,
    resources_upsert,
    samples_insert,
)

pytestmark = [pytest.mark.django_db, pytest.mark.database]

AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def device() -> Device:
    return Device.objects.create(endpoint="a")


def buffer(*rows: tuple[int, int, float | None, str | None, int | None]) -> SampleBuffer:
    made = SampleBuffer()
    for row in rows:
        made.add(*row)
    return made


numbers = st.floats(allow_nan=False, allow_infinity=False).map(lambda value: value + 0.0)
texts = st.text(st.characters(blacklist_characters="\x00", blacklist_categories=["Cs"]), max_size=4)
values = st.tuples(numbers, st.none()) | st.tuples(st.none(), texts) | st.tuples(numbers, texts)
rows = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6), st.integers(0, 3)), max_size=40)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(rows, max_size=5), chosen=st.lists(values, min_size=4, max_size=4), delays=st.booleans())
def test_every_value_of_a_moment_is_stored_exactly_once(
    device: Device,
    batches: list[list[tuple[int, int, int]]],
    chosen: list[tuple[float | None, str | None]],
    delays: bool,
) -> None:
    """Against a dict that does the same."""
    with transaction.atomic():
        keys = [(device.pk, f"/{number}/0/0") for number in range(3)]
        ids = [series_ensure(keys=keys)[key] for key in keys]
        expected: dict[tuple[int, int], list[tuple[float | None, str | None]]] = defaultdict(list)
        for batch in batches:
            new = 0
            made = SampleBuffer()
            for series, time, value in batch:
                made.add(ids[series], time, *chosen[value], 5 if delays else None)
                if chosen[value] not in expected[ids[series], time]:
                    expected[ids[series], time].append(chosen[value])
                    new += 1
            assert samples_insert(made) == new
        stored: dict[tuple[int, int], list[tuple[float | None, str | None]]] = defaultdict(list)
        for row in Sample.objects.filter(series__in=ids).order_by("series", "time", "seq"):
            assert row.seq == len(stored[row.series_id, row.time])
            stored[row.series_id, row.time].append((row.number, row.text))
            assert row.delay == (5 if delays else None)
        # the order of unlike values of one moment is not promised
        assert {key: set(found) for key, found in expected.items() if found} == {
            key: set(found) for key, found in stored.items()
        }
        assert all(len(found) == len(set(found)) for found in stored.values())
        transaction.set_rollback(True)


def test_large_batches_and_their_remainders(device: Device) -> None:
    series = series_ensure(keys=[(device.pk, "/1/0/0")])[device.pk, "/1/0/0"]
    for count in (127, 128, 129, 1000, 5001):
        made = buffer(*((series, count * 10_000 + n, float(n), None, None if n % 3 else n) for n in range(count)))
        assert len(made) == count
        assert samples_insert(made) == count
        assert samples_insert(made) == 0
    assert Sample.objects.count() == 127 + 128 + 129 + 1000 + 5001
    assert samples_insert(SampleBuffer()) == 0


def test_on_sqlite_samples_have_no_rowid(device: Device) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("SQLite only")
    with connection.cursor() as cursor:
        cursor.execute("SELECT sql FROM sqlite_master WHERE name = 'telemetry_sample'")
        assert "WITHOUT ROWID" in cursor.fetchone()[0]


def test_series_are_made_once(device: Device) -> None:
    first = series_ensure(keys=[(device.pk, "/1/0/0"), (device.pk, "/1/0/1")])
    second = series_ensure(keys=[(device.pk, "/1/0/1"), (device.pk, "/1/0/2")])
    assert first.items() <= second.items()
    assert Series.objects.count() == 3


def resource(device: Device, value: str, *, time: int, received: int) -> ResourceRow:
    return (device.pk, "/3/0/9", 3, 0, 9, None, "INTEGER", value, float(value), time, received, time != received)


@pytest.mark.parametrize(
    ("time", "received", "wins"),
    [
        (10, 10, True),
        (9, 9, False),
        (11, 11, True),
        (9, 20, False),
        (10**9, 20, True),
        (10**9, 9, False),
        (10, 20, True),
    ],
)
def test_the_newer_value_wins(device: Device, time: int, received: int, wins: bool) -> None:
    resources_upsert([resource(device, "1", time=10, received=10)])
    resources_upsert([resource(device, "2", time=time, received=received)])
    assert Resource.objects.get().value == ("2" if wins else "1")
    resources_upsert([])


def test_contacts_keep_blocked_devices_blocked(device: Device) -> None:
    other = Device.objects.create(endpoint="b", status=Status.BLOCKED, status_since=AT)
    later = AT + timedelta(seconds=1, microseconds=7)
    contacts_update([(later, Status.ONLINE, later, device.pk), (later, Status.ONLINE, later, other.pk)])
    device.refresh_from_db()
    other.refresh_from_db()
    assert (device.status, device.status_since, device.last_contact) == (Status.ONLINE, later, later)
    assert (other.status, other.status_since, other.last_contact) == (Status.BLOCKED, AT, later)
    contacts_update([(None, Status.OFFLINE, None, device.pk)])
    device.refresh_from_db()
    assert (device.status, device.last_contact) == (Status.OFFLINE, None)


def test_changes_grow_in_order(device: Device) -> None:
    changes_insert([(device.pk, "values"), (None, "server")], at=AT)
    assert list(Change.objects.values_list("device_id", "kind", "at")) == [
        (device.pk, "values", AT),
        (None, "server", AT),
    ]
