"""What the API answers: shapes, types, meanings."""

from datetime import datetime
from typing import Any

from ninja import Field, Schema
from pydantic import JsonValue

from backend.devices.models import Status


class Error(Schema):
    """Every answer that is not 2xx."""

    detail: str = Field(description="what is wrong and what to do, in one sentence")


class Device(Schema):
    """A device in a list."""

    endpoint: str
    status: Status
    status_since: datetime | None
    last_contact: datetime | None
    next_expected: datetime | None = Field(description="the end of its lifetime; null while it is not registered")
    manufacturer: str
    model: str
    serial_number: str
    firmware_version: str
    queue_mode: bool | None = Field(description="null: it has never registered")
    profile: str | None
    created_at: datetime


class Devices(Schema):
    """A page of devices."""

    items: list[Device]
    count: int = Field(description="of all pages")


class Registration(Schema):
    """The newest registration; over where `ended_at` is set."""

    registration_id: str
    registered_at: datetime
    last_update: datetime
    lifetime: int = Field(description="seconds after last_update")
    address: str
    lwm2m_version: str
    binding_mode: str
    queue_mode: bool
    secure: bool
    root_path: str
    object_links: list[dict[str, Any]]
    additional_attributes: dict[str, Any]
    ended_at: datetime | None
    end_reason: str


class Observation(Schema):
    """One observed path."""

    path: str
    state: str = Field(description="wanted, active or failed")
    reason: str
    changed_at: datetime


class DeviceDetail(Device):
    """One device with its registration and observations."""

    registration: Registration | None
    observations: list[Observation]


class Value(Schema):
    """The current value of one resource or resource instance."""

    path: str
    object: int
    instance: int
    resource: int
    resource_instance: int | None
    object_name: str
    name: str
    unit: str
    type: str = Field(description="LwM2M data type")
    value: JsonValue = Field(
        description="boolean, number or text by type; numbers that JSON or a double cannot hold exactly as text "
        '(integers beyond 2^53, "NaN", "Infinity", "-Infinity"); TIME as milliseconds since 1970; OPAQUE as hex'
    )
    text: str = Field(description="canonical and exact")
    number: float | None
    time: datetime = Field(description="the device's own time where has_device_time, else received")
    received: datetime
    has_device_time: bool


class Values(Schema):
    """All current values."""

    items: list[Value]


class Series(Schema):
    """All samples of one path of one device."""

    id: int
    device: str
    path: str
    object_name: str
    name: str
    unit: str
    first: datetime | None
    last: datetime | None


class SeriesItems(Schema):
    """All series of a device."""

    items: list[Series]


class Samples(Schema):
    """A portion of a series, oldest first."""

    series: Series
    aggregated: bool
    points: list[list[float | str | None]] = Field(
        description="[ms, number, text] a sample: text is null where the number says it exactly, number is null where "
        "only text can say it. When aggregated: [ms, min, max, mean] a bucket"
    )
    other: list[list[float | str | None]] = Field(
        description="only when aggregated: the samples that are no finite number, as [ms, null, text]"
    )
    truncated: bool = Field(description="there is more: go on with after=next and thin=false")
    next: str | None = Field(description="cursor after the last sample that this answer covers")


class Gap(Schema):
    """A stretch of time of which values may be missing."""

    kind: str = Field(description='"down": the stream was not heard, values come later; "lost": events gone for good')
    server: str
    start: datetime
    end: datetime | None = Field(description="null: still so")
    reason: str
    lost_events: int | None


class Gaps(Schema):
    """Gaps, oldest first."""

    items: list[Gap]


class Server(Schema):
    """The way from Leshan into the database."""

    sync_running: bool
    connected: bool
    connected_since: datetime | None
    behind_events: int | None = Field(description="events of the stream that are not stored yet; null: not known")
    lag: float = Field(description="seconds from an event to its being stored, for the newest one")
    last_event_at: datetime | None
    values_per_second: float | None = Field(description="null: not known yet")
    values_stored: int
    events_stored: int
    errors: int
    error: str
    problems: list[str] = Field(description="plain sentences; empty when all is well")
