"""Firmware updates outlive the end of every process at every point: nothing is installed twice, nothing hangs."""

import pytest

from tests.integration.conftest import NewStack
from tests.support.firmware import QUICK, Firmware, plain_image, sha256

# a device notices within a second or two that the server has forgotten it
WATCHFUL = ("--update-period", "1")
SLOWLY = QUICK[2:]
# step in which the update is interrupted → what makes the device stay in it long enough
STEPS = {
    "check": "{}:/5/0@read=late:8*1",
    "deliver": "{}:/5=slow:0.3",
    "fetch": "{}:/5=slow:0.3",
    "execute": "{}:/5=execute-mute",
    "install": "",
    "hold": "",
}
PROCESSES = {"sync": 0, "leshan": len(STEPS)}
COUNT = len(STEPS) * len(PROCESSES) + 3


@pytest.fixture(scope="module")
def firmware(new_stack: NewStack) -> Firmware:
    """Everything running; installing takes long enough to be interrupted."""
    scene = Firmware(new_stack(), seconds=10, stall=5, install=30, transfers=4)
    scene.start(*SLOWLY, *WATCHFUL, "--install-seconds", "5", count=COUNT, awake=2)
    return scene


@pytest.mark.parametrize("process", PROCESSES)
def test_killed_in_every_step(firmware: Firmware, process: str) -> None:
    """Six devices, each in another step at that moment: the right end, and one installation each."""
    devices = {step: f"sim-{PROCESSES[process] + number}" for number, step in enumerate(STEPS, 1)}
    firmware.fault(*(fault.format(devices[step]) for step, fault in STEPS.items() if fault))
    content = plain_image("2.0.0", size=40_000)
    image = firmware.image(content, version="2.0.0")
    updates = {}
    # those that stay longest in their step begin first
    for step in ("hold", "deliver", "fetch", "check", "execute", "install"):
        method = "pull" if step == "fetch" else "push"
        updates[step] = firmware.ask(devices[step], image, method=method, hold_seconds=30 if step == "hold" else 0)
        if step != "execute":
            firmware.wait_for(updates[step], step=step)
    assert {step: firmware.get(update)["step"] for step, update in updates.items()} == {step: step for step in STEPS}
    firmware.kill(process)
    firmware.fault()
    firmware.restart(process)
    ended = {step: firmware.wait_end(update, timeout=120) for step, update in updates.items()}
    firmware.wait_fresh_report()
    for step, device in devices.items():
        assert ended[step]["state"] == "succeeded", ended[step]
        said = firmware.device(device)["firmware"][0]
        assert (said["version"], said["sha256"]) == ("2.0.0", sha256(content))
        assert (said["executes"], said["installs"]) == (1, 1), step


def test_everything_killed_with_updates_under_way(firmware: Firmware) -> None:
    """All at once, in different steps."""
    devices = [f"sim-{COUNT - number}" for number in (2, 1, 0)]
    image = firmware.plain("2.1.0", size=60_000)
    firmware.fault(*(f"{device}:/5=slow:0.1" for device in devices[:2]))
    updates = [
        firmware.ask(device, image, method=method)
        for device, method in zip(devices, ("push", "pull", "push"), strict=True)
    ]
    firmware.wait_for(updates[2], state="updating")
    firmware.kill("web", "sync", "leshan")
    firmware.fault()
    firmware.restart("leshan", "sync", "web")
    for device, update in zip(devices, updates, strict=True):
        assert firmware.wait_end(update, timeout=120)["state"] == "succeeded"
        said = firmware.said(device)
        assert (said["version"], said["executes"], said["installs"]) == ("2.1.0", 1, 1)


def test_a_device_that_was_off_is_taken_up_when_it_returns(firmware: Firmware) -> None:
    """An update waits for it, whoever is restarted meanwhile."""
    stack = firmware.stack
    stack.provision("late-1")
    image = firmware.plain("2.2.0")
    update = firmware.ask("late-1", image)
    firmware.kill("sync")
    firmware.restart("sync")
    assert firmware.get(update)["state"] == "pending"
    report = stack.folder / "late-report"
    stack.start_fleet(*QUICK, "--report", str(report), count=1, endpoint="late-{n}", name="late")
    assert firmware.wait_end(update)["state"] == "succeeded"


def test_a_sleeping_device(firmware: Firmware) -> None:
    """It is updated in its waking times."""
    stack = firmware.stack
    stack.provision("sleepy-1")
    stack.start_fleet(
        *QUICK,
        "--sleepers",
        "1",
        "--awake-seconds",
        "2",
        "--sleep-seconds",
        "4",
        count=1,
        endpoint="sleepy-{n}",
        name="sleepy",
    )
    stack.wait_status("asleep", "sleepy-1", timeout=150)
    update = firmware.ask("sleepy-1", firmware.plain("2.3.0", size=30_000))
    assert firmware.wait_end(update, timeout=120)["state"] == "succeeded"
