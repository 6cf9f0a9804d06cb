"""Images and keys over the API: as they are, in forms, cut, too large, by the wrong people."""

from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import Settings

from backend.accounts.models import Role
from backend.devices.models import Profile
from backend.firmware.models import FirmwareImage
from backend.firmware.uploads import image_of, takes_image
from tests.unit.api.builders import user
from tests.unit.firmware.signed import key, private_pem, public_pem, signed
from tests.unit.firmware.test_images import add, litter, update

pytestmark = pytest.mark.django_db

URL = "/api/v1/firmware/images"
KEYS = "/api/v1/firmware/keys"
OCTETS = "application/octet-stream"


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(user("op", Role.OPERATOR))
    return client


@pytest.fixture
def administrator(client: Client) -> Client:
    client.force_login(user("admin", Role.ADMINISTRATOR))
    return client


def raw(client: Client, content: bytes, query: str = "file_name=app.bin", **how: Any) -> Any:
    return client.post(f"{URL}?{query}", content, content_type=OCTETS, **how)


def form(client: Client, content: bytes, file_name: str = "app.bin", **fields: Any) -> Any:
    return client.post(URL, {**fields, "file": SimpleUploadedFile(file_name, content)})


def test_an_image_as_it_is(operator: Client, images: Path) -> None:
    Profile.objects.create(name="meters")
    answer = raw(operator, b"content", "file_name=app.bin&version=1.0&model=M*&profile=meters&object_instance=1&note=n")
    assert answer.status_code == 201
    said = answer.json()
    assert {name: said[name] for name in ("file_name", "version", "model", "profile", "object_instance", "size")} == {
        "file_name": "app.bin", "version": "1.0", "model": "M*", "profile": "meters", "object_instance": 1, "size": 7,
    }  # fmt: skip
    assert (said["kind"], said["signature"], said["uploaded_by"]) == ("opaque", "unsigned", "op")
    assert raw(operator, b"content").status_code == 200
    assert [one["id"] for one in operator.get(URL).json()["items"]] == [said["id"]]
    assert operator.get(f"{URL}/{said['id']}").json() == said
    assert operator.get(f"{URL}?search=nothing").json() == {"items": []}
    assert litter(images) == []


def test_an_image_in_a_form(operator: Client, images: Path, tmp_path: Path) -> None:
    content = signed(tmp_path, key(), size=1_000_000)
    answer = form(operator, content, "zephyr.signed.bin", manufacturer="ACME", model="", object_instance="", note="n")
    assert answer.status_code == 201
    said = answer.json()
    assert (said["file_name"], said["version"], said["size"]) == ("zephyr.signed.bin", "1.2.3+4", len(content))
    assert (said["manufacturer"], said["note"], said["object_instance"]) == ("ACME", "n", None)
    assert ["Version", "1.2.3+4"] in said["details"]
    file = operator.get(f"{URL}/{said['id']}/file")
    assert b"".join(file.streaming_content) == content
    assert file.headers["Content-Length"] == str(len(content))
    assert file.headers["ETag"] == f'"{said["sha256"]}"'
    assert file.headers["Content-Disposition"] == 'attachment; filename="zephyr.signed.bin"'
    assert litter(images) == []


@pytest.mark.parametrize("send", [raw, form])
def test_what_is_wrong_is_said_and_leaves_nothing(
    operator: Client, images: Path, tmp_path: Path, settings: Settings, send: Any
) -> None:
    settings.FIRMWARE_LIMIT_MIB = 1
    cut = signed(tmp_path, key())[:-10]
    for content, status, says in (
        (b"", 400, "The file is empty"),
        (cut, 400, "cut short"),
        (b"x" * (1024 * 1024 + 1), 413, "larger than 1 MiB"),
        (b"x" * (3 * 1024 * 1024), 413, "larger than 1 MiB"),
    ):
        answer = send(operator, content)
        assert (answer.status_code, says in answer.json()["detail"]) == (status, True), answer.content
    assert (litter(images), FirmwareImage.objects.count()) == ([], 0)


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ("", 400, "The file has no name"),
        ("file_name=..%2Fapp.bin", 400, "holds a path"),
        ("file_name=a%00b", 400, "control character"),
        ("file_name=a&versoin=1", 400, "unknown parameter 'versoin'"),
        ("file_name=a&object_instance=x", 422, "object_instance: "),
        ("file_name=a&object_instance=70000", 422, "object_instance: "),
        ("file_name=a&version=" + "1" * 65, 422, "version: "),
        ("file_name=a&note=%00", 422, "note: "),
        ("file_name=a&profile=none", 404, "There is no profile 'none'"),
    ],
)
def test_what_is_said_wrongly(operator: Client, images: Path, query: str, status: int, says: str) -> None:
    answer = raw(operator, b"content", query)
    assert answer.status_code == status
    assert says in answer.json()["detail"]
    assert (litter(images), FirmwareImage.objects.count()) == ([], 0)


def test_forms_that_are_wrong(operator: Client, images: Path) -> None:
    for fields, says in (
        ({"note": "n"}, "The form has no file"),
        ({"file": [SimpleUploadedFile("a", b"a"), SimpleUploadedFile("b", b"b")]}, "several files"),
        ({"file": SimpleUploadedFile("a", b"a"), "colour": "red"}, "colour: "),
        ({"file": SimpleUploadedFile("a", b"a"), "file_name": "x/y"}, "holds a path"),
    ):
        answer = operator.post(URL, fields)
        assert answer.status_code in {400, 422}
        assert says in answer.json()["detail"]
    assert (litter(images), FirmwareImage.objects.count()) == ([], 0)
    assert operator.post(URL, {"a": 1}, content_type="application/json").status_code == 400


def test_a_form_that_ends_in_the_middle(operator: Client, images: Path) -> None:
    boundary = "BoUnDaRy"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="app.bin"\r\n\r\n'.encode()
    answer = operator.post(URL, head + b"x" * 500_000, content_type=f"multipart/form-data; boundary={boundary}")
    assert answer.status_code == 400
    assert "ended before the file did" in answer.json()["detail"]
    assert (litter(images), FirmwareImage.objects.count()) == ([], 0)


def test_folders_in_the_name_that_a_browser_sends_are_dropped(operator: Client) -> None:
    boundary = "BoUnDaRy"
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="../../etc/app.bin"\r\n\r\n'
        f"content\r\n--{boundary}--\r\n"
    )
    answer = operator.post(URL, body, content_type=f"multipart/form-data; boundary={boundary}")
    assert answer.json()["file_name"] == "app.bin"


def test_strangers_write_nothing(client: Client, images: Path) -> None:
    assert form(client, b"content").status_code == 401
    assert not images.exists()
    client.force_login(user("viewer"))
    answer = form(client, b"content")
    assert answer.status_code == 403
    assert "operator or administrator" in answer.json()["detail"]
    assert not images.exists()


@pytest.mark.parametrize("send", [raw, form])
def test_a_request_without_the_csrf_token(images: Path, send: Any) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(user("op", Role.OPERATOR))
    answer = send(strict, b"content")
    assert answer.status_code == 403
    assert "X-CSRFToken" in answer.json()["detail"]
    assert (litter(images), FirmwareImage.objects.count()) == ([], 0)


def test_a_view_that_takes_an_image(rf: Any, images: Path) -> None:
    from django.http import HttpRequest, HttpResponse

    @takes_image
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(image_of(request).upload.sha256[:4])

    request = rf.post("/", {"file": SimpleUploadedFile("app.bin", b"content")})
    request._dont_enforce_csrf_checks = True
    assert view(request).content == b"ed70"
    # what nobody stored goes with the request
    request.close()
    assert litter(images) == []
    refused = view(rf.post("/", {"file": SimpleUploadedFile("app.bin", b"content")}))
    assert refused.status_code == 403


def test_changing_and_deleting(operator: Client) -> None:
    image = add(version="1", model="M*")
    url = f"{URL}/{image.pk}"
    change = {"content_type": "application/json"}
    Profile.objects.create(name="meters")
    answer = operator.patch(url, {"version": "2", "profile": "meters", "model": None}, **change)
    assert (answer.status_code, answer.json()["version"], answer.json()["profile"]) == (200, "2", "meters")
    assert answer.json()["model"] == ""
    assert operator.patch(url, {"profile": None}, **change).json()["profile"] is None
    assert operator.patch(url, {"profile": "x"}, **change).status_code == 404
    assert operator.patch(url, {"size": 1}, **change).status_code == 422
    from backend.firmware.models import UpdateState

    row = update(image, UpdateState.PENDING)
    refused = operator.delete(url)
    assert (refused.status_code, "has not ended" in refused.json()["detail"]) == (409, True)
    row.delete()
    assert operator.delete(url).json() == {"items": []}
    for answer in (operator.get(url), operator.delete(url), operator.get(f"{url}/file")):
        assert answer.status_code == 404
    assert operator.get(f"{URL}/99999999999999999999").status_code == 404


def test_keys(administrator: Client, tmp_path: Path) -> None:
    by = key()
    raw(administrator, signed(tmp_path, by))
    body = {"name": "release", "pem": public_pem(by)}
    answer = administrator.post(KEYS, body, content_type="application/json")
    assert answer.status_code == 201
    assert (answer.json()["kind"], answer.json()["added_by"]) == ("ECDSA P-256", "admin")
    (image,) = administrator.get(URL).json()["items"]
    assert (image["signature"], image["signed_by"]) == ("verified", "release")
    again = administrator.post(KEYS, body, content_type="application/json")
    assert (again.status_code, "registered already" in again.json()["detail"]) == (400, True)
    private = {"name": "x", "pem": private_pem(by)}
    refused = administrator.post(KEYS, private, content_type="application/json")
    assert (refused.status_code, "PRIVATE" in refused.json()["detail"]) == (400, True)
    assert administrator.get(f"{KEYS}/{answer.json()['id']}").json() == answer.json()
    assert administrator.delete(f"{KEYS}/{answer.json()['id']}").json() == {"items": []}
    assert administrator.delete(f"{KEYS}/{answer.json()['id']}").status_code == 404
    (image,) = administrator.get(URL).json()["items"]
    assert (image["signature"], image["signed_by"]) == ("unknown", None)


def test_keys_take_an_administrator(operator: Client) -> None:
    assert operator.get(KEYS).status_code == 200
    assert operator.post(KEYS, {"name": "a", "pem": "b"}, content_type="application/json").status_code == 403
    assert operator.delete(f"{KEYS}/1").status_code == 403


def test_the_description_says_how_to_upload(operator: Client) -> None:
    operation = operator.get("/api/v1/openapi.json").json()["paths"]["/api/v1/firmware/images"]["post"]
    assert set(operation["requestBody"]["content"]) == {OCTETS, "multipart/form-data"}
    assert {one["name"] for one in operation["parameters"]} >= {"file_name", "version", "profile"}
