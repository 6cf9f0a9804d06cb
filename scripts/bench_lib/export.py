"""A long export while devices go on talking: the web process's memory, and whether values wait."""

from __future__ import annotations

import argparse
import contextlib
import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from bench_lib import Result
from bench_lib.running import Running, resident_mib, running, simulated, temporary_data, wait_online

DESCRIPTION = "an export of millions of samples beside live devices: memory, speed, how late values are meanwhile"
MIB = 150
LAG_SECONDS = 2.0
SERIES = 10
BATCH = 50_000
HOUR = 3_600_000_000


def run(argv: Sequence[str]) -> Result:
    """Runs the benchmark. Raises SetupError where something does not start."""
    parser = argparse.ArgumentParser(prog="scripts/bench export", description=DESCRIPTION)
    parser.add_argument("--samples", type=int, default=10_000_000, help="how many are exported (10000000)")
    parser.add_argument("--devices", type=int, default=20, help="how many devices talk meanwhile (20)")
    parser.add_argument("--rate", type=float, default=200.0, help="values per second of all of them (200)")
    options = parser.parse_args(argv)
    with temporary_data() as data, running(devices=0, data=data) as product:
        fill(product, options.samples)
        flags = ["--interval", f"{options.devices / options.rate:.6f}"]
        with simulated(product, options.devices, *flags):
            wait_online(product, options.devices)
            return measure(product, options.samples)


def fill(product: Running, samples: int) -> None:
    """Samples of devices that are long silent, straight into the table."""
    with sqlite3.connect(product.data / "flownexus.sqlite3", timeout=60) as connection:
        for number in range(samples // (SERIES * 100_000) + 1):
            connection.execute(
                "INSERT INTO devices_device (endpoint, profile_by_hand, status, created_at, manufacturer, model, "
                "serial_number, firmware_version) VALUES (?, 0, 'never_seen', '2026-01-01', '', '', '', '')",
                [f"past-{number}"],
            )
        ids = [row[0] for row in connection.execute("SELECT id FROM devices_device WHERE endpoint LIKE 'past-%'")]
        series = []
        for device in ids:
            for instance in range(SERIES):
                cursor = connection.execute(
                    "INSERT INTO telemetry_series (device_id, path, kept) VALUES (?, ?, 0)",
                    [device, f"/3303/{instance}/5700"],
                )
                series.append(cursor.lastrowid)
        each = samples // len(series)
        start = time.time_ns() // 1000 - each * 10_000_000
        for one in series:
            for first in range(0, each, BATCH):
                rows = (
                    (one, start + number * 10_000_000, 0, 20 + number % 97 / 8)
                    for number in range(first, min(each, first + BATCH))
                )
                connection.executemany(
                    "INSERT INTO telemetry_sample (series_id, time, seq, number) VALUES (?, ?, ?, ?)", rows
                )
            connection.commit()


def children_mib(pid: int) -> list[float]:
    """Resident memory of each process that this one has started and that runs now."""
    found: list[float] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            # it may have ended just now
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found.append(resident_mib(int(child)))
    return found


def measure(product: Running, samples: int) -> Result:
    """Exports everything, once as CSV and once as Parquet."""
    web = product.pids()["web"]
    session = product.signed_in()
    figures: dict[str, int | float | str] = {"web_mib_before": resident_mib(web)}
    failures: list[str] = []
    for format_ in ("csv", "parquet"):
        stored = product.scalar("SELECT sum(values_stored) FROM devices_leshanserver")
        peaks, apart, lags, over = [resident_mib(web)], [0.0], [0.0], threading.Event()

        def watch(
            peaks: list[float] = peaks,
            apart: list[float] = apart,
            lags: list[float] = lags,
            over: threading.Event = over,
        ) -> None:
            while not over.wait(0.2):
                peaks.append(resident_mib(web))
                apart += children_mib(web)
                lags.append((product.scalar("SELECT max(lag_ms) FROM devices_leshanserver") or 0) / 1000)

        thread = threading.Thread(target=watch)
        thread.start()
        size, begun = 0, time.monotonic()
        first = 0.0
        with session.get(f"{product.url}api/v1/export", params={"format": format_}, stream=True, timeout=120) as answer:
            answer.raise_for_status()
            for chunk in answer.iter_content(1 << 20):
                first = first or time.monotonic() - begun
                size += len(chunk)
        took = time.monotonic() - begun
        over.set()
        thread.join()
        meanwhile = product.scalar("SELECT sum(values_stored) FROM devices_leshanserver") - stored
        figures |= {
            f"{format_}_mib": size / 2**20,
            f"{format_}_seconds": took,
            f"{format_}_samples_per_second": round(samples / took),
            f"{format_}_first_bytes_s": first,
            f"{format_}_web_mib_peak": max(peaks),
            f"{format_}_own_process_mib_peak": max(apart),
            f"{format_}_stored_meanwhile_per_second": meanwhile / took,
            f"{format_}_worst_lag_s": max(lags),
        }
        if max(peaks + apart) > MIB:
            failures.append(f"{format_}: a process took {max(peaks + apart):.0f} MiB, more than {MIB}")
        if max(lags) > LAG_SECONDS:
            failures.append(f"{format_}: values were {max(lags):.1f} s late, more than {LAG_SECONDS:.0f}")
    return Result(title=f"export: {samples:,} samples", figures=figures, failures=failures)
