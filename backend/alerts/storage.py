"""What is read and written with every evaluation, in SQL: samples beyond the cursors, and the cursors.

Works on SQLite and PostgreSQL, inside the caller's transaction. Times are microseconds since 1970 (UTC).
"""

import json
from collections.abc import Collection, Sequence
from datetime import datetime

from django.db import connection

from backend.telemetry.buckets import HOUR

# (series id, time, seq, number, receive time)
SampleRow = tuple[int, int, int, float | None, int]
# (series id, time, seq, received, strange, ahead, heard)
CursorRow = tuple[int, int, int, int, int, int, int]

# (cleared at, cleared text, last value, last at, id)
AlertRow = tuple[datetime | None, str, float | None, datetime | None, int]

_RECEIVED = 'x."time" + COALESCE(x."delay", 0) * 1000'
_COLUMNS = f'x."series_id", x."time", x."seq", x."number", {_RECEIVED}'
_NEW = f"""
SELECT {_COLUMNS} FROM "alerts_cursor" c JOIN "telemetry_sample" x
    ON x."series_id" = c."series_id" AND x."time" >= c."time" AND x."time" <= %s
WHERE c."series_id" {{among}} AND (x."time" > c."time" OR x."seq" > c."seq")
    AND ({_RECEIVED} >= x."time" OR x."time" > c."ahead"
         OR {_RECEIVED} > CASE WHEN c."strange" > c."received" THEN c."strange" ELSE c."received" END)
ORDER BY x."series_id", x."time", x."seq" LIMIT %s
"""  # noqa: S608
_STRANGE = f"""
SELECT {_COLUMNS} FROM "alerts_cursor" c
JOIN "telemetry_stalehour" h ON h."series_id" = c."series_id"
JOIN "telemetry_sample" x ON x."series_id" = c."series_id"
    AND x."time" >= h."hour" * {HOUR} AND x."time" < (h."hour" + 1) * {HOUR}
WHERE c."series_id" {{among}}
    AND ((h."hour" >= %s AND x."time" > %s) OR (c."received" < %s AND h."hour" <= c."time" / {HOUR}
         AND x."time" < c."time"))
    AND {_RECEIVED} > c."strange" AND {_RECEIVED} > c."received"
ORDER BY x."series_id", {_RECEIVED}, x."time", x."seq" LIMIT %s
"""  # noqa: S608
_RECENT = f"""
SELECT {_COLUMNS} FROM "alerts_cursor" c JOIN "telemetry_sample" x
    ON x."series_id" = c."series_id" AND x."time" >= c."time" - %s AND x."time" <= %s
WHERE c."series_id" {{among}} ORDER BY x."series_id", x."time", x."seq" LIMIT %s
"""  # noqa: S608
_NEWEST = """
SELECT s."id", (SELECT x."time" FROM "telemetry_sample" x WHERE x."series_id" = s."id" AND x."time" <= %s
                ORDER BY x."time" DESC, x."seq" DESC LIMIT 1),
       (SELECT x."time" + COALESCE(x."delay", 0) * 1000 FROM "telemetry_sample" x
        WHERE x."series_id" = s."id" AND x."time" <= %s ORDER BY x."time" DESC, x."seq" DESC LIMIT 1)
FROM "telemetry_series" s WHERE s."id" {among}
"""
_STORE = """
INSERT INTO "alerts_cursor" ("series_id", "time", "seq", "received", "strange", "ahead", "heard") {values}
ON CONFLICT ("series_id") DO UPDATE SET "time" = excluded."time", "seq" = excluded."seq",
    "received" = excluded."received", "strange" = excluded."strange", "ahead" = excluded."ahead",
    "heard" = excluded."heard"
"""


def _among(ids: Collection[int]) -> tuple[str, str | list[int]]:
    """The condition for any number of ids in one parameter, and the parameter."""
    if connection.vendor == "sqlite":
        return "IN (SELECT value FROM json_each(%s))", json.dumps(list(ids))
    return "= ANY(%s)", list(ids)


def samples_new(series_ids: Collection[int], *, horizon: int, limit: int) -> list[SampleRow]:
    """Samples up to `horizon` that the cursors have not passed, by series and time.

    Those with a time ahead of their receive time stay beyond the cursor: they are told by their receive time.
    """
    if not series_ids:
        return []
    among, ids = _among(series_ids)
    with connection.cursor() as cursor:
        cursor.execute(_NEW.format(among=among), [horizon, ids, limit])
        rows: list[SampleRow] = cursor.fetchall()
    return rows


def samples_strange(series_ids: Collection[int], *, horizon: int, silent: int, limit: int) -> list[SampleRow]:
    """New samples with a time that cannot be the present, by series and receive time.

    Later than `horizon`; or before the cursor, where nothing newer was received since `silent`. Found by the hours
    that are not summed up yet.
    """
    if not series_ids:
        return []
    among, ids = _among(series_ids)
    with connection.cursor() as cursor:
        cursor.execute(_STRANGE.format(among=among), [ids, horizon // HOUR, horizon, silent, limit])
        rows: list[SampleRow] = cursor.fetchall()
    return rows


def samples_recent(series_ids: Collection[int], *, lookback: int, horizon: int, limit: int) -> list[SampleRow]:
    """Samples from `lookback` before the cursors on, by series and time."""
    if not series_ids:
        return []
    among, ids = _among(series_ids)
    with connection.cursor() as cursor:
        cursor.execute(_RECENT.format(among=among), [lookback, horizon, ids, limit])
        rows: list[SampleRow] = cursor.fetchall()
    return rows


def samples_newest(series_ids: Collection[int], *, horizon: int) -> dict[int, tuple[int, int] | None]:
    """Series id → time and receive time of its newest sample up to `horizon`, None where there is none."""
    if not series_ids:
        return {}
    among, ids = _among(series_ids)
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST.format(among=among), [horizon, horizon, ids])
        return {pk: None if time is None else (time, received) for pk, time, received in cursor.fetchall()}


def cursors_store(rows: Sequence[CursorRow]) -> None:
    """New and changed cursors."""
    if not rows:
        return
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.executemany(_STORE.format(values="VALUES (%s, %s, %s, %s, %s, %s, %s)"), rows)
        else:
            columns = [list(column) for column in zip(*rows, strict=True)]
            types = ("bigint", "bigint", "smallint", "bigint", "bigint", "bigint", "bigint")
            values = f"SELECT * FROM unnest({', '.join(f'%s::{one}[]' for one in types)})"  # noqa: S608
            cursor.execute(_STORE.format(values=values), columns)


def alerts_update(rows: Sequence[AlertRow]) -> None:
    """What has become of alerts."""
    if not rows:
        return
    adapt = connection.ops.adapt_datetimefield_value
    with connection.cursor() as cursor:
        cursor.executemany(
            'UPDATE "alerts_alert" SET "cleared_at" = %s, "cleared_text" = %s, "last_value" = %s, "last_at" = %s '
            'WHERE "id" = %s',
            [(adapt(cleared), text, value, adapt(last), pk) for cleared, text, value, last, pk in rows],
        )
