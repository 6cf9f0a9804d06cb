"""Which command goes to Leshan when: the bookkeeping of queues, one per device, and of what is in flight.

Used by the writer's thread only. The database has the truth; what is kept here can be made anew from it at any time.
A device's commands go one at a time, in the order of their ids, while the device is registered and awake. A package's
transfer takes long: it has a lane of its own, beside the ordinary one.
"""

import heapq
import logging
import time
from bisect import insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from django.utils import timezone

from backend.commands.models import HARMLESS, Command, Kind, State
from backend.commands.services.outcomes import Verdict, answered_by_server, lost, verdict, without_package
from backend.commands.services.transitions import (
    Settled,
    Waiting,
    commands_cancelling,
    commands_claim,
    commands_expire,
    commands_queued,
    commands_refuse,
    commands_return,
    commands_sent,
    commands_sent_ids,
    commands_waiting_rows,
    tell_pages,
)
from backend.sync.calls import seconds_of
from backend.sync.decoder import record_of
from backend.sync.plan import retry_delay
from backend.sync.requests import Answer, Handed

log = logging.getLogger(__name__)

T = TypeVar("T")

# ids are committed in another order than given out where there are several writers: so far back is looked again
WINDOW = 1000
RESCAN_SECONDS = 5.0
EXPIRY_SECONDS = 1.0
# requests that may be under way to Leshan at once; the others stay queued meanwhile
HANDING_OVER = 256
# so many at least are claimed together where more of them wait: each claim is a transaction
CLAIM = 32
# a command in flight of which nothing is heard for this long after its time is asked for
OVERDUE_SECONDS = 15.0
# an end that was told is stored within this time, or it cannot be
STORED_SECONDS = 10.0
# one of which Leshan, which cannot be asked, has not told the end ends by itself this long after its expiry
AWAY = timedelta(minutes=5)
# Leshan knows what became of a request for 7 days: after nearly that long, knowing nothing of it means nothing
REMEMBERED = timedelta(days=6)
# the plan of a device leaves their paths alone as long as they are open
OBSERVING = frozenset({Kind.OBSERVE, Kind.CANCEL_OBSERVE})
STOCK = "Commands need FlowNexus's own Leshan server: this one cannot keep a request until the device answers"


class Hands(Protocol):
    """What carries requests to Leshan (backend.sync.requests.Requests)."""

    def start(self, command: Command) -> None:
        """Hands it over."""

    def look(self, command: Command) -> None:
        """Asks how far it is."""

    def cancel(self, command: Command) -> None:
        """Takes it back."""


@dataclass(slots=True)
class Flight:
    """A command that is `sent`."""

    command: Command
    # an HTTP request about it is under way
    busy: bool = False
    # Leshan has it
    accepted: bool = False
    cancelling: bool = False
    attempt: int = 0
    # time.monotonic() when its end was told, to be stored; None: it was not
    told: float | None = None
    # time.monotonic() when something was last heard of it
    since: float = field(default_factory=time.monotonic)
    # time.monotonic() before which Leshan, which gave no answer, is not asked again
    rest_until: float = 0.0


@dataclass(slots=True)
class Line:
    """The commands of one device, in one lane."""

    device_id: int
    endpoint: str
    # the lane of the packages' transfers: what else is asked of the device is not kept back for it
    package: bool = False
    # ids, lowest first
    queue: list[int] = field(default_factory=list)
    flight: Flight | None = None
    # time.time() when it is looked at again anyway
    later: float = 0.0

    @property
    def key(self) -> "Key":
        """Where it is to be found."""
        return self.device_id, self.package


# device id, whether it is the lane of packages
Key = tuple[int, bool]


class Dispatcher:
    """Notices commands, hands them over one per device, follows them to their end."""

    def __init__(
        self,
        *,
        hands: Hands,
        retry: Callable[[Callable[[], Any]], Any],
        hold: Callable[[str], bool],
        release: Callable[[str], None],
        answered: Callable[[dict[str, Any]], None],
        replan: Callable[[str], None] = lambda endpoint: None,
        touched: Callable[[int, bool], None] = lambda device_id, untransferred: None,
    ) -> None:
        """`retry` carries out work on the database, however long that is away.

        `hold` keeps the device's other requests back: false while one is under way (`freed` tells when it is over);
        `release` lets them go on. `answered` takes the record of a request that ended, to be stored like its event.
        `replan` takes the endpoint of a device of which a command about an observation ended without its answer.
        `touched` takes the id of a device of which a command has ended, or waits again, and whether it was a package's
        transfer that failed.
        """
        self._hands = hands
        self._retry = retry
        self._hold = hold
        self._release = release
        self._answered = answered
        self._replan = replan
        self._touched = touched
        self._lines: dict[Key, Line] = {}
        self._by_endpoint: dict[tuple[str, bool], Line] = {}
        # queued command → when it may go at the earliest, time.time(), and its line
        self._known: dict[int, tuple[float, Line]] = {}
        self._flights: dict[int, Flight] = {}
        # lines in which something may go now
        self._ready: set[Key] = set()
        # (time.time(), line): when to look at a line again
        self._later: list[tuple[float, Key]] = []
        # (time.monotonic(), command id): when to ask Leshan again about one in flight
        self._again: list[tuple[float, int]] = []
        self._held: set[str] = set()
        # endpoints that are to be held as soon as the request that is under way there is over
        self._holding: set[str] = set()
        # queued commands about observations
        self._observing: set[int] = set()
        self._registered: set[str] = set()
        self._asleep: set[str] = set()
        # devices that did not answer: until they say something
        self._silent: set[str] = set()
        # endpoint → time.monotonic() of the last sign of life or registration
        self._signs: dict[str, float] = {}
        # what Leshan's answers decided, not written yet
        self._verdicts: list[tuple[str, Verdict]] = []
        self._handing = 0
        self._highest = 0
        self._journal: str | None = None
        self._connected = False
        self._rescan_at = 0.0
        self._expire_at = 0.0

    def start(self, *, registered: Iterable[str], asleep: Iterable[str]) -> None:
        """What the database knows. Nothing is sent before `connected`."""
        self._registered = set(registered)
        self._asleep = set(asleep)
        self._rescan(tell=False)

    # -- the connection

    def connected(self, journal: str | None) -> None:
        """Leshan is there; `journal` is None for a stock server. What is in flight is asked for."""
        self._connected, self._journal = True, journal
        # a stock server knows nothing of them: they end, too
        self._look_everywhere()
        self._ready.update(self._lines)

    def disconnected(self) -> None:
        """Leshan is away: everything stays as it is."""
        self._connected = False

    def look_again(self) -> None:
        """Events were lost: what is in flight may have ended among them."""
        if self._connected and self._journal is not None:
            self._look_everywhere()

    # -- devices

    def registered(self, endpoint: str) -> None:
        """The device has a registration."""
        self._registered.add(endpoint)
        self._silent.discard(endpoint)
        self._sign(endpoint)

    def ended(self, endpoint: str) -> None:
        """Its registration is over."""
        self._registered.discard(endpoint)
        self._asleep.discard(endpoint)

    def sleeping(self, endpoint: str) -> None:
        """The device sleeps."""
        self._asleep.add(endpoint)

    def awake(self, endpoint: str) -> None:
        """The device showed that it is awake."""
        self._asleep.discard(endpoint)
        self._silent.discard(endpoint)
        self._sign(endpoint)

    def _sign(self, endpoint: str) -> None:
        self._signs[endpoint] = time.monotonic()
        for package in (False, True):
            line = self._by_endpoint.get((endpoint, package))
            if line is not None:
                self._ready.add(line.key)

    def freed(self, endpoint: str) -> None:
        """The request that kept `hold` from holding is over."""
        line = self._by_endpoint.get((endpoint, False))
        if line is not None:
            self._ready.add(line.key)

    @property
    def in_flight(self) -> int:
        """How many commands are `sent`."""
        return len(self._flights)

    def is_registered(self, endpoint: str) -> bool:
        """Has the device a registration, as far as we know?"""
        return endpoint in self._registered

    def empty(self, endpoint: str) -> bool:
        """Has the device no ordinary command that waits or is in flight?"""
        line = self._by_endpoint.get((endpoint, False))
        return line is None or (line.flight is None and not line.queue)

    # -- the clock

    def tick(self) -> None:
        """To be called every 50 ms: looks for new commands and wishes to cancel, and hands over what can go."""
        now = time.monotonic()
        if now >= self._rescan_at:
            self._rescan(tell=True)
        else:
            self._notice()
        if now >= self._expire_at:
            self._expire_at = now + EXPIRY_SECONDS
            self._expire()
            self._overdue(now)
        self._cancel()
        while self._again and self._again[0][0] <= now:
            flight = self._flights.get(heapq.heappop(self._again)[1])
            if flight is not None and not flight.busy and self._connected:
                self._look(flight)
        self.pump()

    def _notice(self) -> None:
        floor = max(0, self._highest - WINDOW)
        queued: set[int] = self._retry(lambda: commands_queued(above=floor))
        fresh = queued - self._known.keys()
        if fresh:
            self._learn(fresh, tell=True)

    def _rescan(self, *, tell: bool) -> None:
        """Makes the books what the database says."""
        self._rescan_at = time.monotonic() + RESCAN_SECONDS
        queued: set[int] = self._retry(commands_queued)
        sent: set[int] = self._retry(commands_sent_ids)
        gone = self._known.keys() - queued
        if gone:
            # a person cancelled them, or deleted the device
            devices = {self._known[command_id][1].device_id for command_id in gone}
            self._retry(lambda: tell_pages(device_ids=sorted(devices)))
            for device_id in devices:
                self._touched(device_id, False)
        for command_id in gone:
            self._forget(command_id, ended=True)
        for command_id in self._flights.keys() - sent:
            self._land(command_id)
        fresh = queued - self._known.keys()
        if fresh:
            self._learn(fresh, tell=tell)
        strangers = sent - self._flights.keys()
        if strangers:
            for command in self._retry(lambda: commands_sent(ids=strangers)):
                flight = self._fly(command)
                if not _package(command.kind) and flight.command.device.endpoint not in self._held:
                    self._held.add(flight.command.device.endpoint)
                    self._hold(flight.command.device.endpoint)
                if self._connected:
                    self._look(flight)

    def _learn(self, ids: set[int], *, tell: bool) -> None:
        rows: list[Waiting] = self._retry(lambda: commands_waiting_rows(ids=ids))
        for row in rows:
            self._enqueue(row.id, self._line(row.device_id, row.endpoint, _package(row.kind)), row.not_before)
            if row.kind in OBSERVING:
                self._observing.add(row.id)
            self._highest = max(self._highest, row.id)
        if tell and rows:
            self._retry(lambda: tell_pages(device_ids=[row.device_id for row in rows]))

    def _line(self, device_id: int, endpoint: str, package: bool) -> Line:
        line = self._lines.get((device_id, package))
        if line is None:
            line = Line(device_id, endpoint, package)
            self._lines[line.key] = self._by_endpoint[endpoint, package] = line
        return line

    def _enqueue(self, command_id: int, line: Line, not_before: datetime | None) -> None:
        if command_id in self._known:
            return
        insort(line.queue, command_id)
        self._known[command_id] = (0.0 if not_before is None else not_before.timestamp(), line)
        self._ready.add(line.key)

    def _forget(self, command_id: int, *, ended: bool = False) -> None:
        """No longer queued; `ended`: nor will it be sent."""
        observing = command_id in self._observing
        self._observing.discard(command_id)
        known = self._known.pop(command_id, None)
        if known is not None:
            line = known[1]
            line.queue.remove(command_id)
            self._ready.add(line.key)
            if ended:
                self._touched(line.device_id, False)
                if observing:
                    self._replan(line.endpoint)

    def _fly(self, command: Command) -> Flight:
        self._forget(command.pk)
        line = self._line(command.device_id, command.device.endpoint, _package(command.kind))
        flight = self._flights[command.pk] = line.flight = Flight(command)
        return flight

    def _land(self, command_id: int) -> None:
        """No longer in flight."""
        flight = self._flights.pop(command_id, None)
        if flight is None:
            return
        line = self._lines[flight.command.device_id, _package(flight.command.kind)]
        if line.flight is flight:
            line.flight = None
        self._ready.add(line.key)

    def _expire(self) -> None:
        for command_id, _ in self._retry(lambda: commands_expire(at=timezone.now())):
            self._forget(command_id, ended=True)
        late = timezone.now() - AWAY
        for flight in self._flights.values():
            unheard = flight.attempt > 0 or not self._connected
            if unheard and flight.command.expires_at <= late and not flight.busy:
                doubt = flight.command.kind not in HARMLESS
                self._decide(flight.command.request_id, Verdict(State.QUEUED, "no answer", in_doubt=doubt))

    def _overdue(self, now: float) -> None:
        if not self._connected:
            return
        for flight in self._flights.values():
            if flight.accepted and not flight.busy and now - flight.since > _seconds(flight.command):
                self._look(flight)

    def _cancel(self) -> None:
        if not self._flights or not self._connected:
            return
        for command_id in self._retry(commands_cancelling):
            flight = self._flights.get(command_id)
            if flight is None or flight.cancelling or flight.busy:
                continue
            if flight.rest_until <= time.monotonic():
                flight.cancelling = flight.busy = True
                self._hands.cancel(flight.command)

    def _look_everywhere(self) -> None:
        for flight in self._flights.values():
            if not flight.busy:
                self._look(flight)

    def _look(self, flight: Flight) -> None:
        flight.busy = True
        flight.since = time.monotonic()
        self._hands.look(flight.command)

    # -- handing over

    def pump(self) -> None:
        """Writes what was decided and hands over every command whose turn it is."""
        if self._verdicts:
            verdicts, self._verdicts = self._verdicts, []
            settled: list[Settled] = self._retry(lambda: commands_return(verdicts=verdicts, at=timezone.now()))
            for item in settled:
                flight = self._flights.get(item.id)
                if flight is not None and flight.command.kind in OBSERVING and item.state != State.QUEUED:
                    self._replan(item.endpoint)
            self.settled(settled)
        if not self._connected:
            return
        if self._journal is None:
            self._refuse()
            return
        now = time.time()
        while self._later and self._later[0][0] <= now:
            line = self._lines.get(heapq.heappop(self._later)[1])
            if line is not None:
                line.later = 0.0
                self._ready.add(line.key)
        # not one by one as each is handed over: a claim costs about the same for one as for many
        while self._ready and HANDING_OVER - self._handing >= min(len(self._ready), CLAIM):
            due = self._due(now, HANDING_OVER - self._handing)
            if not due:
                break
            self._claim(due)

    def _due(self, now: float, room: int) -> list[int]:
        """The commands whose turn it is, one per line; lines in which nothing can go are put aside."""
        due: list[int] = []
        for key in sorted(self._ready):
            if len(due) >= room:
                break
            line = self._lines.get(key)
            if line is None or line.flight is not None:
                self._ready.discard(key)
                continue
            if not self._may_go(line, now):
                self._ready.discard(key)
                self._let_go(line)
                continue
            if not line.package and line.endpoint not in self._held:
                if not self._hold(line.endpoint):
                    self._holding.add(line.endpoint)
                    self._ready.discard(key)
                    continue
                self._holding.discard(line.endpoint)
                self._held.add(line.endpoint)
            due.append(line.queue[0])
        return due

    def _may_go(self, line: Line, now: float) -> bool:
        if not line.queue:
            return False
        if line.endpoint not in self._registered or line.endpoint in self._asleep or line.endpoint in self._silent:
            return False
        not_before = self._known[line.queue[0]][0]
        if not_before > now:
            if line.later != not_before:
                line.later = not_before
                heapq.heappush(self._later, (not_before, line.key))
            return False
        return True

    def _let_go(self, line: Line) -> None:
        # the same name may have another line, of a device that was deleted and came back: then it is that one's
        current = self._by_endpoint.get((line.endpoint, line.package)) is line
        if current and not line.package and (line.endpoint in self._held or line.endpoint in self._holding):
            self._held.discard(line.endpoint)
            self._holding.discard(line.endpoint)
            self._release(line.endpoint)
        if not line.queue and line.flight is None:
            self._lines.pop(line.key, None)
            if current:
                self._by_endpoint.pop((line.endpoint, line.package), None)

    def _claim(self, ids: list[int]) -> None:
        journal = self._journal or ""
        claimed: list[Command] = self._retry(lambda: commands_claim(ids=ids, journal=journal, at=timezone.now()))
        for command in claimed:
            flight = self._fly(command)
            self._ready.discard((command.device_id, _package(command.kind)))
            flight.busy = True
            self._handing += 1
            self._hands.start(command)
        for command_id in set(ids) - {command.pk for command in claimed}:
            # cancelled or expired just now
            self._forget(command_id, ended=True)

    def _refuse(self) -> None:
        """A stock server: every command that waits ends, and says why."""
        if self._known:
            ids = list(self._known)
            self._retry(lambda: commands_refuse(ids=ids, reason=STOCK, at=timezone.now()))
            for command_id in ids:
                self._forget(command_id, ended=True)
        for key in list(self._ready):
            line = self._lines.get(key)
            if line is not None and line.flight is None:
                self._let_go(line)
        self._ready.clear()

    # -- what came of it

    def settled(self, settled: Iterable[Settled]) -> None:
        """These are no longer in flight, by the database."""
        for item in settled:
            flight = self._flights.get(item.id)
            self._land(item.id)
            if item.state == State.QUEUED and flight is not None and flight.command.kind in OBSERVING:
                self._observing.add(item.id)
            if item.silent:
                self._silent.add(item.endpoint)
            line = self._line(item.device_id, item.endpoint, item.package)
            if item.state == State.QUEUED:
                self._enqueue(item.id, line, item.not_before)
            self._ready.add(line.key)
            self._touched(item.device_id, item.package and item.state == State.FAILED)

    def handle(self, handed: Handed) -> None:
        """An HTTP request about a command is over."""
        if handed.handing:
            self._handing -= 1
        flight = self._flights.get(handed.command_id)
        if flight is None or flight.command.request_id != handed.request_id:
            # its end was told meanwhile
            return
        flight.busy = False
        flight.since = time.monotonic()
        if handed.answer is Answer.RECORD:
            flight.attempt = 0
            flight.accepted = True
            if handed.record and handed.record.get("state") == "ended":
                self._ended(flight, dict(handed.record))
        elif handed.answer is Answer.UNAVAILABLE:
            # Leshan may have it: the same id is asked for until that is known
            flight.cancelling = False
            flight.attempt += 1
            delay = retry_delay(flight.attempt, first=1.0, most=15.0)
            flight.rest_until = time.monotonic() + delay
            heapq.heappush(self._again, (time.monotonic() + delay, handed.command_id))
        elif handed.answer is Answer.NO_RECORD:
            self._not_there(flight)
        else:
            self._decide(handed.request_id, self._refused(flight, handed))

    def _ended(self, flight: Flight, record: dict[str, Any]) -> None:
        now = time.monotonic()
        if flight.told is None or now - flight.told < STORED_SECONDS:
            flight.told = flight.told or now
            self._answered(record)
            return
        # it was told before and could not be stored with all that it says: it ends all the same
        command = flight.command
        log.error("the end of command %s is stored without its values", command.pk)
        given = verdict(record_of(record), kind=command.kind, attempts=command.attempts, expires_at=command.expires_at)
        self._decide(command.request_id, given)

    def _not_there(self, flight: Flight) -> None:
        command = flight.command
        forgotten = command.sent_at is not None and command.sent_at <= timezone.now() - REMEMBERED
        if command.journal != self._journal or flight.accepted or forgotten:
            self._decide(command.request_id, lost(kind=command.kind, repeat=False))
        elif flight.cancelling or command.expires_at <= timezone.now():
            # it never got there, and shall not any more
            self._decide(command.request_id, Verdict(State.QUEUED, delay=timedelta(), counted=False))
        else:
            flight.busy = True
            self._handing += 1
            self._hands.start(command)

    def _refused(self, flight: Flight, handed: Handed) -> Verdict:
        endpoint = flight.command.device.endpoint
        # it spoke while we asked: what Leshan said may be old already
        spoken = self._signs.get(endpoint, 0.0) > handed.started
        soon = timedelta(seconds=1) if spoken else None
        if handed.answer is Answer.SLEEPING:
            if not spoken:
                self._asleep.add(endpoint)
            return Verdict(State.QUEUED, "The device sleeps: waiting until it wakes up", delay=soon, counted=False)
        if handed.answer is Answer.NOT_REGISTERED:
            if not spoken:
                self._registered.discard(endpoint)
            text = "The device is not registered: waiting until it registers"
            return Verdict(State.QUEUED, text, delay=soon, counted=False)
        if handed.answer is Answer.NOTHING_TO_END:
            return answered_by_server()
        if handed.answer is Answer.NO_PACKAGE:
            return without_package(handed.error)
        return Verdict(State.FAILED, handed.error or "Leshan refuses it without a reason")

    def _decide(self, request_id: str, verdict: Verdict) -> None:
        self._verdicts.append((request_id, verdict))


def _package(kind: str) -> bool:
    return kind == Kind.WRITE_PACKAGE


def _seconds(command: Command) -> float:
    return OVERDUE_SECONDS + seconds_of(command)
