"""Reads for charts: raw SQL for what goes through hundreds of thousands of rows for one picture.

Django's ORM cannot join a list of spans, and builds each of these queries anew in the time that they take. Times are
microseconds since 1970 (UTC); every function reads one series. SQLite and PostgreSQL alike.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from backend.telemetry.buckets import HOUR, Span, floor
from backend.telemetry.lookup import list_rows, looked_up
from backend.telemetry.models import Level

# a power of two changes no digit of a double, and so no sum of doubles overflows (PostgreSQL refuses to)
SCALE = 2.0**-64
# what is smaller counts as 0 in a mean: scaled, it would be less than a double holds, which PostgreSQL refuses, too
TINY = 1e-280
# place, numbers, others; smallest, largest, sum of the numbers times SCALE (floats; None where there are no numbers)
Part = tuple[int, int, int, Any, Any, Any]
# start, count, others, minimum, maximum, mean, kept since, has minutes
HourRow = tuple[int, int, int, float | None, float | None, float | None, int | None, bool | None]

# spans asked for at once; two parameters each
_SPANS = 400

_SAMPLE_PART = (
    f'(r."time" - %s) / %s, COUNT(r."number"), COUNT(*) - COUNT(r."number"), MIN(r."number"), MAX(r."number"), '
    f'SUM(CASE WHEN ABS(r."number") < {TINY!r} THEN 0.0 ELSE r."number" * {SCALE!r} END)'
)
_SAMPLES = f"""
SELECT {_SAMPLE_PART} FROM "telemetry_sample" r
WHERE r."series_id" = %s AND r."time" >= %s AND r."time" < %s GROUP BY 1
"""  # noqa: S608
_OF_SAMPLES = 'r."series_id" = %s AND r."time" >= w."a" AND r."time" < w."b"'
_SAMPLES_SPANS = looked_up(
    '"a", "b"', select=_SAMPLE_PART, table="telemetry_sample", where=_OF_SAMPLES, tail="GROUP BY 1"
)
# null: the same as the minimum
_MAXIMUM, _MEAN = (f'COALESCE(r."{name}", r."minimum")' for name in ("maximum", "mean"))
_ROLLUP_PART = (
    f'(r."start" - %s) / %s, SUM(r."count"), SUM(r."others"), MIN(r."minimum"), MAX({_MAXIMUM}), '
    f'SUM(CASE WHEN ABS({_MEAN}) < {TINY!r} THEN 0.0 ELSE {_MEAN} * {SCALE!r} * r."count" END)'
)
_ROLLUPS = f"""
SELECT {_ROLLUP_PART} FROM "telemetry_rollup" r
WHERE r."series_id" = %s AND r."level" = %s AND r."start" >= %s AND r."start" < %s GROUP BY 1
"""  # noqa: S608
_OF_ROLLUPS = 'r."series_id" = %s AND r."level" = %s AND r."start" >= w."a" AND r."start" < w."b"'
_ROLLUPS_SPANS = looked_up(
    '"a", "b"', select=_ROLLUP_PART, table="telemetry_rollup", where=_OF_ROLLUPS, tail="GROUP BY 1"
)
_HOURS = looked_up(
    '"a", "b"',
    select=f'r."start", r."count", r."others", r."minimum", {_MAXIMUM}, {_MEAN}, r."kept_since", r."minutes"',
    table="telemetry_rollup",
    where=_OF_ROLLUPS,
    tail='ORDER BY r."start"',
)
_STALE = 'SELECT "hour" FROM "telemetry_stalehour" WHERE "series_id" = %s AND "hour" >= %s AND "hour" <= %s ORDER BY 1'
_OTHERS = looked_up(
    '"a", "b"',
    select='r."time", r."text"',
    table="telemetry_sample",
    where=f'{_OF_SAMPLES} AND r."number" IS NULL',
    tail='ORDER BY r."time", r."seq" LIMIT %s',
)
_SAMPLE_AT = (
    'SELECT "time" FROM "telemetry_sample" WHERE "series_id" = %(series)s AND "time" {} ORDER BY "time" {} LIMIT 1'
)
_HOUR_AT = (
    'SELECT {} FROM "telemetry_rollup" WHERE "series_id" = %(series)s AND "level" = 3600 AND "start" {} '
    'ORDER BY "start" {} LIMIT 1'
)
_START, _GONE = '"start"', '"kept_since" IS NULL'
_INSIDE = '>= %(start)s AND "{}" < %(end)s'
# an hour that goes on after a bound may have its samples there; where they are gone, it counts where it begins
_REACHES = '< %({0})s AND ("kept_since" IS NULL OR "start" <= %({0})s - 3600000000)'
_EXTENT = "SELECT " + ", ".join(
    f"({one})"
    for one in (
        _SAMPLE_AT.format(_INSIDE.format("time"), "ASC"),
        _SAMPLE_AT.format(_INSIDE.format("time"), "DESC"),
        _SAMPLE_AT.format("< %(start)s", "DESC"),
        _SAMPLE_AT.format(">= %(end)s", "ASC"),
        _HOUR_AT.format(_START, _INSIDE.format("start"), "ASC"),
        _HOUR_AT.format(_GONE, _INSIDE.format("start"), "ASC"),
        _HOUR_AT.format(_START, '>= %(start)s AND "start" ' + _REACHES.format("end"), "DESC"),
        _HOUR_AT.format(_GONE, '>= %(start)s AND "start" ' + _REACHES.format("end"), "DESC"),
        _HOUR_AT.format(_START, '= %(hour)s AND "kept_since" IS NULL AND "minutes"', "ASC"),
        _HOUR_AT.format(_START, _REACHES.format("start"), "DESC"),
        _HOUR_AT.format(_START, ">= %(end)s", "ASC"),
    )
)


@contextmanager
def snapshot() -> Iterator[None]:
    """All reads within see the database as it is at the first one: samples that retention deletes meanwhile included.

    `atomic` would not do: on SQLite it waits for the writer, and PostgreSQL's default looks anew with each statement.
    Within a transaction this is what that one sees.
    """
    if connection.in_atomic_block:
        yield
    elif connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("BEGIN DEFERRED")
        try:
            yield
        finally:
            # nothing was written
            with connection.cursor() as cursor:
                cursor.execute("ROLLBACK")
    else:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield


def _rows(statement: str, parameters: Sequence[Any] | dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


def _by_spans(statement: dict[str, str], spans: Sequence[Span], parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    """One statement for up to _SPANS spans, their results one after the other. `parameters`: what follows these."""
    found: list[tuple[Any, ...]] = []
    for first in range(0, len(spans), _SPANS):
        part = spans[first : first + _SPANS]
        text = statement[connection.vendor].format(rows=list_rows(part))
        found += _rows(text, [*(bound for span in part for bound in span), *parameters])
    return found


@dataclass(frozen=True, slots=True)
class Extent:
    """What a series has in a range and around it; None: nothing."""

    # of samples, and of hours whose samples are gone
    first: int | None
    # not included: right after the last sample, or the end of such an hour
    end: int | None
    before: int | None
    after: int | None
    # it begins in an hour of which only minutes are left
    minutes_only: bool


def extent(series_id: int, start: int, end: int) -> Extent:
    """Where in start <= time < end there is something, and what comes next on both sides. One query."""
    parameters = {"series": series_id, "start": start, "end": end, "hour": floor(start, HOUR)}
    ((*samples, hour_first, first_gone, hour_last, last_gone, cut, hour_before, hour_after),) = _rows(
        _EXTENT, parameters
    )
    first, last, before, after = samples
    # an hour's row says more than its samples only where they are gone; late ones may be there all the same
    if first_gone:
        first = hour_first if first is None else min(first, hour_first)
    until = None if last is None else last + 1
    if last_gone:
        until = min(end, hour_last + HOUR) if until is None else max(until, min(end, hour_last + HOUR))
    if cut is not None and cut < start:
        # only minutes are left of the hour in which the range begins
        first, until = start, min(end, cut + HOUR) if until is None else max(until, min(end, cut + HOUR))
    if hour_before is not None and (before is None or hour_before > before):
        before = min(start - 1, hour_before + HOUR)
    if hour_after is not None and (after is None or hour_after + HOUR <= after):
        after = hour_after
    return Extent(first, until, before, after, minutes_only=cut is not None)


def samples_exceed(series_id: int, start: int, end: int, limit: int) -> bool:
    """Are there more than `limit` samples?"""
    return bool(
        _rows(
            'SELECT 1 FROM "telemetry_sample" WHERE "series_id" = %s AND "time" >= %s AND "time" < %s '
            "LIMIT 1 OFFSET %s",
            (series_id, start, end, limit),
        )
    )


def samples_are_gone(series_id: int, start: int, end: int) -> bool:
    """Does an hour begin here whose samples are gone, at least in part?"""
    return bool(
        _rows(
            'SELECT 1 FROM "telemetry_rollup" WHERE "series_id" = %s AND "level" = 3600 AND "start" >= %s '
            'AND "start" < %s AND "kept_since" IS NULL LIMIT 1',
            (series_id, start, end),
        )
    )


def samples_rows(series_id: int, start: int, end: int) -> list[tuple[int, float | None, str | None]]:
    """Time, number and text of all samples, oldest first."""
    return _rows(
        'SELECT "time", "number", "text" FROM "telemetry_sample" '
        'WHERE "series_id" = %s AND "time" >= %s AND "time" < %s ORDER BY "time", "seq"',
        (series_id, start, end),
    )


def samples_after(series_id: int, time: int, seq: int, end: int | None, limit: int) -> list[tuple[Any, ...]]:
    """Time, seq, delay, number and text of the first samples after (time, seq), oldest first."""
    until = ' AND "time" < %s' if end is not None else ""
    return _rows(
        'SELECT "time", "seq", "delay", "number", "text" FROM "telemetry_sample" '  # noqa: S608
        f'WHERE "series_id" = %s AND ("time", "seq") > (%s, %s){until} ORDER BY "time", "seq" LIMIT %s',
        (series_id, time, seq, *([end] if end is not None else []), limit),
    )


def times_before(series_id: int, end: int, limit: int) -> list[int]:
    """The times of the last samples before `end`, oldest first."""
    rows = _rows(
        'SELECT "time" FROM "telemetry_sample" WHERE "series_id" = %s AND "time" < %s ORDER BY "time" DESC LIMIT %s',
        (series_id, end, limit),
    )
    return [time for (time,) in reversed(rows)]


def parts_of_samples(series_id: int, spans: Sequence[Span], base: int, width: int) -> list[Part]:
    """What the samples of the spans come to by place: (time - base) / width."""
    if len(spans) == 1:
        return _rows(_SAMPLES, (base, width, series_id, *spans[0]))
    return _by_spans(_SAMPLES_SPANS, spans, (base, width, series_id))


def parts_of_rollups(series_id: int, level: Level, spans: Sequence[Span], base: int, width: int) -> list[Part]:
    """The same from the rollups that begin in the spans."""
    if len(spans) == 1:
        return _rows(_ROLLUPS, (base, width, series_id, level.value, *spans[0]))
    return _by_spans(_ROLLUPS_SPANS, spans, (base, width, series_id, level.value))


def hour_rows(series_id: int, spans: Sequence[Span]) -> list[HourRow]:
    """The rollups of the hours that begin in the spans (which do not overlap), in order."""
    return _by_spans(_HOURS, spans, (series_id, Level.HOUR.value))


def stale_hours(series_id: int, start: int, end: int) -> list[int]:
    """The stale hours that start <= time < end touches (in hours since 1970), in order."""
    return [hour for (hour,) in _rows(_STALE, (series_id, start // HOUR, (end - 1) // HOUR))]


def others_rows(series_id: int, spans: Sequence[Span], limit: int) -> list[tuple[int, str | None]]:
    """Time and text of the first samples that are no numbers."""
    found: list[tuple[int, str | None]] = []
    for first in range(0, len(spans), _SPANS):
        found += _by_spans(_OTHERS, spans[first : first + _SPANS], (series_id, limit - len(found)))
        if len(found) >= limit:
            break
    return found


def hours_with_others(series_id: int, start: int, end: int, limit: int) -> list[int]:
    """Starts of the first hours whose samples are kept and not all numbers."""
    rows = _rows(
        'SELECT "start" FROM "telemetry_rollup" WHERE "series_id" = %s AND "level" = 3600 AND "start" >= %s '
        'AND "start" < %s AND "others" > 0 AND "kept_since" IS NOT NULL ORDER BY "start" LIMIT %s',
        (series_id, start, end, limit),
    )
    return [hour for (hour,) in rows]


def weight(series_id: int, start: int, end: int) -> tuple[int, int]:
    """How many rows have to be read for start <= time < end: of samples; of minutes, where there are any."""
    ((samples, minutes),) = _rows(
        'SELECT COALESCE(SUM(CASE WHEN "kept_since" IS NULL THEN 60 ELSE "count" + "others" END), 0), '
        'COALESCE(SUM(CASE WHEN "minutes" THEN 60 ELSE "count" + "others" END), 0) '
        'FROM "telemetry_rollup" WHERE "series_id" = %s AND "level" = 3600 AND "start" >= %s AND "start" < %s',
        (series_id, start, end),
    )
    return int(samples), int(minutes)


def number_at(series_id: int, start: int, end: int, *, newest: bool, gone: bool) -> float | None:
    """The first (or last) number of a span: of its samples, or (where some are `gone`) of what is left of them."""
    order = "DESC" if newest else "ASC"
    samples = _rows(
        'SELECT "time", "number" FROM "telemetry_sample" WHERE "series_id" = %s AND "time" >= %s AND "time" < %s '  # noqa: S608
        f'AND "number" IS NOT NULL ORDER BY "time" {order}, "seq" {order} LIMIT 1',
        (series_id, start, end),
    )
    if not gone:
        return samples[0][1] if samples else None
    column = f'COALESCE("{"last" if newest else "first"}", "minimum")'
    left = _rows(
        f'SELECT "start", {column} FROM "telemetry_rollup" WHERE "series_id" = %s AND "level" = 3600 '  # noqa: S608
        'AND "start" >= %s AND "start" < %s AND "kept_since" IS NULL AND "count" > 0 '
        f'ORDER BY "start" {order} LIMIT 1',
        (series_id, start, end),
    )
    if samples and left:
        # of an hour that is left in part, the rollup knows what its samples no longer tell
        outside = samples[0][0] >= left[0][0] + HOUR if newest else samples[0][0] < left[0][0]
        left = [] if outside else left
        samples = [] if left else samples
    found: float | None = next((row[1] for row in [*samples, *left]), None)
    return found
