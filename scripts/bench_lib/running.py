"""A whole FlowNexus for a benchmark: `scripts/run` on free ports and data of its own, ended with the block."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import requests
from _setup import FLEET_JAR, ROOT, SetupError, environment, java, manage

T = TypeVar("T")
TICKS = os.sysconf("SC_CLK_TCK")


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A loopback port that is free now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(condition: Callable[[], T], *, timeout: float, what: str, every: float = 0.1) -> T:
    """The condition's first true result. Raises SetupError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise SetupError(f"not within {timeout:.0f} s: {what}")
        time.sleep(every)
    return result


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has used so far."""
    # the name in brackets may hold spaces
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_mib(pid: int) -> float:
    """Resident memory of a process in MiB."""
    match = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(match[1]) / 1024 if match else 0.0


@dataclass
class Running:
    """Handles on what runs."""

    data: Path
    process: subprocess.Popen[str]
    url: str
    coaps_port: int
    # None where an earlier run on this data had said it
    administrator: tuple[str, str] | None
    # seconds from the start to the line `ready:`
    ready_after: float

    def pids(self) -> dict[str, int]:
        """The running programs by name."""
        names = {"flownexus-leshan.jar": "leshan", "flownexus-fleet.jar": "fleet", "uvicorn": "web", "sync": "sync"}
        found = {}
        for child in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            command = Path(f"/proc/{child}/cmdline").read_text().split("\0")
            for part in command:
                if name := names.get(Path(part).name):
                    found[name] = int(child)
        return found

    def query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Rows of the database."""
        file = f"file:{self.data / 'flownexus.sqlite3'}?mode=ro"
        with contextlib.closing(sqlite3.connect(file, uri=True, timeout=30)) as connection:
            return connection.execute(sql, parameters).fetchall()

    def scalar(self, sql: str, *parameters: object) -> Any:
        """The first column of the first row; None where there is none."""
        rows = self.query(sql, *parameters)
        return rows[0][0] if rows else None

    def manage(self, *command: str) -> None:
        """Runs a Django command on this data. Raises SetupError where it fails."""
        done = subprocess.run(
            manage(*command), env=environment(str(self.data)), cwd=ROOT, text=True, capture_output=True
        )
        if done.returncode:
            raise SetupError(f"{command[0]} failed: {done.stderr.strip()}")

    def signed_in(self) -> requests.Session:
        """A browser's session of the administrator."""
        if self.administrator is None:
            raise SetupError("no administrator's password is known for this data")
        session = requests.Session()
        session.trust_env = False
        login = f"{self.url}accounts/login/"
        session.get(login, timeout=30)
        name, password = self.administrator
        form = {"login": name, "password": password, "csrfmiddlewaretoken": session.cookies["csrftoken"]}
        answer = session.post(login, data=form, headers={"Referer": login}, timeout=30, allow_redirects=False)
        if answer.status_code != 302:
            raise SetupError(f"signing in failed: HTTP {answer.status_code}")
        return session


@contextlib.contextmanager
def running(*, devices: int, data: Path, administrator: tuple[str, str] | None = None) -> Iterator[Running]:
    """Starts `scripts/run` and waits for its ready line. Raises SetupError where it ends before."""
    coaps = free_port(socket.SOCK_DGRAM)
    command = [sys.executable, str(ROOT / "scripts" / "run"), "--data", str(data), "--devices", str(devices)]
    command += ["--web-port", "0", "--leshan-port", "0", "--coaps-port", str(coaps)]
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said = []
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if match := re.fullmatch(r"administrator: (\S+) / (\S+)\n", line):
                administrator = match[1], match[2]
            if match := re.fullmatch(r"ready: (http\S+)\n", line):
                break
        else:
            raise SetupError("scripts/run ended before it was ready:\n" + "".join(said[-15:]))
        yield Running(data, process, match[1], coaps, administrator, time.monotonic() - start)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def simulated(product: Running, devices: int, *flags: str, endpoint: str = "bench-{n}") -> Iterator[int]:
    """Simulated devices with certificates of their own, ended with the block; the process's id.

    `endpoint`: their name, `{n}` stands for 1, 2, … They are started, not yet registered.
    """
    product.manage("certs", "device", *(endpoint.replace("{n}", str(number)) for number in range(1, devices + 1)))
    command = [java(), "-jar", str(FLEET_JAR), "--server", f"coaps://127.0.0.1:{product.coaps_port}"]
    command += ["--credentials", str(product.data / "certs" / "devices"), "--count", str(devices)]
    command += ["--endpoint", endpoint, *flags]
    with (product.data / "logs" / "fleet.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment(str(product.data)))
        try:
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_online(product: Running, devices: int) -> None:
    """Until so many devices are online and what their registrations bring with them is done: the processes rest."""
    wait_for(
        lambda: product.scalar("SELECT count(*) FROM devices_device WHERE status = 'online'") == devices,
        timeout=180,
        what=f"all {devices} devices are online (see the fleet's log)",
    )
    pids = product.pids()

    def resting() -> bool:
        before = cpu_seconds(pids["sync"]) + cpu_seconds(pids["leshan"])
        time.sleep(2)
        return cpu_seconds(pids["sync"]) + cpu_seconds(pids["leshan"]) - before < 0.5

    wait_for(resting, timeout=300, what="the processes rest after the registrations")


@contextlib.contextmanager
def temporary_data() -> Iterator[Path]:
    """A data folder that is deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="fnx-bench-", ignore_cleanup_errors=True) as folder:
        yield Path(folder) / "data"
