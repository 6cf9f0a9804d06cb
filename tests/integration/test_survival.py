"""Whatever is killed or held up, every journaled value is in the database exactly once and the devices come back."""

import contextlib
import json
import random
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.integration.conftest import NewStack
from tests.support.coap import ScriptedDevice
from tests.support.events import Value, sequence
from tests.support.stack import Stack
from tests.support.waiting import wait_for

COUNTED = "/3303/0/5700"


def assert_counted_without_loss(said: Counter[Value], endpoint: str) -> None:
    """The device repeats each number until it is acknowledged: without loss the journal has all of them."""
    numbers = {value.number for value in said if value[:2] == (endpoint, COUNTED)}
    assert numbers
    first, last = int(min(numbers)), int(max(numbers))
    missing = [number for number in range(first, last + 1) if number not in numbers]
    assert not missing, f"{endpoint}: {missing[:10]} of {first}-{last} were acknowledged, but are not journaled"


def wait_samples(stack: Stack, more: int) -> None:
    """Until so many samples more are in the database."""
    goal = stack.sample_count() + more
    wait_for(lambda: stack.sample_count() >= goal, timeout=60, what=lambda: f"values keep flowing\n{stack.log_tails()}")


def test_kill_9_ten_times(stack: Stack) -> None:
    """Ten kills at random moments, three of them Leshan's, while 20 devices send counted values."""
    endpoints = [f"sim-{number}" for number in range(1, 21)]
    stack.provision(*endpoints)
    stack.start_leshan()
    stack.start_sync()
    report = stack.folder / "report.jsonl"
    stack.start_fleet(
        "--counted", "--interval", "0.2", "--backoff-max", "2", "--deregister", "--report", str(report),
        # one that is not observed yet when Leshan dies notices that only by its next update
        "--update-period", "5", count=len(endpoints),
    )  # fmt: skip
    stack.wait_online(*endpoints)
    seed = random.SystemRandom().randrange(1_000_000)
    print(f"seed {seed}")
    dice = random.Random(seed)
    victims = ["sync"] * 7 + ["leshan"] * 3
    dice.shuffle(victims)

    for victim in victims:
        # a random number of new values is a random moment, without waiting by the clock
        wait_samples(stack, dice.randrange(1, 300))
        stack.processes[victim].kill()
        if victim == "leshan":
            stack.start_leshan()
        else:
            stack.start_sync(ready=False)

    stack.wait_online(*endpoints, timeout=60)
    stack.wait_more_samples(*endpoints, timeout=60)
    for endpoint in endpoints:
        observed = stack.observations(endpoint)
        assert observed.get(COUNTED) == "active", f"{endpoint}: {observed}"
        registered, current = stack.query(
            "SELECT r.registration_id, o.registration_id FROM devices_device d"
            " JOIN devices_registration r ON r.device_id = d.id AND r.ended_at IS NULL"
            " JOIN devices_observation o ON o.device_id = d.id AND o.path = ? WHERE d.endpoint = ?",
            COUNTED,
            endpoint,
        )[0]
        assert registered == current
    assert stack.processes["fleet"].stop() == 0

    said = stack.assert_stored_exactly_once()
    # a journal that has lost its beginning, or that holds little, would make this prove nothing
    assert sequence(stack.journal()[0].id) == 1
    assert {value.endpoint for value in said} == set(endpoints)
    assert sum(said.values()) > 1000
    # what a device was told to be safe was safe
    for line in report.read_text().splitlines():
        device = json.loads(line)
        endpoint = device["endpoint"]
        assert_counted_without_loss(said, endpoint)
        journaled = sum(count for value, count in said.items() if value.endpoint == endpoint)
        assert 0 < device["acknowledged"] <= journaled, device
    assert stack.scalar("SELECT count(*) FROM devices_streamgap") == 0
    assert stack.query("SELECT name, error FROM devices_rawevent") == []
    # the devices said good-bye: that is the status now
    stack.wait_status("offline", *endpoints)
    # the current value is the newest one
    newest = stack.query(
        "SELECT d.endpoint, v.number, v.time FROM devices_resource v JOIN devices_device d ON d.id = v.device_id"
        " WHERE v.path = ?",
        COUNTED,
    )
    for endpoint, number, moment in newest:
        last = max((value for value in said if value[:2] == (endpoint, COUNTED)), key=lambda value: value.time)
        assert (number, moment) == (last.number, last.time), endpoint


@pytest.fixture(scope="module")
def steady(new_stack: NewStack) -> Stack:
    """Five devices that send counted values all the time."""
    stack = new_stack(coap=True)
    endpoints = [f"sim-{number}" for number in range(1, 6)]
    stack.provision(*endpoints, "short-1", "short-2")
    stack.start_leshan()
    stack.start_sync()
    # patient devices: nothing here should make them register anew
    stack.start_fleet("--counted", "--interval", "0.1", "--ack-timeout", "5", count=5)
    stack.wait_online(*endpoints)
    stack.wait_more_samples(*endpoints)
    return stack


def wait_journal_grows(stack: Stack, more: int) -> None:
    """Until Leshan has journaled so many events more."""
    goal = sequence(stack.head()) + more
    wait_for(lambda: sequence(stack.head()) >= goal, timeout=40, what=lambda: f"{more} new events\n{stack.log_tails()}")


def assert_all_counted(stack: Stack, *, after: str) -> None:
    """Since that event every device's counter is journaled and stored without a hole."""
    said = stack.assert_stored_exactly_once(after=after)
    for number in range(1, 6):
        assert_counted_without_loss(said, f"sim-{number}")


def test_sync_held_up(steady: Stack) -> None:
    """A sync that stands still (SIGSTOP) and goes on loses nothing."""
    start = steady.head()
    sync = steady.processes["sync"]
    sync.signal(signal.SIGSTOP)
    try:
        stored = steady.sample_count()
        wait_journal_grows(steady, 200)
        assert steady.sample_count() == stored
    finally:
        sync.signal(signal.SIGCONT)
    assert_all_counted(steady, after=start)


def test_sync_stopped_and_started(steady: Stack) -> None:
    """A sync that ends in the friendly way ends at once, and the next one goes on where it was."""
    start = steady.head()
    assert steady.processes["sync"].stop(timeout=5) == 0
    stored = steady.sample_count()
    wait_journal_grows(steady, 200)
    assert steady.sample_count() == stored
    steady.start_sync()
    assert_all_counted(steady, after=start)
    states = steady.query(
        "SELECT state, ended_at IS NULL FROM devices_serverinterval ORDER BY started_at DESC, id DESC"
    )
    assert states[0] == ("up", 1)
    assert states[1] == ("down", 0)


def stalled_reader(port: int) -> socket.socket:
    """A connection that takes as little as the kernel allows."""
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    reader.settimeout(10)
    reader.connect(("127.0.0.1", port))
    return reader


def kernel_buffers() -> int:
    """How many bytes a server can write to such a connection before it must wait."""
    taken = 0
    with contextlib.ExitStack() as ends:
        server = ends.enter_context(contextlib.closing(socket.create_server(("127.0.0.1", 0))))
        ends.enter_context(contextlib.closing(stalled_reader(server.getsockname()[1])))
        writer = ends.enter_context(contextlib.closing(server.accept()[0]))
        writer.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                taken += writer.send(b"x" * 65536)
    return taken


@contextlib.contextmanager
def stalled_listeners(stack: Stack, count: int, *, start: str) -> Iterator[None]:
    """Connections that ask for the journal from an event on and never read the answer."""
    with contextlib.ExitStack() as ends:
        for _ in range(count):
            listener = ends.enter_context(contextlib.closing(stalled_reader(stack.http_port)))
            listener.sendall(
                f"GET /api/event HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {stack.token}\r\n"
                f"Accept: text/event-stream\r\nLast-Event-ID: {start}\r\n\r\n".encode()
            )
            assert listener.recv(15, socket.MSG_PEEK).startswith(b"HTTP/1.1 200")
        yield


def fill_journal(stack: Stack, size: int) -> None:
    """So many bytes of new events: Sends with a long series."""
    credential = {"endpoint": "bulk-1", "tls": {"mode": "nosec"}}
    assert stack.leshan("PUT", "/api/security/clients", json=credential).status_code in {200, 204}
    files = stack.journal_folder / "journal"

    def journal_size() -> int:
        return sum(file.stat().st_size for file in files.iterdir())

    assert stack.coap_port is not None
    goal = journal_size() + size
    moment = time.time_ns() // 1_000_000_000 - 1_000_000
    with ScriptedDevice("bulk-1", stack.coap_port) as device:
        while journal_size() < goal:
            device.send_series(COUNTED, start=moment)
            moment += 60


def test_stalled_listeners(steady: Stack) -> None:
    """Listeners that do not read delay neither CoAP nor other listeners."""
    start = steady.head()
    fill_journal(steady, kernel_buffers() + 1_000_000)
    with stalled_listeners(steady, 5, start=start):
        wait_journal_grows(steady, 50)
        # another listener hears of values when they come
        delays: list[float] = []
        for event in steady.events():
            if event.name == "NOTIFICATION":
                delays.append(time.time() - event.data["time"] / 1000)
            if len(delays) == 50:
                break
        assert sorted(delays)[45] < 1, delays
        # a device answers a read
        before = time.monotonic()
        answer = steady.leshan("GET", steady.client_path("sim-1", "/3/0"))
        assert answer.json()["success"], answer.text
        assert time.monotonic() - before < 2
        # and sync is one of the others
        assert_all_counted(steady, after=start)


def test_deregistered(steady: Stack) -> None:
    """Devices that say good-bye are offline at once, and it says why."""
    steady.start_fleet("--deregister", name="polite", count=2, endpoint="short-{n}")
    steady.wait_online("short-1", "short-2")
    assert steady.processes["polite"].stop() == 0
    steady.wait_status("offline", "short-1", "short-2", timeout=5)
    for endpoint in ("short-1", "short-2"):
        assert end_reason(steady, endpoint) == "deregistered"
        assert len(steady.device_events("deregistered", endpoint)) == 1


def test_expired(steady: Stack) -> None:
    """Devices that vanish are offline when their lifetime has ended, and it says why."""
    steady.start_fleet("--lifetime", "6", name="lost", count=2, endpoint="short-{n}")
    steady.wait_online("short-1", "short-2")
    steady.processes["lost"].kill()
    killed = time.time()
    assert steady.status("short-1") == "online"
    steady.wait_status("offline", "short-1", "short-2", timeout=15)
    assert 2 < time.time() - killed < 12
    for endpoint in ("short-1", "short-2"):
        assert end_reason(steady, endpoint) == "expired"
        assert len(steady.device_events("expired", endpoint)) == 1
    # the others were not touched by any of this
    steady.wait_online(*(f"sim-{number}" for number in range(1, 6)), timeout=1)


def end_reason(stack: Stack, endpoint: str) -> str:
    """Why the device's newest registration is over."""
    reason: str = stack.scalar(
        "SELECT r.end_reason FROM devices_registration r JOIN devices_device d ON d.id = r.device_id"
        " WHERE d.endpoint = ?",
        endpoint,
    )
    return reason
