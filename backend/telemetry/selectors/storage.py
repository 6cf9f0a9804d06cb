"""What series and devices cost on disk: counted where that is cheap, estimated from averages otherwise."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from django.core.cache import cache
from django.db import connection
from django.utils import timezone

from backend.devices.models import Device
from backend.telemetry.models import Series

# bytes of a row with its share of the pages, as `scripts/bench telemetry` measures them. On SQLite for good (to measure
# means to read the whole file), on PostgreSQL while there are too few rows to tell.
SQLITE_BYTES = {"telemetry_sample": 31, "telemetry_rollup": 62}
POSTGRESQL_BYTES = {"telemetry_sample": 106, "telemetry_rollup": 141}
# fewer rows tell nothing of the average
_ENOUGH = 10_000
# rollups are counted one by one: not more often than this (seconds)
_COUNT_AGAIN = 300

ORDERS = ("bytes", "samples", "rollups", "log_bytes", "log_lines", "device")


@dataclass(slots=True, kw_only=True)
class Cost:
    """What a device or a series takes. `path` and `series_id` None: all series of the device."""

    device: str
    path: str | None = None
    series_id: int | None = None
    # in the rollups; those of the newest hour are not counted yet
    samples: int = 0
    rollups: int = 0
    # of samples and rollups with their indexes
    bytes: int = 0
    # log lines, and the bytes of their texts: of devices only
    log_lines: int = 0
    log_bytes: int = 0

    @property
    def together(self) -> int:
        """Bytes of values and log lines."""
        return self.bytes + self.log_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageCosts:
    """A page of costs, and all of it."""

    items: list[Cost] = field(default_factory=list)
    # of all pages
    count: int
    total: Cost
    # of everything in the database
    database_bytes: int
    sample_bytes: float
    rollup_bytes: float
    # when the rollups were counted
    counted_at: datetime


def storage_costs(
    *,
    device: Device | None = None,
    by_series: bool = False,
    search: str = "",
    order: str = "-bytes",
    page: int = 1,
    page_size: int | None = 50,
) -> StorageCosts:
    """What devices (or `by_series` their series) cost, the most expensive first; `device`: of this one only.

    `search`: items whose endpoint (or path) has it in it, in any case; the total is of all. `page_size` None: all.
    `order`: one of ORDERS, with a leading - descending; "bytes" with the log lines. Raises ValueError on another.
    """
    key, descending = _order(order)
    counted, counted_at = _rollup_counts()
    sample_bytes, rollup_bytes = _average("telemetry_sample"), _average("telemetry_rollup")
    series = Series.objects.order_by("device__endpoint", "path")
    devices = Device.objects.order_by("endpoint")
    if device is not None:
        series, devices = series.filter(device=device), devices.filter(pk=device.pk)
    costs: list[Cost] = []
    by_device: dict[str, Cost] = {}
    for endpoint, lines, text in devices.values_list("endpoint", "log_usage__lines", "log_usage__bytes"):
        by_device[endpoint] = Cost(device=endpoint, log_lines=lines or 0, log_bytes=text or 0)
    for series_id, endpoint, path, kept in series.values_list("pk", "device__endpoint", "path", "kept"):
        rollups = counted.get(series_id, 0)
        cost = round(kept * sample_bytes + rollups * rollup_bytes)
        if by_series:
            costs.append(
                Cost(device=endpoint, path=path, series_id=series_id, samples=kept, rollups=rollups, bytes=cost)
            )
        of_device = by_device.setdefault(endpoint, Cost(device=endpoint))
        of_device.samples += kept
        of_device.rollups += rollups
        of_device.bytes += cost
    total = Cost(device="")
    for one in by_device.values():
        total.samples += one.samples
        total.rollups += one.rollups
        total.bytes += one.bytes
        total.log_lines += one.log_lines
        total.log_bytes += one.log_bytes
    if not by_series:
        costs = list(by_device.values())
    if search:
        wanted = search.casefold()
        costs = [one for one in costs if wanted in (one.path if by_series and one.path else one.device).casefold()]
    costs.sort(key=key, reverse=descending)
    first = (page - 1) * (page_size or 0)
    return StorageCosts(
        items=costs[first : None if page_size is None else first + page_size],
        count=len(costs),
        total=total,
        database_bytes=_database_bytes(),
        sample_bytes=sample_bytes,
        rollup_bytes=rollup_bytes,
        counted_at=counted_at,
    )


def storage_cost_of(*, device: Device) -> Cost:
    """What one device costs, its rollups counted now: for a page that shows nothing of the others."""
    cost = Cost(device=device.endpoint)
    usage = Device.objects.filter(pk=device.pk).values_list("log_usage__lines", "log_usage__bytes").first()
    if usage is not None:
        cost.log_lines, cost.log_bytes = (number or 0 for number in usage)
    with connection.cursor() as cursor:
        cursor.execute(
            'SELECT COALESCE(SUM("kept"), 0), COALESCE(SUM((SELECT COUNT(*) FROM "telemetry_rollup" r '
            'WHERE r."series_id" = s."id")), 0) FROM "telemetry_series" s WHERE s."device_id" = %s',
            (device.pk,),
        )
        cost.samples, cost.rollups = (int(number) for number in cursor.fetchone())
    cost.bytes = round(cost.samples * _average("telemetry_sample") + cost.rollups * _average("telemetry_rollup"))
    return cost


def _order(order: str) -> tuple[Callable[[Cost], tuple[int, str]], bool]:
    name = order.removeprefix("-")
    if name not in ORDERS or order.startswith("--"):
        raise ValueError(f"cannot order by {order!r}: use one of {', '.join(ORDERS)}, with a leading - for descending")

    def key(cost: Cost) -> tuple[int, str]:
        if name == "device":
            return 0, cost.device
        number = cost.together if name == "bytes" else int(getattr(cost, name))
        return number, cost.device

    return key, order.startswith("-")


def _rollup_counts() -> tuple[dict[int, int], datetime]:
    """Series id → how many rollups it has, and when that was counted."""

    def count() -> tuple[dict[int, int], datetime]:
        found: dict[int, int] = defaultdict(int)
        with connection.cursor() as cursor:
            # past the ORM, whose GROUP BY would name the composite key
            cursor.execute('SELECT "series_id", COUNT(*) FROM "telemetry_rollup" GROUP BY "series_id"')
            found.update(cursor.fetchall())
        return dict(found), timezone.now()

    known: tuple[dict[int, int], datetime] | None = cache.get("telemetry-rollup-counts")
    if known is None:
        known = count()
        cache.set("telemetry-rollup-counts", known, _COUNT_AGAIN)
    return known


def _average(table: str) -> float:
    """Bytes a row, indexes included."""
    if connection.vendor != "postgresql":
        return SQLITE_BYTES[table]
    with connection.cursor() as cursor:
        # what the last ANALYZE saw; -1: none yet
        cursor.execute(
            "SELECT pg_total_relation_size(oid), reltuples FROM pg_class WHERE oid = CAST(%s AS regclass)", (table,)
        )
        size, rows = cursor.fetchone()
    return size / rows if rows >= _ENOUGH else POSTGRESQL_BYTES[table]


def _database_bytes() -> int:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_database_size(current_database())")
        else:
            cursor.execute("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
        return int(cursor.fetchone()[0])
