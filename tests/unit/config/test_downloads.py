"""Downloads: only so many at once, and the count goes down however one ends."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.test import AsyncRequestFactory, Client, RequestFactory
from django.urls import include, path
from pytest_django import Settings

from backend.config import streaming
from backend.config.streaming import TooManyDownloadsError, download, downloads_running
from backend.telemetry import parquet
from backend.telemetry.export import Selection
from tests.support.waiting import wait_for
from tests.unit.api.builders import user

pytestmark = pytest.mark.django_db

made: list["Chunks"] = []


class Chunks:
    """Pieces that never end, unless they fail at one."""

    def __init__(self, fails_at: int | None = None, ends_at: int | None = None) -> None:
        self.count = 0
        self.fails_at, self.ends_at = fails_at, ends_at
        self.closed = threading.Event()
        made.append(self)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self.count += 1
        if self.count == self.fails_at:
            raise OSError("no more")
        if self.count == self.ends_at:
            raise StopIteration
        return b"piece\n"

    def close(self) -> None:
        self.closed.set()


def answer(request: HttpRequest, **options: Any) -> HttpResponseBase:
    return download(request, Chunks(**options), content_type="text/plain", file_name="a.txt")


def fails(request: HttpRequest) -> HttpResponseBase:
    return answer(request, fails_at=3)


def ends(request: HttpRequest) -> HttpResponseBase:
    return answer(request, ends_at=3)


def lost(request: HttpRequest) -> HttpResponseBase:
    answer(request)
    raise ValueError("after it was made")


urlpatterns = [
    path("for-ever", answer),
    path("fails", fails),
    path("ends", ends),
    path("lost", lost),
    path("", include("backend.config.urls")),
]


@pytest.fixture(autouse=True)
def one_at_once(settings: Settings) -> Iterator[None]:
    settings.DOWNLOADS = 1
    made.clear()
    assert downloads_running() == 0
    yield
    gc.collect()
    wait_for(lambda: downloads_running() == 0, what="the end of all downloads")


class Visitor:
    """A request to the app as uvicorn makes it."""

    def __init__(self, where: str, *, stays: Callable[[int], bool] = lambda _: True, reads: bool = True) -> None:
        """`stays`: is it still there after so many pieces? `reads`: does it take more than the first piece?"""
        self.where, self.stays, self.reads = where, stays, reads
        self.pieces = 0
        self.asked = False
        self.status = 0
        self.gone = asyncio.Event()

    async def receive(self) -> Any:
        if not self.asked:
            self.asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message.get("body"):
            self.pieces += 1
        if not self.reads and self.pieces:
            await asyncio.Event().wait()
        if not self.stays(self.pieces):
            self.gone.set()
        await asyncio.sleep(0)

    async def visit(self) -> None:
        scope = {"type": "http", "method": "GET", "path": self.where, "query_string": b"", "headers": []}
        await ASGIHandler()(scope, self.receive, self.send)


def visit(settings: Settings, where: str, **how: Any) -> Visitor:
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = []
    settings.ALLOWED_HOSTS = ["*"]

    async def run() -> Visitor:
        visitor = Visitor(where, **how)
        await asyncio.wait_for(visitor.visit(), 20)
        return visitor

    return asyncio.run(run())


def all_ended() -> None:
    wait_for(lambda: downloads_running() == 0, what="the end of the download")
    assert made[-1].closed.wait(10)


def test_one_that_is_finished(settings: Settings) -> None:
    assert visit(settings, "/ends").pieces == 2
    all_ended()


def test_a_client_that_leaves_in_the_middle(settings: Settings) -> None:
    assert visit(settings, "/for-ever", stays=lambda pieces: pieces < 5).pieces >= 5
    all_ended()


def test_a_client_that_leaves_before_the_first_piece(settings: Settings) -> None:
    visit(settings, "/for-ever", stays=lambda _: False)
    all_ended()


def test_a_client_that_takes_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "PATIENCE", 0.05)
    assert visit(settings, "/for-ever", reads=False).pieces == 1
    all_ended()


def test_one_that_fails_midway(settings: Settings) -> None:
    with pytest.raises(OSError, match="no more"):
        visit(settings, "/fails")
    all_ended()


def test_a_view_that_fails_after_it(settings: Settings) -> None:
    assert visit(settings, "/lost").status == 500
    gc.collect()
    all_ended()


def test_an_answer_that_nobody_begins_to_send() -> None:
    for factory in (RequestFactory(), AsyncRequestFactory()):
        response = answer(factory.get("/"))
        assert downloads_running() == 1
        response.close()
        all_ended()
        response = answer(factory.get("/"))
        del response
        gc.collect()
        all_ended()


def test_without_asgi() -> None:
    response: Any = ends(RequestFactory().get("/"))
    assert list(response.streaming_content) == [b"piece\n"] * 2
    all_ended()
    response = fails(RequestFactory().get("/"))
    with pytest.raises(OSError, match="no more"):
        list(response.streaming_content)
    all_ended()


def test_a_child_that_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        parquet, "_PROGRAM", "import os, sys; sys.stdin.read(); os.write(1, b'PAR1'); os.kill(os.getpid(), 9)"
    )
    request = AsyncRequestFactory().get("/")
    response: Any = download(
        request, parquet.parquet_apart([1], Selection()), content_type="text/plain", file_name="a.parquet"
    )

    async def read() -> list[bytes]:
        return [piece async for piece in response.streaming_content]

    with pytest.raises(OSError, match="ended with -9"):
        asyncio.run(read())
    wait_for(lambda: downloads_running() == 0, what="the end of the download")


def test_the_child_ends_before_the_next_may_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    program = "import os, signal, sys; sys.stdin.read(); os.write(1, str(os.getpid()).encode()); signal.pause()"
    monkeypatch.setattr(parquet, "_PROGRAM", program)
    response: Any = download(
        RequestFactory().get("/"), parquet.parquet_apart([1], Selection()), content_type="a/b", file_name="a.parquet"
    )
    child = int(next(response.streaming_content))
    os.kill(child, 0)
    response.close()
    assert downloads_running() == 0
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_the_one_too_many() -> None:
    request = RequestFactory().get("/")
    first = answer(request)
    refused = Chunks()
    with pytest.raises(TooManyDownloadsError, match="1 download is running"):
        download(request, refused, content_type="text/plain", file_name="a.txt")
    assert refused.closed.is_set()
    first.close()
    answer(request).close()


@pytest.mark.parametrize("where", ["/api/v1/export", "/api/v1/export?format=parquet", "/api/v1/logs/download"])
def test_what_the_one_too_many_is_told(client: Client, where: str) -> None:
    client.force_login(user("viewer"))
    running = answer(RequestFactory().get("/"))
    said = "1 download is running, and no more are allowed at once. Try again when it has ended."
    refused = client.get(where)
    assert (refused.status_code, refused.json()) == (503, {"detail": said})
    assert refused.headers["Retry-After"] == "30"
    page = client.get(where, headers={"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"})
    assert (page.status_code, page.headers["Retry-After"]) == (503, "30")
    assert page.headers["Content-Type"].startswith("text/html")
    assert said in page.content.decode()
    running.close()
    assert client.get(where).status_code == 200


def test_none_at_once_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import backend.config.settings"],
        env={**os.environ, "FLOWNEXUS_DOWNLOADS": "0"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "FLOWNEXUS_DOWNLOADS='0': say a whole number from 1 to 100" in done.stderr
