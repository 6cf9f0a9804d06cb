"""Asking and changing through the API."""

import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from backend.accounts.models import Role
from backend.commands.models import Command, State
from backend.devices.models import Device, DeviceObservation, ObjectSpec, Observation, Profile
from backend.devices.services import objectspecs_drop
from tests.unit.api.builders import AWKWARD_ENDPOINTS, NOW, device, specs, user

pytestmark = [pytest.mark.django_db, pytest.mark.database]

WRITES = [
    ("post", "/commands", Role.OPERATOR),
    ("delete", "/commands/1", Role.OPERATOR),
    ("delete", "/batches/1", Role.OPERATOR),
    ("put", "/observations", Role.OPERATOR),
    ("delete", "/observations", Role.OPERATOR),
    ("patch", "/devices", Role.OPERATOR),
    ("patch", "/devices/dev-1", Role.OPERATOR),
    ("post", "/profiles", Role.ADMINISTRATOR),
    ("put", "/profiles/1", Role.ADMINISTRATOR),
    ("delete", "/profiles/1", Role.ADMINISTRATOR),
    ("put", "/rules", Role.ADMINISTRATOR),
    ("post", "/definitions", Role.ADMINISTRATOR),
    ("delete", "/definitions/3303/1.0", Role.ADMINISTRATOR),
]

DDF = """<?xml version="1.0" encoding="utf-8"?>
<LWM2M>
<Object ObjectType="MODefinition">
<Name>Pump</Name><Description1>A pump.</Description1>
<ObjectID>33999</ObjectID><ObjectURN>urn:x</ObjectURN><ObjectVersion>1.2</ObjectVersion>
<MultipleInstances>Multiple</MultipleInstances><Mandatory>Optional</Mandatory>
<Resources>
<Item ID="1"><Name>Speed</Name><Operations>RW</Operations><MultipleInstances>Single</MultipleInstances>
<Mandatory>Mandatory</Mandatory><Type>Integer</Type><RangeEnumeration>0..100</RangeEnumeration><Units>%</Units>
<Description>How fast</Description></Item>
<Item ID="2"><Name>Stop</Name><Operations>E</Operations><MultipleInstances>Single</MultipleInstances>
<Mandatory>Optional</Mandatory><Type></Type></Item>
</Resources>
</Object>
</LWM2M>
"""


class Api:
    def __init__(self, client: Client) -> None:
        self.client = client

    def __call__(self, method: str, address: str, body: Any = None, /, *, expect: int = 200, **query: Any) -> Any:
        answer = getattr(self.client, method)(
            f"/api/v1{address}",
            **({} if method == "get" else {"data": json.dumps(body), "content_type": "application/json"}),
            query_params=query,
        )
        assert answer.status_code == expect, answer.content
        found = json.loads(answer.content)
        if expect >= 400:
            assert set(found) == {"detail"}
            assert found["detail"]
            assert "\n" not in found["detail"]
        return found


@pytest.fixture
def api(client: Client) -> Api:
    client.force_login(user("ada", Role.ADMINISTRATOR))
    return Api(client)


@pytest.mark.parametrize(("method", "path", "role"), WRITES)
def test_who_may_write(method: str, path: str, role: Role) -> None:
    for other in Role:
        client = Client(enforce_csrf_checks=False)
        client.force_login(user(other.value, other))
        status = getattr(client, method)(f"/api/v1{path}", data="{}", content_type="application/json").status_code
        may = other == Role.ADMINISTRATOR or other == role
        assert (status != 403) is may, (other, status)
        # without the token: nobody
        client = Client(enforce_csrf_checks=True)
        client.force_login(user(f"{other.value}-2", other))
        answer = getattr(client, method)(f"/api/v1{path}", data="{}", content_type="application/json")
        assert answer.status_code == 403
        assert "CSRF" in answer.json()["detail"]


def test_a_write_with_a_value(api: Api) -> None:
    specs()
    ObjectSpec.objects.create(
        object_id=1,
        version="1.0",
        name="Server",
        fetched_at=NOW,
        spec={"id": 1, "resourcedefs": [{"id": 1, "name": "Lifetime", "type": "integer", "operations": "RW"}]},
    )
    device(registered=True)
    asked = api("post", "/commands", {"device": "dev-1", "kind": "write", "path": "/1/0/1", "value": 60}, expect=201)
    assert asked["batch"] is None
    command = asked["command"]
    assert command["arguments"] == {
        "mode": "replace",
        "node": {"kind": "singleResource", "id": 1, "type": "INTEGER", "value": "60"},
    }
    assert command["state"] == "queued"
    assert command["asked_by"] == "ada"
    assert command["summary"] == "Write /1/0/1: 60"
    assert api("get", f"/commands/{command['id']}") == command
    assert api("get", "/commands", device="dev-1")["items"] == [command]
    cancelled = api("delete", f"/commands/{command['id']}")
    assert cancelled["state"] == "cancelled"
    assert cancelled["cancelled_by"] == "ada"
    assert "already ended: cancelled" in api("delete", f"/commands/{command['id']}", expect=409)["detail"]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({}, 400, "say kind"),
        ({"kind": "read", "path": "/3/0"}, 400, "name the devices"),
        ({"device": "dev-1", "devices": ["dev-1"], "kind": "read", "path": "/3/0"}, 400, "use one"),
        ({"device": "nobody", "kind": "read", "path": "/3/0"}, 404, "no device 'nobody'"),
        ({"devices": ["dev-1", "x", "y"], "kind": "read", "path": "/3/0"}, 404, "no device 'x' (and 1 more"),
        ({"devices": [], "kind": "read", "path": "/3/0"}, 400, "devices is empty"),
        ({"device": "dev-1", "kind": "sing", "path": "/3/0"}, 422, "kind"),
        ({"device": "dev-1", "kind": "read", "path": "3/0"}, 400, "not an LwM2M path"),
        ({"device": "dev-1", "kind": "read"}, 400, "Read takes a path"),
        ({"device": "dev-1", "kind": "read", "path": "/3/0", "colour": 1}, 422, "colour"),
        ({"device": "dev-1", "kind": "read", "path": "/3/0", "arguments": {"x": 1}}, 400, "no argument 'x'"),
        ({"device": "dev-1", "kind": "read", "path": "/3/0/4"}, 400, "cannot be read"),
        ({"device": "dev-1", "kind": "execute", "path": "/3/0/9"}, 400, "it can only be read"),
        ({"device": "dev-1", "kind": "execute", "path": "/3/0/4", "arguments": {"arguments": "x"}}, 400, "digits"),
        ({"device": "dev-1", "kind": "write", "path": "/3/0/9", "value": 5}, 400, "can only be read"),
        ({"device": "dev-1", "kind": "write", "path": "/9/0/9", "value": 5}, 400, "say its type"),
        ({"device": "dev-1", "kind": "write", "path": "/9/0/9", "value": "x", "type": "INTEGER"}, 400, "whole number"),
        ({"device": "dev-1", "kind": "write", "path": "/9/0/9", "value": "\ud800", "type": "STRING"}, 400, "surrogate"),
        ({"device": "dev-1", "kind": "write", "path": "/9/0/9", "value": "\0", "type": "STRING"}, 400, "NUL"),
        ({"device": "dev-1", "kind": "write", "path": "/9/0/9", "value": 1, "type": "CAT"}, 400, "no type 'CAT'"),
        ({"device": "dev-1", "kind": "write", "path": "/9/0/9", "value": 1e400, "type": "FLOAT"}, 400, "no JSON"),
        ({"device": "dev-1", "kind": "read", "path": "/3/0", "value": 1}, 400, "value belongs to kind write"),
        ({"device": "dev-1", "kind": "read", "path": "/3/0", "expires_in": 0}, 422, "expires_in"),
        ({"device": "dev-1", "kind": "read", "path": "/3/0", "expires_in": 2_592_001}, 422, "expires_in"),
        ({"device": "dev-1", "kind": "read", "path": "/3/0", "content_format": "XML"}, 400, "no content format"),
        ({"device": "dev-1", "kind": "read", "path": "/3/0", "note": "a\0b"}, 422, "NUL"),
        ({"device": "dev-1", "kind": "read_composite", "arguments": {"paths": []}}, 400, "paths is empty"),
        ({"device": "dev-1", "kind": "read_composite", "arguments": {"paths": ["/3", "/3"]}}, 400, "twice"),
        ({"device": "dev-1", "kind": "create", "path": "/9/1"}, 400, "the path of an object"),
        ({"device": "dev-1", "kind": "delete", "path": "/9"}, 400, "an object instance"),
        ({"device": "dev-1", "kind": "write_attributes", "path": "/3/0/9", "arguments": {}}, 400, "attributes are"),
        (
            {"device": "dev-1", "kind": "write_attributes", "path": "/3", "arguments": {"attributes": {"gt": 1}}},
            400,
            "belongs to a resource",
        ),
        ({"device": "dev-1", "action": "dance"}, 400, "no action 'dance'"),
        ({"device": "dev-1", "action": "lifetime"}, 400, "whole number of seconds"),
        ({"device": "dev-1", "action": "reboot", "kind": "read"}, 400, "leave those out"),
        ({"filter": {"status": ["dizzy"]}, "kind": "read", "path": "/3"}, 422, "status"),
        ({"filter": {"model": "none of that"}, "kind": "read", "path": "/3"}, 400, "no device was chosen"),
        ([], 422, ""),
    ],
)
def test_bad_commands_get_a_sentence(api: Api, body: Any, status: int, says: str) -> None:
    specs()
    device(registered=True)
    assert says in api("post", "/commands", body, expect=status)["detail"]
    assert not Command.objects.exists()


def test_a_body_that_is_no_json(api: Api) -> None:
    for data in (b"{", b"", b"\xff", b"[" * 100_000):
        answer = api.client.post("/api/v1/commands", data=data, content_type="application/json")
        assert answer.status_code in {400, 422}, answer.content
        assert answer.json()["detail"]
    large = b'{"note": "' + b"x" * 3_000_000 + b'"}'
    answer = api.client.post("/api/v1/commands", data=large, content_type="application/json")
    assert answer.status_code in {413}, answer.content


def test_force_and_multi_instance_and_links(api: Api) -> None:
    specs()
    device(registered=True)

    def write(**values: Any) -> Any:
        body = {"device": "dev-1", "kind": "write", **values}
        return api("post", "/commands", body, expect=201)["command"]["arguments"]["node"]

    assert write(path="/3/0/9", value=5, force=True)["value"] == "5"
    assert write(path="/9/0/9", value={"1": "a", "0": "b"}, type="STRING")["values"] == {"0": "b", "1": "a"}
    assert write(path="/9/0/9", value="3:0", type="OBJLNK")["value"]["objectId"] == 3
    link = {"objectId": 3, "objectInstanceId": 0}
    assert write(path="/9/0/9", value=link, type="OBJLNK")["value"] == {**link, "nullLink": False}
    assert write(path="/9/0/9", value=None, type="OBJLNK")["value"]["nullLink"] is True
    assert write(path="/9/0/9/1", value="0A ff", type="OPAQUE") == {
        "kind": "resourceInstance",
        "id": 1,
        "type": "OPAQUE",
        "value": "0aff",
    }


def test_many_devices_and_progress(api: Api) -> None:
    for endpoint in AWKWARD_ENDPOINTS:
        device(endpoint, model="m1")
    asked = api(
        "post", "/commands", {"filter": {"model": "m1"}, "kind": "read", "path": "/3/0", "note": "all"}, expect=201
    )
    batch = asked["batch"]
    assert batch["progress"]["total"] == len(AWKWARD_ENDPOINTS)
    assert batch["progress"]["percent"] == 0
    page = api("get", "/commands", batch=batch["id"], limit=4)
    assert len(page["items"]) == 4
    rest = api("get", "/commands", batch=batch["id"], limit=100, before=page["next"])
    assert rest["next"] is None
    assert {one["device"] for one in page["items"] + rest["items"]} == set(AWKWARD_ENDPOINTS)
    done = Command.objects.first()
    assert done is not None
    Command.objects.filter(pk=done.pk).update(state=State.SUCCEEDED, ended_at=NOW)
    cancelled = api("delete", f"/batches/{batch['id']}")
    assert cancelled["cancelled"] == len(AWKWARD_ENDPOINTS) - 1
    assert cancelled["batch"]["progress"]["percent"] == 100
    assert api("get", "/batches")["items"][0]["progress"]["counts"]["succeeded"] == 1
    named = api("post", "/commands", {"devices": AWKWARD_ENDPOINTS[:3], "kind": "read", "path": "/3"}, expect=201)
    assert named["batch"]["progress"]["total"] == 3
    for query in ({"state": "cancelled"}, {"kind": "read"}, {"by": "ada"}, {"search": "all 3/0"}):
        assert api("get", "/commands", **query)["items"]
    api("get", "/commands", expect=404, by="nobody")
    api("get", "/commands", expect=422, state="tired")
    api("get", "/commands/99999999999999999999", expect=404)


def test_actions(api: Api) -> None:
    device()
    keys = [one["key"] for one in api("get", "/actions")["items"]]
    values = {"lifetime": 300, "mute": True}
    for key in keys:
        body = {"device": "dev-1", "action": key, **({"value": values[key]} if key in values else {})}
        command = api("post", "/commands", body, expect=201)["command"]
        assert command["note"]


def test_observations(api: Api) -> None:
    one = device(registered=True)
    Observation.objects.create(device=one, path="/3/0/9", state="active", changed_at=NOW)
    found = api("put", "/observations", {"device": "dev-1", "path": "/3303/0/5700", "attributes": {"pmin": 5}})
    assert [(item["path"], item["source"], item["state"]) for item in found["items"]] == [
        ("/3/0/9", "profile", "active"),
        ("/3303/0/5700", "device", ""),
    ]
    assert found["items"][1]["attributes"] == {"pmin": 5}
    api("put", "/observations", {"device": "dev-1", "path": "/3/0/9", "wanted": False})
    assert api("get", "/observations", device="dev-1")["items"][0]["wanted"] is False
    api("delete", "/observations", device="dev-1", path="/3/0/9")
    api("delete", "/observations", device="dev-1", path="/3/0/9", expect=404)
    api("put", "/observations", {"device": "dev-1", "path": "x"}, expect=400)
    api("put", "/observations", {"device": "dev-1", "path": "/3", "attributes": {"gt": 1}}, expect=400)
    api("put", "/observations", {"device": "dev-1", "path": "/3", "attributes": {"pmax": "x"}}, expect=400)
    assert DeviceObservation.objects.count() == 1


def test_profiles_and_rules(api: Api) -> None:
    device("lamp-1", model="Lamp")
    device("lamp-2", model="Lamp")
    device("pump-1", model="Pump")
    before = api("get", "/profiles")["items"]
    made = api(
        "post",
        "/profiles",
        {"name": "Lamps", "observations": [{"path": "/3311/*/5850", "attributes": {"pmin": 1, "pmax": 60}}]},
        expect=201,
    )
    assert made["observations"] == [{"path": "/3311/*/5850", "attributes": {"pmin": 1, "pmax": 60}}]
    for bad in (
        {"name": "Lamps"},
        {"name": ""},
        {"name": "x", "observations": [{"path": "/*/0"}]},
        {"name": "x", "observations": [{"path": "/3", "attributes": {"gt": 1}}]},
        {"name": "x", "observations": [{"path": "/3"}, {"path": "/3"}]},
        {"name": "x", "observations": [{"path": "/3/0/9", "attributes": {"pmin": 9, "pmax": 1}}]},
        {"name": "x", "awake_seconds": 0},
    ):
        assert api.client.post(
            "/api/v1/profiles", data=json.dumps(bad), content_type="application/json"
        ).status_code in {
            400,
            422,
        }, bad
    api("put", "/rules", {"items": [{"profile": "Nobody", "model": "x"}]}, expect=404)
    api("put", "/rules", {"items": [{"profile": "Lamps", "model": "**"}]}, expect=400)
    api("put", "/rules", {"items": [{"profile": "Lamps", "endpoint": "LAMP-?", "model": "l*"}]})
    assert api("get", "/devices/lamp-1")["profile"] == "Lamps"
    assert api("get", "/devices/pump-1")["profile"] != "Lamps"
    assert api("patch", "/devices/pump-1", {"profile": "Lamps"})["profile"] == "Lamps"
    assert api("patch", "/devices", {"devices": ["lamp-1", "pump-1"], "profile": None}) == {"devices": 2}
    assert api("get", "/devices/lamp-1")["profile"] is None
    assert api("patch", "/devices", {"filter": {}, "by_rules": True}) == {"devices": 3}
    assert api("get", "/devices/lamp-1")["profile"] == "Lamps"
    api("patch", "/devices/pump-1", {}, expect=400)
    api("patch", "/devices/pump-1", {"profile": "Nobody"}, expect=404)
    changed = api("put", f"/profiles/{made['id']}", {"name": "All", "is_default": True})
    assert changed["is_default"]
    assert Profile.objects.filter(is_default=True).count() == 1
    api("delete", f"/profiles/{made['id']}")
    assert len(api("get", "/profiles")["items"]) == len(before)
    assert api("get", "/rules")["items"] == []
    assert api("get", "/devices/lamp-1")["profile"] is None
    api("get", "/profiles/99999999999999999999", expect=404)


def test_definitions(api: Api) -> None:
    made = api("post", "/definitions", {"xml": DDF}, expect=201)
    assert (made["object"], made["version"], made["uploaded_by"]) == (33999, "1.2", "ada")
    device()
    body = {"device": "dev-1", "kind": "write", "path": "/33999/0/1", "value": 101}
    assert "outside 0..100" in api("post", "/commands", body, expect=400)["detail"]
    assert api("get", "/definitions/33999/1.2")["xml"] == DDF
    assert "Line 8" in api("post", "/definitions", {"xml": DDF.replace("RW", "RX")}, expect=400)["detail"]
    assert api("delete", "/definitions/33999/1.2") == {"items": []}
    api("delete", "/definitions/33999/1.2", expect=404)
    # what `sync` does when Leshan knows no other one
    objectspecs_drop(object_ids=[33999])
    api("get", "/definitions/99999999999/1.2", expect=404)
    assert "say its type" in api("post", "/commands", body, expect=400)["detail"]


def test_ten_thousand_devices_take_no_more_queries(api: Api) -> None:
    counts = []
    device()
    api("post", "/commands", {"filter": {}, "kind": "read", "path": "/3"}, expect=201)
    for number in (10, 2000):
        Device.objects.bulk_create([Device(endpoint=f"n{number}-{one}") for one in range(number)])
        with CaptureQueriesContext(connection) as queries:
            api("get", "/devices", page_size=100)
            api("get", "/commands", limit=100)
            api("get", "/batches")
            api("get", "/profiles")
            api("post", "/commands", {"filter": {}, "kind": "observe", "path": "/3/0/9"}, expect=201)
            api("patch", "/devices", {"filter": {}, "profile": Profile.objects.first().name})  # type: ignore[union-attr]
            api("patch", "/devices", {"filter": {}, "by_rules": True})
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_the_description_names_it_all(api: Api) -> None:
    described = api("get", "/openapi.json")
    for method, path, _ in WRITES:
        route = path.replace("/dev-1", "/{endpoint}").replace("/3303/1.0", "/{object_id}/{version}")
        route = {"/commands/1": "/commands/{command_id}", "/batches/1": "/batches/{batch_id}"}.get(route, route)
        route = route.replace("/profiles/1", "/profiles/{profile_id}")
        assert method in described["paths"][f"/api/v1{route}"], route


def test_a_list_leaves_huge_values_in_the_database(api: Api) -> None:
    of = device()
    huge = {"status": "CONTENT(205)", "content": {"kind": "singleResource", "type": "OPAQUE", "value": "00" * 2**20}}
    rows = [
        {"kind": "read", "path": "/5/0/0", "arguments": {}, "answer": huge, "status": "CONTENT(205)"},
        {"kind": "write", "path": "/5/0/0", "arguments": {"node": huge["content"]}, "answer": None},
        {"kind": "write_composite", "arguments": {"nodes": {"/5/0/0": huge["content"]}}, "answer": None},
        {"kind": "read", "path": "/3/0/9", "arguments": {}, "answer": {"status": "CONTENT(205)"}},
    ]
    made = [
        Command.objects.create(device=of, state=State.SUCCEEDED, asked_at=NOW, expires_at=NOW, ended_at=NOW, **row)
        for row in rows
    ]
    with CaptureQueriesContext(
        connection,
    ) as queries:
        found = api("get", "/commands", limit=10)["items"][::-1]
    assert [one["id"] for one in found] == [one.pk for one in made]
    length = len(json.dumps(huge))
    assert length - 100 < found[0]["answer"]["cut"] < length + 100
    assert found[0]["answer_summary"].startswith("Content (2.05), 2097")
    assert set(found[1]["arguments"]) == set(found[2]["arguments"]) == {"cut"}
    assert found[1]["summary"].startswith("Write /5/0/0: 2097")
    assert found[1]["answer"] is None
    assert (found[3]["arguments"], found[3]["answer"]) == ({}, {"status": "CONTENT(205)"})
    assert len(queries) <= 8
    # one command is told in full
    assert api("get", f"/commands/{made[0].pk}")["answer"] == huge
