"""How fast values get into the database, without network and devices."""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import math
import os
import random
import sqlite3
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench_lib import Result
from bench_lib.database import own_database

DESCRIPTION = "a recorded event stream, replayed from memory into the database, against a bare insert loop"
VALUES_PER_SECOND = {"sqlite": 20_000, "postgresql": 15_000}
# of the bare loop; PostgreSQL's own COPY is no promise, only shown
SHARE = {"sqlite": 0.50, "postgresql": 0.0}
CHUNK = 65_536
ROUNDS = 3
# what part of the values comes as timestamped series in Sends, the others one notification each
KINDS = {"notifications": 0.0, "mixed": 0.5, "series": 1.0}
START = 1_770_000_000_000
SERIES_LENGTH = 30

BARE = """
CREATE TABLE bare (
    id {key}, series_id bigint NOT NULL, time bigint NOT NULL, seq smallint NOT NULL,
    number double precision, text text, delay bigint, UNIQUE (series_id, time, seq)
)
"""


def run(argv: Sequence[str]) -> Result:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(prog="scripts/bench ingest", description=DESCRIPTION)
    parser.add_argument("--values", type=int, default=200_000, help="how many values (200000)")
    parser.add_argument("--devices", type=int, default=50, help="from how many devices (50)")
    parser.add_argument("--postgres", action="store_true", help="into a PostgreSQL of its own, against COPY")
    options = parser.parse_args(argv)
    with own_database(postgres=options.postgres):
        return measure(values=options.values, devices=options.devices)


def measure(*, values: int, devices: int) -> Result:
    """Replays three kinds of stream. The promise of a share is for the mixed one; the others are shown beside it."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    vendor = connection.vendor
    call_command("migrate", verbosity=0)
    figures: dict[str, int | float | str] = {"values": values, "devices": devices}
    failures: list[str] = []
    for kind, sent in KINDS.items():
        stream = b"".join(record(values=values, devices=devices, sent=sent, journal=f"bench{kind}"))
        speed, bare, share, summed = replay(stream, server=kind, values=values)
        figures[f"{kind}_stream_mib"] = len(stream) / 2**20
        figures[f"{kind}_values_per_second"] = round(speed)
        figures[f"{kind}_bare_rows_per_second"] = round(bare)
        figures[f"{kind}_share_percent"] = share * 100
        figures[f"{kind}_with_rollups_per_second"] = round(summed)
        if speed < VALUES_PER_SECOND[vendor]:
            failures.append(f"{kind}: {speed:,.0f} values/s, fewer than {VALUES_PER_SECOND[vendor]:,}")
        if kind == "mixed" and share < SHARE[vendor]:
            failures.append(f"{kind}: {share:.0%} of a bare insert loop, less than {SHARE[vendor]:.0%}")
    return Result(
        title=f"ingest: {values:,} values of {devices} devices into {connection.display_name}",
        figures=figures,
        failures=failures,
    )


def record(*, values: int, devices: int, sent: float, journal: str) -> Iterator[bytes]:
    """The stream of a fleet: `sent` of the values come as series of SERIES_LENGTH in a Send, the others one by one."""
    random_ = random.Random(1)  # noqa: S311 - the same stream each time
    sequence = done = 0
    clock = [START + number for number in range(devices)]
    while done < values:
        device = sequence % devices
        sequence += 1
        clock[device] += 1000
        received = clock[device]
        count = 1
        # of so many events, this part are Sends
        if random_.random() < sent / (SERIES_LENGTH * (1 - sent) + sent):
            count = min(SERIES_LENGTH, values - done)
        samples = []
        for index in range(count):
            moment = received - (count - 1 - index) * 10
            value = 20 + 5 * math.sin(moment / 86_400_000) + random_.gauss(0, 0.1)
            node = {"kind": "singleResource", "id": 5700, "type": "FLOAT", "value": repr(value)}
            last = {"/3303/0/5700": node}
            samples.append({"time": moment if count > 1 else None, "nodes": last})
        done += count
        body: dict[str, object] = {"ep": f"{journal}-{device}", "time": received}
        if count > 1:
            name = "SEND"
            body |= {"val": last}
        else:
            name = "NOTIFICATION"
            body |= {"kind": "single", "res": "/3303/0/5700", "val": last["/3303/0/5700"], "observe": sequence}
        body["samples"] = samples
        data = json.dumps(body, separators=(",", ":")).encode()
        yield b"id: %s-%d\nevent: %s\ndata: %s\n\n" % (journal.encode(), sequence, name.encode(), data)


def replay(stream: bytes, *, server: str, values: int) -> tuple[float, float, float, float]:
    """Values a second from bytes to committed rows, rows a second by a bare loop, the ratio of both; and values a
    second with their rollups.

    Medians of ROUNDS pairs, each taken one right after the other, in seconds of CPU time where that is less than the
    clock's: other processes on the machine must not decide.
    """
    from django.db import connection

    from backend.config.collector import tune_collector
    from backend.devices.services import server_ensure
    from backend.sync.decoder import Decoder
    from backend.sync.events import Item, Values
    from backend.sync.ingest import Ingest
    from backend.sync.runner import BATCH_VALUES, COLLECT_AFTER, tune_database
    from backend.telemetry.models import Sample
    from backend.telemetry.services import rollups_step

    tune_collector(threshold=COLLECT_AFTER)
    tune_database()
    pairs: list[tuple[float, float, float]] = []
    for number in range(ROUNDS):
        # other devices each time, of as many bytes
        round_ = stream.replace(b"bench", b"rnd%02d" % number)
        gc.collect()
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)" if connection.vendor == "sqlite" else "CHECKPOINT")
        ingest = Ingest(server_ensure(name=f"{server}-{number}", url="http://127.0.0.1:1").pk)
        decoder = Decoder()
        batch: list[Item] = []
        waiting = 0
        batches: list[int] = []
        with stopwatch() as taken:
            for position in range(0, len(round_), CHUNK):
                for item in decoder.feed(round_[position : position + CHUNK]):
                    batch.append(item)
                    if isinstance(item, Values):
                        waiting += len(item.readings)
                    if waiting >= BATCH_VALUES:
                        ingest.store(batch, received=time.time_ns() // 1000)
                        batches.append(waiting)
                        batch, waiting = [], 0
            ingest.store(batch, received=time.time_ns() // 1000)
            batches.append(waiting)
        with stopwatch() as summing:
            while rollups_step(now=time.time_ns() // 1000, budget=0.05).more:
                pass
        speed = values / taken[0]
        summed = values / (taken[0] + summing[0])
        fields = ("series_id", "time", "seq", "number", "text", "delay")
        # in the order that they came in, as good as
        samples = Sample.objects.filter(series__device__endpoint__startswith=f"rnd{number:02}{server}")
        rows = list(samples.order_by("time").values_list(*fields))
        if len(rows) != values:
            raise AssertionError(f"{len(rows)} of {values} values are stored")
        bare = insert_bare if connection.vendor == "sqlite" else copy_bare
        pairs.append((speed, bare(rows, batches), summed))
    return (
        statistics.median(speed for speed, _, _ in pairs),
        statistics.median(bare for _, bare, _ in pairs),
        statistics.median(speed / bare for speed, bare, _ in pairs),
        statistics.median(summed for _, _, summed in pairs),
    )


@contextlib.contextmanager
def stopwatch() -> Iterator[list[float]]:
    """How many seconds the block took, in a list that is filled at its end. PostgreSQL works elsewhere: the clock's."""
    from django.db import connection

    taken: list[float] = []
    wall, cpu = time.perf_counter(), time.process_time()
    yield taken
    passed, used = time.perf_counter() - wall, time.process_time() - cpu
    taken.append(min(passed, used) if connection.vendor == "sqlite" else passed)


def insert_bare(rows: Sequence[tuple[object, ...]], batches: Sequence[int]) -> float:
    """Rows a second of the same rows, in the order and the batches that they came in, by `executemany` alone."""
    from django.conf import settings

    file = Path(settings.DATA_DIR) / "bare.sqlite3"
    for suffix in ("", "-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute(BARE.format(key="INTEGER PRIMARY KEY"))
    position = 0
    with stopwatch() as taken:
        for size in batches:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "INSERT INTO bare (series_id, time, seq, number, text, delay) VALUES (?, ?, ?, ?, ?, ?)",
                rows[position : position + size],
            )
            connection.execute("COMMIT")
            position += size
    connection.close()
    return len(rows) / taken[0]


def copy_bare(rows: Sequence[tuple[object, ...]], batches: Sequence[int]) -> float:
    """The same by COPY, into PostgreSQL."""
    import psycopg

    position = 0
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS bare")
        connection.execute(BARE.format(key="bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"))
        with stopwatch() as taken:
            for size in batches:
                columns = "series_id, time, seq, number, text, delay"
                with connection.transaction(), connection.cursor().copy(f"COPY bare ({columns}) FROM STDIN") as copy:
                    for row in rows[position : position + size]:
                        copy.write_row(row)
                position += size
    return len(rows) / taken[0]
