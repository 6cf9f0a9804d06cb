"""The live feed through a real server process: what an open page gets, and what it costs."""

import contextlib
import http.client
import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import psutil
import pytest

from tests.support.waiting import wait_for

ROOT = Path(__file__).resolve().parents[3]
DEADLINE = 20.0

PREPARE = """
import django; django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.conf import settings
from backend.accounts.models import User
from backend.devices.models import Device
for name in ("dev-1", "dev-2", 'a "b" μ/c'):
    Device.objects.create(endpoint=name)
for name in ("ada", "bob"):
    user = User.objects.create(username=name)
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    print(session.session_key)
"""
# as scripts/run starts it, but quick to notice
SERVE = """
import sys
import django
import uvicorn
django.setup()
from backend.api import live
live.CHECK_EVERY = 0.3
live.COMMENT_EVERY = 0.5
live.TAIL_AGAIN_AFTER_ERROR = 0.1
uvicorn.run("backend.config.asgi:application", fd=int(sys.argv[1]), lifespan="off", log_level="warning",
            timeout_graceful_shutdown=1)
"""


class Server:
    """A web process on a database of its own."""

    def __init__(self, folder: Path) -> None:
        self.database = folder / "flownexus.sqlite3"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FLOWNEXUS_")}
        environment.pop("DATABASE_URL", None)
        environment |= {"FLOWNEXUS_DATA": str(folder), "DJANGO_SETTINGS_MODULE": "backend.config.settings"}
        made = subprocess.run(
            [sys.executable, "-c", PREPARE], cwd=ROOT, env=environment, check=True, capture_output=True, text=True
        )
        self.ada, self.bob = made.stdout.split()
        listening = socket.create_server(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        self.log = folder / "web.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SERVE, str(listening.fileno())],
                cwd=ROOT,
                env=environment,
                pass_fds=[listening.fileno()],
                stderr=log,
            )
        listening.close()

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def sql(self, *statements: str) -> None:
        with contextlib.closing(sqlite3.connect(self.database, timeout=30, isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)

    def change(self, kind: str, device_id: int | None = None) -> None:
        number = "NULL" if device_id is None else device_id
        self.sql(f"INSERT INTO devices_change (device_id, kind, at) VALUES ({number}, '{kind}', '2026-11-22 17:00:00')")

    def threads(self) -> int:
        return psutil.Process(self.process.pid).num_threads()


class Page:
    """An open event stream."""

    def __init__(self, server: Server, session: str | None, *devices: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE)
        query = "?" + urlencode([("device", device) for device in devices]) if devices else ""
        headers = {"Accept": "text/event-stream", "Accept-Encoding": "gzip, deflate, br"}
        if session:
            headers["Cookie"] = f"sessionid={session}"
        self.connection.request("GET", f"/api/v1/live{query}", headers=headers)
        self.answer = self.connection.getresponse()

    def block(self) -> list[str]:
        """The next event or comment; [] at the end of the stream."""
        lines = []
        while True:
            line = self.answer.readline().decode()
            if line in {"", "\n"}:
                return lines
            lines.append(line.rstrip("\n"))

    def event(self) -> tuple[str, str | None]:
        """The next event: its name and device; ("", None) at the end."""
        end = time.monotonic() + DEADLINE
        while True:
            assert time.monotonic() < end, f"no event within {DEADLINE} s"
            lines = self.block()
            if not lines:
                return "", None
            fields = dict(line.split(": ", 1) for line in lines if not line.startswith(":"))
            if "event" in fields:
                return fields["event"], json.loads(fields["data"]).get("device")

    def close(self) -> None:
        self.answer.close()
        self.connection.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("live"))
    try:
        page = Page(server, None)
        assert page.answer.status == 401
        page.close()
        yield server
    finally:
        server.stop()


@pytest.fixture
def open_page(server: Server) -> Iterator[Callable[..., Page]]:
    pages: list[Page] = []

    def opened(*devices: str, session: str | None = None) -> Page:
        page = Page(server, session or server.ada, *devices)
        pages.append(page)
        assert page.answer.status == 200
        assert page.event() == ("hello", None)
        return page

    yield opened
    for page in pages:
        page.close()


Open = Callable[..., Page]


def test_what_changes_is_told_at_once(server: Server, open_page: Open) -> None:
    everything, one = open_page(), open_page("dev-1", 'a "b" μ/c')
    assert one.answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    # compressed, it would come in lumps
    assert one.answer.headers["Content-Encoding"] == "identity"
    began = time.monotonic()
    server.change("values", 1)
    assert everything.event() == one.event() == ("values", "dev-1")
    assert time.monotonic() - began < 2
    server.change("values", 2)
    assert everything.event() == ("values", "dev-2")
    server.change("status", 3)
    assert everything.event() == one.event() == ("status", 'a "b" μ/c')
    server.change("server")
    assert everything.event() == one.event() == ("server", None)


def test_a_quiet_stream_says_that_it_lives(open_page: Open) -> None:
    page = open_page()
    assert page.block() == [": still here"]


def test_what_was_before_is_not_told(server: Server, open_page: Open) -> None:
    server.change("values", 1)
    page = open_page()
    server.change("values", 2)
    assert page.event() == ("values", "dev-2")


def test_many_changes_are_few_events(server: Server, open_page: Open) -> None:
    page = open_page()
    server.sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) "
        "INSERT INTO devices_change (device_id, kind, at) SELECT 1, 'values', '2026-11-22' FROM n"
    )
    server.change("status", 2)
    events = []
    while ("status", "dev-2") not in events:
        events.append(page.event())
    assert len(events) < 10


def test_pages_cost_no_threads(server: Server, open_page: Open) -> None:
    pages = [open_page() for _ in range(3)]
    few = server.threads()
    pages += [open_page("dev-1") for _ in range(40)]
    assert server.threads() <= few + 1
    server.change("values", 1)
    assert {page.event() for page in pages} == {("values", "dev-1")}
    for page in pages:
        page.close()
    # the reading thread ends with the last page
    wait_for(lambda: server.threads() < few, timeout=DEADLINE, what="the thread of the live feed ends")


def test_a_database_in_trouble_is_bridged(server: Server, open_page: Open) -> None:
    page = open_page()
    server.sql("ALTER TABLE devices_change RENAME TO away")
    try:
        wait_for(
            lambda: "the live feed cannot read the database" in server.log.read_text(), what="the trouble is noticed"
        )
        assert page.block() == [": still here"]
    finally:
        server.sql("ALTER TABLE away RENAME TO devices_change")
    assert page.event() == ("resync", None)
    server.change("values", 1)
    assert page.event() == ("values", "dev-1")


def test_the_stream_ends_with_the_session(server: Server, open_page: Open) -> None:
    stays, goes = open_page(), open_page(session=server.bob)
    server.sql("UPDATE accounts_user SET is_active = 0 WHERE username = 'bob'")
    assert goes.event() == ("", None)
    server.change("values", 1)
    assert stays.event() == ("values", "dev-1")
    again = Page(server, server.bob)
    assert again.answer.status == 401
    again.close()
