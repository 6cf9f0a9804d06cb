"""What the writing part of the API takes and answers: commands, observations, profiles, object definitions."""

from datetime import datetime
from typing import Annotated, Any

from ninja import Field, Schema
from pydantic import ConfigDict, JsonValue

from backend.api.parameters import Text
from backend.commands.models import Kind, State
from backend.devices.models import Status

Endpoint = Annotated[Text, Field(min_length=1, max_length=255)]


class Body(Schema):
    """A body; what it does not know is refused."""

    model_config = ConfigDict(extra="forbid")


# -- commands


class DeviceFilter(Body):
    """Devices as `GET /devices` finds them; {} stands for all."""

    search: Annotated[Text, Field(max_length=255)] = ""
    status: list[Status] = []
    model: Annotated[Text, Field(max_length=255)] | None = None
    firmware_version: Annotated[Text, Field(max_length=255)] | None = None
    manufacturer: Annotated[Text, Field(max_length=255)] | None = None


class CommandAsk(Body):
    """A command to one device (`device`), to several (`devices`), or to all that a `filter` finds."""

    device: Endpoint | None = None
    devices: Annotated[list[Endpoint], Field(max_length=10_000)] | None = None
    filter: DeviceFilter | None = None
    kind: Kind | None = None
    path: Annotated[Text, Field(max_length=64)] = ""
    arguments: dict[Text, Any] | None = Field(default=None, description="by kind, see docs/api.md")
    value: JsonValue | None = Field(
        default=None,
        description="instead of arguments, for a write: a resource's value; {id: value} for a multi-instance one",
    )
    type: Annotated[Text, Field(max_length=20)] | None = Field(
        default=None, description="with value: the LwM2M type, where no object model knows the resource"
    )
    action: Annotated[Text, Field(max_length=40)] | None = Field(
        default=None, description="instead of kind, path and arguments: one of GET /actions; `value` where it takes one"
    )
    content_format: Annotated[Text, Field(max_length=12)] = ""
    expires_in: int | None = Field(default=None, ge=1, le=2_592_000, description="seconds")
    note: Annotated[Text, Field(max_length=200)] = ""
    force: bool = Field(default=False, description="also what the object model forbids")


class Command(Schema):
    """One command."""

    id: int
    device: str
    batch: int | None
    kind: Kind
    path: str
    arguments: dict[str, Any]
    content_format: str
    note: str
    summary: str = Field(description="what was asked, in one line")
    state: State
    reason: str = Field(description="why it waits, or why it ended so")
    asked_by: str | None
    asked_at: datetime
    expires_at: datetime
    not_before: datetime | None
    sent_at: datetime | None = Field(description="the newest attempt")
    attempts: int
    cancel_requested_at: datetime | None
    cancelled_by: str | None
    ended_at: datetime | None
    duration_ms: int | None = Field(description="from sending to the device's answer")
    status: str = Field(description='the device\'s code, such as "CONTENT(205)"')
    answer: JsonValue | None = Field(description="the device's answer as Leshan gives it")
    answer_summary: str = Field(description="what came of it, in one line")


class Commands(Schema):
    """Commands, newest first."""

    items: list[Command]
    next: int | None = Field(description="go on with before=; null: that was all")


class Progress(Schema):
    """How far a batch has come."""

    total: int
    counts: dict[State, int]
    ended: int
    percent: int


class Batch(Schema):
    """The same command to many devices; the commands themselves: GET /commands?batch="""

    id: int
    kind: Kind
    path: str
    note: str
    asked_by: str | None
    asked_at: datetime
    progress: Progress


class Batches(Schema):
    """Batches, newest first."""

    items: list[Batch]
    next: int | None = Field(description="go on with before=; null: that was all")


class Asked(Schema):
    """What was queued: one command, or a batch."""

    command: Command | None
    batch: Batch | None


class BatchCancelled(Schema):
    """What came of cancelling a batch."""

    cancelled: int = Field(description="commands that ended, or will when Leshan has let go of them")
    batch: Batch


class Action(Schema):
    """What takes one click."""

    key: str
    title: str
    description: str
    kind: Kind
    path: str
    input: str = Field(description='what `value` is, "" where there is none')
    confirm: str
    dangerous: bool


class Actions(Schema):
    """All of them."""

    items: list[Action]


# -- observations


class WantedObservation(Schema):
    """A path that is observed, wanted or expressly not wanted on one device."""

    path: str
    wanted: bool
    source: str = Field(description='"device": set on this device; "profile": from its profile')
    attributes: dict[str, Any]
    state: str = Field(description='wanted, active, failed; "" where it has not been tried')
    attributes_set: dict[str, Any] = Field(description="those that the device has taken")
    reason: str
    composite: bool
    changed_at: datetime | None


class ProfileWish(Schema):
    """A path of a profile."""

    path: str
    attributes: dict[str, float]


class WantedObservations(Schema):
    """What is wanted on a device, and how far that has come."""

    items: list[WantedObservation]
    profile: str | None
    patterns: list[ProfileWish] = Field(description="what the profile wants, * for every instance")


class ObservationSet(Body):
    """A path that shall be observed, or not, whatever the profile says."""

    device: Endpoint
    path: Annotated[Text, Field(max_length=64)]
    wanted: bool = True
    attributes: dict[Text, Any] | None = Field(
        default=None, description="pmin, pmax, epmin, epmax, gt, lt, st; left out: as they were"
    )


# -- profiles


class WishBody(Body):
    """A path of a profile."""

    path: Annotated[Text, Field(max_length=64)]
    attributes: dict[Text, Any] = {}


class ProfileBody(Body):
    """A profile as it shall be."""

    name: Annotated[Text, Field(min_length=1, max_length=64)]
    is_default: bool = False
    awake_seconds: int | None = None
    composite: bool = False
    observations: list[WishBody] = []
    # of these, what is left out of a change stays as it is
    set_clock: bool = Field(default=True, description="set a device's clock where it is wrong and can be written")
    samples_days: int | None = Field(default=90, description="null: for ever")
    minutes_days: int | None = 365
    hours_days: int | None = Field(default=None, description="rollups by hour and day")
    logs_days: int | None = 30
    logs_per_minute: int | None = Field(default=600, description="log lines that are kept of a device in the long run")
    logs_mib: int | None = 64


class Profile(Schema):
    """What a kind of device is asked for."""

    id: int
    name: str
    is_default: bool
    awake_seconds: int | None
    composite: bool
    observations: list[ProfileWish]
    devices: int
    set_clock: bool
    samples_days: int | None
    minutes_days: int | None
    hours_days: int | None
    logs_days: int | None
    logs_per_minute: int | None
    logs_mib: int | None


class Profiles(Schema):
    """All of them."""

    items: list[Profile]


class Rule(Schema):
    """Devices that match get the profile."""

    profile: str
    endpoint: str
    manufacturer: str
    model: str


class Rules(Schema):
    """In the order in which they are tried."""

    items: list[Rule]


class RuleBody(Body):
    """A rule; `*` and `?` as in file names, a pattern that is left out matches everything."""

    profile: Annotated[Text, Field(max_length=64)]
    endpoint: Annotated[Text, Field(max_length=255)] = ""
    manufacturer: Annotated[Text, Field(max_length=255)] = ""
    model: Annotated[Text, Field(max_length=255)] = ""


class RulesBody(Body):
    """All rules, in the order in which they are tried."""

    items: Annotated[list[RuleBody], Field(max_length=500)]


class DevicePatch(Body):
    """`profile`: its name, or null for none. `by_rules`: true hands the choice back to the rules."""

    profile: Annotated[Text, Field(max_length=64)] | None = None
    by_rules: bool = False


class DevicesPatch(DevicePatch):
    """The same for several devices, or for all that a filter finds."""

    devices: Annotated[list[Endpoint], Field(max_length=10_000)] | None = None
    filter: DeviceFilter | None = None


class Patched(Schema):
    """What was done."""

    devices: int


# -- object definitions


class Definition(Schema):
    """An uploaded object definition."""

    object: int
    version: str
    name: str
    sha256: str
    uploaded_at: datetime
    uploaded_by: str | None
    problem: str = Field(description="why Leshan refuses it; empty when all is well")


class Definitions(Schema):
    """Those that people uploaded."""

    items: list[Definition]


class DefinitionDetail(Definition):
    """With the file."""

    xml: str


class DefinitionBody(Body):
    """A DDF file."""

    xml: Annotated[Text, Field(max_length=600_000)]
