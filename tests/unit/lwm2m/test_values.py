import math
import struct
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.lwm2m.values import (
    EXACT,
    NodeError,
    Value,
    canonical_text,
    display,
    flatten,
    flatten_tolerant,
    pair,
    pair_of_text,
    parse_instance,
    python_value,
)


def resource(id_: int, type_: str, value: Any) -> dict[str, Any]:
    return {"kind": "singleResource", "id": id_, "type": type_, "value": value}


@given(st.floats())
def test_a_float_survives_bit_by_bit(value: float) -> None:
    number, text = pair("FLOAT", repr(value).replace("nan", "NaN").replace("inf", "Infinity"))
    canonical = canonical_text("FLOAT", number, text)
    back = float(canonical)
    assert (math.isnan(back) and math.isnan(value)) or struct.pack("d", back) == struct.pack("d", value)
    assert pair_of_text("FLOAT", canonical) == (number, text)


@given(st.integers(-(2**63), 2**64 - 1))
def test_an_integer_survives_beyond_what_a_double_can_hold(value: int) -> None:
    number, text = pair("UNSIGNED_INTEGER", str(value))
    assert canonical_text("UNSIGNED_INTEGER", number, text) == str(value)
    assert (text is None) == (-EXACT <= value <= EXACT)
    assert number is not None
    assert number == float(value)


@given(st.text())
def test_text_stays_as_it_is(value: str) -> None:
    assert pair("STRING", value) == (None, value)
    assert canonical_text("STRING", None, value) == value


@given(st.binary())
def test_opaque_is_lower_case_hex(value: bytes) -> None:
    number, text = pair("OPAQUE", value.hex().upper())
    assert (number, text) == (None, value.hex())
    assert python_value("OPAQUE", value.hex()) == value


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("NaN", "NaN"),
        ("Infinity", "Infinity"),
        ("-Infinity", "-Infinity"),
        ("-0.0", "-0.0"),
        ("1.0E10", "10000000000.0"),
        (21.5, "21.5"),
    ],
)
def test_floats_as_java_writes_them(raw: Any, text: str) -> None:
    assert canonical_text("FLOAT", *pair("FLOAT", raw)) == text


@pytest.mark.parametrize(
    ("type_", "raw", "text", "number"),
    [
        ("BOOLEAN", True, "true", 1.0),
        ("BOOLEAN", False, "false", 0.0),
        ("BOOLEAN", "true", "true", 1.0),
        ("TIME", 1700000000000, "1700000000000", 1.7e12),
        ("INTEGER", "-7", "-7", -7.0),
        ("INTEGER", 61.0, "61", 61.0),
        ("OBJLNK", {"objectId": 3, "objectInstanceId": 0, "nullLink": False}, "3:0", None),
        ("OBJLNK", {"objectId": 65535, "objectInstanceId": 65535, "nullLink": True}, "65535:65535", None),
        ("CORELNK", "</3/0>", "</3/0>", None),
    ],
)
def test_every_type_has_one_canonical_text(type_: str, raw: Any, text: str, number: float | None) -> None:
    got, kept = pair(type_, raw)
    assert canonical_text(type_, got, kept) == text
    assert got == number


@pytest.mark.parametrize(
    ("type_", "raw"),
    [
        ("INTEGER", "x"),
        ("INTEGER", None),
        ("INTEGER", 1.5),
        ("INTEGER", True),
        ("FLOAT", {}),
        ("FLOAT", True),
        ("BOOLEAN", "maybe"),
        ("BOOLEAN", []),
        ("OPAQUE", "xyz"),
        ("OPAQUE", 1),
        ("OBJLNK", "3"),
        ("OBJLNK", {"objectId": 70000, "objectInstanceId": 0}),
        ("STRING", 1),
        ("NONSENSE", "1"),
        ("INTEGER", "9" * 5000),
    ],
)
def test_what_a_type_does_not_allow(type_: str, raw: Any) -> None:
    with pytest.raises(NodeError):
        pair(type_, raw)


def test_every_kind_of_node_is_flattened() -> None:
    multi = {"kind": "multiResource", "id": 6, "type": "INTEGER", "values": {"0": "1", "1": "5"}}
    instance = {"kind": "instance", "id": 0, "resources": [resource(9, "INTEGER", "61"), multi]}
    expected = [
        Value("/3/0/9", "INTEGER", "61", 61.0),
        Value("/3/0/6/0", "INTEGER", "1", 1.0),
        Value("/3/0/6/1", "INTEGER", "5", 5.0),
    ]
    assert flatten("/3/0", instance) == expected
    assert flatten("/3", {"kind": "obj", "id": 3, "instances": [instance]}) == expected
    assert flatten("/", {"kind": "root", "objects": [{"kind": "obj", "id": 3, "instances": [instance]}]}) == expected
    assert flatten("/3/0/6", multi) == expected[1:]
    assert flatten("/3/0/6/1", {"kind": "resourceInstance", "id": 1, "type": "integer", "value": "5"}) == expected[2:]


def test_older_bodies_without_kind_or_type() -> None:
    assert flatten("/3/0/9", {"id": 9, "value": 61}) == [Value("/3/0/9", "INTEGER", "61", 61.0)]
    assert flatten("/3/0/9", {"id": 9, "value": True})[0].type == "BOOLEAN"
    assert flatten("/3/0/6", {"id": 6, "values": {"0": "a"}}) == [Value("/3/0/6/0", "STRING", "a", None)]


def test_one_bad_value_does_not_cost_the_others() -> None:
    node = {"kind": "instance", "id": 0, "resources": [resource(9, "INTEGER", "x"), resource(0, "STRING", "Zephyr")]}
    values, problems = flatten_tolerant("/3/0", node)
    assert values == [Value("/3/0/0", "STRING", "Zephyr", None)]
    assert len(problems) == 1
    assert "/3/0/9" in problems[0]
    with pytest.raises(NodeError):
        flatten("/3/0", node)


@pytest.mark.parametrize(
    ("path", "node"),
    [
        ("/3/0", resource(9, "INTEGER", "1")),
        ("/3/0/9", {"kind": "instance", "id": 0, "resources": []}),
        ("/3/0/9", {}),
        ("/3/0/9", []),
        ("/3/0/9", None),
        ("nonsense", resource(9, "INTEGER", "1")),
        ("/3/0", {"kind": "instance", "id": 0, "resources": [{"kind": "singleResource", "id": "x", "value": "1"}]}),
        ("/3/0", {"kind": "instance", "id": 0, "resources": {}}),
    ],
)
def test_nodes_that_make_no_sense(path: str, node: Any) -> None:
    with pytest.raises(NodeError):
        flatten(path, node)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["kind", "id", "type", "value", "values", "resources", "instances", "objects", "0"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.sampled_from(["/", "/3", "/3/0", "/3/0/9", "/3/0/6/1"]), json_values)
def test_any_json_gives_values_or_problems_but_no_crash(path: str, node: Any) -> None:
    values, problems = flatten_tolerant(path, node)
    for value in values:
        assert canonical_text(value.type, *pair_of_text(value.type, value.text)) == value.text
    assert values or problems or isinstance(node, dict)


@pytest.mark.parametrize(
    ("type_", "text", "shown"),
    [
        ("FLOAT", "21.123456789", "21.1235"),
        ("FLOAT", "NaN", "NaN"),
        ("BOOLEAN", "true", "yes"),
        ("OPAQUE", "00ff", "2 bytes"),
        ("OPAQUE", "00", "1 byte"),
        ("TIME", "0", "1970-01-01 00:00:00+00:00"),
        ("OBJLNK", "3:0", "/3/0"),
        ("OBJLNK", "65535:65535", "no link"),
        ("STRING", "x", "x"),
        ("INTEGER", "18446744073709551615", "18446744073709551615"),
    ],
)
def test_values_for_people(type_: str, text: str, shown: str) -> None:
    assert display(type_, text) == shown


def test_times_as_python_values() -> None:
    assert python_value("TIME", "1000") == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert python_value("TIME", str(10**18)) == 10**18


def test_links_point_at_instances() -> None:
    assert str(parse_instance("3303:1")) == "/3303/1"
    for text in ("65535:65535", "3", "a:b"):
        with pytest.raises(NodeError):
            parse_instance(text)
