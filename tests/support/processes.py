"""Real processes with their output in a file: started, watched, killed and always ended."""

import contextlib
import ctypes
import itertools
import os
import random
import re
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.waiting import wait_for

# Below the range that kernels take the ports of outgoing connections from, so that nobody gets one of these by chance
# between the look and the use; a random start keeps test processes that run at the same time apart.
_FIRST, _LAST = 12000, 32000
_ports = itertools.count(random.SystemRandom().randrange(_LAST - _FIRST))


def free_port() -> int:
    """A port that is free for TCP and UDP on both loopback addresses, and that this process gives out only once."""
    for offset in itertools.islice(_ports, _LAST - _FIRST):
        port = _FIRST + offset % (_LAST - _FIRST)
        if all(_can_bind(family, kind, port) for family in _families() for kind in _KINDS):
            return port
    raise AssertionError("no free port on loopback")


_KINDS = (socket.SOCK_STREAM, socket.SOCK_DGRAM)


def _families() -> list[tuple[socket.AddressFamily, str]]:
    families = [(socket.AF_INET, "127.0.0.1")]
    if has_ipv6():
        families.append((socket.AF_INET6, "::1"))
    return families


def _can_bind(family: tuple[socket.AddressFamily, str], kind: socket.SocketKind, port: int) -> bool:
    with contextlib.closing(socket.socket(family[0], kind)) as probe:
        try:
            probe.bind((family[1], port))
        except OSError:
            return False
    return True


def has_ipv6() -> bool:
    """Does this machine have an IPv6 loopback address?"""
    if not socket.has_ipv6:
        return False
    with contextlib.closing(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def _die_with_us() -> None:
    """Runs in the child: a test process that is killed leaves none behind."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class RunningProcess:
    """One child process; its output (both streams) goes to `log`."""

    def __init__(
        self, name: str, command: Sequence[str], *, log: Path, env: Mapping[str, str], cwd: Path | None = None
    ) -> None:
        self.name = name
        self.log = log
        self._from = log.stat().st_size if log.exists() else 0
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                command,
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=dict(env),
                cwd=cwd,
                preexec_fn=_die_with_us,
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, None while it runs."""
        return self._process.poll()

    def output(self) -> str:
        """Everything that this process has written so far."""
        with self.log.open("rb") as file:
            file.seek(self._from)
            return file.read().decode(errors="replace")

    def tail(self, lines: int = 25) -> str:
        """The last lines, for a failure message."""
        return "\n".join(self.output().splitlines()[-lines:])

    def lines(self, pattern: str) -> list[str]:
        """Its lines that the pattern is found in, upper and lower case alike."""
        expression = re.compile(pattern, re.IGNORECASE)
        return [line for line in self.output().splitlines() if expression.search(line)]

    def wait_for_line(self, pattern: str, *, timeout: float = 40.0) -> re.Match[str]:
        """The first line that matches; fails at once where the process ends before it."""
        expression = re.compile(pattern, re.MULTILINE)

        def look() -> re.Match[str] | None:
            ended = self.returncode is not None
            match = expression.search(self.output())
            if match is None and ended:
                raise AssertionError(f"{self.name} ended ({self.returncode}) before {pattern!r}:\n{self.tail()}")
            return match

        match = wait_for(look, timeout=timeout, what=lambda: f"{pattern!r} from {self.name}:\n{self.tail()}")
        assert match is not None
        return match

    def wait(self, timeout: float = 15.0) -> int:
        """The exit code."""
        return self._process.wait(timeout)

    def kill(self) -> None:
        """As `kill -9`."""
        self._process.kill()
        self._process.wait(10)

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal."""
        self._process.send_signal(number)

    def stop(self, timeout: float = 10.0) -> int:
        """Ends it in the friendly way; kills it when that does not help."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGCONT)
                self._process.terminate()
            try:
                return self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
        code = self.returncode
        assert code is not None
        return code
