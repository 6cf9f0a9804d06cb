"""The page of one device."""

import os
import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from backend.devices.models import Device, DeviceEvent, Observation, RawEvent, Status
from backend.pki.models import Certificate, Credential
from backend.ui.selectors import raw_event_list
from backend.ui.values import values_page
from tests.unit.api.builders import NOW, T0, device, leshan, resource, series, specs

pytestmark = pytest.mark.django_db


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def cell(page: str, name: str) -> str:
    found = re.search(rf'<(\w+)[^>]* data-cell="{re.escape(name)}"[^>]*>(.*?)</\1>', page, re.DOTALL)
    assert found, name
    return text_of(found[2]).strip()


def test_values_with_names_units_and_ages(viewer: Client) -> None:
    specs()
    dev = device(registered=True)
    resource(dev, "/3/0/9", "INTEGER", "87")
    resource(dev, "/3/0/6/0", "INTEGER", "1")
    resource(dev, "/3/0/6/1", "INTEGER", "5")
    resource(dev, "/3303/0/5700", "FLOAT", "21.4375")
    resource(dev, "/3303/0/5701", "STRING", "Cel")
    resource(dev, "/3303/1/5700", "FLOAT", "NaN")
    resource(dev, "/33000/0/7", "STRING", "<b>&")
    resource(dev, "/33000/0/8", "OPAQUE", "00ff10")
    resource(dev, "/33000/0/9", "STRING", "")
    resource(dev, "/33000/0/10", "BOOLEAN", "true")
    resource(dev, "/33000/0/11", "TIME", "1795366800000")
    resource(dev, "/33000/0/12", "OBJLNK", "65535:65535")
    page = viewer.get("/devices/dev-1/").text
    assert "Battery Level" in page
    assert cell(page, "v-/3/0/9") == "87 %"
    assert cell(page, "v-/3/0/6") == "0 1 1 5"
    assert cell(page, "v-/3303/0/5700") == "21.4375 °C"
    assert cell(page, "v-/3303/1/5700") == "NaN"
    assert "Object 33000" in page
    assert "Resource 7" in page
    assert cell(page, "v-/33000/0/7") == "&lt;b&gt;&amp;"
    assert cell(page, "v-/33000/0/8") == "3 bytes 00ff10"
    assert cell(page, "v-/33000/0/9") == "(empty)"
    assert cell(page, "v-/33000/0/10") == "yes"
    assert 'datetime="2026-11-22T17:00:00.000+00:00"' in page
    assert cell(page, "v-/33000/0/12") == "no link"


def test_device_time_and_receive_time_are_told_apart(viewer: Client) -> None:
    dev = device(registered=True)
    resource(dev, "/3303/0/5700", "FLOAT", "1.0", has_device_time=True)
    resource(dev, "/3303/1/5700", "FLOAT", "1.0", has_device_time=True, time=T0)
    dev.resources.filter(path="/3303/1/5700").update(received=T0 + 3_600_000_000)
    page = viewer.get("/devices/dev-1/").text
    assert "received" not in cell(page, "t-/3303/0/5700")
    assert "received" in cell(page, "t-/3303/1/5700")


def test_a_long_text_is_shown_on_demand(viewer: Client) -> None:
    dev = device(registered=True)
    resource(dev, "/33000/0/7", "STRING", "x" * 5000)
    page = viewer.get("/devices/dev-1/").text
    assert "(5000 characters)" in page
    assert page.count("x" * 5000) == 1


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["/3/0/9", "/4/0/2", "/3303/0/5700"], "/3303/0/5700"),
        (["/3/0/9", "/3315/0/5700"], "/3315/0/5700"),
        (["/4/0/2", "/3/0/9"], "/3/0/9"),
        (["/33000/0/1"], "/33000/0/1"),
    ],
)
def test_the_chart_begins_with_the_most_telling_series(paths: list[str], expected: str, db: None) -> None:
    dev = device()
    for path in paths:
        resource(dev, path, "FLOAT", "1.0")
        series(dev, path)
    chosen = values_page(device=dev).chosen
    assert chosen
    assert chosen.path == expected
    asked = values_page(device=dev, series=paths[0]).chosen
    assert asked
    assert asked.path == paths[0]


def test_only_numbers_are_charted(viewer: Client) -> None:
    dev = device()
    for path, type_, value in (("/3/0/0", "STRING", "x"), ("/3/0/9", "INTEGER", "5"), ("/3/0/10", "INTEGER", "5")):
        resource(dev, path, type_, value)
    series(dev, "/3/0/0")
    series(dev, "/3/0/9")
    assert [choice.path for choice in values_page(device=dev).choices] == ["/3/0/9"]
    page = viewer.get("/devices/dev-1/").text
    assert page.count("data-chart=") == 1
    Device.objects.all().delete()
    resource(device("bare"), "/3/0/0", "STRING", "x")
    assert "<canvas" not in viewer.get("/devices/bare/").text


def test_a_device_without_values_says_what_comes_next(viewer: Client) -> None:
    device(status=Status.NEVER_SEEN)
    assert "has never connected" in viewer.get("/devices/dev-1/").text
    Device.objects.update(status=Status.ONLINE)
    assert "what its profile observes" in viewer.get("/devices/dev-1/").text


def test_the_header_shows_a_dash_for_what_is_not_known(viewer: Client) -> None:
    device(status=Status.NEVER_SEEN)
    page = viewer.get("/parts/devices/head/dev-1/").text
    for name in ("contact", "next", "model", "serial", "firmware", "battery", "signal"):
        assert cell(page, name) == "\N{EN DASH}", name
    dev = device("known", registered=True, model="M", manufacturer="Maker", firmware_version="1.2", last_contact=NOW)
    resource(dev, "/3/0/9", "INTEGER", "0")
    resource(dev, "/4/0/2", "INTEGER", "-71")
    page = viewer.get("/parts/devices/head/known/").text
    assert cell(page, "battery") == "0 %"
    assert cell(page, "signal") == "-71 dBm"
    assert cell(page, "model") == "M Maker"
    assert "17:05:00" in page  # next expected: update and lifetime


def test_connection_tells_how_it_is_and_what_happened(viewer: Client) -> None:
    dev = device(registered=True)
    Credential.objects.create(device=dev, mode="x509")
    Certificate.objects.create(
        kind="device", device=dev, common_name="dev-1", serial_number="0a", sha256="ab" * 32, issuer_sha256="cd" * 32,
        not_before=NOW, not_after=NOW + timedelta(days=3), pem="-",
    )  # fmt: skip
    Observation.objects.create(device=dev, path="/6/0/0", state="failed", reason="4.04 Not Found", changed_at=NOW)
    Observation.objects.create(device=dev, path="/3/0/9", state="active", changed_at=NOW)
    DeviceEvent.objects.create(
        device=dev, kind="refused", at=NOW, text="Its certificate has expired", detail={"a": "<1>"}
    )
    RawEvent.objects.create(
        server=leshan(), device=dev, event_id="j-1", name="SEND", data=b"\xff<x>", size=9000, error="no JSON",
        received_at=NOW,
    )  # fmt: skip
    page = viewer.get("/devices/dev-1/?tab=connection").text
    text = text_of(page)
    for expected in (
        "192.0.2.1:5683", "300 s", "/3303/0 v1.1", "X.509", "4.04 Not Found", "Its certificate has expired",
        "&lt;1&gt;", "SEND no JSON", "9000 bytes as received, the first 4 shown", "\\xff&lt;x&gt;", "ff 3c 78 3e",
    ):  # fmt: skip
        assert expected in text, expected


def test_a_device_without_credential_says_which_command_makes_one(viewer: Client) -> None:
    device('it\'s "new"')
    page = viewer.get('/parts/devices/connection/it\'s "new"/').text
    assert "scripts/certs device &#x27;it&#x27;&quot;&#x27;&quot;&#x27;s &quot;new&quot;&#x27;" in page


def test_queries_do_not_grow_with_values_and_events(viewer: Client) -> None:
    specs()
    dev = device(registered=True)

    def queries(address: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert viewer.get(address).status_code == 200
        return len(captured)

    def fill(first: int, last: int) -> None:
        for number in range(first, last):
            resource(dev, f"/3303/{number}/5700", "FLOAT", "1.5")
            series(dev, f"/3303/{number}/5700")
            Observation.objects.create(device=dev, path=f"/3303/{number}/5700", state="active", changed_at=NOW)
            DeviceEvent.objects.create(device=dev, kind="updated", at=NOW)

    fill(0, 1)
    before = [queries("/devices/dev-1/"), queries("/devices/dev-1/?tab=connection")]
    fill(1, 40)
    assert [queries("/devices/dev-1/"), queries("/devices/dev-1/?tab=connection")] == before
    assert max(before) <= 14


def test_an_unknown_device_is_said_by_name(viewer: Client) -> None:
    answer = viewer.get("/devices/no/such <b>/")
    assert answer.status_code == 404
    assert "There is no device with the endpoint name “no/such &lt;b&gt;”." in answer.text
    assert viewer.get("/parts/devices/values/none/").status_code == 404


def test_raw_bytes_of_any_kind_are_shown(viewer: Client) -> None:
    server = leshan()
    for number in range(3):
        RawEvent.objects.create(
            server=server, event_id=f"j-{number}", data=os.urandom(20_000), size=20_000, error="?", received_at=NOW
        )
    # of megabytes, only the part that is shown is read
    assert [len(bytes(raw.head)) for raw in raw_event_list()] == [4096] * 3  # type: ignore[attr-defined]
    page = viewer.get("/events/raw/")
    assert page.status_code == 200
    assert "the first 4096 shown" in page.text
