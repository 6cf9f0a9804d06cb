"""The main job: a device's value, from DTLS into the database and onto an open page."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from tests.integration.conftest import NewStack
from tests.support.events import said_values
from tests.support.stack import Stack
from tests.support.waiting import wait_for
from tests.support.web import Person

SLEEPER = "sim-3"
TEMPERATURE = "/3303/0/5700"


@pytest.fixture(scope="module")
def product(new_stack: NewStack) -> Stack:
    """All of it, as a newcomer has it: three devices, one of them a sleeper."""
    stack = new_stack()
    stack.provision("sim-1", "sim-2", SLEEPER)
    # the sleeper listens for 2 s after its last message, and the server knows
    stack.start_leshan("--awake-seconds", "2")
    stack.start_sync()
    stack.start_web()
    stack.start_fleet("--interval", "0.5", "--sleepers", "1", "--awake-seconds", "2", "--sleep-seconds", "4")
    stack.wait_online("sim-1", "sim-2")
    stack.wait_more_samples("sim-1", "sim-2")
    return stack


@pytest.fixture(scope="module")
def person(product: Stack) -> Person:
    """The administrator, signed in."""
    return product.administrator()


def values(person: Person, endpoint: str) -> dict[str, dict[str, Any]]:
    """Path → current value."""
    return {item["path"]: item for item in person.api("/values", device=endpoint)["items"]}


def moment(text: str) -> float:
    """Seconds since 1970 of an ISO time with its zone."""
    return datetime.fromisoformat(text).astimezone(UTC).timestamp()


def test_nobody_sees_anything_without_signing_in(product: Stack) -> None:
    """The API refuses; pages lead to the login."""
    for path in ("/devices", "/devices/sim-1", "/values?device=sim-1", "/series?device=sim-1", "/server", "/live"):
        answer = requests.get(f"{product.web_url}/api/v1{path}", timeout=10)
        assert answer.status_code == 401, path
    answer = requests.get(f"{product.web_url}/devices/", timeout=10, allow_redirects=False)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/accounts/login/")


def test_wrong_password(product: Stack) -> None:
    """No session."""
    with pytest.raises(AssertionError, match="not signed in"):
        Person(product.web_url).sign_in("admin", "not the password")


def test_statuses(product: Stack, person: Person) -> None:
    """The awake ones are online; the sleeper is asleep and awake in turn, and says when."""
    for endpoint in ("sim-1", "sim-2"):
        device = person.device(endpoint)
        assert device["status"] == "online"
        assert time.time() - moment(device["last_contact"]) < 30
        assert device["queue_mode"] is False
    product.wait_status("asleep", SLEEPER)
    product.wait_status("online", SLEEPER)
    product.wait_status("asleep", SLEEPER)
    assert person.device(SLEEPER)["queue_mode"] is True
    listed = {item["endpoint"]: item for item in person.api("/devices")["items"]}
    assert set(listed) == {"sim-1", "sim-2", SLEEPER}
    assert person.api("/devices", status="offline")["items"] == []


def test_the_device_says_what_it_is(product: Stack, person: Person) -> None:
    """Manufacturer, model and firmware version without a click."""

    def known() -> bool:
        device = person.device("sim-1")
        return bool(device["manufacturer"] and device["model"] and device["firmware_version"])

    wait_for(known, what=lambda: f"object 3 is known: {person.device('sim-1')}")
    device = person.device("sim-1")
    assert (device["manufacturer"], device["model"]) == ("FlowNexus", "Simulated Sensor")
    assert device["firmware_version"] == "1.0.0"
    assert person.api("/devices", model="Simulated Sensor", search="sim-1")["count"] == 1


def test_values_have_names_and_units(product: Stack, person: Person) -> None:
    """From the object models, and from the device's own unit resource."""
    wait_for(lambda: TEMPERATURE in values(person, "sim-1"), what="the temperature")
    value = values(person, "sim-1")[TEMPERATURE]
    assert value["object_name"] == "Temperature"
    assert value["name"] == "Sensor Value"
    assert value["unit"] in {"Cel", "°C"}
    assert value["type"] == "FLOAT"
    assert (value["object"], value["instance"], value["resource"], value["resource_instance"]) == (3303, 0, 5700, None)
    assert isinstance(value["value"], float)
    assert -60 < value["value"] < 80
    assert abs(moment(value["received"]) - time.time()) < 30
    battery = wait_for(lambda: values(person, "sim-1").get("/3/0/9"), what="the battery level")
    assert battery["name"] == "Battery Level"
    assert battery["unit"] in {"%", "/100"}
    assert 0 <= battery["value"] <= 100


def test_series_and_samples(product: Stack, person: Person) -> None:
    """Each notification is a point at its time."""
    series = {one["path"]: one for one in person.api("/series", device="sim-1")["items"]}
    one = series[TEMPERATURE]
    assert (one["device"], one["unit"] in {"Cel", "°C"}) == ("sim-1", True)
    head = product.head()
    product.wait_stored_to(head)
    said = {
        (value.time / 1000, value.number)
        for value in said_values(product.journal(to=head))
        if (value.endpoint, value.path) == ("sim-1", TEMPERATURE)
    }
    assert len(said) >= 3
    answer = person.api(f"/series/{one['id']}/samples", max_points=2000)
    points = {(point[0], point[1]) for point in answer["points"]}
    assert said <= points
    times = [point[0] for point in answer["points"]]
    assert times == sorted(times)
    assert answer["truncated"] is False
    newest = times[-1]
    later = person.api(f"/series/{one['id']}/samples", start=newest + 1)
    assert all(point[0] > newest for point in later["points"])


def test_sleepers_series_at_its_own_times(product: Stack, person: Person) -> None:
    """What the sleeper measured while it slept comes as one Send, each value at the time it was measured."""
    sends = product.wait_events(
        "SEND",
        lambda data: data["ep"] == SLEEPER and len(data["samples"]) >= 4,
        timeout=40,
    )
    product.wait_stored_to(sends[-1].id)
    for send in sends:
        times = [sample["time"] for sample in send.data["samples"]]
        assert all(times)
        assert times == sorted(times)
        assert times[-1] <= send.data["time"] + 1000
        assert times[-1] - times[0] >= 1000
    said = said_values(sends)
    stored = product.stored_values()
    assert {value for value in said if value not in stored} == set()
    assert {count for value, count in stored.items() if value in said} == {1}
    # how long each was under way is known
    delays = product.query(
        "SELECT s.delay FROM telemetry_sample s JOIN telemetry_series r ON r.id = s.series_id"
        " JOIN devices_device d ON d.id = r.device_id WHERE d.endpoint = ? AND r.path = ? AND s.delay IS NOT NULL",
        SLEEPER,
        TEMPERATURE,
    )
    assert len(delays) >= 4
    assert max(delay for (delay,) in delays) >= 1000
    value = values(person, SLEEPER)[TEMPERATURE]
    assert value["has_device_time"] is True
    assert moment(value["time"]) <= moment(value["received"]) + 1


def test_live_within_two_seconds(product: Stack, person: Person) -> None:
    """A new value is told to an open page within 2 s of its receipt by the server, and can be had then."""
    delays: list[float] = []
    seen = 0.0
    for event in person.live(device="sim-1"):
        if not delays and event.name == "hello":
            seen = time.time()
        if event.name != "values":
            continue
        assert event.data["device"] == "sim-1"
        # values that came after the page was open and that this event is the first to tell of
        head = product.scalar("SELECT last_event_id FROM devices_leshanserver")
        received = moment(values(person, "sim-1")[TEMPERATURE]["received"])
        if received > seen > 0:
            delays.append(time.time() - received)
            seen = received
            assert head
        if len(delays) == 8:
            break
    assert max(delays) < 2, delays
    assert min(delays) > 0


def test_live_tells_of_statuses_and_of_this_device_only(product: Stack, person: Person) -> None:
    """The sleeper's falling asleep and waking up, and nothing of others."""
    statuses = 0
    for event in person.live(device=SLEEPER):
        if event.name in {"values", "status"}:
            assert event.data["device"] == SLEEPER
        statuses += event.name == "status"
        if statuses == 2:
            break


def test_pages(product: Stack, person: Person) -> None:
    """The three pages are there and name the devices."""
    assert "sim-1" in person.page("/devices/").text
    assert "Sensor Value" in person.page("/devices/sim-1/").text
    assert person.page("/").status_code == 200
    assert person.page("/devices/nobody/").status_code == 404
    state = person.api("/server")
    assert state["sync_running"] is True
    assert state["connected"] is True
    assert state["error"] == ""


def test_nothing_was_lost_on_the_way(product: Stack) -> None:
    """And nothing is there twice."""
    assert len(product.assert_stored_exactly_once()) > 50
    assert product.query("SELECT name, error FROM devices_rawevent") == []
