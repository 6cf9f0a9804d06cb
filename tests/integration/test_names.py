"""Whatever a device is called, it is operated, stored and shown under that very name."""

from urllib.parse import quote

import pytest

from tests.integration.conftest import NewStack
from tests.integration.test_operations import NASTY, ok
from tests.support.coap import CONTENT_FORMAT, TEXT, Answer, Message, ScriptedDevice
from tests.support.stack import Stack
from tests.support.waiting import wait_for

NAMES = [
    NASTY,
    "a/b",
    "../../etc/passwd",
    "//",
    "100%",
    "%2F",
    "a b",
    "a+b",
    "sim?x=1&y=2#z",
    '"',
    "'; DROP TABLE devices_device; --",
    "<script>alert(1)</script>",
    "\\",
    "urn:imei:123456789012345",
    "Gerät-ß-日本-🌡",
    "composite",
    # what fits into one option (RFC 7252, 5.10) beside "ep="
    "x" * 252,
]


@pytest.fixture(scope="module")
def laboratory(new_stack: NewStack) -> Stack:
    """Everything, with plain CoAP for any name."""
    stack = new_stack(lab=True)
    stack.start_leshan()
    stack.start_sync()
    stack.start_web()
    return stack


@pytest.mark.parametrize("name", NAMES)
def test_names_from_the_wire_to_the_api(laboratory: Stack, name: str) -> None:
    """Registered, operated, stored and shown under the very name."""
    assert laboratory.coap_port is not None

    def answer(request: Message) -> Answer:
        if request.code == "0.01" and request.path == "/3/0/2":
            return "2.05", [(CONTENT_FORMAT, bytes([TEXT]))], b"serial 7"
        return "4.04", (), b""

    with ScriptedDevice(name, laboratory.coap_port, answer) as device:
        laboratory.wait_online(name)
        assert ok(laboratory, "GET", "/3/0/2", endpoint=name)["value"] == "serial 7"
        device.send('[{"n":"/3303/0/5700","v":21.5}]')
        wait_for(
            lambda: 21.5 in [v.number for v in laboratory.stored_values() if v.endpoint == name],
            what=lambda: f"its value is stored\n{laboratory.log_tails()}",
        )
        person = laboratory.administrator()
        shown = person.device(name)
        assert shown["endpoint"] == name
        assert shown["status"] == "online"
        assert name in [item["endpoint"] for item in person.api("/devices", search=name)["items"]]
        values = person.api("/values", device=name)["items"]
        assert [item["value"] for item in values if item["path"] == "/3303/0/5700"] == [21.5]
        page = person.page(f"/devices/{quote(name, safe='')}/")
        assert page.status_code == 200
        assert "<script>alert" not in page.text
