"""What goes wrong between a command and its answer: it always ends and says the truth, nothing is done twice."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.control import Control
from tests.support.stack import Stack
from tests.support.waiting import wait_for

DEVICE = "sim-1"
RESET = "/3303/0/5605"
VALUE = "/3303/0/5700"
# a device that does not answer is given up after this
SECONDS = "2"


class Scene:
    """Everything running, with devices that misbehave on demand."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.report = stack.folder / "report"
        self.faults = stack.folder / "faults"
        stack.extra_env["FLOWNEXUS_REQUEST_SECONDS"] = SECONDS

    def start(self, *fleet: str, count: int = 1, awake: int = 93) -> Control:
        """All processes; the fleet with these flags. `awake`: seconds that Leshan takes a quiet sleeper to listen."""
        stack = self.stack
        self.leshan = ("--awake-seconds", str(awake))
        stack.provision(*(f"sim-{number}" for number in range(1, count + 1)))
        stack.start_leshan(*self.leshan)
        stack.start_sync()
        stack.start_web()
        stack.start_fleet(
            *("--report", str(self.report), "--fault-file", str(self.faults), "--interval", "3600", *fleet),
            count=count,
        )
        stack.wait_online(*(f"sim-{number}" for number in range(1, count + 1)))
        self.control = Control(stack)
        return self.control

    def fault(self, *lines: str) -> None:
        """From now on."""
        draft = Path(f"{self.faults}.new")
        draft.write_text("".join(f"{line}\n" for line in lines))
        draft.rename(self.faults)

    def device(self, endpoint: str = DEVICE) -> dict[str, Any]:
        """What the device says of itself."""
        lines = [json.loads(line) for line in self.report.read_text().splitlines()]
        found: dict[str, Any] = next(line for line in lines if line["endpoint"] == endpoint)
        return found

    def executes(self, path: str = RESET, endpoint: str = DEVICE) -> int:
        """How often it was really done, as the newest report says."""
        count: int = self.device(endpoint)["paths"].get(path, {}).get("executes", 0)
        return count

    def wait_fresh_report(self) -> None:
        """A report that was written after now."""
        written = self.report.stat().st_mtime_ns
        for _ in range(2):
            wait_for(lambda: self.report.stat().st_mtime_ns > written, what="a new report")  # noqa: B023 - at once
            written = self.report.stat().st_mtime_ns


@pytest.fixture
def scene(stack: Stack) -> Iterator[Scene]:
    """A stack of its own for each test."""
    return Scene(stack)


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        ("bad_request", "BAD_REQUEST(400)", "4.00"),
        ("not_found", "NOT_FOUND(404)", "4.04"),
        ("method_not_allowed", "METHOD_NOT_ALLOWED(405)", "4.05"),
        ("internal_error", "INTERNAL_SERVER_ERROR(500)", "5.00"),
    ],
)
def test_errors_from_a_device(scene: Scene, fault: str, status: str, words: str) -> None:
    """The device's refusal is final: one request, one failure, in words."""
    scene.fault(f"{VALUE}@read={fault}")
    control = scene.start()
    ended = control.done(DEVICE, "read", VALUE)
    assert (ended["state"], ended["status"], ended["attempts"]) == ("failed", status, 1)
    assert words in ended["reason"]


def test_a_silent_read_is_asked_again(scene: Scene) -> None:
    """No answer, then one: the command waits, says so, and succeeds."""
    control = scene.start()
    scene.fault(f"{VALUE}@read=silent")
    command = control.ask(DEVICE, "read", VALUE)
    waiting = wait_for(
        lambda: (now := control.get(command))["attempts"] >= 1 and now["state"] == "queued" and now,
        what=lambda: f"waiting: {control.get(command)}",
    )
    assert "no answer" in waiting["reason"]
    scene.fault()
    assert control.wait_end(command)["state"] == "succeeded"


def test_a_silent_read_expires(scene: Scene) -> None:
    """Until its time is over."""
    control = scene.start()
    scene.fault(f"{VALUE}@read=silent")
    ended = control.done(DEVICE, "read", VALUE, expires_in=3)
    assert ended["state"] == "expired"
    assert "no answer" in ended["reason"].lower()


def test_a_silent_execute_is_not_repeated(scene: Scene) -> None:
    """Done, but the answer is lost: nobody can know, and nobody tries again."""
    control = scene.start()
    scene.fault(f"{RESET}=execute_then_silent")
    ended = control.done(DEVICE, "execute", RESET)
    assert ended["state"] == "failed"
    assert "unknown whether the device did it" in ended["reason"]
    scene.wait_fresh_report()
    assert scene.executes() == 1


def test_a_device_that_dies(scene: Scene) -> None:
    """Gone in mid-command, back with a new registration: a read is asked again, an execute is not."""
    control = scene.start("--backoff", "0.2")
    scene.fault(f"{VALUE}@read=die:1*1")
    assert control.succeeds(DEVICE, "read", VALUE)["attempts"] == 2
    scene.fault(f"{RESET}=die:1*1")
    ended = control.done(DEVICE, "execute", RESET)
    assert ended["state"] == "failed"
    assert "unknown whether the device did it" in ended["reason"]
    scene.wait_fresh_report()
    assert scene.executes() == 0


def test_a_device_that_registers_anew_in_mid_command(scene: Scene) -> None:
    """The answer counts all the same, or the end says that it is unknown: never a second execute."""
    control = scene.start()
    scene.fault(f"{RESET}=reregister:0.5*1")
    ended = control.done(DEVICE, "execute", RESET)
    scene.wait_fresh_report()
    assert scene.executes() == 1
    if ended["state"] != "succeeded":
        assert ended["state"] == "failed"
        assert "unknown whether the device did it" in ended["reason"]
    # and it goes on
    control.succeeds(DEVICE, "read", VALUE)


def wait_executed(scene: Scene) -> None:
    """Until the device has done it, though it has not answered."""
    wait_for(lambda: scene.executes() == 1, what=lambda: f"executed: {scene.device()}")


def test_sync_killed_in_mid_command(scene: Scene) -> None:
    """The answer comes while `sync` is dead: it is there when it is back, and the device was asked once."""
    control = scene.start("--max-retransmit", "4")
    scene.stack.processes["sync"].kill()
    scene.stack.extra_env["FLOWNEXUS_REQUEST_SECONDS"] = "30"
    scene.stack.start_sync()
    scene.fault(f"{RESET}=late:3*1")
    command = control.ask(DEVICE, "execute", RESET)
    wait_executed(scene)
    scene.stack.processes["sync"].kill()
    assert control.get(command)["state"] == "sent"
    scene.stack.start_sync()
    assert control.wait_end(command)["state"] == "succeeded"
    scene.wait_fresh_report()
    assert scene.executes() == 1
    control.succeeds(DEVICE, "read", VALUE)


def test_leshan_killed_in_mid_command(scene: Scene) -> None:
    """Its answer can never come: an execute says so, a read is asked again."""
    control = scene.start("--backoff", "0.2", "--backoff-max", "1", "--update-period", "1")
    scene.stack.processes["sync"].kill()
    scene.stack.extra_env["FLOWNEXUS_REQUEST_SECONDS"] = "30"
    scene.stack.start_sync()
    scene.fault(f"{RESET}=late:20*1", f"{VALUE}@read=late:20*1")
    command = control.ask(DEVICE, "execute", RESET)
    wait_executed(scene)
    scene.stack.processes["leshan"].kill()
    scene.stack.start_leshan(*scene.leshan)
    ended = control.wait_end(command)
    assert ended["state"] == "failed"
    assert "unknown whether the device did it" in ended["reason"]
    # the impatient device notices the loss with its next update
    scene.stack.wait_registered(DEVICE)
    reading = control.ask(DEVICE, "read", VALUE)
    control.wait_state(reading, "sent")
    scene.stack.processes["leshan"].kill()
    scene.stack.start_leshan(*scene.leshan)
    assert control.wait_end(reading, timeout=60)["state"] == "succeeded"
    scene.wait_fresh_report()
    assert scene.executes() == 1


def test_everything_killed_with_commands_waiting(scene: Scene) -> None:
    """Queued commands outlive every process, in their order."""
    control = scene.start("--backoff", "0.2", "--backoff-max", "1")
    scene.fault(f"{VALUE}@read=silent")
    commands = [control.ask(DEVICE, "read", VALUE)]
    commands += [control.ask(DEVICE, "execute", RESET) for _ in range(5)]
    control.wait_state(commands[0], "sent")
    for name in ("web", "sync", "leshan"):
        scene.stack.processes[name].kill()
    scene.fault()
    scene.stack.start_leshan(*scene.leshan)
    scene.stack.start_sync()
    scene.stack.start_web()
    ended = [control.wait_end(command, timeout=60) for command in commands]
    assert {one["state"] for one in ended} == {"succeeded"}, ended
    times = [one["ended_at"] for one in ended]
    assert times == sorted(times)
    scene.wait_fresh_report()
    assert scene.executes() == 5


def test_cancel_in_flight(scene: Scene) -> None:
    """A request that is out is taken back; the device's next one goes on."""
    control = scene.start()
    scene.fault(f"{VALUE}@read=silent")
    command = control.ask(DEVICE, "read", VALUE)
    control.wait_state(command, "sent")
    assert control.cancel(command).status_code in {200, 202}
    ended = control.wait_end(command)
    assert ended["state"] == "cancelled"
    assert ended["cancelled_by"] == "admin"
    control.succeeds(DEVICE, "read", "/3/0/0")


def test_cancel_while_queued(scene: Scene) -> None:
    """At once, and it never goes out."""
    control = scene.start()
    scene.fault(f"{VALUE}@read=silent")
    blocking = control.ask(DEVICE, "read", VALUE)
    control.wait_state(blocking, "sent")
    command = control.ask(DEVICE, "execute", RESET)
    assert control.cancel(command).json()["state"] == "cancelled"
    # what has ended cannot be cancelled
    assert control.cancel(command).status_code == 409
    scene.fault()
    control.wait_end(blocking)
    control.succeeds(DEVICE, "read", "/3/0/0")
    scene.wait_fresh_report()
    assert scene.executes() == 0


def test_one_silent_device_holds_up_nobody(scene: Scene) -> None:
    """Each device has its own line."""
    control = scene.start(count=5)
    scene.fault("sim-1:/=silent", "sim-2:/=silent")
    stuck = [control.ask(f"sim-{number}", "read", VALUE) for number in (1, 2)]
    for number in (3, 4, 5):
        assert control.succeeds(f"sim-{number}", "read", VALUE, timeout=3)
    for command in stuck:
        assert control.get(command)["state"] in {"sent", "queued"}


# -- sleeping devices


def test_twenty_commands_to_a_sleeper_over_a_restart_of_everything(scene: Scene) -> None:
    """They wait while it sleeps, and go out in their order when it wakes, whatever was restarted meanwhile."""
    control = scene.start("--sleepers", "1", "--awake-seconds", "2", "--sleep-seconds", "8", awake=2)
    scene.stack.wait_status("asleep", DEVICE, timeout=60)
    commands = [control.ask(DEVICE, "execute", RESET) for _ in range(20)]
    assert {control.get(one)["state"] for one in commands} == {"queued"}
    for name in ("sync", "web", "leshan"):
        scene.stack.processes[name].kill()
    scene.stack.start_leshan(*scene.leshan)
    scene.stack.start_sync()
    scene.stack.start_web()
    ended = [control.wait_end(one, timeout=90) for one in commands]
    assert {one["state"] for one in ended} == {"succeeded"}, [one for one in ended if one["state"] != "succeeded"]
    times = [one["ended_at"] for one in ended]
    assert times == sorted(times)
    scene.wait_fresh_report()
    assert scene.executes() == 20


def test_twenty_commands_fit_an_awake_window(scene: Scene) -> None:
    """Up for 5 s at a round trip of 100 ms: one waking is enough for twenty."""
    control = scene.start(
        "--sleepers", "1", "--awake-seconds", "5", "--sleep-seconds", "10", "--round-trip", "100", awake=5
    )
    scene.stack.wait_status("asleep", DEVICE, timeout=60)
    wakes = scene.device()["wakes"]
    commands = [control.ask(DEVICE, "read", VALUE) for _ in range(20)]
    assert {control.get(one)["state"] for one in commands} == {"queued"}
    for command in commands:
        assert control.wait_end(command, timeout=60)["state"] == "succeeded"
    scene.wait_fresh_report()
    assert scene.device()["wakes"] == wakes + 1
