"""What is too large is refused before Django takes it to disk."""

import asyncio
from typing import Any

import pytest
from django.urls import resolve, reverse

from backend.api.asgi import bodies_bounded
from backend.config.asgi import UPLOAD_PATHS

MOST = 1024 * 1024
UPLOAD = "/upload/"


class Exchange:
    """One request, and what became of it."""

    def __init__(
        self, chunks: list[bytes], *, announced: int | None, path: str = "/api/v1/x", cut: bool = False
    ) -> None:
        headers = [] if announced is None else [(b"content-length", str(announced).encode())]
        self.scope = {"type": "http", "path": path, "headers": headers}
        self.chunks = chunks
        self.cut = cut
        self.sent: list[Any] = []
        # what the application behind got
        self.body = b""
        self.disconnected = False

    async def receive(self) -> Any:
        if not self.chunks:
            return {"type": "http.disconnect"}
        chunk = self.chunks.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(self.chunks) or self.cut}

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    async def application(self, scope: Any, receive: Any, send: Any) -> None:
        """As Django: the whole body first, nothing at all after a disconnect."""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.disconnected = True
                return
            self.body += message["body"]
            if not message["more_body"]:
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})

    def run(self) -> int | None:
        bounded = bodies_bounded(self.application, usual=MOST, larger={UPLOAD: (2 * MOST, "raise it.")})
        asyncio.run(bounded(self.scope, self.receive, self.send))
        return self.sent[0]["status"] if self.sent else None


def test_what_fits_passes_as_it_is() -> None:
    for announced in (MOST, None):
        exchange = Exchange([b"x" * (MOST - 1), b"y"], announced=announced)
        assert exchange.run() == 200
        assert len(exchange.body) == MOST


@pytest.mark.parametrize("path", ["/api/v1/firmware/images", "/firmware/images/"])
def test_what_says_that_it_is_too_large_never_reaches_django(path: str) -> None:
    exchange = Exchange([b"x" * (MOST + 1)], announced=MOST + 1, path=path)
    assert exchange.run() == 413
    assert exchange.body == b""
    assert b"larger than 1 MiB" in exchange.sent[1]["body"]
    assert (b"application/json" in dict(exchange.sent[0]["headers"])[b"content-type"]) == path.startswith("/api/")


def test_what_does_not_say_so_is_cut_off() -> None:
    exchange = Exchange([b"x" * 65536] * 40, announced=None)
    assert exchange.run() == 413
    assert (exchange.disconnected, len(exchange.body)) == (True, MOST)


def test_what_never_ends_is_not_read_for_ever() -> None:
    exchange = Exchange([b"x" * 65536] * 1000, announced=10**9)
    assert exchange.run() == 413
    assert len(exchange.chunks) > 900


def test_who_goes_away_is_not_answered() -> None:
    exchange = Exchange([b"x" * 10], announced=100, cut=True)
    assert exchange.run() is None
    assert exchange.disconnected
    exchange = Exchange([b"x" * 10], announced=10**9, cut=True)
    assert exchange.run() is None


def test_only_an_upload_may_be_as_large_as_an_image() -> None:
    for announced in (2 * MOST, None):
        exchange = Exchange([b"x" * MOST, b"y" * MOST], announced=announced, path=UPLOAD)
        assert exchange.run() == 200
    assert Exchange([b"x" * MOST, b"y" * MOST], announced=None, path=UPLOAD + "x").run() == 413
    exchange = Exchange([b"x" * (2 * MOST), b"y"], announced=None, path=UPLOAD)
    assert exchange.run() == 413
    assert b"larger than 2 MiB" in exchange.sent[1]["body"]
    assert b"raise it." in exchange.sent[1]["body"]


def test_an_upload_whose_last_part_is_too_much_is_answered() -> None:
    # nothing comes after it but the end of the connection
    exchange = Exchange([b"x" * MOST, b"y"], announced=None)
    assert exchange.run() == 413
    assert exchange.chunks == []


def test_the_paths_of_uploads_are_those_that_take_them() -> None:
    page, api = UPLOAD_PATHS
    assert page == reverse("image-upload")
    assert resolve(api).kwargs == {}
