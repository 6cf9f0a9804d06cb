"""Every operation of LwM2M on a real device, from the API to the device and back."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.conftest import NewStack
from tests.support.control import Control
from tests.support.stack import ROOT, Stack
from tests.support.waiting import wait_for

DEVICE = "sim-1"
TEST = "/33000/0"
DEFINITION = ROOT / "leshan" / "fleet" / "src" / "main" / "resources" / "objects" / "33000.xml"


@pytest.fixture(scope="module")
def stack(new_stack: NewStack) -> Iterator[Stack]:
    """Everything, with one device that has the test object; its definition was uploaded by a person."""
    stack = new_stack()
    stack.provision(DEVICE)
    stack.start_leshan()
    stack.start_sync()
    stack.start_web()
    control = Control(stack)
    answer = control.person.send("POST", "/definitions", {"xml": DEFINITION.read_text()})
    assert answer.status_code == 201, answer.text
    wait_for(lambda: stack.leshan("GET", "/api/models").json(), what=lambda: f"the model\n{stack.log_tails()}")
    stack.start_fleet("--test-object", "--interval", "0.5", "--report", str(stack.folder / "report"), count=1)
    stack.wait_online(DEVICE)
    return stack


@pytest.fixture(scope="module")
def control(stack: Stack) -> Control:
    """An administrator's commands."""
    return Control(stack)


def done_to(stack: Stack, path: str) -> dict[str, Any]:
    """What the device says was done to a path."""
    line = json.loads((stack.folder / "report").read_text().splitlines()[0])
    found: dict[str, Any] = line["paths"].get(path, {})
    return found


def wait_done(stack: Stack, path: str, **figures: Any) -> None:
    """Until the device says so."""
    wait_for(
        lambda: figures.items() <= done_to(stack, path).items(),
        what=lambda: f"{path}: {figures}, it is {done_to(stack, path)}",
    )


# -- read


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/3/0/0", "singleResource"), ("/3/0", "instance"), ("/3", "obj"), ("/3/0/6", "multiResource")],
)
def test_read(control: Control, path: str, kind: str) -> None:
    """An object, an instance, a resource, a resource of several instances."""
    ended = control.succeeds(DEVICE, "read", path)
    assert ended["status"] == "CONTENT(205)"
    assert ended["answer"]["content"]["kind"] == kind
    assert ended["asked_by"] == "admin"
    assert ended["duration_ms"] >= 0


def test_read_resource_instance(control: Control) -> None:
    """A resource instance by itself."""
    ended = control.succeeds(DEVICE, "read", f"{TEST}/11/1")
    assert ended["answer"]["content"]["value"] == "1"


def test_discover(control: Control) -> None:
    """The device's links."""
    links = control.succeeds(DEVICE, "discover", "/3/0")["answer"]["objectLinks"]
    assert "/3/0/13" in {link["url"] for link in links}


# -- write: each type, and the device's own new value on the page


@pytest.mark.parametrize(
    ("resource", "given", "device", "shown"),
    [
        (0, "grüße \"'<&>", "grüße \"'<&>", "grüße \"'<&>"),
        (1, -9007199254740993, -9007199254740993, "-9007199254740993"),
        (2, "18446744073709551615", 18446744073709551615, "18446744073709551615"),
        (3, -0.1, -0.1, -0.1),
        (4, False, False, False),
        (5, "00ff 10", "00ff10", "00ff10"),
        (6, "2031-02-03T04:05:06Z", 1927857906000, 1927857906000),
        (7, "3303:1", "3303:1", "3303:1"),
    ],
    ids=["string", "integer", "unsigned", "float", "boolean", "opaque", "time", "objlnk"],
)
def test_write(control: Control, stack: Stack, resource: int, given: Any, device: Any, shown: Any) -> None:
    """A value of every type arrives as it was given, and is what is shown then."""
    path = f"{TEST}/{resource}"
    control.succeeds(DEVICE, "write", path, value=given)
    wait_done(stack, path, value=device)
    control.wait_value(DEVICE, path, shown)


def test_write_multiple_instances(control: Control, stack: Stack) -> None:
    """Update adds and changes instances, replace leaves only what is written."""
    path = f"{TEST}/11"
    control.succeeds(DEVICE, "write", path, value={"0": 5, "7": 6})
    wait_done(stack, path, value={"0": 5, "7": 6})
    control.succeeds(DEVICE, "write", path, arguments={"mode": "update", "node": {"values": {"1": 9}}})
    control.wait_value(DEVICE, f"{path}/1", 9)
    assert control.value(DEVICE, f"{path}/7") == 6


def test_write_instance(control: Control) -> None:
    """Several resources of an instance in one request."""
    node = {
        "kind": "instance",
        "id": 0,
        "resources": [
            {"kind": "singleResource", "id": 1, "type": "INTEGER", "value": "41"},
            {"kind": "singleResource", "id": 0, "type": "STRING", "value": "both"},
        ],
    }
    control.succeeds(DEVICE, "write", TEST, arguments={"mode": "update", "node": node})
    control.wait_value(DEVICE, f"{TEST}/1", 41)
    control.wait_value(DEVICE, f"{TEST}/0", "both")


def test_write_that_the_model_forbids(control: Control) -> None:
    """Refused before anything is asked of the device, with a sentence."""
    for path, value, word in [
        (f"{TEST}/23", "x", "read"),
        (f"{TEST}/20", 101, "100"),
        (f"{TEST}/1", "many", "whole number"),
        ("/nonsense", 1, "path"),
    ]:
        answer = control.person.send(
            "POST", "/commands", {"device": DEVICE, "kind": "write", "path": path, "value": value}
        )
        assert answer.status_code in {400, 422}, answer.text
        assert word in answer.json()["detail"].lower(), answer.text


def test_write_composite_and_read_composite(control: Control) -> None:
    """Resources of several objects at once."""
    nodes = {
        f"{TEST}/1": {"kind": "singleResource", "id": 1, "type": "INTEGER", "value": "77"},
        "/3311/0/5851": {"kind": "singleResource", "id": 5851, "type": "INTEGER", "value": "30"},
    }
    control.succeeds(DEVICE, "write_composite", arguments={"nodes": nodes})
    ended = control.succeeds(DEVICE, "read_composite", arguments={"paths": list(nodes)})
    content = ended["answer"]["content"]
    assert content[f"{TEST}/1"]["value"] == "77"
    control.wait_value(DEVICE, "/3311/0/5851", 30)


# -- execute, create, delete


def test_execute(control: Control, stack: Stack) -> None:
    """Done once, with its arguments."""
    before = done_to(stack, f"{TEST}/30").get("executes", 0)
    control.succeeds(DEVICE, "execute", f"{TEST}/30", arguments={"arguments": "0='on',1"})
    wait_done(stack, f"{TEST}/30", executes=before + 1, arguments="0='on',1")


def test_create_and_delete(control: Control, stack: Stack) -> None:
    """An instance comes with its values and goes with them."""
    node = {
        "kind": "instance",
        "id": 5,
        "resources": [{"kind": "singleResource", "id": 0, "type": "STRING", "value": "new"}],
    }
    control.succeeds(DEVICE, "create", "/33000", arguments={"node": node})
    wait_done(stack, "/33000/5", creates=1)
    control.wait_value(DEVICE, "/33000/5/0", "new")
    control.succeeds(DEVICE, "delete", "/33000/5")
    wait_done(stack, "/33000/5", deletes=1)
    wait_for(lambda: control.value(DEVICE, "/33000/5/0") is None, what="the values of a deleted instance are gone")


# -- observe


def test_observe_and_cancel(control: Control, stack: Stack) -> None:
    """An observation brings new values, by the attributes that were set, until it is cancelled."""
    path = f"{TEST}/3"
    control.succeeds(DEVICE, "observe", path)
    wait_for(lambda: stack.observations(DEVICE).get(path) == "active", what="the observation is active")
    # by another way than ours, so that only the observation can tell
    answer = stack.leshan(
        "PUT",
        stack.client_path(DEVICE, path),
        json={"kind": "singleResource", "id": 3, "type": "FLOAT", "value": "2.5"},
    )
    assert answer.json()["success"], answer.text
    control.wait_value(DEVICE, path, 2.5)
    control.succeeds(DEVICE, "cancel_observe", path)
    wait_for(lambda: path not in stack.observations(DEVICE), what=lambda: f"gone: {stack.observations(DEVICE)}")


def test_attributes(control: Control) -> None:
    """Written, and discovered again."""
    control.succeeds(DEVICE, "write_attributes", "/3303/0/5700", arguments={"attributes": {"pmin": 1, "pmax": 60}})
    links = control.succeeds(DEVICE, "discover", "/3303/0/5700")["answer"]["objectLinks"]
    attributes = next(link["attributes"] for link in links if link["url"] == "/3303/0/5700")
    assert attributes.get("pmin") == "1", attributes
    assert attributes.get("pmax") == "60", attributes


def test_observe_composite(control: Control) -> None:
    """Several paths in one observation."""
    paths = [f"{TEST}/1", f"{TEST}/3"]
    control.succeeds(DEVICE, "observe_composite", arguments={"paths": paths})
    control.succeeds(DEVICE, "write", paths[0], value=123)
    control.wait_value(DEVICE, paths[0], 123)
    control.succeeds(DEVICE, "cancel_composite", arguments={"paths": paths})


def test_device_refuses(control: Control) -> None:
    """The device's error is a failure, in words."""
    ended = control.done(DEVICE, "execute", f"{TEST}/34")
    assert ended["state"] == "failed"
    assert ended["status"] == "BAD_REQUEST(400)"
    assert "4.00" in ended["reason"], ended["reason"]
    assert "always refuses" in ended["reason"], ended["reason"]


def test_unknown_objects_work_by_id(control: Control) -> None:
    """No model, no name: still a device's answer."""
    ended = control.done(DEVICE, "read", "/4711/0/1")
    assert ended["state"] == "failed"
    assert ended["status"] == "NOT_FOUND(404)"
