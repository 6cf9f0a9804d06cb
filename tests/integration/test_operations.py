"""Every request of Leshan's HTTP contract against real devices, and what is answered when it cannot be."""

import base64
import contextlib
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
import requests
from cryptography import x509

from tests.integration.conftest import NewStack
from tests.support.coap import CONTENT_FORMAT, LOCATION_PATH, SENML_JSON, TEXT, Answer, ScriptedDevice
from tests.support.events import Event
from tests.support.stack import Stack
from tests.support.waiting import wait_for

EP = "sim-1"
# a name with everything that URLs, JSON, SQL, HTML, shells, file names and distinguished names treat in their own way
NASTY = 'it\'s "q" a/b//c ../%41 +,;=#<b>&?x\\ Gerät 日本'


# -- one server, its devices observed by nobody


@pytest.fixture(scope="module")
def served(new_stack: NewStack) -> Stack:
    """Leshan with three simulated devices and one with a nasty name; sync has brought the credentials and is gone."""
    stack = new_stack(coap=True)
    stack.provision("sim-1", "sim-2", "sim-3", "gone-1", NASTY)
    stack.start_leshan()
    sync = stack.start_sync()
    wait_for(lambda: len(stack.leshan("GET", "/api/security/clients").json()) == 5, what="sync brings the credentials")
    assert sync.stop() == 0
    stack.start_fleet("--interval", "0.5")
    stack.start_fleet(name="nasty", count=1, endpoint=NASTY)
    stack.wait_registered("sim-1", "sim-2", "sim-3", NASTY)
    return stack


def ask(stack: Stack, method: str, path: str, *, endpoint: str = EP, **options: Any) -> dict[str, Any]:
    """The device's answer to a request that Leshan has taken."""
    answer = stack.leshan(method, stack.client_path(endpoint, path), **options)
    assert answer.status_code == 200, f"{method} {path}: {answer.status_code} {answer.text}"
    body: dict[str, Any] = answer.json()
    assert body["success"] is not body["failure"]
    return body


def ok(stack: Stack, method: str, path: str, **options: Any) -> Any:
    """The content of a successful answer, None where there is none."""
    body = ask(stack, method, path, **options)
    assert body["success"], f"{method} {path}: {body}"
    assert body["valid"] is True
    return body.get("content")


def device_error(stack: Stack, method: str, path: str, **options: Any) -> str:
    """The device's own error: HTTP 200, `success` false."""
    body = ask(stack, method, path, **options)
    assert not body["success"], f"{method} {path}: {body}"
    status: str = body["status"]
    return status


def text_node(resource: int, value: str) -> dict[str, Any]:
    """The node of a STRING resource."""
    return {"kind": "singleResource", "id": resource, "type": "STRING", "value": value}


def test_clients(served: Stack) -> None:
    """The list, and one registration with its members."""
    assert {"sim-1", "sim-2", "sim-3", NASTY} <= served.registered()
    client = served.leshan("GET", served.client_path(EP)).json()
    assert client["endpoint"] == EP
    assert client["lwM2mVersion"] == "1.1"
    assert client["lifetime"] == 300
    assert client["bindingMode"] == "U"
    assert client["rootPath"] == "/"
    assert client["secure"] is True
    assert client["queuemode"] is False
    assert abs(client["registrationDate"] / 1000 - time.time()) < 600
    assert client["lastUpdate"] >= client["registrationDate"]
    assert client["registrationId"]
    assert client["address"].startswith("127.0.0.1:")
    assert client["additionalRegistrationAttributes"] == {}
    assert "/3303/0" in [link["url"] for link in client["objectLinks"]]
    assert client["availableInstances"]["3303"] == [0]


@pytest.mark.parametrize("content_format", [None, "TLV", "SENML_JSON", "SENML_CBOR"])
def test_read_at_each_level(served: Stack, content_format: str | None) -> None:
    """Object, instance, resource and resource instance."""
    format_ = {} if content_format is None else {"format": content_format}

    def read(path: str) -> Any:
        return ok(served, "GET", path, params=format_)

    manufacturer = {"kind": "singleResource", "id": 0, "type": "STRING", "value": "FlowNexus"}
    assert read("/3/0/0") == manufacturer
    battery = read("/3/0/9")
    assert (battery["type"], type(battery["value"])) == ("INTEGER", str)
    assert 0 <= int(battery["value"]) <= 100
    clock = read("/3/0/13")
    assert clock["type"] == "TIME"
    assert abs(int(clock["value"]) / 1000 - time.time()) < 60
    temperature = read("/3303/0/5700")
    assert (temperature["type"], type(temperature["value"])) == ("FLOAT", str)
    assert -60 < float(temperature["value"]) < 80
    sources = read("/3/0/6")
    assert (sources["kind"], sources["id"], sources["type"]) == ("multiResource", 6, "INTEGER")
    assert sources["values"]["0"] == "1"
    one = read("/3/0/6/0")
    assert (one["kind"], one["id"], one["type"].upper(), one["value"]) == ("resourceInstance", 0, "INTEGER", "1")
    instance = read("/3/0")
    assert (instance["kind"], instance["id"]) == ("instance", 0)
    assert manufacturer in instance["resources"]
    whole = read("/3")
    assert (whole["kind"], whole["id"]) == ("obj", 3)
    assert manufacturer in whole["instances"][0]["resources"]


def test_read_as_text(served: Stack) -> None:
    """Plain text for a single resource; a format that nobody knows is our caller's mistake."""
    assert ok(served, "GET", "/3/0/0", params={"format": "TEXT"})["value"] == "FlowNexus"
    answer = served.leshan("GET", served.client_path(EP, "/3/0/0"), params={"format": "BARCODE"})
    assert answer.status_code == 400
    assert "BARCODE" in answer.text


def test_read_what_is_not_there(served: Stack) -> None:
    """The device says 4.04: that is an answer."""
    assert device_error(served, "GET", "/3/0/999") == "NOT_FOUND(404)"
    assert device_error(served, "GET", "/9/0/1") == "NOT_FOUND(404)"
    assert device_error(served, "GET", "/3/0/4") == "METHOD_NOT_ALLOWED(405)"


@pytest.mark.parametrize(
    ("node", "zone"),
    [
        (text_node(15, "Europe/Berlin"), "Europe/Berlin"),
        ({"kind": "singleResource", "id": 15, "type": "string", "value": "Asia/Tokyo"}, "Asia/Tokyo"),
        ({"kind": "singleResource", "id": 15, "value": "Europe/Paris"}, "Europe/Paris"),
        ({"id": 15, "type": "STRING", "value": "Europe/Rome"}, "Europe/Rome"),
        ({"id": 15, "value": "Europe/Oslo"}, "Europe/Oslo"),
    ],
    ids=["full", "lower case", "type from the model", "older", "oldest"],
)
@pytest.mark.parametrize("content_format", [None, "TLV", "TEXT", "SENML_CBOR"])
def test_write_resource(served: Stack, node: dict[str, Any], zone: str, content_format: str | None) -> None:
    """A resource in each shape of the body; read back."""
    ok(served, "PUT", "/3/0/15", json=text_node(15, "UTC"))
    options = {} if content_format is None else {"format": content_format}
    ok(served, "PUT", "/3/0/15", json=node, params=options)
    assert ok(served, "GET", "/3/0/15")["value"] == zone


@pytest.mark.parametrize("replace", ["false", "true"])
def test_write_instance(served: Stack, replace: str) -> None:
    """Several resources of an instance at once; update leaves the others alone."""
    ok(served, "PUT", "/3/0/14", json=text_node(14, "+03:00"))
    resources = [text_node(15, "Europe/Madrid")]
    if replace == "true":
        resources.append(text_node(14, "+01:00"))
    ok(
        served,
        "PUT",
        "/3/0",
        params={"replace": replace},
        json={"kind": "instance", "id": 0, "resources": resources},
    )
    assert ok(served, "GET", "/3/0/15")["value"] == "Europe/Madrid"
    assert ok(served, "GET", "/3/0/14")["value"] == ("+03:00" if replace == "false" else "+01:00")


def test_write_refused_by_the_device(served: Stack) -> None:
    """A value or a resource that the device does not take."""
    assert device_error(served, "PUT", "/3/0/15", json=text_node(15, "Atlantis/Centre")) == "BAD_REQUEST(400)"
    assert device_error(served, "PUT", "/3/0/0", json=text_node(0, "Other")) == "METHOD_NOT_ALLOWED(405)"


def test_write_time(served: Stack) -> None:
    """A TIME in milliseconds goes to the device and comes back."""
    moment = 1_900_000_000_000
    node = {"kind": "singleResource", "id": 13, "type": "TIME", "value": moment}
    ok(served, "PUT", "/3/0/13", json=node, endpoint="sim-3")
    assert abs(int(ok(served, "GET", "/3/0/13", endpoint="sim-3")["value"]) - moment) < 60_000


def test_execute(served: Stack) -> None:
    """With and without arguments; what cannot be executed is the device's error."""
    ok(served, "POST", "/3303/0/5605")
    measured = float(ok(served, "GET", "/3303/0/5601")["value"])
    assert measured <= float(ok(served, "GET", "/3303/0/5602")["value"])
    ok(served, "POST", "/3/0/12", data="0='all'")
    assert device_error(served, "POST", "/3/0/0") == "METHOD_NOT_ALLOWED(405)"


def test_create_and_delete_refused(served: Stack) -> None:
    """The simulated sensors are built in."""
    instance = {"kind": "instance", "id": 1, "resources": [text_node(5750, "new")]}
    assert device_error(served, "POST", "/3303", json=instance) == "METHOD_NOT_ALLOWED(405)"
    assert device_error(served, "DELETE", "/3303/0") == "METHOD_NOT_ALLOWED(405)"


def test_discover(served: Stack) -> None:
    """Object, instance and resource."""

    def links(path: str) -> dict[str, Any]:
        body = ask(served, "GET", path + "/discover")
        assert body["success"], body
        return {link["url"]: link["attributes"] for link in body["objectLinks"]}

    assert {"/3", "/3/0", "/3/0/0", "/3/0/9"} <= links("/3").keys()
    assert {"/3/0", "/3/0/0"} <= links("/3/0").keys()
    assert "/3/0/9" in links("/3/0/9")


def test_write_attributes(served: Stack) -> None:
    """Set ones are found by discover; a bare key unsets one."""

    def attributes() -> dict[str, Any]:
        body = ask(served, "GET", "/3303/0/5700/discover", endpoint="sim-2")
        found: dict[str, Any] = next(
            link["attributes"] for link in body["objectLinks"] if link["url"] == "/3303/0/5700"
        )
        return found

    path = "/3303/0/5700/attributes"
    ok(served, "PUT", path + "?pmin=1&pmax=5", endpoint="sim-2")
    assert {name: str(value) for name, value in attributes().items()}.items() >= {"pmin": "1", "pmax": "5"}.items()
    ok(served, "PUT", path + "?pmin&pmax", endpoint="sim-2")
    assert not {"pmin", "pmax"} & attributes().keys()
    answer = served.leshan("PUT", served.client_path("sim-2", path + "?pmin=soon"))
    assert answer.status_code == 400
    assert answer.text.startswith("Invalid attributes:")


# -- observations


def journaled_since(stack: Stack, start: str, endpoint: str, path: str) -> list[Event]:
    """The notifications of one observed path after an event."""
    return [
        event
        for event in stack.journal(after=start)
        if event.name == "NOTIFICATION" and event.data["ep"] == endpoint and event.data.get("res") == path
    ]


def cancel(stack: Stack, path: str) -> None:
    """Ends an observation; the passive way asks nothing of the device, so that there is no answer to show."""
    answer = stack.leshan("DELETE", stack.client_path(EP, path))
    assert answer.status_code == 200, answer.text
    if answer.content:
        assert answer.json()["success"], answer.text


def write_zone(stack: Stack, zone: str, offset: str = "+00:00") -> None:
    """Changes /3/0/15 and /3/0/14, which are observed or not."""
    ok(stack, "PUT", "/3/0/15", json=text_node(15, zone))
    ok(stack, "PUT", "/3/0/14", json=text_node(14, offset))


@pytest.mark.parametrize("how", ["", "?active"], ids=["passive", "active"])
def test_observe_and_cancel(served: Stack, how: str) -> None:
    """The current value in the answer, changes as events, none after the cancel."""
    write_zone(served, "UTC")
    start = served.head()
    assert ok(served, "POST", "/3/0/15/observe")["value"] == "UTC"
    assert ok(served, "POST", "/3/0/14/observe")["value"] == "+00:00"
    write_zone(served, "Europe/Vienna", "+01:00")
    event = wait_for(lambda: journaled_since(served, start, EP, "/3/0/15"), what="a notification")[0]
    assert event.data["kind"] == "single"
    assert event.data["val"] == text_node(15, "Europe/Vienna")
    assert event.data["samples"] == [{"time": None, "nodes": {"/3/0/15": text_node(15, "Europe/Vienna")}}]
    assert abs(event.data["time"] / 1000 - time.time()) < 30
    assert isinstance(event.data["observe"], int)
    wait_for(lambda: journaled_since(served, start, EP, "/3/0/14"), what="the other's notification")

    cancel(served, "/3/0/15/observe" + how)
    cancelled = served.head()
    # a passive cancel shows at the next notification: the device is told then
    for zone, offset in (("Europe/Athens", "+02:00"), ("Europe/Moscow", "+03:00"), ("Asia/Dubai", "+04:00")):
        write_zone(served, zone, offset)
        wait_for(
            lambda offset=offset: [  # type: ignore[misc]
                event
                for event in journaled_since(served, cancelled, EP, "/3/0/14")
                if event.data["val"]["value"] == offset
            ],
            what=f"the notification of {offset}",
        )
    assert journaled_since(served, cancelled, EP, "/3/0/15") == []
    ok(served, "DELETE", "/3/0/14/observe?active")


def test_observe_what_is_not_there(served: Stack) -> None:
    """The device's own error."""
    assert device_error(served, "POST", "/3/0/999/observe") == "NOT_FOUND(404)"


# -- composite operations

COMPOSITE_FORMATS = [{}, {"pathformat": "SENML_CBOR", "nodeformat": "SENML_CBOR"}, {"nodeformat": "SENML_JSON"}]


@pytest.mark.parametrize("formats", COMPOSITE_FORMATS, ids=["default", "CBOR", "JSON"])
def test_read_composite(served: Stack, formats: dict[str, str]) -> None:
    """Values of several objects in one request."""
    content = ok(served, "GET", "/composite", params={"paths": "/3/0/0,/3303/0/5700,/3/0/6"} | formats)
    assert set(content) == {"/3/0/0", "/3303/0/5700", "/3/0/6"}
    assert content["/3/0/0"] == text_node(0, "FlowNexus")
    assert content["/3303/0/5700"]["type"] == "FLOAT"
    assert content["/3/0/6"]["kind"] == "multiResource"


@pytest.mark.parametrize("formats", [*COMPOSITE_FORMATS[:2], {"format": "SENML_JSON"}], ids=["default", "CBOR", "JSON"])
def test_write_composite(served: Stack, formats: dict[str, str]) -> None:
    """Values of several objects in one request; read back."""
    write_zone(served, "UTC")
    nodes = {"/3/0/15": text_node(15, "Asia/Seoul"), "/3303/0/5750": text_node(5750, "roof")}
    ok(served, "PUT", "/composite", json=nodes, params=formats)
    assert ok(served, "GET", "/3/0/15")["value"] == "Asia/Seoul"
    assert ok(served, "GET", "/3303/0/5750")["value"] == "roof"


def test_observe_composite_and_cancel(served: Stack) -> None:
    """One observation of two paths: their values in one event, none after the cancel."""
    write_zone(served, "UTC")
    paths = {"paths": "/3/0/14,/3/0/15"}
    start = served.head()
    content = ok(served, "POST", "/composite/observe", params=paths)
    assert {path: node["value"] for path, node in content.items()} == {"/3/0/14": "+00:00", "/3/0/15": "UTC"}
    write_zone(served, "Europe/Malta", "+02:00")

    def composites(after: str) -> list[Event]:
        return [
            event
            for event in served.journal(after=after)
            if event.name == "NOTIFICATION" and event.data["ep"] == EP and event.data["kind"] == "composite"
        ]

    events = wait_for(
        lambda: [event for event in composites(start) if event.data["val"]["/3/0/14"]["value"] == "+02:00"],
        what="a composite notification",
    )
    assert sorted(events[0].data["paths"]) == ["/3/0/14", "/3/0/15"]
    assert events[0].data["samples"][0]["nodes"]["/3/0/14"] == text_node(14, "+02:00")
    cancel(served, "/composite/observe?paths=/3/0/14,/3/0/15")
    # the one that may be under way at the cancel is over when another observation has shown a later change
    ok(served, "POST", "/3303/0/5750/observe")
    ok(served, "PUT", "/3303/0/5750", json=text_node(5750, "over"))
    wait_for(lambda: journaled_since(served, start, EP, "/3303/0/5750"), what="the other's notification")
    cancelled = served.head()
    write_zone(served, "Europe/Riga", "+03:00")
    ok(served, "PUT", "/3303/0/5750", json=text_node(5750, "and out"))
    wait_for(lambda: journaled_since(served, cancelled, EP, "/3303/0/5750"), what="the other's notification")
    assert composites(cancelled) == []
    ok(served, "DELETE", "/3303/0/5750/observe?active")


# -- what a device of another make would do


@contextlib.contextmanager
def scripted(stack: Stack, answers: dict[tuple[str, str], Answer]) -> Iterator[ScriptedDevice]:
    """A device over plain CoAP that may do so, with these answers to (code, path)."""
    endpoint = "scripted-1"
    credential = {"endpoint": endpoint, "tls": {"mode": "nosec"}}
    assert stack.leshan("PUT", "/api/security/clients", json=credential).status_code in {200, 204}
    assert stack.coap_port is not None
    with ScriptedDevice(
        endpoint, stack.coap_port, lambda request: answers.get((request.code, request.path), ("4.04", (), b""))
    ) as device:
        yield device


def test_create_and_delete(served: Stack) -> None:
    """The id that the device chose is in `location`."""
    answers: dict[tuple[str, str], Answer] = {
        ("0.02", "/3303"): ("2.01", [(LOCATION_PATH, b"3303"), (LOCATION_PATH, b"7")], b""),
        ("0.04", "/3303/7"): ("2.02", (), b""),
    }
    with scripted(served, answers) as device:
        instance = {"kind": "instance", "resources": [text_node(5750, "new")]}
        body = ask(served, "POST", "/3303", endpoint=device.endpoint, json=instance)
        assert body["success"], body
        assert body["status"] == "CREATED(201)"
        assert body["location"].strip("/") == "3303/7"
        ok(served, "DELETE", "/3303/7", endpoint=device.endpoint)
        assert [request.code for request in device.requests] == ["0.02", "0.04"]


def test_write_composite_with_a_multiple_resource(served: Stack) -> None:
    """`multiResource` in a write-composite: each instance is a record."""
    with scripted(served, {("0.07", "/"): ("2.04", (), b"")}) as device:
        nodes = {
            "/3303/0/5750": text_node(5750, "roof"),
            "/3/0/7": {"kind": "multiResource", "id": 7, "type": "INTEGER", "values": {"0": "3800", "2": "5000"}},
        }
        ok(
            served,
            "PUT",
            "/composite",
            endpoint=device.endpoint,
            json=nodes,
            params={"format": "SENML_JSON", "nodeformat": "SENML_JSON"},
        )
        records = json.loads(device.requests[0].payload)
        assert (CONTENT_FORMAT, bytes([SENML_JSON])) in device.requests[0].options
    base = ""
    written = {}
    for record in records:
        base = record.get("bn", base)
        written[base + record.get("n", "")] = record.get("v", record.get("vs"))
    assert written == {"/3303/0/5750": "roof", "/3/0/7/0": 3800, "/3/0/7/2": 5000}


def test_device_that_answers_nonsense(served: Stack) -> None:
    """A value that does not fit the model is an error of ours to tell, not a hanging request."""
    answers: dict[tuple[str, str], Answer] = {
        ("0.01", "/3303/0/5700"): ("2.05", [(CONTENT_FORMAT, bytes([TEXT]))], b"warm"),
    }
    with scripted(served, answers) as device:
        answer = served.leshan("GET", served.client_path(device.endpoint, "/3303/0/5700"))
        assert answer.status_code == 500
        assert answer.text.startswith("Invalid Response:")


# -- the rest of the API


def test_object_specs(served: Stack) -> None:
    """The models of a client's objects, in its versions, IPSO's among them."""
    specs = served.leshan("GET", f"/api/objectspecs/{EP}").json()
    temperature = next(spec for spec in specs if spec["id"] == 3303)
    assert temperature["name"] == "Temperature"
    value = next(resource for resource in temperature["resourcedefs"] if resource["id"] == 5700)
    assert value["name"] == "Sensor Value"
    assert value["type"].upper() == "FLOAT"
    device = next(spec for spec in specs if spec["id"] == 3)
    battery = next(resource for resource in device["resourcedefs"] if resource["id"] == 9)
    assert (battery["name"], battery["instancetype"], battery["operations"]) == ("Battery Level", "single", "R")
    assert battery["units"] == "/100" or battery["units"] == "%"


def test_security(served: Stack) -> None:
    """Credentials can be listed, added (one or many), replaced and removed; keys are never shown."""
    key, path = "5ec2e7" * 6, "/api/security/clients"
    many = [
        {"endpoint": "listed-1", "tls": {"mode": "psk", "details": {"identity": "listed-id", "key": key}}},
        {"endpoint": "listed-2", "tls": {"mode": "x509"}},
    ]
    assert served.leshan("PUT", path, json=many).status_code == 204
    answer = served.leshan("GET", path)
    entries = {entry["endpoint"]: entry for entry in answer.json()}
    assert entries["listed-1"]["tls"]["mode"] == "psk"
    assert entries["listed-1"]["tls"]["details"]["identity"] == "listed-id"
    assert entries["listed-2"]["tls"]["mode"] == "x509"
    assert key not in answer.text.lower()
    assert NASTY in entries
    for endpoint in ("listed-1", "listed-2"):
        assert served.leshan("DELETE", f"{path}/{endpoint}").status_code in {200, 204}
    left = {entry["endpoint"] for entry in served.leshan("GET", path).json()}
    assert not {"listed-1", "listed-2"} & left
    # gone is gone: asking again is no error
    assert served.leshan("DELETE", f"{path}/listed-1").status_code in {200, 204, 404}
    # what is kept on disk is for the server only
    for file in served.journal_folder.rglob("*"):
        assert file.stat().st_mode & 0o077 == 0, file


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]]",
        b'{"tls": {"mode": "x509"}}',
        b'{"endpoint": "x", "tls": {"mode": "none of these"}}',
        b'{"endpoint": "x", "tls": {"mode": "psk", "details": {"identity": "i", "key": "no hex"}}}',
        b'{"endpoint": "x", "tls": {"mode": "psk", "details": {"identity": "i"}}}',
        b'{"endpoint": "x", "tls": {"mode": "x509", "certificates": ["short"]}}',
        b'{"endpoint": "x", "tls": {"mode": "rpk", "details": {"key": "00"}}}',
    ],
)
def test_bad_credentials(served: Stack, body: bytes) -> None:
    """Refused with one line, and nothing changes."""
    before = served.leshan("GET", "/api/security/clients").json()
    answer = served.leshan("PUT", "/api/security/clients", data=body)
    assert_plain(answer, 400)
    assert served.leshan("GET", "/api/security/clients").json() == before


def test_server_information(served: Stack) -> None:
    """Where it listens, and its certificate."""
    endpoints = served.leshan("GET", "/api/server/endpoint").text
    assert str(served.coaps_port) in endpoints
    assert str(served.coap_port) in endpoints
    security = served.leshan("GET", "/api/server/security").json()
    ours = x509.load_pem_x509_certificate((served.certs / "server.pem").read_bytes())
    assert base64.b64decode(security["certificate"]["b64Der"]) == (served.certs / "server.der").read_bytes()
    assert ours.subject


def assert_plain(answer: requests.Response, status: int, start: str = "") -> None:
    """One line of plain text, no HTML, no stack trace."""
    assert answer.status_code == status, f"{answer.status_code} {answer.text[:300]}"
    assert answer.text.startswith(start), answer.text
    assert len(answer.text.strip().splitlines()) == 1, answer.text
    assert "<html" not in answer.text.lower()
    assert "Exception:" not in answer.text.replace("Unexpected exception:", "")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "start"),
    [
        ("GET", "/api/clients/nobody", None, 400, "No registered client with id 'nobody'"),
        ("GET", "/api/clients/nobody/3/0", None, 400, "No registered client with id 'nobody'"),
        ("POST", "/api/clients/nobody/3/0/9/observe", None, 400, "No registered client with id 'nobody'"),
        ("DELETE", "/api/clients/nobody/3/0/9/observe", None, 400, "No registered client with id 'nobody'"),
        ("GET", "/api/objectspecs/nobody", None, 400, "no registered client with id 'nobody'"),
        ("GET", f"/api/clients/{EP}/three", None, 400, "Invalid path:"),
        ("GET", f"/api/clients/{EP}/3/0/1/2/3", None, 400, "Invalid path:"),
        ("GET", f"/api/clients/{EP}/70000", None, 400, "Invalid path:"),
        ("GET", f"/api/clients/{EP}/3/-1", None, 400, "Invalid path:"),
        ("GET", f"/api/clients/{EP}/composite?paths=/3,three", None, 400, "Invalid path:"),
        ("GET", f"/api/clients/{EP}/composite", None, 400, "Invalid"),
        ("PUT", f"/api/clients/{EP}/3/0/15", b"{", 400, "Invalid request:"),
        ("PUT", f"/api/clients/{EP}/3/0/15", b"", 400, "Invalid request:"),
        ("PUT", f"/api/clients/{EP}/3/0/13", b'{"id":13,"type":"TIME","value":"noon"}', 400, "Invalid request:"),
        ("PUT", f"/api/clients/{EP}/3/0/15", b'{"id":15,"type":"SMELL","value":"x"}', 400, "Invalid request:"),
        ("PUT", f"/api/clients/{EP}/composite", b'{"/3/0/15": 7}', 400, "Invalid"),
        ("POST", f"/api/clients/{EP}/3303", b"[]", 400, "Invalid request:"),
        ("GET", f"/api/clients/{EP}/3/0?timeout=soon", None, 400, "Invalid"),
        ("GET", "/api/nothing", None, 404, ""),
        ("GET", "/api/event", None, 405, ""),
    ],
)
def test_errors(served: Stack, method: str, path: str, body: bytes | None, status: int, start: str) -> None:
    """One line that says what is wrong."""
    assert_plain(served.leshan(method, path, data=body), status, start)


def test_token(served: Stack) -> None:
    """Everything but the health check wants the token."""
    paths = ["/api/clients", "/api/event", "/api/security/clients", "/api/server/security", "/api/nothing"]
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {served.token}"}):
        for path in paths:
            answer = requests.get(
                served.leshan_url + path, headers={"Accept": "text/event-stream"} | headers, timeout=10
            )
            assert answer.status_code == 401, f"{path} {headers}"
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    health = requests.get(f"{served.leshan_url}/healthz", timeout=10)
    assert health.status_code == 200
    assert health.json()["status"] == "ok"
    assert served.token not in served.processes["leshan"].output()


def test_awake_window(served: Stack) -> None:
    """Per device; nonsense is refused."""
    assert served.leshan("PUT", served.client_path(EP, "/awake"), json={"seconds": 20}).status_code in {200, 204}
    for body in (b'{"seconds": -1}', b'{"seconds": "long"}', b"{}", b""):
        assert_plain(served.leshan("PUT", served.client_path(EP, "/awake"), data=body), 400)


def test_requests_to_a_device_that_has_gone(served: Stack) -> None:
    """200 of them wait; the next one, to a device that is there, does not. In the end each is a timeout."""
    fleet = served.start_fleet(name="leaving", count=1, endpoint="gone-{n}")
    served.wait_registered("gone-1")
    fleet.kill()

    def read(number: int) -> requests.Response:
        headers = {"Authorization": f"Bearer {served.token}"}
        path = served.client_path("gone-1", f"/3/0/{number % 20}?timeout=8")
        return requests.get(served.leshan_url + path, headers=headers, timeout=40)

    with ThreadPoolExecutor(200) as pool:
        started = time.monotonic()
        waiting = [pool.submit(read, number) for number in range(200)]
        answered = 0
        while time.monotonic() - started < 6:
            before = time.monotonic()
            assert ok(served, "GET", "/3/0/0", endpoint="sim-2")["value"] == "FlowNexus"
            assert len(served.leshan("GET", "/api/clients").json()) >= 4
            assert time.monotonic() - before < 1.5
            answered += 1
        assert answered > 3
        assert not any(request.done() for request in waiting)
        for request in waiting:
            assert_plain(request.result(), 504, "Request timeout")
        assert time.monotonic() - started < 20


# -- names


def test_nasty_name(served: Stack) -> None:
    """Operated like any other, with its certificate, and named right in events."""
    assert served.leshan("GET", served.client_path(NASTY)).json()["endpoint"] == NASTY
    assert ok(served, "GET", "/3/0/0", endpoint=NASTY)["value"] == "FlowNexus"
    start = served.head()
    ok(served, "POST", "/3/0/15/observe", endpoint=NASTY)
    ok(served, "PUT", "/3/0/15", json=text_node(15, "Asia/Tokyo"), endpoint=NASTY)
    wait_for(lambda: journaled_since(served, start, NASTY, "/3/0/15"), what="its notification")
    ok(served, "DELETE", "/3/0/15/observe?active", endpoint=NASTY)
    events = served.events(start, ep=NASTY)
    assert next(event for event in events if event.name != ":").data["ep"] == NASTY
    assert served.leshan("GET", f"/api/objectspecs/{quote(NASTY, safe='')}").json()
