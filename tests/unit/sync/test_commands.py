"""Commands from their rows to their ends: the whole of `sync` against a small HTTP server."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backend.commands.models import Command, Kind, State
from backend.devices.models import (
    Change,
    Device,
    DeviceObservation,
    ObjectDefinition,
    ObjectSpec,
    Observation,
    Profile,
    Registration,
    Resource,
)
from backend.devices.services import definition_delete, device_observation_set, device_provision
from backend.telemetry.models import Sample
from tests.unit.sync.fake_leshan import FakeLeshan
from tests.unit.sync.samples import REGISTRATION, event, node
from tests.unit.sync.test_runner import run

pytestmark = pytest.mark.django_db(transaction=True)

CONTENT = {"status": "CONTENT(205)", "valid": True, "success": True, "failure": False}
CHANGED = {"status": "CHANGED(204)", "valid": True, "success": True, "failure": False}


@pytest.fixture
def leshan() -> Iterator[FakeLeshan]:
    fake = FakeLeshan()
    fake.clients = [REGISTRATION]
    fake.stream.put(event("j-1", "REGISTRATION", REGISTRATION))
    yield fake
    fake.close()


@pytest.fixture(autouse=True)
def plain_profile(transactional_db: None) -> None:
    """A profile that asks for nothing, so that only commands are seen."""
    Profile.objects.all().delete()
    Profile.objects.create(name="Plain", is_default=True)


def ask(kind: Kind, path: str = "", *, device: Device | None = None, **fields: Any) -> Command:
    now = datetime.now(UTC)
    values = {"expires_at": now + timedelta(hours=1), "asked_at": now} | fields
    return Command.objects.create(device=device or device_provision(endpoint="sim-1"), kind=kind, path=path, **values)


def ended(*commands: Command) -> Callable[[], bool]:
    ids = [command.pk for command in commands]
    return lambda: not Command.objects.filter(pk__in=ids, ended_at=None).exists()


def test_a_read_from_its_row_to_its_value(leshan: FakeLeshan, monkeypatch: pytest.MonkeyPatch) -> None:
    leshan.device = lambda method, path, body: {**CONTENT, "content": node(9, "INTEGER", "61")}
    command = ask(Kind.READ, "/3/0/9")
    run(leshan, ended(command), monkeypatch)
    command.refresh_from_db()
    assert (command.state, command.status, command.duration_ms) == (State.SUCCEEDED, "CONTENT(205)", 7)
    assert command.answer == {**CONTENT, "content": node(9, "INTEGER", "61")}
    assert (command.attempts, command.journal) == (1, "j")
    assert list(leshan.records) == [f"{command.pk}-{command.nonce}"]
    assert leshan.started == [("sim-1", "GET", "/3/0/9")]
    assert Resource.objects.get(path="/3/0/9").value == "61"
    assert Sample.objects.count() == 1
    assert Change.objects.filter(kind="commands", device_id=command.device_id).count() >= 2


def test_a_read_value_of_a_guessed_type_is_no_sample(leshan: FakeLeshan, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {**CONTENT, "content": node(1, "STRING", "61"), "guessed": ["/33999/0/1"]}
    leshan.device = lambda method, path, body: answer
    command = ask(Kind.READ, "/33999/0/1")
    run(leshan, ended(command), monkeypatch)
    assert Resource.objects.get(path="/33999/0/1").value == "61"
    assert not Sample.objects.exists()


def test_a_device_error_is_a_failure(leshan: FakeLeshan, monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = {"status": "NOT_FOUND(404)", "valid": True, "success": False, "failure": True, "errormessage": "gone"}
    leshan.device = lambda method, path, body: refusal
    command = ask(Kind.EXECUTE, "/3/0/4")
    run(leshan, ended(command), monkeypatch)
    command.refresh_from_db()
    assert command.state == State.FAILED
    assert "4.04" in command.reason
    assert (command.status, command.answer) == ("NOT_FOUND(404)", refusal)


def test_a_write_is_read_back(leshan: FakeLeshan, monkeypatch: pytest.MonkeyPatch) -> None:
    ObjectSpec.objects.create(
        object_id=3303,
        version="1.1",
        name="Temperature",
        spec={"id": 3303, "resourcedefs": [{"id": 5601, "operations": "W"}, {"id": 5750, "operations": "RW"}]},
        fetched_at=datetime.now(UTC),
    )
    leshan.device = lambda method, path, body: CHANGED
    leshan.read = lambda path: node(5750, "STRING", "as the device has it") if path == "/3303/0/5750" else None
    arguments = {"mode": "replace", "node": node(5750, "STRING", "as asked")}
    write = ask(Kind.WRITE, "/3303/0/5750", arguments=arguments)
    # a second command goes before the reading
    secret = ask(Kind.WRITE, "/3303/0/5601", arguments={"mode": "update", "node": node(5601, "INTEGER", "1")})
    run(leshan, lambda: Resource.objects.filter(path="/3303/0/5750").exists(), monkeypatch)
    assert ended(write, secret)()
    assert Resource.objects.get(path="/3303/0/5750").value == "as the device has it"
    target = "/api/clients/sim-1/3303/0/5750"
    assert next(body for _, path, body in leshan.asked if path == target) == arguments["node"]
    # what cannot be read by its model is not asked for
    assert not [1 for method, path, _ in leshan.asked if method == "GET" and path.endswith("/5601")]


def test_a_deleted_instance_has_no_values(leshan: FakeLeshan, monkeypatch: pytest.MonkeyPatch) -> None:
    device = device_provision(endpoint="sim-1")
    for path, instance in (("/3303/7/5700", 7), ("/3303/0/5700", 0)):
        Resource.objects.create(
            device=device, path=path, object_id=3303, object_instance_id=instance, resource_id=5700, type="FLOAT",
            value="1.0", number=1.0, time=1, received=1,
        )  # fmt: skip
    leshan.device = lambda method, path, body: {**CHANGED, "status": "DELETED(202)"}
    run(leshan, ended(ask(Kind.DELETE, "/3303/7")), monkeypatch)
    assert set(Resource.objects.filter(object_id=3303).values_list("path", flat=True)) == {"/3303/0/5700"}


def test_observe_and_cancel_by_command(leshan: FakeLeshan, monkeypatch: pytest.MonkeyPatch) -> None:
    leshan.device = lambda method, path, body: {**CONTENT, "content": node(5700, "FLOAT", "20.5")}
    device = device_provision(endpoint="sim-1")
    device_observation_set(device=device, path="/3303/0/5700", by=None)
    observe = ask(Kind.OBSERVE, "/3303/0/5700", device=device)
    run(leshan, ended(observe), monkeypatch)
    row = Observation.objects.get()
    assert (row.path, row.state, row.registration_id) == ("/3303/0/5700", "active", "first")
    # an event tells the first value: the answer is no sample; and the plan has not observed it a second time
    assert not Sample.objects.exists()
    assert not [1 for method, path, _ in leshan.asked if path.endswith("/observe")][1:]
    leshan.forget_listener()
    DeviceObservation.objects.all().delete()
    device_observation_set(device=device, path="/3303/0/5700", wanted=False, by=None)
    run(leshan, ended(ask(Kind.CANCEL_OBSERVE, "/3303/0/5700", device=device)), monkeypatch)
    assert not Observation.objects.exists()
    assert leshan.started[-1] == ("sim-1", "DELETE", "/3303/0/5700/observe")


def test_an_end_that_no_event_tells_is_asked_for(leshan: FakeLeshan, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sync` was killed in the middle, and the event is lost."""
    now = datetime.now(UTC)
    command = ask(Kind.EXECUTE, "/3/0/4", state=State.SENT, attempts=1, sent_at=now, journal="j")
    leshan.records[command.request_id] = {
        "requestId": command.request_id, "ep": "sim-1", "path": "/3/0/4", "state": "ended", "accepted": 1,
        "outcome": "answered", "response": CHANGED, "sent": True, "duration": 30, "time": 1_795_368_850_000,
    }  # fmt: skip
    run(leshan, ended(command), monkeypatch)
    command.refresh_from_db()
    assert (command.state, command.duration_ms) == (State.SUCCEEDED, 30)
    assert leshan.started == []


def test_twenty_commands_in_order_over_a_restart(leshan: FakeLeshan, monkeypatch: pytest.MonkeyPatch) -> None:
    leshan.device = lambda method, path, body: CHANGED
    commands = [ask(Kind.EXECUTE, f"/3/0/{number}") for number in range(20)]
    run(leshan, lambda: len(leshan.started) >= 7, monkeypatch)
    leshan.forget_listener()
    run(leshan, ended(*commands), monkeypatch)
    assert [path for _, _, path in leshan.started] == [f"/3/0/{number}" for number in range(20)]
    assert set(Command.objects.values_list("state", "attempts")) == {(State.SUCCEEDED, 1)}


def test_a_sleeping_device_is_asked_when_it_wakes(leshan: FakeLeshan, monkeypatch: pytest.MonkeyPatch) -> None:
    sleeper = {**REGISTRATION, "queuemode": True, "sleeping": True}
    leshan.clients = [sleeper]
    leshan.stream.put(event("j-2", "SLEEPING", {"ep": "sim-1", "time": 1_795_368_850_000}))
    leshan.device = lambda method, path, body: CHANGED
    command = ask(Kind.EXECUTE, "/3/0/4")
    woken: list[bool] = []

    def until() -> bool:
        if not woken and Device.objects.filter(status="asleep").exists():
            assert leshan.started == []
            woken.append(True)
            leshan.stream.put(event("j-3", "AWAKE", {"ep": "sim-1", "time": 1_795_368_950_000}))
        return ended(command)()

    run(leshan, until, monkeypatch)
    command.refresh_from_db()
    assert (command.state, command.attempts) == (State.SUCCEEDED, 1)


def test_silence_shortens_the_awake_window(leshan: FakeLeshan, monkeypatch: pytest.MonkeyPatch) -> None:
    sleeper = {**REGISTRATION, "queuemode": True}
    leshan.clients = [sleeper]
    leshan.stream.put(event("j-2", "REGISTRATION", sleeper))
    Profile.objects.update(awake_seconds=20)
    command = ask(Kind.READ, "/3/0/9")
    done: list[bool] = []

    def until() -> bool:
        if leshan.records and not done and Registration.objects.filter(queue_mode=True).exists():
            done.append(True)
            leshan.end(next(iter(leshan.records)), "timeout")
        asked = [body["seconds"] for _, path, body in leshan.asked if path.endswith("/awake") and done]
        # asked for, answered and noted
        return asked[-1:] == [10] and Device.objects.get().awake_seconds == 10

    run(leshan, until, monkeypatch)
    command.refresh_from_db()
    assert (command.state, command.not_before, command.attempts) == (State.QUEUED, None, 1)
    leshan.forget_listener()
    told: list[bool] = []

    def again() -> bool:
        if not told:
            told.append(True)
            Profile.objects.update(awake_seconds=60)
        return Device.objects.get().awake_seconds is None

    run(leshan, again, monkeypatch)


def test_object_definitions_go_to_leshan(leshan: FakeLeshan, monkeypatch: pytest.MonkeyPatch) -> None:
    leshan.models["4", "1.0"] = b"<stranger/>"
    leshan.specs = [{"id": 3303, "name": "Mine", "version": "1.1", "resourcedefs": []}]
    now = datetime.now(UTC)
    for object_id, version, xml in ((3303, "1.1", "<good/>"), (40000, "1.0", "<bad/>")):
        ObjectDefinition.objects.create(
            object_id=object_id, version=version, name="x", xml=xml, sha256="", uploaded_at=now
        )
    ObjectSpec.objects.create(object_id=3303, version="1.1", name="Old", spec={"id": 3303}, fetched_at=now)

    def until() -> bool:
        renewed = ObjectSpec.objects.filter(name="Mine").exists()
        return renewed and ObjectDefinition.objects.exclude(problem="").exists()

    run(leshan, until, monkeypatch)
    assert leshan.models == {("3303", "1.1"): b"<good/>"}
    assert ObjectDefinition.objects.get(object_id=40000).problem == "Invalid definition: line 3: no name"
    assert ObjectDefinition.objects.get(object_id=3303).problem == ""
    leshan.forget_listener()
    deleted: list[bool] = []

    def gone() -> bool:
        if not deleted:
            deleted.append(True)
            ObjectDefinition.objects.all().delete()
        return not leshan.models

    run(leshan, gone, monkeypatch)


@pytest.mark.parametrize("bundled", [True, False], ids=["bundled", "unknown"])
@pytest.mark.parametrize("listed", [True, False], ids=["registered", "nobody's"])
def test_a_deleted_definition_gives_way_to_what_leshan_knows(
    leshan: FakeLeshan, monkeypatch: pytest.MonkeyPatch, bundled: bool, listed: bool
) -> None:
    object_id = 3303 if listed else 40000
    now = datetime.now(UTC)
    ObjectDefinition.objects.create(
        object_id=object_id, version="1.1", name="x", xml="<good/>", sha256="", uploaded_at=now
    )
    ObjectSpec.objects.create(object_id=object_id, version="1.1", name="Mine", spec={"id": object_id}, fetched_at=now)
    leshan.models[str(object_id), "1.1"] = b"<good/>"
    if bundled:
        leshan.specs = [{"id": 3303, "name": "Bundled", "version": "1.1", "resourcedefs": []}]
    definition_delete(object_id=object_id, version="1.1")

    def names() -> list[str]:
        return list(ObjectSpec.objects.filter(object_id=object_id).values_list("name", flat=True))

    wanted = ["Bundled"] if bundled and listed else []
    run(leshan, lambda: names() == wanted, monkeypatch)
    assert not leshan.models


def test_a_command_to_a_stock_server_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    stock = FakeLeshan(journal=None)
    try:
        command = ask(Kind.READ, "/3/0/9")
        run(stock, ended(command), monkeypatch)
    finally:
        stock.close()
    command.refresh_from_db()
    assert (command.state, "own Leshan server" in command.reason) == (State.FAILED, True)
