"""Why there is nothing in a hole: what devices told of themselves."""

import pytest

from backend.devices.models import DeviceEvent
from backend.lwm2m.times import datetime_of_us
from backend.telemetry.selectors import gaps
from tests.unit.api.builders import T0, device

pytestmark = [pytest.mark.django_db, pytest.mark.database]

SECOND = 1_000_000
END = T0 + 1000 * SECOND


def test_a_device_that_registers_all_the_time_hides_nothing_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gaps, "_EVENTS", 20)
    restless, calm = device("restless"), device("calm")

    def event(of: object, kind: str, second: int) -> DeviceEvent:
        return DeviceEvent(device=of, kind=kind, at=datetime_of_us(T0 + second * SECOND))  # type: ignore[misc]

    DeviceEvent.objects.bulk_create([event(calm, "expired", -10), event(calm, "registered", 100)])
    DeviceEvent.objects.bulk_create([event(calm, "expired", 200), event(calm, "registered", 250)])
    DeviceEvent.objects.bulk_create([event(restless, "registered", 300 + number) for number in range(50)])
    alone = gaps._lives(["calm"], T0, END)["calm"]
    assert [(at - T0) // SECOND for at, _ in alone] == [0, 100, 200, 250]
    assert gaps._lives(["calm", "restless"], T0, END)["calm"] == alone
