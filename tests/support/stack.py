"""A whole FlowNexus of its own in a temporary folder: real Leshan, sync, web and simulated fleet on free ports."""

import contextlib
import json
import os
import re
import secrets
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

from tests.support.events import Event, Value, parse_stream, said_values, sequence, stream_chunks
from tests.support.processes import RunningProcess, free_port
from tests.support.waiting import wait_for
from tests.support.web import Person

ROOT = Path(__file__).resolve().parents[2]
SERVER_JAR = ROOT / "leshan" / "server" / "target" / "flownexus-leshan.jar"
FLEET_JAR = ROOT / "leshan" / "fleet" / "target" / "flownexus-fleet.jar"
# small heaps and the quick compiler: several servers live beside each other on a two-core machine
JAVA = ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Xmx512m"]
# a device gives a dead server up after 1.5 s and is back soon after
IMPATIENT = ["--ack-timeout", "0.5", "--max-retransmit", "1"]


def without(command: list[str], flag: str) -> list[str]:
    """The command line without the first occurrence of a flag and its value."""
    at = command.index(flag)
    return command[:at] + command[at + 2 :]


def replaced(command: list[str], extra: Sequence[str]) -> list[str]:
    """The command line with the flags in `extra`, in place of their like; only a flag with a value can have any."""
    for flag in extra:
        while flag.startswith("--") and flag in command:
            command = without(command, flag)
    return [*command, *extra]


class Stack:
    """Starts and ends the processes; reads the database as an outsider would.

    `template` is a data folder with a migrated database and a CA to begin from (`prepare` makes one). `lab` and `coap`
    open plain CoAP; `hosts` are the addresses that CoAP listens on.
    """

    def __init__(
        self,
        folder: Path,
        *,
        template: Path | None = None,
        lab: bool = False,
        coap: bool = False,
        hosts: Sequence[str] = ("127.0.0.1",),
    ) -> None:
        self.folder = folder
        self.lab = lab
        self.hosts = hosts
        self.data = folder / "data"
        self.logs = folder / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        if template is None:
            self.data.mkdir()
        else:
            shutil.copytree(template, self.data)
        self.logs.mkdir()
        self.token = secrets.token_urlsafe(24)
        self.token_file = self.data / "leshan.token"
        self.token_file.write_text(self.token + "\n")
        self.token_file.chmod(0o600)
        self.http_port = free_port()
        self.coaps_port = free_port()
        self.coap_port = free_port() if lab or coap else None
        self.web_port = free_port()
        # where sync looks for Leshan, if not at our own
        self.leshan_elsewhere: str | None = None
        # settings beside the usual ones, for what is started from now on
        self.extra_env: dict[str, str] = {}
        self.processes: dict[str, RunningProcess] = {}
        self._http = requests.Session()
        self._http.headers["Authorization"] = f"Bearer {self.token}"
        self._administrator: tuple[str, str] | None = None

    # -- set-up

    @property
    def env(self) -> dict[str, str]:
        """The environment of every process of this stack."""
        env = {key: value for key, value in os.environ.items() if not key.startswith(("FLOWNEXUS_", "DATABASE_URL"))}
        return env | {
            "FLOWNEXUS_DATA": str(self.data),
            "FLOWNEXUS_LESHAN_URL": self.leshan_elsewhere or self.leshan_url,
            "DJANGO_SETTINGS_MODULE": "backend.config.settings",
            "PYTHONUNBUFFERED": "1",
            **self.extra_env,
        }

    @property
    def leshan_url(self) -> str:
        """Leshan's HTTP address."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def web_url(self) -> str:
        """The web app's address."""
        return f"http://127.0.0.1:{self.web_port}"

    @property
    def certs(self) -> Path:
        """The PKI's folder."""
        return self.data / "certs"

    @property
    def journal_folder(self) -> Path:
        """Where Leshan keeps its journal and credentials."""
        return self.data / "leshan"

    def device_folder(self, endpoint: str) -> Path:
        """Where the certificate of a device lies."""
        return self.certs / "devices" / quote(endpoint, safe="")

    def manage(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs `manage.py`; with `check` a failure shows its output."""
        result = subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *arguments],
            env=self.env,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if check and result.returncode != 0:
            raise AssertionError(f"manage.py {' '.join(arguments)}: {result.stdout}\n{result.stderr}")
        return result

    def prepare(self) -> None:
        """The database and the certificate authority."""
        self.manage("migrate", "-v0")
        self.manage("certs", "init")

    def provision(self, *endpoints: str, psk: bool = False) -> None:
        """Issues credentials, as `scripts/certs device` does."""
        self.manage("certs", "device", *(["--psk"] if psk else []), "--", *endpoints)

    def administrator(self) -> Person:
        """The first administrator, signed in at the web app."""
        if self._administrator is None:
            said = self.manage("administrator").stdout
            match = re.fullmatch(r"administrator: (\S+) / (\S+)\n", said)
            assert match is not None, said
            self._administrator = match[1], match[2]
        return Person(self.web_url).sign_in(*self._administrator)

    # -- processes

    def start(self, name: str, command: Sequence[str]) -> RunningProcess:
        """Any command, in this stack's environment; ended with the stack."""
        running = self.processes.get(name)
        assert running is None or running.returncode is not None, f"{name} runs already"
        process = RunningProcess(name, command, log=self.logs / f"{name}.log", env=self.env, cwd=ROOT)
        self.processes[name] = process
        return process

    def leshan_command(self, *extra: str) -> list[str]:
        """The command line of the server; a flag in `extra` stands in place of the usual one."""
        command = [
            "--data", str(self.journal_folder),
            "--http-port", str(self.http_port),
            "--coaps-port", str(self.coaps_port),
            "--cert", str(self.certs / "server.pem"), "--key", str(self.certs / "server.key.pem"),
            "--ca", str(self.certs / "ca.pem"),
        ]  # fmt: skip
        command += ["--lab"] if self.lab else ["--token-file", str(self.token_file)]
        for host in self.hosts:
            command += ["--coaps-host", host]
        if self.coap_port is not None:
            command += ["--coap-port", str(self.coap_port)]
            for host in self.hosts:
                command += ["--coap-host", host]
        return [*JAVA, "-jar", str(SERVER_JAR), *replaced(command, extra)]

    def start_leshan(self, *extra: str) -> RunningProcess:
        """The LwM2M server, ready."""
        process = self.start("leshan", self.leshan_command(*extra))
        process.wait_for_line(r"ready: http://")
        return process

    def start_sync(self, *, ready: bool = True) -> RunningProcess:
        """`manage.py sync`, connected to Leshan unless told not to wait."""
        process = self.start("sync", [sys.executable, str(ROOT / "manage.py"), "sync"])
        if ready:
            self.wait_connected()
        return process

    def wait_connected(self, timeout: float = 40.0) -> None:
        """Until the `sync` that runs now has connected its event stream."""
        process = self.processes["sync"]

        def connected() -> bool:
            assert process.returncode is None, f"sync ended ({process.returncode}):\n{process.tail()}"
            rows = self.query(
                "SELECT 1 FROM devices_leshanserver WHERE connected_since IS NOT NULL"
                " AND connected_since >= sync_started_at"
            )
            return bool(rows)

        wait_for(connected, timeout=timeout, what=lambda: f"sync connected:\n{process.tail()}")

    def start_web(self) -> RunningProcess:
        """The web app, answering."""
        process = self.start(
            "web",
            [
                sys.executable, "-m", "uvicorn", "backend.config.asgi:application",
                "--host", "127.0.0.1", "--port", str(self.web_port), "--no-access-log",
            ],
        )  # fmt: skip

        def answers() -> bool:
            with contextlib.suppress(requests.ConnectionError):
                return requests.get(f"{self.web_url}/accounts/login/", timeout=10).status_code == 200
            assert process.returncode is None, process.tail()
            return False

        wait_for(answers, timeout=30, what=lambda: f"the login page:\n{process.tail()}")
        return process

    def fleet_command(
        self, *extra: str, server: str, count: int, endpoint: str, mode: str, credentials: Path | None = None
    ) -> list[str]:
        """The command line of simulated devices; they come back within seconds after a restart of the server."""
        command = [
            "--server", server, "--count", str(count), "--endpoint", endpoint,
            "--mode", mode, "--credentials", str(credentials or self.certs / "devices"), *IMPATIENT,
        ]  # fmt: skip
        return [*JAVA, "-jar", str(FLEET_JAR), *replaced(command, extra)]

    def start_fleet(
        self,
        *extra: str,
        count: int = 3,
        endpoint: str = "sim-{n}",
        mode: str = "x509",
        name: str = "fleet",
        host: str = "127.0.0.1",
        credentials: Path | None = None,
    ) -> RunningProcess:
        """Simulated devices, started (they may still be registering)."""
        authority = f"[{host}]" if ":" in host else host
        server = f"coap://{authority}:{self.coap_port}" if mode == "nosec" else f"coaps://{authority}:{self.coaps_port}"
        process = self.start(
            name,
            self.fleet_command(
                *extra, server=server, count=count, endpoint=endpoint, mode=mode, credentials=credentials
            ),
        )
        process.wait_for_line(r"ready: \d+ devices")
        return process

    def stop(self) -> None:
        """Ends every process: first those that depend on others."""
        order = {"leshan": 3, "sync": 2, "web": 2}
        for name in sorted(self.processes, key=lambda name: order.get(name, 1)):
            self.processes[name].stop()
        self._http.close()

    # -- looking into the database

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.data / "flownexus.sqlite3"

    def query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Rows of the SQLite database, read in a connection of its own."""
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=30)) as connection:
            return connection.execute(sql, parameters).fetchall()

    def scalar(self, sql: str, *parameters: object) -> Any:
        """The first column of the first row; None where there is none."""
        rows = self.query(sql, *parameters)
        return rows[0][0] if rows else None

    def status(self, endpoint: str) -> str | None:
        """A device's status."""
        status: str | None = self.scalar("SELECT status FROM devices_device WHERE endpoint = ?", endpoint)
        return status

    def wait_status(self, status: str, *endpoints: str, timeout: float = 30.0) -> None:
        """Until all these devices have this status."""
        wait_for(
            lambda: all(self.status(endpoint) == status for endpoint in endpoints),
            timeout=timeout,
            what=lambda: (
                f"{status}: { {endpoint: self.status(endpoint) for endpoint in endpoints} }\n{self.log_tails()}"
            ),
        )

    def wait_online(self, *endpoints: str, timeout: float = 30.0) -> None:
        """Until all these devices are online."""
        self.wait_status("online", *endpoints, timeout=timeout)

    def stored_values(self) -> Counter[Value]:
        """Every number in telemetry_sample, and how often it is there."""
        rows = self.query(
            "SELECT d.endpoint, r.path, s.time, s.number FROM telemetry_sample s"
            " JOIN telemetry_series r ON r.id = s.series_id JOIN devices_device d ON d.id = r.device_id"
            " WHERE s.number IS NOT NULL"
        )
        return Counter(Value(*row) for row in rows)

    def sample_count(self, endpoint: str | None = None) -> int:
        """How many samples there are, of one device or of all."""
        count: int = self.scalar(
            "SELECT count(*) FROM telemetry_sample s JOIN telemetry_series r ON r.id = s.series_id"
            " JOIN devices_device d ON d.id = r.device_id WHERE ?1 IS NULL OR d.endpoint = ?1",
            endpoint,
        )
        return count

    def wait_more_samples(self, *endpoints: str, more: int = 3, timeout: float = 30.0) -> None:
        """Until each of these devices has `more` samples than now: its observations work."""
        goals = {endpoint: self.sample_count(endpoint) + more for endpoint in endpoints}
        wait_for(
            lambda: all(self.sample_count(endpoint) >= goal for endpoint, goal in goals.items()),
            timeout=timeout,
            what=lambda: (
                f"new values of { {e: goal - self.sample_count(e) for e, goal in goals.items()} }\n{self.log_tails()}"
            ),
        )

    def observations(self, endpoint: str) -> dict[str, str]:
        """Path → state of the observation rows."""
        rows = self.query(
            "SELECT o.path, o.state FROM devices_observation o JOIN devices_device d ON d.id = o.device_id"
            " WHERE d.endpoint = ?",
            endpoint,
        )
        return dict(rows)

    def device_events(self, kind: str, endpoint: str | None = None) -> list[str]:
        """The texts of the device's history of one kind, oldest first; without an endpoint everybody's."""
        rows = self.query(
            "SELECT e.text FROM devices_deviceevent e LEFT JOIN devices_device d ON d.id = e.device_id"
            " WHERE e.kind = ?1 AND (?2 IS NULL OR d.endpoint = ?2) ORDER BY e.id",
            kind,
            endpoint,
        )
        return [row[0] for row in rows]

    def log_tails(self) -> str:
        """The end of every log, for a failure message."""
        return "\n".join(f"--- {name}\n{process.tail(12)}" for name, process in self.processes.items())

    # -- Leshan's HTTP

    def leshan(self, method: str, path: str, **options: Any) -> requests.Response:
        """A request to Leshan's API with the token."""
        return self._http.request(method, self.leshan_url + path, timeout=options.pop("timeout", 15), **options)

    def client_path(self, endpoint: str, path: str = "") -> str:
        """`/api/clients/{ep}{path}` with the endpoint percent-encoded."""
        return f"/api/clients/{quote(endpoint, safe='')}{path}"

    def registered(self) -> set[str]:
        """The endpoints that Leshan has registrations of."""
        return {client["endpoint"] for client in self.leshan("GET", "/api/clients").json()}

    def wait_registered(self, *endpoints: str, timeout: float = 30.0) -> None:
        """Until Leshan has registrations of all these."""
        wait_for(
            lambda: set(endpoints) <= self.registered(),
            timeout=timeout,
            what=lambda: f"registered: {sorted(set(endpoints) - self.registered())} are not\n{self.log_tails()}",
        )

    def events(self, last_event_id: str = "", *, timeout: float = 10.0, **parameters: str) -> Iterator[Event]:
        """The stream; ends with an error of `requests` where nothing comes for `timeout` seconds."""
        headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {self.token}"}
        if last_event_id:
            headers["Last-Event-ID"] = last_event_id
        with requests.get(
            f"{self.leshan_url}/api/event", headers=headers, params=parameters, stream=True, timeout=(5, timeout)
        ) as response:
            assert response.status_code == 200, f"{response.status_code} {response.text}"
            yield from parse_stream(stream_chunks(response))

    def head(self) -> str:
        """`<journal>-<sequence>` of the newest event in the journal."""
        health = self.leshan("GET", "/healthz").json()
        return f"{health['journal']}-{health['last']}"

    def journal(self, *, after: str = "", to: str | None = None) -> list[Event]:
        """The events of the journal after an id (from its beginning) up to another (the newest one now)."""
        to = to or self.head()
        after = after or to.rpartition("-")[0] + "-0"
        events: list[Event] = []
        if sequence(to) <= sequence(after):
            return events
        for event in self.events(after):
            if event.id:
                events.append(event)
                if sequence(event.id) >= sequence(to):
                    break
        return events

    def wait_events(self, name: str, matching: Callable[[Any], bool], *, timeout: float = 40.0) -> list[Event]:
        """The journal's events of this name whose data match; until there is one."""
        return wait_for(
            lambda: [event for event in self.journal() if event.name == name and matching(event.data)],
            timeout=timeout,
            what=lambda: (
                f"a matching {name} in the journal, only "
                f"{json.dumps([event.data for event in self.journal() if event.name == name])[-3000:]}"
            ),
        )

    # -- both

    def wait_stored_to(self, event_id: str, timeout: float = 30.0) -> None:
        """Until `sync` has committed the event with this id."""

        def there() -> bool:
            last = self.scalar("SELECT last_event_id FROM devices_leshanserver") or ""
            same_journal = last.rpartition("-")[0] == event_id.rpartition("-")[0]
            return same_journal and sequence(last) >= sequence(event_id)

        wait_for(
            there,
            timeout=timeout,
            what=lambda: (
                f"sync at {event_id}, is at {self.scalar('SELECT last_event_id FROM devices_leshanserver')}\n"
                f"{self.log_tails()}"
            ),
        )

    def assert_stored_exactly_once(self, *, after: str = "") -> Counter[Value]:
        """Every number in the journal is one sample at its own time, and no sample is there twice.

        Returns what the journal says. Looks at the journal after an id, where given.
        """
        head = self.head()
        self.wait_stored_to(head)
        said = said_values(self.journal(after=after, to=head))
        stored = self.stored_values()
        lost = sorted(value for value in said if value not in stored)
        assert not lost, f"{len(lost)} of {len(said)} journaled values are not in the database: {lost[:5]}"
        twice = sorted(value for value, count in stored.items() if count > 1)
        assert not twice, f"{len(twice)} values are in the database more than once: {twice[:5]}"
        return said
