"""Is everything all right? Every number leads to the list behind it."""

import re
from datetime import datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from backend.devices.models import DeviceEvent, LeshanServer, Observation, RawEvent, Status, StreamGap
from tests.unit.api.builders import NOW, device, leshan

pytestmark = pytest.mark.django_db


def page_of(client: Client, address: str = "/") -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", answer.text)


def test_an_empty_system_teaches_the_first_steps(viewer: Client) -> None:
    page = page_of(viewer)
    assert 'data-copy="scripts/certs device my-device"' in page
    assert "zephyr/" in page
    assert "coaps://testserver:5684" in page


def test_counts_are_links_to_the_devices_they_count(viewer: Client) -> None:
    leshan()
    for number in range(1200):
        if number < 3:
            device(f"off-{number}", status=Status.OFFLINE, last_contact=NOW)
    page = page_of(viewer)
    assert re.search(r'href="/devices/\?status=offline">.*?<b data-cell="count-offline"[^>]*>3</b>', page)
    assert re.search(r'<b data-cell="count-all"[^>]*>3</b>', page)
    assert "3</b> silent devices" in page
    assert "scripts/certs" not in page


def test_what_needs_attention_leads_to_where_it_is(viewer: Client) -> None:
    server = leshan()
    now = timezone.now()
    dev = device("sick", status=Status.ONLINE)
    Observation.objects.create(device=dev, path="/6/0/0", state="failed", reason="4.04", changed_at=now)
    # a device that lacks what its profile wishes is no trouble
    Observation.objects.create(device=dev, path="/3/0/9", state="failed", reason="NOT_FOUND(404)", changed_at=now)
    DeviceEvent.objects.create(kind="refused", at=now, text="“eve”: its certificate is from another CA")
    DeviceEvent.objects.create(kind="refused", at=now - timedelta(days=2), text="long ago")
    RawEvent.objects.create(server=server, data=b"x", size=1, error="?", received_at=now)
    StreamGap.objects.create(server=server, first_sequence=5, last_sequence=9, reason="truncated", recorded_at=now)
    page = page_of(viewer)
    assert '<a href="/devices/?observations=failed"><b>1</b> failed observation</a> on 1 device' in page
    assert '<a href="/events/?kind=refused"><b>1</b> refused connection</a>' in page
    assert "from another CA" in page
    assert '<a href="/events/raw/"><b>1</b> event not understood</a>' in page
    assert "events 5 to 9" in page
    for address in ("/devices/?observations=failed", "/events/?kind=refused", "/events/raw/"):
        assert viewer.get(address).status_code == 200


def test_all_well_is_said_too(viewer: Client) -> None:
    leshan()
    device("fine", status=Status.ONLINE)
    page = page_of(viewer)
    assert "Nothing: no device is silent" in page
    assert "Running" in page
    assert "Connected" in page


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"sync_alive_at": datetime(2026, 1, 1, tzinfo=NOW.tzinfo)}, "Nothing new arrives."),
        ({"connected_since": None, "error": "connection refused: is Leshan running?"}, "Leshan is not heard."),
        ({"head_event_id": "a-b-9000"}, "Behind."),
    ],
)
def test_the_banner_is_on_every_page(viewer: Client, fields: dict[str, object], expected: str | None) -> None:
    device("d")
    leshan(**fields)
    for address in ("/", "/devices/", "/devices/d/", "/events/", "/accounts/password/change/", "/parts/pipeline/"):
        page = page_of(viewer, address)
        assert (
            '<div class="banner'
            in page.replace('<div id="lost-banner" class="banner"', "").replace(
                '<div id="signedout-banner" class="banner bad"', ""
            )
        ) == (expected is not None), address
        if expected:
            assert expected in page, address
    if "error" in fields:
        assert "is Leshan running?" in page


def test_events_by_kind_and_page_by_page(viewer: Client) -> None:
    dev = device("d")
    for number in range(130):
        DeviceEvent.objects.create(device=dev, kind="updated", at=NOW, text=f"event {number:03}")
    DeviceEvent.objects.create(kind="refused", at=NOW, text="somebody else")
    seen: list[str] = []
    address = "/events/?kind=updated"
    while address:
        page = page_of(viewer, address)
        assert "somebody else" not in page
        seen += re.findall(r"event \d{3}", page)
        older = re.search(r'<a href="(\?[^"]*)">Older</a>', page)
        address = f"/events/{older[1].replace('&amp;', '&')}" if older else ""
    assert seen == [f"event {number:03}" for number in reversed(range(130))]
    for nonsense in (
        "?kind=nonsense",
        "?before=nonsense",
        "?before=2026-01-01_5",
        "?before=2026-01-01T00:00:00%2B00:00_" + "9" * 30,
        "?before=0001-01-01T00:00:00%2B14:00_5",
        "?before=9999-12-31T23:59:59-14:00_5",
    ):
        assert viewer.get(f"/events/{nonsense}").status_code == 200


def test_the_legend_explains_every_state(viewer: Client) -> None:
    page = page_of(viewer, "/statuses/")
    for status in Status.values:
        assert f'id="device-{status}"' in page
    for state in Observation.State.values:
        assert f'id="observation-{state}"' in page
    device("d", status=Status.BLOCKED)
    assert 'href="/statuses/#device-blocked"' in page_of(viewer, "/devices/d/")


def test_the_pages_never_ask_a_server_that_is_not_there(viewer: Client) -> None:
    LeshanServer.objects.all().delete()
    assert "sync has never run" in page_of(viewer)


def test_errors_are_pages_with_a_way_on(viewer: Client, client: Client) -> None:
    answer = viewer.get("/nothing/here/")
    assert answer.status_code == 404
    assert "This address leads nowhere." in answer.text
    client.logout()
    answer = client.get("/nothing/here/")
    assert answer.status_code == 404
    assert "Devices</a></li>" not in answer.text
