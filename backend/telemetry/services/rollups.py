"""Keeps the rollups up to date: hours that are marked as stale are summed up again."""

import time as clock
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

from backend.telemetry.buckets import DAY, HOUR, SECOND, floor
from backend.telemetry.models import Level
from backend.telemetry.rollup_rows import (
    Columns,
    Hour,
    RollupRow,
    hours_samples,
    kept_add,
    marks_delete,
    marks_due,
    rollups_delete,
    rollups_of,
    rollups_upsert,
    samples_delete,
)
from backend.telemetry.rollups import DENSE, Summary, merged, minutes, summary

# an hour is over for so long before it is summed up: what was under way has come
SETTLED = 30 * SECOND
# marks looked at in one step; it ends before where its budget is used up
_MARKS = 400
# of a step's time that is for reading and adding up; the rest is for writing
_READING = 0.6
# samples read at once, where an hour has less
_SAMPLES = 2000
_LIMIT = 2**63 - 1


@dataclass(frozen=True, slots=True)
class RollupStep:
    """What a step did: the hours (series id, hours since 1970) that are not stale any more, and is there more?"""

    done: frozenset[Hour] = frozenset()
    more: bool = False


def rollups_step(*, now: int, budget: float, future: bool = False) -> RollupStep:
    """Sums up stale hours that are over since 30 s, series after series, for about `budget` seconds, in a transaction.

    `now` in microseconds. Call it again while there is `more`. `future`: take the hours that are not over yet, too
    (of devices whose clocks run ahead); every ten minutes is often enough. For the one thread that also stores
    samples: no samples may come while it runs. Afterwards call `Marks.forget` with what is `done`; after an
    exception, `Marks.clear`.
    """
    last = (now - SETTLED) // HOUR - 1
    started = clock.monotonic()
    with transaction.atomic():
        due = marks_due(None, last, _MARKS)
        if future and len(due) < _MARKS:
            due = sorted(due + marks_due(now // HOUR + 1, None, _MARKS - len(due)))
        if not due:
            return RollupStep()
        done = _sum_up(due, started + budget * _READING)
    return RollupStep(frozenset(done), more=len(done) < len(due) or len(due) == _MARKS)


def _sum_up(due: Sequence[Hour], deadline: float) -> Sequence[Hour]:
    """Sums up the first of these hours (in order), as many as there is time for; which."""
    rows: list[RollupRow] = []
    kept: defaultdict[int, int] = defaultdict(int)
    known = {
        (row.series_id, row.start // HOUR): row
        for row in rollups_of([(series_id, hour * HOUR) for series_id, hour in due], Level.HOUR, HOUR)
    }
    hours_of = _Reader(due)
    count = 0
    for series_id, hour in due:
        # a step always gets somewhere
        if count and clock.monotonic() >= deadline:
            break
        count += 1
        before = known.get((series_id, hour))
        if before is not None and before.kept_since is None:
            rows += _with_late(before, hour)
            continue
        made = _hour(series_id, hour, hours_of.read(count - 1))
        if before is not None and not made:
            rollups_delete(series_id, Level.HOUR, hour * HOUR, (hour + 1) * HOUR)
            rollups_delete(series_id, Level.MINUTE, hour * HOUR, (hour + 1) * HOUR)
        rows += made
        kept[series_id] += _samples(made) - (0 if before is None else _samples([before]))
    done = due[:count]
    rollups_upsert(rows)
    days = {(series_id, floor(hour * HOUR, DAY)) for series_id, hour in done}
    hours: dict[tuple[int, int], list[Summary]] = {day: [] for day in days}
    for row in rollups_of(days, Level.HOUR, DAY):
        hours[row.series_id, floor(row.start, DAY)].append(row.summary)
    rollups_upsert(
        [RollupRow(series_id, Level.DAY, day, merged(of_day)) for (series_id, day), of_day in hours.items() if of_day]
    )
    for (series_id, day), of_day in hours.items():
        if not of_day:
            rollups_delete(series_id, Level.DAY, day, day + DAY)
    kept_add(kept)
    marks_delete(done)
    return done


def _samples(rows: Sequence[RollupRow]) -> int:
    return sum(row.summary.count + row.summary.others for row in rows if row.level == Level.HOUR)


class _Reader:
    """Reads the samples of hours that follow each other in one go, as far as they are few."""

    def __init__(self, due: Sequence[Hour]) -> None:
        self._due = due
        self._columns: Columns = (), (), ()
        # the hours that these are of: series, first, last
        self._have = (-1, 0, -1)
        self._at_once = 1

    def read(self, index: int) -> Columns:
        """Of the hour at this index."""
        series_id, hour = self._due[index]
        if not (self._have[0] == series_id and self._have[1] <= hour <= self._have[2]):
            last = hour
            for other, later in self._due[index + 1 : index + self._at_once]:
                if other != series_id or later != last + 1:
                    break
                last = later
            self._columns = hours_samples(series_id, hour, last, limit=None if last == hour else 2 * _SAMPLES)
            times = self._columns[0]
            if len(times) == 2 * _SAMPLES and last > hour:
                # there are more than the hours before let expect: the last one is not whole
                last = times[-1] // HOUR - 1
                if last < hour:
                    last = hour
                    self._columns = hours_samples(series_id, hour, hour)
            self._have = (series_id, hour, last)
        times, numbers, delays = self._columns
        first, until = bisect_left(times, hour * HOUR), bisect_left(times, (hour + 1) * HOUR)
        self._at_once = max(1, _SAMPLES // max(1, until - first))
        return times[first:until], numbers[first:until], delays[first:until]


def _hour(series_id: int, hour: int, columns: Columns) -> list[RollupRow]:
    """The rows of an hour whose samples are all there; none where it has none."""
    times, numbers, delays = columns
    if not times:
        return []
    start = hour * HOUR
    dense = len(times) > DENSE
    received = max(
        (time + delay * 1000 for time, delay in zip(times, delays, strict=True) if delay is not None), default=start
    )
    kept_since = min(_LIMIT, max(start + HOUR, received))
    rows = [RollupRow(series_id, Level.HOUR, start, summary(numbers), kept_since, dense)]
    if dense:
        rows += [
            RollupRow(series_id, Level.MINUTE, minute, one) for minute, one in minutes(times, numbers, start).items()
        ]
    return rows


def _with_late(row: RollupRow, hour: int) -> list[RollupRow]:
    """The rows of an hour whose samples are gone, with those that came late; these go, too."""
    times, numbers, _ = hours_samples(row.series_id, hour, hour)
    if not times:
        return []
    made = [RollupRow(row.series_id, row.level, row.start, merged([row.summary, summary(numbers)]), None, row.minutes)]
    if row.minutes:
        there = {one.start: one.summary for one in rollups_of([(row.series_id, row.start)], Level.MINUTE, HOUR)}
        for start, late in minutes(times, numbers, row.start).items():
            together = merged([there[start], late]) if start in there else late
            made.append(RollupRow(row.series_id, Level.MINUTE, start, together))
    samples_delete(row.series_id, row.start, row.start + HOUR)
    return made
