"""Firmware updates of simulated devices over DTLS: byte for byte, every end that a device can bring about, and why.

Each test has devices of its own in one stack.
"""

import pytest

from tests.integration.conftest import NewStack
from tests.support.firmware import QUICK, Firmware, plain_image, sha256
from tests.support.waiting import wait_for

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def firmware(new_stack: NewStack) -> Firmware:
    """Everything running."""
    scene = Firmware(new_stack())
    scene.start(*QUICK, count=40)
    return scene


@pytest.fixture(autouse=True)
def faultless(firmware: Firmware) -> None:
    """No device misbehaves yet."""
    firmware.fault()


@pytest.mark.parametrize(("device", "method"), [("sim-1", "push"), ("sim-2", "pull")])
def test_a_mebibyte_byte_for_byte(firmware: Firmware, device: str, method: str) -> None:
    """What arrives is what was uploaded; the device restarts with it."""
    content = plain_image("2.0.0", size=MIB)
    image = firmware.image(content, version="2.0.0")
    ended = firmware.succeeds(device, image, method=method)
    said = firmware.said(device)
    assert (said["sha256"], said["size"]) == (sha256(content), MIB)
    assert (said["version"], said["executes"], said["installs"]) == ("2.0.0", 1, 1)
    assert (said["pushes"], said["pulls"]) == ((1, 0) if method == "push" else (0, 1))
    assert (ended["code"], ended["version_before"], ended["version_after"]) == ("succeeded", "1.0.0", "2.0.0")
    assert (ended["update_result"], ended["method_used"], ended["bytes_sent"]) == (1, method, MIB)


@pytest.mark.parametrize(
    ("device", "fault", "method", "code", "result"),
    [
        ("sim-3", "no-space", "push", "no-space", 2),
        ("sim-4", "no-memory", "push", "no-memory", 3),
        ("sim-5", "lost@2000:1", "pull", "connection-lost", 4),
        ("sim-6", "integrity", "push", "integrity", 5),
        ("sim-7", "unsupported", "push", "unsupported", 6),
        ("sim-8", "uri", "pull", "invalid-uri", 7),
        ("sim-9", "install-failed", "push", "install-failed", 8),
        ("sim-10", "install-failed-2", "push", "install-failed", 8),
        ("sim-11", "protocol", "pull", "protocol", 9),
    ],
)
def test_each_update_result(firmware: Firmware, device: str, fault: str, method: str, code: str, result: int) -> None:
    """The device's Update Result is the reason, in words."""
    firmware.fault(f"{device}:/5={fault}")
    ended = firmware.wait_end(firmware.ask(device, firmware.plain("2.1.0"), method=method))
    assert (ended["state"], ended["code"], ended["update_result"]) == ("failed", code, result)
    assert len(ended["reason"]) > 40
    assert firmware.said(device)["version"] == "1.0.0"


def test_result_1_with_a_constant_version(firmware: Firmware) -> None:
    """A success, with a warning."""
    firmware.fault("sim-12:/5=constant-version")
    ended = firmware.succeeds("sim-12", firmware.plain("2.2.0"))
    assert (ended["code"], ended["version_after"]) == ("succeeded-version-unchanged", "1.0.0")


@pytest.mark.parametrize(
    ("device", "fault", "method", "code"),
    [
        ("sim-13", "hang-1", "pull", "transfer-stalled"),
        ("sim-14", "hang-2", "push", "not-started"),
        ("sim-15", "hang-3", "push", "stuck-updating"),
        ("sim-16", "no-change", "push", "no-change"),
        ("sim-17", "silent@2000", "push", "transfer-stalled"),
        ("sim-18", "silent@2000", "pull", "transfer-stalled"),
        ("sim-19", "other-version:9.9.9", "push", "succeeded-other-version"),
    ],
)
def test_a_device_that_does_something_else(firmware: Firmware, device: str, fault: str, method: str, code: str) -> None:
    """It ends, and says what happened."""
    firmware.fault(f"{device}:/5={fault}")
    ended = firmware.wait_end(firmware.ask(device, firmware.plain("2.3.0"), method=method), timeout=120)
    assert ended["code"] == code, ended


def test_rolled_back(firmware: Firmware) -> None:
    """The new firmware does not stay: that is no success."""
    firmware.fault("sim-20:/5=rollback:2")
    ended = firmware.wait_end(firmware.ask("sim-20", firmware.plain("2.4.0"), hold_seconds=8))
    assert (ended["state"], ended["code"], ended["version_after"]) == ("failed", "rolled-back", "1.0.0")


@pytest.mark.parametrize(("device", "fault"), [("sim-21", "execute-mute"), ("sim-22", "execute-lost*1")])
def test_a_lost_execute(firmware: Firmware, device: str, fault: str) -> None:
    """No answer is no failure: the State decides whether it has to be said again."""
    firmware.fault(f"{device}:/5={fault}")
    firmware.succeeds(device, firmware.plain("2.5.0"))
    said = firmware.said(device)
    assert (said["version"], said["executes"], said["installs"]) == ("2.5.0", 1, 1)


@pytest.mark.parametrize(("device", "method"), [("sim-23", "push"), ("sim-24", "pull")])
def test_a_connection_lost_in_the_middle_is_tried_again(firmware: Firmware, device: str, method: str) -> None:
    """Once: the second transfer is whole."""
    content = plain_image("2.6.0", size=20_000)
    image = firmware.image(content, version="2.6.0")
    firmware.fault(f"{device}:/5=lost@9000:1*1")
    ended = firmware.succeeds(device, image, method=method)
    assert ended["transfers"] == 2
    assert firmware.said(device)["sha256"] == sha256(content)


def test_already_on_that_version(firmware: Firmware) -> None:
    """Nothing is sent."""
    ended = firmware.succeeds("sim-25", firmware.plain("1.0.0"))
    assert ended["code"] == "already-running"
    said = firmware.said("sim-25")
    assert (said["pushes"], said["pulls"], said["executes"]) == (0, 0, 0)


@pytest.mark.parametrize(("device", "method"), [("sim-26", "push"), ("sim-27", "pull")])
def test_cancelled_in_mid_transfer(firmware: Firmware, device: str, method: str) -> None:
    """The device forgets what it has, and takes another one afterwards."""
    firmware.fault(f"{device}:/5=slow:0.2")
    update = firmware.ask(device, firmware.plain("2.7.0", size=200_000), method=method)
    wait_for(lambda: firmware.get(update)["bytes_sent"] > 0, what=lambda: f"progress: {firmware.get(update)}")
    firmware.cancel(update)
    ended = firmware.wait_end(update)
    assert (ended["state"], ended["code"]) == ("cancelled", "cancelled")
    firmware.fault()
    said = firmware.said(device)
    assert (said["state"], said["executes"]) == (0, 0)
    firmware.succeeds(device, firmware.plain("2.7.1"), method=method)


def test_left_in_state_2_by_somebody_else(firmware: Firmware) -> None:
    """It is reset before the update starts."""
    device, control = "sim-28", firmware.control
    stack = firmware.stack
    answer = stack.leshan(
        "PUT",
        stack.client_path(device, "/5/0/0"),
        data=b"something",
        headers={"Content-Type": "application/octet-stream"},
    )
    assert answer.json()["success"], answer.text
    control.succeeds(device, "read", "/5/0/3")
    firmware.succeeds(device, firmware.plain("2.8.0"))
    assert firmware.said(device)["version"] == "2.8.0"


def test_a_failed_one_is_retried(firmware: Firmware) -> None:
    """By a person, when the cause is gone."""
    firmware.fault("sim-29:/5=install-failed")
    failed = firmware.wait_end(firmware.ask("sim-29", firmware.plain("2.9.0")))
    assert failed["state"] == "failed"
    firmware.fault()
    assert firmware.wait_end(firmware.retry(failed))["state"] == "succeeded"


def test_a_grant_is_for_one_device(firmware: Firmware) -> None:
    """Another device is told nothing of the package, though it knows the address."""
    image = firmware.plain("3.0.0", size=100_000)
    firmware.fault("sim-30:/5=slow:0.2")
    update = firmware.ask("sim-30", image, method="pull")
    wait_for(lambda: firmware.get(update)["bytes_sent"] > 0, what="the download has begun")
    uri = firmware.stack.scalar("SELECT package_uri FROM firmware_firmwareupdate WHERE id = ?", update["id"])
    firmware.control.succeeds("sim-31", "write", "/5/0/1", arguments={
        "node": {"kind": "singleResource", "id": 1, "type": "STRING", "value": uri}
    })  # fmt: skip
    wait_for(
        lambda: firmware.control.value("sim-31", "/5/0/5") not in {None, 0},
        what=lambda: f"refused: {firmware.control.value('sim-31', '/5/0/5')}",
    )
    assert firmware.said("sim-31")["pulls"] == 0
    firmware.fault()
    assert firmware.wait_end(update)["state"] == "succeeded"
