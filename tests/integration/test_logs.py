"""Log lines of devices: from their memory over DTLS into the database, each once, and what is lost is told."""

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.integration.conftest import NewStack
from tests.support.control import Control
from tests.support.stack import Stack
from tests.support.waiting import wait_for

SLEEPER = "sim-4"
QUICK = ["--logs", "--log-interval", "0.2", "--log-delay", "0.3", "--interval", "1"]
SLEEPY = ["--sleepers", "1", "--awake-seconds", "1", "--sleep-seconds", "3"]


class Line(NamedTuple):
    """What makes a line the same line."""

    endpoint: str
    boot: int
    sequence: int
    severity: int
    module: str
    text: str


def logged(file: Path) -> tuple[set[Line], set[Line]]:
    """What the devices logged, and what of it they gave up."""
    kept: set[Line] = set()
    given_up: set[Line] = set()
    for text in file.read_text().splitlines():
        one = json.loads(text)
        line = Line(*(one[name] for name in Line._fields))
        (given_up if one["given_up"] else kept).add(line)
    return kept, given_up


def stored(stack: Stack) -> Counter[Line]:
    """Every line in the database, and how often it is there."""
    rows = stack.query(
        "SELECT d.endpoint, b.boot_id, l.sequence, l.severity, l.module, l.text FROM logs_line l"
        " JOIN devices_device d ON d.id = l.device_id JOIN logs_boot b ON b.id = l.boot_id"
    )
    return Counter(Line(*row) for row in rows)


def assert_all_arrive(stack: Stack, file: Path, *, timeout: float = 60) -> set[Line]:
    """Everything logged until now is stored once, or told as lost; gives back what was logged."""
    said, _ = logged(file)

    def missing() -> set[Line]:
        _, given_up = logged(file)
        return said - given_up - stored(stack).keys()

    wait_for(
        lambda: not missing(), timeout=timeout,
        what=lambda: f"{len(missing())} of {len(said)}, such as {sorted(missing())[:3]}\n{stack.log_tails()}",
    )  # fmt: skip
    assert {line: count for line, count in stored(stack).items() if count > 1} == {}
    return said


@pytest.fixture(scope="module")
def product(new_stack: NewStack) -> Stack:
    """Four devices that log, one of them a sleeper."""
    stack = new_stack()
    stack.provision("sim-1", "sim-2", "sim-3", SLEEPER)
    stack.start_leshan("--awake-seconds", "1")
    stack.start_sync()
    stack.start_web()
    stack.start_fleet(*QUICK, *SLEEPY, "--log-file", str(stack.folder / "lines"), count=4)
    stack.wait_online("sim-1", "sim-2", "sim-3")
    return stack


@pytest.fixture(scope="module")
def control(product: Stack) -> Control:
    """The administrator asks devices."""
    return Control(product)


def test_every_line_arrives_once(product: Stack) -> None:
    """Of the sleeper, too: it sends what it logged while it slept."""
    file = product.folder / "lines"
    wait_for(lambda: len(logged(file)[0]) > 60, what="devices log")
    said = assert_all_arrive(product, file)
    assert {line.endpoint for line in said} == {"sim-1", "sim-2", "sim-3", SLEEPER}
    assert product.scalar("SELECT count(*) FROM logs_loss") == 0
    # log messages are no values
    assert not product.query("SELECT 1 FROM telemetry_series WHERE path LIKE '/20/%/4014'")
    assert not product.query("SELECT 1 FROM devices_resource WHERE path LIKE '/20/%/4014'")


def test_lines_have_their_device_times(product: Stack) -> None:
    """In the order of their numbers, and near the time at which they were logged, by our clock."""
    rows = product.query("SELECT boot_id, sequence, time, received, uptime FROM logs_line ORDER BY boot_id, sequence")
    assert len(rows) > 20
    for (boot, _, before, _, uptime), (other, _, time, received, later) in pairwise(rows):
        if boot == other:
            assert time >= before
            assert abs((time - before) - (later - uptime) * 1000) < 1_500_000
        # nothing waits longer than the sleeper sleeps
        assert -1_000_000 < received - time < 12_000_000


def test_the_api_finds_them(product: Stack, control: Control) -> None:
    """By device, severity, module and any part of the text."""
    person = control.person
    newest = person.api("/logs", limit=50)["items"]
    assert newest
    line = next(one for one in newest if len(one["text"]) > 8)
    part = line["text"][2:8].upper()
    found = person.api("/logs", search=part, device=line["device"], module=line["module"])["items"]
    assert found
    assert all(part.lower() in one["text"].lower() and one["device"] == line["device"] for one in found)
    errors = person.api("/logs", severity="warning", limit=200)["items"]
    assert {one["severity"] for one in errors} <= {"error", "warning", "unread"}
    assert person.api("/logs", search="no line has these words")["items"] == []


def test_the_server_sets_the_level(product: Stack, control: Control) -> None:
    """A write of /20/0/26241: from then on, only errors of that device."""
    assert control.succeeds("sim-2", "write", "/20/0/26241", value=1)
    file = product.folder / "lines"

    def quiet() -> bool:
        mine = sorted((line for line in logged(file)[0] if line.endpoint == "sim-2"), key=lambda line: line.sequence)
        others = sum(line.endpoint == "sim-1" for line in logged(file)[0])
        seen.append((len(mine), others))
        # sim-1 went on logging while sim-2 did not
        return any(before[0] == len(mine) and others - before[1] > 20 for before in seen)

    seen: list[tuple[int, int]] = []
    wait_for(quiet, timeout=60, what=lambda: f"sim-2 is quiet: {seen[-3:]}")
    assert control.value("sim-2", "/20/0/26241") == 1
    control.succeeds("sim-2", "write", "/20/0/26241", value=4)


def test_a_read_brings_lines_too(product: Stack, control: Control) -> None:
    """For devices that cannot Send."""
    control.succeeds("sim-1", "read", "/20/0/4014")
    control.succeeds("sim-1", "read", "/20/0")
    assert_all_arrive(product, product.folder / "lines")


def test_a_reboot_is_a_new_boot(product: Stack, control: Control) -> None:
    """Numbers begin again; nothing is mixed up."""
    boots = "SELECT count(*) FROM logs_boot b JOIN devices_device d ON d.id = b.device_id WHERE d.endpoint = 'sim-3'"
    before = product.scalar(boots)
    control.ask("sim-3", "execute", "/3/0/4")
    wait_for(lambda: product.scalar(boots) == before + 1, timeout=40, what="the lines of another boot")
    assert_all_arrive(product, product.folder / "lines")


def test_nothing_is_lost_or_doubled_when_processes_die(stack: Stack) -> None:
    """`kill -9` of each, in turn, while devices log."""
    stack.provision("sim-1", "sim-2")
    stack.start_leshan()
    stack.start_sync()
    file = stack.folder / "lines"
    stack.start_fleet("--logs", "--log-interval", "0.05", "--log-delay", "0.1", "--log-file", str(file), count=2)
    stack.wait_online("sim-1", "sim-2")
    for name in ("sync", "leshan", "sync", "leshan"):
        count = len(logged(file)[0])
        wait_for(lambda count=count: len(logged(file)[0]) > count + 40, what="more lines")
        stack.processes[name].kill()
        stack.start_leshan() if name == "leshan" else stack.start_sync()
    stack.wait_connected()
    assert_all_arrive(stack, file)


def test_one_mad_device_neither_fills_the_disk_nor_slows_the_others(stack: Stack) -> None:
    """What is cut is counted and told; the others' lines all arrive."""
    stack.provision("sim-1", "mad")
    stack.start_leshan()
    stack.start_sync()
    stack.start_web()
    person = stack.administrator()
    profile = person.api("/profiles")["items"][0]
    body: dict[str, Any] = {name: profile[name] for name in ("name", "is_default", "observations")}
    answer = person.send("PUT", f"/profiles/{profile['id']}", body | {"logs_per_minute": 60})
    assert answer.status_code == 200, answer.text
    file, mad = stack.folder / "lines", stack.folder / "mad-lines"
    stack.start_fleet("--logs", "--log-interval", "0.1", "--log-delay", "0.2", "--log-file", str(file), count=1)
    stack.start_fleet(
        "--logs", "--log-storm", "mad:1500", "--log-file", str(mad), count=1, endpoint="mad", name="mad-fleet"
    )
    cut = "SELECT cut FROM logs_usage u JOIN devices_device d ON d.id = u.device_id WHERE d.endpoint = 'mad'"
    wait_for(lambda: (stack.scalar(cut) or 0) > 500, timeout=60, what=lambda: f"lines are cut: {stack.scalar(cut)}")
    assert_all_arrive(stack, file)
    stack.processes["mad-fleet"].stop()
    kept = stack.scalar(
        "SELECT count(*) FROM logs_line l JOIN devices_device d ON d.id = l.device_id WHERE d.endpoint = 'mad'"
    )
    # the burst, and what came in a minute or two
    assert kept < 2400
    told = stack.scalar("SELECT sum(last - first + 1) FROM logs_loss WHERE reason = 'rate'")
    assert told == stack.scalar(cut)
    assert stack.scalar("SELECT lag_ms FROM devices_leshanserver") < 2000
