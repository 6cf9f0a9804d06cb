"""Devices that misbehave or sleep before they answer: a command ends and says the truth, nothing is done twice.

Each test has devices of its own in one stack.
"""

import pytest

from tests.integration.conftest import NewStack
from tests.support.control import Control
from tests.support.scene import RESET, VALUE, Scene
from tests.support.waiting import wait_for


@pytest.fixture(scope="module")
def scene(new_stack: NewStack) -> Scene:
    """Everything running."""
    scene = Scene(new_stack())
    scene.start("--backoff", "0.2", count=16)
    return scene


@pytest.fixture
def control(scene: Scene) -> Control:
    """An administrator's commands; no device misbehaves yet."""
    scene.fault()
    return scene.control


@pytest.mark.parametrize(
    ("device", "fault", "status", "words"),
    [
        ("sim-1", "bad_request", "BAD_REQUEST(400)", "4.00"),
        ("sim-2", "not_found", "NOT_FOUND(404)", "4.04"),
        ("sim-3", "method_not_allowed", "METHOD_NOT_ALLOWED(405)", "4.05"),
        ("sim-4", "internal_error", "INTERNAL_SERVER_ERROR(500)", "5.00"),
    ],
)
def test_errors_from_a_device(scene: Scene, control: Control, device: str, fault: str, status: str, words: str) -> None:
    """The device's refusal is final: one request, one failure, in words."""
    scene.fault(f"{device}:{VALUE}@read={fault}")
    ended = control.done(device, "read", VALUE)
    assert (ended["state"], ended["status"], ended["attempts"]) == ("failed", status, 1)
    assert words in ended["reason"]


def test_a_silent_read_is_asked_again(scene: Scene, control: Control) -> None:
    """No answer, then one: the command waits, says so, and succeeds."""
    scene.fault(f"sim-5:{VALUE}@read=silent")
    command = control.ask("sim-5", "read", VALUE)
    waiting = wait_for(
        lambda: (now := control.get(command))["attempts"] >= 1 and now["state"] == "queued" and now,
        what=lambda: f"waiting: {control.get(command)}",
    )
    assert "no answer" in waiting["reason"]
    scene.fault()
    assert control.wait_end(command)["state"] == "succeeded"


def test_a_silent_read_expires(scene: Scene, control: Control) -> None:
    """Until its time is over."""
    scene.fault(f"sim-6:{VALUE}@read=silent")
    ended = control.done("sim-6", "read", VALUE, expires_in=3)
    assert ended["state"] == "expired"
    assert "no answer" in ended["reason"].lower()


def test_a_silent_execute_is_not_repeated(scene: Scene, control: Control) -> None:
    """Done, but the answer is lost: nobody can know, and nobody tries again."""
    scene.fault(f"sim-7:{RESET}=execute_then_silent")
    ended = control.done("sim-7", "execute", RESET)
    assert ended["state"] == "failed"
    assert "unknown whether the device did it" in ended["reason"]
    scene.wait_fresh_report()
    assert scene.executes("sim-7") == 1


def test_a_device_that_dies(scene: Scene, control: Control) -> None:
    """Gone in mid-command, back with a new registration: a read is asked again, an execute is not."""
    scene.fault(f"sim-8:{VALUE}@read=die:1*1")
    assert control.succeeds("sim-8", "read", VALUE)["attempts"] == 2
    scene.fault(f"sim-8:{RESET}=die:1*1")
    ended = control.done("sim-8", "execute", RESET)
    assert ended["state"] == "failed"
    assert "unknown whether the device did it" in ended["reason"]
    scene.wait_fresh_report()
    assert scene.executes("sim-8") == 0


def test_a_device_that_registers_anew_in_mid_command(scene: Scene, control: Control) -> None:
    """The answer counts all the same, or the end says that it is unknown: never a second execute."""
    scene.fault(f"sim-9:{RESET}=reregister:0.5*1")
    ended = control.done("sim-9", "execute", RESET)
    scene.wait_fresh_report()
    assert scene.executes("sim-9") == 1
    if ended["state"] != "succeeded":
        assert ended["state"] == "failed"
        assert "unknown whether the device did it" in ended["reason"]
    # and it goes on
    control.succeeds("sim-9", "read", VALUE)


def test_cancel_in_flight(scene: Scene, control: Control) -> None:
    """A request that is out is taken back; the device's next one goes on."""
    scene.fault(f"sim-10:{VALUE}@read=silent")
    command = control.ask("sim-10", "read", VALUE)
    control.wait_state(command, "sent")
    assert control.cancel(command).status_code in {200, 202}
    ended = control.wait_end(command)
    assert ended["state"] == "cancelled"
    assert ended["cancelled_by"] == "admin"
    control.succeeds("sim-10", "read", "/3/0/0")


def test_cancel_while_queued(scene: Scene, control: Control) -> None:
    """At once, and it never goes out."""
    scene.fault(f"sim-11:{VALUE}@read=silent")
    blocking = control.ask("sim-11", "read", VALUE)
    control.wait_state(blocking, "sent")
    command = control.ask("sim-11", "execute", RESET)
    assert control.cancel(command).json()["state"] == "cancelled"
    # what has ended cannot be cancelled
    assert control.cancel(command).status_code == 409
    assert control.cancel(blocking).status_code in {200, 202}
    control.wait_end(blocking)
    control.succeeds("sim-11", "read", "/3/0/0")
    scene.wait_fresh_report()
    assert scene.executes("sim-11") == 0


def test_one_silent_device_holds_up_nobody(scene: Scene, control: Control) -> None:
    """Each device has its own line."""
    scene.fault("sim-12:/=silent", "sim-13:/=silent")
    stuck = [control.ask(f"sim-{number}", "read", VALUE) for number in (12, 13)]
    for number in (14, 15, 16):
        assert control.succeeds(f"sim-{number}", "read", VALUE, timeout=3)
    for command in stuck:
        assert control.get(command)["state"] in {"sent", "queued"}


def test_twenty_commands_fit_an_awake_window(scene: Scene, control: Control) -> None:
    """Up for 5 s at a round trip of 100 ms: one waking is enough for twenty."""
    device = "nap-1"
    made = control.person.send("POST", "/profiles", {"name": "Sleeper", "awake_seconds": 5})
    assert made.status_code == 201, made.text
    scene.stack.provision(device)
    given = control.person.send("PATCH", f"/devices/{device}", {"profile": "Sleeper"})
    assert given.status_code == 200, given.text
    report = scene.stack.folder / "report-of-sleeper"
    scene.stack.start_fleet(
        *("--sleepers", "1", "--awake-seconds", "5", "--sleep-seconds", "7", "--round-trip", "100"),
        *("--report", str(report), "--interval", "3600"),
        count=1,
        endpoint="nap-{n}",
        name="sleeper",
    )
    scene.stack.wait_status("asleep", device, timeout=60)
    wakes = scene.device(device, report=report)["wakes"]
    commands = [control.ask(device, "read", VALUE) for _ in range(20)]
    assert {control.get(one)["state"] for one in commands} == {"queued"}
    for command in commands:
        assert control.wait_end(command, timeout=60)["state"] == "succeeded"
    scene.wait_fresh_report(report)
    assert scene.device(device, report=report)["wakes"] == wakes + 1
