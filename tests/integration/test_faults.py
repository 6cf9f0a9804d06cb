"""Everything around sync fails in turn: it says so, goes on, and loses nothing."""

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator

import pytest
import requests

from tests.support.events import sequence
from tests.support.fake_leshan import FakeLeshan, notification, number_node, registration
from tests.support.stack import Stack
from tests.support.waiting import wait_for

PATH = "/3303/0/5700"
DEVICE = "sim-1"


def state_error(stack: Stack) -> str:
    """What the server's state row says is wrong."""
    return stack.scalar("SELECT error FROM devices_leshanserver") or ""


def values(stack: Stack, endpoint: str = DEVICE, path: str = PATH) -> list[tuple[int, float]]:
    """(time in microseconds, number) of the stored samples, oldest first."""
    return sorted(
        (value.time, value.number)
        for value in stack.stored_values().elements()
        if (value.endpoint, value.path) == (endpoint, path)
    )


# -- the server


def test_leshan_comes_later(stack: Stack) -> None:
    """Sync starts first: it says that it cannot reach Leshan, waits, and begins when Leshan is there."""
    stack.provision(DEVICE)
    sync = stack.start_sync(ready=False)
    error = wait_for(lambda: state_error(stack), what=lambda: f"the state row says it\n{sync.tail()}")
    assert f"127.0.0.1:{stack.http_port}" in error
    assert sync.lines(f"127.0.0.1:{stack.http_port}"), sync.output()
    assert "Traceback" not in sync.output()
    # the heartbeat says that sync itself is well
    first = stack.scalar("SELECT sync_alive_at FROM devices_leshanserver")
    wait_for(
        lambda: stack.scalar("SELECT sync_alive_at FROM devices_leshanserver") > first, timeout=5, what="a heartbeat"
    )
    stack.start_leshan()
    stack.wait_connected()
    stack.start_fleet(count=1)
    stack.wait_online(DEVICE)
    stack.wait_more_samples(DEVICE)
    assert state_error(stack) == ""


def test_wrong_token(stack: Stack) -> None:
    """A wrong token is told from a server that is not there; the right one is taken up without a restart."""
    stack.provision(DEVICE)
    stack.start_leshan()
    stack.token_file.write_text("not-the-token\n")
    sync = stack.start_sync(ready=False)
    error = wait_for(lambda: state_error(stack), what=lambda: f"the state row says it\n{sync.tail()}")
    assert "token" in error.lower()
    assert "not-the-token" not in error
    assert sync.lines("token"), sync.output()
    assert "not-the-token" not in sync.output()
    assert "Traceback" not in sync.output()
    assert stack.query("SELECT 1 FROM devices_leshanserver WHERE connected_since IS NOT NULL") == []
    stack.token_file.write_text(stack.token + "\n")
    stack.wait_connected()
    assert state_error(stack) == ""


def test_database_locked(stack: Stack) -> None:
    """Ten seconds without the database: sync waits, and what came meanwhile is stored."""
    endpoints = ["sim-1", "sim-2", "sim-3"]
    stack.provision(*endpoints)
    stack.start_leshan()
    stack.start_sync()
    stack.start_fleet("--counted", "--interval", "0.1")
    stack.wait_online(*endpoints)
    stack.wait_more_samples(*endpoints)
    with contextlib.closing(sqlite3.connect(stack.database, timeout=30, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        until = time.monotonic() + 10
        stored = stack.sample_count()
        journaled = sequence(stack.head())
        wait_for(
            lambda: time.monotonic() > until and sequence(stack.head()) > journaled + 100,
            timeout=30,
            what="ten seconds and a hundred events",
        )
        assert stack.sample_count() == stored
        connection.execute("ROLLBACK")
    stack.wait_more_samples(*endpoints)
    assert len(stack.assert_stored_exactly_once()) > 300
    assert stack.processes["sync"].returncode is None
    assert stack.query("SELECT name, error FROM devices_rawevent") == []
    stack.wait_online(*endpoints, timeout=1)


def test_web_alone(stack: Stack) -> None:
    """With sync and Leshan down the pages are there, and they say what is down."""
    stack.provision(DEVICE)
    stack.start_leshan()
    stack.start_sync()
    stack.start_web()
    person = stack.administrator()
    stack.start_fleet(count=1)
    stack.wait_online(DEVICE)
    stack.wait_more_samples(DEVICE)
    assert person.api("/server")["connected"] is True

    stack.processes["leshan"].kill()
    wait_for(lambda: person.api("/server")["connected"] is False, what="the API says that Leshan is down")
    assert person.api("/server")["sync_running"] is True
    assert "Leshan" in banner(person.page("/"))
    stack.processes["sync"].kill()
    wait_for(lambda: person.api("/server")["sync_running"] is False, what="the API says that sync is down")
    for path in ("/", "/devices/", f"/devices/{DEVICE}/"):
        assert "sync" in banner(person.page(path)).lower()
    assert person.api("/values", device=DEVICE)["items"]


def banner(page: requests.Response) -> str:
    """What the page says above everything else about our own pipeline."""
    assert page.status_code == 200
    _before, found, after = page.text.partition('data-refresh="/parts/pipeline/"')
    assert found, f"{page.url} has no place for it"
    return after.partition("<main")[0]


# -- what the server sends


@pytest.fixture
def fake(stack: Stack) -> Iterator[FakeLeshan]:
    """Sync at a server whose stream the test writes, with one device registered (that answers 4.04 to everything)."""
    stack.provision(DEVICE)
    with FakeLeshan() as server:
        add_client(server)
        stack.leshan_elsewhere = server.url
        stack.start_sync()
        wait_for(lambda: server.streams == 1, what="sync listens")
        try:
            yield server
        finally:
            stack.processes["sync"].stop()


def add_client(server: FakeLeshan, endpoint: str = DEVICE) -> None:
    """A registered device."""
    server.clients[endpoint] = registration(endpoint, date=now() - 1000)


def now() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def wait_value(stack: Stack, number: float, endpoint: str = DEVICE) -> None:
    """Until this value is stored."""
    wait_for(
        lambda: number in [value for _, value in values(stack, endpoint)],
        timeout=30,
        what=lambda: f"{number} of {endpoint}; {values(stack, endpoint)}\n{stack.log_tails()}",
    )


def raw_event(stack: Stack, event_id: str) -> tuple[str, bytes, int, str]:
    """Name, data, size and error of what was kept raw of an event."""
    rows = wait_for(
        lambda: stack.query("SELECT name, data, size, error FROM devices_rawevent WHERE event_id = ?", event_id),
        what=lambda: f"{event_id} is kept raw\n{stack.log_tails()}",
    )
    assert len(rows) == 1
    row: tuple[str, bytes, int, str] = rows[0]
    return row


POISON = {
    "no JSON": ("NOTIFICATION", b'{"ep": "sim-1", "kind": '),
    "JSON, but no object": ("NOTIFICATION", b"[1, 2, 3]"),
    "no endpoint": ("SEND", b'{"val": {}, "samples": []}'),
    "a wrong kind of member": ("SEND", b'{"ep": "sim-1", "time": "noon", "val": 7, "samples": {"a": 1}}'),
    "a value that is none": (
        "NOTIFICATION",
        b'{"ep":"sim-1","kind":"single","res":"/3303/0/5700","time":1,"val":{"kind":"singleResource","id":5700,'
        b'"type":"FLOAT","value":"warm"},"samples":[{"time":null,"nodes":{"/3303/0/5700":{"kind":"singleResource",'
        b'"id":5700,"type":"FLOAT","value":"warm"}}}]}',
    ),
    "an unknown event": ("EARTHQUAKE", b'{"ep": "sim-1", "magnitude": 6.1}'),
    "invalid UTF-8": ("SEND", b'{"ep": "sim-1", "val": "\xff\xfe\xc3\x28"}'),
    "NUL bytes": ("SEND", b'{"ep": "sim\x00-1", "val": {}}'),
    "deeply nested": ("SEND", b'{"ep": "sim-1", "val": ' + b"[" * 100_000),
    "a registration without an id": ("REGISTRATION", b'{"endpoint": "sim-1"}'),
}


def test_poisoned_events(stack: Stack, fake: FakeLeshan) -> None:
    """Each event that cannot be understood is kept as it came, with the reason; all the others are stored."""
    kept = {}
    for number, (what, (name, data)) in enumerate(POISON.items(), start=1):
        kept[what] = fake.say_raw(name, data)
        fake.say("NOTIFICATION", notification(DEVICE, number, time=now()))
    wait_value(stack, len(POISON))
    assert {number for _, number in values(stack)} >= set(range(1, len(POISON) + 1))
    for what, (name, data) in POISON.items():
        row = raw_event(stack, kept[what])
        assert row[0] == name, what
        assert bytes(row[1]) == data[: len(row[1])], what
        assert row[2] == len(data), what
        assert row[3], what
    assert bytes(raw_event(stack, kept["invalid UTF-8"])[1]) == POISON["invalid UTF-8"][1]
    assert stack.scalar("SELECT count(*) FROM devices_rawevent") == len(POISON)
    assert stack.scalar("SELECT errors FROM devices_leshanserver") == len(POISON)
    # one stream all the time: nothing of this is worth a new connection
    assert len(fake.asked("GET", "/api/event")) == 1
    assert stack.processes["sync"].returncode is None


def test_second_sync_refuses(stack: Stack, fake: FakeLeshan) -> None:
    """Two would store everything twice: the second says that one is there and ends."""
    first = stack.processes["sync"]
    result = stack.manage("sync", check=False)
    assert result.returncode > 0
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    assert "another sync" in result.stderr
    assert first.returncode is None
    # a killed one leaves nothing behind that would stop the next
    first.kill()
    stack.start_sync()


def test_huge_event(stack: Stack, fake: FakeLeshan) -> None:
    """A line of 10 MB is kept (not whole), and what comes after it is stored."""
    data = b'{"ep": "sim-1", "val": "' + b"x" * 10_000_000
    event_id = fake.say_raw("SEND", data)
    fake.say("NOTIFICATION", notification(DEVICE, 7, time=now()))
    wait_value(stack, 7)
    name, start, size, error = raw_event(stack, event_id)
    assert name == "SEND"
    assert size == len(data)
    assert len(start) >= 1000
    assert data.startswith(bytes(start))
    assert error
    assert len(fake.asked("GET", "/api/event")) == 1


def test_stream_cut_in_mid_event(stack: Stack, fake: FakeLeshan) -> None:
    """Half an event is no event: sync resumes after the last whole one and gets the other again."""
    first = fake.say("NOTIFICATION", notification(DEVICE, 1, time=now()))
    wait_value(stack, 1)
    data = json.dumps(notification(DEVICE, 2, time=now())).encode()
    fake.say_bytes(f"event: NOTIFICATION\nid: {fake.journal}-2\ndata: ".encode() + data[:-20])
    fake.cut()
    wait_for(lambda: len(fake.asked("GET", "/api/event")) == 2, what=lambda: f"a new stream\n{stack.log_tails()}")
    assert fake.asked("GET", "/api/event")[1].headers["last-event-id"] == first
    fake.say_raw("NOTIFICATION", data)
    wait_value(stack, 2)
    assert [number for _, number in values(stack)] == [1, 2]
    assert stack.query("SELECT name, error FROM devices_rawevent") == []
    # the stretch without a stream is known
    assert stack.query("SELECT state FROM devices_serverinterval WHERE ended_at IS NULL") == [("up",)]
    assert stack.scalar("SELECT count(*) FROM devices_serverinterval WHERE state = 'down'") >= 1


def test_repeated_event(stack: Stack, fake: FakeLeshan) -> None:
    """An event whose id was stored before is not stored again, whatever is in it."""
    moment = now()
    for number in (1, 2, 3):
        fake.say("NOTIFICATION", notification(DEVICE, number, time=moment + number))
    wait_value(stack, 3)
    for number, again in ((3, 3), (2, 2), (2, 222)):
        data = json.dumps(notification(DEVICE, again, time=moment + 1000 + again)).encode()
        fake.say_raw("NOTIFICATION", data, number=number)
    last = fake.say("NOTIFICATION", notification(DEVICE, 4, time=moment + 4))
    wait_value(stack, 4)
    assert [number for _, number in values(stack)] == [1, 2, 3, 4]
    assert stack.scalar("SELECT last_event_id FROM devices_leshanserver") == last


def test_registrations_out_of_order(stack: Stack, fake: FakeLeshan) -> None:
    """Values before their registration, an old registration's end after the new one: the newest wins."""
    moment = now()
    stack.provision("late-1")
    fake.say("NOTIFICATION", notification("late-1", 5, time=moment))
    add_client(fake, "late-1")
    fake.say("REGISTRATION", registration("late-1", date=moment + 1))
    wait_value(stack, 5, "late-1")
    stack.wait_online("late-1")

    old = registration(DEVICE, registration_id="r1", date=moment - 5000)
    new = registration(DEVICE, registration_id="r2", date=moment + 10)
    fake.clients[DEVICE] = new
    fake.say("REGISTRATION", new)
    fake.say("DEREGISTRATION", old | {"reason": "replaced"})
    fake.say("UPDATED", {"registration": old, "update": {}})
    fake.say("NOTIFICATION", notification(DEVICE, 6, time=moment + 20))
    wait_value(stack, 6)
    assert stack.query(
        "SELECT r.registration_id, r.ended_at, d.status FROM devices_device d"
        " JOIN devices_registration r ON r.device_id = d.id WHERE d.endpoint = ?",
        DEVICE,
    ) == [("r2", None, "online")]
    # a current value never goes back in time, but the late sample is kept
    fake.say("NOTIFICATION", notification(DEVICE, 4, time=moment - 60_000))
    wait_value(stack, 4)
    assert stack.query(
        "SELECT v.number FROM devices_resource v JOIN devices_device d ON d.id = v.device_id"
        " WHERE d.endpoint = ? AND v.path = ?",
        DEVICE,
        PATH,
    ) == [(6.0,)]
    assert stack.query("SELECT name, error FROM devices_rawevent") == []


def test_requests_that_fail(stack: Stack, fake: FakeLeshan) -> None:
    """The list of clients is an error, then nonsense: values flow, it is said, and it is made good for later."""
    sync = stack.processes["sync"]
    fake.clients["sim-2"] = registration("sim-2", date=now())
    fake.instead["GET", "/api/clients"] = (500, "Unexpected exception: out of luck")
    fake.cut()
    sync.wait_for_line("GET /api/clients: .*out of luck")
    fake.instead["GET", "/api/clients"] = (200, "<html>hello</html>")
    sync.wait_for_line("GET /api/clients: .*hello")
    wait_for(lambda: fake.streams == 1, what="sync listens again")
    fake.say("NOTIFICATION", notification(DEVICE, 1, time=now()))
    wait_value(stack, 1)
    assert stack.status("sim-2") is None
    error = "SELECT error FROM devices_leshanserver"
    wait_for(lambda: "registrations could not be compared" in stack.scalar(error), what=lambda: stack.scalar(error))
    fake.instead.clear()
    stack.wait_online("sim-2")
    wait_for(lambda: stack.scalar(error) == "", what=lambda: f"the error is gone: {stack.scalar(error)}")
    assert sync.returncode is None
    assert "Traceback" not in sync.output()


def test_stock_server(stack: Stack) -> None:
    """Registrations and values of a stock M18 demo server: no ids, no times, no samples."""
    with FakeLeshan(stock=True) as server:
        add_client(server, "stock-1")
        server.nodes["stock-1"] = {PATH: number_node(20.5)}
        stack.leshan_elsewhere = server.url
        sync = stack.start_sync()
        try:
            wait_for(lambda: server.streams == 1, what="sync listens")
            stack.wait_online("stock-1")
            wait_for(lambda: server.asked("POST", f"/api/clients/stock-1{PATH}/observe"), what="it observes")
            before = now()
            node = number_node(21.5)
            server.say("NOTIFICATION", {"ep": "stock-1", "kind": "single", "res": PATH, "val": node})
            server.say("SEND", {"ep": "stock-1", "val": {PATH: number_node(22.5)}})
            wait_value(stack, 22.5, "stock-1")
            # the value that the observe was answered with counts too
            wait_value(stack, 20.5, "stock-1")
            stored = {number: moment for moment, number in values(stack, "stock-1")}
            assert before * 1000 <= stored[21.5] <= stored[22.5] <= now() * 1000 + 1000
            # a break cannot be bridged: what is registered now is looked up
            new = registration("stock-2", date=now())
            server.clients = {"stock-2": new}
            server.cut()
            stack.wait_online("stock-2")
            stack.wait_status("offline", "stock-1")
            wait_for(lambda: server.streams == 1, what="sync listens again")
            server.say("REGISTRATION", registration("stock-3", date=now()))
            stack.wait_online("stock-3")
            server.say("DEREGISTRATION", registration("stock-3", date=now()))
            stack.wait_status("offline", "stock-3")
            assert stack.query("SELECT name, error FROM devices_rawevent") == []
            assert sync.returncode is None
        finally:
            sync.stop()
