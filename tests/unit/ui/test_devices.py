"""The list of devices: what the address says is what is shown."""

import csv
import html
import io
import re
from datetime import timedelta
from urllib.parse import quote, quote_plus

import pytest
from django.db import connection
from django.db.models.signals import post_init
from django.test import Client
from django.test.utils import CaptureQueriesContext

from backend.devices.models import Device, Observation, Status
from tests.unit.api.builders import AWKWARD_ENDPOINTS, NOW, device

pytestmark = pytest.mark.django_db


def endpoints(client: Client, query: str = "") -> list[str]:
    answer = client.get(f"/devices/{query}")
    assert answer.status_code == 200
    return re.findall(r'c-endpoint"><a href="[^"]*">([^<]*)</a>', answer.text)


def some() -> None:
    device("a", status=Status.ONLINE, model="M1", firmware_version="1.0", last_contact=NOW)
    device("b", status=Status.OFFLINE, model="M2", firmware_version="1.0", last_contact=NOW - timedelta(days=1))
    device("c", status=Status.OFFLINE, model="M1", firmware_version="2.0", serial_number="S-77")
    device("d", status=Status.NEVER_SEEN)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "abcd"),
        ("?sort=-endpoint", "dcba"),
        ("?sort=last_contact", "bacd"),  # the unknown come last …
        ("?sort=-last_contact", "abcd"),  # … in both directions
        ("?sort=nonsense", "abcd"),
        ("?status=offline", "bc"),
        ("?status=offline&status=online", "abc"),
        ("?status=nonsense", "abcd"),
        ("?model=M1", "ac"),
        ("?model=~", "d"),
        ("?model=", "abcd"),
        ("?firmware_version=1.0&status=online", "a"),
        ("?search=s-77", "c"),
        ("?search=m2", "b"),
        ("?search=%00", "abcd"),
        ("?observations=failed", "b"),
        ("?page=7", "abcd"),
        ("?page=x&per_page=1", "abcd"),
    ],
)
def test_filter_search_and_sort(viewer: Client, query: str, expected: str) -> None:
    some()
    Observation.objects.create(
        device=Device.objects.get(endpoint="b"), path="/6/0/0", state="failed", reason="4.04", changed_at=NOW
    )
    assert "".join(endpoints(viewer, query)) == expected


def test_pages_never_overlap_and_links_keep_the_state(viewer: Client) -> None:
    for number in range(60):
        device(f"d{number:02}", model="same")
    first = endpoints(viewer, "?sort=model&per_page=25")
    second = endpoints(viewer, "?sort=model&per_page=25&page=2")
    third = endpoints(viewer, "?sort=model&per_page=25&page=3")
    assert (len(first), len(second), len(third)) == (25, 25, 10)
    assert sorted(first + second + third) == [f"d{number:02}" for number in range(60)]
    page = viewer.get("/devices/?sort=model&per_page=25&page=2&search=d").text
    assert "sort=model&amp;per_page=25&amp;page=3&amp;search=d" in page
    assert "51" not in endpoints(viewer, "?per_page=100000")  # sizes that are not offered do not count
    assert len(endpoints(viewer, "?per_page=100000")) == 50


def test_an_unknown_address_parameter_is_no_error(viewer: Client) -> None:
    device("a")
    assert endpoints(viewer, "?utm=1&sort=&status=&page=-1") == ["a"]


def test_chips_count_within_the_other_filters(viewer: Client) -> None:
    some()
    text = re.sub(r"<[^>]+>", " ", viewer.get("/devices/?model=M1&status=online").text)
    assert re.search(r"All\s+2\s+Online\s+1\s+Asleep\s+0\s+Offline\s+1\s+Never seen\s+0", text)


def test_nothing_fits_and_nothing_there_are_told_apart(viewer: Client) -> None:
    assert "scripts/certs device my-device" in viewer.get("/devices/").text
    device("a")
    page = viewer.get("/devices/?search=zzz").text
    assert "No device fits." in page
    assert "scripts/certs" not in page


def test_the_number_of_queries_does_not_grow(viewer: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert viewer.get("/devices/?per_page=250&sort=-last_contact&search=d").status_code == 200
        return len(captured)

    device("d0", registered=True)
    few = queries()
    for number in range(1, 120):
        device(f"d{number}", registered=True, model=f"m{number}")
    assert queries() == few
    assert few <= 12


def test_only_the_rows_of_the_page_are_read(viewer: Client) -> None:
    Device.objects.bulk_create(Device(endpoint=f"d{number:03}") for number in range(300))
    made: list[Device] = []
    post_init.connect(lambda instance, **_: made.append(instance), sender=Device, weak=False, dispatch_uid="count")
    try:
        assert len(endpoints(viewer, "?per_page=25")) == 25
    finally:
        post_init.disconnect(sender=Device, dispatch_uid="count")
    assert len(made) == 25


def test_csv_is_what_is_shown_without_the_pages(viewer: Client) -> None:
    some()
    device("=1+1", model="+x", status=Status.OFFLINE)
    answer = viewer.get("/devices/?status=offline&sort=-endpoint&per_page=25&_export=csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert 'filename="devices.csv"' in answer.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["endpoint"] for row in rows] == ["c", "b", "'=1+1"]  # a spreadsheet computes none of it
    assert rows[2]["model"] == "'+x"
    assert rows[1] == {
        "endpoint": "b",
        "status": "offline",
        "status_since": "",
        "last_contact": "2026-11-21T17:00:00.000+00:00",
        "manufacturer": "",
        "model": "M2",
        "serial_number": "",
        "firmware_version": "1.0",
    }


def test_a_page_of_the_list_asks_for_its_own_rows_and_hears_of_its_own_devices(viewer: Client) -> None:
    one, other = device("a b"), device("c")
    page = viewer.get("/devices/?search=a").text
    assert f'data-refresh="/parts/devices/?id={one.pk}"' in page
    assert 'data-live="/api/v1/live?device=a+b"' in page
    part = viewer.get(f"/parts/devices/?id={one.pk}&id={other.pk}&id=x&id=&id=99999999999999999999").text
    assert f'data-cell="{one.pk}-status"' in part
    assert f'data-cell="{other.pk}-status"' in part


def test_many_long_names_listen_to_all(viewer: Client) -> None:
    for number in range(60):
        device(f"{number:02}" + "x" * 250)
    assert 'data-live="/api/v1/live"' in viewer.get("/devices/").text


@pytest.mark.parametrize("endpoint", [*AWKWARD_ENDPOINTS, "x" * 255, "../up", "a?b=c#d"])
def test_every_endpoint_name_has_a_page(viewer: Client, endpoint: str) -> None:
    device(endpoint)
    [address] = re.findall(r'c-endpoint"><a href="([^"]*)"', viewer.get("/devices/").text)
    page = viewer.get(html.unescape(address))
    assert page.status_code == 200
    assert f"/api/v1/live?device={quote_plus(endpoint)}" in page.text
    for part in ("head", "values", "connection"):
        assert viewer.get(f"/parts/devices/{part}/{quote(endpoint)}/").status_code == 200
