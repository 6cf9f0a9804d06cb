"""scripts/run: brings everything up, keeps it up, and takes all of it down."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests

from tests.support.processes import RunningProcess, free_port
from tests.support.waiting import wait_for
from tests.support.web import Person

ROOT = Path(__file__).resolve().parents[2]
RUN = [sys.executable, str(ROOT / "scripts" / "run")]
PROGRAMS = {"leshan": "flownexus-leshan.jar", "fleet": "flownexus-fleet.jar", "web": "uvicorn", "sync": "sync"}
ENV = {key: value for key, value in os.environ.items() if not key.startswith(("FLOWNEXUS_", "DATABASE_URL"))}


class Run:
    """One `scripts/run` on data and ports of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.data = folder / "data"
        self.web_port = free_port()
        ports = ["--web-port", str(self.web_port), "--leshan-port", "0"]
        ports += ["--coaps-port", str(free_port())]
        command = [*RUN, "--data", str(self.data), *ports, *options]
        self.process = RunningProcess("run", command, log=folder / "run.out", env=ENV)
        self.process.wait_for_line(rf"^ready: http://127\.0\.0\.1:{self.web_port}/$", timeout=180)

    def pids(self) -> dict[str, int]:
        """The programs that run now."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        commands = {int(child): Path(f"/proc/{child}/cmdline").read_text().split("\0") for child in children}
        return {
            name: pid
            for pid, command in commands.items()
            for name, part in PROGRAMS.items()
            if part in {Path(argument).name for argument in command}
        }

    def sample_count(self) -> int:
        """How many samples are stored."""
        with closing(sqlite3.connect(f"file:{self.data}/flownexus.sqlite3?mode=ro", uri=True)) as connection:
            count: int = connection.execute("SELECT count(*) FROM telemetry_sample").fetchone()[0]
            return count

    def wait_values(self) -> None:
        """Until values that are new now are stored."""
        before = self.sample_count()
        wait_for(
            lambda: self.sample_count() > before + 2, timeout=60, what=lambda: f"new values\n{self.process.output()}"
        )


def alive(pid: int) -> bool:
    """Is the process there, and no zombie?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def ran(*options: str) -> subprocess.CompletedProcess[str]:
    """A `scripts/run` that ends by itself."""
    return subprocess.run([*RUN, *options], env=ENV, text=True, capture_output=True, timeout=120)


@pytest.fixture(scope="module", autouse=True)
def current() -> None:
    """scripts/run would build what is not built; in the middle of the tests that helps nobody."""
    check = "import sys; sys.path.insert(0, sys.argv[1]); import _setup; sys.exit(not _setup._java_current())"
    if subprocess.run([sys.executable, "-c", check, str(ROOT / "scripts")]).returncode:
        pytest.skip("the set-up is not current: scripts/test brings it up to date")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    one = Run(tmp_path_factory.mktemp("run"), "--devices", "2")
    yield one
    one.process.stop()


def test_it_brings_up_a_product_with_values(run: Run) -> None:
    said = re.findall(r"^administrator: (\S+) / (\S+)$", run.process.output(), re.MULTILINE)
    assert len(said) == 1
    Person(f"http://127.0.0.1:{run.web_port}").sign_in(*said[0])
    assert set(run.pids()) == set(PROGRAMS)
    run.wait_values()
    assert (run.data / "leshan.token").stat().st_mode & 0o777 == 0o600
    assert run.data.stat().st_mode & 0o777 == 0o700
    assert {log.name for log in (run.data / "logs").iterdir()} == {f"{name}.log" for name in PROGRAMS}


def test_the_health_check_of_sync_says_that_it_is_well(run: Run) -> None:
    check = [sys.executable, str(ROOT / "manage.py"), "sync", "--check"]
    well = subprocess.run(check, env={**ENV, "FLOWNEXUS_DATA": str(run.data)}, text=True, capture_output=True)
    assert well.returncode == 0, well.stderr
    other = subprocess.run(
        [*check, "--server", "other"], env={**ENV, "FLOWNEXUS_DATA": str(run.data)}, text=True, capture_output=True
    )
    assert other.returncode == 1
    assert "no sync is running for the server 'other'" in other.stderr


def test_a_second_one_on_the_same_data_refuses(run: Run) -> None:
    done = ran("--data", str(run.data), "--web-port", "0", "--leshan-port", "0", "--coaps-port", "0")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f"is up already on {run.data} (process {run.process.pid}, http://127.0.0.1:{run.web_port}/)" in line


def test_a_port_that_is_taken_is_one_line(run: Run, tmp_path: Path) -> None:
    done = ran("--data", str(tmp_path), "--web-port", str(run.web_port))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f"port {run.web_port}" in line
    assert "--web-port" in line


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--web-port", "http"], "'http' is no port"),
        (["--devices", "-1"], "--devices"),
        (["--nonsense"], "--nonsense"),
        (["--data", "/dev/null/x"], "choose another folder with --data"),
    ],
)
def test_wrong_options_are_explained(options: list[str], says: str) -> None:
    done = ran(*options)
    assert done.returncode != 0
    assert says in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_the_administrator_gets_a_new_password_beside_a_run(run: Run) -> None:
    done = ran("--data", str(run.data), "--reset-admin")
    assert done.returncode == 0, done.stderr
    match = re.fullmatch(r"administrator: (\S+) / (\S+)\n", done.stdout)
    assert match is not None, done.stdout
    Person(f"http://127.0.0.1:{run.web_port}").sign_in(*match.groups())


def test_what_is_killed_comes_back_and_values_flow_again(run: Run) -> None:
    before = run.pids()
    for name, pid in before.items():
        os.kill(pid, signal.SIGKILL)
        run.process.wait_for_line(rf"^{name}: was killed by SIGKILL; starting it again in 1 s")
        run.process.wait_for_line(rf"^{name}: is back$", timeout=60)
    after = run.pids()
    assert set(after) == set(before)
    assert not set(after.values()) & set(before.values())
    run.wait_values()
    assert requests.get(f"http://127.0.0.1:{run.web_port}/accounts/login/", timeout=10).status_code == 200


def test_ctrl_c_ends_all_of_it_soon(run: Run) -> None:
    pids = run.pids()
    start = time.monotonic()
    run.process.signal(signal.SIGINT)
    assert run.process.wait(15) == 0
    assert time.monotonic() - start < 5
    assert not [name for name, pid in pids.items() if alive(pid)]


def test_it_goes_on_with_the_same_data_and_takes_all_with_it_when_killed(run: Run) -> None:
    run.process.stop()
    again = Run(run.data.parent, "--devices", "1")
    try:
        assert "administrator: " not in again.process.output()
        again.wait_values()
        pids = again.pids()
        again.process.kill()
        wait_for(lambda: not any(map(alive, pids.values())), timeout=10, what="all programs are gone")
    finally:
        again.process.stop()
