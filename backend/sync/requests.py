"""Requests to Leshan that it carries out by itself: a few threads hand them over, ask for them, take them back.

None of them waits for a device, so that hundreds of devices need no thread each. Outcomes are posted to the writer.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from backend.commands.models import Command, Kind
from backend.commands.services.outcomes import package_missing
from backend.sync.calls import call_of
from backend.sync.client import LeshanClient
from backend.sync.exceptions import (
    DeviceSleepingError,
    LeshanError,
    NotFoundError,
    NotRegisteredError,
    UnauthorisedError,
    UnavailableError,
)

log = logging.getLogger(__name__)

THREADS = 24


class Answer(StrEnum):
    """What came of it."""

    # Leshan has it: `record` tells how far it is, {} where that is not told
    RECORD = "record"
    # Leshan has none of that id
    NO_RECORD = "no record"
    SLEEPING = "sleeping"
    NOT_REGISTERED = "not registered"
    # the observation to be ended is not there
    NOTHING_TO_END = "nothing to end"
    # the package to be written is not there
    NO_PACKAGE = "no package"
    REFUSED = "refused"
    # nobody knows whether Leshan has it
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Handed:
    """The outcome of one HTTP request about a command. `started`: time.monotonic() before it.

    `handing`: it was the one that hands the command over.
    """

    command_id: int
    request_id: str
    answer: Answer
    started: float
    record: Mapping[str, Any] | None = None
    error: str = ""
    handing: bool = False


class Requests:
    """The threads and their line of work."""

    def __init__(self, client: LeshanClient, post: Callable[[Handed], None], *, threads: int = THREADS) -> None:
        """`post` takes outcomes, from any thread."""
        self._client = client
        self._post = post
        self._line: queue.SimpleQueue[Callable[[], Handed] | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._run, name=f"commands-{number}", daemon=True) for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def start(self, command: Command) -> None:
        """Hands the command over, as the attempt that it is in."""
        self._line.put(lambda: self._start(command))

    def look(self, command: Command) -> None:
        """Asks how far it is."""
        self._line.put(lambda: self._ask(command, self._client.request_record))

    def cancel(self, command: Command) -> None:
        """Takes it back."""
        self._line.put(lambda: self._ask(command, self._client.request_cancel))

    def stop(self, timeout: float) -> None:
        """Ends the threads; those in the middle of a request are not waited for longer than `timeout` in all."""
        while not self._line.empty():
            try:
                self._line.get_nowait()
            except queue.Empty:
                break
        for _ in self._threads:
            self._line.put(None)
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        while (work := self._line.get()) is not None:
            self._post(work())

    def _start(self, command: Command) -> Handed:
        started = time.monotonic()

        def handed(answer: Answer, record: Mapping[str, Any] | None = None, error: str = "") -> Handed:
            return Handed(command.pk, command.request_id, answer, started, record, error, handing=True)

        try:
            call = call_of(command)
            record = self._client.request_start(command.device.endpoint, command.request_id, call)
        except DeviceSleepingError:
            return handed(Answer.SLEEPING)
        except NotRegisteredError:
            return handed(Answer.NOT_REGISTERED)
        except (UnavailableError, UnauthorisedError) as error:
            return handed(Answer.UNAVAILABLE, error=str(error))
        except NotFoundError as error:
            ends = command.kind in {Kind.CANCEL_OBSERVE, Kind.CANCEL_COMPOSITE} and "observation" in error.said
            return handed(Answer.NOTHING_TO_END if ends else _refused(command, error), error=error.said or str(error))
        except LeshanError as error:
            return handed(_refused(command, error), error=error.said or str(error))
        except Exception as error:
            # such as arguments that are not what the kind needs: nothing was asked
            log.exception("command %s could not be asked", command.pk)
            return handed(Answer.REFUSED, error=f"it could not be asked: {type(error).__name__}: {error}")
        return handed(Answer.RECORD, record)

    @staticmethod
    def _ask(command: Command, ask: Callable[[str], dict[str, Any] | None]) -> Handed:
        started = time.monotonic()
        try:
            record = ask(command.request_id)
        except Exception as error:
            if not isinstance(error, LeshanError):
                log.exception("command %s could not be asked for", command.pk)
            return Handed(command.pk, command.request_id, Answer.UNAVAILABLE, started, error=str(error))
        answer = Answer.NO_RECORD if record is None else Answer.RECORD
        return Handed(command.pk, command.request_id, answer, started, record)


def _refused(command: Command, error: LeshanError) -> Answer:
    missing = command.kind == Kind.WRITE_PACKAGE and package_missing(error.said)
    return Answer.NO_PACKAGE if missing else Answer.REFUSED
