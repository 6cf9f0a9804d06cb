"""Keeps programs running: starts them, starts them again when they die, ends them all. Standard library only."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from _setup import ROOT, SetupError, say

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
# a program that has run this long had not failed at its start
HEALTHY = 60.0
# from Ctrl-C to the last process gone: under 5 s in all
FRIENDLY = 3.0
LOG_BYTES = 20 * 1024 * 1024
PR_SET_PDEATHSIG = 1

# looked up before any fork; only Linux has it
_prctl = getattr(ctypes.CDLL(None), "prctl", None)


def die_with_parent() -> None:
    """In the child: the kernel kills it when we are gone, however we went."""
    if _prctl is not None:
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def ended_text(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


@dataclass
class Program:
    """One program: how it is started, where its output goes, and how to see that it is ready."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    log: Path
    # asked again and again after a start; True once it does its work
    is_ready: Callable[[Program], bool] = lambda program: True
    ready: bool = False
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    # where in the log this run's output begins
    log_from: int = 0
    pause: float = FIRST_PAUSE
    next_start: float | None = None
    restarts: int = field(default=0)

    def output(self) -> str:
        """What this run has written so far."""
        with contextlib.suppress(OSError), self.log.open("rb") as file:
            file.seek(self.log_from)
            return file.read().decode(errors="replace")
        return ""

    def tail(self, lines: int = 10) -> str:
        """The last lines of this run's output, indented."""
        return "\n".join("  " + line for line in self.output().splitlines()[-lines:])


class Supervisor:
    """Starts programs and looks after them. All of it in the main thread: a child's life hangs on its parent thread."""

    def __init__(self) -> None:
        self.programs: list[Program] = []
        self._stop = threading.Event()

    def install_signals(self) -> None:
        """Ctrl-C, SIGTERM and a closed terminal end everything; Ctrl-C even where the shell said to ignore it."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # nohup means it
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, lambda *_: self._stop.set())

    @property
    def stopping(self) -> bool:
        """Has the end been asked for?"""
        return self._stop.is_set()

    def start(self, program: Program) -> Program:
        """Starts it and looks after it from now on."""
        self.programs.append(program)
        self._launch(program)
        return program

    def wait_ready(self, programs: Sequence[Program], *, timeout: float) -> None:
        """Until all of them do their work. Raises SetupError where one ends before or the time is over."""
        deadline = time.monotonic() + timeout
        while not self.stopping:
            for program in self.programs:
                self._look(program, restart=False)
            waiting = [program for program in programs if not program.ready]
            if not waiting:
                return
            if time.monotonic() > deadline:
                names = ", ".join(program.name for program in waiting)
                raise SetupError(f"not ready after {timeout:.0f} s: {names}\n{waiting[0].tail()}\nsee {waiting[0].log}")
            self._stop.wait(0.05)

    def run(self) -> None:
        """Restarts what dies until the end is asked for."""
        trimmed = time.monotonic()
        while not self._stop.wait(0.1):
            for program in self.programs:
                self._look(program, restart=True)
            if time.monotonic() - trimmed > 60:
                trimmed = time.monotonic()
                for program in self.programs:
                    _trim(program)

    def end(self) -> None:
        """Ends all programs: asks first, then kills. Returns when none is left."""
        living = [program.process for program in self.programs if program.process and program.process.poll() is None]
        for process in living:
            process.terminate()
        deadline = time.monotonic() + FRIENDLY
        for process in living:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                # it leads a process group of its own; what it started goes with it
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        for process in living:
            process.wait()

    def _launch(self, program: Program) -> None:
        program.log.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(program.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            program.log_from = os.fstat(descriptor).st_size
            program.process = subprocess.Popen(
                list(program.command),
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                env=dict(program.env),
                cwd=ROOT,
                # Ctrl-C reaches us alone: we say who ends when
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        except OSError as error:
            raise SetupError(f"{program.name} cannot be started: {error}") from error
        finally:
            os.close(descriptor)
        program.started = time.monotonic()
        program.ready = False
        program.next_start = None

    def _look(self, program: Program, *, restart: bool) -> None:
        now = time.monotonic()
        if program.next_start is not None:
            if now >= program.next_start:
                self._launch(program)
            return
        process = program.process
        if process is None:
            return
        code = process.poll()
        if code is None:
            if not program.ready and program.is_ready(program):
                program.ready = True
                if program.restarts:
                    say(f"{program.name}: is back")
            return
        program.process = None
        program.ready = False
        if not restart:
            raise SetupError(f"{program.name} {ended_text(code)} at its start:\n{program.tail()}\nsee {program.log}")
        if now - program.started > HEALTHY:
            program.pause = FIRST_PAUSE
        say(f"{program.name}: {ended_text(code)}; starting it again in {program.pause:.0f} s (see {program.log})")
        program.next_start = now + program.pause
        program.pause = min(2 * program.pause, LONGEST_PAUSE)
        program.restarts += 1


def _trim(program: Program) -> None:
    """Keeps a log bounded: the old half is kept as NAME.log.1. Written with O_APPEND, so writers go on unharmed."""
    with contextlib.suppress(OSError):
        if program.log.stat().st_size > LOG_BYTES:
            old = program.log.with_name(program.log.name + ".1")
            old.write_bytes(program.log.read_bytes())
            os.truncate(program.log, 0)
            program.log_from = 0
