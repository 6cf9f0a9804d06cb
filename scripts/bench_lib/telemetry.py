"""How fast charts are over millions of samples, how fast rollups are made, and what all of it takes on disk."""

from __future__ import annotations

import argparse
import contextlib
import heapq
import importlib
import itertools
import os
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Any

from bench_lib import Figure, Result
from bench_lib.database import own_database

DESCRIPTION = "charts over 10 million samples of 100 devices, rollups, bytes a sample; SQLite, or --postgres"

# the newest sample: 2026-11-22 17:00 UTC
END = 1_795_366_800_000_000
SECOND = 1_000_000
DAY = 86_400 * SECOND
# seconds between the samples of a series → how many it has: of devices with one fast series, and of the others
FAST = {1: 410_000, 60: 60_000, 300: 105_120}
OTHERS = {10: 20_000, 61: 20_000, 301: 12_000, 3600: 8760}
FAST_PERCENT = 8
BATCH = 20_000
RANGES = {"5min": 300, "1h": 3600, "6h": 21_600, "24h": 86_400, "7d": 604_800, "30d": 2_592_000, "1y": 31_536_000}
POINTS = 2000
PAGES = {
    "device_page": "/devices/fast-0/",
    "device_page_charts": "/devices/fast-0/?tab=charts",
    "devices_page": "/devices/",
    "storage_of_all": "/api/v1/storage",
}
# series of a large chart
MANY = 8
ROUNDS = 5
# promises
CHART_MS = 100
PAGE_MS = 150
SAMPLE_BYTES = 40
DUE_SECONDS = 30
# of `sync`, between two batches
BUDGET = 0.05
# a mark takes about so many bytes with its index on SQLite; they are gone in the end
MARK_BYTES = 28
# series whose hours fall due at once
DUE_SERIES = 10_000
DUE_SAMPLES = 60
# hours that one Send touches
BACKLOG_HOURS = 10_000


def run(argv: Sequence[str]) -> Result:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(prog="scripts/bench telemetry", description=DESCRIPTION)
    parser.add_argument("--samples", type=int, default=10_000_000, help="how many samples (10000000)")
    parser.add_argument("--devices", type=int, default=100, help="of how many devices (100)")
    parser.add_argument("--postgres", action="store_true", help="in a PostgreSQL cluster of its own")
    options = parser.parse_args(argv)
    with own_database(postgres=options.postgres):
        return measure(samples=options.samples, devices=options.devices)


def measure(*, samples: int, devices: int) -> Result:
    """Fills a database, sums it up, and draws charts of every range."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            # the file grows by the pages of the tables alone
            cursor.execute("PRAGMA wal_autocheckpoint=10000")
    before = used_bytes("telemetry_sample")
    with stopwatch() as taken:
        by_period, stored = fill(samples=samples, devices=devices)
    marked = count_rows("telemetry_stalehour")
    sample_bytes = (used_bytes("telemetry_sample") - before - MARK_BYTES * marked) / stored
    figures: dict[str, Figure] = {
        "devices": devices,
        "series": sum(map(len, by_period.values())),
        "samples": stored,
        "fill_samples_per_second": round(stored / taken[0]),
        "sample_bytes": sample_bytes,
    }
    before = 0 if connection.vendor == "postgresql" else used_bytes("telemetry_rollup") - MARK_BYTES * marked
    steps, seconds, longest = sum_up(now=END + DAY)
    rollups = count_rows("telemetry_rollup")
    rollup_bytes = used_bytes("telemetry_rollup") - before
    with_rollups = sample_bytes + rollup_bytes / stored
    figures |= {
        "rollups": rollups,
        "rollup_bytes": rollup_bytes / rollups,
        "sample_bytes_with_rollups": with_rollups,
        "rollup_seconds": seconds,
        "rollup_steps": steps,
        "rollup_longest_step_ms": longest * 1000,
    }
    failures: list[str] = []
    if connection.vendor == "sqlite" and sample_bytes > SAMPLE_BYTES:
        failures.append(f"{sample_bytes:.1f} bytes a sample with its key, more than {SAMPLE_BYTES}")
    with connection.cursor() as cursor:
        # as autovacuum has done by then
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "PRAGMA wal_checkpoint(TRUNCATE)")
    charts, slow = draw(by_period)
    pages, slow_pages = open_pages()
    due = fall_due()
    if float(due["due_seconds"]) > DUE_SECONDS:
        failures.append(f"{DUE_SERIES:,} hours that fall due at once take more than {DUE_SECONDS} s")
    figures |= charts | pages | due | send_backlog()
    where = "PostgreSQL" if connection.vendor == "postgresql" else "SQLite"
    return Result(
        title=f"telemetry: {stored:,} samples in {where}", figures=figures, failures=failures + slow + slow_pages
    )


@contextlib.contextmanager
def stopwatch() -> Iterator[list[float]]:
    """How many seconds the block took, in a list that is filled at its end.

    On SQLite, which works in this process, CPU time where that is less: other processes on the machine must not decide.
    """
    taken: list[float] = []
    wall, cpu = time.perf_counter(), time.process_time()
    yield taken
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    taken.append(wall if "DATABASE_URL" in os.environ else min(wall, cpu))


def count_rows(table: str) -> int:
    """How many rows a table has."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f'SELECT COUNT(*) FROM "{table}"')  # noqa: S608
        return int(cursor.fetchone()[0])


def used_bytes(table: str) -> int:
    """What a table takes with its indexes; on SQLite what all tables take, of which only this one grows meanwhile."""
    from django.db import connection

    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_total_relation_size(CAST(%s AS regclass))", (table,))
        else:
            cursor.execute(
                "SELECT (page_count - freelist_count) * page_size "
                "FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()"
            )
        return int(cursor.fetchone()[0])


def make_series(count: int, paths: Sequence[str], prefix: str) -> list[int]:
    """Series ids: of each of so many new devices one for each path, device after device."""
    from backend.devices.models import Device
    from backend.telemetry.models import Series

    devices = Device.objects.bulk_create([Device(endpoint=f"{prefix}-{number}") for number in range(count)])
    made = Series.objects.bulk_create([Series(device=device, path=path) for device in devices for path in paths])
    return [one.pk for one in made]


def samples_of(series_id: int, period: int, count: int) -> Iterator[tuple[int, int, float]]:
    """Time, series and value of so many samples, the newest at about END."""
    random_ = random.Random(series_id)  # noqa: S311 - the same each time
    start = END - count * period * SECOND + random_.randrange(period * SECOND)
    value = 20.0
    for number in range(count):
        value += random_.random() - 0.5
        yield start + number * period * SECOND + random_.randrange(50_000), series_id, value


def fill(*, samples: int, devices: int) -> tuple[dict[int, list[int]], int]:
    """Series by their period, and how many samples they have: stored in the order of their times, as they come."""
    from django.db import transaction

    from backend.telemetry.storage import Marks, SampleBuffer, samples_insert

    fast = max(MANY, devices * FAST_PERCENT // 100)
    scale = samples / (fast * sum(FAST.values()) + (devices - fast) * sum(OTHERS.values()))
    by_period: dict[int, list[int]] = {}
    sources: list[Iterator[tuple[int, int, float]]] = []
    for prefix, count, rates in (("fast", fast, FAST), ("other", devices - fast, OTHERS)):
        ids = make_series(count, [f"/{object_id}/0/5700" for object_id in range(3300, 3300 + len(rates))], prefix)
        for number, series_id in enumerate(ids):
            period, of_each = list(rates.items())[number % len(rates)]
            by_period.setdefault(period, []).append(series_id)
            sources.append(samples_of(series_id, period, round(of_each * scale)))
    marks = Marks()
    stored = 0
    stream = heapq.merge(*sources)
    while True:
        buffer = SampleBuffer()
        for time_, series_id, value in itertools.islice(stream, BATCH):
            buffer.plain += (series_id, time_, value)
        if not len(buffer):
            return by_period, stored
        with transaction.atomic():
            stored += samples_insert(buffer, marks)
        marks.committed()


def sum_up(*, now: int) -> tuple[int, float, float]:
    """Sums up all that is over: steps, seconds, and the longest step."""
    from backend.telemetry.services import rollups_step

    times: list[float] = []
    more = True
    while more:
        with stopwatch() as taken:
            more = rollups_step(now=now, budget=BUDGET).more
        times += taken
    return len(times), sum(times), max(times)


def visitor() -> Any:
    """Somebody who is logged in, in a process as the web app's."""
    from django.conf import settings
    from django.test import Client

    from backend.accounts.models import Role, User

    settings.ALLOWED_HOSTS = ["*"]
    client = Client()
    user, _ = User.objects.get_or_create(username="bench", defaults={"role": Role.VIEWER})
    client.force_login(user)
    client.get("/devices/")
    # tunes the collector
    importlib.import_module("backend.config.asgi")
    return client


def open_pages() -> tuple[dict[str, Figure], list[str]]:
    """Milliseconds of the pages that show a device, and of what storage costs: the median of some rounds."""
    client = visitor()
    figures: dict[str, Figure] = {}
    failures: list[str] = []
    for name, path in PAGES.items():
        times = []
        for _ in range(ROUNDS):
            with stopwatch() as taken:
                answer = client.get(path)
            times.append(taken[0] * 1000)
        assert answer.status_code == 200, answer.content
        figures[f"{name}_ms"] = statistics.median(times)
        if statistics.median(times) > PAGE_MS:
            failures.append(f"{name} takes {statistics.median(times):.0f} ms, more than {PAGE_MS}")
    return figures, failures


def draw(by_period: dict[int, list[int]]) -> tuple[dict[str, Figure], list[str]]:
    """Milliseconds of each chart: the median of some rounds, for the rate of samples that takes longest."""
    client = visitor()
    figures: dict[str, Figure] = {}
    failures: list[str] = []
    for name, seconds in RANGES.items():
        for count in (1, MANY):
            worst = (0.0, 0, "", 0, 0)
            for period, ids in by_period.items():
                query: dict[str, Any] = {
                    "series": ids[:count],
                    "start": END // 1000 - seconds * 1000,
                    "end": END // 1000,
                    "points": POINTS,
                }
                times = []
                for _ in range(ROUNDS):
                    with stopwatch() as taken:
                        answer = client.get("/api/v1/chart", query)
                    times.append(taken[0] * 1000)
                assert answer.status_code == 200, answer.content
                items = answer.json()["items"]
                points = max(len(item["points"]) for item in items)
                worst = max(worst, (statistics.median(times), period, items[0]["level"], points, len(answer.content)))
            figures[f"chart_{name}_{count}_ms"] = worst[0]
            figures[f"chart_{name}_{count}_worst"] = f"{worst[1]} s, {worst[2]}, {worst[3]} pts, {worst[4] // 1024} KiB"
            if worst[0] > CHART_MS:
                failures.append(f"a chart of {count} series over {name} takes {worst[0]:.0f} ms, more than {CHART_MS}")
    return figures, failures


def fall_due() -> dict[str, Figure]:
    """An hour of very many series that is over at once."""
    from django.db import transaction

    from backend.telemetry.storage import SampleBuffer, samples_insert

    start = END + 2 * DAY
    ids = make_series(DUE_SERIES // 100, [f"/3303/{number}/5700" for number in range(100)], "due")
    for minute in range(DUE_SAMPLES):
        buffer = SampleBuffer()
        for series_id in ids:
            buffer.plain += (series_id, start + minute * 60 * SECOND, float(minute))
        with transaction.atomic():
            samples_insert(buffer)
    steps, seconds, longest = sum_up(now=start + DAY)
    return {
        "due_hours": len(ids),
        "due_steps": steps,
        "due_seconds": seconds,
        "due_longest_step_ms": longest * 1000,
    }


def send_backlog() -> dict[str, Figure]:
    """One Send with a value of each of very many hours."""
    from django.db import transaction

    from backend.telemetry.storage import SampleBuffer, samples_insert

    (series_id,) = make_series(1, ["/3303/0/5700"], "backlog")
    buffer = SampleBuffer()
    for hour in range(BACKLOG_HOURS):
        buffer.timed += (series_id, END - hour * 3600 * SECOND, float(hour), hour * 3_600_000)
    with stopwatch() as taken, transaction.atomic():
        samples_insert(buffer)
    steps, seconds, longest = sum_up(now=END + 9 * DAY)
    return {
        "backlog_hours": BACKLOG_HOURS,
        "backlog_insert_seconds": taken[0],
        "backlog_steps": steps,
        "backlog_seconds": seconds,
        "backlog_longest_step_ms": longest * 1000,
    }
