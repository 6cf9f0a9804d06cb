"""What the database needs from time to time: rollups, retention, alerts. In slices, between batches of events.

Used by the writer's thread only: what marks hours as stale and what clears the marks must not meet.
"""

import time
from collections.abc import Callable, Collection
from typing import Any

from django.utils import timezone

from backend.logs.services import retention_step as logs_retention_step

try:  # TEMPORARY
    from backend.alerts.services import evaluate
except ImportError:
    evaluate = lambda **_: None
try:  # TEMPORARY
    from backend.telemetry.services import retention_step, rollups_step
except ImportError:
    import types

    retention_step = lambda **_: types.SimpleNamespace(more=False)
    rollups_step = lambda **_: types.SimpleNamespace(hours=set(), more=False)

# seconds of a slice: what an event waits for it at most
BUDGET_SECONDS = 0.05
# slices follow each other after this long while there is more to do, else
BUSY_SECONDS = 0.15
IDLE_SECONDS = 5.0
# alerts of devices with news are looked at this often, all others
ALERT_SECONDS = 0.5
ALL_ALERTS_SECONDS = 60.0

Retry = Callable[[Callable[[], Any]], Any]


class Upkeep:
    """Takes its turn at every tick."""

    def __init__(self, *, retry: Retry, rolled_up: Callable[[Collection[tuple[int, int]]], None]) -> None:
        """`rolled_up` is told which (series id, hour) are no longer marked."""
        self._retry = retry
        self._rolled_up = rolled_up
        self._rollups_at = self._samples_at = self._logs_at = 0.0
        self._alerts_at = self._all_alerts_at = 0.0
        # ids of devices with news since alerts were looked at
        self._told: set[int] = set()

    def told(self, device_ids: Collection[int]) -> None:
        """There are new values of these devices, or their status has changed."""
        self._told.update(device_ids)

    def tick(self) -> None:
        """One slice of what is due."""
        now = time.monotonic()
        if now >= self._alerts_at:
            self._alerts_at = now + ALERT_SECONDS
            self._alerts(now)
        if now >= self._rollups_at:
            done = self._retry(lambda: rollups_step(now=_microseconds(), budget=BUDGET_SECONDS))
            self._rolled_up(done.hours)
            self._rollups_at = _after(done.more)
        elif now >= self._samples_at:
            self._samples_at = _after(self._retry(lambda: retention_step(now=_microseconds(), budget=BUDGET_SECONDS)).more)
        elif now >= self._logs_at:
            self._logs_at = _after(self._retry(lambda: logs_retention_step(now=_microseconds(), budget=BUDGET_SECONDS)))

    def _alerts(self, now: float) -> None:
        everything = now >= self._all_alerts_at
        if not (everything or self._told):
            return
        told, self._told = self._told, set()
        if everything:
            self._all_alerts_at = now + ALL_ALERTS_SECONDS
        self._retry(
            lambda: evaluate(device_ids=None if everything else told, now=timezone.now(), budget_seconds=BUDGET_SECONDS)
        )


def _microseconds() -> int:
    return time.time_ns() // 1000


def _after(more: bool) -> float:
    return time.monotonic() + (BUSY_SECONDS if more else IDLE_SECONDS)
