import math
from datetime import UTC, datetime
from typing import Any
from unittest import mock

import pytest
from django.db import DatabaseError, IntegrityError, OperationalError, connection

from backend.devices.models import (
    Change,
    Device,
    DeviceEvent,
    LeshanServer,
    Observation,
    RawEvent,
    Registration,
    Resource,
    Status,
    StreamGap,
)
from backend.devices.services import ObservationMark
from backend.lwm2m.registrations import registration_parse
from backend.sync.events import Clients, Idle, ObserveFailed, ReadDone
from backend.sync.ingest import Ingest
from backend.telemetry.models import Sample, Series
from tests.unit.sync.conftest import RECEIVED, Store
from tests.unit.sync.samples import REGISTERED_AT, REGISTRATION, event, node, notification

pytestmark = [pytest.mark.django_db, pytest.mark.database]

DEVICE_MS = 1_795_368_850_000


def samples() -> list[tuple[str, int, int, float | None, str | None, int | None]]:
    rows = Sample.objects.order_by("series__path", "time", "seq")
    return list(rows.values_list("series__path", "time", "seq", "number", "text", "delay"))


def status(endpoint: str = "sim-1") -> str:
    return Device.objects.get(endpoint=endpoint).status


def send(id_: str, samples: list[dict[str, Any]], *, time: int = DEVICE_MS, endpoint: str = "sim-1") -> bytes:
    return event(id_, "SEND", {"ep": endpoint, "val": {}, "time": time, "samples": samples})


def test_a_value_becomes_a_sample_and_the_current_value(store: Store, server: LeshanServer) -> None:
    stored = store(event("j-1", "REGISTRATION", REGISTRATION), notification("j-2", "sim-1", 21.5))
    assert (stored.events, stored.values, stored.last_event_id) == (2, 1, "j-2")
    assert stored.registered == {"sim-1": "first"}
    assert samples() == [("/3303/0/5700", DEVICE_MS * 1000, 0, 21.5, None, None)]
    resource = Resource.objects.get()
    assert (resource.path, resource.value, resource.number, resource.type) == ("/3303/0/5700", "21.5", 21.5, "FLOAT")
    assert (resource.time, resource.received, resource.has_device_time) == (DEVICE_MS * 1000, DEVICE_MS * 1000, False)
    assert (resource.object_id, resource.object_instance_id, resource.resource_id) == (3303, 0, 5700)
    device = Device.objects.get()
    assert device.status == Status.ONLINE
    assert device.server == server
    assert device.last_contact == datetime.fromtimestamp(DEVICE_MS / 1000, UTC)
    server.refresh_from_db()
    assert (server.last_event_id, server.head_event_id, server.events_stored, server.values_stored) == (
        "j-2",
        "j-2",
        2,
        1,
    )
    assert server.last_event_at == device.last_contact
    assert set(Change.objects.values_list("device_id", "kind")) == {(device.pk, "values"), (device.pk, "status")}


def test_the_same_events_again_store_nothing(store: Store, server: LeshanServer) -> None:
    stream = b"".join(
        [
            event("j-1", "REGISTRATION", REGISTRATION),
            *(notification(f"j-{number}", "sim-1", number, time=DEVICE_MS + number) for number in range(2, 30)),
            event("j-30", "NEWS", {}),
            b"id: j-31\nevent: SEND\ndata: {\n\n",
            event("j-32", "OBSERVATION_LOST", {"ep": "sim-1", "path": "/3/0/9", "code": "4.04"}),
        ]
    )
    store(stream)
    before = (Sample.objects.count(), DeviceEvent.objects.count(), RawEvent.objects.count())
    assert before == (28, 2, 2)
    stored = store(stream)
    assert (stored.events, stored.values, stored.last_event_id) == (0, 0, "j-32")
    assert (Sample.objects.count(), DeviceEvent.objects.count(), RawEvent.objects.count()) == before
    half = store(stream, notification("j-33", "sim-1", 1.0))
    assert (half.events, half.last_event_id) == (1, "j-33")
    server.refresh_from_db()
    assert (server.events_stored, server.values_stored) == (33, 29)


def test_a_process_that_knows_nothing_goes_on_where_the_last_one_ended(store: Store, server: LeshanServer) -> None:
    store(notification("j-1", "sim-1", 1.0))
    again = Ingest(server.pk)
    from backend.sync.decoder import Decoder

    items = Decoder().feed(notification("j-1", "sim-1", 1.0) + notification("j-2", "sim-1", 2.0, time=DEVICE_MS + 1))
    assert again.store(items, received=RECEIVED).events == 1
    assert Sample.objects.count() == 2


def test_times_of_the_device_are_kept_with_their_delay(store: Store) -> None:
    own = [DEVICE_MS - 60_000, DEVICE_MS - 30_000.5, None]
    store(
        send("j-1", [{"time": at, "nodes": {"/3303/0/5700": node(5700, "FLOAT", str(i))}} for i, at in enumerate(own)])
    )
    assert samples() == [
        ("/3303/0/5700", (DEVICE_MS - 60_000) * 1000, 0, 0.0, None, 60_000),
        ("/3303/0/5700", DEVICE_MS * 1000 - 30_000_500, 0, 1.0, None, 30_000),
        ("/3303/0/5700", DEVICE_MS * 1000, 0, 2.0, None, None),
    ]
    assert Resource.objects.get().value == "2.0"


def test_one_moment_with_several_values(store: Store) -> None:
    nodes = [1.0, 2.0, 1.0, 3.0, 2.0]
    series = [{"time": 1000, "nodes": {"/3303/0/5700": node(5700, "FLOAT", str(value))}} for value in nodes]
    store(send("j-1", series))
    assert [(row[2], row[3]) for row in samples()] == [(0, 1.0), (1, 2.0), (2, 3.0)]
    store(send("j-2", [*series, {"time": 1000, "nodes": {"/3303/0/5700": node(5700, "FLOAT", "4.0")}}]))
    assert [(row[2], row[3]) for row in samples()] == [(0, 1.0), (1, 2.0), (2, 3.0), (3, 4.0)]
    store(notification("j-3", "sim-1", 5.0), notification("j-4", "sim-1", 5.0), notification("j-5", "sim-1", 6.0))
    assert [(row[2], row[3]) for row in samples()][4:] == [(0, 5.0), (1, 6.0)]


@pytest.mark.parametrize(
    ("type_", "raw", "number", "text"),
    [
        ("FLOAT", "0.1", 0.1, None),
        ("FLOAT", "5e-324", 5e-324, None),
        ("FLOAT", "1.7976931348623157E308", 1.7976931348623157e308, None),
        ("FLOAT", "-0.0", 0.0, "-0.0"),
        ("FLOAT", "NaN", None, "NaN"),
        ("FLOAT", "-Infinity", None, "-Infinity"),
        ("INTEGER", "9007199254740992", 2.0**53, None),
        ("INTEGER", "9007199254740993", 2.0**53, "9007199254740993"),
        ("UNSIGNED_INTEGER", "18446744073709551615", 2.0**64, "18446744073709551615"),
        ("INTEGER", "-9223372036854775808", -(2.0**63), "-9223372036854775808"),
        ("STRING", "", None, ""),
        ("STRING", "Grüße 🌡", None, "Grüße 🌡"),
        ("BOOLEAN", True, 1.0, None),
        ("OPAQUE", "00FF", None, "00ff"),
        ("OBJLNK", {"objectId": 3, "objectInstanceId": 1, "nullLink": False}, None, "3:1"),
        ("TIME", 1795368850000, 1795368850000.0, None),
    ],
)
def test_every_value_is_stored_without_loss(
    store: Store, type_: str, raw: Any, number: float | None, text: str | None
) -> None:
    store(send("j-1", [{"time": None, "nodes": {"/1000/0/1": node(1, type_, raw)}}]))
    (row,) = samples()
    assert row[4] == text
    assert row[3] == number
    resource = Resource.objects.get()
    assert resource.type == type_
    assert resource.number is None or math.isfinite(resource.number)


def test_instances_and_resource_instances_are_kept_apart(store: Store) -> None:
    multi = {"kind": "multiResource", "id": 6, "type": "INTEGER", "values": {"0": "1", "7": "5"}}
    instance = {"kind": "instance", "id": 1, "resources": [node(9, "INTEGER", "50"), multi]}
    store(send("j-1", [{"time": None, "nodes": {"/3/0/9": node(9, "INTEGER", "61"), "/3/1": instance}}]))
    rows = dict(Resource.objects.values_list("path", "value"))
    assert rows == {"/3/0/9": "61", "/3/1/9": "50", "/3/1/6/0": "1", "/3/1/6/7": "5"}
    assert Resource.objects.get(path="/3/1/6/7").resource_instance_id == 7


def test_a_current_value_never_goes_back_in_time(store: Store) -> None:
    store(notification("j-1", "sim-1", 1.0, time=DEVICE_MS), notification("j-2", "sim-1", 2.0, time=DEVICE_MS - 5))
    assert Resource.objects.get().value == "1.0"
    store(notification("j-3", "sim-1", 3.0, time=DEVICE_MS - 1))
    assert Resource.objects.get().value == "1.0"
    store(notification("j-4", "sim-1", 4.0, time=DEVICE_MS))
    assert Resource.objects.get().value == "4.0"
    assert Sample.objects.count() == 4


def test_a_clock_that_runs_ahead_does_not_freeze_the_value(store: Store) -> None:
    store(notification("j-1", "sim-1", 1.0, time=DEVICE_MS, own=DEVICE_MS + 10**9))
    store(notification("j-2", "sim-1", 2.0, time=DEVICE_MS + 1000))
    assert Resource.objects.get().value == "2.0"


def test_values_may_come_before_the_registration(store: Store) -> None:
    store(notification("j-1", "new", 1.0))
    device = Device.objects.get(endpoint="new")
    assert device.status == Status.ONLINE
    assert device.profile is not None
    assert device.profile.is_default
    store(event("j-2", "REGISTRATION", REGISTRATION | {"endpoint": "new"}))
    assert Registration.objects.get().device == device
    assert status("new") == Status.ONLINE


def test_object_3_tells_what_the_device_is(store: Store) -> None:
    store(notification("j-1", "sim-1", 1.0))
    readings: list[Any] = [
        ("/3/0/0", "STRING", None, "Nordic", None),
        ("/3/0/1", "STRING", None, "nRF9160", None),
        ("/3/0/2", "STRING", None, "4711", None),
        ("/3/0/3", "STRING", None, "1.2.3", None),
        ("/3/0/9", "INTEGER", 61.0, None, None),
    ]
    store(ReadDone("sim-1", "/3/0", readings, [], received=RECEIVED))
    device = Device.objects.get()
    assert (device.manufacturer, device.model, device.serial_number, device.firmware_version) == (
        "Nordic",
        "nRF9160",
        "4711",
        "1.2.3",
    )
    # what was asked for is known now, but it is no series
    assert Resource.objects.filter(path="/3/0/9", value="61").exists()
    assert list(Series.objects.values_list("path", flat=True)) == ["/3303/0/5700"]


# -- status


def deregistration(id_: str, reason: str, *, registration: str = "first", time: int = DEVICE_MS) -> bytes:
    body = REGISTRATION | {"registrationId": registration, "reason": reason, "time": time}
    return event(id_, "DEREGISTRATION", body)


SECOND = REGISTRATION | {"registrationId": "second", "registrationDate": DEVICE_MS, "lastUpdate": DEVICE_MS}


@pytest.mark.parametrize("reason", ["expired", "deregistered", "revoked", ""])
def test_the_end_of_a_registration_is_offline(store: Store, reason: str) -> None:
    stored = store(event("j-1", "REGISTRATION", REGISTRATION), deregistration("j-2", reason))
    assert status() == Status.OFFLINE
    assert (stored.registered, stored.ended) == ({}, {"sim-1"})
    registration = Registration.objects.get()
    assert registration.end_reason == (reason or "deregistered")
    assert registration.ended_at is not None
    kinds = set(DeviceEvent.objects.values_list("kind", flat=True))
    assert kinds == {"registered", reason or "deregistered"}


def test_replaced_is_not_offline(store: Store) -> None:
    store(event("j-1", "REGISTRATION", REGISTRATION))
    since = Device.objects.get().status_since
    store(deregistration("j-2", "replaced"))
    assert status() == Status.ONLINE
    stored = store(event("j-3", "REGISTRATION", SECOND))
    assert stored.registered == {"sim-1": "second"}
    device = Device.objects.get()
    assert (device.status, device.status_since) == (Status.ONLINE, since)
    registration = Registration.objects.get()
    assert (registration.registration_id, registration.ended_at, registration.end_reason) == ("second", None, "")


@pytest.mark.parametrize("reason", ["replaced", "expired", "deregistered"])
def test_the_end_of_the_old_registration_told_after_the_new_one(store: Store, reason: str) -> None:
    store(
        event("j-1", "REGISTRATION", REGISTRATION), event("j-2", "REGISTRATION", SECOND), deregistration("j-3", reason)
    )
    assert status() == Status.ONLINE
    assert Registration.objects.get().registration_id == "second"
    assert Registration.objects.get().ended_at is None


def test_the_old_registration_told_after_the_new_one(store: Store) -> None:
    store(event("j-1", "REGISTRATION", SECOND), event("j-2", "REGISTRATION", REGISTRATION))
    assert Registration.objects.get().registration_id == "second"


def test_a_value_told_after_the_end_does_not_bring_it_back(store: Store) -> None:
    store(event("j-1", "REGISTRATION", REGISTRATION), deregistration("j-2", "expired"))
    store(notification("j-3", "sim-1", 1.0, time=DEVICE_MS - 1))
    assert status() == Status.OFFLINE
    store(notification("j-4", "sim-1", 1.0, time=DEVICE_MS + 1))
    assert status() == Status.ONLINE


def test_sleeping_and_awake(store: Store) -> None:
    stored = store(
        event("j-1", "REGISTRATION", REGISTRATION), event("j-2", "SLEEPING", {"ep": "sim-1", "time": DEVICE_MS})
    )
    assert status() == Status.ASLEEP
    assert (stored.signs, stored.asleep) == (set(), {"sim-1"})
    contact = Device.objects.get().last_contact
    assert contact == datetime.fromtimestamp(REGISTERED_AT / 1e6, UTC)
    stored = store(event("j-3", "AWAKE", {"ep": "sim-1", "time": DEVICE_MS + 5}))
    assert status() == Status.ONLINE
    assert (stored.signs, stored.asleep) == ({"sim-1"}, set())
    store(event("j-4", "SLEEPING", {"ep": "sim-1", "time": DEVICE_MS + 9}))
    store(notification("j-5", "sim-1", 1.0, time=DEVICE_MS + 8))
    assert status() == Status.ASLEEP
    store(notification("j-6", "sim-1", 1.0, time=DEVICE_MS + 10))
    assert status() == Status.ONLINE


def test_a_device_that_is_gone_does_not_fall_asleep(store: Store) -> None:
    store(
        event("j-1", "REGISTRATION", REGISTRATION),
        deregistration("j-2", "expired"),
        event("j-3", "SLEEPING", {"ep": "sim-1"}),
    )
    assert status() == Status.OFFLINE


def test_blocked_stays_blocked(store: Store) -> None:
    Device.objects.create(endpoint="sim-1", status=Status.BLOCKED)
    store(event("j-1", "REGISTRATION", REGISTRATION), notification("j-2", "sim-1", 1.0))
    assert status() == Status.BLOCKED
    store(deregistration("j-3", "revoked"))
    assert status() == Status.BLOCKED
    store(event("j-4", "AWAKE", {"ep": "sim-1"}))
    assert status() == Status.BLOCKED


def test_the_end_of_an_unknown_device_makes_none(store: Store) -> None:
    store(
        deregistration("j-1", "revoked"),
        event("j-2", "REFUSED", {"by": "server", "endpoint": "x", "reason": "unknown"}),
    )
    assert not Device.objects.exists()
    refused = DeviceEvent.objects.get()
    assert (refused.kind, refused.device, refused.text) == ("refused", None, "Refused x: unknown")


def test_an_update_that_changes_something_is_told(store: Store) -> None:
    store(event("j-1", "REGISTRATION", REGISTRATION))
    same = {"registration": REGISTRATION | {"lastUpdate": DEVICE_MS}, "update": {}}
    assert store(event("j-2", "UPDATED", same)).registered == {}
    assert DeviceEvent.objects.filter(kind="updated").count() == 0
    links = [*REGISTRATION["objectLinks"], {"url": "/3304/0", "attributes": {}}]
    other = {"registration": REGISTRATION | {"lifetime": 60, "objectLinks": links}, "update": {}}
    assert store(event("j-3", "UPDATED", other)).registered == {"sim-1": "first"}
    assert DeviceEvent.objects.get(kind="updated").text == "Registration changed: lifetime is 60 s, objects"
    registration = Registration.objects.get()
    assert registration.lifetime == 60
    assert registration.last_update == datetime.fromtimestamp(DEVICE_MS / 1000, UTC)


def test_an_update_of_an_unseen_registration_brings_it_in(store: Store) -> None:
    stored = store(event("j-9", "UPDATED", {"registration": REGISTRATION, "update": {}}))
    assert stored.registered == {"sim-1": "first"}
    assert status() == Status.ONLINE


# -- the list of registrations


def clients(*raw: dict[str, Any], asked: float = math.inf) -> Clients:
    return Clients([registration_parse(item) for item in raw], asked)


def test_what_is_missing_has_vanished_and_what_is_new_is_added(store: Store) -> None:
    store(event("j-1", "REGISTRATION", REGISTRATION))
    other = SECOND | {"endpoint": "sim-2", "queuemode": True, "sleeping": True}
    stored = store(clients(other))
    assert status("sim-1") == Status.OFFLINE
    assert Registration.objects.get(device__endpoint="sim-1").end_reason == "vanished"
    assert status("sim-2") == Status.ASLEEP
    assert (stored.registered, stored.ended, stored.asleep) == ({"sim-2": "second"}, {"sim-1"}, {"sim-2"})
    assert DeviceEvent.objects.filter(kind="vanished").count() == 1
    # it was there after all
    store(clients(REGISTRATION, other))
    assert status("sim-1") == Status.ONLINE
    assert Registration.objects.get(device__endpoint="sim-1").ended_at is None


def test_an_older_firmware_version_told_late_does_not_replace_the_newer_one(store: Store) -> None:
    for id_, at, version in (("j-1", DEVICE_MS, "2.0"), ("j-2", DEVICE_MS - 60_000, "1.0")):
        store(send(id_, [{"time": at, "nodes": {"/3/0/3": node(3, "STRING", version)}}]))
    assert Resource.objects.get().value == "2.0"
    assert Device.objects.get().firmware_version == "2.0"


def test_a_list_that_events_contradict_is_asked_for_again(store: Store) -> None:
    """The event may be an old one that was told late: Leshan may have lost the registration since."""
    store(event("j-1", "REGISTRATION", REGISTRATION))
    assert store(clients(REGISTRATION, asked=0.0)).unsure is False
    assert store(clients(asked=0.0)).unsure is True
    assert status() == Status.ONLINE
    assert store(clients({**REGISTRATION, "registrationId": "second"}, asked=0.0)).unsure is True
    assert store(clients(asked=math.inf)).unsure is False
    assert status() == Status.OFFLINE


def test_a_nul_in_a_text_costs_no_value(store: Store) -> None:
    """PostgreSQL holds no NUL in a text; firmware that pads its texts with some is common."""
    at = [{"time": None, "nodes": {"/3/0/2": node(2, "STRING", "a\0b"), "/3303/0/5700": node(5700, "FLOAT", "1.5")}}]
    store(
        event("j-1", "REGISTRATION", {**REGISTRATION, "rootPath": "/" + "x" * 99}),
        send("j-2", at),
        ReadDone("sim-1", "/3/0", [("/3/0/0", "STRING", None, "c\0", None)], [], RECEIVED),
    )
    postgresql = connection.vendor == "postgresql"
    values = dict(Resource.objects.values_list("path", "value"))
    nul = "\ufffd" if postgresql else "\0"
    assert values == {"/3/0/2": f"a{nul}b", "/3303/0/5700": "1.5", "/3/0/0": f"c{nul}"}
    assert Sample.objects.count() == 2
    raw = RawEvent.objects.values_list("event_id", "error")
    if postgresql:
        ((event_id, error),) = raw
        assert event_id == "j-2"
        assert error.startswith("/3/0/2: NUL characters")
    else:
        assert not raw


def test_news_since_the_list_was_asked_for_win(store: Store) -> None:
    store(event("j-1", "REGISTRATION", REGISTRATION))
    store(clients(asked=0.0))
    assert status() == Status.ONLINE
    store(deregistration("j-2", "expired"))
    store(clients(REGISTRATION, asked=0.0))
    assert status() == Status.OFFLINE
    # and an end that was told is not undone by the same registration
    store(clients(REGISTRATION))
    assert status() == Status.OFFLINE


def test_devices_of_another_server_do_not_vanish(store: Store) -> None:
    other = LeshanServer.objects.create(name="other", url="x")
    device = Device.objects.create(endpoint="theirs", server=other, status=Status.ONLINE)
    at = datetime.now(UTC)
    Registration.objects.create(
        device=device,
        registration_id="x",
        registered_at=at,
        last_update=at,
        lifetime=1,
        address="a",
        lwm2m_version="1.1",
    )
    store(clients())
    assert status("theirs") == Status.ONLINE


# -- observations


def test_an_observation_is_noted_with_its_value(store: Store) -> None:
    store(event("j-1", "REGISTRATION", REGISTRATION))
    device = Device.objects.get()
    Observation.objects.create(device=device, path="/3303/0/5700", changed_at=datetime.now(UTC))
    value: list[Any] = [("/3303/0/5700", "FLOAT", 20.0, None, None)]
    done = ReadDone(
        "sim-1",
        "/3303/0/5700",
        value,
        [],
        RECEIVED,
        marks=(ObservationMark("/3303/0/5700"),),
        registration_id="first",
        sampled=True,
    )
    store(done)
    observation = Observation.objects.get()
    assert (observation.state, observation.registration_id, observation.reason) == ("active", "first", "")
    assert samples() == [("/3303/0/5700", RECEIVED, 0, 20.0, None, None)]
    # the same value once more is no news, and an own server tells it as an event
    store(done)
    done.sampled = False
    done.readings = [("/3303/0/5700", "FLOAT", 21.0, None, None)]
    store(done)
    assert Sample.objects.count() == 1
    assert Resource.objects.get().value == "21.0"


def test_why_an_observation_failed_or_ended(store: Store) -> None:
    store(event("j-1", "REGISTRATION", REGISTRATION))
    device = Device.objects.get()
    Observation.objects.create(device=device, path="/3/0/9", changed_at=datetime.now(UTC))
    store(ObserveFailed("sim-1", "/3/0/9", "first", "NOT_FOUND(404)"))
    assert Observation.objects.values_list("state", "reason").get() == ("failed", "NOT_FOUND(404)")
    stored = store(event("j-2", "OBSERVATION_LOST", {"ep": "sim-1", "path": "/3/0/9", "code": "4.04"}))
    assert stored.lost == {"sim-1"}
    said = "The device ended the observation of /3/0/9: Not found (4.04)"
    assert Observation.objects.get().reason == said
    ended = DeviceEvent.objects.get(kind=DeviceEvent.Kind.OBSERVATION_LOST)
    assert (ended.text, ended.detail["code"]) == (said, "4.04")
    store(ObserveFailed("nobody", "/3/0/9", "first", "x"), ReadDone("nobody", "/3/0/9", [], [], RECEIVED))
    assert not Device.objects.filter(endpoint="nobody").exists()


# -- what goes wrong


def test_a_gap_is_recorded_once_and_the_stream_goes_on_behind_it(store: Store, server: LeshanServer) -> None:
    store(notification("j-500", "sim-1", 1.0))
    gap = event("j-100", "GAP", {"journal": "j", "from": 101, "to": 500, "reason": "ahead"})
    stored = store(gap)
    assert stored.gap
    row = StreamGap.objects.get()
    assert (row.journal, row.first_sequence, row.last_sequence, row.reason) == ("j", 101, 500, "ahead")
    assert row.since == datetime.fromtimestamp(DEVICE_MS / 1000, UTC)
    assert not store(gap).gap
    assert StreamGap.objects.count() == 1
    # ids that went back are new events
    store(notification("j-101", "sim-1", 2.0, time=DEVICE_MS + 1))
    assert Sample.objects.count() == 2
    other = store(
        event("k-9", "GAP", {"journal": "k", "from": 1, "to": 9, "reason": "other-journal"}),
        notification("k-10", "sim-1", 3.0),
    )
    assert other.last_event_id == "k-10"
    assert Change.objects.filter(kind="server", device_id=None).exists()


def test_poisoned_events_are_kept_raw_and_cost_nothing_else(store: Store, server: LeshanServer) -> None:
    store(
        notification("j-1", "sim-1", 1.0),
        b"id: j-2\nevent: SEND\ndata: {\xff\n\n",
        event("j-3", "NEWS", {"a": 1}),
        event("j-4", "UNDECODED", {"ep": "sim-1", "format": "SENML_CBOR", "hex": "ff00", "error": "cut short"}),
        send("j-5", [{"time": None, "nodes": {"/3/0/9": node(9, "INTEGER", "x"), "/3/0/13": node(13, "TIME", 5)}}]),
        notification("j-6", "sim-1", 2.0, time=DEVICE_MS + 1),
    )
    raw = {row.event_id: row for row in RawEvent.objects.all()}
    assert set(raw) == {"j-2", "j-3", "j-4", "j-5"}
    assert bytes(raw["j-2"].data) == b"{\xff"
    assert raw["j-3"].error == "unknown event 'NEWS'"
    assert raw["j-4"].device == Device.objects.get()
    assert "/3/0/9" in raw["j-5"].error
    assert Sample.objects.count() == 3
    server.refresh_from_db()
    assert (server.last_event_id, server.errors) == ("j-6", 4)


def test_an_event_that_the_database_refuses_is_found_by_halving(store: Store, server: LeshanServer) -> None:
    stream = [notification(f"j-{n}", "sim-1", float(n), time=DEVICE_MS + n) for n in range(1, 60)]
    # no number of seconds fits: SQLite and PostgreSQL both refuse it
    stream[30] = event("j-31", "REGISTRATION", REGISTRATION | {"lifetime": 2**70})
    stored = store(*stream)
    assert (stored.events, stored.values, stored.errors, stored.last_event_id) == (59, 58, 1, "j-59")
    raw = RawEvent.objects.get()
    assert (raw.event_id, raw.name) == ("j-31", "REGISTRATION")
    assert raw.error
    assert b"lifetime" in bytes(raw.data)
    assert [row[3] for row in samples()] == [float(n) for n in range(1, 60) if n != 31]
    server.refresh_from_db()
    assert server.last_event_id == "j-59"


def test_a_series_that_was_deleted_behind_our_back_is_made_again(store: Store) -> None:
    store(notification("j-1", "sim-1", 1.0))
    Device.objects.all().delete()
    store(notification("j-2", "sim-1", 2.0, time=DEVICE_MS + 1))
    assert [row[3] for row in samples()] == [2.0]
    Series.objects.all().delete()
    with mock.patch("backend.sync.ingest.samples_insert", side_effect=[IntegrityError("gone"), 1]):
        stored = store(notification("j-3", "sim-1", 3.0))
    assert (stored.events, stored.errors) == (1, 0)


def test_a_database_that_is_away_changes_nothing_and_is_told(
    store: Store, ingest: Ingest, server: LeshanServer
) -> None:
    with (
        mock.patch("backend.sync.ingest.samples_insert", side_effect=OperationalError("database is locked")),
        pytest.raises(OperationalError),
    ):
        store(notification("j-1", "sim-1", 1.0))
    server.refresh_from_db()
    assert server.last_event_id == ""
    assert not Device.objects.exists()
    assert store(notification("j-1", "sim-1", 1.0)).values == 1


def test_an_item_that_makes_an_answering_database_fail_is_isolated(ingest: Ingest, server: LeshanServer) -> None:
    from backend.sync import ingest as module
    from backend.sync.decoder import Decoder

    real = module.samples_insert

    def picky(buffer: Any, marks: Any) -> int:
        if 13.0 in buffer.plain:
            raise OperationalError("index row size exceeds maximum")
        return real(buffer, marks)

    stream = b"".join(notification(f"j-{n}", "sim-1", float(n), time=DEVICE_MS + n) for n in range(1, 20))
    with mock.patch.object(module, "samples_insert", picky):
        stored = ingest.store(Decoder().feed(stream), received=RECEIVED, bisect_unavailable=True)
    assert (stored.events, stored.errors) == (19, 1)
    assert RawEvent.objects.get().event_id == "j-13"
    assert Sample.objects.count() == 18


def test_any_other_failure_is_isolated_too(store: Store) -> None:
    from backend.sync.ingest import _Batch

    real = _Batch._presence

    def failing(self: Any, item: Any) -> None:
        if item.endpoint == "bad":
            raise DatabaseError("no")
        real(self, item)

    with mock.patch.object(_Batch, "_presence", failing):
        stored = store(*(event(f"j-{n}", "AWAKE", {"ep": "bad" if n == 4 else "a"}) for n in range(1, 9)))
    assert (stored.events, stored.last_event_id) == (8, "j-8")
    assert RawEvent.objects.get().event_id == "j-4"


def test_idle_comments_tell_the_head(store: Store, server: LeshanServer) -> None:
    store(notification("j-1", "sim-1", 1.0))
    store(Idle("j-7"))
    server.refresh_from_db()
    assert (server.last_event_id, server.head_event_id) == ("j-1", "j-7")
    store(Idle("rubbish"), Idle("j-3"))
    server.refresh_from_db()
    assert server.head_event_id == "j-7"


def test_a_stock_server_has_no_ids_and_no_times(store: Store, server: LeshanServer) -> None:
    single = {"ep": "sim-1", "kind": "single", "res": "/3303/0/5700", "val": node(5700, "FLOAT", "21.5")}
    store(event("", "REGISTRATION", REGISTRATION), event("", "NOTIFICATION", single), event("", "NOTIFICATION", single))
    assert samples() == [("/3303/0/5700", RECEIVED, 0, 21.5, None, None)]
    server.refresh_from_db()
    assert (server.last_event_id, server.events_stored) == ("", 3)
    assert store(event("", "DEREGISTRATION", REGISTRATION)).ended == {"sim-1"}
    store(event("", "NOTIFICATION", single), received=RECEIVED + 1)
    assert status() == Status.OFFLINE


def test_broken_events_without_an_id_are_all_kept(store: Store) -> None:
    store(b"event: x\ndata: {\n\n", b"event: x\ndata: {\n\n")
    assert RawEvent.objects.count() == 2
