"""What dies is started again, and nothing outlives the supervisor."""

import os
import re
import signal
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.processes import RunningProcess
from tests.support.waiting import wait_for

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"

# starts the programs given on the command line as NAME=SHELL-COMMAND, then looks after them
SUPERVISOR = textwrap.dedent(
    """
    import os, pathlib, sys
    sys.path.insert(0, sys.argv[1])
    from _setup import SetupError, say
    from _supervise import Program, Supervisor
    supervisor = Supervisor()
    supervisor.install_signals()
    programs = []
    try:
        for argument in sys.argv[3:]:
            name, _, command = argument.partition("=")
            log = pathlib.Path(sys.argv[2]) / f"{name}.log"
            ready = lambda program: "up" in program.output()
            program = Program(name, ["sh", "-c", command], os.environ, log, is_ready=ready)
            programs.append(supervisor.start(program))
        supervisor.wait_ready(programs, timeout=20)
        say("ready")
        supervisor.run()
    except SetupError as error:
        print(error)
        sys.exit(1)
    finally:
        supervisor.end()
    """
)

Supervise = Callable[..., RunningProcess]


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Supervise]:
    started: list[RunningProcess] = []

    def start(**programs: str) -> RunningProcess:
        command = [sys.executable, "-u", "-c", SUPERVISOR, str(SCRIPTS), str(tmp_path)]
        command += [f"{name}={shell}" for name, shell in programs.items()]
        started.append(RunningProcess("supervisor", command, log=tmp_path / "supervisor.out", env=os.environ))
        return started[-1]

    yield start
    for process in started:
        process.stop()


def pid(log: Path) -> int:
    """The newest `up PID` line in a program's log."""
    found = re.findall(r"up (\d+)", log.read_text())
    return int(found[-1])


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


STAYS = "echo up $$; exec sleep 600"


def test_what_is_killed_is_started_again_and_said(supervise: Supervise, tmp_path: Path) -> None:
    supervisor = supervise(one=STAYS, two=STAYS)
    supervisor.wait_for_line("^ready$")
    first, other = pid(tmp_path / "one.log"), pid(tmp_path / "two.log")
    os.kill(first, signal.SIGKILL)
    supervisor.wait_for_line(r"^one: was killed by SIGKILL; starting it again in 1 s \(see .*one\.log\)$")
    supervisor.wait_for_line("^one: is back$")
    assert pid(tmp_path / "one.log") != first
    assert alive(pid(tmp_path / "one.log"))
    assert alive(other)


def test_pauses_grow_while_a_program_keeps_dying(supervise: Supervise, tmp_path: Path) -> None:
    supervisor = supervise(
        one=f"test -e {tmp_path / 'broken'} && exit 3; echo up $$; touch {tmp_path / 'broken'}; sleep 600"
    )
    supervisor.wait_for_line("^ready$")
    os.kill(pid(tmp_path / "one.log"), signal.SIGTERM)
    supervisor.wait_for_line(r"^one: was killed by SIGTERM; starting it again in 1 s")
    supervisor.wait_for_line(r"^one: ended with code 3; starting it again in 2 s")


def test_it_ends_everything_even_what_does_not_listen(supervise: Supervise, tmp_path: Path) -> None:
    supervisor = supervise(one=STAYS, deaf='trap "" TERM INT; echo up $$; while :; do sleep 600; done')
    supervisor.wait_for_line("^ready$")
    one, deaf = pid(tmp_path / "one.log"), pid(tmp_path / "deaf.log")
    start = time.monotonic()
    supervisor.signal(signal.SIGINT)
    assert supervisor.wait(10) == 0
    assert time.monotonic() - start < 5
    assert not alive(one)
    assert not alive(deaf)


def test_nothing_outlives_a_supervisor_that_is_killed(supervise: Supervise, tmp_path: Path) -> None:
    supervisor = supervise(one=STAYS)
    supervisor.wait_for_line("^ready$")
    one = pid(tmp_path / "one.log")
    supervisor.kill()
    wait_for(lambda: not alive(one), timeout=5, what="the program is gone")


def test_a_program_that_cannot_start_is_an_error_with_its_own_words(supervise: Supervise, tmp_path: Path) -> None:
    one_is_up = f"until grep -q up {tmp_path / 'one.log'}; do sleep 0.05; done"
    supervisor = supervise(one=STAYS, two=f"{one_is_up}; echo 'port 1 is taken'; exit 2")
    assert supervisor.wait(20) == 1
    assert "two ended with code 2 at its start:\n  port 1 is taken" in supervisor.output()
    assert not alive(pid(tmp_path / "one.log"))
