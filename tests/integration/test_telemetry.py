"""Values over the real way that are late, unknown at first, or of a device whose clock is wrong."""

import io
import time
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.integration.conftest import NewStack
from tests.support.coap import SENML_JSON, ScriptedDevice
from tests.support.control import Control
from tests.support.stack import ROOT, Stack
from tests.support.waiting import wait_for

TEMPERATURE = "/3303/0/5700"
DEFINITION = ROOT / "leshan" / "fleet" / "src" / "main" / "resources" / "objects" / "33000.xml"
COUNTED = "/33000/0/32"
RAW = "SELECT count(*) FROM devices_rawevent WHERE name = 'UNDECODED' AND decoded_at IS NULL"


@pytest.fixture(scope="module")
def product(new_stack: NewStack) -> Stack:
    """All but devices."""
    stack = new_stack(coap=True)
    stack.start_leshan()
    stack.start_sync()
    stack.start_web()
    for endpoint in ("late-1", "far-1"):
        credential = {"endpoint": endpoint, "tls": {"mode": "nosec"}}
        assert stack.leshan("PUT", "/api/security/clients", json=credential).status_code in {200, 204}
    return stack


@pytest.fixture(scope="module")
def control(product: Stack) -> Control:
    """The administrator."""
    return Control(product)


def chart(control: Control, series: str, start: float, end: float, points: int = 1000) -> dict[str, Any]:
    """One series as a chart gets it; seconds since 1970."""
    answer = control.person.api("/chart", of=series, start=round(start * 1000), end=round(end * 1000), points=points)
    item: dict[str, Any] = answer["items"][0]
    return item


def upload(device: ScriptedDevice, records: str) -> None:
    """A Send of SenML JSON, block by block."""
    assert device.upload(SENML_JSON, records.encode()) == "2.04"


def test_an_hour_that_comes_late_is_on_the_chart_at_once_and_summed_up(product: Stack, control: Control) -> None:
    """A sleeping device uploads hours of minutes in one Send, and a part of them twice."""
    begin = int(time.time()) // 3600 * 3600 - 5 * 3600
    minutes = [(begin + 60 * minute, minute * 0.25) for minute in range(240)]

    def records(part: list[tuple[int, float]]) -> str:
        return "[" + ",".join(f'{{"n":"{TEMPERATURE}","t":{at},"v":{value}}}' for at, value in part) + "]"

    with ScriptedDevice("late-1", product.coap_port or 0) as device:
        upload(device, records(minutes[120:]))
        product.wait_stored_to(product.head())
        there = chart(control, f"late-1{TEMPERATURE}", begin, begin + 4 * 3600)
        assert there["level"] == "samples"
        assert [point[1] for point in there["points"]] == [value for _, value in minutes[120:]]
        # out of order, and twice
        upload(device, records(minutes[60:180]))
        upload(device, records(minutes[:60][::-1]))
        product.wait_stored_to(product.head())
    there = chart(control, f"late-1{TEMPERATURE}", begin, begin + 4 * 3600)
    assert [tuple(point) for point in there["points"]] == [(at * 1000, value) for at, value in minutes]
    assert (there["stats"]["count"], there["stats"]["min"], there["stats"]["max"]) == (240, 0.0, 59.75)
    wait_for(
        lambda: product.scalar("SELECT count(*) FROM telemetry_stalehour WHERE hour < ?", begin // 3600 + 4) == 0,
        what="the hours are summed up",
    )
    rows = product.query(
        "SELECT level, start / 1000000, count, minimum, maximum, coalesce(first, minimum), last"
        " FROM telemetry_rollup r"
        " JOIN telemetry_series s ON s.id = r.series_id WHERE s.path = ? AND level = 3600 ORDER BY start",
        TEMPERATURE,
    )
    assert rows == [
        (3600, begin + 3600 * hour, 60, 15.0 * hour, 15 * hour + 14.75, 15.0 * hour, 15 * hour + 14.75)
        for hour in range(4)
    ]
    wide = chart(control, f"late-1{TEMPERATURE}", begin - 300 * 86400, begin + 86400, 100)
    assert wide["level"] != "samples"
    assert sum(point[4] for point in wide["points"]) == 240


def test_times_from_anywhere_are_kept_as_the_device_said_them(product: Stack, control: Control) -> None:
    """1970 by relative times, the year 2000, 2038 and after; NaN and what JSON cannot say. Charts do not break."""
    far = [946_684_800, 2_147_483_648, 4_000_000_000]
    with ScriptedDevice("far-1", product.coap_port or 0) as device:
        for at in far:
            device.send(f'[{{"n":"{TEMPERATURE}","t":{at},"v":{at}}}]')
        # counted from its start: the newest is now
        device.send(f'[{{"n":"{TEMPERATURE}","t":100,"v":1}},{{"n":"{TEMPERATURE}","t":160,"v":2}}]')
        # SenML CBOR: a double that is no number
        record = bytes([0x81, 0xA2, 0x00, 0x6C]) + TEMPERATURE.encode() + bytes.fromhex("02fb7ff8000000000000")
        assert device.upload(112, record) == "2.04"
        product.wait_stored_to(product.head())
    for at in far:
        points = chart(control, f"far-1{TEMPERATURE}", at - 5, at + 5)["points"]
        assert points == [[at * 1000, at]]
    now = time.time()
    recent = chart(control, f"far-1{TEMPERATURE}", now - 600, now + 60)
    assert [point[1] for point in recent["points"]] == [1, 2]
    assert abs(recent["points"][1][0] / 1000 - now) < 30
    assert recent["points"][1][0] - recent["points"][0][0] == 60_000
    assert (recent["others"], recent["other"][0][1]) == (1, "NaN")
    whole = chart(control, f"far-1{TEMPERATURE}", 0, 5_000_000_000)
    assert whole["stats"]["count"] == 5


def test_the_export_has_all_of_it(control: Control, product: Stack) -> None:
    """CSV and Parquet, streamed by the real server."""
    person = control.person
    stored = product.sample_count("late-1")
    table = person.http.get(f"{person.url}/api/v1/export", params={"device": "late-1"}, timeout=30)
    assert table.headers["Content-Type"].startswith("text/csv")
    assert len(table.text.splitlines()) == stored + 1 == 241
    parquet = person.http.get(f"{person.url}/api/v1/export", params={"format": "parquet"}, timeout=30)
    assert pq.read_table(io.BytesIO(parquet.content)).num_rows == product.sample_count()
    wrong = person.http.get(f"{person.url}/api/v1/export", params={"device": "nobody"}, timeout=30)
    assert (wrong.status_code, "nobody" in wrong.json()["detail"]) == (400, True)


def test_what_no_model_knew_is_read_when_one_is_added(product: Stack, control: Control) -> None:
    """Notifications of an unknown object are kept raw and shown; with the definition they become samples, in time."""
    product.provision("sim-1")
    product.start_fleet("--test-object", "--interval", "1", count=1)
    product.wait_online("sim-1")
    control.succeeds("sim-1", "observe", COUNTED)
    for number in range(3):
        control.succeeds("sim-1", "execute", "/33000/0/30")
        wait_for(lambda number=number: product.scalar(RAW) > number, what="a message that is kept raw")
    assert not product.query("SELECT 1 FROM telemetry_series WHERE path = ?", COUNTED)
    assert any("33000" in text for text in product.device_events("undecoded", "sim-1"))
    answer = control.person.send("POST", "/definitions", {"xml": DEFINITION.read_text()})
    assert answer.status_code in {200, 201}, answer.text
    numbers = (
        "SELECT s.number, s.time FROM telemetry_sample s JOIN telemetry_series r ON r.id = s.series_id"
        " WHERE r.path = ? ORDER BY s.time"
    )
    wait_for(
        lambda: {1.0, 2.0, 3.0} <= {row[0] for row in product.query(numbers, COUNTED)},
        what=lambda: f"all three: {product.query(numbers, COUNTED)}\n{product.log_tails()}",
    )
    rows = product.query(numbers, COUNTED)
    assert [row[0] for row in rows] == sorted(row[0] for row in rows), "at the times at which they came"
    assert product.scalar(RAW) == 0
    assert product.device_events("decoded", "sim-1")


def test_a_wrong_clock_is_set(product: Stack, control: Control) -> None:
    """Written with the time of the moment, and told in the device's history."""
    product.provision("old-1")
    product.start_fleet("--fault", "old-1:/3/0/13=clock:2000-01-01", count=1, endpoint="old-1", name="old")
    product.wait_online("old-1")
    wait_for(
        lambda: product.device_events("clock_set", "old-1"), what=lambda: f"the clock is set\n{product.log_tails()}"
    )
    assert "years behind and was set" in product.device_events("clock_set", "old-1")[0]

    def right() -> bool:
        return abs(int(control.value("old-1", "/3/0/13")) / 1000 - time.time()) < 60

    wait_for(right, what="its own word on the time")
