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
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from backend.sync.client import CredentialJson, LeshanClient
from backend.sync.decoder import readings_of
from backend.sync.events import Clients, ObserveFailed, ReadDone, Reading
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


Outcome = ReadDone | ObserveFailed | Clients | ClientsFailed | SpecsDone | CredentialsDone


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
    """Establishes an observation.

    An own server tells the first value as an event, too (`journaled`); a stock one does not.
    """

    endpoint: str
    path: str
    registration_id: str
    journaled: bool

    def run(self, client: LeshanClient) -> Outcome | None:
        """The current value, and that it is observed now."""
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
            observed=True,
            sampled=not self.journaled,
            registration_id=self.registration_id,
        )

    def failed(self, error: Exception) -> Outcome | None:
        """The device's reason. Silence is none: such a failure counts in no registration, the next plan tries again."""
        registration_id = "" if isinstance(error, DeviceTimeoutError) else self.registration_id
        return ObserveFailed(self.endpoint, self.path, registration_id, str(error))

    def waiting(self, error: LeshanError) -> Outcome | None:
        """The same, with the promise to go on."""
        return ObserveFailed(self.endpoint, self.path, "", f"no answer yet, trying again: {error}")


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
        self._parked: dict[str, Job] = {}
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
            self._parked.pop(key, None)

    def sleep(self, endpoint: str) -> None:
        """The device sleeps: its requests wait."""
        with self._condition:
            self._asleep.add(endpoint)

    def wake(self, endpoint: str) -> None:
        """The device showed that it is awake: its waiting requests go out."""
        with self._condition:
            self._asleep.discard(endpoint)
            self._signs[endpoint] = time.monotonic()
            job = self._parked.pop(endpoint, None)
            if job is not None and not job.replaced:
                job.attempt = 0
                self._ready.append(job)
                self._condition.notify()

    def idle(self) -> bool:
        """Nothing to do but for sleeping devices?"""
        with self._condition:
            return len(self._jobs) == len(self._parked)

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
                self._parked[job.key] = job
                continue
            return job
        return None

    def _run(self) -> None:
        while (taken := self._take()) is not None:
            job, again = taken
            self._step(job)
            if again:
                with self._condition:
                    self._again_running -= 1
                    self._condition.notify()

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
            outcome = step.failed(error)
            self._done(job)
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
            self._parked[job.key] = job
        elif delay > 0:
            self._number += 1
            heapq.heappush(self._delayed, (time.monotonic() + delay, self._number, job))
            self._condition.notify()
        else:
            self._ready.append(job)
            self._condition.notify()
