"""Deletes what the profiles do not keep any longer, in steps so small that storing samples does not wait for them.

A sweep goes through all series in the order of their ids. Of each it looks up what is oldest, which costs next to
nothing where nothing is too old.
"""

import time as clock
from collections.abc import Iterator
from dataclasses import dataclass

from django.db import transaction
from django.db.models import F

from backend.devices.models import Profile
from backend.telemetry.buckets import DAY, HOUR, floor
from backend.telemetry.models import Level, Rollup, Series
from backend.telemetry.rollup_rows import (
    NOTHING,
    Oldest,
    RollupRow,
    hours_samples,
    kept_add,
    marked_hours,
    minutes_forget,
    oldest_of,
    rollups_delete,
    rollups_upsert,
    samples_delete,
)
from backend.telemetry.rollups import minutes

# rows deleted in one transaction; the samples of one hour always go together, however many they are
MAX_DELETED = 5000
# series looked up at once
_SERIES = 200


@dataclass(frozen=True, slots=True)
class RetentionStep:
    """What a step deleted, and the `after` to go on with; None: the sweep has come to its end."""

    samples: int = 0
    rollups: int = 0
    after: int | None = None


@dataclass(frozen=True, slots=True)
class _Limits:
    """What begins, or was received, before these moments is too old; None: nothing is."""

    samples: int | None = None
    minutes: int | None = None
    hours: int | None = None


def retention_step(*, now: int, budget: float, after: int = 0) -> RetentionStep:
    """Deletes what is too old of the series whose ids follow `after`, for about `budget` seconds.

    `now` in microseconds. Several short transactions. A sweep begins with `after` 0 and goes on with each answer's.
    Hours that are stale stay until they are summed up. For the one thread that also stores samples.
    """
    deadline = clock.monotonic() + budget
    limits = _limits(now)
    samples = rollups = 0
    while True:
        batch = list(
            Series.objects.filter(pk__gt=after)
            .order_by("pk")
            .annotate(profile_id=F("device__profile_id"))
            .values_list("pk", "profile_id")[:_SERIES]
        )
        if not batch:
            return RetentionStep(samples, rollups)
        oldest = oldest_of([series_id for series_id, _ in batch])
        for series_id, profile_id in batch:
            of_series = limits.get(profile_id, limits[None])
            for deleted, is_sample in _too_old(series_id, of_series, oldest.get(series_id, NOTHING)):
                samples += deleted if is_sample else 0
                rollups += 0 if is_sample else deleted
                if clock.monotonic() >= deadline:
                    # this series again: there may be more of it
                    return RetentionStep(samples, rollups, after)
            after = series_id
        if clock.monotonic() >= deadline:
            return RetentionStep(samples, rollups, after)


def _limits(now: int) -> dict[int | None, _Limits]:
    """By profile; None: of devices without one, which are kept as the default profile says."""

    def before(days: int | None) -> int | None:
        return None if days is None else now - days * DAY

    found: dict[int | None, _Limits] = {None: _Limits()}
    for profile in Profile.objects.all():
        limits = _Limits(before(profile.samples_days), before(profile.minutes_days), before(profile.hours_days))
        found[profile.pk] = limits
        if profile.is_default:
            found[None] = limits
    return found


def _too_old(series_id: int, limits: _Limits, oldest: Oldest) -> Iterator[tuple[int, bool]]:
    """Deletes what is too old of a series, a transaction each time: how many rows, and are they samples?"""
    if limits.samples is not None and oldest.sample is not None and oldest.sample < limits.samples:
        for hours in _hours_too_old(series_id, floor(oldest.sample, HOUR), limits.samples):
            yield _delete_samples(series_id, hours, limits), True
    if limits.minutes is not None and oldest.minute is not None:
        yield from _delete_minutes(series_id, oldest.minute, floor(limits.minutes, HOUR))
    if limits.hours is not None and oldest.hour is not None:
        yield from _delete_hours(series_id, oldest.hour, floor(limits.hours, DAY))


def _hours_too_old(series_id: int, first: int, limit: int) -> Iterator[list[Rollup]]:
    """Hours whose samples are kept, and long enough, so many at once as a transaction may delete."""
    while True:
        rows = list(
            Rollup.objects.filter(
                series_id=series_id, level=Level.HOUR, start__gte=first, start__lte=limit - HOUR, kept_since__lt=limit
            ).order_by("start")[:MAX_DELETED]
        )
        if not rows:
            return
        first = rows[-1].start + HOUR
        marked = marked_hours(series_id, rows[0].start // HOUR, rows[-1].start // HOUR)
        together: list[Rollup] = []
        count = 0
        for row in rows:
            if row.start // HOUR in marked:
                continue
            if together and count + row.count + row.others > MAX_DELETED:
                yield together
                together, count = [], 0
            together.append(row)
            count += row.count + row.others
        if together:
            yield together


@transaction.atomic
def _delete_samples(series_id: int, hours: list[Rollup], limits: _Limits) -> int:
    """Deletes the samples of these hours; how many. What rollups by minute outlive them is made first."""
    deleted = 0
    rows: list[RollupRow] = []
    keep_minutes: list[int] = []
    for hour in hours:
        if not hour.minutes and (limits.minutes is None or hour.start >= limits.minutes):
            times, numbers, _ = hours_samples(series_id, hour.start // HOUR, hour.start // HOUR)
            rows += [
                RollupRow(series_id, Level.MINUTE, start, one)
                for start, one in minutes(times, numbers, hour.start).items()
            ]
            keep_minutes.append(hour.start)
        deleted += samples_delete(series_id, hour.start, hour.start + HOUR)
    rollups_upsert(rows)
    of_series = Rollup.objects.filter(series_id=series_id, level=Level.HOUR)
    of_series.filter(start__in=keep_minutes).update(minutes=True)
    of_series.filter(start__in=[hour.start for hour in hours]).update(kept_since=None)
    kept_add({series_id: -sum(hour.count + hour.others for hour in hours)})
    return deleted


def _delete_minutes(series_id: int, oldest: int, limit: int) -> Iterator[tuple[int, bool]]:
    """Rows by minute before the limit, a whole number of hours at once."""
    start = floor(oldest, HOUR)
    while start < limit:
        end = min(limit, start + MAX_DELETED // 60 * HOUR)
        with transaction.atomic():
            deleted = rollups_delete(series_id, Level.MINUTE, start, end)
            minutes_forget(series_id, start, end)
        yield deleted, False
        left = oldest_of([series_id])[series_id].minute
        if left is None:
            return
        start = floor(left, HOUR)


def _delete_hours(series_id: int, oldest: int, limit: int) -> Iterator[tuple[int, bool]]:
    """Rows by hour and day before the limit, a whole number of days at once, with what is left of finer ones.

    They stay as long as there are samples that they tell of.
    """
    kept = Rollup.objects.filter(
        series_id=series_id, level=Level.HOUR, kept_since__isnull=False, start__gte=oldest, start__lt=limit
    )
    first_kept = kept.order_by("start").values_list("start", flat=True).first()
    if first_kept is not None:
        limit = floor(first_kept, DAY)
    start = floor(oldest, DAY)
    while start < limit:
        end = min(limit, start + MAX_DELETED // (24 * 60) * DAY)
        with transaction.atomic():
            deleted = sum(rollups_delete(series_id, level, start, end) for level in Level)
        yield deleted, False
        left = oldest_of([series_id])[series_id].hour
        if left is None:
            return
        start = floor(left, DAY)
