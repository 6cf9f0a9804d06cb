"""A LwM2M server's HTTP side whose event stream the test writes byte by byte."""

import contextlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.events import sequence


@dataclass(frozen=True)
class Request:
    """What a client has asked."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes


class FakeLeshan:
    """Answers like our server, or with `stock` like the M18 demo server: no ids, no samples, no times, no /healthz.

    With ids, a stream begins after the `Last-Event-ID`; without, with what is said from then on.
    """

    def __init__(self, *, stock: bool = False, journal: str = "fa4e") -> None:
        self.stock = stock
        self.journal = journal
        # endpoint → registration, and endpoint → path → node, for reads and observes
        self.clients: dict[str, dict[str, Any]] = {}
        self.nodes: dict[str, dict[str, dict[str, Any]]] = {}
        self.requests: list[Request] = []
        # (method, path) → (status, content) in place of the usual answer
        self.instead: dict[tuple[str, str], tuple[int, Any]] = {}
        self._said: list[bytes] = []
        self._ids: list[int] = []
        self._last = 0
        self._change = threading.Condition()
        self._streams: set[int] = set()
        self._cut: set[int] = set()
        self._ended = False
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                fake._serve(self)

            do_PUT = do_POST = do_DELETE = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                """Says nothing: the test looks at `requests`."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        """Starts listening."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        """Ends every stream and the server."""
        with self._change:
            self._ended = True
            self._change.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    # -- what the test does

    def say(self, name: str, data: Any) -> str:
        """One well-formed event; returns its id (empty for a stock server)."""
        return self.say_raw(name, json.dumps(data).encode())

    def say_raw(self, name: str, data: bytes, *, number: int | None = None) -> str:
        """One event with these bytes as its data; `number` in place of the next in sequence."""
        with self._change:
            if self.stock:
                event_id = ""
            else:
                number = self._last + 1 if number is None else number
                self._last = max(self._last, number)
                event_id = f"{self.journal}-{number}"
            head = f"event: {name}\n" + (f"id: {event_id}\n" if event_id else "")
            self._add(head.encode() + b"data: " + data + b"\n\n", number or 0)
        return event_id

    def say_bytes(self, raw: bytes) -> None:
        """Bytes that are no event: a piece of one, a comment."""
        with self._change:
            self._add(raw, self._last)

    def cut(self) -> None:
        """Breaks every stream that is open now, after what was said so far."""
        with self._change:
            self._cut |= self._streams
            self._change.notify_all()

    @property
    def streams(self) -> int:
        """How many event streams are open now."""
        with self._change:
            return len(self._streams - self._cut)

    def asked(self, method: str, path: str) -> list[Request]:
        """The requests with this method and (decoded) path."""
        return [request for request in list(self.requests) if request.method == method and request.path == path]

    def _add(self, raw: bytes, number: int) -> None:
        self._said.append(raw)
        self._ids.append(number)
        self._change.notify_all()

    # -- what it answers

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        url = urlsplit(handler.path)
        length = int(handler.headers.get("Content-Length") or 0)
        request = Request(
            handler.command,
            unquote(url.path),
            parse_qs(url.query, keep_blank_values=True),
            {name.lower(): value for name, value in handler.headers.items()},
            handler.rfile.read(length),
        )
        self.requests.append(request)
        with contextlib.suppress(ConnectionError):
            if request.path == "/api/event":
                self._stream(handler, request)
                return
            status, content = self._answer(request, [unquote(part) for part in url.path.split("/")[1:]])
            body = content.encode() if isinstance(content, str) else json.dumps(content).encode()
            handler.send_response(status)
            kind = "text/plain" if isinstance(content, str) else "application/json"
            handler.send_header("Content-Type", kind)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)

    def _answer(self, request: Request, parts: list[str]) -> tuple[int, Any]:
        if (request.method, request.path) in self.instead:
            return self.instead[request.method, request.path]
        match request.method, parts:
            case "GET", ["healthz"] if not self.stock:
                return 200, {"status": "ok", "journal": self.journal, "last": self._last}
            case "GET", ["api", "clients"]:
                return 200, list(self.clients.values())
            case "GET", ["api", "objectspecs", _]:
                return 200, []
            case "GET", ["api", "security", "clients"]:
                return 200, []
            case "PUT", ["api", "security", "clients"]:
                if self.stock and request.body.lstrip().startswith(b"["):
                    return 400, "Invalid request: expected an object"
                return 204, ""
            case "DELETE", ["api", "security", "clients", _]:
                return 204, ""
            case "PUT", ["api", "clients", _, "awake"] if not self.stock:
                return 204, ""
            case _, ["api", "clients", endpoint, *rest]:
                if endpoint not in self.clients:
                    return 400, f"No registered client with id '{endpoint}'"
                if not rest and request.method == "GET":
                    return 200, self.clients[endpoint]
                return self._device(request.method, endpoint, rest)
        return 404, "Not found"

    def _device(self, method: str, endpoint: str, rest: list[str]) -> tuple[int, Any]:
        observe = rest[-1:] == ["observe"]
        path = "/" + "/".join(rest[:-1] if observe else rest)
        node = self.nodes.get(endpoint, {}).get(path)
        if (method == "GET" or (method == "POST" and observe)) and node is not None:
            return 200, {
                "status": "CONTENT(205)", "valid": True, "success": True, "failure": False, "content": node,
            }  # fmt: skip
        return 200, {
            "status": "NOT_FOUND(404)", "valid": True, "success": False, "failure": True, "errormessage": "",
        }  # fmt: skip

    def _stream(self, handler: BaseHTTPRequestHandler, request: Request) -> None:
        last = request.headers.get("last-event-id") or request.query.get("lastEventId", [""])[0]
        with self._change:
            at = len(self._said)
            if last and not self.stock:
                known = [index for index, number in enumerate(self._ids) if number > sequence(last)]
                at = known[0] if known else at
            me = id(handler)
            self._streams.add(me)
        try:
            handler.send_response(200)
            handler.send_header("Content-Type", "text/event-stream")
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            while True:
                with self._change:
                    if len(self._said) == at and not (self._ended or me in self._cut):
                        self._change.wait(1)
                    chunks, ended = self._said[at:], self._ended or me in self._cut
                    at += len(chunks)
                    if not chunks and not self.stock:
                        chunks = [f": {self.journal}-{self._last}\n\n".encode()]
                for chunk in chunks:
                    handler.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
                if ended:
                    # no last chunk: the connection breaks in the middle of the response
                    handler.close_connection = True
                    return
        finally:
            with self._change:
                self._streams.discard(me)
                self._cut.discard(me)


def registration(endpoint: str, *, registration_id: str = "r1", date: int, **more: Any) -> dict[str, Any]:
    """A registration as both servers give it; `date` in milliseconds since 1970."""
    return {
        "endpoint": endpoint,
        "registrationId": registration_id,
        "registrationDate": date,
        "lastUpdate": date,
        "address": "127.0.0.1:40000",
        "lwM2mVersion": "1.1",
        "lifetime": 300,
        "bindingMode": "U",
        "rootPath": "/",
        "objectLinks": [{"url": "/3/0", "attributes": {}}, {"url": "/3303/0", "attributes": {"ver": "1.1"}}],
        "secure": True,
        "additionalRegistrationAttributes": {},
        "queuemode": False,
        "availableInstances": {"3": [0], "3303": [0]},
    } | more


def number_node(value: float, resource: int = 5700) -> dict[str, Any]:
    """The node of a FLOAT resource."""
    return {"kind": "singleResource", "id": resource, "type": "FLOAT", "value": repr(float(value))}


def notification(endpoint: str, value: float, *, time: int, path: str = "/3303/0/5700") -> dict[str, Any]:
    """A NOTIFICATION as ours sends it; `time` (the receive time) in milliseconds since 1970."""
    node = number_node(value, int(path.rsplit("/", 1)[1]))
    return {
        "ep": endpoint,
        "kind": "single",
        "res": path,
        "val": node,
        "time": time,
        "observe": int(value),
        "samples": [{"time": None, "nodes": {path: node}}],
    }
