import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import responses
from responses import matchers

from backend.config.leshan import Token
from backend.sync.client import PACKAGE_SECONDS, LeshanClient, segment
from backend.sync.exceptions import (
    AnswerTimeoutError,
    BadRequestError,
    DeviceError,
    DeviceSleepingError,
    DeviceTimeoutError,
    NotFoundError,
    NotRegisteredError,
    RequestFailedError,
    StreamEndedError,
    UnauthorisedError,
    UnavailableError,
    UnexpectedAnswerError,
    UnreachableError,
)
from tests.unit.sync.samples import REGISTRATION, node

URL = "http://127.0.0.1:8080"


@pytest.fixture
def leshan() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


@pytest.fixture
def client() -> LeshanClient:
    return LeshanClient(URL + "/", Token(text="secret"))


def test_registrations_as_a_stock_server_gives_them(leshan: responses.RequestsMock, client: LeshanClient) -> None:
    leshan.get(
        f"{URL}/api/clients", json=[REGISTRATION], match=[matchers.header_matcher({"Authorization": "Bearer secret"})]
    )
    (info,) = client.clients()
    assert (info.endpoint, info.lifetime, info.sleeping) == ("sim-1", 300, None)


@pytest.mark.parametrize("endpoint", ['a "b"', "a/b", "ü", "a b", "a%2Fb", "a?b#c", "urn:imei:1", "...", "+", ";=,"])
def test_any_endpoint_name_is_one_path_segment(
    leshan: responses.RequestsMock, client: LeshanClient, endpoint: str
) -> None:
    leshan.get(
        f"{URL}/api/clients/{segment(endpoint)}/3/0/9",
        json={
            "status": "CONTENT(205)",
            "valid": True,
            "success": True,
            "failure": False,
            "content": node(9, "INTEGER", "61"),
        },
    )
    assert client.read(endpoint, "/3/0/9").node == node(9, "INTEGER", "61")
    url = leshan.calls[0].request.url
    assert url is not None
    path = url.removeprefix(URL).split("?")[0]
    assert path.count("/") == 6
    assert path.isascii()


@pytest.mark.parametrize("endpoint", [".", ".."])
def test_names_that_no_url_can_carry(client: LeshanClient, endpoint: str) -> None:
    with pytest.raises(BadRequestError, match="cannot be part of a URL"):
        client.read(endpoint, "/3")


def test_an_error_of_the_device_is_http_200(leshan: responses.RequestsMock, client: LeshanClient) -> None:
    answer = {
        "status": "NOT_FOUND(404)",
        "valid": True,
        "success": False,
        "failure": True,
        "errormessage": "no such resource",
    }
    leshan.post(f"{URL}/api/clients/a/4/0/2/observe", json=answer)
    with pytest.raises(DeviceError) as caught:
        client.observe("a", "/4/0/2")
    assert (caught.value.code, caught.value.message) == ("NOT_FOUND(404)", "no such resource")
    assert str(caught.value) == "NOT_FOUND(404): no such resource"


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, "No registered client with id 'a'", NotRegisteredError),
        (400, "Invalid path: /x", BadRequestError),
        (401, "", UnauthorisedError),
        (403, "", UnauthorisedError),
        (404, "<html>", NotFoundError),
        (405, "", NotFoundError),
        (409, "SLEEPING", DeviceSleepingError),
        (413, "too long", BadRequestError),
        (500, "Request rejected", RequestFailedError),
        (500, "Unexpected exception: client is sleeping", DeviceSleepingError),
        (502, "", UnavailableError),
        (503, "no request can be accepted now", UnavailableError),
        (504, "Request timeout", DeviceTimeoutError),
        (302, "", UnexpectedAnswerError),
    ],
)
def test_http_errors(
    leshan: responses.RequestsMock, client: LeshanClient, status: int, body: str, error: type[Exception]
) -> None:
    leshan.get(f"{URL}/api/clients/a/3", body=body, status=status)
    with pytest.raises(error) as caught:
        client.read("a", "/3")
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)
    assert "<html>" not in str(caught.value)


@pytest.mark.parametrize("body", ["", "no", "[]", "{}", '{"success": "yes"}'])
def test_answers_that_make_no_sense(leshan: responses.RequestsMock, client: LeshanClient, body: str) -> None:
    leshan.get(f"{URL}/api/clients/a/3", body=body)
    with pytest.raises(UnexpectedAnswerError):
        client.read("a", "/3")
    leshan.get(f"{URL}/api/clients", body=body or "x")
    if body != "[]":
        with pytest.raises(UnexpectedAnswerError):
            client.clients()
    else:
        assert client.clients() == []


def test_nothing_but_unreadable_registrations_are_an_unexpected_answer(
    leshan: responses.RequestsMock, client: LeshanClient
) -> None:
    leshan.get(f"{URL}/api/clients", json=[{"endpoint": ""}])
    with pytest.raises(UnexpectedAnswerError, match="endpoint"):
        client.clients()


def test_an_unreadable_registration_among_others_is_left_out(
    leshan: responses.RequestsMock, client: LeshanClient
) -> None:
    leshan.get(f"{URL}/api/clients", json=[{**REGISTRATION, "lifetime": -1}, REGISTRATION])
    assert [info.endpoint for info in client.clients()] == [REGISTRATION["endpoint"]]


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (requests.ConnectTimeout(), UnreachableError),
        (requests.ReadTimeout(), AnswerTimeoutError),
        (requests.ConnectionError("refused"), UnreachableError),
        (requests.exceptions.ChunkedEncodingError("cut"), UnreachableError),
    ],
)
def test_no_answer_at_all(
    leshan: responses.RequestsMock, client: LeshanClient, raised: Exception, error: type[Exception]
) -> None:
    leshan.get(f"{URL}/api/clients", body=raised)
    with pytest.raises(error):
        client.clients()


def test_a_refused_token_is_read_again_from_its_file(leshan: responses.RequestsMock, tmp_path: Path) -> None:
    file = tmp_path / "token"
    client = LeshanClient(URL, Token(file=file))
    leshan.get(f"{URL}/api/clients", status=401)
    with pytest.raises(UnauthorisedError, match=str(file)):
        client.clients()
    assert "Authorization" not in leshan.calls[0].request.headers
    file.write_text("first\n")
    leshan.get(f"{URL}/api/clients", status=401)
    with pytest.raises(UnauthorisedError):
        client.clients()
    file.write_text("second\nrest\n")
    good = {"Authorization": "Bearer second"}
    leshan.replace(responses.GET, f"{URL}/api/clients", status=401)
    leshan.get(f"{URL}/api/clients", json=[], match=[matchers.header_matcher(good)])
    assert client.clients() == []


def test_health_of_an_own_and_of_a_stock_server(leshan: responses.RequestsMock, client: LeshanClient) -> None:
    leshan.get(f"{URL}/healthz", json={"status": "ok", "journal": "j", "first": 1, "last": 7})
    health = client.health()
    assert health is not None
    assert (health.journal, health.last) == ("j", 7)
    for answer in ({"status": 404}, {"body": "<html>"}, {"json": []}):
        leshan.replace(responses.GET, f"{URL}/healthz", **answer)  # type: ignore[arg-type]
        assert client.health() is None


def test_credentials(leshan: responses.RequestsMock, client: LeshanClient) -> None:
    stored = [
        {"endpoint": "a", "tls": {"mode": "X509"}},
        {"endpoint": "b", "tls": {"mode": "psk", "details": {"identity": "i"}}},
    ]
    leshan.get(f"{URL}/api/security/clients", json=stored)
    assert [entry["tls"]["mode"] for entry in client.credentials()] == ["x509", "psk"]
    leshan.put(f"{URL}/api/security/clients", status=204)
    client.credentials_put([{"endpoint": "a", "tls": {"mode": "x509"}}])
    client.credential_put({"endpoint": "a", "tls": {"mode": "x509"}})
    assert json.loads(leshan.calls[1].request.body or "") == [{"endpoint": "a", "tls": {"mode": "x509"}}]
    assert json.loads(leshan.calls[2].request.body or "") == {"endpoint": "a", "tls": {"mode": "x509"}}
    leshan.delete(f"{URL}/api/security/clients/a%2Fb", status=404)
    client.credential_delete("a/b")
    leshan.replace(responses.GET, f"{URL}/api/security/clients", json=[{"endpoint": "a"}])
    with pytest.raises(UnexpectedAnswerError):
        client.credentials()


def test_the_other_calls(leshan: responses.RequestsMock, client: LeshanClient) -> None:
    leshan.put(f"{URL}/api/clients/a/awake", status=204, match=[matchers.json_params_matcher({"seconds": 20})])
    client.awake_set("a", 20)
    leshan.delete(f"{URL}/api/clients/a/3/0/9/observe", status=204)
    client.observe_cancel("a", "/3/0/9")
    leshan.get(f"{URL}/api/objectspecs/a", json=[{"id": 3, "name": "Device"}])
    assert client.object_specs("a") == [{"id": 3, "name": "Device"}]
    leshan.replace(responses.GET, f"{URL}/api/objectspecs/a", json={})
    with pytest.raises(UnexpectedAnswerError):
        client.object_specs("a")


def test_the_event_stream(leshan: responses.RequestsMock, client: LeshanClient) -> None:
    leshan.get(
        f"{URL}/api/event",
        body=b": j-1\n\n",
        content_type="text/event-stream;charset=utf-8",
        match=[matchers.header_matcher({"Last-Event-ID": "j-1", "Accept": "text/event-stream"})],
    )
    stream = client.events(last_event_id="j-1")
    chunks = stream.chunks()
    assert next(chunks) == b": j-1\n\n"
    with pytest.raises((StreamEndedError, UnreachableError)):
        next(chunks)
    stream.close()


def test_something_that_is_no_event_stream(leshan: responses.RequestsMock, client: LeshanClient) -> None:
    leshan.get(f"{URL}/api/event", body="hello", content_type="text/html")
    with pytest.raises(UnexpectedAnswerError, match="is this Leshan"):
        client.events()


HASH = "ab" * 32


def test_a_package_is_streamed_from_its_file(
    leshan: responses.RequestsMock, client: LeshanClient, tmp_path: Path
) -> None:
    file = tmp_path / "image"
    file.write_bytes(b"firmware" * 1000)
    sent: list[bytes] = []

    def take(request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        assert request.headers["Content-Length"] == "8000"
        assert isinstance(request.body, bytes)
        sent.append(request.body)
        return 201, {}, ""

    leshan.add_callback(responses.PUT, f"{URL}/api/packages/{HASH}", callback=take)
    client.package_put(HASH, file)
    assert sent == [b"firmware" * 1000]
    with pytest.raises(FileNotFoundError):
        client.package_put(HASH, tmp_path / "gone")


def test_a_package_waits_for_a_slow_disk(leshan: responses.RequestsMock, client: LeshanClient, tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"x")
    # urllib3 takes the time for connecting for each piece of a body, too
    patience = matchers.request_kwargs_matcher({"timeout": (PACKAGE_SECONDS, PACKAGE_SECONDS)})
    leshan.put(f"{URL}/api/packages/{HASH}", status=201, match=[patience])
    client.package_put(HASH, tmp_path / "image")


@pytest.mark.parametrize(
    ("status", "text", "error"),
    [
        (400, "the body's SHA-256 is cd, not ab", BadRequestError),
        (413, "larger than 256 MiB", BadRequestError),
        (507, "no room on the disk", RequestFailedError),
        (503, "the disk takes nothing", UnavailableError),
    ],
)
def test_a_package_that_is_refused(
    leshan: responses.RequestsMock,
    client: LeshanClient,
    tmp_path: Path,
    status: int,
    text: str,
    error: type[Exception],
) -> None:
    (tmp_path / "image").write_bytes(b"x")
    leshan.put(f"{URL}/api/packages/{HASH}", status=status, body=text)
    with pytest.raises(error, match=text):
        client.package_put(HASH, tmp_path / "image")


def test_packages_that_are_there_and_those_that_are_not(leshan: responses.RequestsMock, client: LeshanClient) -> None:
    leshan.get(f"{URL}/api/packages/{HASH}", json={"sha256": HASH, "size": 3})
    leshan.get(f"{URL}/api/packages/{'cd' * 32}", status=404, body="no package")
    leshan.get(f"{URL}/api/packages", json=[{"sha256": HASH, "size": 3}])
    leshan.delete(f"{URL}/api/packages/{HASH}", status=404)
    assert client.package_has(HASH)
    assert not client.package_has("cd" * 32)
    assert client.packages() == {HASH: 3}
    client.package_delete(HASH)


def test_grants(leshan: responses.RequestsMock, client: LeshanClient) -> None:
    target = f"{URL}/api/clients/a%2Fb/grants/{HASH}"
    leshan.put(target, json={"uri": "coaps://h:5684/fw/t", "sha256": HASH, "size": 3})
    leshan.put(target, status=404, body="no package ab: PUT /api/packages/ab first")
    leshan.put(target, status=400, body="No registered client with id 'a/b'")
    leshan.delete(target, status=404)
    assert client.grant_put("a/b", HASH) == "coaps://h:5684/fw/t"
    with pytest.raises(NotFoundError):
        client.grant_put("a/b", HASH)
    with pytest.raises(NotRegisteredError):
        client.grant_put("a/b", HASH)
    client.grant_delete("a/b", HASH)
