"""What the API takes and answers of alerts, rules and channels."""

from datetime import datetime
from typing import Annotated, Literal

from ninja import Field, Schema

from backend.alerts.models import ChannelKind, Comparison, DeliveryState, Event, Kind, Scope, Severity
from backend.api.control_schemas import Body
from backend.api.parameters import LIMIT, Text

Id = Annotated[int, Field(ge=1, le=LIMIT)]
RuleStatus = Literal["offline", "asleep", "blocked"]
AlertState = Literal["open", "acknowledged", "cleared"]


class Alert(Schema):
    """Something that is, or was, wrong with a device."""

    id: int
    rule: int | None = Field(description="null: the rule was deleted")
    rule_name: str
    severity: Severity
    kind: Kind
    device: str
    path: str = Field(description='"" for an alert about the status')
    state: AlertState
    text: str = Field(description="what is wrong, in one sentence")
    value: float | None = Field(description="the one that opened it")
    last_value: float | None
    last_at: datetime | None
    opened_at: datetime = Field(description="by the time of the value")
    noticed_at: datetime
    cleared_at: datetime | None
    cleared_text: str
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    note: str


class Alerts(Schema):
    """A portion of the alerts, newest first."""

    items: list[Alert]
    next: int | None = Field(description="go on with before=; null: that was all")
    open: int = Field(description="alerts that are open and not acknowledged, of all devices")


class Acknowledge(Body):
    """Somebody has seen them."""

    alerts: Annotated[list[Id], Field(min_length=1, max_length=1000)]
    note: Text = ""


class Acknowledged(Schema):
    """What came of it."""

    acknowledged: int = Field(description="those that nobody had acknowledged before")


class RuleAsk(Body):
    """A rule; what its kind does not need is left out."""

    name: Text
    kind: Kind
    enabled: bool = True
    severity: Severity = Severity.WARNING
    scope: Scope = Scope.ALL
    profile: Id | None = Field(default=None, description="of the scope profile")
    endpoints: Annotated[list[Text], Field(max_length=200)] = Field(
        default=[], description="of the scope endpoints: names, or patterns with * and ?"
    )
    path: Text = Field(default="", description="of a resource; * as instance for every one")
    comparison: Comparison = Comparison.ABOVE
    limit: float | None = None
    clear_limit: float | None = Field(default=None, description="at which value it is over; null: at the limit")
    for_seconds: int = Field(default=0, description="how long the value must have been so, by the time of the values")
    minutes: int | None = Field(default=None, description="of no_data and status")
    status: RuleStatus | None = None
    channels: list[Id] = []


class Rule(Schema):
    """A rule and how many alerts it has open."""

    id: int
    name: str
    kind: Kind
    enabled: bool
    severity: Severity
    scope: Scope
    profile: int | None
    endpoints: list[str]
    path: str
    comparison: Comparison | None
    limit: float | None
    clear_limit: float | None
    for_seconds: int
    minutes: int | None
    status: RuleStatus | None
    channels: list[int]
    condition: str = Field(description="in words")
    open: int
    last_opened: datetime | None
    created_at: datetime
    changed_at: datetime


class Rules(Schema):
    """All rules, by name."""

    items: list[Rule]


class RuleTest(Schema):
    """What a rule would find now."""

    devices: int
    series: int
    open: int
    examples: list[str] = Field(description="devices that would have an alert, at most five")
    condition: str


class ChannelAsk(Body):
    """Somewhere to send messages to."""

    name: Text
    kind: ChannelKind
    target: Text = Field(description="e-mail addresses, one a line; of a webhook its URL")
    secret: Text = Field(default="", description="of a webhook; when it is changed, empty leaves the present one")


class Channel(Schema):
    """A channel without its secret, which is never told."""

    id: int
    name: str
    kind: ChannelKind
    target: str = Field(description="for administrators; others are told a host, or how many addresses")
    rules: int
    waiting: int
    failing: bool


class Channels(Schema):
    """All channels, by name."""

    items: list[Channel]
    email_configured: bool


class Attempt(Schema):
    """One try to deliver a message."""

    at: datetime
    seconds: float
    succeeded: bool
    text: str


class Delivery(Schema):
    """One message."""

    id: int
    key: str = Field(description="the Idempotency-Key of a webhook")
    channel: int
    alert: int | None
    event: Event
    state: DeliveryState
    created_at: datetime
    due_at: datetime
    ended_at: datetime | None
    result: str
    attempts: list[Attempt]


class Deliveries(Schema):
    """Messages, newest first."""

    items: list[Delivery]
