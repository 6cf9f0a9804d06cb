"""Nodes that are to be written, attributes, arguments."""

from typing import Any

import pytest

from backend.lwm2m.attributes import AttributeInputError, attribute_text, attributes_check, execute_arguments
from backend.lwm2m.input import ValueInputError
from backend.lwm2m.nodes import node_checked
from backend.lwm2m.objects import ResourceDefinition, resource_definition

SPEC = {
    "id": 1,
    "resourcedefs": [
        {"id": 1, "name": "Lifetime", "type": "integer", "operations": "RW", "instancetype": "single"},
        {"id": 2, "name": "Links", "type": "corelink", "operations": "RW", "instancetype": "multiple"},
        {"id": 3, "name": "Level", "type": "float", "operations": "R", "instancetype": "single", "range": "0..1"},
        {"id": 8, "name": "Update", "type": "none", "operations": "E", "instancetype": "single"},
    ],
}


def known(object_id: int, resource_id: int) -> ResourceDefinition | None:
    return resource_definition(SPEC, resource_id) if object_id == 1 else None


@pytest.mark.parametrize(
    ("path", "node", "made"),
    [
        ("/1/0/1", {"value": 300}, {"kind": "singleResource", "id": 1, "type": "INTEGER", "value": "300"}),
        (
            "/1/0/1",
            {"kind": "singleResource", "id": 1, "type": "integer", "value": "300"},
            {"kind": "singleResource", "id": 1, "type": "INTEGER", "value": "300"},
        ),
        (
            "/1/0/2",
            {"values": {"0": "</3>"}},
            {"kind": "multiResource", "id": 2, "type": "CORELINK", "values": {"0": "</3>"}},
        ),
        ("/1/0/2/4", {"value": "</3>"}, {"kind": "resourceInstance", "id": 4, "type": "CORELINK", "value": "</3>"}),
        (
            "/9/0/1",
            {"type": "boolean", "value": "on"},
            {"kind": "singleResource", "id": 1, "type": "BOOLEAN", "value": True},
        ),
        (
            "/1/0",
            {"resources": [{"id": 1, "value": 5}]},
            {
                "kind": "instance",
                "id": 0,
                "resources": [{"kind": "singleResource", "id": 1, "type": "INTEGER", "value": "5"}],
            },
        ),
    ],
)
def test_complete(path: str, node: Any, made: Any) -> None:
    assert node_checked(path, node, definitions=known) == made


def test_created_instances_may_leave_their_number_out() -> None:
    made = node_checked("/1", {"resources": [{"id": 3, "value": 1}]}, definitions=known, creating=True)
    assert "id" not in made
    assert made["resources"][0]["value"] == "1.0"


@pytest.mark.parametrize(
    ("path", "node", "says"),
    [
        ("/1/0/1", 5, "a node is an object"),
        ("/1/0/1", {}, "give its value"),
        ("/1/0/1", {"id": 7, "value": 1}, "number 7"),
        ("/1/0/1", {"type": "STRING", "value": "x"}, "INTEGER by its object model"),
        ("/1/0/1", {"values": {"0": 1}}, "one value"),
        ("/1/0/1/0", {"value": 1}, "leave the last number"),
        ("/1/0/2", {"value": "</3>"}, "several values"),
        ("/1/0/2/1", {"values": {}}, "value, not values"),
        ("/1/0/3", {"value": 1}, "can only be read"),
        ("/1/0/8", {"value": 1}, "can only be executed"),
        ("/9/0/1", {"value": 1}, "say its type"),
        ("/9/0/1", {"value": 1, "type": "CAT"}, "no type 'CAT'"),
        ("/1/0", {"resources": {}}, "an array"),
        ("/1/0", {"resources": [{"value": 1}]}, "without id"),
        ("/1/0", {"resources": [{"id": 1, "value": 1}, {"id": "1", "value": 1}]}, "given twice"),
        ("/1/0", {"id": 4, "resources": []}, "instance 4"),
        ("/1/0", {"resources": [{"id": 70000, "value": 1}]}, "no number of a resource"),
        ("1/0", {"value": 1}, "not an LwM2M path"),
    ],
)
def test_refused(path: str, node: Any, says: str) -> None:
    with pytest.raises(ValueInputError, match=says):
        node_checked(path, node, definitions=known)


def test_force() -> None:
    assert node_checked("/1/0/3", {"value": 7}, definitions=known, force=True)["value"] == "7.0"
    assert node_checked("/1/0/1", {"value": "x", "type": "STRING"}, definitions=known, force=True)["type"] == "STRING"


def test_attributes() -> None:
    assert attributes_check({"st": "0.5", "pmin": 1.0, "pmax": "60"}, path="/3303/0/5700") == {
        "pmin": 1,
        "pmax": 60,
        "st": 0.5,
    }
    assert attributes_check({"gt": None}, path="/3/0", unset=True) == {"gt": None}
    assert attribute_text(1e-7) == "0.0000001"
    assert attribute_text(60) == "60"


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ([], "an object"),
        ({"pmax": -1}, "whole number of seconds"),
        ({"pmin": 1.5}, "whole number of seconds"),
        ({"pmin": 9, "pmax": 1}, "swap"),
        ({"gt": "x"}, "not a number"),
        ({"gt": float("nan")}, "takes a number"),
        ({"gt": True}, "takes a number"),
        ({"st": 0}, "more than 0"),
        ({"lt": 5, "gt": 6, "st": 1}, "twice st"),
        ({"speed": 1}, "no attribute 'speed'"),
        ({"pmin": None}, "leave it out"),
    ],
)
def test_attributes_refused(attributes: Any, says: str) -> None:
    with pytest.raises(AttributeInputError, match=says):
        attributes_check(attributes, path="/3303/*/5700")


def test_thresholds_belong_to_numbers() -> None:
    with pytest.raises(AttributeInputError, match="belongs to a resource"):
        attributes_check({"gt": 1}, path="/3303/*")
    with pytest.raises(AttributeInputError, match="belongs to a number"):
        attributes_check({"gt": 1}, path="/1/0/2", definition=known(1, 2))


@pytest.mark.parametrize("text", ["", "0", "0,1,2", "0='a',1", "3='http://x/?y=1'", "9=''"])
def test_arguments(text: str) -> None:
    assert execute_arguments(f" {text} ") == text


@pytest.mark.parametrize("text", ["10", "0=a", "0='a", "0='a b'", "0,0", "0;1", ",", "0,", "x", "0='a''b'"])
def test_no_arguments(text: str) -> None:
    with pytest.raises(AttributeInputError):
        execute_arguments(text)
