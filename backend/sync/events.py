"""What Leshan tells, as typed items. Pure data: made by the decoder, carried out by the ingest.

Times are microseconds since 1970 (UTC) by the server's clock, None where the server gives none (a stock one).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend.commands.services.outcomes import Record
from backend.devices.services import ObservationMark
from backend.lwm2m.registrations import RegistrationInfo

# path, type, number, text, the device's own time; number and text as in backend.lwm2m.values. A plain tuple because
# there are tens of thousands a second.
Reading = tuple[str, str, float | None, str | None, int | None]


@dataclass(slots=True)
class Event:
    """One event of the stream. `data` is the raw JSON, kept until the event is stored."""

    id: str
    name: str
    data: bytes
    time: int | None


@dataclass(slots=True)
class Registered(Event):
    """REGISTRATION: a device registered."""

    registration: RegistrationInfo


@dataclass(slots=True)
class Updated(Event):
    """UPDATED: a registration was updated."""

    registration: RegistrationInfo


@dataclass(slots=True)
class Deregistered(Event):
    """DEREGISTRATION: a registration is over; `reason` is "" where the server gives none."""

    registration: RegistrationInfo
    reason: str


@dataclass(slots=True)
class Values(Event):
    """NOTIFICATION or SEND: what a device said. `problems`: what could not be read of it, a sentence each."""

    endpoint: str
    readings: list[Reading]
    problems: list[str]
    # paths whose type nobody knows: their values are shown as they came, but are no samples
    guessed: frozenset[str] = frozenset()


@dataclass(slots=True)
class Responded(Event):
    """REQUEST_RESPONSE: how a request that was accepted before has ended. Also made from Leshan's record of it."""

    endpoint: str
    record: Record
    readings: list[Reading]
    problems: list[str]


@dataclass(slots=True)
class Presence(Event):
    """SLEEPING or AWAKE."""

    endpoint: str
    awake: bool


@dataclass(slots=True)
class Gap(Event):
    """GAP: events that can never be had again."""

    journal: str
    first: int | None
    last: int | None
    reason: str


@dataclass(slots=True)
class ObservationLost(Event):
    """OBSERVATION_LOST: the device ended an observation."""

    endpoint: str
    # several of a composite one
    paths: list[str]
    code: str


@dataclass(slots=True)
class Undecoded(Event):
    """UNDECODED: Leshan could not understand a device's message."""

    endpoint: str
    path: str
    format: str
    hex: str
    error: str


@dataclass(slots=True)
class Refused(Event):
    """REFUSED: a peer was refused, by us or by itself; `detail` is the event's JSON."""

    endpoint: str
    reason: str
    detail: dict[str, Any]


@dataclass(slots=True)
class Progressed(Event):
    """PROGRESS: how far a package's transfer is. Live: it has no id, and its loss costs nothing.

    `request_id` is "" where the device fetches the package itself. `sent`, `total` and `block` are bytes.
    """

    endpoint: str
    request_id: str
    sha256: str
    sent: int
    total: int
    block: int | None


@dataclass(slots=True)
class Ignored(Event):
    """A live event that is not for storing (COAPLOG)."""


@dataclass(slots=True)
class Unknown(Event):
    """A well-formed event of a name that we do not know."""


@dataclass(slots=True)
class Poisoned:
    """An event that could not be understood: kept raw. `size` is more than len(data) where it was too long to keep."""

    id: str
    name: str
    data: bytes
    size: int
    error: str


@dataclass(slots=True)
class Idle:
    """An SSE comment; `last` is the id of the newest journaled event where it tells one."""

    last: str


# -- what our own requests to devices brought; they go through the same ingest, so that one thread writes


@dataclass(slots=True)
class ReadDone:
    """A device answered a read, or observations were established (`marks`).

    `sampled`: the value belongs into the time series, because no event will tell it.
    """

    endpoint: str
    path: str
    readings: list[Reading]
    problems: list[str]
    # microseconds since 1970: when we had the answer
    received: int
    marks: tuple[ObservationMark, ...] = ()
    sampled: bool = False
    registration_id: str = ""


@dataclass(slots=True)
class ObserveFailed:
    """The device, or Leshan, refuses to observe a path."""

    endpoint: str
    path: str
    registration_id: str
    reason: str


@dataclass(slots=True)
class AttributesDone:
    """An active observation's attributes were written, or (None) refused: `note` says why."""

    endpoint: str
    path: str
    attributes: Mapping[str, Any] | None
    note: str = ""


@dataclass(slots=True)
class Clients:
    """Leshan's registrations at one moment; `asked` is time.monotonic() before the question."""

    registrations: list[RegistrationInfo]
    asked: float


@dataclass(slots=True)
class Redecoded:
    """What was kept raw can be read now, such as after its object definition was added.

    `whole`: nothing of it is left that cannot. `received`: when it came, microseconds since 1970.
    """

    raw_id: int
    endpoint: str
    readings: list[Reading]
    received: int
    whole: bool


Item = Event | Poisoned | Idle
Answer = ReadDone | ObserveFailed | AttributesDone | Clients | Redecoded
Storable = Event | Poisoned | Idle | ReadDone | ObserveFailed | AttributesDone | Clients | Redecoded


@dataclass(slots=True)
class Frame:
    """The fields of one SSE event, not yet understood. `cut_from`: bytes of the original where `data` is cut."""

    id: str
    name: str
    data: bytes
    cut_from: int | None = None
