"""Why there is nothing in a hole of a series, as far as it is known."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from backend.devices.models import DeviceEvent, Registration
from backend.devices.selectors import gap_list, time_of
from backend.lwm2m.times import us_of_datetime
from backend.telemetry.buckets import Span, joined
from backend.telemetry.selectors.series import SeriesView

_ENDS = {
    DeviceEvent.Kind.DEREGISTERED: "it had signed off",
    DeviceEvent.Kind.EXPIRED: "its registration had expired",
    DeviceEvent.Kind.REVOKED: "it had been blocked",
    DeviceEvent.Kind.VANISHED: "the server had lost its registration",
}
_BEGINS = (DeviceEvent.Kind.REGISTERED,)
# registrations and ends of one device that are looked at
_EVENTS = 5000
# so many events before a hole are looked at for the one that was learned last
_NEAR = 8
# a reason explains a hole where it covers this part of it
_MOST = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A hole in a series (microseconds) and its reason: asleep, offline, server, lost or silent; `text` says it."""

    start: int
    end: int
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class _Cause:
    reason: str
    text: str
    spans: Sequence[Span]

    def covers(self, hole: Span) -> int:
        return sum(max(0, min(end, hole[1]) - max(start, hole[0])) for start, end in self.spans)


class GapReasons:
    """Collects holes of several series, and finds the reasons of all of them in a few queries."""

    def __init__(self) -> None:
        """No holes yet."""
        self._holes: dict[int, list[Span]] = {}
        self._devices: dict[str, list[int]] = defaultdict(list)

    def add(self, series: SeriesView, holes: Sequence[Span]) -> None:
        """Holes of a series, in order."""
        if holes:
            self._holes[series.id] = list(holes)
            self._devices[series.device].append(series.id)

    def tell(self) -> dict[int, list[Gap]]:
        """Series id → its gaps."""
        if not self._holes:
            return {}
        start = min(holes[0][0] for holes in self._holes.values())
        end = max(holes[-1][1] for holes in self._holes.values())
        server = _server_causes(start, end)
        registrations = {
            row.device.endpoint: row
            for row in Registration.objects.filter(device__endpoint__in=list(self._devices)).select_related("device")
        }
        lives = _lives(list(self._devices), start, end)
        told: dict[int, list[Gap]] = {}
        for endpoint, series_ids in self._devices.items():
            registration = registrations.get(endpoint)
            causes = [*server, *_offline(lives[endpoint], end)]
            sleeps = registration is not None and registration.queue_mode
            for series_id in series_ids:
                told[series_id] = [_explained(hole, causes, sleeps=sleeps) for hole in self._holes[series_id]]
        return told


def _explained(hole: Span, causes: Sequence[_Cause], *, sleeps: bool) -> Gap:
    best = max(causes, key=lambda cause: cause.covers(hole), default=None)
    if best is not None and best.covers(hole) >= _MOST * (hole[1] - hole[0]):
        return Gap(start=hole[0], end=hole[1], reason=best.reason, text=best.text)
    if sleeps:
        text = "The device was asleep: it is in queue mode and sends nothing until it wakes up."
        return Gap(start=hole[0], end=hole[1], reason="asleep", text=text)
    text = "The device sent no values; nothing is known of why."
    return Gap(start=hole[0], end=hole[1], reason="silent", text=text)


def _server_causes(start: int, end: int) -> list[_Cause]:
    """What our side missed. Those with one text count together: a hole may have several interruptions."""
    spans: dict[tuple[str, str], list[Span]] = defaultdict(list)
    for gap in gap_list(start=time_of(start), end=time_of(end)):
        until = end if gap.end is None else us_of_datetime(gap.end)
        if gap.kind == "lost":
            key = ("lost", "Events of this time are lost: the server no longer had them when we asked for them.")
        else:
            why = f": {gap.reason.rstrip('.')}" if gap.reason else ""
            key = ("server", f"Our server was not listening{why}.")
        spans[key].append((us_of_datetime(gap.start), until))
    return [_Cause(reason, text, joined(found)) for (reason, text), found in spans.items()]


def _lives(endpoints: Sequence[str], start: int, end: int) -> dict[str, list[tuple[int, str]]]:
    """When each device registered, and when its registrations ended, in order; with its state at the start."""
    events = DeviceEvent.objects.filter(kind__in=[*_BEGINS, *_ENDS]).order_by("-at", "-id")
    within = events.filter(at__gte=time_of(start), at__lt=time_of(end))
    inside: dict[str, list[tuple[int, datetime, str]]] = defaultdict(list)
    together = within.filter(device__endpoint__in=endpoints).values_list("device__endpoint", "id", "at", "kind")[
        :_EVENTS
    ]
    for endpoint, id_, at, kind in together:
        inside[endpoint].append((id_, at, kind))
    if sum(map(len, inside.values())) == _EVENTS:
        # one device may have so many that others' are missing
        for endpoint in endpoints:
            columns = within.filter(device__endpoint=endpoint).values_list("id", "at", "kind")
            inside[endpoint] = list(columns[:_EVENTS])
    found = {}
    for endpoint in endpoints:
        before = events.filter(device__endpoint=endpoint, at__lt=time_of(start)).values_list("id", "kind")
        earlier = max(before[:_NEAR], default=None)
        # In the order in which they were learned: what the server no longer had is noted when that was found, which
        # may be a moment after the next registration.
        learned = sorted(inside[endpoint])
        lines = [(us_of_datetime(at), kind) for id_, at, kind in learned if earlier is None or id_ > earlier[0]]
        for index in range(len(lines) - 2, -1, -1):
            lines[index] = (min(lines[index][0], lines[index + 1][0]), lines[index][1])
        if earlier is not None:
            lines.insert(0, (start, earlier[1]))
        elif lines and lines[0][1] in _BEGINS:
            lines.insert(0, (start, ""))
        found[endpoint] = lines
    return found


def _offline(lines: Sequence[tuple[int, str]], end: int) -> Iterable[_Cause]:
    spans: dict[str, list[Span]] = defaultdict(list)
    for (at, kind), (until, _) in pairwise([*lines, (end, "")]):
        if kind not in _BEGINS:
            spans[kind].append((at, until))
    for kind, found in spans.items():
        why = _ENDS.get(DeviceEvent.Kind(kind)) if kind else "it had never registered before"
        yield _Cause("offline", f"The device was not registered: {why}.", joined(found))
