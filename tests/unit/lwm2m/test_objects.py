import pytest

from backend.lwm2m.objects import (
    VersionError,
    object_instances,
    object_versions,
    resource_definition,
    version_nearest,
    version_parse,
)

LINKS = [
    {"url": "/", "attributes": {"rt": '"oma.lwm2m"'}},
    {"url": "/1/0", "attributes": {}},
    {"url": "/3303", "attributes": {"ver": "1.1"}},
    {"url": "/3303/0", "attributes": {}},
    {"url": "/3303/12", "attributes": {}},
    {"url": "/5", "attributes": {}},
]


@pytest.mark.parametrize(
    ("wanted", "available", "nearest"),
    [
        ("1.1", ["1.0", "1.1", "1.2"], "1.1"),
        ("1.3", ["1.0", "1.2", "2.0"], "1.2"),
        ("1.1", ["1.0", "1.2"], "1.2"),
        (None, ["1.1", "2.0"], "1.1"),
        ("3.0", ["1.0", "2.1"], "2.1"),
        ("rubbish", ["1.0", "2.0"], "1.0"),
        ("1.0", ["rubbish", "1.4"], "1.4"),
        ("1.0", [], None),
    ],
)
def test_the_nearest_version(wanted: str | None, available: list[str], nearest: str | None) -> None:
    assert version_nearest(wanted, available) == nearest


def test_versions() -> None:
    assert version_parse("1.10") == (1, 10)
    assert version_parse(None) == (1, 0)
    for text in ("1", "1.", "a.b", "1.1.1", "-1.0"):
        with pytest.raises(VersionError):
            version_parse(text)


def test_what_the_links_say() -> None:
    assert object_versions(LINKS) == {1: "1.0", 3303: "1.1", 5: "1.0"}
    assert object_instances(LINKS) == {1: [0], 5: [], 3303: [0, 12]}


def test_a_definition_as_leshan_gives_it() -> None:
    spec = {
        "id": 3303,
        "name": "Temperature",
        "resourcedefs": [
            {
                "id": 5700,
                "name": "Sensor Value",
                "operations": "R",
                "instancetype": "single",
                "mandatory": True,
                "type": "float",
                "units": "Cel",
            },
            {
                "id": 5605,
                "name": "Reset",
                "operations": "E",
                "instancetype": "single",
                "mandatory": False,
                "type": "none",
            },
        ],
    }
    value = resource_definition(spec, 5700)
    assert value is not None
    assert (value.name, value.type, value.units, value.operations, value.multiple) == (
        "Sensor Value",
        "FLOAT",
        "Cel",
        "R",
        False,
    )
    reset = resource_definition(spec, 5605)
    assert reset is not None
    assert (reset.type, reset.units) == ("", "")
    assert resource_definition(spec, 1) is None
    assert resource_definition({}, 1) is None
