"""Firmware updates outlive the end of every process at every point: nothing is installed twice, nothing hangs."""

import pytest

from tests.integration.conftest import NewStack
from tests.support.firmware import QUICK, Firmware, plain_image, sha256

# a device notices within a second or two that the server has forgotten it
WATCHFUL = ("--update-period", "1")
CASES = [
    (step, process)
    for step in ("check", "deliver", "fetch", "execute", "install", "hold")
    for process in ("sync", "leshan")
]


@pytest.fixture(scope="module")
def firmware(new_stack: NewStack) -> Firmware:
    """Everything running; installing takes long enough to be interrupted."""
    scene = Firmware(new_stack(), seconds=5, stall=5, install=30, transfers=4)
    scene.start(*QUICK, *WATCHFUL, "--install-seconds", "3", count=len(CASES) + 3)
    return scene


# what makes a device stay long enough in a step
SLOW = {
    "check": "{}:/5/0@read=late:2*1",
    "deliver": "{}:/5=slow:0.2",
    "fetch": "{}:/5=slow:0.2",
    "execute": "{}:/5=execute-mute",
}


@pytest.mark.parametrize(("number", "step", "process"), [(number, *case) for number, case in enumerate(CASES, 1)])
def test_killed_in_every_step(firmware: Firmware, number: int, step: str, process: str) -> None:
    """The right end, and one installation."""
    device = f"sim-{number}"
    firmware.fault(*([SLOW[step].format(device)] if step in SLOW else []))
    content = plain_image("2.0.0", size=40_000)
    image = firmware.image(content, version="2.0.0")
    method = "pull" if step == "fetch" else "push"
    update = firmware.ask(device, image, method=method, hold_seconds=6 if step == "hold" else 0)
    firmware.wait_for(update, step=step)
    firmware.kill(process)
    firmware.fault()
    firmware.restart(process)
    ended = firmware.wait_end(update, timeout=120)
    assert ended["state"] == "succeeded", ended
    said = firmware.said(device)
    assert (said["version"], said["sha256"]) == ("2.0.0", sha256(content))
    assert (said["executes"], said["installs"]) == (1, 1)


def test_everything_killed_with_updates_under_way(firmware: Firmware) -> None:
    """All at once, in different steps."""
    devices = [f"sim-{len(CASES) + number}" for number in (1, 2, 3)]
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
