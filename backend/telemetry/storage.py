"""The hot path: raw SQL for what is written thousands of times a second. All of it in this one file.

Every function works inside the caller's transaction and on SQLite and PostgreSQL alike. Times are microseconds since
1970 (UTC) but for `last_contact` and its kin, which are aware datetimes.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, cast

from django.db import connection, transaction

from backend.telemetry.buckets import HOUR

# (series id, time, seq, number, text, delay in ms): a row of telemetry_sample
SampleRow = tuple[int, int, int, float | None, str | None, int | None]
# (device id, path, object, instance, resource, resource instance, type, value, number, time, received, has device time)
ResourceRow = tuple[int, str, int, int, int, int | None, str, str, float | None, int, int, bool]
# (last contact, status, status since, device id)
ContactRow = tuple[datetime | None, str, datetime | None, int]
# (device id or None, kind)
ChangeRow = tuple[int | None, str]

_COLUMNS = '"series_id", "time", "seq", "number", "text", "delay"'
_PLAIN = 'INSERT OR IGNORE INTO "telemetry_sample" ("series_id", "time", "seq", "number") VALUES '
_PLAIN_ROW = "(?, ?, 0, ?)"
_TIMED = 'INSERT OR IGNORE INTO "telemetry_sample" ("series_id", "time", "seq", "number", "delay") VALUES '
_TIMED_ROW = "(?, ?, 0, ?, ?)"
_FULL = f'INSERT OR IGNORE INTO "telemetry_sample" ({_COLUMNS}) VALUES '  # noqa: S608
_FULL_ROW = "(?, ?, ?, ?, ?, ?)"
# rows a statement; its parameters stay far below SQLite's limit (32,766)
_ROWS = 128
_TEMPORARY = 'CREATE TEMPORARY TABLE IF NOT EXISTS "telemetry_incoming" (LIKE "telemetry_sample") ON COMMIT DELETE ROWS'
_COPY = f'COPY "telemetry_incoming" ({_COLUMNS}) FROM STDIN'
_MERGE = (
    f'INSERT INTO "telemetry_sample" ({_COLUMNS}) SELECT {_COLUMNS} FROM "telemetry_incoming" '  # noqa: S608
    "ON CONFLICT DO NOTHING"
)
# keys asked for at once when rows collide; two parameters each
_KEYS = 400

_RESOURCE = """
INSERT INTO "devices_resource" AS present
    ("device_id", "path", "object_id", "object_instance_id", "resource_id", "resource_instance_id",
     "type", "value", "number", "time", "received", "has_device_time")
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT ("device_id", "path") DO UPDATE SET
    "type" = excluded."type", "value" = excluded."value", "number" = excluded."number", "time" = excluded."time",
    "received" = excluded."received", "has_device_time" = excluded."has_device_time"
WHERE {least}(excluded."time", excluded."received") >= {least}(present."time", present."received")
"""
_CONTACT = """
UPDATE "devices_device" SET "last_contact" = %s,
    "status" = CASE WHEN "status" = 'blocked' THEN "status" ELSE %s END,
    "status_since" = CASE WHEN "status" = 'blocked' THEN "status_since" ELSE %s END
WHERE "id" = %s
"""
_CHANGE = 'INSERT INTO "devices_change" ("device_id", "kind", "at") VALUES (%s, %s, %s)'


_MARK = 'INSERT INTO "telemetry_stalehour" ("series_id", "hour") VALUES {} ON CONFLICT DO NOTHING'


class _CollisionError(Exception):
    """Some rows are there already; undoes the attempt."""


class SampleBuffer:
    """Samples on their way, in flat lists, which is what SQLite takes fastest."""

    __slots__ = ("full", "plain", "timed")

    def __init__(self) -> None:
        """Empty."""
        # just a number at a receive time, as nearly all: series id, time, number; series id, time, number; …
        self.plain: list[float] = []
        # a number at the device's own time: series id, time, number, delay; …
        self.timed: list[float] = []
        # the others: series id, time, 0, number, text, delay; …
        self.full: list[float | str | None] = []

    def add(self, series_id: int, time: int, number: float | None, text: str | None, delay: int | None) -> None:
        """One sample."""
        if text is not None or number is None:
            self.full += (series_id, time, 0, number, text, delay)
        elif delay is None:
            self.plain += (series_id, time, number)
        else:
            self.timed += (series_id, time, number, delay)

    def __len__(self) -> int:
        """How many samples."""
        return len(self.plain) // 3 + len(self.timed) // 4 + len(self.full) // 6

    def hours(self) -> set[tuple[int, int]]:
        """(series id, hour since 1970) of all samples."""
        found: set[tuple[int, int]] = set()
        for flat, width in ((self.plain, 3), (self.timed, 4), (self.full, 6)):
            series, times = flat[::width], cast(list[int], flat[1::width])
            if not times:
                continue
            first, last = min(times) // HOUR, max(times) // HOUR
            # mostly all are of one hour: a division each would take longer than all the rest
            hours = [first] * len(times) if first == last else [time // HOUR for time in times]
            found.update(cast(Iterable[tuple[int, int]], zip(series, hours, strict=True)))
        return found

    def rows(self) -> Iterator[SampleRow]:
        """All of them as rows."""
        plain: Iterator[Any] = iter(self.plain)
        for series_id, time, number in zip(plain, plain, plain, strict=True):
            yield series_id, time, 0, number, None, None
        timed: Iterator[Any] = iter(self.timed)
        for series_id, time, number, delay in zip(timed, timed, timed, timed, strict=True):
            yield series_id, time, 0, number, None, delay
        full: Iterator[Any] = iter(self.full)
        yield from zip(full, full, full, full, full, full, strict=True)


class Marks:
    """Which hours (series id, hours since 1970) are known to be marked as stale in the database, so that each is
    marked once and not with every batch. For the one thread that stores samples and makes the rollups.

    `fresh` holds the marks of the transaction that is under way: its owner says how it ended (`committed`,
    `rolled_back`), and tells what `rollups_step` has summed up (`forget`). After an error of which nobody knows what
    it left, `clear`: an hour that is marked twice costs a statement, one that is not marked would never be summed up.
    """

    __slots__ = ("fresh", "known")

    def __init__(self) -> None:
        """Nothing is known yet, which is always right."""
        self.known: set[tuple[int, int]] = set()
        self.fresh: set[tuple[int, int]] = set()

    def committed(self) -> None:
        """The transaction's marks are in the database."""
        self.known |= self.fresh
        self.fresh.clear()

    def rolled_back(self) -> None:
        """They are not."""
        self.fresh.clear()

    def forget(self, hours: Iterable[tuple[int, int]]) -> None:
        """These hours are summed up; their marks are gone."""
        self.known.difference_update(hours)

    def clear(self) -> None:
        """Nothing is known any more."""
        self.known.clear()
        self.fresh.clear()


def samples_insert(samples: SampleBuffer, marks: Marks | None = None) -> int:
    """Stores samples and marks their hours as stale; how many were new.

    The same value at the same moment is one sample; another value of a moment that has one gets the next `seq`.
    `marks` saves marking what is marked already; None marks all hours. Its owner tells it how the transaction ended:

        try:
            with transaction.atomic():
                samples_insert(samples, marks)
        except Exception:
            marks.rolled_back()
            raise
        marks.committed()
    """
    count = len(samples)
    if not count:
        return 0
    try:
        # nearly always every row is new, and this is all
        with transaction.atomic():
            if _insert(samples) != count:
                raise _CollisionError
    except _CollisionError:
        rows = list(samples.rows())
        fresh = SampleBuffer()
        for row in _numbered(rows, _present(rows)):
            fresh.full += row
        _insert(fresh)
        samples, count = fresh, len(fresh)
    hours = samples.hours()
    if marks is None:
        _mark(hours)
    else:
        hours -= marks.known
        _mark(hours)
        marks.fresh |= hours
    return count


def _mark(hours: Iterable[tuple[int, int]]) -> None:
    """Marks hours as stale, in one order always, so that two writers could never wait for each other."""
    ordered = sorted(hours)
    with connection.cursor() as cursor:
        for start in range(0, len(ordered), _KEYS):
            part = ordered[start : start + _KEYS]
            places = ", ".join(["(%s, %s)"] * len(part))
            cursor.execute(_MARK.format(places), [number for key in part for number in key])


def _numbered(
    rows: Sequence[SampleRow], present: dict[tuple[int, int], dict[tuple[float | None, str | None], int]]
) -> list[SampleRow]:
    """Those rows that `present` lacks, without doubles, each with a free `seq` of its moment."""
    fresh: list[SampleRow] = []
    for series_id, time, _, number, text, delay in rows:
        moment = present.setdefault((series_id, time), {})
        value = (number, text)
        if value in moment:
            continue
        seq = max(moment.values(), default=-1) + 1
        moment[value] = seq
        fresh.append((series_id, time, seq, number, text, delay))
    return fresh


def _insert(samples: SampleBuffer) -> int:
    """The bare insert, leaving out rows whose key is taken; how many went in."""
    if connection.vendor == "sqlite":
        connection.ensure_connection()
        # past Django's cursor, which would search every statement for its placeholders
        with connection.wrap_database_errors:
            cursor = connection.connection.cursor()
            return (
                _insert_sqlite(cursor, _PLAIN, _PLAIN_ROW, samples.plain)
                + _insert_sqlite(cursor, _TIMED, _TIMED_ROW, samples.timed)
                + _insert_sqlite(cursor, _FULL, _FULL_ROW, samples.full)
            )
    with connection.cursor() as cursor:
        cursor.execute(_TEMPORARY)
        cursor.execute('TRUNCATE "telemetry_incoming"')
        with cursor.copy(_COPY) as copy:
            for row in samples.rows():
                copy.write_row(row)
        cursor.execute(_MERGE)
        return int(cursor.rowcount)


def _insert_sqlite(cursor: sqlite3.Cursor, insert: str, row: str, flat: Sequence[float | str | None]) -> int:
    """Many rows a statement: half the time of `executemany`, and the interpreter lock is free meanwhile."""
    width = row.count("?")
    step = width * _ROWS
    whole = len(flat) - len(flat) % step
    inserted = 0
    if whole:
        statement = insert + ", ".join([row] * _ROWS)
        for start in range(0, whole, step):
            inserted += cursor.execute(statement, flat[start : start + step]).rowcount
    if whole < len(flat):
        rows = [flat[start : start + width] for start in range(whole, len(flat), width)]
        inserted += cursor.executemany(insert + row, rows).rowcount
    return inserted


def _present(rows: Sequence[SampleRow]) -> dict[tuple[int, int], dict[tuple[float | None, str | None], int]]:
    """(series, time) → (number, text) → seq of what is stored at the rows' moments."""
    keys = sorted({(row[0], row[1]) for row in rows})
    found: dict[tuple[int, int], dict[tuple[float | None, str | None], int]] = {}
    with connection.cursor() as cursor:
        for start in range(0, len(keys), _KEYS):
            part = keys[start : start + _KEYS]
            places = ", ".join(["(%s, %s)"] * len(part))
            cursor.execute(
                f'WITH wanted ("s", "t") AS (VALUES {places}) '  # noqa: S608
                'SELECT "series_id", "time", "seq", "number", "text" FROM wanted '
                'JOIN "telemetry_sample" ON "series_id" = "s" AND "time" = "t"',
                [number for key in part for number in key],
            )
            for series_id, time, seq, number, text in cursor.fetchall():
                found.setdefault((series_id, time), {})[number, text] = seq
    return found


def resources_upsert(rows: Sequence[ResourceRow]) -> None:
    """Stores current values; one that is older than what is there changes nothing.

    The age of a value is its own time, or its receive time where that is earlier: a device whose clock runs ahead
    must not freeze its values for years.
    """
    if rows:
        least = "MIN" if connection.vendor == "sqlite" else "LEAST"
        with connection.cursor() as cursor:
            cursor.executemany(_RESOURCE.format(least=least), rows)


def contacts_update(rows: Iterable[ContactRow]) -> None:
    """Stores devices' last contact and status; a blocked device stays blocked."""
    adapt = connection.ops.adapt_datetimefield_value
    adapted = [(adapt(contact), status, adapt(since), pk) for contact, status, since, pk in rows]
    if adapted:
        with connection.cursor() as cursor:
            cursor.executemany(_CONTACT, adapted)


def changes_insert(rows: Iterable[ChangeRow], *, at: datetime) -> None:
    """Tells the live pages."""
    moment: Any = connection.ops.adapt_datetimefield_value(at)
    adapted = [(device_id, kind, moment) for device_id, kind in rows]
    if adapted:
        with connection.cursor() as cursor:
            cursor.executemany(_CHANGE, adapted)
