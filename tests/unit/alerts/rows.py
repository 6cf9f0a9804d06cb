"""Rows and moves for the tests of alerts."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from backend.alerts.models import Alert, Rule
from backend.alerts.services import Evaluated, Evaluator, RuleFields, rule_create
from backend.devices.models import Device
from backend.lwm2m.times import us_of_datetime
from backend.telemetry.models import Series
from backend.telemetry.storage import SampleBuffer, samples_insert
from tests.unit.api.builders import NOW

TEMPERATURE = "/3303/0/5700"


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def us(moment: datetime) -> int:
    return us_of_datetime(moment)


def rule(name: str = "Too hot", **fields: Any) -> Rule:
    values: dict[str, Any] = {"name": name, "kind": "threshold", "path": TEMPERATURE, "limit": 30.0}
    return rule_create(fields=RuleFields(**{**values, **fields}), by=None)


def said(
    device: Device,
    values: Iterable[tuple[float, float | str]],
    *,
    received: float | None = None,
    path: str = TEMPERATURE,
    base: datetime = NOW,
) -> None:
    """Samples at seconds after `base`; `received` (seconds after NOW) makes the times the device's own."""
    series, _ = Series.objects.get_or_create(device=device, path=path)
    buffer = SampleBuffer()
    for seconds, value in values:
        time = us(base + timedelta(seconds=seconds))
        delay = None if received is None else (us(at(received)) - time) // 1000
        number, text = (None, value) if isinstance(value, str) else (value, None)
        buffer.add(series.pk, time, number, text, delay)
    samples_insert(buffer)


class Play:
    """An evaluator that is asked as `sync` does."""

    def __init__(self) -> None:
        self.evaluator = Evaluator()

    def __call__(self, seconds: float, *devices: Device, everything: bool = False) -> Evaluated:
        ids = None if everything else {one.pk for one in devices}
        done = self.evaluator.evaluate(device_ids=ids, now=at(seconds), budget_seconds=60)
        assert not done.more
        return done


def alerts() -> list[Alert]:
    return list(Alert.objects.order_by("id"))


def open_alerts() -> list[Alert]:
    return list(Alert.objects.filter(cleared_at=None).order_by("id"))


def seconds_of(moment: datetime | None) -> float:
    assert moment is not None
    return (moment.astimezone(UTC) - NOW).total_seconds()
