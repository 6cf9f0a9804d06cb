"""The proxy and the trace through a real web process, before a small server in Leshan's place."""

import contextlib
import http.client
import json
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.waiting import wait_for
from tests.unit.debug.leshan import BIG, PAGE, TOKEN, Leshan

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
for name in ("dev-1", 'a "b" μ/c'):
    Device.objects.create(endpoint=name)
for name, role in (("ada", "administrator"), ("bob", "administrator"), ("olga", "operator")):
    user = User.objects.create(username=name, role=role)
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    print(session.session_key)
"""
SERVE = """
import sys
import django
import uvicorn
django.setup()
from backend.debug import watch
watch.CHECK_EVERY = 0.3
uvicorn.run("backend.config.asgi:application", fd=int(sys.argv[1]), lifespan="off", log_level="warning",
            timeout_graceful_shutdown=1)
"""


class Web:
    """A web process on a database of its own."""

    def __init__(self, folder: Path, leshan: Leshan) -> None:
        self.database = folder / "flownexus.sqlite3"
        self.token_file = folder / "leshan.token"
        self.token_file.write_text(TOKEN + "\n")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FLOWNEXUS_")}
        environment.pop("DATABASE_URL", None)
        environment |= {
            "FLOWNEXUS_DATA": str(folder),
            "FLOWNEXUS_LESHAN_URL": f"http://127.0.0.1:{leshan.port}",
            "DJANGO_SETTINGS_MODULE": "backend.config.settings",
        }
        made = subprocess.run(
            [sys.executable, "-c", PREPARE], cwd=ROOT, env=environment, check=True, capture_output=True, text=True
        )
        self.ada, self.bob, self.olga = made.stdout.split()
        listening = socket.create_server(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        self.origin = f"http://127.0.0.1:{self.port}"
        with (folder / "web.log").open("wb") as log:
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

    def sql(self, statement: str) -> None:
        with contextlib.closing(sqlite3.connect(self.database, timeout=30, isolation_level=None)) as connection:
            connection.execute(statement)


class Answer:
    """An answer that is read as it comes."""

    def __init__(self, web: Web, method: str, path: str, session: str, body: bytes = b"", **headers: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=DEADLINE)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if session:
            sent["Cookie"] = f"sessionid={session}; csrftoken=x"
        self.connection.request(method, path, body=body or None, headers=sent)
        self.answer = self.connection.getresponse()
        self.status = self.answer.status
        self.headers = self.answer.headers

    def text(self) -> str:
        return self.answer.read().decode()

    def block(self) -> str:
        """The next event or comment; "" at the end of the stream."""
        lines = []
        while (line := self.answer.readline().decode()) not in {"", "\n"}:
            lines.append(line)
        return "".join(lines)

    def close(self) -> None:
        self.answer.close()
        self.connection.close()


@pytest.fixture(scope="module")
def leshan() -> Iterator[Leshan]:
    server = Leshan()
    yield server
    server.close()


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory, leshan: Leshan) -> Iterator[Web]:
    server = Web(tmp_path_factory.mktemp("debug"), leshan)
    try:
        yield server
    finally:
        server.stop()


Ask = Callable[..., Answer]


def ended(leshan: Leshan) -> bool:
    """The server notices that its reader is gone when it writes."""
    leshan.events.put(b": anybody there\n\n")
    return leshan.streams == 0


@pytest.fixture
def ask(web: Web, leshan: Leshan) -> Iterator[Ask]:
    answers: list[Answer] = []
    # no stream of the test before may take what is meant for this one's, and nothing is left of what it was sent
    wait_for(lambda: ended(leshan), timeout=DEADLINE, what="the streams of the test before")
    leshan.events.queue.clear()
    leshan.asked.clear()

    def asked(method: str, path: str, session: str | None = None, body: bytes = b"", **headers: str) -> Answer:
        answers.append(Answer(web, method, path, web.ada if session is None else session, body, **headers))
        return answers[-1]

    yield asked
    for answer in answers:
        answer.close()


def test_the_page_comes_with_the_token_and_without_our_cookies(ask: Ask, web: Web, leshan: Leshan) -> None:
    answer = ask("GET", "/debug/leshan/", Authorization="Basic abc", X_Forwarded_For="192.0.2.9", Accept="text/html")
    assert (answer.status, answer.text().encode()) == (200, PAGE)
    [asked] = leshan.asked
    assert asked.target == "/"
    assert asked.headers["Authorization"] == f"Bearer {TOKEN}"
    assert asked.headers["Accept"] == "text/html"
    assert not {"cookie", "x-forwarded-for", "referer"} & {name.lower() for name in asked.headers}
    assert "JSESSIONID" not in str(answer.headers)
    # the pipeline in between answers for itself
    folder = f"{web.origin}/debug/leshan/"
    policy = answer.headers["Content-Security-Policy"]
    assert f"connect-src {folder};" in policy
    assert f"script-src {folder};" in policy
    assert "default-src 'none'" in policy
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_large_files_come_whole(ask: Ask) -> None:
    answer = ask("GET", "/debug/leshan/js/big.js", Accept_Encoding="gzip, br")
    # browsers read only the first of many gzip members, and that is how streams are packed on the way
    assert answer.headers["Content-Encoding"] == "identity"
    assert answer.headers["Content-Length"] == str(len(BIG))
    assert answer.answer.read() == BIG
    assert answer.headers["Cache-Control"] == "private, max-age=3600"


def test_names_arrive_byte_for_byte(ask: Ask, leshan: Leshan) -> None:
    path = "api/clients/a%2Fb%20%C3%A4%0A%3F/3/0?timeout=5&format=TLV&x=%2B"
    answer = ask("GET", f"/debug/leshan/{path}")
    assert answer.status == 200
    assert leshan.asked[-1].target == f"/{path}"


@pytest.mark.parametrize("path", ["//evil.example/x", "@evil.example/", "../../api/v1/devices", "%0d%0aX-Bad:%201"])
def test_no_path_leads_elsewhere(ask: Ask, leshan: Leshan, path: str) -> None:
    ask("GET", f"/debug/leshan/{path}")
    [asked] = leshan.asked
    assert asked.target.startswith("/")
    assert "X-Bad" not in asked.headers


def test_a_header_that_cannot_be_passed_on_is_said(ask: Ask, leshan: Leshan) -> None:
    answer = ask("GET", "/debug/leshan/", If_None_Match='"\xe9"')
    assert answer.status == 502
    assert "cannot be asked" in answer.text()
    assert leshan.asked == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_the_demo_ui_may_change_things(ask: Ask, web: Web, leshan: Leshan, method: str) -> None:
    for headers in ({"Sec_Fetch_Site": "same-origin"}, {"Origin": web.origin}):
        answer = ask(
            method, "/debug/leshan/api/clients/x/3/0/14", None, b'{"id": 14}', Content_Type="text/x", **headers
        )
        assert answer.status == 200
        asked = leshan.asked[-1]
        assert (asked.method, asked.body, asked.headers["Content-Type"]) == (method, b'{"id": 14}', "text/x")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "none"},
    ],
)
def test_pages_of_others_change_nothing(ask: Ask, web: Web, leshan: Leshan, headers: dict[str, str]) -> None:
    answer = ask("POST", "/debug/leshan/api/clients/x/3/0/4", None, b"", **headers)
    assert answer.status == 403
    assert "does not come from a page of this server" in answer.text()
    assert leshan.asked == []
    # whatever the origin says: the browser's own word counts
    assert ask("POST", "/debug/leshan/x", Origin=web.origin, Sec_Fetch_Site="cross-site").status == 403


def test_only_for_administrators(ask: Ask, web: Web, leshan: Leshan) -> None:
    for path in ("/debug/leshan/", "/debug/leshan/api/event", "/debug/trace/?ep=dev-1"):
        assert ask("GET", path, web.olga).status == 403
        assert ask("GET", path, "").headers["Location"].startswith("/accounts/login/")
    assert leshan.asked == []


def test_redirects_do_not_lead_out(ask: Ask) -> None:
    near = ask("GET", "/debug/leshan/near")
    assert (near.status, near.headers["Location"]) == (302, "/debug/leshan/js/app.js?x=1")
    away = ask("GET", "/debug/leshan/away")
    assert away.status == 502
    assert "another server" in away.text()


def test_a_body_without_end_is_refused(ask: Ask, web: Web, leshan: Leshan) -> None:
    answer = ask("PUT", "/debug/leshan/api/x", None, b"x" * (32 * 1024 * 1024 + 1), Origin=web.origin)
    assert answer.status == 413
    assert leshan.asked == []


def test_events_come_one_by_one(ask: Ask, leshan: Leshan) -> None:
    answer = ask("GET", "/debug/leshan/api/event", Accept="text/event-stream", Accept_Encoding="gzip, br")
    assert answer.headers["Content-Encoding"] == "identity"
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    for number in range(3):
        data = f"event: UPDATED\ndata: {number}\n"
        leshan.events.put(data.encode() + b"\n")
        # read to its end although nothing comes after it
        assert answer.block() == data


@pytest.mark.parametrize("path", ["/debug/leshan/api/event", "/debug/trace/?ep=dev-1"])
def test_a_reader_who_leaves_frees_the_stream(ask: Ask, leshan: Leshan, path: str) -> None:
    answer = ask("GET", path, Accept="text/event-stream")
    wait_for(lambda: leshan.streams == 1, timeout=DEADLINE, what="the stream")
    answer.close()
    wait_for(lambda: ended(leshan), timeout=DEADLINE, what="the stream to end")


@pytest.mark.parametrize("path", ["/debug/leshan/api/event", "/debug/trace/?ep=dev-1"])
def test_the_stream_ends_with_the_role(ask: Ask, web: Web, leshan: Leshan, path: str) -> None:
    answer = ask("GET", path, web.bob, Accept="text/event-stream")
    assert answer.status == 200
    web.sql("UPDATE accounts_user SET role = 'operator' WHERE username = 'bob'")
    try:
        while answer.block():
            pass
        assert ask("GET", path, web.bob).status == 403
    finally:
        web.sql("UPDATE accounts_user SET role = 'administrator' WHERE username = 'bob'")
    again = ask("GET", path, web.bob, Accept="text/event-stream")
    web.sql(f"UPDATE django_session SET session_key = 'signed-out' WHERE session_key = '{web.bob}'")
    try:
        while again.block():
            pass
        wait_for(lambda: ended(leshan), timeout=DEADLINE, what="the stream to end")
    finally:
        web.sql(f"UPDATE django_session SET session_key = '{web.bob}' WHERE session_key = 'signed-out'")


def test_the_trace_lets_only_coap_messages_pass(ask: Ask, leshan: Leshan) -> None:
    answer = ask("GET", "/debug/trace/?ep=a+%22b%22+%CE%BC%2Fc", Accept_Encoding="gzip")
    assert answer.headers["Content-Encoding"] == "identity"
    assert answer.block() == "event: hello\ndata: {}\n"
    assert leshan.asked[-1].target == "/api/event?ep=a%20%22b%22%20%CE%BC%2Fc"
    log = 'event: COAPLOG\ndata: {"code":"GET"}\n'
    leshan.events.put(b'id: j-1\nevent: NOTIFICATION\ndata: {"event: COAPLOG":1}\n\n' + log[:12].encode())
    assert answer.block() == ": still here\n"
    leshan.events.put(log[12:].encode() + b"\n")
    assert answer.block() == log
    leshan.events.put(b": j-1\n\n")
    assert answer.block() == ": still here\n"
    leshan.events.put(None)
    lost = answer.block()
    assert lost.startswith("event: lost\ndata: ")
    assert "being stopped" in json.loads(lost.split("data: ")[1])["reason"]
    assert answer.block() == ""


def test_there_is_no_trace_of_nobody(ask: Ask) -> None:
    answer = ask("GET", "/debug/trace/?ep=nobody")
    assert answer.status == 404
    assert "no device with the endpoint name “nobody”" in answer.text()


def test_a_new_token_is_taken_and_a_wrong_one_explained(ask: Ask, web: Web) -> None:
    web.token_file.write_text("wrong\n")
    answer = ask("GET", "/debug/leshan/")
    assert answer.status == 502
    assert "does not accept our token" in answer.text()
    lost = ask("GET", "/debug/trace/?ep=dev-1").block()
    assert "does not accept our token" in lost
    web.token_file.write_text(TOKEN + "\n")
    assert ask("GET", "/debug/leshan/").status == 200


def test_leshan_down_is_said(tmp_path: Path) -> None:
    gone = Leshan()
    gone.close()
    web = Web(tmp_path, gone)
    try:
        answer = Answer(web, "GET", "/debug/leshan/", web.ada)
        assert answer.status == 502
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        said = answer.text()
        assert "Leshan cannot be reached" in said
        assert "scripts/run" in said
        answer.close()
        trace = Answer(web, "GET", "/debug/trace/?ep=dev-1", web.ada)
        assert "cannot be reached" in trace.block()
        trace.close()
    finally:
        web.stop()
