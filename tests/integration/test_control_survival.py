"""Commands outlive the end of every process, and wait for devices that sleep: none is lost, none is done twice."""

import pytest

from tests.integration.conftest import NewStack
from tests.support.scene import DEVICE, RESET, VALUE, Scene
from tests.support.stack import Stack

# a device notices within a second or two that the server has forgotten it
WATCHFUL = ("--backoff", "0.2", "--backoff-max", "1", "--update-period", "1")


@pytest.fixture(scope="module")
def shared(new_stack: NewStack) -> Scene:
    """Everything running, with a device for each test; requests may take long, so that they can be interrupted."""
    scene = Scene(new_stack(), seconds=30)
    scene.start(*WATCHFUL, count=3)
    return scene


@pytest.fixture
def scene(stack: Stack) -> Scene:
    """A stack of its own."""
    return Scene(stack)


def test_sync_killed_in_mid_command(shared: Scene) -> None:
    """The answer comes while `sync` is dead: it is there when it is back, and the device was asked once."""
    control, device = shared.control, "sim-1"
    shared.fault(f"{device}:{RESET}=late:3*1")
    command = control.ask(device, "execute", RESET)
    shared.wait_executed(device)
    shared.kill("sync")
    assert control.get(command)["state"] == "sent"
    shared.restart("sync")
    assert control.wait_end(command)["state"] == "succeeded"
    shared.wait_fresh_report()
    assert shared.executes(device) == 1
    control.succeeds(device, "read", VALUE)


def test_leshan_killed_in_mid_command(shared: Scene) -> None:
    """Its answer can never come: an execute says so, a read is asked again."""
    control, device = shared.control, "sim-2"
    shared.fault(f"{device}:{RESET}=late:20*1", f"{device}:{VALUE}@read=late:20*1")
    command = control.ask(device, "execute", RESET)
    shared.wait_executed(device)
    shared.kill("leshan")
    shared.restart("leshan")
    ended = control.wait_end(command)
    assert ended["state"] == "failed"
    assert "unknown whether the device did it" in ended["reason"]
    # the impatient device notices the loss with its next update
    shared.stack.wait_registered(device)
    reading = control.ask(device, "read", VALUE)
    control.wait_state(reading, "sent")
    shared.kill("leshan")
    # whether or not that one got there: the next is answered at once
    shared.fault()
    shared.restart("leshan")
    assert control.wait_end(reading, timeout=60)["state"] == "succeeded"
    shared.wait_fresh_report()
    assert shared.executes(device) == 1


def test_everything_killed_with_commands_waiting(shared: Scene) -> None:
    """Queued commands outlive every process, in their order."""
    control, device = shared.control, "sim-3"
    shared.fault(f"{device}:{VALUE}@read=silent")
    commands = [control.ask(device, "read", VALUE)]
    commands += [control.ask(device, "execute", RESET) for _ in range(5)]
    control.wait_state(commands[0], "sent")
    shared.kill("web", "sync", "leshan")
    shared.fault()
    shared.restart("leshan", "sync", "web")
    ended = [control.wait_end(command, timeout=60) for command in commands]
    assert {one["state"] for one in ended} == {"succeeded"}, ended
    times = [one["ended_at"] for one in ended]
    assert times == sorted(times)
    shared.wait_fresh_report()
    assert shared.executes(device) == 5


# -- sleeping devices


def test_twenty_commands_to_a_sleeper_over_a_restart_of_everything(scene: Scene) -> None:
    """They wait while it sleeps, and go out in their order when it wakes, whatever was restarted meanwhile."""
    control = scene.start("--sleepers", "1", "--awake-seconds", "2", "--sleep-seconds", "8", awake=2)
    scene.stack.wait_status("asleep", DEVICE, timeout=60)
    commands = [control.ask(DEVICE, "execute", RESET) for _ in range(20)]
    assert {control.get(one)["state"] for one in commands} == {"queued"}
    scene.kill("sync", "web", "leshan")
    scene.restart("leshan", "sync", "web")
    ended = [control.wait_end(one, timeout=90) for one in commands]
    assert {one["state"] for one in ended} == {"succeeded"}, [one for one in ended if one["state"] != "succeeded"]
    times = [one["ended_at"] for one in ended]
    assert times == sorted(times)
    scene.wait_fresh_report()
    assert scene.executes() == 20
