"""What the API says for charts: shapes, gaps with their reasons, events, costs."""

import json
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from backend.commands.models import Command, State
from backend.devices.models import DeviceEvent, Registration, ServerInterval, StreamGap
from backend.lwm2m.times import datetime_of_us, us_of_datetime
from backend.telemetry.models import Series
from backend.telemetry.services import rollups_step
from backend.telemetry.storage import SampleBuffer, samples_insert
from tests.unit.api.builders import T0, device, leshan, series, specs, user

pytestmark = [pytest.mark.django_db, pytest.mark.database]

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
MS = T0 // 1000


@pytest.fixture
def api(client: Client) -> Client:
    client.force_login(user("viewer"))
    return client


def get(api: Client, path: str, *, expect: int = 200, **query: Any) -> Any:
    answer = api.get(f"/api/v1{path}", query_params=query)
    assert answer.status_code == expect, answer.content

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(answer.content, parse_constant=refuse)


def each(count: int, step: int, *, start: int = T0) -> list[tuple[int, float | None, str | None]]:
    return [(start + n * step, float(n % 10), None) for n in range(count)]


def store(of: Series, rows: list[tuple[int, float | None, str | None]]) -> None:
    """As `sync` does."""
    buffer = SampleBuffer()
    for time, number, text in rows:
        buffer.add(of.pk, time, number, text, None)
    samples_insert(buffer)


def one(api: Client, **query: Any) -> Any:
    (item,) = get(api, "/chart", **query)["items"]
    return item


def test_few_samples_come_as_they_are(api: Client) -> None:
    specs()
    of = series(device(registered=True))
    store(of, [*each(3, SECOND), (T0 + 500, None, "NaN"), (T0 + 2 * SECOND + 1, None, "-Infinity")])
    found = get(api, "/chart", of="dev-1/3303/0/5700", start=MS, end=MS + 60_000)
    assert (found["start"], found["end"], found["missing"]) == (MS, MS + 60_000, [])
    assert abs(found["now"] - timezone.now().timestamp() * 1000) < 60_000
    (item,) = found["items"]
    gaps = item.pop("gaps")
    assert item == {
        "series": {
            "id": of.pk,
            "device": "dev-1",
            "path": "/3303/0/5700",
            "object_name": "Temperature 1.1",
            "name": "Sensor Value",
            "unit": "",
            "first": "2026-11-22T17:00:00+00:00",
            "last": "2026-11-22T17:00:02.000001+00:00",
        },
        "level": "samples",
        "width": None,
        "points": [[MS, 0.0], [MS + 1000, 1.0], [MS + 2000, 2.0]],
        "other": [[MS + 0.5, "NaN"], [MS + 2000.001, "-Infinity"]],
        "others": 2,
        "stats": {"count": 3, "min": 0.0, "max": 2.0, "mean": 1.0, "first": 0.0, "last": 2.0},
    }
    assert all(gap["start"] >= MS for gap in gaps)


def test_levels_follow_the_range(api: Client) -> None:
    of = series(device())
    store(of, each(7200, SECOND))
    # one of the hours is summed up, the other is not
    assert len(rollups_step(now=T0 + HOUR + MINUTE, budget=5).done) == 1
    levels = {}
    for points in (2000, 500, 100, 2):
        item = one(api, series=of.pk, start=MS, end=MS + 7_200_000, points=points)
        levels[points] = (item["level"], item["width"])
        assert len(item["points"]) <= points
        assert sum(point[4] for point in item["points"]) == 7200
        assert item["stats"]["count"] == 7200
        assert item["points"][0][:2] == [MS, 0.0]
    assert levels == {
        2000: ("buckets", 5000),
        500: ("buckets", 15_000),
        100: ("minute", 120_000),
        2: ("hour", 3_600_000),
    }
    # finer data of a part of it
    assert one(api, series=of.pk, start=MS, end=MS + 60_000)["level"] == "samples"


def test_a_local_day_of_25_hours(api: Client) -> None:
    """When clocks go back, a day is longer: the range says so, buckets stay what they are in UTC."""
    zone = ZoneInfo("Europe/Vienna")
    start = datetime(2026, 10, 25, tzinfo=zone)
    end = datetime(2026, 10, 26, tzinfo=zone)
    begin, until = us_of_datetime(start), us_of_datetime(end)
    assert until - begin == 25 * HOUR
    of = series(device())
    store(of, each(27 * 60, MINUTE, start=begin - HOUR))
    item = one(api, series=of.pk, start=start.isoformat(), end=end.isoformat(), points=50)
    assert (item["level"], item["width"]) == ("minute", 1_800_000)
    assert len(item["points"]) == 50
    assert [point[4] for point in item["points"]] == [30] * 50
    assert [point[0] for point in item["points"]] == [begin // 1000 + n * 1_800_000 for n in range(50)]
    assert item["stats"]["count"] == 25 * 60
    hourly = one(api, series=of.pk, start=start.isoformat(), end=end.isoformat(), points=25)
    assert [point[4] for point in hourly["points"]] == [60] * 25


def test_several_series_in_the_order_of_the_question(api: Client) -> None:
    first, second = device("a"), device("b/1")
    one_, two = series(first), series(second, "/3/0/9")
    three = series(second, "/3/0/11/0")
    found = get(api, "/chart", series=[two.pk, two.pk], of=["b/1/3/0/11/0", "a/3303/0/5700", "a/3303/0/9"])
    assert [item["series"]["id"] for item in found["items"]] == [two.pk, three.pk, one_.pk]
    assert found["missing"] == ["a/3303/0/9"]
    assert all(item["points"] == [] and item["stats"] is None and item["gaps"] == [] for item in found["items"])


def test_any_endpoint(api: Client) -> None:
    for endpoint in ("plain", "a/b//c", "ends/", "urn:imei:1", "x/3303/0/5700", "ü %&?#+", "two\nlines"):
        of = series(device(endpoint))
        answer = api.get(f"/api/v1/chart?of={quote(f'{endpoint}/3303/0/5700', safe='')}")
        (item,) = json.loads(answer.content)["items"]
        assert item["series"]["id"] == of.pk


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 400),
        ({"of": "sim-1"}, 400),
        ({"of": "/3303/0/5700"}, 400),
        ({"of": "a/3303/0"}, 400),
        ({"of": "a/99999/0/1"}, 400),
        ({"series": "x"}, 422),
        ({"series": 99}, 404),
        ({"series": -1}, 404),
        ({"series": 2**70}, 404),
        ({"series": list(range(25))}, 400),
        ({"series": 1, "points": 1}, 422),
        ({"series": 1, "points": 2001}, 422),
        ({"series": 1, "point": 5}, 400),
        ({"series": 1, "start": "yesterday"}, 422),
        ({"of": "a/3303/0/5700", "start": 5, "end": 4}, 400),
    ],
)
def test_bad_questions(api: Client, query: dict[str, Any], status: int) -> None:
    found = get(api, "/chart", expect=status, **query)
    assert set(found) == {"detail"}
    assert "\n" not in found["detail"]


def test_ranges_that_are_odd(api: Client) -> None:
    of = series(device())
    store(of, [(-5, 1.0, None), (0, 2.0, None)])
    assert one(api, series=of.pk, start=MS, end=MS)["points"] == []
    assert one(api, series=of.pk, start=-9_007_199_254_740_991, end=9_007_199_254_740_991)["stats"]["count"] == 2
    assert one(api, series=of.pk, start="1969-12-31T23:59:00Z", end="1970-01-01")["points"] == [[-0.005, 1.0]]
    # nothing asked for: the last hour
    now = us_of_datetime(timezone.now())
    store(of, [(now - HOUR - MINUTE, 5.0, None), (now - MINUTE, 6.0, None)])
    assert [value for _, value in one(api, series=of.pk)["points"]] == [6.0]


def holes(api: Client, of: Series, **query: Any) -> list[tuple[int, int, str]]:
    return [
        ((gap["start"] - MS) // 1000, (gap["end"] - MS) // 1000, gap["reason"])
        for gap in one(api, series=of.pk, **query)["gaps"]
    ]


def test_gaps_have_reasons(api: Client) -> None:
    of = series(device("g", registered=True))
    server = leshan(sync_alive_at=timezone.now())
    parts = [(0, 600), (900, 1500), (1800, 2400), (2700, 3300), (3600, 4200)]
    for first, last in parts:
        store(of, each((last - first) // 10, 10 * SECOND, start=T0 + first * SECOND))
    # one value that did not come is no gap
    of.samples.filter(time=T0 + 300 * SECOND).delete()

    def at(second: int) -> datetime:
        return datetime_of_us(T0 + second * SECOND)

    ServerInterval.objects.create(
        server=server, state="down", started_at=at(595), ended_at=at(905), reason="sync was stopped"
    )
    StreamGap.objects.create(
        server=server,
        journal="a",
        first_sequence=1,
        last_sequence=9,
        reason="journal",
        since=at(1495),
        recorded_at=at(1799),
    )
    DeviceEvent.objects.create(device=of.device, kind="registered", at=at(-10))
    DeviceEvent.objects.create(device=of.device, kind="expired", at=at(2405))
    DeviceEvent.objects.create(device=of.device, kind="registered", at=at(2699))
    where = {"start": MS, "end": MS + 4_190_000}
    expected = [(590, 900, "server"), (1490, 1800, "lost"), (2390, 2700, "offline"), (3290, 3600, "silent")]
    assert holes(api, of, **where) == expected
    texts = [gap["text"] for gap in one(api, series=of.pk, **where)["gaps"]]
    assert texts[0] == "Our server was not listening: sync was stopped."
    assert texts[2] == "The device was not registered: its registration had expired."
    Registration.objects.update(queue_mode=True)
    assert holes(api, of, **where)[-1] == (3290, 3600, "asleep")
    # in buckets, too
    rough = holes(api, of, **where, points=120)
    assert [reason for _, _, reason in rough] == ["server", "lost", "offline", "asleep"]
    for (start, end, _), (first, last, _) in zip(rough, expected, strict=True):
        assert abs(start - first) <= 60
        assert abs(end - last) <= 60
    # and cut to what is asked for
    assert holes(api, of, start=MS + 700_000, end=MS + 800_000) == [(700, 800, "server")]


@pytest.mark.parametrize("later", [(100, 101), (100, 2401)], ids=["before the hole", "around its beginning"])
def test_a_loss_that_is_noted_after_the_next_registration_is_no_time_offline(
    api: Client, later: tuple[int, int]
) -> None:
    of = series(device("g", registered=True))
    for first, last in ((0, 2400), (2700, 3300)):
        store(of, each((last - first) // 10, 10 * SECOND, start=T0 + first * SECOND))

    def at(second: int) -> datetime:
        return datetime_of_us(T0 + second * SECOND)

    # learned in this order: a comparison misses the old registration, then the event of the new one is read
    DeviceEvent.objects.create(device=of.device, kind="registered", at=at(-10))
    DeviceEvent.objects.create(device=of.device, kind="vanished", at=at(later[1]))
    DeviceEvent.objects.create(device=of.device, kind="registered", at=at(later[0]))
    assert holes(api, of, start=MS, end=MS + 3_290_000) == [(2390, 2700, "silent")]


def test_the_time_since_the_last_value_is_a_gap_when_it_is_long(api: Client) -> None:
    of = series(device())
    now = us_of_datetime(timezone.now())
    store(of, each(60, MINUTE, start=now - 60 * MINUTE))
    assert one(api, series=of.pk)["gaps"] == []
    of.samples.filter(time__gt=now - 30 * MINUTE).delete()
    found = get(api, "/chart", series=of.pk, start=(now - HOUR) // 1000, end=(now + DAY) // 1000)
    ((gap,),) = [item["gaps"] for item in found["items"]]
    assert abs(gap["start"] - (now - 30 * MINUTE) // 1000) <= 60_000
    assert gap["end"] == found["now"]


def test_series_that_come_in_bursts_have_no_gaps(api: Client) -> None:
    of = series(device())
    for burst in range(40):
        store(of, each(4, SECOND, start=T0 + burst * 10 * MINUTE))
    assert one(api, series=of.pk, start=MS, end=(T0 + 390 * MINUTE) // 1000)["gaps"] == []
    assert one(api, series=of.pk, start=MS, end=(T0 + 390 * MINUTE) // 1000, points=100)["gaps"] == []


def test_what_is_no_number_is_counted_and_the_first_are_told(api: Client) -> None:
    of = series(device())
    store(of, each(3000, SECOND))
    store(of, [(T0 + n * SECOND, None, "NaN") for n in range(300)])
    for summed_up in (False, True):
        item = one(api, series=of.pk, start=MS, end=MS + 3_600_000, points=100)
        assert item["others"] == 300
        assert item["other"] == [[MS + n * 1000, "NaN"] for n in range(200)]
        assert item["stats"]["count"] == 3000
        if not summed_up:
            assert rollups_step(now=T0 + 2 * HOUR, budget=5).done == {(of.pk, T0 // HOUR)}


def test_events(api: Client) -> None:
    of = device("e")
    other = device("f")
    moment = datetime_of_us(T0)
    DeviceEvent.objects.create(device=of, kind="registered", at=moment, text="Registered from 192.0.2.1")
    DeviceEvent.objects.create(device=of, kind="clock_set", at=moment + timedelta(seconds=4), text="Clock set")
    DeviceEvent.objects.create(device=other, kind="registered", at=moment)
    DeviceEvent.objects.create(device=of, kind="expired", at=moment + timedelta(days=1))
    Command.objects.create(
        device=of,
        kind="read",
        path="/3/0/9",
        state=State.FAILED,
        reason="4.04",
        asked_at=moment,
        expires_at=moment,
        ended_at=moment + timedelta(seconds=2),
    )
    series(of)
    where = {"start": MS, "end": MS + 10_000}
    for query in ({"device": "e"}, {"of": "e/3303/0/5700"}, {"of": ["e/3303/0/5700", "e/3/0/9"], "device": "e"}):
        found = get(api, "/chart/events", **query, **where)
        assert [(line["at"], line["group"], line["kind"], line["text"]) for line in found] == [
            (MS, "registration", "registered", "Registered from 192.0.2.1"),
            (MS + 2000, "command", "failed", "Read /3/0/9: failed"),
            (MS + 4000, "clock", "clock_set", "Clock set"),
        ]
        assert all(line["device"] == "e" and line["href"].startswith("/devices/e/") for line in found)
    assert len(get(api, "/chart/events", device="e", limit=1, **where)) == 1
    get(api, "/chart/events", expect=404, device="nobody")
    get(api, "/chart/events", expect=400)


def test_storage(api: Client) -> None:
    small, large = series(device("small")), series(device("large"))
    for of, count in ((small, 10), (large, 700)):
        store(of, each(count, SECOND))
    rollups_step(now=T0 + 2 * HOUR, budget=5)
    cache.clear()
    found = get(api, "/storage")
    assert found["count"] == 2
    assert [(item["device"], item["samples"], item["rollups"]) for item in found["items"]] == [
        ("large", 700, 14),
        ("small", 10, 2),
    ]
    assert found["total"]["samples"] == 710
    assert found["database_bytes"] > 0
    of_one = get(api, "/storage", device="small", by="series", order="device")
    assert [(item["path"], item["series_id"]) for item in of_one["items"]] == [("/3303/0/5700", small.pk)]
    get(api, "/storage", expect=400, order="size")
    get(api, "/storage", expect=404, device="nobody")
    assert get(api, "/storage", page=2)["items"] == []
