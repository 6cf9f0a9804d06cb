"""The whole of `sync` against a small HTTP server, in this process and thread."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from unittest import mock

import pytest
from django.db import OperationalError

from backend.config.leshan import Token
from backend.devices.models import (
    Change,
    Device,
    LeshanServer,
    ObjectSpec,
    Observation,
    Profile,
    RawEvent,
    Registration,
    Resource,
    ServerInterval,
    Status,
    StreamGap,
)
from backend.devices.services import device_provision, server_ensure
from backend.pki.models import Certificate, Credential
from backend.sync import runner as module
from backend.sync.client import Health, LeshanClient
from backend.sync.events import Clients
from backend.sync.ingest import Stored
from backend.sync.models import PushedCredential
from backend.sync.reader import Chunk, Connected
from backend.sync.runner import Runner
from backend.sync.work import CredentialsDone, Job, PushCredentials
from backend.telemetry.models import Sample
from tests.unit.sync.fake_leshan import FakeLeshan
from tests.unit.sync.samples import REGISTRATION, event, node, notification

pytestmark = pytest.mark.django_db(transaction=True)

TIMEOUT = 30.0


class NoLock:
    def ensure(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture
def leshan() -> Iterator[FakeLeshan]:
    fake = FakeLeshan()
    yield fake
    fake.close()


@pytest.fixture
def stock() -> Iterator[FakeLeshan]:
    fake = FakeLeshan(journal=None)
    yield fake
    fake.close()


Until = Callable[[], bool]


@pytest.fixture(autouse=True)
def default_profile(transactional_db: None) -> None:
    """What the migration makes; transactional tests start with empty tables."""
    from backend.devices.models import Profile, ProfileObservation

    profile, _ = Profile.objects.get_or_create(name="Default", defaults={"is_default": True})
    # the tests' times are long ago
    Profile.objects.update(samples_days=None, minutes_days=None, logs_days=None)
    for path in ("/3/0/9", "/3303/*/5700"):
        ProfileObservation.objects.get_or_create(profile=profile, path=path)


def run(fake: FakeLeshan, until: Until, monkeypatch: pytest.MonkeyPatch, token: Token | None = None) -> LeshanServer:
    """Runs `sync` until the condition holds; looked at between the things that it does."""
    server = server_ensure(name="default", url=fake.url)
    runner = Runner(server=server, client=LeshanClient(fake.url, token or Token()), lock=NoLock())
    timed_out = threading.Event()

    def give_up() -> None:
        timed_out.set()
        runner.stop()

    real = runner._handle

    def handle(message: Any) -> None:
        real(message)
        if until():
            runner.stop()

    tick = runner._look_for_intentions

    def look() -> None:
        tick()
        if until():
            runner.stop()

    monkeypatch.setattr(runner, "_handle", handle)
    monkeypatch.setattr(runner, "_look_for_intentions", look)
    monkeypatch.setattr(module, "INTENTIONS_SECONDS", 0.05)
    monkeypatch.setattr(module, "tune_collector", lambda **_: None)
    timer = threading.Timer(TIMEOUT, give_up)
    timer.start()
    try:
        runner.run()
    finally:
        timer.cancel()
    assert not timed_out.is_set(), f"not within {TIMEOUT:g} s; asked: {fake.asked[-10:]}"
    server.refresh_from_db()
    return server


def provision(endpoint: str) -> Device:
    device = device_provision(endpoint=endpoint)
    Credential.objects.create(device=device, mode=Credential.Mode.X509)
    return device


def certificate(device: Device, sha256: str, *, revoked: bool = False) -> None:
    now = datetime.now(UTC)
    Certificate.objects.create(
        kind=Certificate.Kind.DEVICE,
        device=device,
        common_name=device.endpoint,
        serial_number=sha256[:20],
        sha256=sha256,
        issuer_sha256="0" * 64,
        not_before=now,
        not_after=now,
        pem="",
        revoked_at=now if revoked else None,
    )


def values_of(path: str) -> dict[str, Any] | None:
    return {
        "/3303/0/5700": node(5700, "FLOAT", "21.5"),
        "/3/0": {"kind": "instance", "id": 0, "resources": [node(0, "STRING", "Nordic"), node(3, "STRING", "1.0")]},
        "/3303/0": {
            "kind": "instance",
            "id": 0,
            "resources": [node(5700, "FLOAT", "21.5"), node(5701, "STRING", "Cel")],
        },
        "/1/0": {"kind": "instance", "id": 0, "resources": [node(1, "INTEGER", "300")]},
    }.get(path)


def test_a_device_from_its_registration_to_its_values(leshan: FakeLeshan, monkeypatch: pytest.MonkeyPatch) -> None:
    provision("sim-1")
    leshan.observed = leshan.read = values_of
    leshan.specs = [{"id": 3303, "name": "Temperature", "version": "1.1", "resourcedefs": []}]
    leshan.clients = [REGISTRATION]
    leshan.stream.put(event("j-1", "REGISTRATION", REGISTRATION) + notification("j-2", "sim-1", 20.0))

    def until() -> bool:
        return (
            Resource.objects.filter(path="/1/0/1").exists()
            and Sample.objects.exists()
            and ObjectSpec.objects.exists()
            and Observation.objects.filter(state="active").exists()
        )

    server = run(leshan, until, monkeypatch)
    # from the journal's beginning, as nothing is stored yet
    assert leshan.resumed == ["j-0"]
    assert leshan.credentials == {"sim-1": {"endpoint": "sim-1", "tls": {"mode": "x509"}}}
    assert list(PushedCredential.objects.values_list("endpoint", flat=True)) == ["sim-1"]
    device = Device.objects.get()
    assert (device.status, device.manufacturer, device.firmware_version) == (Status.ONLINE, "Nordic", "1.0")
    observations = dict(Observation.objects.values_list("path", "state"))
    assert observations == {"/3/0/9": "failed", "/3303/0/5700": "active"}
    assert Observation.objects.get(path="/3/0/9").reason.startswith("The device refuses: 4.04 not found")
    # an own server tells the first value as an event: the answer is no sample
    assert list(Sample.objects.values_list("number", flat=True)) == [20.0]
    assert Resource.objects.get(path="/3303/0/5701").value == "Cel"
    assert (server.last_event_id, server.error) == ("j-2", "")
    states = list(ServerInterval.objects.order_by("pk").values_list("state", flat=True))
    assert states == ["down", "up", "down"]


def test_it_goes_on_behind_what_is_stored(leshan: FakeLeshan, monkeypatch: pytest.MonkeyPatch) -> None:
    leshan.stream.put(notification("j-1", "a", 1.0) + notification("j-2", "a", 2.0, time=1))
    run(leshan, lambda: Sample.objects.count() == 2, monkeypatch)
    leshan.forget_listener()
    # cut in the middle of an event, and the connection with it
    cut = notification("j-3", "a", 3.0, time=2)
    leshan.stream.put(cut[:40])
    leshan.stream.put(None)
    leshan.stream.put(notification("j-2", "a", 2.0, time=1) + cut + b": j-9\n\n")
    server = run(leshan, lambda: Sample.objects.count() == 3, monkeypatch)
    assert leshan.resumed == ["j-0", "j-2", "j-2"]
    assert server.last_event_id == "j-3"


def test_a_gap_reconciles_everything(leshan: FakeLeshan, monkeypatch: pytest.MonkeyPatch) -> None:
    lists = 0

    def on_request(method: str, path: str) -> None:
        nonlocal lists
        if path == "/api/clients":
            lists += 1
            if lists == 1:
                leshan.stream.put(event("k-7", "GAP", {"journal": "k", "from": 1, "to": 7, "reason": "other-journal"}))
                leshan.clients = [REGISTRATION]

    leshan.on_request = on_request
    server = run(leshan, lambda: Registration.objects.exists() and StreamGap.objects.exists(), monkeypatch)
    assert lists >= 2
    assert server.last_event_id == "k-7"
    assert Device.objects.get().status == Status.ONLINE


def test_intentions_are_carried_out_while_it_runs(leshan: FakeLeshan, monkeypatch: pytest.MonkeyPatch) -> None:
    device = provision("first")
    certificate(device, "a" * 64)
    done: list[str] = []

    def until() -> bool:
        if "first" in leshan.credentials and not done:
            done.append("add")
            provision("büro/1")
        if "büro/1" in leshan.credentials and len(done) == 1:
            done.append("revoke")
            Certificate.objects.update(revoked_at=datetime.now(UTC))
        if len(done) == 2 and "first" not in leshan.credentials:
            done.append("delete")
            Device.objects.filter(endpoint="büro/1").delete()
        return len(done) == 3 and not leshan.credentials

    def nudge(method: str, path: str) -> None:
        leshan.stream.put(b":\n\n")

    leshan.on_request = nudge
    run(leshan, until, monkeypatch)
    pushes = [body for method, path, body in leshan.asked if method == "PUT"]
    assert pushes[0] == [{"endpoint": "first", "tls": {"mode": "x509", "certificates": ["a" * 64]}}]
    assert not PushedCredential.objects.filter(endpoint="first").exists()


def test_credentials_of_others_stay(leshan: FakeLeshan, monkeypatch: pytest.MonkeyPatch) -> None:
    leshan.credentials["theirs"] = {"endpoint": "theirs", "tls": {"mode": "psk", "details": {"identity": "i"}}}
    provision("ours")
    run(leshan, lambda: PushedCredential.objects.exclude(digest="").exists(), monkeypatch)
    assert set(leshan.credentials) == {"theirs", "ours"}


@pytest.fixture
def idle() -> Iterator[tuple[Runner, list[Job]]]:
    """One that takes no step by itself, and the jobs that it would have done."""
    server = server_ensure(name="default", url="http://127.0.0.1:1")
    runner = Runner(server=server, client=LeshanClient(server.url, Token()), lock=NoLock())
    jobs: list[Job] = []
    with mock.patch.object(runner._pool, "submit", lambda job, urgent=False: jobs.append(job)):
        runner._start()
        runner._connected = True
        yield runner, jobs
    runner._pool.stop(5.0)


def test_credentials_are_pushed_one_after_the_other(idle: tuple[Runner, list[Job]]) -> None:
    runner, jobs = idle
    device = provision("a")
    runner._look_for_intentions()
    (first,) = jobs
    # not given yet, but noted: should this process end now, it would still be removed
    assert dict(PushedCredential.objects.values_list("endpoint", "digest")) == {"a": ""}
    device.delete()
    runner._look_for_intentions()
    assert jobs == [first]
    runner._handle(CredentialsDone({"a": "d"}, [], {}))
    step = jobs[1].steps[0]
    assert isinstance(step, PushCredentials)
    assert (step.wanted, step.pushed) == ({}, {"a": "d"})
    runner._handle(CredentialsDone({}, ["a"], {}))
    runner._look_for_intentions()
    assert len(jobs) == 2
    assert not PushedCredential.objects.exists()


def test_a_new_device_is_no_reason_to_ask_the_others(idle: tuple[Runner, list[Job]]) -> None:
    runner, _ = idle
    planned: list[set[str]] = []
    with mock.patch.object(runner, "_plan", lambda endpoints, **_: planned.append(set(endpoints))):
        device_provision(endpoint="a")
        runner._look_for_intentions()
        device_provision(endpoint="b")
        runner._look_for_intentions()
        runner._look_for_intentions()
        other = Profile.objects.create(name="Other")
        runner._look_for_intentions()
        Device.objects.filter(endpoint="a").update(profile=other)
        runner._look_for_intentions()
    # a new profile, too, is looked at on all registered devices: there are none
    assert planned == [{"a"}, {"b"}, set(), {"a"}]


def test_what_was_missed_does_not_undo_the_list(idle: tuple[Runner, list[Job]]) -> None:
    """A registration that Leshan lost when it was killed: its event is read after the list that lacks it."""
    runner, jobs = idle
    runner._handle(Connected(1, Health("j", 2)))
    assert [job.key for job in jobs] == ["definitions", "credentials", "registrations"]
    runner._handle(Clients([], time.monotonic()))
    runner._handle(Chunk(1, event("j-1", "REGISTRATION", REGISTRATION), 1_795_368_900_000_000))
    runner._flush()
    assert Device.objects.get().status == Status.ONLINE
    assert [job.key for job in jobs].count("registrations") == 1
    runner._handle(Chunk(1, notification("j-2", "sim-1", 1.0), 1_795_368_900_000_000))
    runner._flush()
    assert [job.key for job in jobs].count("registrations") == 2
    runner._handle(Clients([], time.monotonic()))
    runner._flush()
    assert Device.objects.get().status == Status.OFFLINE
    # nothing was missed this time
    runner._handle(Connected(2, Health("j", 2)))
    runner._flush()
    assert [job.key for job in jobs].count("registrations") == 3


def test_registrations_in_doubt_are_asked_for_again(
    idle: tuple[Runner, list[Job]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "UNSURE_SECONDS", 0.0)
    runner, jobs = idle
    runner._follow_up(Stored(unsure=True))
    runner._look_for_intentions()
    runner._look_for_intentions()
    assert [job.key for job in jobs] == ["registrations"]


def test_a_stock_server(stock: FakeLeshan, monkeypatch: pytest.MonkeyPatch) -> None:
    provision("sim-1")
    provision("sim-2")
    stock.observed = stock.read = values_of
    stock.clients = [REGISTRATION]
    single = {"ep": "sim-1", "kind": "single", "res": "/3303/0/5700", "val": node(5700, "FLOAT", "22.5")}
    stock.stream.put(event("", "NOTIFICATION", single))

    def until() -> bool:
        return Sample.objects.count() == 2 and PushedCredential.objects.count() == 2

    server = run(stock, until, monkeypatch)
    assert stock.resumed == [""]
    # the array was refused, then one by one
    bodies = [body for method, path, body in stock.asked if (method, path) == ("PUT", "/api/security/clients")]
    assert [type(body) for body in bodies] == [list, dict, dict]
    # the first value comes with the answer only
    assert set(Sample.objects.values_list("number", flat=True)) == {21.5, 22.5}
    assert (server.last_event_id, server.events_stored) == ("", 1)


def test_a_wrong_token_is_told_and_tried_again(
    leshan: FakeLeshan, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    leshan.token = "right"
    file = tmp_path / "token"
    file.write_text("wrong\n")
    seen: list[str] = []

    def until() -> bool:
        row = LeshanServer.objects.get()
        if row.error and not seen:
            seen.append(row.error)
            assert row.connected_since is None
            file.write_text("right\n")
        return row.connected_since is not None

    server = run(leshan, until, monkeypatch, Token(file=file))
    assert seen == [f"Leshan refuses our token (HTTP 401): check {file}"]
    assert server.error == ""


def test_leshan_that_is_not_there_yet(leshan: FakeLeshan, monkeypatch: pytest.MonkeyPatch) -> None:
    leshan.close()
    server = run(leshan, lambda: LeshanServer.objects.exclude(error="").exists(), monkeypatch)
    assert "not reachable" in server.error
    assert server.errors == 1
    assert Change.objects.filter(kind="server").exists()
    assert ServerInterval.objects.get().state == "down"


def test_broken_events_do_not_stop_the_stream(leshan: FakeLeshan, monkeypatch: pytest.MonkeyPatch) -> None:
    leshan.stream.put(
        b"id: j-1\nevent: SEND\ndata: {\n\nid: j-2\nevent: SEND\ndata: \xff\n\n" + event("j-3", "NEWS", 1)
    )
    long = event("j-4", "SEND", "x" * 10_000_000)
    for start in range(0, len(long), 500_000):
        leshan.stream.put(long[start : start + 500_000])
    leshan.stream.put(notification("j-5", "a", 1.0))
    server = run(leshan, lambda: Sample.objects.exists(), monkeypatch)
    assert (server.last_event_id, server.errors) == ("j-5", 4)
    assert RawEvent.objects.get(event_id="j-4").size == 10_000_002


def test_a_database_that_is_away_for_a_while_loses_nothing(leshan: FakeLeshan, monkeypatch: pytest.MonkeyPatch) -> None:
    from backend.sync import ingest

    real = ingest.samples_insert
    failures = [OperationalError("database is locked")] * 3

    def away(*arguments: Any) -> int:
        if failures:
            raise failures.pop()
        return real(*arguments)

    monkeypatch.setattr(ingest, "samples_insert", away)
    # no plain write is possible either, so that the batch is not to blame
    monkeypatch.setattr(Runner, "_writable", lambda self: not failures)
    leshan.stream.put(b"".join(notification(f"j-{n}", "a", float(n), time=n) for n in range(1, 11)))
    run(leshan, lambda: Sample.objects.count() == 10, monkeypatch)
    assert not failures
    assert not RawEvent.objects.exists()


def test_old_changes_are_deleted(leshan: FakeLeshan, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(5):
        Change.objects.create(kind="server")
    Change.objects.update(at=datetime(2026, 1, 1, tzinfo=UTC))
    leshan.stream.put(notification("j-1", "a", 1.0))
    run(leshan, lambda: Sample.objects.exists(), monkeypatch)
    assert not Change.objects.filter(at__year=2026, at__month=1).exists()
    assert Change.objects.exists()
