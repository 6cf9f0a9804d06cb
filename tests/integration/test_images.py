"""Uploads of firmware images to the real web process: what is refused says why and leaves nothing behind."""

import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.integration.conftest import NewStack
from tests.support.control import Control
from tests.support.firmware import Firmware, plain_image, sha256
from tests.support.images import mcuboot_image, public_pem, signing_key
from tests.support.waiting import wait_for

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def firmware(new_stack: NewStack) -> Firmware:
    """The web app alone; images have 2 MiB at most and must be signed."""
    scene = Firmware(new_stack())
    scene.stack.extra_env |= {"FLOWNEXUS_FIRMWARE_LIMIT_MIB": "2", "FLOWNEXUS_FIRMWARE_SIGNED_ONLY": "1"}
    scene.stack.start_web()
    scene.control = Control(scene.stack)
    return scene


@pytest.fixture
def folder(firmware: Firmware) -> Path:
    """Where images lie."""
    return firmware.stack.data / "images"


def files(folder: Path) -> set[str]:
    """What is there, beside the lock that uploads share."""
    return {file.name for file in folder.iterdir() if file.name != ".lock"} if folder.exists() else set()


def test_refused_with_a_reason(firmware: Firmware, folder: Path, tmp_path: Path) -> None:
    """Nothing, too much, not signed, by an unknown key, damaged, a path for a name."""
    key = signing_key()
    added = firmware.control.person.send(
        "POST", "/firmware/keys", {"name": "release", "pem": public_pem(key, tmp_path)}
    )
    assert added.status_code == 201, added.text
    signed = mcuboot_image("1.2.3", tmp_path, key=key)
    before = files(folder)
    refused = {
        "empty": (b"", {}, 400),
        "too large": (bytes(2 * MIB + 1), {}, 413),
        "not signed": (mcuboot_image("1.2.3", tmp_path), {}, 400),
        "unknown key": (mcuboot_image("1.2.3", tmp_path, key=signing_key()), {}, 400),
        "not MCUboot": (plain_image("1.0.0"), {}, 400),
        "damaged": (signed[:1000] + bytes([signed[1000] ^ 1]) + signed[1001:], {}, 400),
        "cut": (signed[:-10], {}, 400),
        "path": (signed, {"file_name": "../../etc/passwd"}, 400),
    }
    for what, (content, fields, status) in refused.items():
        answer = firmware.upload(content, **fields)
        assert answer.status_code == status, f"{what}: {answer.status_code} {answer.text}"
        assert len(answer.json()["detail"]) > 20, what
        assert files(folder) == before, what
    image = firmware.image(signed)
    assert (image["version"], image["signature"], image["signed_by"]) == ("1.2.3", "verified", "release")
    assert files(folder) - before == {sha256(signed)}
    # the same again is the same
    assert firmware.upload(signed).status_code == 200


def test_an_upload_that_is_cut(firmware: Firmware, folder: Path) -> None:
    """The connection ends in the middle: nothing stays."""
    before = files(folder)
    person, address = firmware.control.person, urlsplit(firmware.stack.web_url)
    assert address.hostname is not None
    assert address.port is not None
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in person.http.cookies)
    head = (
        f"POST /api/v1/firmware/images?file_name=cut.bin HTTP/1.1\r\nHost: {address.netloc}\r\nCookie: {cookies}\r\n"
        f"X-CSRFToken: {person.http.cookies['csrftoken']}\r\nReferer: {person.url}\r\n"
        f"Content-Type: application/octet-stream\r\nContent-Length: {MIB}\r\n\r\n"
    )
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(head.encode() + bytes(MIB // 2))
    # the next request finds a server that has dealt with it
    assert person.page("/firmware/images/").status_code == 200
    wait_for(lambda: files(folder) == before, what=lambda: f"{files(folder) - before} has gone")
