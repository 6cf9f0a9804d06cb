"""How fast log lines get into the database, and how fast they are found among a million."""

from __future__ import annotations

import argparse
import contextlib
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from bench_lib import Figure, Result
from bench_lib.database import own_database

if TYPE_CHECKING:
    from backend.logs.services import Incoming

DESCRIPTION = "a million log lines: storing them, the newest page, searches; SQLite, or --postgres"
# promises
LINES_PER_SECOND = 10_000
SEARCH_MS = 200
# messages of a batch, as sync has them under load; lines of a message
MESSAGES = 100
LINES = 10
PAGE = 200
ROUNDS = 5
START = 1_767_225_600_000_000
SECOND = 1_000_000
MODULES = ["net_core", "lwm2m", "sensor", "main", "bt_hci", "flash", "modem"]


def run(argv: Sequence[str]) -> Result:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(prog="scripts/bench logs", description=DESCRIPTION)
    parser.add_argument("--lines", type=int, default=1_000_000, help="how many lines (1000000)")
    parser.add_argument("--devices", type=int, default=100, help="of how many devices (100)")
    parser.add_argument("--postgres", action="store_true", help="in a PostgreSQL cluster of its own")
    options = parser.parse_args(argv)
    with own_database(postgres=options.postgres):
        return measure(lines=options.lines, devices=options.devices)


def measure(*, lines: int, devices: int) -> Result:
    """Stores the lines of a fleet, then looks for them."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection, transaction

    from backend.devices.models import Device, Profile
    from backend.logs.services import messages_store
    from backend.lwm2m.times import datetime_of_us
    from backend.sync.runner import tune_database

    call_command("migrate", "logs", verbosity=0)
    tune_database()
    Profile.objects.update(logs_per_minute=None)
    ids = [Device.objects.create(endpoint=f"bench-{number}").pk for number in range(devices)]
    messages = list(_messages(lines, ids))
    seconds = 0.0
    for start in range(0, len(messages), MESSAGES):
        batch = messages[start : start + MESSAGES]
        with stopwatch() as taken, transaction.atomic():
            messages_store(batch, at=datetime_of_us(batch[0].received))
        seconds += taken[0]
    speed = lines / seconds
    bare = _bare()
    vendor = connection.vendor
    figures: dict[str, Figure] = {
        "lines": lines,
        "devices": devices,
        "lines_per_second": round(speed),
        "bare_rows_per_second": round(bare),
        "share_of_bare_percent": round(100 * speed / bare),
        "bytes_per_line": round(_bytes() / lines),
    }
    failures = []
    if vendor == "sqlite" and speed < LINES_PER_SECOND:
        failures.append(f"{speed:,.0f} lines/s, fewer than {LINES_PER_SECOND:,}")
    for name, taken_ms, found in _searches(ids, lines):
        figures[f"{name}_ms"] = taken_ms
        figures[f"{name}_found"] = found
        if taken_ms > SEARCH_MS:
            failures.append(f"{name}: {taken_ms:.0f} ms, more than {SEARCH_MS}")
    kind = "SQLite" if vendor == "sqlite" else "PostgreSQL"
    title = f"logs: {lines:,} lines of {devices} devices in {kind}"
    return Result(title=title, figures=figures, failures=failures)


def _messages(lines: int, ids: Sequence[int]) -> Iterator[Incoming]:
    """The devices' messages, one after the other, each some milliseconds under way."""
    from backend.logs.format import LogEntry, LogMessage, pack
    from backend.logs.services import Incoming

    random_ = random.Random(1)  # noqa: S311 - the same lines each time
    first = [0] * len(ids)
    for start in range(0, lines, LINES):
        device = start // LINES % len(ids)
        number = first[device]
        entries = [
            LogEntry(
                (number + index) * 100,
                random_.choice([1, 2, 3, 3, 3, 3, 4, 4]),
                random_.choice(MODULES),
                _text(start + index, lines, random_),
            )
            for index in range(min(LINES, lines - start))
        ]
        uptime = entries[-1].uptime
        data = pack(LogMessage(7, number, 0, uptime, entries))
        yield Incoming(ids[device], data, START + uptime * 1000 + random_.randint(0, 50_000))
        first[device] += len(entries)


def _text(number: int, lines: int, random_: random.Random) -> str:
    """What devices say; the first third still names a radio that later ones do not have."""
    kind = random_.random()
    if kind < 0.3:
        text = f"temperature {random_.uniform(15, 30):.2f} C, battery {random_.randint(2900, 3300)} mV"
    elif kind < 0.6:
        text = f"packet {number} from fe80::{random_.getrandbits(32):08x} rssi -{random_.randint(40, 99)} dBm"
    elif kind < 0.8:
        text = f"registration update acknowledged after {random_.randint(20, 900)} ms"
    elif kind < 0.95:
        text = f"sent {random_.randint(20, 400)} bytes to server, {random_.randint(0, 3)} retries"
    else:
        text = f"CoAP token 0x{random_.getrandbits(64):016x} timed out"
    if number % 100_003 == 7:
        text += ", watchdog bite"
    return text + " legacy radio" if number < lines // 3 else text


def _searches(ids: Sequence[int], lines: int) -> Iterator[tuple[str, float, int]]:
    """What was asked, milliseconds (median), and lines on the page."""
    from django.db import connection

    from backend.logs.selectors import LineFilter, LinePage, lines_page

    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            # as autovacuum does by itself after a while
            cursor.execute("VACUUM ANALYZE")
    length = lines // len(ids) * 100_000
    middle = START + length // 2
    asked: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "newest_page": ({}, {}),
        "page_in_the_middle": ({}, {"around": middle}),
        "rare_word": ({"search": "watchdog"}, {}),
        "common_word": ({"search": "packet"}, {}),
        "word_of_old_lines": ({"search": "legacy"}, {}),
        "no_such_word": ({"search": "nowhere"}, {}),
        "hex_prefix": ({"search": "0x3f2"}, {}),
        "two_common_characters": ({"search": "mV"}, {}),
        "two_absent_characters": ({"search": "zq"}, {}),
        "common_word_in_the_middle": ({"search": "packet"}, {"around": middle}),
        "one_device": ({"devices": ids[:1]}, {}),
        "one_device_rare_word": ({"devices": ids[:1], "search": "watchdog"}, {}),
        "ten_devices_old_word": ({"devices": ids[:10], "search": "legacy"}, {}),
        "errors": ({"severity": 1}, {}),
        "errors_of_a_module_word": ({"severity": 1, "modules": ["modem"], "search": "packet"}, {}),
        "old_word_errors_of_a_module": ({"severity": 1, "modules": ["modem"], "search": "legacy"}, {}),
        "no_such_module": ({"modules": ["none"]}, {}),
        "word_in_a_minute": ({"search": "battery", "start": middle, "end": middle + 60 * SECOND}, {}),
    }
    for name, (filter_, more) in asked.items():

        def page(filter_: dict[str, Any] = filter_, more: dict[str, Any] = more) -> LinePage:
            return lines_page(filter=LineFilter(**filter_), limit=PAGE, **more)

        taken, found = _median(page)
        yield name, taken * 1000, len(found.lines)


def _median(work: Callable[[], Any]) -> tuple[float, Any]:
    found = work()
    times = []
    for _ in range(ROUNDS):
        with stopwatch() as taken:
            found = work()
        times.append(taken[0])
    return statistics.median(times), found


@contextlib.contextmanager
def stopwatch() -> Iterator[list[float]]:
    """How many seconds the block took, in a list that is filled at its end.

    On SQLite of CPU time where that is less than the clock's: other processes on the machine must not decide. On
    PostgreSQL the work is another process's.
    """
    from django.db import connection

    taken: list[float] = []
    wall, cpu = time.perf_counter(), time.process_time()
    yield taken
    passed = time.perf_counter() - wall
    taken.append(min(passed, time.process_time() - cpu) if connection.vendor == "sqlite" else passed)


def _bare() -> float:
    """Rows a second of as many rows, by `executemany` or COPY alone, into a table with one unique key."""
    from django.db import connection, transaction

    columns = '"device_id", "boot_id", "sequence", "time", "received", "uptime", "severity", "module", "text"'
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE bare (id INTEGER PRIMARY KEY, device_id bigint, boot_id bigint, sequence bigint, "
            "time bigint, received bigint, uptime bigint, severity smallint, module text, text text, "
            "UNIQUE (boot_id, sequence))"
            if connection.vendor == "sqlite"
            else "CREATE TABLE bare (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, device_id bigint, "
            "boot_id bigint, sequence bigint, time bigint, received bigint, uptime bigint, severity smallint, "
            "module text, text text, UNIQUE (boot_id, sequence))"
        )
        cursor.execute(f'SELECT {columns} FROM "logs_line" ORDER BY "id"')  # noqa: S608
        rows = cursor.fetchall()
    size = MESSAGES * LINES
    seconds = 0.0
    for start in range(0, len(rows), size):
        with stopwatch() as taken, transaction.atomic(), connection.cursor() as cursor:
            if connection.vendor == "sqlite":
                connection.connection.executemany(
                    f"INSERT INTO bare ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                    rows[start : start + size],
                )
            else:
                with cursor.copy(f"COPY bare ({columns}) FROM STDIN") as copy:
                    for row in rows[start : start + size]:
                        copy.write_row(row)
        seconds += taken[0]
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE bare")
    return len(rows) / seconds


def _bytes() -> int:
    """What lines, their indexes and the search index take."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(pgsize) FROM dbstat WHERE name LIKE 'logs_line%' OR name LIKE 'logs_search%' "
            "OR name LIKE 'sqlite_autoindex_logs_line%'"
            if connection.vendor == "sqlite"
            else "SELECT pg_total_relation_size('logs_line')"
        )
        return int(cursor.fetchone()[0])
