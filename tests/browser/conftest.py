"""One server process for all browser tests, a stand-in for sync, and pages that fail a test for what they did wrong."""

import contextlib
import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

from tests.support.processes import RunningProcess, free_port
from tests.support.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = "/usr/bin/chromium"
QUIET = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
]


class Writer:
    """Tells the stand-in for sync what to write; every call returns when it is committed."""

    def __init__(self, env: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.browser.writer"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=env,
            cwd=ROOT,
        )

    def __call__(self, command: str, **arguments: Any) -> Any:
        """The command's result."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([command, arguments]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the writer ended with {self._process.wait()} at {command!r}"
        return json.loads(line)

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(10)


class Web:
    """The running web app and its writer."""

    def __init__(self, url: str, write: Writer) -> None:
        self.url = url
        self.write = write


@pytest.fixture(scope="session")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """The web app as it is run, on a database of its own with a few hundred devices."""
    if not (ROOT / "backend/ui/static/vendor/htmx.min.js").exists():
        pytest.fail("the browser libraries are missing: scripts/test fetches them")
    folder = tmp_path_factory.mktemp("browser")
    env = {key: value for key, value in os.environ.items() if not key.startswith(("FLOWNEXUS_", "DATABASE_URL"))} | {
        "FLOWNEXUS_DATA": str(folder / "data"),
        "FLOWNEXUS_TEST_STATIC": str(folder / "static"),
        "DJANGO_SETTINGS_MODULE": "tests.browser.settings",
    }
    for command in (["migrate", "-v0"], ["collectstatic", "--noinput", "-v0", "--ignore", "*.map.gz"]):
        subprocess.run([sys.executable, "manage.py", *command], env=env, cwd=ROOT, check=True, timeout=120)
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "backend.config.asgi:application", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--no-access-log", "--timeout-graceful-shutdown", "1"]
    process = RunningProcess("web", command, log=folder / "web.log", env=env, cwd=ROOT)
    write = Writer(env)
    try:
        write("seed", devices=300)
        write("sync", alive=True)
        process.wait_for_line("Uvicorn running")

        def answers() -> bool:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            with contextlib.closing(connection), contextlib.suppress(OSError):
                connection.request("GET", "/accounts/login/")
                return connection.getresponse().status == 200
            return False

        wait_for(answers, what=process.tail)
        yield Web(f"http://127.0.0.1:{port}", write)
    finally:
        write.close()
        process.stop()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium. Not for the whole session: other tests in this process must not find an event loop."""
    arguments = [*QUIET, "--no-sandbox"] if os.geteuid() == 0 else QUIET
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield launched
        launched.close()


class Visitor:
    """A browser of somebody; remembers what went wrong on any of its pages."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context = context
        self.url = url
        self.wrong: list[str] = []
        # parts of messages that a test provokes on purpose
        self.expected: list[str] = []
        context.on("page", self._watch)
        self.page = context.new_page()

    def _watch(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.wrong.append(f"console: {message.text}")

    def _request(self, request: Request) -> None:
        if urlsplit(request.url).netloc != urlsplit(self.url).netloc and not request.url.startswith("data:"):
            self.wrong.append(f"request to another host: {request.url}")

    def go(self, path: str) -> Page:
        """Opens a page and waits until it is live, where it is a page that becomes so."""
        self.page.goto(self.url + path)
        if self.page.locator("[data-live]:not([data-live=''])").count():
            self.page.wait_for_selector("html[data-connection=live]")
        return self.page

    def complaints(self) -> list[str]:
        """What went wrong and was not meant to."""
        return [one for one in self.wrong if not any(part in one for part in self.expected)]


class Visitors:
    """Makes visitors; all their pages must have been clean at the end."""

    def __init__(self, browser: Browser, web: Web) -> None:
        self._browser = browser
        self._web = web
        self.all: list[Visitor] = []

    def __call__(self, username: str = "", **options: Any) -> Visitor:
        """A browser, signed in unless the name is empty; `options` of Playwright's contexts."""
        context = self._browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        if username:
            key = self._web.write("session", username=username)
            context.add_cookies([{"name": "sessionid", "value": key, "url": self._web.url}])
        visitor = Visitor(context, self._web.url)
        self.all.append(visitor)
        return visitor


@pytest.fixture
def visit(browser: Browser, web: Web) -> Iterator[Visitors]:
    """Browsers of people; a console error, a refused script or a request elsewhere fails the test."""
    visitors = Visitors(browser, web)
    yield visitors
    complaints = [complaint for visitor in visitors.all for complaint in visitor.complaints()]
    for visitor in visitors.all:
        visitor.context.close()
    assert complaints == []
