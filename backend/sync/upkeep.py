"""What the database needs from time to time: rollups, retention, alerts. In slices, between batches of events.

Used by the writer's thread only: what marks hours as stale and what clears the marks must not meet.
"""

import logging
import time
from collections.abc import Callable, Collection

from django.utils import timezone

from backend.alerts.services import evaluate
from backend.alerts.services import retention_step as alerts_retention_step
from backend.devices.services import raw_events_retention_step
from backend.logs.services import retention_step as logs_retention_step
from backend.sync.desired import Retry
from backend.sync.exceptions import StoppedError
from backend.telemetry.services import RollupStep, retention_step, rollups_step

log = logging.getLogger(__name__)

# seconds of a slice: what an event waits for it at most
BUDGET_SECONDS = 0.05
# slices of one chore follow each other after this long while there is more to do
BUSY_SECONDS = 0.15
ROLLUPS_SECONDS = 5.0
# hours that lie ahead, of devices whose clocks do
FUTURE_SECONDS = 600.0
# what is too old is looked for this often
SAMPLES_SECONDS = 300.0
LOGS_SECONDS = 10.0
RARELY_SECONDS = 600.0
# alerts of devices with news are looked at this often, all others
ALERT_SECONDS = 0.5
ALL_ALERTS_SECONDS = 60.0
# what failed in an unforeseen way is tried again after this long
FAILED_SECONDS = 60.0
# so often rollups let alerts go first that have not seen everything yet
LET_FIRST = 20
ROLLUPS = "rollups"


class Upkeep:
    """Takes its turn at every tick: alerts when they are due, and a slice of the chore that has waited longest."""

    def __init__(
        self,
        *,
        retry: Retry,
        rolled_up: Callable[[Collection[tuple[int, int]] | None], None],
        problem: Callable[[str, str], None],
    ) -> None:
        """`rolled_up` is told which (series id, hour) are no longer marked; None: after an error nobody knows.

        `problem` is told what is wrong, and what it is about; "" when it is over.
        """
        self._retry = retry
        self._rolled_up = rolled_up
        self._problem = problem
        self._alerts_at = self._all_alerts_at = 0.0
        # ids of devices with news since alerts were looked at
        self._told: set[int] = set()
        # the last look at alerts left something for the next one; how often rollups have waited for that
        self._alerts_left = False
        self._waited = 0
        self._future_at = time.monotonic() + FUTURE_SECONDS
        # where the sweeps through all series, and through all devices' logs, have come to
        self._swept = self._logs_swept = 0
        # when each is due; it says after how many seconds it wants to be called again
        self._chores: dict[str, tuple[float, Callable[[], float]]] = {
            ROLLUPS: (0.0, self._rollups),
            "retention of samples": (0.0, self._samples),
            "retention of logs": (0.0, self._logs),
            "retention of alerts": (0.0, self._alerts_kept),
            "retention of raw messages": (0.0, self._raw_kept),
        }

    def told(self, device_ids: Collection[int]) -> None:
        """There are new values of these devices, or their status has changed."""
        self._told.update(device_ids)

    def tick(self) -> None:
        """One slice of what is due."""
        now = time.monotonic()
        when, name = min((when, name) for name, (when, _) in self._chores.items())
        if now >= self._alerts_at or (now >= when and name == ROLLUPS and self._alerts_go_first(now)):
            self._alerts_at = time.monotonic() + self._safely("alerts", self._alerts)
        if now < when:
            return
        if name == ROLLUPS and self._alerts_go_first(now) and self._waited < LET_FIRST:
            self._waited += 1
            return
        chore = self._chores[name][1]
        self._chores[name] = time.monotonic() + self._safely(name, chore), chore

    def _alerts_go_first(self, now: float) -> bool:
        """Is there anything that the rules have not seen? They find odd times by the marks that rollups take away.

        Not where they have failed and wait: they must not hold up the rollups.
        """
        return (bool(self._told) or self._alerts_left) and self._alerts_at - now <= ALERT_SECONDS

    def _safely(self, name: str, chore: Callable[[], float]) -> float:
        """A fault in one of these must cost neither the others nor what devices say: it is told, and tried again."""
        try:
            pause = chore()
        except StoppedError:
            raise
        except Exception as error:
            log.exception("%s failed in an unforeseen way", name)
            self._problem(name, f"{name}: {type(error).__name__}: {error}"[:500])
            return FAILED_SECONDS
        self._problem(name, "")
        return pause

    def _alerts(self) -> float:
        now = time.monotonic()
        everything = now >= self._all_alerts_at
        told = self._told
        self._alerts_left = False
        if everything:
            # those that were told have their turn after that: it is about devices that were heard just now, and they
            # may have been heard long ago, such as before we were away
            self._all_alerts_at = now + ALL_ALERTS_SECONDS
        else:
            self._told = set()
        step = self._retry(
            lambda: evaluate(device_ids=None if everything else told, now=timezone.now(), budget_seconds=BUDGET_SECONDS)
        )
        self._alerts_left = step.more
        return BUSY_SECONDS if step.more or self._told else ALERT_SECONDS

    def _rollups(self) -> float:
        self._waited = 0
        future = time.monotonic() >= self._future_at

        def once() -> RollupStep:
            try:
                return rollups_step(now=_microseconds(), budget=BUDGET_SECONDS, future=future)
            except Exception:
                self._rolled_up(None)
                raise

        step = self._retry(once)
        self._rolled_up(step.done)
        if step.more:
            return BUSY_SECONDS
        if future:
            self._future_at = time.monotonic() + FUTURE_SECONDS
        return ROLLUPS_SECONDS

    def _samples(self) -> float:
        step = self._retry(lambda: retention_step(now=_microseconds(), budget=BUDGET_SECONDS, after=self._swept))
        self._swept = step.after or 0
        return SAMPLES_SECONDS if step.after is None else BUSY_SECONDS

    def _logs(self) -> float:
        step = self._retry(
            lambda: logs_retention_step(now=_microseconds(), budget=BUDGET_SECONDS, after=self._logs_swept)
        )
        self._logs_swept = step.after
        return BUSY_SECONDS if step.more else LOGS_SECONDS

    def _alerts_kept(self) -> float:
        more = self._retry(lambda: alerts_retention_step(now=timezone.now()))
        return BUSY_SECONDS if more else RARELY_SECONDS

    def _raw_kept(self) -> float:
        more = self._retry(lambda: raw_events_retention_step(now=timezone.now()))
        return BUSY_SECONDS if more else RARELY_SECONDS


def _microseconds() -> int:
    return time.time_ns() // 1000
