"""Firmware updates of simulated devices over DTLS: byte for byte, every end that a device can bring about, and why.

Each case has a device of its own in one stack.
"""

from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True)
class Case:
    """What a device does, and how its update has to end."""

    code: str
    fault: str = ""
    method: str = "push"
    # Update Result (5/0/5), where it matters
    result: int | None = None
    size: int = 4096
    version: str = "2.0.0"
    hold: int = 0


CASES = {
    "push": Case("succeeded", size=MIB, result=1),
    "pull": Case("succeeded", size=MIB, result=1, method="pull"),
    # every Update Result that a device may report
    "no-space": Case("no-space", "no-space", result=2),
    "no-memory": Case("no-memory", "no-memory", result=3),
    "lost": Case("connection-lost", "lost@2000:1", "pull", result=4),
    "integrity": Case("integrity", "integrity", result=5),
    "unsupported": Case("unsupported", "unsupported", result=6),
    "uri": Case("invalid-uri", "uri", "pull", result=7),
    "install-failed": Case("install-failed", "install-failed", result=8),
    "install-failed-2": Case("install-failed", "install-failed-2", result=8),
    "protocol": Case("protocol", "protocol", "pull", result=9),
    "cancelled": Case("cancelled-by-device", "cancelled", result=10),
    "deferred": Case("deferred", "deferred", result=11),
    # devices that do something else than they should
    "constant-version": Case("succeeded-version-unchanged", "constant-version", result=1),
    "hang-1": Case("transfer-stalled", "hang-1", "pull"),
    "hang-2": Case("not-started", "hang-2"),
    "hang-3": Case("stuck-updating", "hang-3"),
    "no-change": Case("no-change", "no-change"),
    "silent-push": Case("transfer-stalled", "silent@2000"),
    "silent-pull": Case("transfer-stalled", "silent@2000", "pull"),
    "other-version": Case("succeeded-other-version", "other-version:9.9.9"),
    "rollback": Case("rolled-back", "rollback:2", hold=8),
    # answers that get lost, connections that break once
    "execute-mute": Case("succeeded", "execute-mute"),
    "execute-lost": Case("succeeded", "execute-lost*1"),
    "lost-once-push": Case("succeeded", "lost@9000:1*1", size=20_000),
    "lost-once-pull": Case("succeeded", "lost@9000:1*1", "pull", size=20_000),
    "already": Case("already-running", version="1.0.0"),
}  # fmt: skip
NAMES = {name: f"sim-{number}" for number, name in enumerate(CASES, 1)}


@dataclass(frozen=True)
class Asked:
    """An update, and the bytes that it sends."""

    update: Any
    content: bytes


@pytest.fixture(scope="module")
def asked(firmware: Firmware) -> dict[str, Asked]:
    """The updates of all cases, under way at the same time."""
    firmware.fault(*(f"{NAMES[name]}:/5={case.fault}" for name, case in CASES.items() if case.fault))
    begun = {}
    for name, case in CASES.items():
        content = plain_image(case.version, size=case.size)
        image = firmware.image(content, version=case.version)
        begun[name] = Asked(firmware.ask(NAMES[name], image, method=case.method, hold_seconds=case.hold), content)
    return begun


@pytest.fixture(scope="module")
def ended(firmware: Firmware, asked: dict[str, Asked]) -> dict[str, Any]:
    """The same, when all of them are over and the devices have told of it."""
    over = {name: firmware.wait_end(one.update, timeout=150) for name, one in asked.items()}
    firmware.wait_fresh_report()
    return over


def said_by(firmware: Firmware, name: str) -> Any:
    """What the case's device says of its firmware."""
    return firmware.device(NAMES[name])["firmware"][0]


@pytest.mark.parametrize("name", CASES)
def test_how_it_ends(ended: dict[str, Any], name: str) -> None:
    """With its code, and a reason for people."""
    case, end = CASES[name], ended[name]
    assert end["code"] == case.code, end
    assert case.result in {None, end["update_result"]}
    assert len(end["reason"]) > 20
    assert end["lines"]


@pytest.mark.parametrize("name", ["push", "pull", "execute-mute", "execute-lost", "lost-once-push", "lost-once-pull"])
def test_byte_for_byte_and_installed_once(
    firmware: Firmware, asked: dict[str, Asked], ended: dict[str, Any], name: str
) -> None:
    """What arrives is what was uploaded; the device restarts with it, once."""
    content, said = asked[name].content, said_by(firmware, name)
    assert (said["sha256"], said["size"]) == (sha256(content), len(content))
    assert (said["version"], said["executes"], said["installs"]) == ("2.0.0", 1, 1)
    assert ended[name]["bytes_sent"] == len(content)
    assert ended[name]["method_used"] == CASES[name].method
    transfers = 2 if name.startswith("lost-once") else 1
    assert ended[name]["transfers"] == transfers
    assert said["pushes" if CASES[name].method == "push" else "pulls"] == transfers


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.result not in {None, 1}])
def test_a_failed_device_runs_what_it_ran(firmware: Firmware, ended: dict[str, Any], name: str) -> None:
    """And nothing else."""
    assert ended[name]["state"] == "failed"
    assert said_by(firmware, name)["version"] == "1.0.0"


def test_already_on_that_version(firmware: Firmware, ended: dict[str, Any]) -> None:
    """Nothing is sent."""
    said = said_by(firmware, "already")
    assert (said["pushes"], said["pulls"], said["executes"]) == (0, 0, 0)


# -- one after the other: what a person does meanwhile


@pytest.mark.parametrize(("device", "method"), [("sim-31", "push"), ("sim-32", "pull")])
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
    device, control = "sim-33", firmware.control
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
    firmware.fault("sim-34:/5=install-failed")
    failed = firmware.wait_end(firmware.ask("sim-34", firmware.plain("2.9.0")))
    assert failed["state"] == "failed"
    firmware.fault()
    assert firmware.wait_end(firmware.retry(failed))["state"] == "succeeded"


def test_a_grant_is_for_one_device(firmware: Firmware) -> None:
    """Another device is told nothing of the package, though it knows the address."""
    image = firmware.plain("3.0.0", size=20_000)
    firmware.fault("sim-35:/5=slow:0.2")
    update = firmware.ask("sim-35", image, method="pull")
    wait_for(lambda: firmware.get(update)["bytes_sent"] > 0, what="the download has begun")
    uri = firmware.stack.scalar("SELECT package_uri FROM firmware_firmwareupdate WHERE id = ?", update["id"])
    firmware.control.succeeds("sim-36", "write", "/5/0/1", arguments={
        "node": {"kind": "singleResource", "id": 1, "type": "STRING", "value": uri}
    })  # fmt: skip
    wait_for(lambda: firmware.said("sim-36")["result"] == 7, what=lambda: f"refused: {firmware.said('sim-36')}")
    assert firmware.said("sim-36")["sha256"] is None
    firmware.fault()
    assert firmware.wait_end(update)["state"] == "succeeded"


def test_a_modem_beside_the_application(firmware: Firmware) -> None:
    """Each instance of object 5 has a firmware of its own, and they are updated one after the other."""
    stack, report = firmware.stack, firmware.stack.folder / "modem-report"
    stack.provision("modem-1")
    flags = ("--firmware-instances", "2", "--report", str(report))
    stack.start_fleet(*QUICK, *flags, count=1, endpoint="modem-{n}", name="modem")
    stack.wait_online("modem-1")
    modem = firmware.ask("modem-1", firmware.plain("7.0.0"), object_instance=1)
    application = firmware.ask("modem-1", firmware.plain("8.0.0"), object_instance=0)
    assert firmware.wait_end(modem)["code"] == "succeeded"
    assert firmware.wait_end(application)["code"] == "succeeded"
    firmware.wait_fresh_report(report)
    said = firmware.device("modem-1", report=report)["firmware"]
    assert [(one["instance"], one["version"], one["installs"]) for one in said] == [(0, "8.0.0", 1), (1, "7.0.0", 1)]
