"""A small HTTP server that answers as Leshan does: for tests of the whole `sync` without Java."""

import hashlib
import json
import queue
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit


class FakeLeshan:
    """Answers are attributes; what was asked is in `asked` as (method, path, body)."""

    def __init__(self, *, journal: str | None = "j") -> None:
        """`journal` None: a stock server, without journal, health and arrays of credentials."""
        self.journal = journal
        self.token = ""
        self.clients: list[dict[str, Any]] = []
        self.credentials: dict[str, Any] = {}
        self.observed: Callable[[str], Any] = lambda path: None
        self.read: Callable[[str], Any] = lambda path: None
        self.specs: list[dict[str, Any]] = []
        self.asked: list[tuple[str, str, Any]] = []
        self.resumed: list[str] = []
        # requests through the journal: id → record, the order in which they came, and what the device says
        self.records: dict[str, dict[str, Any]] = {}
        self.started: list[tuple[str, str, str]] = []
        self.device: Callable[[str, str, Any], dict[str, Any] | None] = lambda method, path, body: None
        # what to answer to a request in place of accepting it: endpoint → (status, text)
        self.instead: dict[str, tuple[int, str]] = {}
        self.models: dict[tuple[str, str], bytes] = {}
        self.sequence = 1000
        self._lock = threading.Lock()
        self.on_request: Callable[[str, str], None] = lambda method, path: None
        # bytes to stream; None ends the connection
        self.stream: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._left = threading.Event()
        self._listener: BaseHTTPRequestHandler | None = None
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

            def handle_all(self) -> None:
                fake.handle(self)

            do_GET = do_PUT = do_POST = do_DELETE = handle_all

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends it."""
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def forget_listener(self) -> None:
        """What is put into the stream from now on is for the next one."""
        self._listener = None
        assert self._left.wait(5)

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        """One request."""
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        path = unquote(urlsplit(request.path).path)
        kind = request.headers.get("Content-Type", "")
        asked = json.loads(body) if body and kind == "application/json" else body.decode() or None
        if self.token and path != "/healthz" and request.headers.get("Authorization") != f"Bearer {self.token}":
            self._answer(request, 401, "")
            return
        self.asked.append((request.command, path, asked))
        if path == "/api/event":
            self.resumed.append(request.headers.get("Last-Event-ID") or "")
            self._events(request)
            return
        self._rest(request, path, asked)
        self.on_request(request.command, path)

    def _rest(self, request: BaseHTTPRequestHandler, path: str, body: Any) -> None:
        method = request.command
        request_id = request.headers.get("Request-Id")
        if request_id is not None:
            self._accept(request, request_id, path, body)
        elif path.startswith("/api/requests/"):
            self._record(request, path.removeprefix("/api/requests/"))
        elif path.startswith("/api/models"):
            self._model(request, path, body)
        elif path == "/healthz" and self.journal:
            self._answer(request, 200, {"status": "ok", "journal": self.journal, "first": 1, "last": 0})
        elif path == "/api/clients":
            self._answer(request, 200, self.clients)
        elif path.startswith("/api/objectspecs/"):
            self._answer(request, 200, self.specs)
        elif path == "/api/security/clients" and method == "GET":
            self._answer(request, 200, list(self.credentials.values()))
        elif path == "/api/security/clients" and isinstance(body, list) and self.journal is None:
            self._answer(request, 400, "Invalid: an object is expected")
        elif path == "/api/security/clients":
            for entry in body if isinstance(body, list) else [body]:
                self.credentials[entry["endpoint"]] = entry
            self._answer(request, 204, "")
        elif path.startswith("/api/security/clients/"):
            self.credentials.pop(path.removeprefix("/api/security/clients/"), None)
            self._answer(request, 204, "")
        elif path.endswith("/awake") and self.journal:
            self._answer(request, 204, "")
        elif path.endswith("/observe") or (path.startswith("/api/clients/") and method == "GET"):
            target = "/" + path.removesuffix("/observe").removeprefix("/api/clients/").partition("/")[2]
            content = (self.observed if method == "POST" else self.read)(target)
            if content is None:
                self._answer(request, 200, {"status": "NOT_FOUND(404)", "success": False, "errormessage": ""})
            else:
                self._answer(request, 200, {"status": "CONTENT(205)", "success": True, "content": content})
        else:
            self._answer(request, 404, "<html>")

    def _accept(self, request: BaseHTTPRequestHandler, request_id: str, path: str, body: Any) -> None:
        endpoint, _, rest = path.removeprefix("/api/clients/").partition("/")
        with self._lock:
            known = self.records.get(request_id)
            if known is not None:
                self._answer(request, 202 if known["state"] == "pending" else 200, known)
                return
            if endpoint in self.instead:
                self._answer(request, *self.instead[endpoint])
                return
            record = {"requestId": request_id, "ep": endpoint, "path": f"/{rest}", "state": "pending", "accepted": 1}
            self.records[request_id] = record
            self.started.append((endpoint, request.command, f"/{rest}"))
            said = self.device(request.command, f"/{rest}", body)
            self._answer(request, 202, record)
        if said is not None:
            self.end(request_id, "answered", response=said)

    def end(self, request_id: str, outcome: str, *, tell: bool = True, **more: Any) -> None:
        """A request ends; with `tell` the stream says so."""
        with self._lock:
            record = self.records[request_id]
            record |= {
                "state": "ended",
                "outcome": outcome,
                "time": 1_795_368_850_000,
                "duration": 7,
                "sent": True,
            } | more
            self.sequence += 1
            said = {key: value for key, value in record.items() if key not in {"state", "accepted"}} | {"delayed": True}
            raw = f"id: {self.journal}-{self.sequence}\nevent: REQUEST_RESPONSE\ndata: {json.dumps(said)}\n\n"
            if tell:
                self.stream.put(raw.encode())

    def _record(self, request: BaseHTTPRequestHandler, request_id: str) -> None:
        record = self.records.get(request_id)
        if record is None:
            self._answer(request, 404, "no such request")
        elif request.command == "DELETE" and record["state"] == "pending":
            self._answer(request, 202, record)
            self.end(request_id, "cancelled")
        else:
            self._answer(request, 200, record)

    def _model(self, request: BaseHTTPRequestHandler, path: str, body: Any) -> None:
        if self.journal is None:
            self._answer(request, 404, "<html>")
            return
        key = tuple(path.removeprefix("/api/models").strip("/").split("/"))
        if request.command == "GET":
            rows = [
                {"id": int(id_), "version": version, "name": "x", "sha256": hashlib.sha256(xml).hexdigest()}
                for (id_, version), xml in self.models.items()
            ]
            self._answer(request, 200, rows)
        elif request.command == "DELETE":
            self.models.pop((key[0], key[1]), None)
            self._answer(request, 204, "")
        elif "bad" in str(body):
            self._answer(request, 400, "Invalid definition: line 3: no name")
        else:
            self.models[key[0], key[1]] = str(body).encode()
            self._answer(request, 204, "")

    @staticmethod
    def _answer(request: BaseHTTPRequestHandler, status: int, answer: Any) -> None:
        if status == 204:
            request.send_response(204)
            request.end_headers()
            return
        body = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def _events(self, request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "text/event-stream")
        request.send_header("Connection", "close")
        request.end_headers()
        request.close_connection = True
        # an earlier listener may be gone without our noticing: it must not take what is for the next one
        self._listener = request
        self._left.clear()
        while not self._ended.is_set() and self._listener is request:
            try:
                chunk = self.stream.get(timeout=0.05)
            except queue.Empty:
                continue
            if chunk is None:
                break
            request.wfile.write(chunk)
            request.wfile.flush()
        self._left.set()
