"""What the API answers for charts. Times are milliseconds since 1970 (UTC)."""

from datetime import datetime
from typing import Literal

from ninja import Field, Schema

from backend.api.schemas import Series


class Gap(Schema):
    """A hole: neighbours much farther apart than usual for the series, or nothing since the last value."""

    start: float
    end: float
    reason: Literal["asleep", "offline", "server", "lost", "silent"]
    text: str = Field(description="the reason in one sentence")


class Stats(Schema):
    """Of all numbers of the range."""

    count: int
    min: float
    max: float
    mean: float
    first: float | None
    last: float | None


class Chart(Schema):
    """One series."""

    series: Series
    level: Literal["samples", "buckets", "minute", "hour", "day"] = Field(
        description="samples as they are; buckets computed from samples; joined from rollups by minute, hour or day"
    )
    width: float | None = Field(description="of a bucket, in ms; null for samples")
    points: list[list[float]] = Field(
        description="[ms, value] a sample, or [ms, min, max, mean, count] a bucket that begins at ms"
    )
    other: list[list[float | str]] = Field(
        description='the first 200 samples that are no finite number, as [ms, text]: "NaN", "Infinity", texts'
    )
    others: int = Field(description="how many such samples there are")
    gaps: list[Gap]
    stats: Stats | None = Field(description="null where there are no numbers")


class Charts(Schema):
    """Several series in one range, in the order in which they were asked for."""

    start: float
    end: float
    now: float = Field(description="the server's clock")
    items: list[Chart]
    missing: list[str] = Field(description="what was asked for by endpoint and path, and has no samples yet")


class ChartEvent(Schema):
    """Something that happened to a device."""

    at: float
    device: str
    kind: str = Field(description="by group: what became of the registration, the state that a command ended in …")
    group: Literal["registration", "message", "command", "firmware", "clock", "alert"]
    text: str
    href: str = Field(description="the page that tells more")


class Cost(Schema):
    """What a device, or a series of it, takes."""

    device: str
    path: str | None = Field(description="null: all series of the device")
    series_id: int | None
    samples: int = Field(description="that are in the rollups; those of the newest hour are not counted yet")
    rollups: int
    bytes: int = Field(description="of samples and rollups with their indexes, about")
    log_lines: int = Field(description="of devices only")
    log_bytes: int = Field(description="of the lines' texts")


class Storage(Schema):
    """A page of costs."""

    items: list[Cost]
    count: int = Field(description="of all pages")
    total: Cost
    database_bytes: int = Field(description="of everything in the database")
    sample_bytes: float = Field(description="that a sample takes on average")
    rollup_bytes: float
    counted_at: datetime = Field(description="when the rollups were counted")
