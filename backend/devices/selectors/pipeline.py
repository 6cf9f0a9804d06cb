"""How well the way from the devices into the database works, now and in the past."""

import time
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock

from django.db.models import Q
from django.utils import timezone

from backend.devices.models import LeshanServer, ServerInterval, StreamGap

# `sync` says every second that it is there
SYNC_SILENT_AFTER = timedelta(seconds=5)
# from here on the pages say that they are late
LATE_AFTER = timedelta(seconds=5)
BEHIND_AFTER = 1000


class RateMeter:
    """Values per second from a counter that is looked at now and then; per process, safe between threads."""

    def __init__(self, *, span: float = 15.0, shortest: float = 1.0) -> None:
        """`span`: seconds looked back; `shortest`: no figure from less."""
        self._span = span
        self._shortest = shortest
        self._seen: deque[tuple[float, int]] = deque()
        self._lock = Lock()

    def rate(self, count: int, *, now: float | None = None) -> float | None:
        """The mean rate over the last `span` seconds; None until it has been looked at twice in that time."""
        now = time.monotonic() if now is None else now
        with self._lock:
            if self._seen and count < self._seen[-1][1]:
                self._seen.clear()
            while self._seen and now - self._seen[0][0] > self._span:
                self._seen.popleft()
            # looks closer together than a tenth of a second add nothing
            if not self._seen or now - self._seen[-1][0] >= 0.1:
                self._seen.append((now, count))
            since, before = self._seen[0]
            if now - since < self._shortest:
                return None
            return (count - before) / (now - since)


_meter = RateMeter()


@dataclass(frozen=True, kw_only=True)
class PipelineState:
    """Leshan → sync → database, in figures and in words. Of several servers: the worst, or the sum of counts."""

    sync_running: bool
    connected: bool
    connected_since: datetime | None
    # how many events of the stream are not stored yet; None: not known
    behind_events: int | None
    # age of the newest stored event when it was stored
    lag: timedelta
    last_event_at: datetime | None
    # by what this process has seen of the counter; None: not known yet
    values_per_second: float | None
    values_stored: int
    events_stored: int
    errors: int
    # in words, what sync says is wrong; empty when nothing is
    error: str
    # plain sentences that say what is wrong and what to do; empty when all is well
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A stretch of time of which values may be missing, or came late."""

    # "down": sync did not hear the server (values come later from its journal); "lost": events are gone for good
    kind: str
    server: str
    start: datetime
    # None: still so
    end: datetime | None
    reason: str
    # number of events that are gone; None: not known, or none
    lost_events: int | None


def _behind(server: LeshanServer) -> int | None:
    journal, _, last = server.last_event_id.rpartition("-")
    head_journal, _, head = server.head_event_id.rpartition("-")
    if not journal or journal != head_journal or not (last.isdecimal() and head.isdecimal()):
        return None
    return max(0, int(head) - int(last))


def _ago(moment: datetime, now: datetime) -> str:
    seconds = int((now - moment).total_seconds())
    if seconds < 120:
        return f"{seconds} s ago"
    if seconds < 7200:
        return f"{seconds // 60} min ago"
    return f"at {moment:%Y-%m-%d %H:%M} UTC"


def _problems(server: LeshanServer, *, running: bool, connected: bool, behind: int | None, now: datetime) -> list[str]:
    if not running:
        if server.sync_alive_at is None:
            return ["sync has never run: start it (scripts/run does), or nothing new arrives."]
        said = _ago(server.sync_alive_at, now)
        return [f"sync does not run; it last said so {said}. Values wait in Leshan's journal until it is back."]
    if not connected:
        why = server.error or "no connection yet"
        return [f"sync cannot hear Leshan at {server.url}: {why}"]
    problems = [server.error] if server.error else []
    lag = timedelta(milliseconds=server.lag_ms)
    if behind is not None and behind > BEHIND_AFTER:
        problems.append(f"What is shown is late: {behind:,} events are not stored yet.")
    elif behind and lag > LATE_AFTER:
        problems.append(f"What is shown is {lag.total_seconds():.0f} s late.")
    return problems


def pipeline_state() -> PipelineState:
    """The state now, in one query."""
    servers = list(LeshanServer.objects.order_by("name"))
    if not servers:
        return PipelineState(
            sync_running=False,
            connected=False,
            connected_since=None,
            behind_events=None,
            lag=timedelta(0),
            last_event_at=None,
            values_per_second=None,
            values_stored=0,
            events_stored=0,
            errors=0,
            error="",
            problems=["sync has never run: start it (scripts/run does), or nothing new arrives."],
        )
    now = timezone.now()
    running, connected, behinds, problems = True, True, [], []
    for server in servers:
        here_running = server.sync_alive_at is not None and now - server.sync_alive_at <= SYNC_SILENT_AFTER
        here_connected = here_running and server.connected_since is not None
        behind = _behind(server)
        found = _problems(server, running=here_running, connected=here_connected, behind=behind, now=now)
        problems += found if len(servers) == 1 else [f"{server.name}: {problem}" for problem in found]
        running, connected = running and here_running, connected and here_connected
        behinds.append(behind)
    values = sum(server.values_stored for server in servers)
    return PipelineState(
        sync_running=running,
        connected=connected,
        connected_since=max((server.connected_since for server in servers if server.connected_since), default=None)
        if connected
        else None,
        behind_events=None if None in behinds else sum(behind for behind in behinds if behind is not None),
        lag=timedelta(milliseconds=max(server.lag_ms for server in servers)),
        last_event_at=max((server.last_event_at for server in servers if server.last_event_at), default=None),
        values_per_second=_meter.rate(values),
        values_stored=values,
        events_stored=sum(server.events_stored for server in servers),
        errors=sum(server.errors for server in servers),
        error="\n".join(server.error for server in servers if server.error),
        problems=problems,
    )


def gap_list(*, start: datetime, end: datetime, limit: int = 1000) -> list[Gap]:
    """What charts between `start` and `end` must be honest about, oldest first; the newest `limit` of each kind.

    A gap whose beginning is unknown begins when it was noticed. A server that is down now has no end, and one whose
    `sync` has died counts as down since its last sign of life.
    """
    down = ServerInterval.objects.select_related("server").filter(
        Q(ended_at__isnull=True) | Q(ended_at__gt=start), state=ServerInterval.State.DOWN, started_at__lt=end
    )
    gaps = [
        Gap(
            kind="down",
            server=interval.server.name,
            start=interval.started_at,
            end=interval.ended_at,
            reason=interval.reason,
            lost_events=None,
        )
        for interval in down.order_by("-started_at")[:limit]
    ]
    lost = StreamGap.objects.select_related("server").filter(
        Q(since__lt=end) | Q(since__isnull=True, recorded_at__lt=end), recorded_at__gt=start
    )
    for gap in lost.order_by("-recorded_at")[:limit]:
        known = gap.first_sequence is not None and gap.last_sequence is not None
        gaps.append(
            Gap(
                kind="lost",
                server=gap.server.name,
                start=gap.since or gap.recorded_at,
                end=gap.recorded_at,
                reason=gap.reason,
                lost_events=gap.last_sequence - gap.first_sequence + 1 if known else None,  # type: ignore[operator]
            )
        )
    now = timezone.now()
    for server in LeshanServer.objects.filter(sync_alive_at__lt=now - SYNC_SILENT_AFTER):
        open_down = any(gap.kind == "down" and gap.end is None and gap.server == server.name for gap in gaps)
        if not open_down and server.sync_alive_at is not None and server.sync_alive_at < end:
            gaps.append(
                Gap(
                    kind="down",
                    server=server.name,
                    start=server.sync_alive_at,
                    end=None,
                    reason="sync does not run",
                    lost_events=None,
                )
            )
    return sorted(gaps, key=lambda gap: gap.start)
