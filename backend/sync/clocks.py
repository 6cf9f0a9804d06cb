"""Devices whose clock is wrong: set, where the profile wants it and the device takes it (object 3, resource 13)."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from django.utils import timezone

from backend.devices.services import clock_noted
from backend.sync import queries
from backend.sync.client import LeshanClient
from backend.sync.desired import Retry
from backend.sync.work import DEVICE_SECONDS, ClockDone, Job, Outcome, Read, Step, reason_of

log = logging.getLogger(__name__)

PATH = "/3/0/13"
# a clock counts whole seconds, and a message may be under way for some
TOLERANCE_SECONDS = 30.0
# a device that keeps saying the wrong time in one registration is not set more often
AGAIN_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class SetClock(Step):
    """Writes the time of the moment in which the request goes out: a sleeping device may take it hours later."""

    endpoint: str
    ahead: float

    def run(self, client: LeshanClient) -> Outcome | None:
        """That it was set."""
        value = str(round(time.time()) * 1000)
        node = {"kind": "singleResource", "id": 13, "type": "TIME", "value": value}
        client.write(self.endpoint, PATH, node, timeout=DEVICE_SECONDS)
        return ClockDone(self.endpoint, self.ahead)

    def failed(self, error: Exception) -> Outcome | None:
        """The device's reason."""
        return ClockDone(self.endpoint, self.ahead, reason_of(error) or type(error).__name__)


class Clocks:
    """Used by the writer's thread only."""

    def __init__(self, *, retry: Retry, submit: Callable[[Job], None]) -> None:
        """`submit` takes the requests to make."""
        self._retry = retry
        self._submit = submit
        # endpoint → time.monotonic() of the last try
        self._tried: dict[str, float] = {}

    def registered(self, endpoints: Iterable[str]) -> None:
        """A device that registers may have started anew, and its clock with it."""
        for endpoint in endpoints:
            self._tried.pop(endpoint, None)

    def heard(self, ahead: Mapping[str, float]) -> None:
        """These clocks are ahead of ours by so many seconds (behind: below 0): those that are wrong are set."""
        now = time.monotonic()
        due = {
            endpoint: seconds
            for endpoint, seconds in ahead.items()
            if abs(seconds) > TOLERANCE_SECONDS
            and (endpoint not in self._tried or now - self._tried[endpoint] > AGAIN_SECONDS)
        }
        if not due:
            return
        for endpoint, queue_mode in self._retry(lambda: queries.clocks_to_set(endpoints=list(due))).items():
            self._tried[endpoint] = now
            steps: deque[Step] = deque([SetClock(endpoint, due[endpoint]), Read(endpoint, PATH)])
            self._submit(Job(f"clock of {endpoint}", steps, endpoint=endpoint, queue_mode=queue_mode))

    def done(self, done: ClockDone) -> None:
        """Notes it in the device's history."""
        log.info("clock of %s: %s", done.endpoint, done.error or f"set, it was {done.ahead:+.0f} s off")
        self._retry(lambda: clock_noted(endpoint=done.endpoint, ahead=done.ahead, error=done.error, at=timezone.now()))
