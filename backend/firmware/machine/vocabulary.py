"""What the machine is told, what it keeps and what it decides."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from backend.commands.models import Kind, State
from backend.firmware.models import Step, UpdateState


@dataclass(slots=True)
class Row:
    """What is kept of an update, by the names of its columns."""

    id: int = 0
    object_instance: int = 0
    method: str = "auto"
    method_used: str = ""
    force: bool = False
    hold_seconds: int = 60
    state: str = UpdateState.PENDING
    step: str = Step.WAIT
    code: str = ""
    reason: str = ""
    lwm2m_state: int | None = None
    update_result: int | None = None
    stale_result: int | None = None
    version_before: str = ""
    version_after: str = ""
    admitted_at: datetime | None = None
    started_at: datetime | None = None
    step_since: datetime = datetime.min
    deadline_at: datetime | None = None
    look_at: datetime | None = None
    give_up_at: datetime = datetime.max
    ended_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    transfers: int = 0
    executes: int = 0
    resets: int = 0
    polls: int = 0
    executed_at: datetime | None = None
    registration_before: str = ""
    registration_after: str = ""
    package_uri: str = ""
    bytes_sent: int = 0
    progress_at: datetime | None = None
    transfer_at: datetime | None = None
    block_size: int | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """What the machine needs to know of the image."""

    sha256: str
    # bytes
    size: int
    # "" where nobody knows it
    version: str = ""
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """A registration that lasts."""

    id: str
    registered_at: datetime
    queue_mode: bool = False
    asleep: bool = False
    secure: bool = True
    # of object 5; None: the device does not list it. Empty: listed without instances
    instances: tuple[int, ...] | None = (0,)


@dataclass(frozen=True, slots=True)
class Said:
    """A current value, as the device told it last."""

    value: str
    received: datetime


@dataclass(frozen=True, slots=True)
class Asked:
    """The command that the step waits for."""

    kind: str
    path: str
    state: str
    asked_at: datetime
    reason: str = ""
    status: str = ""
    # Leshan's word of the device's answer; None: there was none
    answer: Mapping[str, Any] | None = None
    sent_at: datetime | None = None
    ended_at: datetime | None = None
    attempts: int = 0
    cancelling: bool = False

    @property
    def open(self) -> bool:
        """Has it not ended?"""
        return self.state in (State.QUEUED, State.SENT)

    @property
    def never_sent(self) -> bool:
        """Is it certain that nothing of it ever left?"""
        return self.attempts == 0


@dataclass(frozen=True, slots=True)
class Limits:
    """Settings."""

    stall: timedelta
    install: timedelta
    transfers: int


@dataclass(frozen=True, slots=True)
class View:
    """Everything that is known at `now`."""

    now: datetime
    row: Row
    image: Image
    limits: Limits
    # the device's registration while it lasts, and since when it has none
    session: Session | None = None
    away_since: datetime | None = None
    # path → value
    said: Mapping[str, Said] = field(default_factory=dict)
    ask: Asked | None = None
    # the LwM2M server: reachable, since when, does it have the package, the granted URI, why it refuses
    connected: bool = True
    connected_since: datetime | None = None
    package: bool = False
    uri: str = ""
    refused: str = ""
    # another update of the device that comes first, in words
    ahead: str = ""
    # a newer update of the same firmware instance waits
    newer: bool = False
    # why nobody may be given the image (any more), in words, force or not
    barred: str = ""
    # why the image is not for the device, in words; and whether the device has said too little of itself to know
    misfit: str = ""
    unnamed: bool = False
    # the campaign is paused or stopped: nothing more of it begins
    campaign_held: bool = False
    # the campaign was cancelled
    campaign_cancelled: bool = False
    # who cancelled, such as "eve"
    cancelled_by: str = ""


@dataclass(frozen=True, slots=True)
class Asking:
    """A command to be queued."""

    kind: Kind
    path: str
    arguments: Mapping[str, Any]
    expires_in: timedelta


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done, in this order: cancel the command, write the row and lines, queue the new command."""

    row: Row
    lines: tuple[str, ...] = ()
    # cancel the command of the view
    cancel: bool = False
    # the step no longer waits for the command of the view
    detach: bool = False
    asking: Asking | None = None
    # "", "package", "grant"
    deed: str = ""
    revoke: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of reading the firmware object. `state` None: it does not say; `why`: in words."""

    state: int | None = None
    result: int = 0
    # the device refused to tell
    refused: bool = False
    missing: bool = False
    why: str = ""
    # did the question leave at all?
    sent: bool = True
    # when it was asked
    at: datetime = datetime.min
