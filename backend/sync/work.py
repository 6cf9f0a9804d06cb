"""Requests to Leshan and devices, done by a few threads.

Jobs of many devices share the threads fairly: a job goes to the end of the line after each of its requests, so that a
slow device holds up nobody. Jobs of sleeping devices wait for a sign of life. Nothing here touches the database:
outcomes are posted to whoever started the pool.
"""

import heapq
import logging
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backend.commands.services.outcomes import refusal
from backend.devices.services import ObservationMark
from backend.sync.client import CredentialJson, LeshanClient
from backend.sync.decoder import content_readings, readings_of
from backend.sync.events import AttributesDone, Clients, ObserveFailed, ReadDone, Reading, Redecoded
from backend.sync.exceptions import (
    BadRequestError,
    DeviceError,
    DeviceSleepingError,
    DeviceTimeoutError,
    LeshanError,
    NotRegisteredError,
    RequestFailedError,
    UnauthorisedError,
    UnavailableError,
)
from backend.sync.plan import credentials_plan, digest, retry_delay

log = logging.getLogger(__name__)

# how long a device may take for one answer, in seconds
DEVICE_SECONDS = 5.0
# attempts of one request to a device that stays silent
ATTEMPTS = 6
# from this attempt on, other requests of the same device go first
STEP_ASIDE = 2


@dataclass(frozen=True, slots=True)
class SpecsDone:
    """Object definitions of a device; None where they could not be had. `pairs`: what was hoped for."""

    pairs: frozenset[tuple[int, str]]
    specs: list[dict[str, Any]] | None


@dataclass(frozen=True, slots=True)
class CredentialsDone:
    """What was changed in Leshan's security store; `failed`: endpoint → why."""

    pushed: dict[str, str]
    removed: list[str]
    failed: dict[str, str]
    error: str = ""


@dataclass(frozen=True, slots=True)
class ClientsFailed:
    """The registrations could not be had; it goes on being tried."""

    error: str


@dataclass(frozen=True, slots=True)
class DefinitionsDone:
    """Own object definitions were compared with Leshan's.

    `problems`: row id → why Leshan refuses it, "" where it takes it. `changed`: object ids whose models are new.
    `removed`: (object, version) that were taken back.
    """

    problems: dict[int, str]
    changed: frozenset[int]
    removed: frozenset[tuple[int, str]] = frozenset()
    error: str = ""


@dataclass(frozen=True, slots=True)
class Freed:
    """The request of a device is over that was under way when the device was to be held."""

    endpoint: str


@dataclass(frozen=True, slots=True)
class PackageDone:
    """Leshan has the package, or (`error`) does not take it."""

    sha256: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class GrantDone:
    """The device of an update may fetch the package at `uri`; else `missing`: the package is not there, or `error`.

    All three empty: the device is not registered.
    """

    update_id: int
    sha256: str
    uri: str = ""
    missing: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class PackagesListed:
    """SHA-256 of every package that Leshan has."""

    hashes: frozenset[str]


@dataclass(frozen=True, slots=True)
class ClockDone:
    """The device's clock was set, or (`error`) the device does not take it."""

    endpoint: str
    # how far it was ahead, in seconds
    ahead: float
    error: str = ""


@dataclass(frozen=True, slots=True)
class DecodingDone:
    """All messages of a batch were tried once more."""


Outcome = (
    ReadDone | ObserveFailed | AttributesDone | Clients | ClientsFailed | SpecsDone | CredentialsDone
    | DefinitionsDone | Freed | PackageDone | GrantDone | PackagesListed
    | ClockDone | Redecoded | DecodingDone
)  # fmt: skip


class Step(ABC):
    """One request."""

    @abstractmethod
    def run(self, client: LeshanClient) -> Outcome | None:
        """Does it. Raises LeshanError."""

    def failed(self, error: Exception) -> Outcome | None:
        """What to tell when it is given up."""
        return None

    def waiting(self, error: LeshanError) -> Outcome | None:
        """What to tell when a device stays silent and it will be tried again."""
        return None

    def instead(self, error: DeviceError) -> Sequence["Step"]:
        """What to do in its place where the device refuses it; nothing: it is given up."""
        return ()


def _now() -> int:
    return time.time_ns() // 1000


@dataclass(frozen=True, slots=True)
class Read(Step):
    """Reads an instance or a resource."""

    endpoint: str
    path: str

    def run(self, client: LeshanClient) -> Outcome | None:
        """The values."""
        content = client.read(self.endpoint, self.path, timeout=DEVICE_SECONDS)
        readings: list[Reading] = []
        problems: list[str] = []
        if content.node is not None:
            readings_of(self.path, content.node, None, readings, problems)
        return ReadDone(self.endpoint, self.path, readings, problems, received=_now())


@dataclass(frozen=True, slots=True)
class Observe(Step):
    """Establishes an observation, its attributes first (`attributes`: None in it unsets one, {}: nothing to write).

    A refusal of the attributes is noted and does not keep the device from being observed. An own server tells the
    first value as an event, too (`journaled`); a stock one does not.
    """

    endpoint: str
    path: str
    registration_id: str
    journaled: bool
    attributes: Mapping[str, float | None] = field(default_factory=dict)

    def run(self, client: LeshanClient) -> Outcome | None:
        """The current value, and that it is observed now."""
        taken, note = _write_attributes(client, self.endpoint, self.path, self.attributes)
        content = client.observe(self.endpoint, self.path, timeout=DEVICE_SECONDS)
        readings: list[Reading] = []
        problems: list[str] = []
        if content.node is not None:
            readings_of(self.path, content.node, None, readings, problems)
        return ReadDone(
            self.endpoint,
            self.path,
            readings,
            problems,
            received=_now(),
            marks=(ObservationMark(self.path, taken, note),),
            sampled=not self.journaled,
            registration_id=self.registration_id,
        )

    def failed(self, error: Exception) -> Outcome | None:
        """The device's reason. Silence is none: such a failure counts in no registration, the next plan tries again."""
        registration_id = "" if isinstance(error, DeviceTimeoutError) else self.registration_id
        return ObserveFailed(self.endpoint, self.path, registration_id, reason_of(error))

    def waiting(self, error: LeshanError) -> Outcome | None:
        """The same, with the promise to go on."""
        return ObserveFailed(self.endpoint, self.path, "", f"no answer yet, trying again: {error}")


def reason_of(error: Exception) -> str:
    """A device's refusal in words, anything else as it was said."""
    if isinstance(error, DeviceError):
        return refusal(error.code, error.message)
    return str(error)


def _write_attributes(
    client: LeshanClient, endpoint: str, path: str, attributes: Mapping[str, float | None]
) -> tuple[dict[str, float] | None, str]:
    """Those that the device has taken (None: none were written, or it refused them), and why it did not."""
    if not attributes:
        return None, ""
    try:
        client.attributes_write(endpoint, path, attributes, timeout=DEVICE_SECONDS)
    except (DeviceError, BadRequestError, RequestFailedError) as error:
        if isinstance(error, NotRegisteredError):
            raise
        return None, f"attributes are not taken: {reason_of(error)}"
    return {name: value for name, value in attributes.items() if value is not None}, ""


@dataclass(frozen=True, slots=True)
class SetAttributes(Step):
    """Writes the attributes of an observation that is there already; None in them unsets one."""

    endpoint: str
    path: str
    attributes: Mapping[str, float | None]

    def run(self, client: LeshanClient) -> Outcome | None:
        """What the device has taken."""
        taken, note = _write_attributes(client, self.endpoint, self.path, self.attributes)
        return AttributesDone(self.endpoint, self.path, taken, note)


@dataclass(frozen=True, slots=True)
class ObserveComposite(Step):
    """Establishes one observation of several resources; a device that cannot gets one for each."""

    endpoint: str
    # path → attributes to write, as in Observe
    paths: Mapping[str, Mapping[str, float | None]]
    registration_id: str
    journaled: bool

    def run(self, client: LeshanClient) -> Outcome | None:
        """The current values, and that they are observed now."""
        marks = []
        for path, attributes in self.paths.items():
            taken, note = _write_attributes(client, self.endpoint, path, attributes)
            marks.append(ObservationMark(path, taken, note, composite=True))
        content = client.observe_composite(self.endpoint, list(self.paths), timeout=DEVICE_SECONDS)
        readings: list[Reading] = []
        problems: list[str] = []
        if content.node is not None:
            content_readings("", content.node, readings, problems)
        return ReadDone(
            self.endpoint,
            ", ".join(self.paths),
            readings,
            problems,
            received=_now(),
            marks=tuple(marks),
            sampled=not self.journaled,
            registration_id=self.registration_id,
        )

    def instead(self, error: DeviceError) -> Sequence[Step]:
        """One by one: not every device knows composite observations, and one missing path refuses all."""
        return [
            Observe(self.endpoint, path, self.registration_id, self.journaled, attributes)
            for path, attributes in self.paths.items()
        ]


@dataclass(frozen=True, slots=True)
class Cancel(Step):
    """Ends an observation that is no longer wanted."""

    endpoint: str
    path: str

    def run(self, client: LeshanClient) -> Outcome | None:
        """Nothing to tell."""
        client.observe_cancel(self.endpoint, self.path, timeout=DEVICE_SECONDS)
        return None


@dataclass(frozen=True, slots=True)
class CancelComposite(Step):
    """Ends a composite observation of exactly these paths."""

    endpoint: str
    paths: tuple[str, ...]

    def run(self, client: LeshanClient) -> Outcome | None:
        """Nothing to tell."""
        client.observe_composite_cancel(self.endpoint, self.paths, timeout=DEVICE_SECONDS)
        return None


@dataclass(frozen=True, slots=True)
class SetAwake(Step):
    """Tells Leshan how long the device listens after a message."""

    endpoint: str
    seconds: int

    def run(self, client: LeshanClient) -> Outcome | None:
        """Nothing to tell."""
        client.awake_set(self.endpoint, self.seconds)
        return None


@dataclass(frozen=True, slots=True)
class FetchSpecs(Step):
    """Gets the definitions of a device's objects."""

    endpoint: str
    pairs: frozenset[tuple[int, str]]

    def run(self, client: LeshanClient) -> Outcome | None:
        """The definitions."""
        return SpecsDone(self.pairs, client.object_specs(self.endpoint))

    def failed(self, error: Exception) -> Outcome | None:
        """So that they are asked for again."""
        return SpecsDone(self.pairs, None)


@dataclass(frozen=True, slots=True)
class FetchClients(Step):
    """Gets all registrations."""

    def run(self, client: LeshanClient) -> Outcome | None:
        """The registrations."""
        asked = time.monotonic()
        return Clients(client.clients(), asked)

    def failed(self, error: Exception) -> Outcome | None:
        """So that it is said."""
        return ClientsFailed(str(error) or type(error).__name__)


@dataclass(frozen=True, slots=True)
class PushCredentials(Step):
    """Brings Leshan's security store to what is wanted."""

    wanted: Mapping[str, CredentialJson]
    pushed: Mapping[str, str]

    def run(self, client: LeshanClient) -> Outcome | None:
        """Compares, then deletes and puts what differs."""
        present = {entry["endpoint"]: entry for entry in client.credentials()}
        plan = credentials_plan(wanted=self.wanted, present=present, pushed=self.pushed)
        failed: dict[str, str] = {}
        removed = list(plan.forget)
        for endpoint in plan.delete:
            try:
                client.credential_delete(endpoint)
            except (BadRequestError, RequestFailedError) as error:
                # one that cannot be removed must not keep the others from their change
                failed[endpoint] = str(error)
            else:
                removed.append(endpoint)
        if plan.put or not present:
            # an own server with an empty store opens its CoAPs port after the first PUT, even of nothing
            try:
                client.credentials_put(plan.put)
            except (BadRequestError, RequestFailedError):
                for entry in plan.put:
                    try:
                        client.credential_put(entry)
                    except (BadRequestError, RequestFailedError) as error:
                        failed[entry["endpoint"]] = str(error)
        done = {entry["endpoint"]: digest(entry) for entry in plan.put if entry["endpoint"] not in failed}
        return CredentialsDone(done, removed, failed)

    def failed(self, error: Exception) -> Outcome | None:
        """So that they are pushed again."""
        return CredentialsDone({}, [], {}, str(error) or type(error).__name__)


@dataclass(slots=True)
class Job:
    """The requests for one device (or one purpose), one after the other. A new job of the same key replaces it."""

    key: str
    steps: deque[Step]
    # the endpoint that must be awake for it; "" where only Leshan is asked
    endpoint: str = ""
    queue_mode: bool = False
    attempt: int = 0
    replaced: bool = field(default=False, init=False)


class Pool:
    """A few threads that work jobs off."""

    def __init__(self, client: LeshanClient, post: Callable[[Outcome], None], *, threads: int = 8) -> None:
        """`post` takes outcomes, from any thread."""
        self._client = client
        self._post = post
        self._condition = threading.Condition()
        self._ready: deque[Job] = deque()
        # jobs of devices that were silent: they may use half of the threads, so that many dead ones hold up nobody
        self._again: deque[Job] = deque()
        self._again_running = 0
        self._again_most = max(1, threads // 2)
        # endpoint → time.monotonic() of its last sign of life
        self._signs: dict[str, float] = {}
        self._delayed: list[tuple[float, int, Job]] = []
        self._number = 0
        self._jobs: dict[str, Job] = {}
        self._asleep: set[str] = set()
        # endpoint → key → a job that waits for a sign of life
        self._parked: dict[str, dict[str, Job]] = {}
        # endpoint → the job of which a request is under way: one at a time
        self._running: dict[str, Job] = {}
        # endpoints whose requests are kept back for something else, and those that are waited for
        self._held: set[str] = set()
        self._wanted: set[str] = set()
        # jobs that wait until their device's running one, or what it is held for, is over
        self._blocked: dict[str, list[Job]] = {}
        self._stopped = False
        self._threads = [
            threading.Thread(target=self._run, name=f"requests-{number}", daemon=True) for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, job: Job, *, urgent: bool = False) -> None:
        """Adds a job, in place of one with the same key."""
        with self._condition:
            self._drop(job.key)
            if not job.steps:
                return
            self._jobs[job.key] = job
            if urgent:
                self._ready.appendleft(job)
            else:
                self._ready.append(job)
            self._condition.notify()

    def cancel(self, key: str) -> None:
        """Takes a job back; a request that is on its way is not stopped, but the last one."""
        with self._condition:
            self._drop(key)

    def _drop(self, key: str) -> None:
        old = self._jobs.pop(key, None)
        if old is not None:
            old.replaced = True
            self._parked.get(old.endpoint, {}).pop(key, None)
            # what it is still waiting for (such as a device that has registered anew) holds up nothing
            self._over(old)

    def sleep(self, endpoint: str) -> None:
        """The device sleeps: its requests wait."""
        with self._condition:
            self._asleep.add(endpoint)

    def wake(self, endpoint: str) -> None:
        """The device showed that it is awake: its waiting requests go out."""
        with self._condition:
            self._asleep.discard(endpoint)
            self._signs[endpoint] = time.monotonic()
            for job in self._parked.pop(endpoint, {}).values():
                if not job.replaced:
                    job.attempt = 0
                    self._ready.append(job)
                    self._condition.notify()

    def hold(self, endpoint: str) -> bool:
        """Keeps the device's requests back; false where one is under way: `Freed` is posted when it is over."""
        with self._condition:
            self._held.add(endpoint)
            if endpoint in self._running:
                self._wanted.add(endpoint)
                return False
            return True

    def release(self, endpoint: str) -> None:
        """Lets the device's requests go on."""
        with self._condition:
            self._held.discard(endpoint)
            self._wanted.discard(endpoint)
            self._unblock(endpoint)

    def _unblock(self, endpoint: str) -> None:
        if endpoint in self._held or endpoint in self._running:
            return
        for job in self._blocked.pop(endpoint, []):
            self._ready.append(job)
            self._condition.notify()

    def idle(self) -> bool:
        """Nothing to do but for sleeping devices?"""
        with self._condition:
            return len(self._jobs) == sum(map(len, self._parked.values()))

    def stop(self, timeout: float) -> None:
        """Ends the threads; those in the middle of a request are not waited for longer than `timeout` in all."""
        with self._condition:
            self._stopped = True
            self._condition.notify_all()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _take(self) -> tuple[Job, bool] | None:
        """The next job that can go on, and whether it is one of a silent device; None at the end."""
        with self._condition:
            while not self._stopped:
                now = time.monotonic()
                while self._delayed and self._delayed[0][0] <= now:
                    self._again.append(heapq.heappop(self._delayed)[2])
                job = self._next(self._ready)
                if job is not None:
                    return job, False
                if self._again_running < self._again_most:
                    job = self._next(self._again)
                    if job is not None:
                        self._again_running += 1
                        return job, True
                self._condition.wait(self._delayed[0][0] - now if self._delayed else None)
            return None

    def _next(self, line: deque[Job]) -> Job | None:
        """The first job of a line whose device is awake; the others are parked."""
        while line:
            job = line.popleft()
            if job.replaced:
                continue
            if job.endpoint in self._asleep:
                self._park(job)
                continue
            if job.endpoint in self._held or job.endpoint in self._running:
                self._blocked.setdefault(job.endpoint, []).append(job)
                continue
            if job.endpoint:
                self._running[job.endpoint] = job
            return job
        return None

    def _park(self, job: Job) -> None:
        self._parked.setdefault(job.endpoint, {})[job.key] = job

    def _run(self) -> None:
        while (taken := self._take()) is not None:
            job, again = taken
            self._step(job)
            with self._condition:
                if again:
                    self._again_running -= 1
                    self._condition.notify()
                self._over(job)

    def _over(self, job: Job) -> None:
        """The job's request is over, or counts no longer."""
        if self._running.get(job.endpoint) is not job:
            return
        del self._running[job.endpoint]
        if job.endpoint in self._wanted:
            self._wanted.discard(job.endpoint)
            self._post(Freed(job.endpoint))
        self._unblock(job.endpoint)

    def _step(self, job: Job) -> None:
        step = job.steps[0]
        started = time.monotonic()
        delay: float | None = 0.0
        try:
            outcome = step.run(self._client)
        except NotRegisteredError as error:
            # its registration is over; the next one brings a new job
            job.steps.clear()
            outcome = step.failed(error) if isinstance(step, PushCredentials) else None
        except (UnavailableError, UnauthorisedError) as error:
            job.attempt += 1
            outcome = step.failed(error) if isinstance(step, PushCredentials) else None
            if isinstance(step, PushCredentials):
                job.steps.popleft()
            delay = retry_delay(job.attempt, first=1.0, most=30.0)
        except (DeviceTimeoutError, DeviceSleepingError) as error:
            outcome, delay = self._silent(job, step, error)
        except DeviceError as error:
            others = step.instead(error)
            outcome = None if others else step.failed(error)
            self._done(job)
            job.steps.extendleft(reversed(others))
        except LeshanError as error:
            log.warning("%s: %s", job.key, error)
            outcome = step.failed(error)
            if isinstance(step, FetchClients):
                # nothing is compared and repaired without it, and nobody else would ask again
                job.attempt += 1
                delay = retry_delay(job.attempt, first=1.0, most=30.0)
            else:
                self._done(job)
        except Exception as error:
            log.exception("%s: a request failed in an unforeseen way", job.key)
            outcome = step.failed(error)
            self._done(job)
        else:
            self._done(job)
        with self._condition:
            if job.replaced and not isinstance(outcome, CredentialsDone | SpecsDone):
                return
            if not job.replaced:
                if delay is None and self._signs.get(job.endpoint, 0.0) > started:
                    # it woke while we asked
                    delay = 1.0
                self._requeue(job, delay)
        if outcome is not None:
            self._post(outcome)

    @staticmethod
    def _done(job: Job) -> None:
        job.steps.popleft()
        job.attempt = 0

    @staticmethod
    def _silent(job: Job, step: Step, error: LeshanError) -> tuple[Outcome | None, float | None]:
        """The device did not answer: wait for a sign of life, or try again later; None: wait for a sign."""
        job.attempt += 1
        if isinstance(error, DeviceSleepingError) or (job.queue_mode and job.attempt >= STEP_ASIDE):
            return None, None
        if job.attempt > ATTEMPTS:
            job.steps.popleft()
            job.attempt = 0
            return step.failed(error), 0.0
        outcome = step.waiting(error) if job.attempt == STEP_ASIDE else None
        if job.attempt >= STEP_ASIDE:
            job.steps.rotate(-1)
        return outcome, retry_delay(job.attempt, first=5.0, most=300.0)

    def _requeue(self, job: Job, delay: float | None) -> None:
        if not job.steps:
            self._jobs.pop(job.key, None)
        elif delay is None:
            self._park(job)
        elif delay > 0:
            self._number += 1
            heapq.heappush(self._delayed, (time.monotonic() + delay, self._number, job))
            self._condition.notify()
        else:
            self._ready.append(job)
            self._condition.notify()
