"""Object definitions from files."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.lwm2m.ddf import MAX_SIZE, DdfError, ddf_parse
from backend.lwm2m.objects import resource_definition

GOOD = """<?xml version="1.0" encoding="utf-8"?>
<LWM2M xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<Object ObjectType="MODefinition">
<Name>Pump</Name>
<Description1><![CDATA[A <pump> & more.]]></Description1>
<ObjectID>33999</ObjectID>
<ObjectURN>urn:oma:lwm2m:x:33999:1.2</ObjectURN>
<LWM2MVersion>1.1</LWM2MVersion>
<ObjectVersion>1.2</ObjectVersion>
<MultipleInstances>Multiple</MultipleInstances>
<Mandatory>Optional</Mandatory>
<Resources>
<Item ID="5"><Name>Ab\u00fc</Name><Operations>RW</Operations><MultipleInstances>Multiple</MultipleInstances>
<Mandatory>Mandatory</Mandatory><Type>Unsigned Integer</Type><RangeEnumeration>0..9</RangeEnumeration>
<Units>V</Units><Description>How
much</Description></Item>
<Item ID="1"><Name>Stop</Name><Operations>E</Operations><MultipleInstances>Single</MultipleInstances>
<Mandatory>Optional</Mandatory><Type></Type><RangeEnumeration/><Units/><Description/></Item>
</Resources>
<Description2/>
</Object>
</LWM2M>
"""


def test_the_same_shape_as_leshan_gives() -> None:
    found = ddf_parse(GOOD.encode())
    assert (found.object_id, found.version, found.name) == (33999, "1.2", "Pump")
    assert list(found.spec) == [
        "id",
        "name",
        "instancetype",
        "mandatory",
        "urn",
        "version",
        "lwm2mversion",
        "description",
        "description2",
        "resourcedefs",
    ]
    assert found.spec["description"] == "A <pump> & more."
    assert [one["id"] for one in found.spec["resourcedefs"]] == [1, 5]
    level = resource_definition(found.spec, 5)
    assert level is not None
    assert (level.name, level.type, level.operations, level.multiple) == ("Ab\u00fc", "UNSIGNED_INTEGER", "RW", True)
    assert (level.range, level.units, level.description) == ("0..9", "V", "How\nmuch")
    stop = resource_definition(found.spec, 1)
    assert stop is not None
    assert (stop.type, stop.operations) == ("", "E")


def test_a_file_without_a_version_is_1_0() -> None:
    assert ddf_parse(GOOD.replace("<ObjectVersion>1.2</ObjectVersion>", "").encode()).version == "1.0"
    assert ddf_parse(GOOD.replace(">1.2</ObjectVersion>", "></ObjectVersion>").encode()).version == "1.0"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("<LWM2M ", "<!DOCTYPE LWM2M SYSTEM 'file:///etc/passwd'>\n<LWM2M ", "Line 2: a DOCTYPE is not taken"),
        ("<LWM2M ", "<!DOCTYPE a [<!ENTITY b 'c'>]><LWM2M ", "DOCTYPE is not taken"),
        ("Pump", "&pump;", "Line 4: this is no XML: undefined entity"),
        ("</Name>", "", "no XML: mismatched tag"),
        ("33999<", "-1<", "Line 6: ObjectID is '-1', but must be a number"),
        ("33999<", "65535<", "from 0 to 65534"),
        ("1.2<", "1.2.3<", "must be like 1.0"),
        ("1.2</ObjectVersion>", "01.2</ObjectVersion>", "must be like 1.0"),
        ("<Name>Pump</Name>", "<Name> </Name>", "Name of the object is empty"),
        ("<Name>Pump</Name>", "", "the object has no Name"),
        ("<Name>Pump</Name>", f"<Name>{'x' * 300}</Name>", "too long"),
        (">RW<", ">WR<", "Line 13: Operations of resource 5 is 'WR', but must be R or W or RW or E"),
        ("Unsigned Integer", "Number", "must be one of String"),
        ("<Type>Unsigned Integer</Type>", "", "has no Type"),
        ('ID="1"', 'ID="5"', "a second time .first in line 13"),
        ('ID="1"', "", "the ID of an Item"),
        ("<Mandatory>Mandatory</Mandatory>", "", "resource 5 has no Mandatory"),
        (">Multiple<", ">Many<", "must be Single or Multiple"),
        ("</Object>", "</Object><Object></Object>", "a second Object"),
        ("<Units>V</Units>", "<Units>V</Units><Units>V</Units>", "twice"),
    ],
)
def test_the_line_of_the_mistake(old: str, new: str, says: str) -> None:
    assert old in GOOD
    with pytest.raises(DdfError, match=says) as caught:
        ddf_parse(GOOD.replace(old, new).encode())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("xml", "says"),
    [
        (b"", "empty"),
        (b"hello", "no XML"),
        (b"<html></html>", "must be LWM2M"),
        (b"<LWM2M/>", "no Object"),
        (b"<LWM2M><Object><Name>x</Name></Object></LWM2M>", "has no ObjectID"),
        (b" " * (MAX_SIZE + 1), "at most"),
        (b'<?xml version="1.0" encoding="klingon"?><LWM2M/>', "unknown encoding"),
        (b"<LWM2M>" + b"<a>" * 100, "too deep"),
    ],
)
def test_no_definition(xml: bytes, says: str) -> None:
    with pytest.raises(DdfError, match=says):
        ddf_parse(xml)


@given(st.binary(max_size=300), st.integers(0, len(GOOD)))
def test_whatever_comes_it_is_a_sentence(rubbish: bytes, place: int) -> None:
    data = GOOD.encode()
    for xml in (rubbish, data[:place] + rubbish + data[place:], data[:place]):
        with contextlib.suppress(DdfError):
            ddf_parse(xml)
