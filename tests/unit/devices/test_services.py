from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from backend.devices.models import Change, Device, LeshanServer, ObjectSpec, Observation, ServerInterval, Status
from backend.devices.services import (
    ObservationMark,
    Sign,
    device_provision,
    devices_ensure,
    objectspecs_store,
    observation_set_failed,
    observations_set_active,
    observations_want,
    server_connected,
    server_disconnected,
    server_ensure,
    server_heartbeat,
    server_problem,
    server_started,
    server_stopped,
    status_next,
)

AT = datetime(2026, 1, 1, tzinfo=UTC)


def seconds(number: float) -> datetime:
    return AT + timedelta(seconds=number)


# -- status


@pytest.mark.parametrize(("status", "sign"), list(product(Status, Sign)))
def test_status_rules(status: Status, sign: Sign) -> None:
    after = status_next(status=status, sign=sign)
    assert status_next(status=status, sign=sign, late=True) == status
    if status is Status.BLOCKED:
        assert after is Status.BLOCKED
    elif sign is Sign.GONE:
        assert after is Status.OFFLINE
    elif sign is Sign.ASLEEP:
        assert after == (Status.ASLEEP if status in {Status.ONLINE, Status.ASLEEP} else status)
    else:
        assert after is Status.ONLINE


# -- devices


@pytest.mark.django_db
def test_devices_are_made_where_they_are_to_be() -> None:
    known = device_provision(endpoint="a")
    assert device_provision(endpoint="a") == known
    found = devices_ensure(endpoints=["a", "b", "c"], create=["c", "d"])
    assert set(found) == {"a", "c", "d"}
    assert found["c"].profile == known.profile
    assert found["c"].profile is not None
    for name in ("", "x" * 256):
        with pytest.raises(ValueError, match="1 to 255"):
            device_provision(endpoint=name)


@pytest.mark.django_db
def test_definitions_are_stored_by_object_and_version() -> None:
    specs = [
        {"id": 3, "name": "Device", "version": "1.1", "resourcedefs": []},
        {"id": 3, "name": "Device", "version": "1.2"},
        {"id": 4, "version": None},
        {"id": "x"},
        {"id": True},
        {"id": 9, "version": "1.2.3.4.5"},
    ]
    assert objectspecs_store(specs=specs, at=AT) == 3
    assert objectspecs_store(specs=[{"id": 3, "name": "Other", "version": "1.1"}], at=AT) == 1
    rows = set(ObjectSpec.objects.values_list("object_id", "version", "name"))
    assert rows == {(3, "1.1", "Other"), (3, "1.2", "Device"), (4, "1.0", "Object 4")}


@pytest.mark.django_db
def test_wanted_observations() -> None:
    device = Device.objects.create(endpoint="a")
    assert observations_want(device_id=device.pk, wanted={"/3/0/9": {}, "/3/0/7": {"pmin": 1}}, at=AT) == []
    observations_set_active(
        device_id=device.pk, marks=[ObservationMark("/3/0/9", {"pmin": 1.0}, "no gt")], registration_id="r", at=AT
    )
    observation_set_failed(device_id=device.pk, path="/3/0/7", registration_id="r", reason="", at=AT)
    assert observations_want(device_id=device.pk, wanted={"/3/0/9": {}, "/4/0/2": {}}, at=AT) == ["/3/0/7"]
    rows = list(Observation.objects.values_list("path", "state", "registration_id"))
    assert rows == [("/3/0/9", "active", "r"), ("/4/0/2", "wanted", "")]


# -- servers


@pytest.fixture
def server(db: None) -> LeshanServer:
    return server_ensure(name="default", url="http://127.0.0.1:1")


def intervals(server: LeshanServer) -> list[tuple[str, datetime, datetime | None, str]]:
    rows = ServerInterval.objects.filter(server=server).order_by("started_at", "pk")
    return list(rows.values_list("state", "started_at", "ended_at", "reason"))


@pytest.mark.django_db
@pytest.mark.database
def test_up_and_down_in_turn(server: LeshanServer) -> None:
    assert server_ensure(name="default", url="http://other") == server
    server_started(server=server, at=AT)
    server_disconnected(server=server, at=seconds(1), reason="refused")
    server_disconnected(server=server, at=seconds(2), reason="refused")
    server_connected(server=server, at=seconds(3), head="j-5")
    server_connected(server=server, at=seconds(4))
    server_disconnected(server=server, at=seconds(5), reason="silent")
    server_stopped(server=server, at=seconds(6))
    assert intervals(server) == [
        ("down", AT, seconds(3), "refused"),
        ("up", seconds(3), seconds(5), ""),
        ("down", seconds(5), None, "sync was stopped"),
    ]
    server.refresh_from_db()
    assert (server.head_event_id, server.connected_since, server.errors) == ("j-5", None, 2)
    assert Change.objects.filter(kind="server").count() == 6


@pytest.mark.django_db
@pytest.mark.database
def test_after_a_kill_the_open_interval_ends_when_it_was_last_alive(server: LeshanServer) -> None:
    server_started(server=server, at=AT)
    server_connected(server=server, at=seconds(1))
    server_heartbeat(server=server, at=seconds(10), heard_at=seconds(9), head="j-7", idle=True)
    server_started(server=server, at=seconds(60))
    assert intervals(server)[1:] == [
        ("up", seconds(1), seconds(10), ""),
        ("down", seconds(10), None, "sync was not running"),
    ]
    server.refresh_from_db()
    assert (server.connected_since, server.lag_ms, server.head_event_id) == (None, 0, "j-7")


@pytest.mark.django_db
def test_a_clock_that_was_set_back_makes_no_negative_interval(server: LeshanServer) -> None:
    server_started(server=server, at=AT)
    server_connected(server=server, at=seconds(-100))
    server_disconnected(server=server, at=seconds(-200), reason="x")
    assert [(row[1], row[2]) for row in intervals(server)[:-1]] != []
    for _, start, end, _ in intervals(server):
        assert end is None or end >= start


@pytest.mark.django_db
def test_a_problem_is_told_once_and_goes_away(server: LeshanServer) -> None:
    server_problem(server=server, at=AT, text="no")
    server_problem(server=server, at=seconds(1), text="no")
    server.refresh_from_db()
    assert (server.error, server.error_at, server.errors) == ("no", AT, 1)
    server_problem(server=server, at=seconds(2), text="")
    server.refresh_from_db()
    assert (server.error, server.error_at, server.errors) == ("", None, 1)
