"""Reads the event stream in a thread of its own, for ever: connects, hands chunks over, reconnects."""

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from backend.sync.client import Health, LeshanClient
from backend.sync.exceptions import LeshanError
from backend.sync.plan import retry_delay

log = logging.getLogger(__name__)

FIRST_DELAY = 0.2
LONGEST_DELAY = 5.0
# an own server comments every 5 s when nothing happens; of a stock one we only know that it is slower
SILENCE = 15.0
STOCK_SILENCE = 60.0
# chunks read but not yet stored: 64 of at most 64 KiB
AHEAD = 64


@dataclass(slots=True)
class Connected:
    """The stream is open; chunks of this number follow. `health` is None for a stock server."""

    number: int
    health: Health | None


@dataclass(slots=True)
class Chunk:
    """Bytes of the stream. `received`: microseconds since 1970."""

    number: int
    data: bytes
    received: int


@dataclass(slots=True)
class Disconnected:
    """The stream is down, or could not be opened."""

    reason: str


@dataclass(slots=True)
class Resume:
    """Asks the writer for the id of the last event that is stored, once it has stored all that came before."""

    answer: str = ""
    answered: threading.Event = field(default_factory=threading.Event)


Message = Connected | Chunk | Disconnected | Resume


class Reader(threading.Thread):
    """Posts what it hears; the writer gives back a permit for each chunk."""

    def __init__(self, client: LeshanClient, post: Callable[[Message], None], stopping: threading.Event) -> None:
        """`post` is called from this thread only and must not block."""
        super().__init__(name="event-stream", daemon=True)
        self._client = client
        self._post = post
        self._stopping = stopping
        self._permits = threading.Semaphore(AHEAD)
        self._number = 0

    def release(self) -> None:
        """A chunk is stored: another one may be read ahead."""
        self._permits.release()

    def run(self) -> None:
        """Until `stopping`."""
        attempt = 0
        while not self._stopping.is_set():
            try:
                attempt = 0 if self._listen() else attempt + 1
            except LeshanError as error:
                attempt += 1
                self._post(Disconnected(str(error)))
            except Exception as error:
                log.exception("the event stream failed in an unforeseen way")
                attempt += 1
                self._post(Disconnected(f"{type(error).__name__}: {error}"))
            delay = retry_delay(max(1, attempt), first=FIRST_DELAY, most=LONGEST_DELAY)
            self._stopping.wait(delay * random.uniform(0.9, 1.0))  # noqa: S311 - so that not all come at once

    def _listen(self) -> bool:
        """One connection; true where anything was heard in it. Raises LeshanError where it could not be opened."""
        health = self._client.health()
        resume = Resume()
        self._post(resume)
        while not resume.answered.wait(0.5):
            if self._stopping.is_set():
                return True
        last = resume.answer
        if not last and health is not None:
            # never connected before: from the journal's beginning on
            last = f"{health.journal}-0"
        stream = self._client.events(last_event_id=last if health else "", silence=SILENCE if health else STOCK_SILENCE)
        self._number += 1
        self._post(Connected(self._number, health))
        heard = False
        try:
            for chunk in stream.chunks():
                heard = True
                while not self._permits.acquire(timeout=0.5):
                    if self._stopping.is_set():
                        return True
                self._post(Chunk(self._number, chunk, time.time_ns() // 1000))
                if self._stopping.is_set():
                    return True
        except LeshanError as error:
            self._post(Disconnected(str(error)))
        finally:
            stream.close()
        return heard
