"""What people type, and what models allow."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.lwm2m.input import (
    ValueInputError,
    enumeration,
    enumeration_closed,
    multiple_values,
    node_value,
    typed_text,
    value_range,
    value_text,
)
from backend.lwm2m.objects import ResourceDefinition


def model(type_: str, range_: str = "", description: str = "") -> ResourceDefinition:
    return ResourceDefinition(
        id=1,
        name="Thing",
        type=type_,
        units="",
        operations="RW",
        multiple=False,
        mandatory=False,
        description=description,
        range=range_,
    )


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        ("INTEGER", " 42 ", "42"),
        ("INTEGER", "-0007", "-7"),
        ("INTEGER", str(-(2**63)), str(-(2**63))),
        ("INTEGER", 5, "5"),
        ("INTEGER", 5.0, "5"),
        ("UNSIGNED_INTEGER", str(2**64 - 1), str(2**64 - 1)),
        ("FLOAT", "21.50", "21.5"),
        ("FLOAT", "1e-7", "1e-07"),
        ("FLOAT", ".5", "0.5"),
        ("FLOAT", -0.0, "-0.0"),
        ("BOOLEAN", "On", True),
        ("BOOLEAN", "0", False),
        ("BOOLEAN", True, True),
        ("STRING", "  as it is ", "  as it is "),
        ("STRING", "", ""),
        ("OPAQUE", "0x01 FF\na0", "01ffa0"),
        ("OPAQUE", "01:ff", "01ff"),
        ("OPAQUE", "", ""),
        ("TIME", "2026-11-22T17:00:00Z", 1_795_366_800_000),
        ("TIME", "2026-11-22T18:00:00.250+01:00", 1_795_366_800_250),
        ("TIME", "1795366800000", 1_795_366_800_000),
        ("TIME", 0, 0),
        ("OBJLNK", "3:0", {"objectId": 3, "objectInstanceId": 0, "nullLink": False}),
        ("OBJLNK", "/3/0", {"objectId": 3, "objectInstanceId": 0, "nullLink": False}),
        ("OBJLNK", "null", {"objectId": 65535, "objectInstanceId": 65535, "nullLink": True}),
        ("CORELNK", "</3303/0>;pmin=10", "</3303/0>;pmin=10"),
    ],
)
def test_typed(type_: str, text: Any, value: Any) -> None:
    assert node_value(type_, text) == value


@pytest.mark.parametrize(
    ("type_", "text", "says"),
    [
        ("INTEGER", "", "whole number"),
        ("INTEGER", "4.5", "whole number"),
        ("INTEGER", "٤", "whole number"),
        ("INTEGER", str(2**63), "does not fit"),
        ("INTEGER", True, "no INTEGER"),
        ("UNSIGNED_INTEGER", "-1", "does not fit"),
        ("FLOAT", "21,5", "a point, not a comma"),
        ("FLOAT", "nan", "not a number"),
        ("FLOAT", "1e999", "too large"),
        ("BOOLEAN", "maybe", "neither true nor false"),
        ("BOOLEAN", 2, "neither"),
        ("STRING", "a\0", "NUL"),
        ("STRING", "\ud800", "half a character"),
        ("STRING", 5, "no STRING"),
        ("OPAQUE", "0g", "not hex"),
        ("OPAQUE", "012", "half a byte"),
        ("TIME", "2026-11-22T17:00:00", "names no zone"),
        ("TIME", "tomorrow", "not a time"),
        ("TIME", "9" * 17, "outside the years"),
        ("OBJLNK", "3", "object link"),
        ("OBJLNK", "3:70000", "object link"),
        ("OBJLNK", {"objectId": "x"}, "object link"),
        ("CORELNK", "3303", "CoRE link"),
        ("NONE", "1", "no type"),
        ("INTEGER", [1], "no INTEGER"),
    ],
)
def test_no_value(type_: str, text: Any, says: str) -> None:
    with pytest.raises(ValueInputError, match=says):
        node_value(type_, text)


@given(st.integers(-(2**63), 2**63 - 1))
def test_integers_there_and_back(number: int) -> None:
    assert value_text("INTEGER", node_value("INTEGER", str(number))) == str(number)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_there_and_back(number: float) -> None:
    assert float(value_text("FLOAT", node_value("FLOAT", repr(number)))) == number


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_times_there_and_back(milliseconds: int) -> None:
    assert node_value("TIME", typed_text("TIME", str(milliseconds))) == milliseconds


@given(st.binary(max_size=40))
def test_bytes_there_and_back(data: bytes) -> None:
    assert value_text("OPAQUE", node_value("OPAQUE", data.hex(" "))) == data.hex()


def test_links_there_and_back() -> None:
    for text in ("3:0", "null"):
        assert value_text("OBJLNK", node_value("OBJLNK", text)) == text


@given(st.text())
def test_no_text_breaks_the_reading_of_models(text: str) -> None:
    for type_ in ("INTEGER", "FLOAT", "STRING"):
        enumeration(model(type_, text, text))
        value_range(model(type_, text))


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("0..100", (0, 100)),
        ("0.0..1.0", (0, 1)),
        ("-30..-120", (-120, -30)),
        ("0..2^32-1", (0, 2**32 - 1)),
        ("[1:4]", (1, 4)),
        ("1-64", (1, 64)),
        ("1 to 9", (1, 9)),
    ],
)
def test_ranges(text: str, bounds: tuple[int, int]) -> None:
    found = value_range(model("FLOAT", text))
    assert found is not None
    assert (found.minimum, found.maximum) == bounds
    assert found.text == text


@pytest.mark.parametrize("text", ["8 bit", "<7 to >12.5", "2 Instances", "ON;OFF", "0; 3.8..20.5"])
def test_ranges_that_only_people_understand_hold_nothing(text: str) -> None:
    found = value_range(model("INTEGER", text))
    assert found is not None
    assert found.minimum is None
    assert node_value("INTEGER", "5000", definition=model("INTEGER", text)) == "5000"


def test_ranges_are_held() -> None:
    percent = model("INTEGER", "0..100")
    assert node_value("INTEGER", "100", definition=percent) == "100"
    with pytest.raises(ValueInputError, match=r"101 is outside 0\.\.100"):
        node_value("INTEGER", "101", definition=percent)
    name = model("STRING", "1-4 bytes")
    assert node_value("STRING", "abcd", definition=name) == "abcd"
    with pytest.raises(ValueInputError, match="6 bytes"):
        node_value("STRING", "äöü", definition=name)
    with pytest.raises(ValueInputError, match="0 bytes"):
        node_value("OPAQUE", "", definition=model("OPAQUE", "16 bytes"))
    # a number of what nobody says
    assert value_range(model("STRING", "0..255")).longest is None  # type: ignore[union-attr]
    assert value_range(model("INTEGER")) is None
    assert value_range(None) is None


def test_enumerations() -> None:
    described = model("INTEGER", "0..8", "The state.\n0: Idle (before)\n1: Downloading\n2: Downloaded.\n9: nonsense")
    assert [(one.value, one.label) for one in enumeration(described)] == [
        ("0", "Idle (before)"),
        ("1", "Downloading"),
        ("2", "Downloaded"),
    ]
    assert not enumeration_closed(described)
    # a description leaves things out
    assert node_value("INTEGER", "7", definition=described) == "7"
    closed = model("INTEGER", "0: off; 1: on")
    assert [one.label for one in enumeration(closed)] == ["off", "on"]
    assert enumeration_closed(closed)
    with pytest.raises(ValueInputError, match=r"0 \(off\), 1 \(on\)"):
        node_value("INTEGER", "2", definition=closed)
    listed = model("INTEGER", "5, 10, 15")
    assert [one.value for one in enumeration(listed)] == ["5", "10", "15"]
    inline = model("INTEGER", "", "0=No error 1=Low battery 2=GPS module failure")
    assert [one.label for one in enumeration(inline)] == ["No error", "Low battery", "GPS module failure"]
    for text in ("From 08:00 to 09:30", "ratio 1:2", "1: only one", "2: b; 1: a", ""):
        assert enumeration(model("INTEGER", "", text)) == ()
    assert enumeration(model("STRING", "0: off; 1: on")) == ()
    assert enumeration(None) == ()


def test_several_values() -> None:
    assert multiple_values("INTEGER", {"10": "1", 2: "3"}) == {"2": "3", "10": "1"}
    assert multiple_values("INTEGER", {}) == {}
    for bad, says in (
        ({"x": 1}, "not the number"),
        ({"1": 1, 1: 2}, "twice"),
        ({"1": "x"}, "instance 1"),
        ({"-1": 1}, "not"),
    ):
        with pytest.raises(ValueInputError, match=says):
            multiple_values("INTEGER", bad)
