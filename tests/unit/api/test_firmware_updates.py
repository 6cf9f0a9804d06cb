"""Firmware updates and campaigns through the API."""

import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backend.accounts.models import Role
from backend.api.firmware_updates import api
from backend.devices.models import Device, Profile, Status
from backend.firmware.models import Campaign, FirmwareImage, FirmwareUpdate, Step, UpdateLine, UpdateState
from backend.firmware.services.campaigns import campaigns_step
from tests.unit.api.builders import AWKWARD_ENDPOINTS, device, user
from tests.unit.api.test_control import Api

pytestmark = [pytest.mark.django_db, pytest.mark.database]

UPDATES, CAMPAIGNS = "/firmware/updates", "/firmware/campaigns"


@pytest.fixture
def call(client: Client) -> Api:
    client.force_login(user("olga", Role.OPERATOR))
    return Api(client)


@pytest.fixture
def image() -> FirmwareImage:
    return FirmwareImage.objects.create(
        sha256="a" * 64, size=1000, file_name="app.bin", version="2.0", kind="opaque", uploaded_at=timezone.now()
    )


def devices(number: int, prefix: str = "dev", **fields: Any) -> list[Device]:
    values = {"status": Status.ONLINE, **fields}
    return Device.objects.bulk_create([Device(endpoint=f"{prefix}-{one}", **values) for one in range(number)])


def ended(updates: Any, state: UpdateState, code: str) -> None:
    updates.update(state=state, step=Step.DONE, code=code, reason="so it was", ended_at=timezone.now())


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", UPDATES),
        ("post", f"{UPDATES}/1"),
        ("delete", f"{UPDATES}/1"),
        ("post", CAMPAIGNS),
        ("post", f"{CAMPAIGNS}/1"),
        ("delete", f"{CAMPAIGNS}/1"),
    ],
)
def test_who_may_write(client: Client, method: str, path: str) -> None:
    for role in Role:
        client.force_login(user(role.value, role))
        answer = getattr(client, method)(f"/api/v1{path}", data="{}", content_type="application/json")
        assert (answer.status_code == 403) == (role == Role.VIEWER), (role, answer.content)


def test_the_description_names_them() -> None:
    paths = api.get_openapi_schema(path_prefix="")["paths"]
    assert {"get", "post"} <= paths["/firmware/updates"].keys()
    assert {"get", "post", "delete"} <= paths["/firmware/campaigns/{campaign_id}"].keys()


def test_an_update_from_asking_to_retrying(call: Api, image: FirmwareImage) -> None:
    of = device("dev-1")
    (made,) = call("post", UPDATES, {"device": "dev-1", "image": image.pk, "method": "push"}, expect=201)["items"]
    assert (made["device"], made["state"], made["step"], made["method"]) == ("dev-1", "pending", "wait", "push")
    assert (made["image"], made["version"], made["size"], made["percent"]) == (image.pk, "2.0", 1000, 0)
    assert (made["asked_by"], made["campaign"], made["phase"]) == ("olga", None, 1)
    address = f"{UPDATES}/{made['id']}"
    FirmwareUpdate.objects.filter(pk=made["id"]).update(bytes_sent=555)
    UpdateLine.objects.create(update_id=made["id"], at=timezone.now(), text="Reads what the device says of itself")
    found = call("get", address)
    assert found["percent"] == 55
    assert found["lines"][-1]["text"] == "Reads what the device says of itself"
    # one more in its place
    (second,) = call("post", UPDATES, {"devices": ["dev-1"], "image": image.pk}, expect=201)["items"]
    assert call("get", address)["code"] == "superseded"
    cancelled = call("delete", f"{UPDATES}/{second['id']}")
    assert (cancelled["state"], cancelled["code"], cancelled["cancelled_by"]) == ("cancelled", "cancelled", "olga")
    call("delete", f"{UPDATES}/{second['id']}", expect=409)
    third = call("post", f"{UPDATES}/{second['id']}", {"action": "retry"}, expect=201)
    assert (third["retry_of"], third["state"]) == (second["id"], "pending")
    assert call("get", f"{UPDATES}/{second['id']}")["retried_at"]
    call("post", f"{UPDATES}/{second['id']}", {"action": "retry"}, expect=409)
    call("post", f"{UPDATES}/{second['id']}", {"action": "explode"}, expect=422)
    assert of.firmware_updates.count() == 3


def test_updates_are_found(call: Api, image: FirmwareImage) -> None:
    for one in devices(3):
        call("post", UPDATES, {"device": one.endpoint, "image": image.pk}, expect=201)
    ended(FirmwareUpdate.objects.filter(device__endpoint="dev-0"), UpdateState.FAILED, "no-space")
    assert [one["device"] for one in call("get", UPDATES)["items"]] == ["dev-2", "dev-1", "dev-0"]
    assert [one["device"] for one in call("get", UPDATES, state="failed")["items"]] == ["dev-0"]
    assert [one["device"] for one in call("get", UPDATES, state=["pending"], device="dev-1")["items"]] == ["dev-1"]
    assert [one["device"] for one in call("get", UPDATES, code="no-space", image=image.pk)["items"]] == ["dev-0"]
    assert call("get", UPDATES, campaign=1)["items"] == []
    page = call("get", UPDATES, limit=2)
    assert len(page["items"]) == 2
    rest = call("get", UPDATES, limit=2, before=page["next"])
    assert ([one["device"] for one in rest["items"]], rest["next"]) == (["dev-0"], None)


@pytest.mark.parametrize(
    ("body", "expect", "words"),
    [
        ({}, 422, "image"),
        ({"image": 1}, 400, "name the device"),
        ({"image": 1, "device": "dev-0", "devices": ["dev-0"]}, 400, "one of the two"),
        ({"image": 10**6, "device": "dev-0"}, 404, "no image 1000000"),
        ({"image": 2**70, "device": "dev-0"}, 422, "image"),
        ({"image": 1, "device": "nobody"}, 404, "no device 'nobody'"),
        ({"image": 1, "devices": ["dev-0", "nobody"]}, 404, "no device 'nobody'"),
        ({"image": 1, "devices": []}, 400, "devices is empty"),
        ({"image": 1, "devices": ["dev-0"] * 101}, 422, "devices"),
        ({"image": 1, "device": "dev-0", "method": "pigeon"}, 422, "method"),
        ({"image": 1, "device": "dev-0", "hold_seconds": -1}, 422, "hold_seconds"),
        ({"image": 1, "device": "dev-0", "colour": "red"}, 422, "colour"),
        ({"image": 1, "device": "dev-\0"}, 422, "NUL"),
    ],
)
def test_updates_that_are_refused(
    call: Api, image: FirmwareImage, body: dict[str, Any], expect: int, words: str
) -> None:
    devices(1)
    if body.get("image") == 1:
        body = {**body, "image": image.pk}
    assert words in call("post", UPDATES, body, expect=expect)["detail"]
    assert not FirmwareUpdate.objects.exists()


def test_refused_for_one_is_refused_for_all(call: Api, image: FirmwareImage) -> None:
    FirmwareImage.objects.update(model="A")
    devices(1, "a", model="A")
    devices(1, "b", model="B")
    detail = call("post", UPDATES, {"image": image.pk, "devices": ["a-0", "b-0"]}, expect=400)["detail"]
    assert detail.startswith("b-0: The image is for the model 'A'")
    assert not FirmwareUpdate.objects.exists()


def test_a_campaign_from_asking_to_its_end(call: Api, image: FirmwareImage) -> None:
    devices(10)
    devices(2, "away", status=Status.OFFLINE)
    made = call(
        "post",
        CAMPAIGNS,
        {
            "name": "Winter",
            "image": image.pk,
            "filter": {},
            "phases": [25, 100],
            "concurrency": 2,
            "start_at": "2020-01-01T00:00:00Z",
            "window_from": "00:00",
            "window_to": "23:59:59.999999",
            "zone": "UTC",
        },
        expect=201,
    )
    assert (made["status"], made["total"], made["percent"], made["created_by"]) == ("running", 12, 0, "olga")
    assert [(one["number"], one["total"]) for one in made["phases"]] == [(1, 3), (2, 9)]
    assert (made["failures"], made["away"], made["window_from"]) == ([], 2, "00:00:00")
    address = f"{CAMPAIGNS}/{made['id']}"
    rows = FirmwareUpdate.objects.filter(campaign=made["id"])
    ended(rows.filter(pk__in=campaigns_step(at=timezone.now())), UpdateState.FAILED, "integrity")
    campaigns_step(at=timezone.now())
    stopped = call("get", address)
    assert stopped["status"] == "stopped"
    assert "2 of the 2 updates that ended failed" in stopped["waits"]
    assert [(one["code"], one["devices"]) for one in stopped["failures"]] == [("integrity", 2)]
    assert len(call("get", UPDATES, campaign=made["id"], code="integrity")["items"]) == 2
    retried = call("post", address, {"action": "retry"})
    assert (retried["counts"]["failed"], retried["counts"]["pending"], retried["total"]) == (0, 12, 12)
    assert call("post", address, {"action": "resume"})["status"] == "running"
    assert call("post", address, {"action": "pause"})["status"] == "paused"
    call("post", address, {"action": "resume"})
    call("post", address, {"action": "resume"}, expect=409)
    assert call("post", address, {"action": "advance"})["phase"] == 2
    call("post", address, {"action": "advance"}, expect=409)
    call("post", address, {"action": "explode"}, expect=422)
    over = call("delete", address)
    assert (over["status"], over["counts"]["cancelled"], over["percent"]) == ("cancelled", 12, 100)
    call("delete", address, expect=409)
    call("post", address, {"action": "retry"}, expect=409)
    assert [one["id"] for one in call("get", CAMPAIGNS, search="winter")["items"]] == [made["id"]]
    assert call("get", CAMPAIGNS, before=made["id"]) == {"items": [], "next": None}


def test_how_devices_are_chosen(call: Api, image: FirmwareImage) -> None:
    lamps = Profile.objects.create(name="Lamps")
    devices(2, "lamp", profile=lamps)
    devices(1, "none", profile=None)
    for one in AWKWARD_ENDPOINTS:
        device(one)

    def total(**which: Any) -> int:
        return int(call("post", CAMPAIGNS, {"name": "x", "image": image.pk, **which}, expect=201)["total"])

    assert total(filter={"profile": "Lamps"}) == 2
    assert total(filter={"profile": None}) == 1
    assert total(filter={"status": ["online"]}) == 3
    assert total(filter={"model": None, "search": "lamp"}) == 2
    assert total(devices=AWKWARD_ENDPOINTS) == len(AWKWARD_ENDPOINTS)
    assert total(devices=["to-come"], standing=True) == 0
    assert Campaign.objects.filter(selection={"profile": lamps.pk}).count() == 1


@pytest.mark.parametrize(
    ("change", "expect", "words"),
    [
        ({"filter": None}, 400, "name the devices"),
        ({"devices": ["dev-0"]}, 400, "name the devices"),
        ({"filter": {"colour": "red"}}, 422, "colour"),
        ({"filter": {"profile": "nobody"}}, 400, "no profile 'nobody'"),
        ({"filter": {"model": "of nobody"}}, 400, "No device was chosen"),
        ({"name": ""}, 422, "name"),
        ({"name": "   "}, 400, "name"),
        ({"image": 10**6}, 404, "no image"),
        ({"phases": [50]}, 400, "percentages"),
        ({"phases": []}, 422, "phases"),
        ({"concurrency": 0}, 422, "concurrency"),
        ({"success_threshold": 101}, 422, "success_threshold"),
        ({"start_at": "2026-11-23T02:00:00"}, 400, "time zone"),
        ({"start_at": "soon"}, 422, "start_at"),
        ({"window_from": "02:00"}, 400, "both, or neither"),
        ({"window_from": "02:00", "window_to": "25:00"}, 422, "window_to"),
        ({"zone": "Mars/Olympus"}, 400, "no time zone"),
    ],
)
def test_campaigns_that_are_refused(
    call: Api, image: FirmwareImage, change: dict[str, Any], expect: int, words: str
) -> None:
    devices(1)
    body = {"name": "x", "image": image.pk, "filter": {}, **change}
    assert words in call("post", CAMPAIGNS, body, expect=expect)["detail"]
    assert not Campaign.objects.exists()


def test_what_is_not_there(call: Api) -> None:
    for number in (1, 2**63, 10**30):
        for path in (UPDATES, CAMPAIGNS):
            call("get", f"{path}/{number}", expect=404)
            call("delete", f"{path}/{number}", expect=404)
        call("post", f"{UPDATES}/{number}", {"action": "retry"}, expect=404)
        call("post", f"{CAMPAIGNS}/{number}", {"action": "pause"}, expect=404)
    call("get", UPDATES, colour="red", expect=400)
    call("get", UPDATES, state="happy", expect=422)


def test_lists_take_the_same_queries(call: Api, image: FirmwareImage) -> None:
    counts = []
    for number in (1, 8):
        devices(number, f"m{number}")
        for one in range(number):
            body = {"name": f"c{one}", "image": image.pk, "devices": [f"m{number}-{one}"]}
            call("post", CAMPAIGNS, body, expect=201)
        with CaptureQueriesContext(connection) as queries:
            call("get", CAMPAIGNS)
            call("get", UPDATES)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_answers_are_json_with_times(call: Api, image: FirmwareImage) -> None:
    devices(1)
    made = call("post", CAMPAIGNS, {"name": "x", "image": image.pk, "filter": {}}, expect=201)
    assert made["created_at"].endswith(("Z", "+00:00"))
    assert made["seconds_left"] is None
    json.dumps(made)
