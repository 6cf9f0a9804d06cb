"""Explore, dashboards and the Charts tab, without a browser: addresses, names, who may change what."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.http import QueryDict
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backend.accounts.models import Role
from backend.lwm2m.times import us_of_datetime
from backend.telemetry.buckets import HOUR
from backend.telemetry.models import Dashboard, Level, Rollup
from backend.telemetry.services.dashboards import (
    Chart,
    DashboardError,
    dashboard_add,
    dashboard_create,
    dashboard_duplicate,
    dashboard_update,
)
from backend.ui.charts.address import charts_asked, explore_query, range_asked
from backend.ui.charts.catalog import series_of_device, series_resolve, series_search
from backend.ui.charts.keys import SeriesKey, chart_number, readings
from tests.unit.api.builders import AWKWARD_ENDPOINTS, device, resource, samples, series, specs, user

pytestmark = [pytest.mark.django_db, pytest.mark.database]
PATH = "/3303/0/5700"


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(user("olga", Role.OPERATOR))
    return client


@pytest.mark.parametrize("endpoint", AWKWARD_ENDPOINTS)
@pytest.mark.parametrize("path", [PATH, "/3/0/6/0"])
def test_every_series_is_found_by_its_key(endpoint: str, path: str) -> None:
    made = series(device(endpoint), path)
    (found,) = series_resolve(keys=[str(SeriesKey(endpoint, path))])
    assert (found.id, found.device, found.path) == (made.pk, endpoint, path)


def test_an_endpoint_that_ends_like_a_path() -> None:
    plain, deep = series(device("meter"), "/3/0/6/0"), series(device("other/3"), "/0/6/0")
    found = series_resolve(keys=["meter/3/0/6/0", "other/3/0/6/0", "nothing", "no/3/0/9", "a\0/3/0/9"])
    assert [one.id for one in found] == [plain.pk, deep.pk, None, None, None]
    assert (found[3].device, found[3].path) == ("no", "/3/0/9")


@pytest.mark.parametrize("text", ["", "/3/0/9", "sim-1", "sim-1/3/0", "sim-1/3/0/x", "sim-1/99999/0/1"])
def test_what_is_no_key(text: str) -> None:
    assert readings(text) == []


def test_chart_numbers() -> None:
    numbers = {name: chart_number(name) for name in ("s", "s2", "s12", "s1", "s0", "s13", "range", "ss")}
    assert numbers == {"s": 1, "s2": 2, "s12": 12, "s1": None, "s0": None, "s13": None, "range": None, "ss": None}


def test_names_and_units_come_from_models_and_devices() -> None:
    specs()
    registered = device("dev-1", registered=True)
    resource(registered, "/3303/0/5701", "STRING", "Cel")
    series(registered)
    series(registered, "/3/0/9")
    series(registered, "/31000/0/1")
    found = series_of_device(device=registered)
    assert [(one.path, one.name, one.unit) for one in found] == [
        ("/3/0/9", "Device · Battery Level", "%"),
        (PATH, "Temperature 1.1 · Sensor Value", "°C"),
        ("/31000/0/1", "", ""),
    ]


def test_every_word_of_a_search_occurs() -> None:
    specs()
    for name in ("hall-1", "hall-2", "yard"):
        one = device(name)
        series(one)
        series(one, "/3/0/9")
    assert [one.key for one in series_search(text="HALL temp")] == [f"hall-1{PATH}", f"hall-2{PATH}"]
    assert [one.key for one in series_search(text="yard /3/0")] == ["yard/3/0/9"]
    assert [one.key for one in series_search(text="battery 1")] == ["hall-1/3/0/9"]
    assert len(series_search(text="")) == 6
    assert series_search(text="nothing") == series_search(text="a\0") == []
    assert len(series_search(text="", limit=2)) == 2
    with CaptureQueriesContext(connection) as queries:
        series_search(text="hall battery")
    assert len(queries) <= 6


def test_the_address_says_what_is_shown() -> None:
    first, second = series(device("a")), series(device("b"), "/3/0/9")
    query = QueryDict(f"s=a{PATH}&s=a{PATH}&s3=b/3/0/9&t3=Cells&s99=a{PATH}&range=15m")
    charts = charts_asked(query)
    assert [(one.number, one.title, [found.id for found in one.series]) for one in charts] == [
        (1, "", [first.pk]),
        (2, "Cells", [second.pk]),
    ]
    assert range_asked(query) == "15m"
    assert range_asked(QueryDict("range=-5")) == range_asked(QueryDict("range=0h")) == "1h"
    (empty,) = charts_asked(QueryDict(""))
    assert (empty.number, list(empty.series)) == (1, [])
    again = explore_query([("", [SeriesKey("a", PATH)]), ("Cells", [SeriesKey("b", "/3/0/9")])], range="1h")
    assert again == "s=a%2F3303%2F0%2F5700&s2=b%2F3%2F0%2F9&t2=Cells&range=1h"


def opened_with(page: str) -> str:
    (found,) = re.findall(r'id="chartbar" data-range="([^"]*)"', page)
    return str(found)


@pytest.mark.parametrize(
    ("age", "range_"),
    [
        (timedelta(minutes=10), "1h"),
        (timedelta(minutes=59), "1h"),
        (timedelta(minutes=61), "6h"),
        (timedelta(hours=7), "24h"),
        (timedelta(days=400), "24h"),
        # a clock of the future
        (timedelta(days=-4000), "1h"),
    ],
)
def test_a_page_opens_with_what_there_is(viewer: Client, age: timedelta, range_: str) -> None:
    now = us_of_datetime(timezone.now())
    young, old = series(device("young")), series(device("old"), "/3/0/9")
    samples(young, [(now - 60_000_000, 1.0, None)])
    samples(old, [(now - 30_000_000, 1.0, None), (now - age // timedelta(microseconds=1), 2.0, None)])
    series(old.device, "/3/0/13")
    for page in ("/devices/old/?tab=charts", f"/explore/?s=young{PATH}&s2=old/3/0/9"):
        assert opened_with(viewer.get(page).text) == range_
    assert opened_with(viewer.get(f"/explore/?s=young{PATH}").text) == "1h"
    # what lies before all ranges makes none longer
    gone = series(device("gone"))
    samples(gone, [(now - 25 * HOUR, 1.0, None)])
    assert opened_with(viewer.get(f"/explore/?s=young{PATH}&s=gone{PATH}").text) == "1h"
    assert opened_with(viewer.get(f"/explore/?s=gone{PATH}").text) == "24h"
    # what the address says stays: a range, a window, a moment
    for more, said in (("range=7d", "7d"), ("from=2026-01-01", "1h"), ("at=2026-01-01", "1h")):
        assert opened_with(viewer.get(f"/explore/?s=old/3/0/9&{more}").text) == said


def test_what_only_rollups_tell_any_more_counts(viewer: Client) -> None:
    made = series(device("a"))
    start = (us_of_datetime(timezone.now()) - 5 * HOUR) // HOUR * HOUR
    Rollup.objects.create(series=made, level=Level.HOUR, start=start, count=1, minimum=1.0)
    assert opened_with(viewer.get("/devices/a/?tab=charts").text) == "6h"
    assert opened_with(viewer.get("/explore/?s=b/3/0/9").text) == "1h"


def test_the_page_comes_with_its_series(viewer: Client) -> None:
    made = series(device("a<b>"))
    page = viewer.get("/explore/", {"s": f"a<b>{PATH}"}).content.decode()
    assert f'data-series="{made.pk}"' in page
    assert "a&lt;b&gt;" in page
    assert "/api/v1/live?device=a%3Cb%3E" in page
    assert "Save as dashboard" not in page
    empty = viewer.get("/explore/").content.decode()
    assert "Begin with one of these" in empty


def test_the_picker_is_answered(viewer: Client) -> None:
    for number in range(50):
        series(device(f"dev-{number:02}"))
    found = viewer.get("/parts/series/", {"q": "dev"}).json()
    assert len(found["items"]) == 40
    assert found["more"] is True
    assert found["items"][0]["key"] == f"dev-00{PATH}"
    (one,) = viewer.get("/parts/series/", {"s": "dev-07/3303/0/5700"}).json()["items"]
    assert one["device"] == "dev-07"


# -- dashboards


def chart(title: str = "Hall", *keys: tuple[str, str]) -> Chart:
    return Chart(title=title, series=keys or [("a", PATH)])


def test_a_dashboard_has_a_name_of_its_own() -> None:
    made = dashboard_create(name="  Morning   round ", charts=[chart()], range="6h", by=user("olga"))
    assert (made.name, made.range) == ("Morning round", "6h")
    assert made.charts == [{"title": "Hall", "series": [["a", PATH]]}]
    for name in ("Morning round", "", "x" * 65, "a\0b"):
        with pytest.raises(DashboardError):
            dashboard_create(name=name, charts=[], by=None)
    assert dashboard_duplicate(dashboard_id=made.pk, by=None).name == "Morning round (copy)"
    assert dashboard_duplicate(dashboard_id=made.pk, by=None).name == "Morning round (copy 2)"


@pytest.mark.parametrize(
    "charts",
    [
        [chart() for _ in range(13)],
        [Chart(title="", series=[])],
        [Chart(title="x" * 121, series=[("a", PATH)])],
        [Chart(title="", series=[("a", "/3303")])],
        [Chart(title="", series=[("", PATH)])],
        [Chart(title="\ud800", series=[("a", PATH)])],
        [Chart(title="", series=[("a\0", PATH)])],
        [Chart(title="", series=[(f"d{number}", PATH) for number in range(25)])],
    ],
)
def test_what_a_dashboard_cannot_hold(charts: list[Chart]) -> None:
    with pytest.raises(DashboardError):
        dashboard_create(name="d", charts=charts, by=None)
    with pytest.raises(DashboardError, match="range"):
        dashboard_create(name="d", charts=[], range="yesterday", by=None)
    assert not Dashboard.objects.exists()


def test_nobody_overwrites_what_they_have_not_seen() -> None:
    made = dashboard_create(name="d", charts=[chart()], by=None)
    seen = made.changed_at
    dashboard_add(dashboard_id=made.pk, charts=[chart("Yard")])
    with pytest.raises(DashboardError, match="meanwhile"):
        dashboard_update(dashboard_id=made.pk, charts=[], seen=seen)
    made.refresh_from_db()
    assert [one["title"] for one in made.charts] == ["Hall", "Yard"]


def posted(client: Client, path: str, status: int = 302, **data: Any) -> str:
    answer = client.post(path, data)
    assert answer.status_code == status, answer.content.decode()[:2000]
    return answer.headers.get("Location", answer.content.decode())


def test_saved_changed_and_deleted_by_forms(operator: Client) -> None:
    series(device("other/3"), "/0/6/0")
    charts = json.dumps(
        [{"title": "One", "series": ["a/3303/0/5700", "other/3/0/6/0"]}, {"title": "Two", "series": ["b/3/0/9"]}]
    )
    address = posted(operator, "/dashboards/new/", name="d", range="7d", charts=charts)
    made = Dashboard.objects.get()
    assert address == f"/dashboards/{made.pk}/"
    assert made.charts[0]["series"] == [["a", PATH], ["other/3", "/0/6/0"]]
    page = operator.get(address + "?edit=1").content.decode()
    assert 'value="7d" checked' in page
    assert "/explore/?s=a%2F3303%2F0%2F5700" in page
    posted(operator, f"{address}rename/", name="d", range="734s")
    assert 'value="734s" selected' in operator.get(address + "?edit=1").content.decode()
    posted(operator, f"{address}down/", chart=1)
    posted(operator, f"{address}title/", chart=1, title="2")
    posted(operator, f"{address}rename/", name="e", range="1h")
    posted(operator, f"{address}add/", charts=charts)
    made.refresh_from_db()
    assert (made.name, made.range) == ("e", "1h")
    assert [one["title"] for one in made.charts] == ["2", "One", "One", "Two"]
    posted(operator, f"{address}remove/", chart=2)
    assert "no such chart" in posted(operator, f"{address}remove/", status=400, chart=9)
    assert "already" in posted(operator, "/dashboards/new/", status=400, name="e", charts=charts)
    for wrong in (
        "",
        "{",
        "5",
        "[1]",
        '[{"title": "", "series": ["a"]}]',
        '[{"series": []}]',
        "null",
        '[{"title": "", "series": ["\\ud800/3/0/9"]}]',
    ):
        assert "no charts to save" in posted(operator, f"{address}add/", status=400, charts=wrong)
    assert operator.post(f"{address}sing/").status_code == 404
    assert posted(operator, f"{address}delete/") == "/dashboards/"
    assert operator.get(address).status_code == 404


def test_a_viewer_sees_and_does_not_change(viewer: Client) -> None:
    made = dashboard_create(name="d", charts=[chart()], by=None)
    page = viewer.get(f"/dashboards/{made.pk}/?edit=1").content.decode()
    assert "Hall" in page
    assert "Delete" not in page
    assert viewer.post(f"/dashboards/{made.pk}/delete/").status_code == 403
    assert viewer.post("/dashboards/new/", {"name": "x", "charts": "[]"}).status_code == 403


def test_the_api_reads_and_writes_them(operator: Client) -> None:
    body = {"name": "d", "range": "1h", "charts": [{"title": "Hall", "series": [{"device": "a", "path": PATH}]}]}
    made = operator.post("/api/v1/dashboards", body, content_type="application/json")
    assert made.status_code == 201
    shape = made.json()
    assert {name: shape[name] for name in body} == body
    assert shape["created_by"] == "olga"
    address = f"/api/v1/dashboards/{shape['id']}"
    assert operator.get(address).json() == shape
    again = operator.put(
        address, {**body, "name": "e", "changed_at": shape["changed_at"]}, content_type="application/json"
    )
    assert again.json()["name"] == "e"
    late = operator.put(address, {**body, "changed_at": shape["changed_at"]}, content_type="application/json")
    assert (late.status_code, "meanwhile" in late.json()["detail"]) == (400, True)
    wrong = operator.put(address, {**body, "charts": [{"series": []}]}, content_type="application/json")
    assert wrong.status_code == 400
    assert operator.get("/api/v1/dashboards").json()["items"][0]["name"] == "e"
    assert operator.delete(address).json() == {"items": []}
    assert operator.get(address).status_code == 404
    operator.force_login(user("vera"))
    assert operator.post("/api/v1/dashboards", body, content_type="application/json").status_code == 403
