"""The hot path of log lines: raw SQL for what is written thousands of times a second (as `telemetry.storage`).

Every function works inside the caller's transaction and on SQLite and PostgreSQL alike.
"""

from collections.abc import Sequence
from typing import NamedTuple

from django.db import connection

from backend.logs.models import Loss

# (device, boot, sequence, time, received, uptime, severity, module, text, problem): a row of logs_line
LineRow = tuple[int, int | None, int | None, int, int, int | None, int, str, str, str]

_COLUMNS = '"device_id", "boot_id", "sequence", "time", "received", "uptime", "severity", "module", "text", "problem"'
_INSERT = f'INSERT OR IGNORE INTO "logs_line" ({_COLUMNS}) VALUES '  # noqa: S608
_ROW = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
# rows a statement; its parameters stay far below SQLite's limit (32,766)
_ROWS = 100
_TEMPORARY = (
    f'CREATE TEMPORARY TABLE IF NOT EXISTS "logs_incoming" ON COMMIT DELETE ROWS AS SELECT {_COLUMNS} '  # noqa: S608
    'FROM "logs_line" WITH NO DATA'
)
_COPY = f'COPY "logs_incoming" ({_COLUMNS}) FROM STDIN'
_MERGE = (
    f'INSERT INTO "logs_line" ({_COLUMNS}) SELECT {_COLUMNS} FROM "logs_incoming" '  # noqa: S608
    "ON CONFLICT DO NOTHING"
)
# boots asked for at once
_BOOTS = 400


def lines_insert(rows: Sequence[LineRow]) -> int:
    """Stores lines, leaving out those whose (boot, sequence) is taken; how many were new."""
    if not rows:
        return 0
    if connection.vendor == "sqlite":
        connection.ensure_connection()
        # past Django's cursor, which would search every statement for its placeholders
        with connection.wrap_database_errors:
            cursor = connection.connection.cursor()
            inserted = 0
            whole = len(rows) - len(rows) % _ROWS
            statement = _INSERT + ", ".join([_ROW] * _ROWS)
            for start in range(0, whole, _ROWS):
                flat = [value for row in rows[start : start + _ROWS] for value in row]
                inserted += cursor.execute(statement, flat).rowcount
            if whole < len(rows):
                inserted += cursor.executemany(_INSERT + _ROW, rows[whole:]).rowcount
            return inserted
    with connection.cursor() as cursor:
        cursor.execute(_TEMPORARY)
        cursor.execute('TRUNCATE "logs_incoming"')
        with cursor.copy(_COPY) as copy:
            for row in rows:
                copy.write_row(row)
        cursor.execute(_MERGE)
        return int(cursor.rowcount)


def lines_counted(device_id: int) -> tuple[int, int]:
    """How many lines of a device are there, and the bytes of their texts."""
    with connection.cursor() as cursor:
        cursor.execute(
            f'SELECT count(*), coalesce(sum({_octets()}), 0) FROM "logs_line" WHERE "device_id" = %s',  # noqa: S608
            [device_id],
        )
        lines, size = cursor.fetchone()
        return int(lines), int(size)


def losses_near(ranges: Sequence[tuple[int, int, int]]) -> list[Loss]:
    """Losses that reach into (boot, from number, to number), both included; of each boot in ascending order."""
    found: list[Loss] = []
    for start in range(0, len(ranges), _BOOTS):
        part = ranges[start : start + _BOOTS]
        places = ", ".join(["(CAST(%s AS bigint), CAST(%s AS bigint), CAST(%s AS bigint))"] * len(part))
        found += Loss.objects.raw(
            f'WITH wanted ("b", "low", "high") AS (VALUES {places}) '  # noqa: S608
            'SELECT "logs_loss".* FROM wanted JOIN "logs_loss" '
            'ON "boot_id" = "b" AND "last" >= "low" AND "first" <= "high" ORDER BY "boot_id", "first"',
            [number for one in part for number in one],
        )
    return found


def losses_delete(keys: Sequence[tuple[int, int]]) -> None:
    """Deletes losses by (boot, first number)."""
    with connection.cursor() as cursor:
        for start in range(0, len(keys), _BOOTS):
            part = keys[start : start + _BOOTS]
            places = ", ".join(["(%s, %s)"] * len(part))
            cursor.execute(
                f'DELETE FROM "logs_loss" WHERE ("boot_id", "first") IN (VALUES {places})',  # noqa: S608
                [number for key in part for number in key],
            )


class OldLine(NamedTuple):
    """What deleting a line needs to know of it."""

    id: int
    boot_id: int | None
    sequence: int | None
    time: int
    received: int
    # bytes of its text
    size: int


def lines_oldest(device_id: int, limit: int) -> list[OldLine]:
    """A device's oldest lines."""
    with connection.cursor() as cursor:
        cursor.execute(
            f'SELECT "id", "boot_id", "sequence", "time", "received", {_octets()} FROM "logs_line" '  # noqa: S608
            'WHERE "device_id" = %s ORDER BY "time", "id" LIMIT %s',
            [device_id, limit],
        )
        return [OldLine(*row) for row in cursor.fetchall()]


def lines_delete(ids: Sequence[int]) -> None:
    """Deletes lines."""
    with connection.cursor() as cursor:
        places = ", ".join(["%s"] * len(ids))
        cursor.execute(f'DELETE FROM "logs_line" WHERE "id" IN ({places})', list(ids))  # noqa: S608


def _octets() -> str:
    return 'length(CAST("text" AS BLOB))' if connection.vendor == "sqlite" else 'octet_length("text")'
