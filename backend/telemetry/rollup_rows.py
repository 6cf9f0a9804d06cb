"""Rows of rollups and marks, many at a time: raw SQL, as in `storage`, because `sync` does this for thousands of hours
between two batches. Inside the caller's transaction, on SQLite and PostgreSQL alike. Times in microseconds since 1970.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from backend.telemetry.buckets import HOUR
from backend.telemetry.lookup import list_rows, looked_up
from backend.telemetry.models import Level
from backend.telemetry.rollups import Summary

# (series id, hour since 1970)
Hour = tuple[int, int]
# times, numbers, delays in milliseconds
Columns = tuple[Sequence[int], Sequence[float | None], Sequence[int | None]]

_COLUMNS = (
    '"series_id", "level", "start", "count", "others", "minimum", "maximum", "mean", "first", "last", '
    '"kept_since", "minutes"'
)
# null: the same as the minimum
_OFTEN_MINIMUM = {"maximum", "mean", "first", "last"}
_VALUES = re.sub(
    '"([a-z_]+)"',
    lambda name: f'COALESCE(r.{name[0]}, r."minimum")' if name[1] in _OFTEN_MINIMUM else f"r.{name[0]}",
    _COLUMNS,
)
_ROW = f"({', '.join(['%s'] * 12)})"
_UPSERT = (
    f'INSERT INTO "telemetry_rollup" ({_COLUMNS}) VALUES {{rows}} '  # noqa: S608
    'ON CONFLICT ("series_id", "level", "start") DO UPDATE SET '
    + ", ".join(f'"{name}" = excluded."{name}"' for name in _COLUMNS.replace('"', "").split(", ")[3:])
)
_SAMPLES = (
    'SELECT "time", "number", "delay" FROM "telemetry_sample" '
    'WHERE "series_id" = %s AND "time" >= %s AND "time" < %s ORDER BY "time", "seq"'
)
_READ = looked_up(
    '"series_id", "start"',
    select=_VALUES,
    table="telemetry_rollup",
    where='r."series_id" = w."series_id" AND r."level" = %s AND r."start" >= w."start" AND r."start" < w."start" + %s',
    tail='ORDER BY r."series_id", r."start"',
)
# rows a statement, so that its parameters stay far below SQLite's limit (32,766)
_ROWS = 400


@dataclass(frozen=True, slots=True)
class RollupRow:
    """A row of telemetry_rollup."""

    series_id: int
    level: int
    start: int
    summary: Summary
    kept_since: int | None = None
    minutes: bool | None = None


def _rows(statement: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


def _row(row: tuple[Any, ...]) -> RollupRow:
    series_id, level, start, *summary, kept_since, minutes = row
    return RollupRow(series_id, level, start, Summary(*summary), kept_since, None if minutes is None else bool(minutes))


def marks_due(first: int | None, last: int | None, limit: int) -> list[Hour]:
    """Marks of the hours from first to last (None: open), those of one series together."""
    conditions, bounds = [], []
    for bound, comparison in ((first, ">="), (last, "<=")):
        if bound is not None:
            conditions.append(f'"hour" {comparison} %s')
            bounds.append(bound)
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    # nearly always there are none, and the index by hour says so at once
    if not _rows(f'SELECT 1 FROM "telemetry_stalehour" {where} LIMIT 1', bounds):  # noqa: S608
        return []
    statement = f'SELECT "series_id", "hour" FROM "telemetry_stalehour" {where} ORDER BY 1, 2 LIMIT %s'  # noqa: S608
    return [(series_id, hour) for series_id, hour in _rows(statement, [*bounds, limit])]


def marks_delete(hours: Sequence[Hour]) -> None:
    """Takes the marks away."""
    with connection.cursor() as cursor:
        for first in range(0, len(hours), _ROWS):
            part = hours[first : first + _ROWS]
            places = ", ".join(["(%s, %s)"] * len(part))
            cursor.execute(
                f'DELETE FROM "telemetry_stalehour" WHERE ("series_id", "hour") IN (VALUES {places})',  # noqa: S608
                [number for key in part for number in key],
            )


def marked_hours(series_id: int, first: int, last: int) -> set[int]:
    """Those of the hours from first to last that are marked."""
    rows = _rows(
        'SELECT "hour" FROM "telemetry_stalehour" WHERE "series_id" = %s AND "hour" >= %s AND "hour" <= %s',
        (series_id, first, last),
    )
    return {hour for (hour,) in rows}


def hours_samples(series_id: int, first: int, last: int, limit: int | None = None) -> Columns:
    """Times, numbers and delays (ms) of the samples of the hours from first to last (hours since 1970), in order.

    The first `limit` of them, where there are more.
    """
    statement = _SAMPLES if limit is None else f"{_SAMPLES} LIMIT {limit}"
    rows = _rows(statement, (series_id, first * HOUR, (last + 1) * HOUR))
    if not rows:
        return (), (), ()
    times, numbers, delays = zip(*rows, strict=True)
    return times, numbers, delays


def rollups_of(keys: Collection[tuple[int, int]], level: Level, length: int) -> list[RollupRow]:
    """The rollups of a level that begin in the `length` microseconds from each (series id, start), in order."""
    ordered = sorted(keys)
    found: list[RollupRow] = []
    for first in range(0, len(ordered), _ROWS):
        part = ordered[first : first + _ROWS]
        parameters = [*(number for key in part for number in key), level.value, length]
        found += [_row(row) for row in _rows(_READ[connection.vendor].format(rows=list_rows(part)), parameters)]
    return found


def rollups_upsert(rows: Sequence[RollupRow]) -> None:
    """Stores rollups in place of those that are there."""
    with connection.cursor() as cursor:
        for first in range(0, len(rows), _ROWS):
            part = rows[first : first + _ROWS]
            flat: list[Any] = []
            for row in part:
                one = row.summary
                low = one.minimum
                flat += (row.series_id, row.level, row.start, one.count, one.others, low)
                flat += (None if value == low else value for value in (one.maximum, one.mean, one.first, one.last))
                flat += (row.kept_since, row.minutes)
            cursor.execute(_UPSERT.format(rows=", ".join([_ROW] * len(part))), flat)


@dataclass(frozen=True, slots=True)
class Oldest:
    """Where a series begins: its oldest sample, minute and hour; None: there is none."""

    sample: int | None
    minute: int | None
    hour: int | None


NOTHING = Oldest(None, None, None)


def oldest_of(series_ids: Sequence[int]) -> dict[int, Oldest]:
    """Of several series."""
    if not series_ids:
        return {}
    sample = 'SELECT "time" FROM "telemetry_sample" WHERE "series_id" = s."id" ORDER BY "time" LIMIT 1'
    rollup = (
        'SELECT "start" FROM "telemetry_rollup" WHERE "series_id" = s."id" AND "level" = {} ORDER BY "start" LIMIT 1'
    )
    places = ", ".join(["%s"] * len(series_ids))
    rows = _rows(
        f'SELECT s."id", ({sample}), ({rollup.format(60)}), ({rollup.format(3600)}) '  # noqa: S608
        f'FROM "telemetry_series" s WHERE s."id" IN ({places})',
        series_ids,
    )
    return {series_id: Oldest(*oldest) for series_id, *oldest in rows}


def kept_add(changes: dict[int, int]) -> None:
    """Adds to how many samples of a series are kept and summed up."""
    rows = [(change, series_id) for series_id, change in sorted(changes.items()) if change]
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany('UPDATE "telemetry_series" SET "kept" = "kept" + %s WHERE "id" = %s', rows)


def samples_delete(series_id: int, start: int, end: int) -> int:
    """Deletes samples; how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            'DELETE FROM "telemetry_sample" WHERE "series_id" = %s AND "time" >= %s AND "time" < %s',
            (series_id, start, end),
        )
        return int(cursor.rowcount)


def rollups_delete(series_id: int, level: Level, start: int, end: int) -> int:
    """Deletes the rollups of a level that begin in start <= time < end; how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            'DELETE FROM "telemetry_rollup" WHERE "series_id" = %s AND "level" = %s AND "start" >= %s AND "start" < %s',
            (series_id, level.value, start, end),
        )
        return int(cursor.rowcount)


def minutes_forget(series_id: int, start: int, end: int) -> None:
    """The hours that begin in start <= time < end have no rows by minute any more."""
    with connection.cursor() as cursor:
        cursor.execute(
            'UPDATE "telemetry_rollup" SET "minutes" = %s WHERE "series_id" = %s AND "level" = 3600 '
            'AND "start" >= %s AND "start" < %s AND "minutes"',
            (False, series_id, start, end),
        )
