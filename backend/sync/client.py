"""HTTP to Leshan: the one place that knows its addresses and answers. Safe for use by several threads."""

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import IncompleteRead
from pathlib import Path
from typing import Any, BinaryIO, NotRequired, TypedDict
from urllib.parse import quote

import orjson
import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, ReadTimeoutError

from backend.config.leshan import Token
from backend.lwm2m.registrations import RegistrationError, RegistrationInfo, registration_parse
from backend.sync.calls import Call, attributes_query
from backend.sync.exceptions import (
    AnswerTimeoutError,
    BadRequestError,
    DeviceError,
    DeviceSleepingError,
    DeviceTimeoutError,
    LeshanError,
    NotFoundError,
    NotRegisteredError,
    RequestFailedError,
    StreamEndedError,
    StreamSilentError,
    UnauthorisedError,
    UnavailableError,
    UnexpectedAnswerError,
    UnreachableError,
)

log = logging.getLogger(__name__)

CONNECT_SECONDS = 3.05
# what Leshan needs beside the device's own time to answer
MARGIN_SECONDS = 5.0
# Leshan answers these at once, when its disk has them
ASYNC_SECONDS = 10.0
# its disk may be slow: for so long it may take no byte of a package, and as long to answer when it has the last
PACKAGE_SECONDS = 60.0
STREAM_CHUNK = 65536


class Details(TypedDict, total=False):
    """A credential's secret part; an own server tells the identity only."""

    identity: str
    key: str


class Tls(TypedDict):
    """How the endpoint proves who it is: `x509`, `psk`, `rpk`, `nosec`."""

    mode: str
    details: NotRequired[Details]
    certificates: NotRequired[list[str]]


class CredentialJson(TypedDict):
    """One entry of Leshan's security store."""

    endpoint: str
    tls: Tls


@dataclass(frozen=True, slots=True)
class Health:
    """What `/healthz` of an own server tells."""

    journal: str
    last: int


@dataclass(frozen=True, slots=True)
class Content:
    """A device's successful answer; `node` is None where it carries no content."""

    status: str
    node: dict[str, Any] | None


class EventStream:
    """An open event stream: chunks of bytes as they come."""

    def __init__(self, response: requests.Response, silence: float) -> None:
        """`silence`: seconds without a byte after which the connection counts as dead."""
        self._response = response
        self._silence = silence

    def chunks(self) -> Iterator[bytes]:
        """Yields until the stream breaks: StreamEndedError, StreamSilentError or UnreachableError."""
        raw = self._response.raw
        while True:
            try:
                chunk: bytes = raw.read1(STREAM_CHUNK)
            except (ReadTimeoutError, TimeoutError):
                raise StreamSilentError(f"nothing heard from Leshan for {self._silence:g} s") from None
            except (AttributeError, ValueError):
                # what urllib3 makes of a connection that is cut between or within chunks
                raise UnreachableError("the event stream broke off") from None
            except (HTTPError, OSError) as error:
                raise UnreachableError(f"the event stream broke: {reason(error)}") from None
            if not chunk:
                raise StreamEndedError("Leshan ended the event stream")
            yield chunk

    def close(self) -> None:
        """Gives the connection up."""
        self._response.close()


class LeshanClient:
    """Requests to one Leshan server. Each thread has its own Session."""

    def __init__(self, url: str, token: Token) -> None:
        """`url` without a slash at the end, such as `http://127.0.0.1:8080`."""
        self.url = url.rstrip("/")
        self._token = token
        self._local = threading.local()

    # -- the server itself

    def health(self) -> Health | None:
        """The journal and its last sequence; None where the server is a stock one without `/healthz`."""
        try:
            answer = self._json("GET", "/healthz")
        except (NotFoundError, BadRequestError, UnexpectedAnswerError):
            return None
        if not isinstance(answer, dict) or not isinstance(answer.get("journal"), str):
            return None
        last = answer.get("last")
        return Health(journal=answer["journal"], last=last if isinstance(last, int) else 0)

    def events(self, *, last_event_id: str = "", silence: float = 15.0) -> EventStream:
        """Opens the event stream, behind `last_event_id` where one is given, else live."""
        headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity", "Cache-Control": "no-cache"}
        if last_event_id:
            headers["Last-Event-ID"] = last_event_id
        response = self._send("GET", "/api/event", headers=headers, timeout=silence, stream=True)
        kind = response.headers.get("Content-Type", "")
        if not kind.startswith("text/event-stream"):
            response.close()
            raise UnexpectedAnswerError(f"{self.url}/api/event answers with {kind or 'no type'}: is this Leshan?")
        return EventStream(response, silence)

    def clients(self) -> list[RegistrationInfo]:
        """Every registration that can be read; UnexpectedAnswerError where none can."""
        answer = self._json("GET", "/api/clients", timeout=60.0)
        if not isinstance(answer, list):
            raise UnexpectedAnswerError("/api/clients is not an array")
        found: list[RegistrationInfo] = []
        problem = ""
        for item in answer:
            try:
                found.append(registration_parse(item))
            except RegistrationError as error:
                problem = problem or str(error)
        if problem and not found:
            raise UnexpectedAnswerError(f"/api/clients: {problem}")
        if problem:
            # one odd device must not keep all others from being compared
            log.warning("/api/clients: %d of %d left out: %s", len(answer) - len(found), len(answer), problem)
        return found

    # -- credentials

    def credentials(self) -> list[CredentialJson]:
        """The security store's entries; an own server leaves the keys out."""
        answer = self._json("GET", "/api/security/clients", timeout=30.0)
        if not isinstance(answer, list):
            raise UnexpectedAnswerError("/api/security/clients is not an array")
        entries: list[CredentialJson] = []
        for item in answer:
            tls = item.get("tls") if isinstance(item, dict) else None
            if not isinstance(tls, dict) or not isinstance(item.get("endpoint"), str):
                raise UnexpectedAnswerError("/api/security/clients has an entry without endpoint or tls")
            entries.append({"endpoint": item["endpoint"], "tls": {**tls, "mode": str(tls.get("mode", "")).lower()}})  # type: ignore[typeddict-item]
        return entries

    def credentials_put(self, entries: Sequence[CredentialJson]) -> None:
        """Stores all entries at once. A stock server refuses the array: BadRequestError or RequestFailedError."""
        self._send("PUT", "/api/security/clients", body=orjson.dumps(list(entries)), timeout=60.0)

    def credential_put(self, entry: CredentialJson) -> None:
        """Stores one entry."""
        self._send("PUT", "/api/security/clients", body=orjson.dumps(entry))

    def credential_delete(self, endpoint: str) -> None:
        """Removes an entry; one that is not there is no error."""
        try:
            self._send("DELETE", f"/api/security/clients/{segment(endpoint)}")
        except NotFoundError:
            return

    # -- devices; `timeout` is the device's, in seconds

    def read(self, endpoint: str, path: str, *, timeout: float = 5.0) -> Content:
        """Reads a path."""
        return self._device("GET", endpoint, path, timeout=timeout)

    def observe(self, endpoint: str, path: str, *, timeout: float = 5.0) -> Content:
        """Starts an observation; the content is the current value."""
        return self._device("POST", endpoint, f"{path}/observe", timeout=timeout)

    def observe_cancel(self, endpoint: str, path: str, *, timeout: float = 5.0) -> None:
        """Ends an observation the passive way: the next notification is answered with a reset."""
        self._send("DELETE", f"{self._client(endpoint)}{path}/observe", timeout=timeout + MARGIN_SECONDS)

    def observe_composite(self, endpoint: str, paths: Sequence[str], *, timeout: float = 5.0) -> Content:
        """Starts one observation of several paths; the content is a node by path."""
        return self._device("POST", endpoint, "/composite/observe", timeout=timeout, paths=",".join(paths))

    def observe_composite_cancel(self, endpoint: str, paths: Sequence[str], *, timeout: float = 5.0) -> None:
        """Ends an observation of exactly these paths the passive way."""
        target = f"{self._client(endpoint)}/composite/observe"
        self._send("DELETE", target, params={"paths": ",".join(paths)}, timeout=timeout + MARGIN_SECONDS)

    def attributes_write(
        self, endpoint: str, path: str, attributes: Mapping[str, float | None], *, timeout: float = 5.0
    ) -> None:
        """Sets notification attributes; None unsets one."""
        self._device("PUT", endpoint, f"{path}/attributes?{attributes_query(attributes)}", timeout=timeout)

    # -- requests through the journal (docs/leshan-api.md, "Requests")

    def request_start(self, endpoint: str, request_id: str, call: Call) -> dict[str, Any]:
        """Gives Leshan a request to carry out; its record, at once. The same id again starts nothing new.

        Raises DeviceSleepingError, NotRegisteredError or another LeshanError where Leshan did not accept it; after an
        UnavailableError or UnauthorisedError it may have.
        """
        headers = {"Prefer": "respond-async", "Request-Id": request_id, "Content-Type": call.content_type}
        target = self._client(endpoint) + call.target
        response = self._send(call.method, target, headers=headers, body=call.body, timeout=ASYNC_SECONDS)
        return self._record(response, f"{call.method} {call.target}")

    def request_record(self, request_id: str) -> dict[str, Any] | None:
        """The record of a request; None where Leshan has none."""
        try:
            response = self._send("GET", f"/api/requests/{segment(request_id)}", timeout=ASYNC_SECONDS)
        except NotFoundError:
            return None
        return self._record(response, "GET /api/requests")

    def request_cancel(self, request_id: str) -> dict[str, Any] | None:
        """Takes a request back: its record where it had ended already, {} where it will end, None: Leshan has none."""
        try:
            response = self._send("DELETE", f"/api/requests/{segment(request_id)}", timeout=ASYNC_SECONDS)
        except NotFoundError:
            return None
        return {} if response.status_code == 202 else self._record(response, "DELETE /api/requests")

    @staticmethod
    def _record(response: requests.Response, what: str) -> dict[str, Any]:
        try:
            record = orjson.loads(response.content)
        except orjson.JSONDecodeError:
            record = None
        if not isinstance(record, dict) or record.get("state") not in {"pending", "ended"}:
            raise UnexpectedAnswerError(f"{what}: no record of a request but {response.text[:80]!r}")
        return record

    # -- object models (own server only)

    def models(self) -> dict[tuple[int, str], str]:
        """(object, version) → SHA-256 of the definitions that were given to Leshan. NotFoundError: it takes none."""
        answer = self._json("GET", "/api/models")
        if not isinstance(answer, list) or not all(isinstance(item, dict) for item in answer):
            raise UnexpectedAnswerError("/api/models is not an array of objects")
        return {(int(item["id"]), str(item["version"])): str(item.get("sha256")) for item in answer}

    def model_put(self, object_id: int, version: str, xml: bytes) -> None:
        """Gives a definition. Raises BadRequestError with Leshan's reason where it refuses it."""
        headers = {"Content-Type": "application/xml"}
        self._send("PUT", f"/api/models/{object_id}/{segment(version)}", headers=headers, body=xml, timeout=30.0)

    def model_delete(self, object_id: int, version: str) -> None:
        """Takes one back; one that is not there is no error."""
        try:
            self._send("DELETE", f"/api/models/{object_id}/{segment(version)}")
        except NotFoundError:
            return

    # -- firmware packages (own server only)

    def packages(self) -> dict[str, int]:
        """SHA-256 → bytes of the packages that Leshan has."""
        answer = self._json("GET", "/api/packages")
        if not isinstance(answer, list) or not all(isinstance(item, dict) for item in answer):
            raise UnexpectedAnswerError("/api/packages is not an array of objects")
        return {str(item.get("sha256")): int(item.get("size") or 0) for item in answer}

    def package_has(self, sha256: str) -> bool:
        """Does Leshan have this package, whole?"""
        try:
            self._send("GET", f"/api/packages/{segment(sha256)}")
        except NotFoundError:
            return False
        return True

    def package_put(self, sha256: str, path: Path) -> None:
        """Gives Leshan a package, streamed from its file.

        Raises BadRequestError (such as: too large, another hash), RequestFailedError (such as: no room on its disk),
        and OSError where the file cannot be read.
        """
        headers = {"Content-Type": "application/octet-stream"}
        with path.open("rb") as file:
            self._send(
                "PUT",
                f"/api/packages/{segment(sha256)}",
                headers=headers,
                body=file,
                timeout=PACKAGE_SECONDS,
                sending=PACKAGE_SECONDS,
            )

    def package_delete(self, sha256: str) -> None:
        """Takes a package back, with its grants; one that is not there is no error."""
        try:
            self._send("DELETE", f"/api/packages/{segment(sha256)}")
        except NotFoundError:
            return

    def grant_put(self, endpoint: str, sha256: str) -> str:
        """Lets the device fetch the package; the URI to write to its 5/x/1. The same again gives the same URI.

        Raises NotFoundError where there is no such package, NotRegisteredError.
        """
        answer = self._json("PUT", f"{self._client(endpoint)}/grants/{segment(sha256)}")
        uri = answer.get("uri") if isinstance(answer, dict) else None
        if not isinstance(uri, str) or not uri:
            raise UnexpectedAnswerError("the answer to a grant has no 'uri'")
        return uri

    def grant_delete(self, endpoint: str, sha256: str) -> None:
        """The device may fetch the package no longer; a grant that is not there is no error."""
        try:
            self._send("DELETE", f"{self._client(endpoint)}/grants/{segment(sha256)}")
        except NotFoundError:
            return

    # -- devices' awake windows and models

    def write(self, endpoint: str, path: str, node: Mapping[str, Any], *, timeout: float = 5.0) -> None:
        """Writes a resource; `node` as in the contract's "Nodes"."""
        self._device("PUT", endpoint, path, timeout=timeout, body=orjson.dumps(node))

    def decode(self, endpoint: str, message: Mapping[str, Any]) -> dict[str, Any]:
        """Decodes a message that was kept raw, with the models of now (own server only).

        Raises BadRequestError where it still cannot be understood.
        """
        path = f"{self._client(endpoint)}/decode"
        answer = self._answer("POST", path, self._send("POST", path, body=orjson.dumps(message), timeout=30.0))
        if not isinstance(answer, dict):
            raise UnexpectedAnswerError(f"{path}: not an object")
        return answer

    def awake_set(self, endpoint: str, seconds: int) -> None:
        """Sets how long the device is taken to be awake after its last message (own server only)."""
        self._send("PUT", f"{self._client(endpoint)}/awake", body=orjson.dumps({"seconds": seconds}))

    def object_specs(self, endpoint: str) -> list[dict[str, Any]]:
        """The definitions of the objects that the endpoint lists."""
        answer = self._json("GET", f"/api/objectspecs/{segment(endpoint)}", timeout=30.0)
        if not isinstance(answer, list) or not all(isinstance(item, dict) for item in answer):
            raise UnexpectedAnswerError("/api/objectspecs is not an array of objects")
        return answer

    # -- below

    def _client(self, endpoint: str) -> str:
        return f"/api/clients/{segment(endpoint)}"

    def _device(
        self, method: str, endpoint: str, path: str, *, timeout: float, body: bytes | None = None, **parameters: str
    ) -> Content:
        answer = self._json(
            method,
            self._client(endpoint) + path,
            params={"timeout": f"{timeout:g}", **parameters},
            timeout=timeout + MARGIN_SECONDS,
            body=body,
        )
        if not isinstance(answer, dict) or not isinstance(answer.get("success"), bool):
            raise UnexpectedAnswerError(f"{path}: the answer has no 'success'")
        status = str(answer.get("status") or "no status")
        if not answer["success"]:
            raise DeviceError(status, str(answer.get("errormessage") or ""))
        content = answer.get("content")
        return Content(status=status, node=content if isinstance(content, dict) else None)

    def _json(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        timeout: float = 10.0,
        body: bytes | None = None,
    ) -> Any:
        return self._answer(method, path, self._send(method, path, params=params, timeout=timeout, body=body))

    @staticmethod
    def _answer(method: str, path: str, response: requests.Response) -> Any:
        try:
            return orjson.loads(response.content)
        except orjson.JSONDecodeError:
            raise UnexpectedAnswerError(f"{method} {path}: not JSON but {response.text[:80]!r}") from None

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | BinaryIO | None = None,
        timeout: float = 10.0,
        # urllib3 has one limit for connecting and for each piece of the body
        sending: float = CONNECT_SECONDS,
        stream: bool = False,
    ) -> requests.Response:
        token = self._token.value()
        for attempt in (1, 2):
            if body is not None and not isinstance(body, bytes):
                body.seek(0)
            try:
                response = self._session().request(
                    method,
                    self.url + path,
                    params=params,
                    headers=self._headers(token, headers, body),
                    data=body,
                    timeout=(sending, timeout),
                    stream=stream,
                    allow_redirects=False,
                )
            except requests.ConnectTimeout:
                raise UnreachableError(f"no connection to Leshan at {self.url} in {sending:.0f} s") from None
            except requests.Timeout:
                raise AnswerTimeoutError(f"Leshan did not answer {method} {path} in {timeout:g} s") from None
            except requests.ConnectionError as error:
                raise UnreachableError(f"Leshan is not reachable at {self.url}: {reason(error)}") from None
            except requests.RequestException as error:
                raise UnreachableError(f"{method} {path}: {reason(error)}") from None
            if response.status_code not in {401, 403} or attempt == 2 or not self._token.refresh(token):
                break
            response.close()
            token = self._token.value()
        if response.status_code < 300:
            return response
        raise self._error(response, f"{method} {path}")

    def _error(self, response: requests.Response, what: str) -> LeshanError:
        try:
            text = response.content[:2000].decode("utf-8", "replace").strip()
        except (requests.RequestException, HTTPError, OSError):
            text = ""
        line = "" if text.startswith("<") else (text.splitlines() or [""])[0][:300]
        said = line or f"HTTP {response.status_code}"
        status = response.status_code
        if status in {401, 403}:
            return UnauthorisedError(f"Leshan refuses our token (HTTP {status}): check {self._token.source}")
        if status in {502, 503}:
            # it cannot now, and says so: such as while its disk takes nothing
            return UnavailableError(f"Leshan cannot do {what} now (HTTP {status}): {said}")
        if status == 504:
            return DeviceTimeoutError(line or "the device did not answer in time")
        if status == 409 and "SLEEPING" in line.upper():
            return DeviceSleepingError(line)
        if "sleeping" in line.lower():
            return DeviceSleepingError(line)
        if "no registered client" in line.lower():
            return NotRegisteredError(line)
        error: LeshanError
        if status in {404, 405}:
            error = NotFoundError(f"{what}: {said}")
        elif 400 <= status < 500:
            error = BadRequestError(f"{what}: {said}")
        elif status >= 500:
            error = RequestFailedError(f"{what}: {said}")
        else:
            error = UnexpectedAnswerError(f"{what}: HTTP {status}")
        error.said = line
        return error

    @staticmethod
    def _headers(token: str, extra: Mapping[str, str] | None, body: bytes | BinaryIO | None) -> dict[str, str]:
        headers = dict(extra or {})
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        return headers

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            # the environment's proxies and .netrc must never come between us and Leshan
            session.trust_env = False
            session.mount("http://", HTTPAdapter(max_retries=0))
            self._local.session = session
        return session


def segment(endpoint: str) -> str:
    """An endpoint name as one path segment. Raises BadRequestError on "." and "..", which no URL can carry."""
    if endpoint in {".", ".."}:
        raise BadRequestError(f"the endpoint name {endpoint!r} cannot be part of a URL")
    return quote(endpoint, safe="")


def reason(error: BaseException) -> str:
    """The innermost cause in a few words."""
    cause: BaseException = error
    while True:
        inner = cause.__cause__ or getattr(cause, "reason", None) or cause.__context__
        if not isinstance(inner, BaseException) or inner is cause:
            break
        cause = inner
    if isinstance(cause, IncompleteRead):
        return "the connection was cut"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror.lower()
    return (str(cause).splitlines() or [""])[0][:200] or type(cause).__name__
