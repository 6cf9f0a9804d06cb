"""The firmware pages: what they show, what they ask for, what they say when something is wrong."""

import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backend.accounts.models import Role
from backend.devices.models import Device
from backend.firmware.models import Campaign, FirmwareImage, FirmwareUpdate, SigningKey, UpdateState
from backend.ui.firmware.bars import bar_of
from backend.ui.firmware.updates import update_view
from backend.ui.firmware.words import coded, size_text, span_text
from tests.unit.api.builders import device, resource, user

pytestmark = pytest.mark.django_db

HTMX = {"HTTP_HX_REQUEST": "true"}
DATA = b"\x01\x02\x03\x04" * 700
FORM = {
    "name": "Spring",
    "choose": "filter",
    "search": "dev",
    "phases": "10, 100",
    "concurrency": "5",
    "success_threshold": "90",
    "error_threshold": "10",
    "hold_seconds": "60",
    "zone": "Europe/Vienna",
    "method": "auto",
}


@pytest.fixture(autouse=True)
def images_folder(tmp_path: Path, settings: Any) -> None:
    """A folder of images for each test."""
    settings.IMAGES_DIR = tmp_path / "images"


@pytest.fixture
def operator(client: Client) -> Client:
    """A browser in which an operator is signed in."""
    client.force_login(user("olga", Role.OPERATOR))
    return client


def image(version: str = "1.4.0", **fields: Any) -> FirmwareImage:
    values = {
        "sha256": hashlib.sha256(version.encode()).hexdigest(),
        "size": 1_048_576,
        "file_name": f"app-{version}.bin",
        "kind": "opaque",
        "version": version,
        "uploaded_at": timezone.now(),
    }
    return FirmwareImage.objects.create(**{**values, **fields})


def update(of: Device, **fields: Any) -> FirmwareUpdate:
    now = timezone.now()
    values = {"device": of, "asked_at": now, "step_since": now, "give_up_at": now + timedelta(days=30)}
    if fields.get("state") in {"succeeded", "failed", "cancelled"}:
        values |= {"step": "done", "ended_at": now, "reason": "It did.", "code": "succeeded"}
    return FirmwareUpdate.objects.create(**{**values, **fields})


def capable(endpoint: str = "dev-1") -> Device:
    """A registered device with a firmware object."""
    made = device(endpoint, registered=True, model="AM-1")
    made.registration.object_links = [*made.registration.object_links, {"url": "/5/0", "attributes": {}}]
    made.registration.save()
    return made


# -- words


def test_sizes_and_times_in_words() -> None:
    assert [size_text(one) for one in (0, 1023, 1024, 1_048_575, 1_048_576, 64 * 1_048_576, 5 * 2**30)] == [
        "0 B", "1023 B", "1.0 KiB", "1.0 MiB", "1.0 MiB", "64.0 MiB", "5.0 GiB",
    ]  # fmt: skip
    assert [span_text(one) for one in (0.2, 59, 89, 91, 3600, 3 * 3600 + 1200, 26 * 3600)] == [
        "1 s", "59 s", "89 s", "2 min", "60 min", "3 h 20 min", "1 day",
    ]  # fmt: skip
    assert coded({2: "Downloaded"}, 2) == "2 · Downloaded"
    assert coded({}, 77) == "77 · not in the standard"
    assert coded({}, None) == ""


def test_a_bar_is_whole() -> None:
    bar = bar_of({UpdateState.PENDING: 1, UpdateState.SUCCEEDED: 2, UpdateState.FAILED: 0})
    assert [(one.info.key, one.start, one.width) for one in bar.pieces] == [
        ("succeeded", "0.000%", "66.667%"),
        ("pending", "66.667%", "33.333%"),
    ]
    assert bar.words == "2 succeeded, 1 pending"
    assert bar_of({}).words == "no devices"


def test_a_transfer_tells_bytes_speed_and_the_rest() -> None:
    now = timezone.now()
    row = update(
        device(), image=image(), state="downloading", step="deliver", bytes_sent=262_144,
        transfer_at=now - timedelta(seconds=20), progress_at=now,
    )  # fmt: skip
    view = update_view(row, now)
    assert view.transfer is not None
    assert view.transfer.percent == 25
    assert view.text == "Sending: 256 KiB of 1.0 MiB · 12.8 KiB/s · about 60 s left"
    assert [one.mark for one in view.stages] == ["done", "now", "ahead", "ahead", "ahead"]
    assert view.cancellable


# -- images


def test_an_upload_is_stored_and_shown(operator: Client) -> None:
    said = operator.post(
        "/firmware/images/upload/",
        {"file": SimpleUploadedFile("app.bin", DATA), "version": "7.1", "model": "AM-*", "note": "<b>new</b>"},
    )
    stored = FirmwareImage.objects.get()
    assert said.headers["Location"] == f"/firmware/images/{stored.pk}/?new=1"
    assert (stored.version, stored.model, stored.size) == ("7.1", "AM-*", len(DATA))
    page = operator.get(said.headers["Location"]).text
    assert "The image was stored" in page
    assert hashlib.sha256(DATA).hexdigest() in page
    again = operator.post("/firmware/images/upload/", {"file": SimpleUploadedFile("app.bin", DATA)})
    assert again.headers["Location"].endswith("?known=1")
    assert "&lt;b&gt;new" in operator.get("/firmware/images/?search=7.1").text
    assert "No image fits" in operator.get("/firmware/images/?search=zzz").text


@pytest.mark.parametrize(
    ("name", "data", "status", "text"),
    [
        ("app.bin", b"", 400, "empty"),
        ("app.bin", b"\x00" * 1_100_000, 413, "larger than 1 MiB"),
        ("app.bin", b"\x3d\xb8\xf3\x96" + b"\x00" * 40, 400, ""),
    ],
)
def test_a_wrong_upload_is_told_and_leaves_nothing(
    operator: Client, settings: Any, name: str, data: bytes, status: int, text: str
) -> None:
    settings.FIRMWARE_LIMIT_MIB = 1
    said = operator.post("/firmware/images/upload/", {"file": SimpleUploadedFile(name, data), "note": "kept"})
    assert said.status_code == status
    assert text in said.text
    assert "data-problem" in said.text
    if status != 413:
        # what was typed is still there
        assert 'value="kept"' in said.text
    assert not FirmwareImage.objects.exists()
    assert [one.name for one in Path(settings.IMAGES_DIR).glob("*")] in ([], [".lock"])


def test_uploads_need_the_form_s_token_and_the_role(settings: Any) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(user("olga", Role.OPERATOR))
    assert strict.post("/firmware/images/upload/", {"file": SimpleUploadedFile("a.bin", DATA)}).status_code == 403
    strict.force_login(user("vera"))
    assert strict.post("/firmware/images/upload/", {"file": SimpleUploadedFile("a.bin", DATA)}).status_code == 403
    assert not FirmwareImage.objects.exists()
    assert not list(Path(settings.IMAGES_DIR).glob("[!.]*"))


def test_what_people_say_of_an_image_changes(operator: Client) -> None:
    one = image()
    said = operator.post(f"/firmware/images/{one.pk}/save/", {"version": "1.4.1", "manufacturer": "ACME", "note": "x"})
    assert said.status_code == 302
    one.refresh_from_db()
    assert (one.version, one.manufacturer, one.note) == ("1.4.1", "ACME", "x")
    assert operator.post(f"/firmware/images/{one.pk}/save/", {"note": "x" * 201}).status_code == 400
    update(device(), image=one)
    refused = operator.post(f"/firmware/images/{one.pk}/delete/").text
    assert "cancel first" in refused
    FirmwareUpdate.objects.all().delete()
    assert operator.post(f"/firmware/images/{one.pk}/delete/").headers["Location"] == "/firmware/images/"
    assert operator.get(f"/firmware/images/{one.pk}/").status_code == 404


def test_a_private_key_is_refused_and_not_sent_back(administrator: Client) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    said = administrator.post("/firmware/keys/", {"name": "mine", "pem": pem})
    assert said.status_code == 400
    assert "PRIVATE key" in said.text
    assert pem.splitlines()[1] not in said.text
    assert 'value="mine"' in said.text
    assert not SigningKey.objects.exists()


def test_keys_are_for_administrators(operator: Client) -> None:
    assert operator.get("/firmware/keys/").status_code == 403
    assert "/firmware/keys/" not in operator.get("/firmware/").text


# -- campaigns


def test_a_campaign_is_asked_for_confirmed_and_made(operator: Client) -> None:
    one = image(model="AM-*")
    for number in range(10):
        capable(f"dev-{number}")
    device("dev-other", model="BX")
    form = {**FORM, "image": str(one.pk), "window_from": "22:00", "window_to": "04:00", "start_at": "2026-12-01T20:30"}
    preview = operator.post("/parts/firmware/campaigns/preview/", form).text
    assert '<span class="big-number num">10</span>' in preview
    assert "1, then 9" in preview
    assert "dev-other" in preview
    asked = operator.post("/firmware/campaigns/new/", form)
    assert "Update 10 devices to 1.4.0?" in asked.text
    assert "22:00 and 04:00 (Europe/Vienna)" in asked.text
    assert not Campaign.objects.exists()
    back = operator.post("/firmware/campaigns/new/", {**form, "change": "1"}).text
    assert 'value="Spring"' in back
    made = operator.post("/firmware/campaigns/new/", {**form, "confirmed": "1"})
    campaign = Campaign.objects.get()
    assert made.headers["Location"] == f"/firmware/campaigns/{campaign.pk}/"
    assert campaign.updates.count() == 10
    # the form's time is of the form's zone
    assert campaign.start_at is not None
    assert campaign.start_at.isoformat() == "2026-12-01T19:30:00+00:00"
    page = operator.get(made.headers["Location"]).text
    assert "Scheduled" in page
    assert "1 device left out" in page


def test_a_campaign_of_named_devices(operator: Client) -> None:
    one = image()
    capable("a")
    capable("b")
    form = {**FORM, "image": str(one.pk), "choose": "endpoints", "endpoints": "a\nb\n a \n\nzz", "name": ""}
    assert "1 of the names are of no device" in operator.post("/parts/firmware/campaigns/preview/", form).text
    # as the list of devices hands them over
    ids = Device.objects.values_list("pk", flat=True)
    page = operator.get("/firmware/campaigns/new/", {"id": list(ids), "image": one.pk}).text
    assert "a\nb</textarea>" in page
    form["endpoints"] = "a\nb"
    operator.post("/firmware/campaigns/new/", {**form, "confirmed": "1"})
    campaign = Campaign.objects.get()
    assert campaign.name.startswith("1.4.0, 20")
    assert campaign.selection["endpoints"] == ["a", "b"]


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"image": ""}, "Choose the image"),
        ({"phases": "10, 50"}, "the last is 100"),
        ({"phases": "ten"}, "Whole percentages"),
        ({"window_from": "10:00"}, "Say both ends"),
        ({"zone": "Mars/Olympus"}, "A time zone such as"),
        ({"concurrency": "0"}, "greater than or equal to 1"),
        ({"choose": "endpoints"}, "Name at least one device"),
        ({"search": "nothing-like-it"}, "No device would get this image"),
        ({"choose": "endpoints", "endpoints": "zz"}, "1 of the names are of no device"),
    ],
)
def test_what_is_wrong_with_a_campaign_is_said(operator: Client, changed: dict[str, str], text: str) -> None:
    capable()
    said = operator.post("/firmware/campaigns/new/", {**FORM, "image": str(image().pk), **changed})
    assert said.status_code == 400
    assert text in said.text
    assert not Campaign.objects.exists()


def campaign(devices: int, **fields: Any) -> Campaign:
    made = Campaign.objects.create(
        **{"name": "C", "image": image(), "phases": [50, 100], "created_at": timezone.now(), **fields}
    )
    states = ["succeeded", "failed", "pending", "downloading"]
    for number in range(devices):
        state = states[number % 4]
        update(
            capable(f"d{number:03}"), image=made.image, campaign=made, phase=number % 2, state=state,
            **({"code": "integrity", "reason": "Damaged. Check it."} if state == "failed" else {}),
        )  # fmt: skip
    return made


def test_a_campaign_s_page_tells_who_failed_and_why(operator: Client) -> None:
    made = campaign(8)
    page = operator.get(f"/firmware/campaigns/{made.pk}/?state=failed").text
    assert "Integrity check failed" in page
    assert "Damaged. Check it." in page
    assert page.count('class="update-row') == 2
    assert 'aria-label="2 succeeded, 2 failed, 2 downloading, 2 pending"' in page
    assert "Retry 2 failed" in page
    by_code = operator.get(f"/firmware/campaigns/{made.pk}/?state=failed&code=no-space").text
    assert "No update fits" in by_code
    retried = operator.post(f"/firmware/campaigns/{made.pk}/retry/")
    assert retried.status_code == 302
    assert made.updates.filter(retried_at=None, state="failed").count() == 0
    assert operator.post(f"/firmware/campaigns/{made.pk}/pause/").status_code == 302
    assert "Paused" in operator.get(f"/parts/firmware/campaigns/{made.pk}/").text
    refused = operator.post(f"/firmware/campaigns/{made.pk}/retry/").text
    assert 'role="alert"' in refused
    assert operator.post(f"/firmware/campaigns/{made.pk}/nonsense/").status_code == 404
    operator.post(f"/firmware/campaigns/{made.pk}/cancel/")
    assert "Cancelled" in operator.get("/firmware/").text


def test_more_devices_are_no_more_queries(operator: Client) -> None:
    made = campaign(4)
    paths = [f"/firmware/campaigns/{made.pk}/", f"/parts/firmware/campaigns/{made.pk}/updates/", "/firmware/updates/",
             "/firmware/", "/firmware/images/"]  # fmt: skip

    def counts() -> list[int]:
        numbers = []
        for path in paths:
            with CaptureQueriesContext(
                connection,
            ) as queries:
                assert operator.get(path).status_code == 200
            numbers.append(len(queries))
        return numbers

    before = counts()
    for number in range(100, 140):
        update(capable(f"e{number}"), image=made.image, campaign=made, state="downloading")
    assert counts() == before


def test_csv_holds_what_the_list_shows(viewer: Client) -> None:
    made = campaign(8)
    said = viewer.get(f"/firmware/campaigns/{made.pk}/?state=failed&_export=csv")
    assert said.headers["Content-Type"].startswith("text/csv")
    lines = said.text.splitlines()
    assert lines[0].startswith("id,device_endpoint,image_version")
    assert len(lines) == 3
    assert "d001" in lines[1]
    assert "Damaged. Check it." in lines[1]
    assert len(viewer.get("/firmware/updates/?_export=csv").text.splitlines()) == 9


# -- updates


def test_a_device_s_update_from_its_tab(operator: Client) -> None:
    dev = capable()
    one, other = image(), image("9.9", model="BX")
    for path, value in (("/5/0/3", "0"), ("/5/0/5", "8"), ("/5/0/9", "2"), ("/5/0/8/0", "1")):
        resource(dev, path, "INTEGER", value)
    page = operator.get("/devices/dev-1/?tab=firmware").text
    for words in ("0 · Idle", "8 · Update failed", "2 · push and pull", "CoAPS", "For other devices"):
        assert words in page
    refused = operator.post("/firmware/ask/dev-1/", {"image": other.pk, "method": "auto"}).text
    assert "The image is for the model" in refused
    assert operator.post("/firmware/ask/dev-1/", {"method": "auto"}).text.count('role="alert"') >= 1
    assert not FirmwareUpdate.objects.exists()
    said = operator.post("/firmware/ask/dev-1/", {"image": one.pk, "method": "pull"})
    assert said.headers["Location"] == "/devices/dev-1/?tab=firmware"
    row = FirmwareUpdate.objects.get()
    assert (row.method, row.state) == ("pull", "pending")
    assert "To 1.4.0" in operator.get("/parts/devices/firmware/dev-1/").text
    told = operator.post(f"/firmware/updates/{row.pk}/cancel/", **HTMX)
    assert told.headers["HX-Trigger"] == "fn:firmware"
    row.refresh_from_db()
    assert row.state == "cancelled"
    again = operator.post(f"/firmware/updates/{row.pk}/cancel/", **HTMX)
    assert "ended already" in again.text
    retried = operator.post(f"/firmware/updates/{row.pk}/retry/")
    newest = FirmwareUpdate.objects.latest("id")
    assert retried.headers["Location"] == f"/firmware/updates/{newest.pk}/"
    assert f"/firmware/updates/{row.pk}/" in operator.get(retried.headers["Location"]).text


def test_devices_without_a_firmware_object_say_so(operator: Client) -> None:
    image()
    device(registered=True)
    device("new")
    assert "lists no Firmware Update object" in operator.get("/devices/dev-1/?tab=firmware").text
    assert "has never registered" in operator.get("/devices/new/?tab=firmware").text
    refused = operator.post("/firmware/ask/dev-1/", {"image": FirmwareImage.objects.get().pk, "method": "auto"})
    assert "object 5" in refused.text


def test_software_management_is_recognised(operator: Client) -> None:
    """Object 9 is named, and that it is not carried out here."""
    of = capable()
    registration = of.registration
    registration.object_links = [*registration.object_links, {"url": "/9/0", "attributes": {}}]
    registration.save()
    page = operator.get(f"/devices/{of.endpoint}/?tab=firmware").content.decode()
    assert "Software Management (/9/0)" in page


def test_viewers_look_and_do_not_touch(viewer: Client) -> None:
    made = campaign(4)
    row = made.updates.get(state="downloading")
    for path in (
        f"/firmware/campaigns/{made.pk}/", f"/firmware/updates/{row.pk}/", f"/firmware/images/{made.image.pk}/",
        f"/parts/firmware/updates/{row.pk}/", "/devices/d003/?tab=firmware",
    ):  # fmt: skip
        page = viewer.get(path)
        assert page.status_code == 200
        assert '<form method="post"' not in page.text.split('<main id="main"')[-1], path
    for path in (
        f"/firmware/campaigns/{made.pk}/pause/", f"/firmware/updates/{row.pk}/cancel/", "/firmware/ask/d003/",
        "/firmware/campaigns/new/", "/parts/firmware/campaigns/preview/", f"/firmware/images/{made.image.pk}/delete/",
    ):  # fmt: skip
        assert viewer.post(path).status_code == 403


def test_overview_tells_of_failures_and_stopped_campaigns(viewer: Client) -> None:
    made = campaign(4, stopped_at=timezone.now(), stopped_reason="Too many failed.")
    page = viewer.get("/").text
    assert "<b>1</b> failed firmware update</a>" in page
    assert "Too many failed." in page
    made.updates.update(retried_at=timezone.now())
    page = viewer.get("/").text
    assert "failed firmware update" not in page
    assert "Too many failed." not in page


@pytest.mark.parametrize(
    "query", ["search=%00", "state=zz&code=zz&image=zz", "page=99&search=" + "x" * 400, "image=" + "9" * 30]
)
def test_nonsense_in_an_address_does_no_harm(viewer: Client, query: str) -> None:
    made = campaign(4)
    for path in ("/firmware/updates/", "/firmware/", "/firmware/images/", f"/firmware/campaigns/{made.pk}/"):
        assert viewer.get(f"{path}?{query}").status_code == 200
