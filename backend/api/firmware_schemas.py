"""What the API takes and answers of firmware updates and campaigns."""

from datetime import datetime, time
from typing import Annotated, Literal

from ninja import Field, Schema

from backend.api.control_schemas import Body, DeviceFilter, Endpoint
from backend.api.parameters import LIMIT, Text
from backend.firmware.models import Method, Step, UpdateState
from backend.firmware.rollout import RolloutStatus

ImageId = Annotated[int, Field(ge=1, le=LIMIT, description="the image's id")]
Instance = Annotated[int, Field(ge=0, le=65_534, description="of object 5; null: the image's, else the first")]
Hold = Annotated[
    int, Field(ge=0, le=86_400, description="seconds for which the new firmware must stay; null: the setting")
]

# -- updates


class UpdateAsk(Body):
    """An image for one device, or for a few; more of them are a campaign."""

    image: ImageId
    device: Endpoint | None = None
    devices: Annotated[list[Endpoint], Field(max_length=100)] | None = None
    method: Method = Method.AUTO
    force: bool = Field(default=False, description="also what runs this version already, or is another model")
    object_instance: Instance | None = None
    hold_seconds: Hold | None = None


class Update(Schema):
    """One device's way to another firmware."""

    id: int
    device: str
    image: int
    image_name: str
    version: str = Field(description='the image\'s, "" where it is not known')
    campaign: int | None
    phase: int = Field(description="of the campaign, from 1")
    object_instance: int
    method: Method
    method_used: str
    force: bool
    state: UpdateState
    step: Step
    code: str = Field(description="of the end, or of what it waits for (docs/firmware.md)")
    reason: str = Field(description="in words: what it waits for, or why it ended so")
    lwm2m_state: int | None = Field(description="State (5/x/3), as the device said last")
    update_result: int | None = Field(description="Update Result (5/x/5), as the device said last")
    version_before: str
    version_after: str
    bytes_sent: int
    size: int = Field(description="bytes of the image")
    percent: int = Field(description="of the bytes")
    transfers: int
    executes: int
    asked_by: str | None
    asked_at: datetime
    admitted_at: datetime | None = Field(description="since when it may begin")
    started_at: datetime | None
    ended_at: datetime | None
    cancel_requested_at: datetime | None
    cancelled_by: str | None
    retried_at: datetime | None
    retry_of: int | None


class UpdateAct(Body):
    """What to do with it."""

    action: Literal["retry"]


class Line(Schema):
    """A line of its history."""

    at: datetime
    text: str


class UpdateDetail(Update):
    """With its history."""

    lines: list[Line]


class Updates(Schema):
    """Updates, newest first."""

    items: list[Update]
    next: int | None = Field(description="go on with before=; null: that was all")


class UpdatesMade(Schema):
    """Those that were asked for."""

    items: list[Update]


# -- campaigns


class CampaignDevices(DeviceFilter):
    """Devices as `GET /devices` finds them; {} stands for all."""

    profile: Annotated[Text, Field(max_length=64)] | None = Field(
        default=None, description="a profile's name; null: devices without one"
    )


class CampaignAsk(Body):
    """An image for many devices: those named (`devices`), or those that a `filter` finds."""

    name: Annotated[Text, Field(min_length=1, max_length=100)]
    image: ImageId
    devices: Annotated[list[Endpoint], Field(max_length=10_000)] | None = None
    filter: CampaignDevices | None = None
    phases: Annotated[list[int], Field(min_length=1, max_length=20)] = Field(
        default=[10, 50, 100], description="cumulative percentages of the devices; the last is 100"
    )
    concurrency: int = Field(default=20, ge=1, le=10_000, description="updates under way at once")
    success_threshold: int = Field(default=90, ge=0, le=100, description="percent of a phase before the next begins")
    error_threshold: int = Field(default=10, ge=0, le=100, description="percent of the ended that may fail")
    hold_seconds: Hold | None = None
    start_at: datetime | None = Field(default=None, description="with its zone; null: at once")
    window_from: time | None = Field(default=None, description="time of day in `zone` from which updates begin")
    window_to: time | None = Field(default=None, description="and until which; earlier: over midnight")
    zone: Annotated[Text, Field(max_length=64)] = Field(default="UTC", description="such as Europe/Vienna")
    method: Method = Method.AUTO
    force: bool = False
    standing: bool = Field(default=False, description="devices that come to match later are taken up, too")
    object_instance: Instance | None = None


class CampaignAct(Body):
    """What to do with it."""

    action: Literal["pause", "resume", "advance", "retry"]


class Phase(Schema):
    """A phase of a campaign."""

    number: int
    percent: int
    total: int
    counts: dict[UpdateState, int]
    needed: int = Field(description="so many must succeed before the next one begins")
    begun: bool


class LeftOut(Schema):
    """Devices that were chosen, but that the image does not fit."""

    why: str
    devices: int
    examples: list[str]


class Campaign(Schema):
    """What a campaign is doing."""

    id: int
    name: str
    image: int
    image_name: str
    version: str
    status: RolloutStatus
    waits: str = Field(description="what it waits for, or why it stopped; empty where it simply goes on")
    until: datetime | None = Field(description="until when it waits, where that is known")
    total: int
    counts: dict[UpdateState, int] = Field(description="devices by state; retried updates are not counted")
    ended: int
    percent: int
    under_way: int
    away: int = Field(description="open ones whose device is away or asleep")
    seconds_left: float | None = Field(description="null in lists, and where nothing tells")
    phase: int = Field(description="the phase that may begin, from 1")
    phases: list[Phase]
    left_out: list[LeftOut]
    concurrency: int
    success_threshold: int
    error_threshold: int
    hold_seconds: int
    start_at: datetime | None
    window_from: time | None
    window_to: time | None
    zone: str
    method: Method
    force: bool
    standing: bool
    object_instance: int
    created_at: datetime
    created_by: str | None
    began_at: datetime | None
    ended_at: datetime | None


class Failure(Schema):
    """Devices that failed for the same reason; the updates: GET /firmware/updates?campaign=&code="""

    code: str
    title: str
    remedy: str
    devices: int
    reason: str = Field(description="of the newest of them")
    example: str


class CampaignDetail(Campaign):
    """With what failed."""

    failures: list[Failure]


class Campaigns(Schema):
    """Campaigns, newest first."""

    items: list[Campaign]
    next: int | None = Field(description="go on with before=; null: that was all")
