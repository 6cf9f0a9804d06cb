"""The map of devices: which positions can be drawn, why others cannot, and where a device was."""

import pytest
from django.test import Client

from backend.devices.selectors.position import degrees_of, position_list
from tests.unit.api.builders import T0, device, resource, samples, series

pytestmark = pytest.mark.django_db


def place(
    endpoint: str, latitude: str | None, longitude: str | None, *, type_: str = "FLOAT", instance: int = 0
) -> None:
    dev = device(endpoint)
    for number, text in ((0, latitude), (1, longitude)):
        if text is not None:
            resource(dev, f"/6/{instance}/{number}", type_, text)


def test_positions_as_numbers_and_as_text(viewer: Client) -> None:
    place("b", "48.137", "11.575")
    place("a", " -33.9 ", "151.2", type_="STRING")
    device("without")
    answer = viewer.get("/parts/map/").json()
    assert answer == {
        "places": [
            ["a", 0, -33.9, 151.2, "never_seen", T0 // 1000],
            ["b", 0, 48.137, 11.575, "never_seen", T0 // 1000],
        ],
        "unusable": [],
    }
    assert viewer.get("/parts/map/?device=b&device=nobody").json()["places"] == answer["places"][1:]


def test_several_instances_are_several_places() -> None:
    dev = device()
    for instance in (0, 3):
        resource(dev, f"/6/{instance}/0", "FLOAT", "1.5")
        resource(dev, f"/6/{instance}/1", "FLOAT", str(instance), time=T0 + instance)
        resource(dev, f"/6/{instance}/5", "TIME", "0")
    assert [(one.instance, one.longitude, one.time) for one in position_list()] == [(0, 0.0, T0), (3, 3.0, T0 + 3)]


@pytest.mark.parametrize(
    ("latitude", "longitude", "why"),
    [
        ("91.5", "11", "the latitude 91.5 is not between -90 and 90"),
        ("48", "-180.001", "the longitude -180.001 is not between -180 and 180"),
        ("NaN", "11", "the latitude is no number: 'NaN'"),
        ("48", "Infinity", "the longitude is no number: 'Infinity'"),
        ("48", None, "no longitude has come"),
        (None, "11", "no latitude has come"),
        ("0", "0", "0, 0 is what receivers say that have no fix"),
        ("0", "11", ""),
        ("90", "-180", ""),
    ],
)
def test_what_cannot_be_drawn_says_why(viewer: Client, latitude: str | None, longitude: str | None, why: str) -> None:
    place("dev", latitude, longitude)
    answer = viewer.get("/parts/map/").json()
    assert [one[2] for one in answer["unusable"]] == ([why] if why else [])
    assert len(answer["places"]) == (not why)


def test_text_that_is_no_coordinate() -> None:
    place("dev", "N 48° 8'", "11", type_="STRING")
    assert position_list()[0].problem == """the latitude is no number: "N 48° 8'\""""
    assert degrees_of(None, "1e3") == 1000.0
    assert degrees_of(2.0, "x") == 2.0
    assert degrees_of(None, "") is None


def test_the_way_of_a_device(viewer: Client) -> None:
    dev = device("a/b")
    latitude, longitude = series(dev, "/6/0/0"), series(dev, "/6/0/1")
    second = 1_000_000
    samples(
        latitude,
        [
            (T0, 48.0, None), (T0 + 10 * second, None, "48.5"), (T0 + 20 * second, 95.0, None),
            (T0 + 30 * second, None, "NaN"), (T0 + 40 * second, 49.0, None), (T0 + 90 * second, 50.0, None),
        ],
    )  # fmt: skip
    samples(longitude, [(T0, 11.0, None), (T0 + 11 * second, 11.5, None), (T0 + 40 * second, 12.0, None)])
    track = viewer.get("/parts/map/track/a/b/").json()["track"]
    assert track == [
        [48.0, 11.0, T0 // 1000], [48.5, 11.5, T0 // 1000 + 10_000], [49.0, 12.0, T0 // 1000 + 40_000],
    ]  # fmt: skip
    assert viewer.get("/parts/map/track/a/b/?instance=7").json() == {"track": []}
    assert viewer.get("/parts/map/track/nobody/").status_code == 404


def test_few_queries_whatever_the_number(viewer: Client, django_assert_max_num_queries: object) -> None:
    for number in range(20):
        place(f"dev-{number}", "48", "11")
    with django_assert_max_num_queries(2):  # type: ignore[operator]
        assert len(position_list()) == 20


def test_list_and_map_lead_to_each_other(viewer: Client) -> None:
    device()
    assert '<a href="/map/">Map</a>' in viewer.get("/devices/").text
    page = viewer.get("/map/").text
    assert '<a href="/devices/">List</a>' in page
    assert "land-110m" in page
