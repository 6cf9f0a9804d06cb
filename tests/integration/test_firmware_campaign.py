"""A rollout to a hundred simulated devices, with a safety net."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.conftest import NewStack
from tests.support.firmware import QUICK, Firmware
from tests.support.waiting import wait_for

COUNT = 100
PHASES = [5, 25, 50, 100]


@pytest.fixture(scope="module")
def firmware(new_stack: NewStack) -> Firmware:
    """A hundred devices."""
    scene = Firmware(new_stack(), seconds=10, stall=20, install=30)
    scene.start(*QUICK, count=COUNT)
    return scene


def status(firmware: Firmware, campaign: int) -> Any:
    """The campaign as the API tells it."""
    return firmware.control.person.api(f"/firmware/campaigns/{campaign}")


def test_a_threshold_stops_it_and_a_retry_completes_it(firmware: Firmware) -> None:
    """Five devices of the second phase cannot install it: the rest is not touched, until a person goes on."""
    person = firmware.control.person
    image = firmware.plain("2.0.0", size=8000)
    body = {
        "name": "Rollout", "image": image["id"], "filter": {}, "phases": PHASES, "concurrency": 20,
        "success_threshold": 80, "error_threshold": 10, "hold_seconds": 0,
        "start_at": (datetime.now(UTC) + timedelta(seconds=5)).isoformat(),
    }  # fmt: skip
    answer = person.send("POST", "/firmware/campaigns", body)
    assert answer.status_code == 201, answer.text
    campaign = answer.json()["id"]
    # nothing has begun: the devices of the second phase can be made to fail
    rows = firmware.stack.query(
        "SELECT d.endpoint FROM firmware_firmwareupdate u JOIN devices_device d ON d.id = u.device_id"
        " WHERE u.campaign_id = ? AND u.phase = 1 ORDER BY u.id LIMIT 5",
        campaign,
    )
    bad = [endpoint for (endpoint,) in rows]
    assert len(bad) == 5
    firmware.fault(*(f"{device}:/5=install-failed" for device in bad))

    def stopped() -> bool:
        return status(firmware, campaign)["status"] == "stopped"

    wait_for(stopped, timeout=90, what=lambda: f"stopped: {status(firmware, campaign)}")
    wait_for(
        lambda: not any(
            status(firmware, campaign)["counts"][state] for state in ("downloading", "downloaded", "updating")
        ),
        timeout=60, what="what had begun has ended",
    )  # fmt: skip
    untouched = firmware.stack.scalar(
        "SELECT count(*) FROM firmware_firmwareupdate WHERE campaign_id = ? AND state = 'pending' AND phase >= 2",
        campaign,
    )
    assert untouched == 75
    firmware.fault()
    for action in ("retry", "resume"):
        answer = person.send("POST", f"/firmware/campaigns/{campaign}", {"action": action})
        assert answer.status_code == 200, answer.text
    wait_for(
        lambda: status(firmware, campaign)["status"] == "finished",
        timeout=180,
        what=lambda: f"finished: {status(firmware, campaign)}",
    )
    assert status(firmware, campaign)["counts"]["succeeded"] == COUNT
    firmware.wait_fresh_report()
    for number in range(1, COUNT + 1):
        said = firmware.device(f"sim-{number}")["firmware"][0]
        assert (said["version"], said["installs"]) == ("2.0.0", 1), said
