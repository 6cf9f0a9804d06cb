"""A small HTTP server in Leshan's place: remembers what it was asked, and streams what a test tells it to."""

import contextlib
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

PAGE = b"<!DOCTYPE html><title>demo</title>"
# as large as the demo UI's scripts
BIG = b"".join(b"%07d," % number for number in range(200_000))
TOKEN = "the-right-token"


class Asked(NamedTuple):
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Leshan:
    """Answers on a port of its own until `close`."""

    def __init__(self, port: int = 0) -> None:
        self.asked: list[Asked] = []
        # what goes out on the event stream; None ends it
        self.events: queue.Queue[bytes | None] = queue.Queue()
        self.streams = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:
                pass

            def answer(self, status: int, content: bytes, **headers: str) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            def run(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.asked.append(Asked(self.command, self.path, dict(self.headers.items()), body))
                if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                    self.answer(401, b"no")
                elif self.path == "/":
                    self.answer(
                        200, PAGE, Content_Type="text/html; charset=utf-8", Set_Cookie="JSESSIONID=1", Server="Jetty",
                        Content_Security_Policy="default-src *", Cache_Control="no-cache",
                    )  # fmt: skip
                elif self.path.startswith("/api/event"):
                    self.stream()
                elif self.path == "/js/big.js":
                    self.answer(200, BIG, Content_Type="text/javascript", Cache_Control="private, max-age=3600")
                elif self.path == "/away":
                    self.answer(302, b"", Location="http://192.0.2.1/elsewhere")
                elif self.path == "/near":
                    self.answer(302, b"", Location="/js/app.js?x=1")
                else:
                    self.answer(200, b'{"path": "' + self.path.encode() + b'"}', Content_Type="application/json")

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = run

            def stream(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream;charset=utf-8")
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.flush()
                outer.streams += 1
                try:
                    while (data := outer.events.get()) is not None:
                        self.wfile.write(data)
                        self.wfile.flush()
                except OSError:
                    pass
                finally:
                    outer.streams -= 1
                    self.close_connection = True

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        """Ends the server; streams that are open end too."""
        for _ in range(self.streams):
            self.events.put(None)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        with contextlib.suppress(queue.Empty):
            while True:
                self.events.get_nowait()
