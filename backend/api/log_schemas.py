"""What the operations on log lines answer."""

from datetime import datetime

from ninja import Schema
from pydantic import Field


class Line(Schema):
    """A log line of a device."""

    id: int
    device: str
    time: datetime = Field(description="when the device logged it")
    received: datetime
    uptime: int | None = Field(description="milliseconds since the boot; null where the message could not be read")
    boot: int | None = Field(description="the device's number of the boot")
    sequence: int | None = Field(description="counted from 0 in each boot")
    severity: str = Field(description="error, warning, info, debug; unread: kept as it came")
    module: str
    text: str
    problem: str = Field(description="of an unread line: why")


class Loss(Schema):
    """Lines that are not there: numbers first to last of a boot."""

    device: str
    boot: int
    first: int
    last: int
    lost: int
    reason: str = Field(description="device, missing, rate, space")
    given_up: int = Field(description="how many of them the device itself gave up")
    since: datetime | None = Field(description="the time of the line before them; null: none")
    time: datetime = Field(description="the time of the line after them")
    text: str = Field(description="the same in words")


class Lines(Schema):
    """A portion of the stream, newest first."""

    items: list[Line]
    losses: list[Loss]
    more_losses: int = Field(description="losses of this stretch that are left out")
    older: str | None = Field(description="go on with before=; null: there are none")
    newer: str | None = Field(description="go on with after=, for what is newer now or comes later")
    newest: bool = Field(description="no line of the filter is newer than these")


class Modules(Schema):
    """Names of modules."""

    items: list[str]
