"""Samples as files: CSV (RFC 4180) and Parquet, made piece by piece in constant memory.

Rows are read by key, a page a query: a long export holds no transaction open, so it neither stops SQLite's checkpoints
nor PostgreSQL's vacuum, and ingest goes on beside it. Samples that arrive meanwhile may or may not be in it.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection

from backend.devices.models import Device
from backend.devices.selectors import Names
from backend.lwm2m.paths import resource_ids, series_readings
from backend.telemetry.models import Series

CSV, PARQUET = "csv", "parquet"
FORMATS = {CSV: "text/csv; charset=utf-8", PARQUET: "application/vnd.apache.parquet"}
COLUMNS = ("device", "path", "name", "unit", "time", "received", "value", "text")
# rows of a query
PAGE = 5_000
# series whose names are looked up at once
_SERIES = 500
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LEAST, _MOST = -(2**63), 2**63 - 1
_PAGE = (
    'SELECT "time", "seq", "number", "text", "delay" FROM "telemetry_sample" '
    'WHERE "series_id" = %s AND "time" < %s AND ("time", "seq") > (%s, %s) ORDER BY "time", "seq" LIMIT %s'
)

# time, seq, number, text, delay
_Row = tuple[int, int, float | None, str | None, int | None]


class ExportError(ValueError):
    """Such an export cannot be; the message says what is wrong and what to do."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which samples: of these series, of all series of these devices, at these paths; nothing named: all there are.

    `start` <= time < `end`, microseconds since 1970 (None: open).
    """

    # `ENDPOINT/3303/0/5700`
    series: Sequence[str] = ()
    devices: Sequence[str] = ()
    paths: Sequence[str] = ()
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """A series with what is told of it in each of its rows."""

    id: int
    device: str
    path: str
    name: str
    unit: str


def _names(text: str) -> list[tuple[str, str]]:
    """`ENDPOINT/3303/0/5700` as (endpoint, path). Raises ExportError."""
    found = series_readings(text)
    if not found:
        raise ExportError(f"{text[:80]!r} is no series: write the endpoint and the path, such as sim-1/3303/0/5700")
    return found


def series_selected(selection: Selection) -> list[int]:
    """The ids of its series, in the order of devices and paths. Raises ExportError where one does not exist."""
    for text in (*selection.devices, *selection.paths, *selection.series):
        if "\0" in text:
            # PostgreSQL cannot even look for it
            raise ExportError(f"there is nothing called {text[:80]!r}: no name holds the character NUL")
    chosen = Series.objects.all()
    if selection.devices:
        known = set(Device.objects.filter(endpoint__in=selection.devices).values_list("endpoint", flat=True))
        for endpoint in selection.devices:
            if endpoint not in known:
                raise ExportError(f"there is no device {endpoint!r}")
        chosen = chosen.filter(device__endpoint__in=selection.devices)
    if selection.paths:
        chosen = chosen.filter(path__in=selection.paths)
    if selection.series:
        names = {text: _names(text) for text in selection.series}
        some = Series.objects.filter(
            device__endpoint__in={endpoint for found in names.values() for endpoint, _ in found}
        )
        ids = {(endpoint, path): pk for pk, endpoint, path in some.values_list("pk", "device__endpoint", "path")}
        wanted = []
        for text, found in names.items():
            present = [ids[name] for name in found if name in ids]
            if not present:
                raise ExportError(f"there is no series {text[:80]!r}")
            wanted.append(present[0])
        if not (selection.devices or selection.paths):
            chosen = Series.objects.none()
        chosen = chosen | Series.objects.filter(pk__in=wanted)
    return list(chosen.order_by("device__endpoint", "path", "pk").values_list("pk", flat=True))


def series_named(ids: Sequence[int]) -> Iterator[Named]:
    """Names and units, from the models, a few devices at a time."""
    for start in range(0, len(ids), _SERIES):
        part = ids[start : start + _SERIES]
        rows = {one.pk: one for one in Series.objects.filter(pk__in=part).select_related("device__registration")}
        names: dict[int, Names] = {}
        for pk in part:
            one = rows.get(pk)
            if one is None:
                # deleted with its device just now
                continue
            object_id, instance_id, resource_id, _ = resource_ids(one.path)
            if one.device_id not in names:
                # in the order of devices: those before are done with
                objects = {resource_ids(row.path)[0] for row in rows.values() if row.device_id == one.device_id}
                names = {one.device_id: Names(device=one.device, object_ids=objects)}
            of = names[one.device_id]
            unit = of.unit(object_id, instance_id, resource_id)
            yield Named(pk, one.device.endpoint, one.path, of.name(object_id, resource_id), unit)


def pages(series_id: int, selection: Selection) -> Iterator[list[_Row]]:
    """The samples of a series, oldest first."""
    after = (_LEAST if selection.start is None else selection.start - 1, 2**15 - 1)
    end = _MOST if selection.end is None else selection.end
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_PAGE, [series_id, end, *after, PAGE])
            rows: list[_Row] = cursor.fetchall()
        if rows:
            yield rows
        if len(rows) < PAGE:
            return
        after = rows[-1][:2]


def _moment(microseconds: int) -> str:
    """ISO 8601 in UTC; a time that no calendar holds (the years before 1 and after 9999) as microseconds since 1970."""
    try:
        return (_EPOCH + timedelta(microseconds=microseconds)).isoformat(timespec="microseconds")[:-6] + "Z"
    except OverflowError:
        return f"{microseconds} us"


def _csv(ids: Sequence[int], selection: Selection) -> Iterator[bytes]:
    """A head line and one line a sample. A value that no double holds exactly is in `text` (NaN, 2^60, words)."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    yield out.getvalue().encode()
    for one in series_named(ids):
        for page in pages(one.id, selection):
            out = io.StringIO()
            writer = csv.writer(out)
            writer.writerows(
                (
                    one.device,
                    one.path,
                    one.name,
                    one.unit,
                    _moment(time),
                    _moment(time if delay is None else time + delay * 1000),
                    "" if number is None else repr(number).removesuffix(".0"),
                    text,
                )
                for time, _, number, text, delay in page
            )
            yield out.getvalue().encode()


def export_chunks(selection: Selection, *, format_: str, apart: bool = False) -> Iterator[bytes]:
    """The file's bytes, piece by piece. Raises ExportError, before the first one.

    `apart`: what takes much memory is done in a process of its own, which ends with the file.
    """
    # it needs this module
    from backend.telemetry.parquet import parquet_apart, parquet_chunks

    if format_ not in FORMATS:
        raise ExportError(f"{format_[:20]!r} is no format: csv or parquet")
    ids = series_selected(selection)
    if format_ == CSV:
        return _csv(ids, selection)
    return parquet_apart(ids, selection) if apart else parquet_chunks(ids, selection)


def export_name(selection: Selection, *, format_: str, at: datetime) -> str:
    """A file name that tells what is in it."""
    devices = list(dict.fromkeys([*selection.devices, *(_names(text)[0][0] for text in selection.series)]))
    what = devices[0] if len(devices) == 1 else f"{len(devices)}-devices" if devices else "all"
    plain = "".join(one if one.isalnum() or one in "-_." else "-" for one in what)[:60]
    return f"flownexus-{plain}-{at:%Y%m%d-%H%M}.{format_}"
