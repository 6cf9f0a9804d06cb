"""What the database needs from time to time: rollups, retention, alerts. In slices, between batches of events.

Used by the writer's thread only: what marks hours as stale and what clears the marks must not meet.
"""

import time
from collections.abc import Callable, Collection
from typing import Any

from django.utils import timezone

from backend.alerts.services import evaluate
from backend.alerts.services import retention_step as alerts_retention_step
from backend.logs.services import retention_step as logs_retention_step
from backend.telemetry.services import retention_step, rollups_step

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
ALERTS_KEPT_SECONDS = 600.0
# alerts of devices with news are looked at this often, all others
ALERT_SECONDS = 0.5
ALL_ALERTS_SECONDS = 60.0

Retry = Callable[[Callable[[], Any]], Any]


class Upkeep:
    """Takes its turn at every tick: alerts when they are due, and a slice of the chore that has waited longest."""

    def __init__(self, *, retry: Retry, rolled_up: Callable[[Collection[tuple[int, int]]], None]) -> None:
        """`rolled_up` is told which (series id, hour) are no longer marked."""
        self._retry = retry
        self._rolled_up = rolled_up
        self._alerts_at = self._all_alerts_at = 0.0
        # ids of devices with news since alerts were looked at
        self._told: set[int] = set()
        self._future_at = time.monotonic() + FUTURE_SECONDS
        # where the sweep through all series has come to
        self._swept = 0
        # a chore says after how many seconds it wants to be called again
        chores: list[Callable[[], float]] = [self._rollups, self._samples, self._logs, self._alerts_kept]
        self._chores = [(0.0, chore) for chore in chores]

    def told(self, device_ids: Collection[int]) -> None:
        """There are new values of these devices, or their status has changed."""
        self._told.update(device_ids)

    def tick(self) -> None:
        """One slice of what is due."""
        now = time.monotonic()
        if now >= self._alerts_at:
            self._alerts_at = now + ALERT_SECONDS
            self._alerts(now)
        when, chore = min(self._chores, key=lambda one: one[0])
        if now >= when:
            pause = chore()
            self._chores.remove((when, chore))
            self._chores.append((time.monotonic() + pause, chore))

    def _alerts(self, now: float) -> None:
        everything = now >= self._all_alerts_at
        told, self._told = self._told, set()
        if everything:
            self._all_alerts_at = now + ALL_ALERTS_SECONDS
        self._retry(
            lambda: evaluate(device_ids=None if everything else told, now=timezone.now(), budget_seconds=BUDGET_SECONDS)
        )

    def _rollups(self) -> float:
        future = time.monotonic() >= self._future_at
        step = self._retry(lambda: rollups_step(now=_microseconds(), budget=BUDGET_SECONDS, future=future))
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
        step = self._retry(lambda: logs_retention_step(now=_microseconds(), budget=BUDGET_SECONDS))
        return BUSY_SECONDS if step.more else LOGS_SECONDS

    def _alerts_kept(self) -> float:
        more = self._retry(lambda: alerts_retention_step(now=timezone.now()))
        return BUSY_SECONDS if more else ALERTS_KEPT_SECONDS


def _microseconds() -> int:
    return time.time_ns() // 1000
