"""The `sync` process: one thread writes to the database, one listens to Leshan, a few ask devices.

The writer takes bytes, outcomes and the clock's ticks from one queue. An event counts as received only when it is
committed: after a crash, or while the database is away, the stream is taken up again behind the last stored id.
"""

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db import IntegrityError, InterfaceError, OperationalError, connection
from django.utils import timezone

from backend.alerts.delivery import Deliverer
from backend.config.collector import tune_collector
from backend.devices.models import Change, LeshanServer
from backend.devices.services import (
    DEFAULT_AWAKE_SECONDS,
    awake_forget,
    observations_want,
    profiles_apply_rules,
    server_connected,
    server_disconnected,
    server_heartbeat,
    server_problem,
    server_started,
    server_stopped,
)
from backend.lwm2m.objects import object_versions
from backend.lwm2m.times import datetime_of_us
from backend.sync import queries
from backend.sync.client import Health, LeshanClient
from backend.sync.clocks import Clocks
from backend.sync.decoder import Decoder, responded
from backend.sync.desired import Credentials, Definitions, OwnWishes
from backend.sync.dispatch import Dispatcher
from backend.sync.events import (
    Answer,
    AttributesDone,
    Clients,
    Idle,
    ObserveFailed,
    Poisoned,
    Presence,
    Progressed,
    ReadDone,
    Redecoded,
    Registered,
    Responded,
    Storable,
    Values,
)
from backend.sync.exceptions import StoppedError
from backend.sync.ingest import Ingest, Stored, sequence_of
from backend.sync.jobs import device_job
from backend.sync.lock import Lock
from backend.sync.plan import device_plan, retry_delay
from backend.sync.reader import Chunk, Connected, Disconnected, Message, Reader, Resume
from backend.sync.redecode import Redecoding
from backend.sync.requests import Handed, Requests
from backend.sync.updates import Updates
from backend.sync.upkeep import Upkeep
from backend.sync.work import (
    ClientsFailed,
    ClockDone,
    CredentialsDone,
    DecodingDone,
    DefinitionsDone,
    FetchClients,
    Freed,
    GrantDone,
    Job,
    Outcome,
    PackageDone,
    PackagesListed,
    Pool,
    Read,
    SetAwake,
    SpecsDone,
    Step,
)

log = logging.getLogger(__name__)

BATCH_VALUES = 30_000
BATCH_SECONDS = 0.1
# what a person or a waking device waits for is stored sooner
PROMPT_SECONDS = 0.005
# … but where many answers come at once, a transaction for each would hold up all of them
CROWD, CROWD_SECONDS = 16, 0.03
HEARTBEAT_SECONDS = 1.0
DISPATCH_SECONDS = 0.05
INTENTIONS_SECONDS = 0.5
HOUSEKEEPING_SECONDS = 2.0
UPKEEP_SECONDS = 0.15
CHANGES_KEPT = timedelta(minutes=5)
CHANGES_STEP = 2000
# a lost observation is tried again after this long, doubling
LOST_FIRST = 30.0
LOST_MOST = 3600.0
# registrations of which events told something else meanwhile are asked for again after this long
UNSURE_SECONDS = 5.0
# how long one try for the database's lock may take: SIGTERM has to be heard meanwhile
BUSY_MILLISECONDS = 300
# shorter waits than this are everyday life and not worth a line in the log
AWAY_SECONDS = 2.0
# new objects after which cycles are looked for; a batch has fewer
COLLECT_AFTER = 200_000
# tries after which a batch that the database refuses, although it answers, is taken apart
BATCH_TRIES = 3

T = TypeVar("T")


class _Stop:
    """Wakes the writer up."""


class Runner:
    """Everything that `manage.py sync` does."""

    def __init__(self, *, server: LeshanServer, client: LeshanClient, lock: Lock) -> None:
        """`lock` must be held."""
        self._server = server
        self._client = client
        self._lock = lock
        self._inbox: queue.SimpleQueue[Message | Outcome | Handed | _Stop] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._reader = Reader(client, self._inbox.put, self._stopping)
        self._pool = Pool(client, self._inbox.put)
        self._requests = Requests(client, self._inbox.put)
        # endpoints of which a command about an observation ended without the device: the plan has the word again
        self._unplanned: set[str] = set()
        self._dispatcher = Dispatcher(
            hands=self._requests,
            retry=self._retry,
            hold=self._pool.hold,
            release=self._pool.release,
            answered=self._on_record,
            replan=self._unplanned.add,
            touched=lambda device_id, untransferred: self._updates.touch(device_id, untransferred),
        )
        self._updates = Updates(
            retry=self._retry,
            submit=self._submit,
            plan=self._plan,
            registered=self._dispatcher.is_registered,
        )
        self._credentials = Credentials(
            retry=self._retry,
            submit=lambda job: self._pool.submit(job, urgent=True),
            problem=lambda text: self._say_problem("credentials", text),
            server=server,
        )
        self._definitions = Definitions(retry=self._retry, submit=self._submit, server_id=server.pk)
        self._own_wishes = OwnWishes(self._retry)
        # endpoint → paths that were written, to be read when the device has nothing else to do
        self._written: dict[str, set[str]] = {}
        self._ingest = Ingest(server.pk)
        self._clocks = Clocks(retry=self._retry, submit=self._submit)
        self._redecoding = Redecoding(retry=self._retry, submit=self._submit, server_id=server.pk)
        self._upkeep = Upkeep(retry=self._retry, rolled_up=self._ingest.rolled_up, problem=self._say_problem)
        self._deliverer = Deliverer()
        self._decoder = Decoder()
        self._number = 0
        self._health: Health | None = None
        self._connected = False
        self._last_id = ""
        self._head = ""
        self._batch: list[Storable] = []
        self._batch_values = 0
        self._batch_until = 0.0
        self._received = 0
        self._heard_at: datetime | None = None
        self._profiles_seen: tuple[Any, ...] | None = None
        self._rules_seen: tuple[Any, ...] | None = None
        # endpoint → profile id, as last looked at
        self._device_profiles: dict[str, int | None] = {}
        # the id that the journal had reached when we connected; "" once that is stored
        self._catch_up = ""
        # when to ask for the registrations once more, 0.0: not
        self._registrations_again = 0.0
        # endpoint → (when to look again, how often it has been lost)
        self._lost: dict[str, tuple[float, int]] = {}
        self._down_reason = ""
        # what is wrong beside the connection, by what it is about
        self._problems: dict[str, str] = {}

    def stop(self) -> None:
        """Asks the process to end; may be called from a signal handler."""
        self._stopping.set()
        self._inbox.put(_Stop())

    def run(self) -> None:
        """Until `stop`. Raises AlreadyRunningError where the lock was lost to another process."""
        tune_collector(threshold=COLLECT_AFTER)
        tune_database()
        try:
            self._retry(self._start)
            self._deliverer.start()
            self._reader.start()
            self._loop()
        except StoppedError:
            log.warning("stopped while the database was away; what was not stored will be asked for again")
            return
        finally:
            self._stopping.set()
            self._deliverer.stop(timeout=0.2)
        self._finish()

    def _start(self) -> None:
        server_started(server=self._server, at=timezone.now())
        self._last_id = LeshanServer.objects.values_list("last_event_id", flat=True).get(pk=self._server.pk)
        self._definitions.start()
        self._credentials.start()
        self._profiles_seen = queries.profiles_fingerprint()
        self._device_profiles = queries.device_profiles()
        self._rules_seen = queries.rules_fingerprint()
        self._own_wishes.changed()
        registered, asleep = queries.presence(server_id=self._server.pk)
        self._dispatcher.start(registered=registered, asleep=asleep)

    def _finish(self) -> None:
        self._requests.stop(timeout=0.2)
        self._pool.stop(timeout=0.2)
        try:
            server_stopped(server=self._server, at=timezone.now())
        except (OperationalError, InterfaceError) as error:
            log.warning("the end could not be noted in the database: %s", error)

    def _loop(self) -> None:
        ticks: list[tuple[float, float, Callable[[], None]]] = [
            (0.0, HEARTBEAT_SECONDS, self._heartbeat),
            (0.0, DISPATCH_SECONDS, self._dispatch),
            (0.0, INTENTIONS_SECONDS, self._look_for_intentions),
            (0.0, HOUSEKEEPING_SECONDS, self._tidy_up),
            (0.0, UPKEEP_SECONDS, self._upkeep.tick),
        ]
        while not self._stopping.is_set():
            due = min(tick[0] for tick in ticks)
            if self._batch:
                due = min(due, self._batch_until)
            try:
                message = self._inbox.get(timeout=max(0.0, due - time.monotonic()))
            except queue.Empty:
                pass
            else:
                self._handle(message)
            now = time.monotonic()
            if self._batch and now >= self._batch_until:
                self._flush()
            for index, (when, period, action) in enumerate(ticks):
                if now >= when:
                    action()
                    ticks[index] = (time.monotonic() + period, period, action)
        self._flush()

    # -- messages

    def _handle(self, message: "Message | Outcome | Handed | _Stop") -> None:
        if isinstance(message, Chunk):
            self._chunk(message)
        elif isinstance(message, Handed):
            self._dispatcher.handle(message)
            self._dispatcher.pump()
        elif isinstance(message, Freed):
            self._dispatcher.freed(message.endpoint)
            self._dispatcher.pump()
        elif isinstance(message, ReadDone | ObserveFailed | AttributesDone | Clients | Redecoded):
            if isinstance(message, Clients):
                self._say_problem("registrations", "")
            self._answer(message)
        elif isinstance(message, ClientsFailed):
            self._say_problem("registrations", f"registrations could not be compared with Leshan's: {message.error}")
        elif isinstance(message, Resume):
            self._flush()
            message.answer = self._last_id
            message.answered.set()
        elif isinstance(message, Connected):
            self._on_connected(message)
        elif isinstance(message, Disconnected):
            self._on_disconnected(message.reason)
        elif isinstance(message, SpecsDone):
            self._definitions.fetched(message)
        elif isinstance(message, DefinitionsDone):
            self._definitions.pushed(message)
            self._redecoding.definitions(message)
        elif isinstance(message, DecodingDone):
            self._redecoding.next()
        elif isinstance(message, ClockDone):
            self._clocks.done(message)
        elif isinstance(message, PackageDone | GrantDone | PackagesListed):
            self._updates.handle(message)
        elif isinstance(message, CredentialsDone):
            self._credentials.pushed(message)

    def _chunk(self, chunk: Chunk) -> None:
        try:
            if chunk.number != self._number:
                return
            self._received = chunk.received
            self._heard_at = datetime_of_us(chunk.received)
            prompt = False
            for item in self._decoder.feed(chunk.data):
                if isinstance(item, Values):
                    self._batch_values += len(item.readings)
                elif isinstance(item, Progressed):
                    self._updates.progress(item)
                    continue
                elif isinstance(item, Idle):
                    self._head = item.last or self._head
                else:
                    prompt = prompt or isinstance(item, Responded | Presence | Registered)
                self._add(item)
            if prompt:
                self._hurry()
        finally:
            self._reader.release()

    def _answer(self, answer: Answer) -> None:
        self._received = time.time_ns() // 1000
        self._add(answer)

    def _on_record(self, record: dict[str, Any]) -> None:
        """Leshan's record of a request that ended: stored as its event is, whichever comes first."""
        item = responded(record)
        if isinstance(item, Poisoned):
            log.error("a record of a request could not be understood: %s", item.error)
            return
        self._received = time.time_ns() // 1000
        self._add(item)
        self._hurry()

    def _hurry(self) -> None:
        """The batch holds something that is waited for."""
        soon = CROWD_SECONDS if self._dispatcher.in_flight > CROWD else PROMPT_SECONDS
        self._batch_until = min(self._batch_until, time.monotonic() + soon)

    def _add(self, item: Storable) -> None:
        if not self._batch:
            self._batch_until = time.monotonic() + BATCH_SECONDS
        self._batch.append(item)
        if self._batch_values >= BATCH_VALUES or len(self._batch) >= BATCH_VALUES:
            self._flush()

    def _flush(self) -> None:
        """Stores the batch, however long the database takes to take it."""
        if not self._batch:
            return
        items, self._batch, self._batch_values = self._batch, [], 0
        stored = self._store(items)
        if stored.last_event_id:
            self._last_id = stored.last_event_id
        self._follow_up(stored)
        if self._catch_up and _reached(self._last_id, self._catch_up):
            # events from before the list was asked for may have undone what it said, such as that a device is gone
            self._catch_up = ""
            self._fetch_clients()

    def _store(self, items: list[Storable]) -> Stored:
        tries = 0

        def once() -> Stored:
            nonlocal tries
            tries += 1
            apart = tries > BATCH_TRIES and self._writable()
            return self._ingest.store(items, received=self._received, bisect_unavailable=apart)

        return self._retry(once)

    def _writable(self) -> bool:
        """Does the database take a plain write?"""
        try:
            server_heartbeat(server=self._server, at=timezone.now(), heard_at=None, head="", idle=False)
        except (OperationalError, InterfaceError):
            return False
        return True

    def _follow_up(self, stored: Stored) -> None:
        """What a batch makes necessary. Commands go before what a plan asks of the same device."""
        dispatcher, answers = self._dispatcher, stored.answers
        dispatcher.settled(answers.settled)
        for endpoint in stored.ended:
            dispatcher.ended(endpoint)
            self._pool.cancel(endpoint)
            self._lost.pop(endpoint, None)
        for endpoint in stored.registered:
            dispatcher.registered(endpoint)
        for endpoint in stored.asleep:
            dispatcher.sleeping(endpoint)
            self._pool.sleep(endpoint)
        for endpoint in stored.signs:
            dispatcher.awake(endpoint)
        dispatcher.pump()
        for endpoint in stored.signs:
            self._pool.wake(endpoint)
        if stored.gap:
            dispatcher.look_again()
            self._reconcile()
        if stored.unsure:
            self._registrations_again = time.monotonic() + UNSURE_SECONDS
        if stored.identified:
            self._apply_rules(stored.identified)
        planned = stored.registered.keys() | answers.replan
        if planned:
            self._plan(planned)
        self._push_awake(answers.awake)
        for endpoint, paths in answers.written.items():
            self._written.setdefault(endpoint, set()).update(paths)
        self._updates.stored(stored)
        self._upkeep.told(stored.told)
        self._clocks.registered(stored.registered)
        if self._connected:
            self._clocks.heard(stored.clocks)
        now = time.monotonic()
        for endpoint in stored.lost:
            count = self._lost.get(endpoint, (0.0, 0))[1] + 1
            self._lost[endpoint] = (now + retry_delay(count, first=LOST_FIRST, most=LOST_MOST), count)

    def _apply_rules(self, device_ids: Collection[int] | None) -> None:
        """Gives these devices (all) the profiles that the rules say; the next look at profiles plans for them."""
        if self._rules_seen:
            self._retry(lambda: profiles_apply_rules(device_ids=device_ids))

    def _push_awake(self, windows: Mapping[str, int]) -> None:
        """Tells Leshan how long these devices listen after a message, in seconds."""
        if self._health is not None:
            for endpoint, seconds in windows.items():
                self._submit(Job(f"awake window of {endpoint}", deque([SetAwake(endpoint, seconds)])))

    def _submit(self, job: Job) -> None:
        self._pool.submit(job)

    def _dispatch(self) -> None:
        """Updates, the commands that they and people ask for, and after them the new values of what was written."""
        self._updates.tick()
        self._dispatcher.tick()
        if self._unplanned and self._connected:
            endpoints = set(self._unplanned)
            self._unplanned.clear()
            self._plan(endpoints)
        free = {endpoint: paths for endpoint, paths in self._written.items() if self._dispatcher.empty(endpoint)}
        if not free:
            return
        for endpoint in free:
            del self._written[endpoint]
        for endpoint, paths in self._retry(lambda: queries.readable(written=free)).items():
            # one each: a later write must not take the place of what is still to be read, such as while it sleeps
            for path in paths:
                steps: deque[Step] = deque([Read(endpoint, path)])
                self._submit(Job(f"new value of {endpoint} {path}", steps, endpoint=endpoint, queue_mode=True))

    # -- the connection

    def _on_connected(self, message: Connected) -> None:
        self._flush()
        self._number = message.number
        self._decoder = Decoder()
        self._health = message.health
        self._connected = True
        self._down_reason = ""
        self._heard_at = timezone.now()
        head = "" if message.health is None else f"{message.health.journal}-{message.health.last}"
        self._head = head or self._head
        self._catch_up = "" if _reached(self._last_id, head) else head
        self._retry(lambda: server_connected(server=self._server, at=timezone.now(), head=head))
        self._problems = {}
        kind = "" if message.health else " (a stock server: without journal, events may be missed)"
        log.info("connected to Leshan at %s%s", self._client.url, kind)
        self._dispatcher.connected(None if message.health is None else message.health.journal)
        if message.health is not None:
            self._definitions.push()
        self._updates.connected()
        self._reconcile()

    def _on_disconnected(self, reason: str) -> None:
        self._flush()
        if reason != self._down_reason:
            log.warning("%s; trying again", reason)
        self._down_reason = reason
        # a silent stream was lost when it was last heard, not when that was noticed
        at = self._heard_at if self._connected and self._heard_at else timezone.now()
        self._connected = False
        self._dispatcher.disconnected()
        self._updates.disconnected()
        self._retry(lambda: server_disconnected(server=self._server, at=at, reason=reason))

    def _reconcile(self) -> None:
        """Credentials, registrations and (when the registrations are known) observations."""
        self._credentials.push()
        self._fetch_clients()

    def _fetch_clients(self) -> None:
        self._registrations_again = 0.0
        self._pool.submit(Job("registrations", deque([FetchClients()])), urgent=True)

    # -- what is wrong

    def _say_problem(self, about: str, text: str) -> None:
        if text == self._problems.get(about, ""):
            return
        self._problems[about] = text
        if text:
            log.error("%s", text)
        if self._connected:
            said = "; ".join(problem for problem in self._problems.values() if problem)
            self._retry(lambda: server_problem(server=self._server, at=timezone.now(), text=said))

    # -- devices

    def _plan(self, endpoints: Iterable[str], *, retry_failed: bool = False) -> None:
        """Plans and starts the work for these devices."""
        names = set(endpoints)
        for record in self._retry(lambda: queries.device_records(endpoints=names)):
            facts = record.facts
            plan = device_plan(facts, retry_failed=retry_failed)
            known = {row.path: row.attributes for row in facts.observations}
            if known != plan.wanted:
                device_id, wanted = record.device_id, plan.wanted
                try:
                    self._retry(lambda: observations_want(device_id=device_id, wanted=wanted, at=timezone.now()))  # noqa: B023 - called at once
                except IntegrityError:
                    log.info("%s was deleted just now: nothing is wanted of it", record.endpoint)
                    continue
            if record.queue_mode and record.awake_seconds:
                self._push_awake({record.endpoint: record.awake_seconds})
            self._submit(device_job(record, plan, journaled=self._health is not None))
            self._definitions.want(record.endpoint, set(object_versions(facts.links).items()))

    # -- ticks

    def _heartbeat(self) -> None:
        self._retry(self._lock.ensure)
        head = self._head if self._connected else ""
        idle = bool(head) and head == self._last_id and not self._batch
        self._retry(
            lambda: server_heartbeat(
                server=self._server, at=timezone.now(), heard_at=self._heard_at, head=head if idle else "", idle=idle
            )
        )

    def _look_for_intentions(self) -> None:
        if not self._connected:
            return
        self._credentials.look()
        rules = self._retry(queries.rules_fingerprint)
        if rules != self._rules_seen:
            self._rules_seen = rules
            self._apply_rules(None)
        profiles = self._retry(queries.profiles_fingerprint)
        if profiles != self._profiles_seen:
            before, self._profiles_seen = self._profiles_seen, profiles
            self._plan_profiles(before, profiles)
        own = self._own_wishes.changed()
        if own:
            self._plan(own)
        if self._health is not None:
            self._definitions.look()
        now = time.monotonic()
        if self._registrations_again and now >= self._registrations_again:
            self._fetch_clients()
        due = [endpoint for endpoint, (when, _) in self._lost.items() if when and now >= when]
        if due:
            for endpoint in due:
                self._lost[endpoint] = (0.0, self._lost[endpoint][1])
            self._plan(due, retry_failed=True)

    def _plan_profiles(self, before: tuple[Any, ...] | None, now: tuple[Any, ...]) -> None:
        """A profile has changed, or some devices have another one, or are new."""
        had, self._device_profiles = self._device_profiles, self._retry(queries.device_profiles)
        has = self._device_profiles
        everywhere = before is None or now[:2] != before[:2]
        # no profile has the id 0: it stands for a device that we did not know
        moved = {endpoint for endpoint, profile in has.items() if had.get(endpoint, 0) != profile}
        windows = {pk: seconds for pk, seconds, _ in now[1]}
        old_windows = windows if before is None else {pk: seconds for pk, seconds, _ in before[1]}
        told_anew = [
            endpoint
            for endpoint in (has.keys() if windows != old_windows else moved & had.keys())
            if endpoint in had and old_windows.get(had[endpoint] or 0) != windows.get(has[endpoint] or 0)
        ]
        if told_anew:
            forgotten = self._retry(lambda: awake_forget(endpoints=told_anew))
            self._push_awake(
                {endpoint: windows.get(has[endpoint] or 0) or DEFAULT_AWAKE_SECONDS for endpoint in forgotten}
            )
        if everywhere:
            self._plan(self._retry(lambda: queries.registered_endpoints(server_id=self._server.pk)))
        else:
            self._plan(moved)

    def _tidy_up(self) -> None:
        """Deletes old rows of the change feed, a few at a time."""

        def delete() -> None:
            old = Change.objects.filter(at__lt=timezone.now() - CHANGES_KEPT).order_by("pk")
            ids = list(old.values_list("pk", flat=True)[:CHANGES_STEP])
            if ids:
                Change.objects.filter(pk__gte=ids[0], pk__lte=ids[-1]).delete()

        self._retry(delete)

    # -- the database, however long it is away

    def _retry(self, action: Callable[[], T]) -> T:
        """The action's result; waits while the database is away. Raises StoppedError when the process is to end."""
        attempt = 0
        told = False
        since = time.monotonic()
        while True:
            try:
                result = action()
            except (OperationalError, InterfaceError) as error:
                attempt += 1
                if not told and time.monotonic() - since >= AWAY_SECONDS:
                    told = True
                    log.warning("the database is not available, waiting: %s", str(error).strip() or error)
                if connection.vendor != "sqlite":
                    connection.close()
                if self._stopping.is_set():
                    raise StoppedError from error
                self._stopping.wait(retry_delay(attempt, first=0.1, most=2.0))
            else:
                if told:
                    log.info("the database is available again after %.1f s", time.monotonic() - since)
                return result


def tune_database() -> None:
    """SQLite for a process that writes all the time.

    A writer that waits for the lock must still hear SIGTERM: short waits, many times. And the log is copied into the
    database every 16 MB instead of every 4: hot pages are copied a quarter as often.
    """
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
            cursor.execute("PRAGMA wal_autocheckpoint = 4000")


def _reached(last: str, head: str) -> bool:
    """Is everything stored up to `head`?"""
    place, goal = sequence_of(last), sequence_of(head)
    if goal is None or goal[1] == 0:
        return True
    return place is not None and place[0] == goal[0] and place[1] >= goal[1]
