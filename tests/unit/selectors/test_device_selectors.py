"""Reads of devices, values and the pipeline."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from backend.devices.models import Device, DeviceEvent, ObjectSpec, Registration, ServerInterval, Status, StreamGap
from backend.devices.selectors import (
    device_choices,
    device_get,
    device_list,
    event_list,
    gap_list,
    next_expected,
    pipeline_state,
    resource_list,
    status_counts,
    time_of,
)
from backend.devices.selectors.pipeline import RateMeter
from tests.unit.api.builders import AWKWARD_ENDPOINTS, NOW, T0, device, leshan, resource, specs

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def endpoints(**where: object) -> list[str]:
    return [one.endpoint for one in device_list(**where)]  # type: ignore[arg-type]


def test_search_takes_every_word_in_any_field() -> None:
    device("meter-1", model="ACME 100", serial_number="SN77", firmware_version="2.1")
    device("meter-2", model="ACME 200", manufacturer="Acme Ltd")
    assert endpoints(search="acme") == ["meter-1", "meter-2"]
    assert endpoints(search="acme sn77") == ["meter-1"]
    assert endpoints(search=" METER  200 ") == ["meter-2"]
    assert endpoints(search="acme nothing") == []
    # not patterns
    assert endpoints(search="%") == []
    assert endpoints(search="_") == []
    assert endpoints(search="\0") == []


def test_filters_and_unknown_ones() -> None:
    device("a", status=Status.ONLINE, model="X", firmware_version="1")
    device("b", status=Status.ASLEEP, model="Y", firmware_version="2")
    device("c")
    assert endpoints(status=["online", "asleep"]) == ["a", "b"]
    assert endpoints(model="X") == ["a"]
    assert endpoints(model="") == ["c"]
    assert endpoints(firmware_version="2") == ["b"]
    with pytest.raises(ValueError, match="no status 'gone'"):
        device_list(status=["gone"])
    with pytest.raises(ValueError, match="cannot order by 'password'"):
        device_list(order="password")
    assert device_choices().models == ["", "X", "Y"]


def test_order_puts_the_unknown_last_and_never_wavers() -> None:
    device("a", last_contact=NOW)
    device("b")
    device("c", last_contact=NOW + timedelta(hours=1))
    device("d", last_contact=NOW)
    assert endpoints(order="last_contact") == ["a", "d", "c", "b"]
    assert endpoints(order="-last_contact") == ["c", "a", "d", "b"]


def test_a_list_of_a_thousand_is_one_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    Device.objects.bulk_create(Device(endpoint=f"d{n:04}") for n in range(1000))
    Registration.objects.bulk_create(
        Registration(
            device=one,
            registration_id="r",
            registered_at=NOW,
            last_update=NOW,
            lifetime=60,
            address="x",
            lwm2m_version="1",
        )
        for one in Device.objects.filter(endpoint__lt="d0500")
    )
    with django_assert_num_queries(1):
        found = [(one.endpoint, next_expected(one), one.profile and one.profile.name) for one in device_list()]
    assert len(found) == 1000
    with django_assert_num_queries(1):
        assert status_counts() == {status: (1000 if status == Status.NEVER_SEEN else 0) for status in Status}


@pytest.mark.parametrize("endpoint", AWKWARD_ENDPOINTS)
def test_any_endpoint_is_found(endpoint: str) -> None:
    device(endpoint)
    assert device_get(endpoint=endpoint).endpoint == endpoint
    assert endpoint in endpoints(search=endpoint.split()[0])


def test_no_such_device() -> None:
    for endpoint in ("", "nothing", "\0", "x" * 1000):
        with pytest.raises(Device.DoesNotExist):
            device_get(endpoint=endpoint)


def test_next_expected() -> None:
    assert next_expected(device("never")) is None
    one = device_get(endpoint=device("there", registered=True).endpoint)
    assert next_expected(one) == NOW + timedelta(seconds=300)
    one.registration.lifetime = 2**62
    assert next_expected(one) is None
    one.registration.lifetime = 300
    one.registration.ended_at = NOW
    assert next_expected(one) is None


def test_values_have_the_names_of_the_registered_version(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    specs()
    device(registered=True)
    one = device_get(endpoint="dev-1")
    resource(one, "/3303/0/5700", "FLOAT", "21.123456789", has_device_time=True)
    resource(one, "/3303/0/5701", "STRING", "Cel")
    resource(one, "/3303/10/5700", "FLOAT", "1.0")
    resource(one, "/3303/2/5700", "FLOAT", "NaN")
    resource(one, "/3/0/9", "INTEGER", "61")
    resource(one, "/3/0/6/10", "INTEGER", "1")
    resource(one, "/3/0/6/2", "INTEGER", "5")
    resource(one, "/40000/0/1", "OPAQUE", "00ff")
    with django_assert_num_queries(2):
        views = resource_list(device=one)
    assert [(view.path, view.name, view.unit, view.display) for view in views] == [
        ("/3/0/6/2", "", "", "5"),
        ("/3/0/6/10", "", "", "1"),
        ("/3/0/9", "Battery Level", "%", "61"),
        ("/3303/0/5700", "Sensor Value", "Cel", "21.1235"),
        ("/3303/0/5701", "Sensor Units", "", "Cel"),
        ("/3303/2/5700", "Sensor Value", "", "NaN"),
        ("/3303/10/5700", "Sensor Value", "", "1"),
        ("/40000/0/1", "", "", "2 bytes"),
    ]
    value = views[3]
    assert (value.object_name, value.text, value.operations) == ("Temperature 1.1", "21.123456789", "R")
    assert value.has_device_time
    assert value.time == NOW
    assert value.received == NOW + timedelta(milliseconds=1)
    assert [view.path for view in resource_list(device=one, object_id=3)] == ["/3/0/6/2", "/3/0/6/10", "/3/0/9"]


def test_a_model_that_comes_later_names_old_values() -> None:
    one = device()
    resource(one, "/3/0/9", "INTEGER", "61")
    assert resource_list(device=one)[0].name == ""
    specs()
    assert resource_list(device=one)[0].name == "Battery Level"
    ObjectSpec.objects.all().delete()
    assert resource_list(device=one)[0].name == ""


def test_times_beyond_the_calendar_end_at_its_ends() -> None:
    assert time_of(T0) == NOW
    assert time_of(2**63 - 1) == datetime.max.replace(tzinfo=UTC)
    assert time_of(-(2**63)) == datetime.min.replace(tzinfo=UTC)


def test_events_are_newest_first_and_include_strangers() -> None:
    one = device()
    DeviceEvent.objects.create(device=one, kind="registered", at=NOW)
    DeviceEvent.objects.create(device=None, kind="refused", at=NOW + timedelta(seconds=1))
    DeviceEvent.objects.create(device=one, kind="expired", at=NOW + timedelta(seconds=2))
    assert [event.kind for event in event_list(limit=2)] == ["expired", "refused"]
    assert [event.kind for event in event_list(device=one)] == ["expired", "registered"]


def test_the_pipeline_when_all_is_well(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    leshan(head_event_id="a-b-12", values_stored=7)
    with django_assert_num_queries(1):
        state = pipeline_state()
    assert state.sync_running
    assert state.connected
    assert state.behind_events == 2
    assert state.values_stored == 7
    assert state.problems == []


def test_the_pipeline_says_what_is_wrong() -> None:
    assert not pipeline_state().sync_running
    assert "never run" in pipeline_state().problems[0]
    server = leshan()
    old = timezone.now() - timedelta(seconds=6)
    server.sync_alive_at = old
    server.save()
    state = pipeline_state()
    assert not state.sync_running
    assert not state.connected
    assert "does not run" in state.problems[0]
    server.sync_alive_at = timezone.now()
    server.connected_since = None
    server.error = "401: wrong token"
    server.save()
    state = pipeline_state()
    assert state.sync_running
    assert not state.connected
    assert state.problems == ["sync cannot hear Leshan at http://127.0.0.1:8080: 401: wrong token"]
    server.connected_since = timezone.now()
    server.error = ""
    server.head_event_id = "a-b-5010"
    server.save()
    assert pipeline_state().problems == ["What is shown is late: 5,000 events are not stored yet."]
    server.head_event_id = "other-5010"
    server.save()
    assert pipeline_state().behind_events is None


def test_of_several_servers_the_worst_counts() -> None:
    leshan()
    leshan(name="second", sync_alive_at=None)
    state = pipeline_state()
    assert not state.sync_running
    assert state.problems[0].startswith("second: ")


def test_the_rate_of_a_counter() -> None:
    meter = RateMeter(span=10, shortest=1)
    assert meter.rate(100, now=0) is None
    assert meter.rate(150, now=0.5) is None
    assert meter.rate(300, now=2) == 100
    assert meter.rate(300, now=12) == 0
    # a counter that starts anew
    assert meter.rate(5, now=13) is None
    # a long look away
    assert meter.rate(500, now=100) is None


def test_gaps() -> None:
    server = leshan()
    Interval = ServerInterval

    def at(minute: int) -> datetime:
        return NOW + timedelta(minutes=minute)

    Interval.objects.create(server=server, state="down", started_at=at(0), ended_at=at(5), reason="refused")
    Interval.objects.create(server=server, state="up", started_at=at(5), ended_at=at(10))
    Interval.objects.create(server=server, state="down", started_at=at(10), reason="gone")
    StreamGap.objects.create(
        server=server,
        journal="j",
        first_sequence=5,
        last_sequence=9,
        reason="truncated",
        since=at(3),
        recorded_at=at(6),
    )
    StreamGap.objects.create(server=server, reason="other-journal", recorded_at=at(30))
    found = gap_list(start=at(1), end=at(20))
    assert [(gap.kind, gap.start, gap.end, gap.lost_events) for gap in found] == [
        ("down", at(0), at(5), None),
        ("lost", at(3), at(6), 5),
        ("down", at(10), None, None),
    ]
    assert gap_list(start=at(7), end=at(9)) == []
    assert [gap.reason for gap in gap_list(start=at(25), end=at(40))] == ["gone", "other-journal"]


def test_a_dead_sync_is_a_gap_since_its_last_sign() -> None:
    said = timezone.now() - timedelta(minutes=3)
    server = leshan(sync_alive_at=said)
    ServerInterval.objects.create(server=server, state="up", started_at=said - timedelta(hours=1))
    found = gap_list(start=said - timedelta(hours=1), end=timezone.now())
    assert [(gap.kind, gap.start, gap.end) for gap in found] == [("down", said, None)]
