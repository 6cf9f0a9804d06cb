"""A receiver of webhooks and a mail server, on loopback."""

import select
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Hook:
    """What came, and what is answered: the next of `answers`, then 204."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.url = ""


@contextmanager
def hook() -> Iterator[Hook]:
    """A running receiver."""
    sink = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            sink.requests.append((self.path, dict(self.headers), body))
            status, headers = sink.answers.pop(0) if sink.answers else (204, {})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST

        def log_message(self, format: str, *arguments: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    sink.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield sink
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Mailbox:
    """Mails as they came: (recipients, data)."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], str]] = []
        self.port = 0
        # the answer to MAIL FROM, where the server is out of sorts
        self.refusals: list[str] = []


@contextmanager
def mail_server() -> Iterator[Mailbox]:
    """A mail server that takes everything (RFC 5321, as far as a client needs it)."""
    box = Mailbox()

    class Handler(socketserver.StreamRequestHandler):
        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def handle(self) -> None:
            self.say("220 sink")
            to: list[str] = []
            for line in iter(self.rfile.readline, b""):
                text = line.decode().strip()
                word = text[:4].upper()
                if word == "DATA":
                    self.say("354 go on")
                    data = []
                    for part in iter(self.rfile.readline, b".\r\n"):
                        data.append(part.decode())
                    box.mails.append((to, "".join(data)))
                    to = []
                    self.say("250 ok")
                elif word == "QUIT":
                    self.say("221 bye")
                    return
                elif word == "MAIL" and box.refusals:
                    self.say(box.refusals.pop(0))
                else:
                    if word == "RCPT":
                        to.append(text.partition("<")[2].rstrip(">"))
                    self.say("250 ok")

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    box.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield box
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Dripping:
    """A server that never ends its answer; `left` says that the other side has closed the connection."""

    def __init__(self) -> None:
        self.port = 0
        self.left = threading.Event()
        self.sent = 0


@contextmanager
def dripping(first: bytes, drop: bytes, *, drops: int = 150, last: bytes = b"") -> Iterator[Dripping]:
    """Answers the first bytes with `first`, and then `drop` by `drop`: a pause between them is shorter than a timeout.

    So many drops at most, so that a test ends that nobody else would end. A mail server speaks first: `first` is "".
    """
    server = Dripping()

    def serve() -> None:
        try:
            peer, _ = listening.accept()
        except OSError:
            return
        with peer:
            try:
                if first:
                    peer.recv(65536)
                peer.sendall(first)
                for _ in range(drops):
                    if select.select([peer], [], [], 0.02)[0] and not peer.recv(65536):
                        server.left.set()
                        return
                    peer.sendall(drop)
                    server.sent += len(drop)
                peer.sendall(last)
            except OSError:
                server.left.set()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server.port = listening.getsockname()[1]
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server
        finally:
            listening.close()
            thread.join()
