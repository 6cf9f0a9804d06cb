"""What the API answers."""

import json
import math
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.db import DatabaseError
from django.http import HttpRequest
from django.test import Client, RequestFactory
from ninja.errors import AuthorizationError, HttpError
from pytest_django import DjangoAssertNumQueries

from backend.accounts.models import Role
from backend.accounts.permissions import Permission
from backend.api import operations, schemas
from backend.api.auth import SessionWithRole
from backend.api.parameters import microseconds
from backend.devices.models import Device, Observation, Registration, ServerInterval, StreamGap
from backend.telemetry.models import Sample
from tests.unit.api.builders import (
    AWKWARD_ENDPOINTS,
    NOW,
    T0,
    device,
    leshan,
    resource,
    samples,
    series,
    specs,
    user,
)

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture
def api(client: Client) -> Client:
    client.force_login(user("viewer"))
    return client


def get(api: Client, path: str, *, expect: int = 200, **query: Any) -> Any:
    answer = api.get(f"/api/v1{path}", query_params=query)
    assert answer.status_code == expect, answer.content
    assert answer.headers["Content-Type"].startswith("application/json")

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    found = json.loads(answer.content, parse_constant=refuse)
    if expect != 200:
        assert set(found) == {"detail"}
        assert "\n" not in found["detail"]
    return found


# -- devices


def test_devices(api: Client) -> None:
    device("a", registered=True, model="M", firmware_version="1.0")
    device("b", model="N")
    found = get(api, "/devices")
    assert found["count"] == 2
    assert schemas.Devices.model_validate(found).items[0].status == "online"
    first, second = found["items"]
    assert first["next_expected"] == (NOW + timedelta(seconds=300)).isoformat()
    assert first["profile"] == "Default"
    assert first["queue_mode"] is False
    assert second["queue_mode"] is second["last_contact"] is second["next_expected"] is None
    assert [one["endpoint"] for one in get(api, "/devices", order="-endpoint")["items"]] == ["b", "a"]
    assert get(api, "/devices", search="m", model="M")["count"] == 1
    assert get(api, "/devices", status=["online", "offline"])["count"] == 1
    assert get(api, "/devices", firmware_version="")["count"] == 1
    page = get(api, "/devices", page=2, page_size=1)
    assert ([one["endpoint"] for one in page["items"]], page["count"]) == (["b"], 2)
    assert get(api, "/devices", page=9)["items"] == []


def test_a_page_of_a_thousand_devices_takes_the_same_queries(
    api: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    def ask(size: int) -> int:
        # session, user, devices, count
        with django_assert_num_queries(4):
            return len(get(api, "/devices", page_size=size)["items"])

    device("d", registered=True)
    assert ask(500) == 1
    Device.objects.bulk_create(Device(endpoint=f"d{n:04}") for n in range(1000))
    Registration.objects.bulk_create(
        Registration(device=one, registration_id="r", registered_at=NOW, last_update=NOW, lifetime=60)
        for one in Device.objects.filter(registration__isnull=True)
    )
    assert ask(500) == 500
    assert get(api, "/devices", page=3, page_size=500)["count"] == 1001


def test_values_of_a_device_take_the_same_queries(
    api: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    specs()
    one = device(registered=True)
    for number in range(200):
        resource(one, f"/3303/{number}/5700", "FLOAT", "1.5")
        samples(series(one, f"/3303/{number}/5700"), [(T0, 1.5, None)])
    # session, user, device, values, models
    with django_assert_num_queries(5):
        assert len(get(api, "/values", device="dev-1")["items"]) == 200
    # session, user, device, series, models, units
    with django_assert_num_queries(6):
        assert len(get(api, "/series", device="dev-1")["items"]) == 200


def test_one_device(api: Client) -> None:
    one = device(registered=True)
    Observation.objects.create(device=one, path="/3/0/9", state="failed", reason="4.05", changed_at=NOW)
    found = get(api, "/devices/dev-1")
    schemas.DeviceDetail.model_validate(found)
    assert found["registration"]["lifetime"] == 300
    assert found["registration"]["object_links"][1] == {"url": "/3303/0", "attributes": {"ver": "1.1"}}
    assert found["observations"] == [
        {"path": "/3/0/9", "state": "failed", "reason": "4.05", "changed_at": NOW.isoformat()}
    ]
    device("silent")
    found = get(api, "/devices/silent")
    assert found["registration"] is None
    assert found["observations"] == []


@pytest.mark.parametrize("endpoint", AWKWARD_ENDPOINTS)
def test_any_endpoint_through_every_operation(api: Client, endpoint: str) -> None:
    one = device(endpoint, registered=True)
    resource(one, "/3/0/9", "INTEGER", "61")
    samples(series(one, "/3/0/9"), [(T0, 61.0, None)])
    assert get(api, f"/devices/{quote(endpoint, safe='')}")["endpoint"] == endpoint
    assert get(api, f"/devices/{quote(endpoint)}")["endpoint"] == endpoint
    assert endpoint in [found["endpoint"] for found in get(api, "/devices", search=endpoint)["items"]]
    assert len(get(api, "/values", device=endpoint)["items"]) == 1
    (found,) = get(api, "/series", device=endpoint)["items"]
    assert found["device"] == endpoint
    assert get(api, f"/series/{found['id']}/samples")["series"]["device"] == endpoint
    assert api.get("/api/v1/live", query_params={"device": endpoint}).status_code == 200


@pytest.mark.parametrize("endpoint", ["nobody", "no\0body", "\ud7ff", "x" * 300])
def test_no_such_device(api: Client, endpoint: str) -> None:
    assert repr(endpoint) in get(api, f"/devices/{quote(endpoint)}", expect=404)["detail"]
    status = 404 if len(endpoint) <= 255 else 422
    for path in ("/values", "/series"):
        get(api, path, device=endpoint, expect=status)


# -- values


@pytest.mark.parametrize(
    ("type_", "text", "value", "number"),
    [
        ("STRING", "5", "5", None),
        ("STRING", "", "", None),
        ("INTEGER", "61", 61, 61.0),
        ("INTEGER", "-9007199254740991", -9007199254740991, -9007199254740991.0),
        ("INTEGER", "9007199254740993", "9007199254740993", 9007199254740992.0),
        ("UNSIGNED_INTEGER", "18446744073709551615", "18446744073709551615", 18446744073709551615.0),
        ("FLOAT", "21.5", 21.5, 21.5),
        ("FLOAT", "0.1", 0.1, 0.1),
        ("FLOAT", "5e-324", 5e-324, 5e-324),
        ("FLOAT", "NaN", "NaN", None),
        ("FLOAT", "-Infinity", "-Infinity", None),
        ("BOOLEAN", "true", True, 1.0),
        ("BOOLEAN", "false", False, 0.0),
        ("TIME", "1795366800000", 1795366800000, 1795366800000.0),
        ("OPAQUE", "00ff", "00ff", None),
        ("OBJLNK", "65535:65535", "65535:65535", None),
        ("CORELNK", "</3/0>;ver=1.1", "</3/0>;ver=1.1", None),
    ],
)
def test_every_type_without_loss(api: Client, type_: str, text: str, value: Any, number: float | None) -> None:
    resource(device(), "/3/0/9/1", type_, text)
    (found,) = get(api, "/values", device="dev-1")["items"]
    assert (found["type"], found["text"], found["number"]) == (type_, text, number)
    assert found["value"] == value
    assert type(found["value"]) is type(value)
    assert [found[key] for key in ("object", "instance", "resource", "resource_instance")] == [3, 0, 9, 1]


def test_values_of_one_object(api: Client) -> None:
    specs()
    one = device(registered=True)
    resource(one, "/3303/0/5700", "FLOAT", "21.5", has_device_time=True)
    resource(one, "/3303/0/5701", "STRING", "Cel")
    resource(one, "/3/0/9", "INTEGER", "61")
    found = get(api, "/values", device="dev-1", object=3303)["items"]
    schemas.Values.model_validate({"items": found})
    assert [one["path"] for one in found] == ["/3303/0/5700", "/3303/0/5701"]
    assert (found[0]["name"], found[0]["unit"], found[0]["object_name"]) == ("Sensor Value", "Cel", "Temperature 1.1")
    assert datetime.fromisoformat(found[0]["time"]) == NOW
    assert datetime.fromisoformat(found[0]["received"]) == NOW + timedelta(milliseconds=1)
    assert found[0]["has_device_time"] is True


# -- series


def test_samples_keep_what_is_no_number(api: Client) -> None:
    of = series(device())
    points = [(1.5, None), (None, "NaN"), (None, "Infinity"), (9007199254740992.0, "9007199254740993"), (None, "text")]
    for number, (worth, text) in enumerate(points):
        samples(of, [(T0 + number, worth, text)])
    found = get(api, f"/series/{of.pk}/samples")
    schemas.Samples.model_validate(found)
    assert found["points"] == [[(T0 + n) / 1000, worth, text] for n, (worth, text) in enumerate(points)]
    assert (found["aggregated"], found["truncated"], found["other"]) == (False, False, [])
    # microseconds survive the way through JSON
    assert [round(ms * 1000) for ms, _, _ in found["points"]] == [T0 + n for n in range(5)]


def test_samples_are_thinned_or_paged(api: Client) -> None:
    of = series(device())
    samples(of, [(T0 + n * 1_000_000, math.sin(n), None) for n in range(300)])
    samples(of, [(T0 + 5_000_000, None, "NaN")], seq=1)
    found = get(api, f"/series/{of.pk}/samples", max_points=100)
    schemas.Samples.model_validate(found)
    assert found["aggregated"] is True
    assert len(found["points"]) <= 100
    assert all(low <= mean <= high for _, low, high, mean in found["points"])
    assert found["other"] == [[(T0 + 5_000_000) / 1000, None, "NaN"]]
    # live pages go on from here
    assert get(api, f"/series/{of.pk}/samples", after=found["next"])["points"] == []
    Sample.objects.create(series=of, time=T0 + 400_000_000, number=7.0)
    assert get(api, f"/series/{of.pk}/samples", after=found["next"])["points"] == [[T0 / 1000 + 400_000, 7.0, None]]
    read, query = [], {"thin": "false", "max_points": 7}
    while True:
        page = get(api, f"/series/{of.pk}/samples", **query)
        assert page["aggregated"] is False
        read += page["points"]
        if not page["truncated"]:
            break
        query["after"] = page["next"]
    assert len(read) == 302
    assert read == sorted(read, key=lambda point: point[0])


def test_a_range_in_both_notations(api: Client) -> None:
    of = series(device())
    samples(of, [(T0 + n * 1_000_000, float(n), None) for n in range(10)])
    for start, end in [
        ("2026-11-22T17:00:02Z", "2026-11-22T17:00:04Z"),
        ("2026-11-22T18:00:02+01:00", "2026-11-22T18:00:04 01:00"),
        (T0 // 1000 + 2000, f"{T0 // 1000 + 4000}.0"),
    ]:
        found = get(api, f"/series/{of.pk}/samples", start=start, end=end)
        assert [number for _, number, _ in found["points"]] == [2.0, 3.0]


def test_no_such_series(api: Client) -> None:
    get(api, "/series/1/samples", expect=404)
    get(api, f"/series/{2**70}/samples", expect=404)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("1.5", 1500),
        ("-1.5", -1500),
        ("-0.001", -1),
        ("1795366800000", T0),
        ("1795366800000.123", T0 + 123),
        ("2026-11-22T17:00", T0),
        ("2026-11-22", T0 - 17 * 3600 * 10**6),
        ("2026-11-22T17:00:00.000123+00:00", T0 + 123),
        ("0001-01-01T00:00:00Z", -62135596800000000),
    ],
)
def test_moments(text: str, value: int) -> None:
    assert microseconds(text) == value


# -- server


def test_gaps(api: Client) -> None:
    server = leshan()
    ServerInterval.objects.create(
        server=server, state="down", started_at=NOW, ended_at=NOW + timedelta(minutes=1), reason="gone"
    )
    StreamGap.objects.create(
        server=server, first_sequence=3, last_sequence=4, reason="truncated", since=NOW, recorded_at=NOW
    )
    assert get(api, "/gaps", start=NOW.isoformat(), end=(NOW + timedelta(hours=1)).isoformat()) == {
        "items": [
            {
                "kind": "down",
                "server": "default",
                "start": NOW.isoformat(),
                "end": (NOW + timedelta(minutes=1)).isoformat(),
                "reason": "gone",
                "lost_events": None,
            }
        ]
    }
    lost = get(api, "/gaps", start=(NOW - timedelta(hours=1)).isoformat(), end=(NOW + timedelta(hours=1)).isoformat())
    assert {one["kind"]: one["lost_events"] for one in lost["items"]} == {"down": None, "lost": 2}
    schemas.Gaps.model_validate(lost)
    get(api, "/gaps", end="0001-01-01")
    get(api, "/gaps")


def test_server(api: Client) -> None:
    assert get(api, "/server")["problems"]
    leshan(lag_ms=1500)
    found = get(api, "/server")
    schemas.Server.model_validate(found)
    assert (found["sync_running"], found["connected"], found["behind_events"], found["lag"]) == (True, True, 0, 1.5)
    assert found["problems"] == []


# -- errors


@pytest.mark.parametrize(
    ("path", "query", "words"),
    [
        ("/devices", {"page": 0}, "page: "),
        ("/devices", {"page": "x"}, "page: "),
        ("/devices", {"page_size": 501}, "page_size: should be less than or equal to 500"),
        ("/devices", {"status": "gone"}, "status: should be 'never_seen', 'online'"),
        ("/devices", {"order": "password"}, "cannot order by 'password'"),
        ("/devices", {"serch": "x"}, "unknown parameter 'serch': this takes search"),
        ("/devices/dev-1", {"x": "y"}, "unknown parameter 'x': this takes none"),
        ("/values", {}, "device: "),
        ("/values", {"device": ""}, "device: "),
        ("/values", {"device": "dev-1", "object": -1}, "object: "),
        ("/series/1/samples", {"start": "yesterday"}, "start: use a time such as"),
        ("/series/1/samples", {"start": "9" * 17}, "start: this time is too far away"),
        ("/series/1/samples", {"start": 5, "end": 4}, "end lies before start"),
        ("/series/1/samples", {"after": "x"}, "after: 'x' is no cursor"),
        ("/series/1/samples", {"max_points": 10**9}, "max_points: "),
        ("/series/1/samples", {"thin": "perhaps"}, "thin: "),
        ("/gaps", {"start": "NaN"}, "start: "),
        ("/live", {"device": [f"d{n}" for n in range(501)]}, "more than 500 devices"),
        ("/live", {"device": ""}, "device: "),
    ],
)
def test_bad_parameters_in_plain_words(api: Client, path: str, query: dict[str, Any], words: str) -> None:
    device()
    answer = api.get(f"/api/v1{path}?{urlencode(query, doseq=True)}")
    assert answer.status_code in {400, 422}, answer.content
    assert words in answer.json()["detail"]


def test_nothing_there(api: Client) -> None:
    for path in ("/", "/nothing", "/devices/", "/docs", "/series/x/samples"):
        get(api, path, expect=404)


def test_a_method_that_is_not_there(api: Client) -> None:
    answer = api.post("/api/v1/series", {})
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET"
    assert answer.json() == {"detail": "POST is not possible here: use GET."}


def test_a_database_that_does_not_answer(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: Any) -> None:
        raise DatabaseError("locked")

    monkeypatch.setattr(operations, "pipeline_state", fail)
    assert "try again" in get(api, "/server", expect=503)["detail"]
    monkeypatch.setattr(operations, "pipeline_state", lambda: 1 / 0)
    assert "log" in get(api, "/server", expect=500)["detail"]


def test_the_description(api: Client) -> None:
    found = get(api, "/openapi.json")
    assert found["openapi"].startswith("3.")
    assert set(found["paths"]) == {
        f"/api/v1{path}"
        for path in (
            "/devices",
            "/devices/{endpoint}",
            "/values",
            "/series",
            "/series/{series_id}/samples",
            "/chart",
            "/chart/events",
            "/storage",
            "/export",
            "/gaps",
            "/server",
            "/live",
            "/commands",
            "/commands/{command_id}",
            "/batches",
            "/batches/{batch_id}",
            "/actions",
            "/observations",
            "/profiles",
            "/profiles/{profile_id}",
            "/rules",
            "/definitions",
            "/definitions/{object_id}/{version}",
            "/firmware/images",
            "/firmware/images/{image_id}",
            "/firmware/images/{image_id}/file",
            "/firmware/keys",
            "/firmware/keys/{key_id}",
            "/firmware/updates",
            "/firmware/updates/{update_id}",
            "/firmware/campaigns",
            "/firmware/campaigns/{campaign_id}",
            "/alerts",
            "/alerts/rules",
            "/alerts/rules/{rule_id}",
            "/alerts/channels",
            "/alerts/channels/{channel_id}",
            "/alerts/channels/{channel_id}/deliveries",
            "/dashboards",
            "/dashboards/{dashboard_id}",
            "/logs",
            "/logs/modules",
            "/logs/download",
        )
    }
    parameters = {one["name"]: one for one in found["paths"]["/api/v1/series/{series_id}/samples"]["get"]["parameters"]}
    assert set(parameters) == {"series_id", "start", "end", "after", "max_points", "thin"}


def test_writes_need_the_token_of_the_page() -> None:
    check = SessionWithRole(Permission.OPERATE)
    request: HttpRequest = RequestFactory(enforce_csrf_checks=True).post("/api/v1/anything")
    request.user = user("operator", Role.OPERATOR)
    with pytest.raises(HttpError, match="CSRF"):
        check(request)
    request = RequestFactory().get("/api/v1/anything")
    request.user = user("viewer")
    with pytest.raises(AuthorizationError, match="role operator or administrator"):
        check(request)
