"""What the chart tests have written into the database: samples at any time, stretches in which we heard nothing."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from backend.devices.models import Change, Device, DeviceEvent, LeshanServer, ServerInterval
from backend.telemetry.models import Dashboard, Sample, Series, StaleHour

HOUR_US = 3_600_000_000


def _series(endpoint: str, path: str) -> Series:
    device, _ = Device.objects.get_or_create(endpoint=endpoint, defaults={"status": "online"})
    return Series.objects.get_or_create(device=device, path=path)[0]


def _stored(series: Series, rows: list[tuple[int, float | None, str | None]]) -> None:
    with transaction.atomic():
        Sample.objects.bulk_create(
            [Sample(series=series, time=time, number=number, text=text) for time, number, text in rows],
            ignore_conflicts=True,
            batch_size=5000,
        )
        StaleHour.objects.bulk_create(
            [StaleHour(series=series, hour=hour) for hour in sorted({time // HOUR_US for time, _, _ in rows})],
            ignore_conflicts=True,
        )
        Change.objects.create(device_id=series.device_id, kind=Change.Kind.VALUES)


def hours_mark() -> None:
    """Every hour that has samples is still to be summed up, as it is when sync has stored them."""
    pairs = {(series, time // HOUR_US) for series, time in Sample.objects.values_list("series_id", "time")}
    StaleHour.objects.bulk_create(
        [StaleHour(series_id=series, hour=hour) for series, hour in sorted(pairs)], ignore_conflicts=True
    )


def chart_samples(*, endpoint: str, path: str, samples: list[tuple[float, float | str]]) -> int:
    """[ms since 1970, number or text]; the series' id."""
    series = _series(endpoint, path)
    rows = [
        (round(at * 1000), None if isinstance(value, str) else value, value if isinstance(value, str) else None)
        for at, value in samples
    ]
    _stored(series, rows)
    return series.pk


def chart_wave(
    *,
    endpoint: str,
    path: str,
    seconds: float,
    every: float,
    end: float | None = None,
    level: float = 20,
    phase: float = 0,
) -> int:
    """A wave of so many seconds until `end` (ms since 1970; now), one sample every so many seconds."""
    until = timezone.now() if end is None else datetime.fromtimestamp(end / 1000, UTC)
    since = until - timedelta(seconds=seconds)
    first = round(since.timestamp() * 1_000_000)
    many = int(seconds / every)
    rows = [
        (
            first + round(i * every * 1e6),
            level + 5 * math.sin(phase + i * every / (seconds / 25)) + (i * 7919 % 13) / 10,
            None,
        )
        for i in range(many)
    ]
    series = _series(endpoint, path)
    _stored(series, rows)
    return series.pk


def chart_down(*, start: float, end: float, reason: str) -> None:
    """The event stream was down (ms since 1970)."""
    ServerInterval.objects.create(
        server=LeshanServer.objects.get(), state="down", reason=reason,
        started_at=datetime.fromtimestamp(start / 1000, UTC), ended_at=datetime.fromtimestamp(end / 1000, UTC),
    )  # fmt: skip


def chart_event(*, endpoint: str, at: float, kind: str = "registered", text: str = "Registered") -> None:
    """Something happened to a device (ms since 1970)."""
    DeviceEvent.objects.create(
        device=Device.objects.get(endpoint=endpoint), kind=kind, at=datetime.fromtimestamp(at / 1000, UTC), text=text
    )


def dashboards_clear() -> None:
    """No dashboard is left of an earlier test."""
    Dashboard.objects.all().delete()


COMMANDS: dict[str, Any] = {
    "chart_samples": chart_samples, "chart_wave": chart_wave, "chart_down": chart_down, "chart_event": chart_event,
    "dashboards_clear": dashboards_clear,
}  # fmt: skip
