import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from backend.devices.services import ObservationMark
from backend.sync.client import Content, CredentialJson, LeshanClient, segment
from backend.sync.events import ObserveFailed, ReadDone
from backend.sync.exceptions import (
    BadRequestError,
    DeviceError,
    DeviceSleepingError,
    DeviceTimeoutError,
    LeshanError,
    NotRegisteredError,
    RequestFailedError,
    UnreachableError,
)
from backend.sync.plan import digest
from backend.sync.work import (
    CredentialsDone,
    FetchSpecs,
    Job,
    Observe,
    Outcome,
    Pool,
    PushCredentials,
    Read,
    SpecsDone,
    Step,
)
from tests.support.waiting import wait_for
from tests.unit.sync.samples import node

REFUSES = "The device refuses: 4.04 not found: the device has no such object, instance or resource"


class FakeLeshan:
    """Devices answer as they are told to: `answers[endpoint]` is called for each request."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.answers: dict[str, Callable[[], None]] = {}
        self.entries: dict[str, CredentialJson] = {}
        self.arrays = True
        self.calls: list[str] = []

    def read(self, endpoint: str, path: str, *, timeout: float) -> Content:
        self.asked.append((endpoint, path))
        self.answers.get(endpoint, lambda: None)()
        return Content("CONTENT(205)", node(9, "INTEGER", "61") if path.count("/") == 3 else None)

    observe = read

    def object_specs(self, endpoint: str) -> list[dict[str, Any]]:
        self.answers.get(endpoint, lambda: None)()
        return [{"id": 3}]

    def credentials(self) -> list[CredentialJson]:
        return list(self.entries.values())

    def credentials_put(self, entries: list[CredentialJson]) -> None:
        self.calls.append("array")
        if not self.arrays:
            raise BadRequestError("one, please")
        self.entries |= {entry["endpoint"]: entry for entry in entries}

    def credential_put(self, entry: CredentialJson) -> None:
        self.calls.append(entry["endpoint"])
        if entry["endpoint"] == "bad":
            raise RequestFailedError("no")
        self.entries[entry["endpoint"]] = entry

    def credential_delete(self, endpoint: str) -> None:
        self.calls.append(f"-{endpoint}")
        self.entries.pop(endpoint, None)


@pytest.fixture
def fake() -> FakeLeshan:
    return FakeLeshan()


@pytest.fixture
def outcomes() -> "queue.SimpleQueue[Outcome]":
    return queue.SimpleQueue()


@pytest.fixture
def pool(fake: FakeLeshan, outcomes: "queue.SimpleQueue[Outcome]") -> Iterator[Pool]:
    pool = Pool(cast(LeshanClient, fake), outcomes.put, threads=2)
    yield pool
    pool.stop(5.0)


def job(endpoint: str, *steps: Step, queue_mode: bool = False) -> Job:
    return Job(endpoint, deque(steps), endpoint=endpoint, queue_mode=queue_mode)


def reads(endpoint: str, *paths: str) -> list[Step]:
    return [Read(endpoint, path) for path in paths]


def raising(error: LeshanError) -> Callable[[], None]:
    def answer() -> None:
        raise error

    return answer


def test_requests_of_a_device_are_made_in_order(
    pool: Pool, fake: FakeLeshan, outcomes: "queue.SimpleQueue[Outcome]"
) -> None:
    pool.submit(job("a", Read("a", "/3/0/9"), Observe("a", "/3/0/9", "r1", journaled=False)))
    read, observed = outcomes.get(timeout=5), outcomes.get(timeout=5)
    assert isinstance(read, ReadDone)
    assert isinstance(observed, ReadDone)
    assert read.readings == [("/3/0/9", "INTEGER", 61.0, None, None)]
    assert (read.marks, observed.sampled, observed.registration_id) == ((), True, "r1")
    assert observed.marks == (ObservationMark("/3/0/9"),)
    wait_for(pool.idle, what="the pool is idle")


def test_a_device_that_refuses_tells_why_and_the_next_request_goes_on(
    pool: Pool, fake: FakeLeshan, outcomes: "queue.SimpleQueue[Outcome]"
) -> None:
    fake.answers["a"] = raising(DeviceError("NOT_FOUND(404)", ""))
    pool.submit(job("a", Read("a", "/3/0"), Observe("a", "/3/0/9", "r1", journaled=True)))
    assert outcomes.get(timeout=5) == ObserveFailed("a", "/3/0/9", "r1", REFUSES)
    wait_for(pool.idle, what="the pool is idle")
    assert len(fake.asked) == 2


def test_two_slow_devices_do_not_hold_up_others(
    pool: Pool, fake: FakeLeshan, outcomes: "queue.SimpleQueue[Outcome]"
) -> None:
    """With as many silent devices as threads, a third one gets its turn between their requests."""
    gate = threading.Event()

    def slow() -> None:
        gate.wait(0.2)
        raise DeviceTimeoutError("Request timeout")

    for endpoint in ("slow-1", "slow-2"):
        fake.answers[endpoint] = slow
        pool.submit(job(endpoint, *reads(endpoint, *(f"/3/0/{n}" for n in range(50)))))
    wait_for(lambda: len(fake.asked) == 2, what="both threads are busy")
    pool.submit(job("a", *reads("a", "/3/0/1", "/3/0/2", "/3/0/3")))
    for _ in range(3):
        assert isinstance(outcomes.get(timeout=5), ReadDone)
    gate.set()
    # silent ones are asked again later, not at once
    assert len([endpoint for endpoint, _ in fake.asked if endpoint != "a"]) == 2


def test_requests_of_a_sleeping_device_wait_for_a_sign_of_life(
    pool: Pool, fake: FakeLeshan, outcomes: "queue.SimpleQueue[Outcome]"
) -> None:
    pool.sleep("a")
    pool.submit(job("a", *reads("a", "/3/0/9"), queue_mode=True))
    pool.submit(job("b", *reads("b", "/3/0/9")))
    done = outcomes.get(timeout=5)
    assert isinstance(done, ReadDone)
    assert done.endpoint == "b"
    wait_for(pool.idle, what="only sleeping devices are left")
    assert fake.asked == [("b", "/3/0/9")]
    pool.wake("a")
    done = outcomes.get(timeout=5)
    assert isinstance(done, ReadDone)
    assert done.endpoint == "a"


def test_a_device_that_turns_out_to_sleep_is_parked(
    pool: Pool, fake: FakeLeshan, outcomes: "queue.SimpleQueue[Outcome]"
) -> None:
    fake.answers["a"] = raising(DeviceSleepingError("SLEEPING"))
    pool.submit(job("a", *reads("a", "/3/0/9", "/3/0/1"), queue_mode=True))
    wait_for(lambda: fake.asked and pool.idle(), what="the job is parked")
    assert fake.asked == [("a", "/3/0/9")]
    del fake.answers["a"]
    pool.wake("a")
    assert isinstance(outcomes.get(timeout=5), ReadDone)
    assert isinstance(outcomes.get(timeout=5), ReadDone)


def test_without_a_registration_the_rest_is_dropped(pool: Pool, fake: FakeLeshan) -> None:
    fake.answers["a"] = raising(NotRegisteredError("No registered client with id 'a'"))
    pool.submit(job("a", *reads("a", "/3/0/9", "/3/0/1")))
    wait_for(lambda: fake.asked and pool.idle(), what="the pool is idle")
    assert fake.asked == [("a", "/3/0/9")]


def test_a_new_job_replaces_the_old_one_and_its_late_answers(
    pool: Pool, fake: FakeLeshan, outcomes: "queue.SimpleQueue[Outcome]"
) -> None:
    entered, leave = threading.Event(), threading.Event()

    def wait_here() -> None:
        entered.set()
        leave.wait(5)

    fake.answers["a"] = wait_here
    pool.submit(job("a", *reads("a", "/3/0/1", "/3/0/2")))
    assert entered.wait(5)
    del fake.answers["a"]
    pool.submit(job("a", *reads("a", "/3/0/3")))
    done = outcomes.get(timeout=5)
    leave.set()
    assert isinstance(done, ReadDone)
    assert done.path == "/3/0/3"
    wait_for(pool.idle, what="the pool is idle")
    assert outcomes.empty()
    pool.submit(job("a", *reads("a", "/3/0/4")))
    done = outcomes.get(timeout=5)
    assert isinstance(done, ReadDone)
    assert done.path == "/3/0/4"
    pool.cancel("a")
    assert ("a", "/3/0/2") not in fake.asked


def test_leshan_being_away_is_no_fault_of_the_device(
    pool: Pool, fake: FakeLeshan, outcomes: "queue.SimpleQueue[Outcome]"
) -> None:
    failures = [UnreachableError("gone")]

    def answer() -> None:
        if failures:
            raise failures.pop()

    fake.answers["a"] = answer
    started = time.monotonic()
    pool.submit(job("a", Observe("a", "/3/0/9", "r1", journaled=True)))
    assert isinstance(outcomes.get(timeout=10), ReadDone)
    assert time.monotonic() - started >= 0.9


def test_object_models_that_cannot_be_had_are_asked_for_again(
    pool: Pool, fake: FakeLeshan, outcomes: "queue.SimpleQueue[Outcome]"
) -> None:
    pairs = frozenset({(3, "1.1")})
    pool.submit(Job("specs", deque([FetchSpecs("a", pairs)])))
    assert outcomes.get(timeout=5) == SpecsDone(pairs, [{"id": 3}])
    fake.answers["a"] = raising(RequestFailedError("no"))
    pool.submit(Job("specs", deque([FetchSpecs("a", pairs)])))
    assert outcomes.get(timeout=5) == SpecsDone(pairs, None)


A: CredentialJson = {"endpoint": "a", "tls": {"mode": "x509"}}
BAD: CredentialJson = {"endpoint": "bad", "tls": {"mode": "x509"}}


def test_credentials_go_in_one_request(fake: FakeLeshan) -> None:
    done = PushCredentials({"a": A}, {}).run(cast(LeshanClient, fake))
    assert done == CredentialsDone({"a": digest(A)}, [], {})
    assert fake.calls == ["array"]
    assert PushCredentials({"a": A}, {"a": digest(A)}).run(cast(LeshanClient, fake)) == CredentialsDone({}, [], {})
    assert PushCredentials({}, {"a": digest(A)}).run(cast(LeshanClient, fake)) == CredentialsDone({}, ["a"], {})
    assert fake.entries == {}


def test_a_stock_server_gets_them_one_by_one(fake: FakeLeshan) -> None:
    fake.arrays = False
    done = PushCredentials({"bad": BAD, "a": A}, {}).run(cast(LeshanClient, fake))
    assert done == CredentialsDone({"a": digest(A)}, [], {"bad": "no"})
    assert fake.calls == ["array", "bad", "a"]


def test_one_that_cannot_be_removed_holds_up_no_other(fake: FakeLeshan) -> None:
    fake.entries = {"..": {**A, "endpoint": ".."}, "old": {**A, "endpoint": "old"}}
    real = fake.credential_delete

    def delete(endpoint: str) -> None:
        segment(endpoint)
        real(endpoint)

    fake.credential_delete = delete  # type: ignore[method-assign]
    done = PushCredentials({"a": A}, {"..": "x", "old": "x"}).run(cast(LeshanClient, fake))
    assert (done.pushed, done.removed, list(done.failed)) == ({"a": digest(A)}, ["old"], [".."])  # type: ignore[union-attr]
    assert set(fake.entries) == {"..", "a"}


def test_a_silent_device_has_not_refused(fake: FakeLeshan) -> None:
    step = Observe("a", "/3/0/9", "r1", journaled=True)
    silent = DeviceTimeoutError("no answer")
    # in no registration: the next plan, also one after a restart, has it again
    for outcome in (step.waiting(silent), step.failed(silent)):
        assert isinstance(outcome, ObserveFailed)
        assert outcome.registration_id == ""
    assert step.failed(DeviceError("NOT_FOUND(404)", "")) == ObserveFailed("a", "/3/0/9", "r1", REFUSES)


def test_credentials_that_could_not_be_pushed_are_told(
    pool: Pool, fake: FakeLeshan, outcomes: "queue.SimpleQueue[Outcome]"
) -> None:
    fake.credentials = raising(UnreachableError("refused"))  # type: ignore[assignment, method-assign]
    pool.submit(Job("credentials", deque([PushCredentials({}, {})])))
    assert outcomes.get(timeout=5) == CredentialsDone({}, [], {}, "refused")
