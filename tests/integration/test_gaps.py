"""What the event stream can never give again is recorded and shown, and the devices are repaired."""

import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.coap import ScriptedDevice
from tests.support.events import sequence
from tests.support.stack import Stack
from tests.support.waiting import wait_for

ENDPOINTS = ("sim-1", "sim-2", "sim-3")


def start_all(stack: Stack, *leshan: str) -> None:
    """Leshan, sync and three devices with counted values."""
    stack.provision(*ENDPOINTS)
    stack.start_leshan(*leshan)
    stack.start_sync()
    start_devices(stack)


def start_devices(stack: Stack) -> None:
    """Three devices that are soon back when the server was away."""
    stack.start_fleet("--counted", "--interval", "0.2", "--backoff-max", "2")
    stack.wait_online(*ENDPOINTS)
    stack.wait_more_samples(*ENDPOINTS)


def stop_sync(stack: Stack) -> str:
    """Ends sync; returns the last event that it has stored."""
    assert stack.processes["sync"].stop() == 0
    last: str = stack.scalar("SELECT last_event_id FROM devices_leshanserver")
    assert sequence(last) > 0
    return last


def the_gap(stack: Stack) -> tuple[str, int | None, int | None, str]:
    """The one recorded gap: journal, first and last sequence, reason."""
    wait_for(
        lambda: stack.scalar("SELECT count(*) FROM devices_streamgap"),
        what=lambda: f"a gap is recorded\n{stack.log_tails()}",
    )
    gaps = stack.query("SELECT journal, first_sequence, last_sequence, reason FROM devices_streamgap")
    assert len(gaps) == 1, gaps
    gap: tuple[str, int | None, int | None, str] = gaps[0]
    return gap


def assert_shown(stack: Stack, reason: str, lost: int | None) -> None:
    """The gap is in the API, with the stretch of time that it is about."""
    stack.start_web()
    now = datetime.now(UTC)
    answer = stack.administrator().api("/gaps", start=(now - timedelta(hours=1)).isoformat(), end=now.isoformat())
    shown = [gap for gap in answer["items"] if gap["kind"] == "lost"]
    assert len(shown) == 1, shown
    assert shown[0]["reason"] == reason
    assert shown[0]["lost_events"] == lost
    start, end = (datetime.fromisoformat(shown[0][key]) for key in ("start", "end"))
    assert now - timedelta(minutes=3) < start < end < now


def assert_flows_again(stack: Stack) -> None:
    """After the gap everything is as before: devices online, observed, their values stored once."""
    stack.wait_online(*ENDPOINTS, timeout=40)
    start = stack.head()
    stack.wait_more_samples(*ENDPOINTS, timeout=40)
    assert stack.assert_stored_exactly_once(after=start)
    assert stack.query("SELECT name, error FROM devices_rawevent") == []


@pytest.fixture
def stack(template: Path, tmp_path: Path) -> Iterator[Stack]:
    """A stack that lets in plain CoAP too, for a device that says a lot."""
    one = Stack(tmp_path / "stack", template=template, coap=True)
    try:
        yield one
    finally:
        one.stop()


def oldest_after(stack: Stack, event_id: str) -> int:
    """The sequence of the first event after this one that can still be had, where some are lost; else 0."""
    for event in stack.events(event_id):
        if event.id:
            return sequence(event.id) + 1 if event.name == "GAP" else 0
    return 0


def test_truncated(stack: Stack) -> None:
    """The journal's bound was reached while sync was away: the beginning of what it missed is gone."""
    start_all(stack, "--journal-size", "1")
    last = stop_sync(stack)
    credential = {"endpoint": "talker-1", "tls": {"mode": "nosec"}}
    assert stack.leshan("PUT", "/api/security/clients", json=credential).status_code in {200, 204}
    assert stack.coap_port is not None
    moment = time.time_ns() // 1_000_000_000 - 1_000_000
    oldest = 0
    with ScriptedDevice("talker-1", stack.coap_port) as device:
        # far more than fits must not be needed
        for _ in range(40):
            for _ in range(50):
                device.send_series("/3303/0/5700", start=moment)
                moment += 60
            oldest = oldest_after(stack, last)
            if oldest:
                break
    assert oldest > sequence(last) + 1, f"the journal drops its oldest events, is at {stack.head()}"
    size = sum(file.stat().st_size for file in (stack.journal_folder / "journal").iterdir())
    assert size < 2 << 20
    stack.start_sync()

    journal, first, final, reason = the_gap(stack)
    assert (journal, reason) == (last.rpartition("-")[0], "truncated")
    assert first == sequence(last) + 1
    assert final is not None
    assert final > first
    # what is after the gap is stored, from its first event on
    stack.processes["fleet"].stop()
    stack.wait_stored_to(stack.head(), timeout=60)
    start_devices(stack)
    assert_flows_again(stack)
    assert_shown(stack, "truncated", final - first + 1)


def damage(folder: Path) -> None:
    """Overwrites the middle of every file of the journal."""
    files = [file for file in (folder / "journal").rglob("*") if file.is_file()]
    assert files
    for file in files:
        size = file.stat().st_size
        with file.open("r+b") as out:
            out.seek(size // 4)
            out.write(b"\xa5" * (size // 4))


def test_damaged(stack: Stack) -> None:
    """An unreadable journal is set aside and a new one begun; what vanished meanwhile is found by comparing."""
    start_all(stack)
    old = stack.head().rpartition("-")[0]
    assert stack.processes["leshan"].stop() == 0
    # no DEREGISTRATION will ever tell of these
    stack.processes["fleet"].kill()
    wait_for(
        lambda: stack.scalar("SELECT connected_since IS NULL FROM devices_leshanserver"), what="sync notices the loss"
    )
    before = {path for path in stack.journal_folder.rglob("*") if path.is_file()}
    damage(stack.journal_folder)
    stack.start_leshan("--log-level", "info")

    _, first, final, reason = the_gap(stack)
    assert reason == "other-journal"
    assert first is not None
    assert final is None
    new = stack.head().rpartition("-")[0]
    assert new != old
    # the damaged files are kept for a person to look at
    aside = [path for path in stack.journal_folder.rglob("*") if path.is_file() and path not in before]
    assert any(path.stat().st_size > 1000 for path in aside), aside
    assert stack.processes["leshan"].lines("journal"), "the log says what happened"
    for endpoint in ENDPOINTS:
        assert stack.status(endpoint) in {"offline", "online"}
    registered = stack.registered()
    stack.wait_status("offline", *(endpoint for endpoint in ENDPOINTS if endpoint not in registered))
    start_devices(stack)
    assert_flows_again(stack)
    assert stack.scalar("SELECT last_event_id FROM devices_leshanserver").startswith(new + "-")
    assert_shown(stack, "other-journal", None)


def test_deleted(stack: Stack) -> None:
    """Someone has deleted the journal: the credentials are still there and the devices come back by themselves."""
    start_all(stack)
    old = stack.head().rpartition("-")[0]
    assert stack.processes["leshan"].stop() == 0
    shutil.rmtree(stack.journal_folder / "journal")
    stack.start_leshan()
    _, _, _, reason = the_gap(stack)
    assert reason == "other-journal"
    assert stack.head().rpartition("-")[0] != old
    assert_flows_again(stack)


def test_reader_ahead(stack: Stack) -> None:
    """An older journal was put back: the reader knows events that the journal does not have."""
    start_all(stack)
    assert stack.processes["leshan"].stop() == 0
    backup = stack.folder / "backup"
    shutil.copytree(stack.journal_folder, backup)
    stack.start_leshan()
    stack.wait_online(*ENDPOINTS)
    stack.wait_more_samples(*ENDPOINTS, more=60, timeout=60)
    # the server is away with nobody to bring its counter up again before sync is back
    stack.processes["fleet"].kill()
    stack.wait_stored_to(stack.head())
    last = stop_sync(stack)
    assert stack.processes["leshan"].stop() == 0
    shutil.rmtree(stack.journal_folder)
    shutil.copytree(backup, stack.journal_folder)
    stack.start_leshan()
    head = stack.head()
    assert head.rpartition("-")[0] == last.rpartition("-")[0]
    assert sequence(head) < sequence(last)
    stack.start_sync()

    journal, first, final, reason = the_gap(stack)
    assert (journal, reason) == (last.rpartition("-")[0], "ahead")
    assert first is not None
    assert sequence(head) < first <= sequence(last)
    assert final == sequence(last)
    # the events to come have numbers that sync has seen before: they are new all the same
    start_devices(stack)
    assert_flows_again(stack)
    assert_shown(stack, "ahead", final - first + 1)
