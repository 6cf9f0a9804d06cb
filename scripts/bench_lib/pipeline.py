"""The whole way, from simulated devices over DTLS to the database, under load."""

from __future__ import annotations

import argparse
import contextlib
import json
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import requests
from _setup import SetupError

from bench_lib import Result
from bench_lib.running import Running, cpu_seconds, running, simulated, temporary_data, wait_for

DESCRIPTION = "simulated devices to database: what is acknowledged is stored once, how late, at what CPU cost"
PATH = "/3303/0/5700"
# of what Leshan gives to a reader that does nothing else
SHARE = 0.7
# one value each, as `--counted` devices notify
EVENT = b"event: NOTIFICATION"
STORED = "SELECT sum(values_stored) FROM devices_leshanserver"


def run(argv: Sequence[str]) -> Result:
    """Runs the benchmark. Raises SetupError where something does not start."""
    parser = argparse.ArgumentParser(prog="scripts/bench pipeline", description=DESCRIPTION)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (60)")
    parser.add_argument("--devices", type=int, default=50, help="how many devices (50)")
    parser.add_argument("--rate", type=float, default=3000.0, help="values per second of all devices (3000)")
    options = parser.parse_args(argv)
    with temporary_data() as data, running(devices=0, data=data) as product:
        return measure(product, seconds=options.seconds, devices=options.devices, rate=options.rate)


def measure(product: Running, *, seconds: float, devices: int, rate: float) -> Result:
    """Starts the devices, lets them talk, ends them, and compares what they had acknowledged with what is stored."""
    report = product.data / "fleet-report.jsonl"
    flags = ["--counted", "--interval", f"{devices / rate:.6f}", "--report", str(report)]
    with simulated(product, devices, *flags) as fleet, bare_reader(product) as bare:
        wait_for(
            lambda: sum(one["acknowledged"] > 0 for one in read_report(report)) == devices,
            timeout=120,
            what=f"all {devices} devices are observed (see the fleet's log)",
        )
        processes = {**product.pids(), "fleet": fleet}
        before = {name: cpu_seconds(pid) for name, pid in processes.items()}
        first = acknowledged(report)
        first_bare, first_stored = bare[0], product.scalar(STORED)
        start = time.monotonic()
        worst_lag = 0.0
        while time.monotonic() - start < seconds:
            time.sleep(0.5)
            worst_lag = max(worst_lag, (product.scalar("SELECT max(lag_ms) FROM devices_leshanserver") or 0) / 1000)
        last = acknowledged(report)
        last_bare, last_stored = bare[0], product.scalar(STORED)
        elapsed = time.monotonic() - start
        cpu = {name: cpu_seconds(pid) - before[name] for name, pid in processes.items()}
    # the devices have just fallen silent: how long until everything they had acknowledged is there?
    ended = time.monotonic()
    said = {one["endpoint"]: int(one["acknowledged"]) for one in read_report(report)}
    wait_for(lambda: missing(product, said) == 0, timeout=60, what="all that was acknowledged is stored")
    lag = time.monotonic() - ended
    rows, numbers = stored(product)
    reached = (last - first) / elapsed
    delivered = (last_bare - first_bare) / elapsed
    kept = (last_stored - first_stored) / elapsed
    result = Result(
        title=f"pipeline: {devices} devices, {rate:.0f} values/s offered for {seconds:.0f} s",
        figures={
            "values_per_second": reached,
            "bare_reader_values_per_second": delivered,
            "stored_values_per_second": kept,
            "share_of_bare_reader_percent": 100 * kept / (delivered or 1.0),
            "acknowledged": sum(said.values()),
            "stored": numbers,
            "missing": missing(product, said),
            "twice": rows - numbers,
            "lag_at_end_s": lag,
            "worst_lag_s": worst_lag,
            **{f"cpu_{name}_percent": 100 * used / elapsed for name, used in sorted(cpu.items())},
            "fleet_share_of_cpu_percent": 100 * cpu["fleet"] / (sum(cpu.values()) or 1.0),
        },
        failures=[],
    )
    if rows != numbers:
        result.failures.append(f"{rows - numbers} values are stored twice")
    if lag > 2:
        result.failures.append(f"the lag at the end was {lag:.1f} s, more than 2 s")
    if worst_lag > 2:
        result.failures.append(f"once it was {worst_lag:.1f} s behind, more than 2 s")
    if kept < SHARE * delivered:
        result.failures.append(f"{kept:,.0f} values/s stored, a bare reader had {delivered:,.0f}")
    if reached < 0.95 * rate:
        result.failures.append("the devices did not reach the rate that was asked for")
    return result


@contextlib.contextmanager
def bare_reader(product: Running) -> Iterator[list[int]]:
    """Reads the event stream beside `sync` and does nothing with it; how many values it has seen, in a list."""
    seen = [0]
    url = product.scalar("SELECT url FROM devices_leshanserver")
    token = (product.data / "leshan.token").read_text().strip()
    headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {token}"}
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(f"{url}/api/event", headers=headers, stream=True, timeout=30)
        answer.raise_for_status()

        def read() -> None:
            rest = b""
            # ends with the connection
            with contextlib.suppress(requests.RequestException, OSError, AttributeError, ValueError):
                while chunk := answer.raw.read1(65_536):
                    data = rest + chunk
                    seen[0] += data.count(EVENT)
                    rest = data[-len(EVENT) + 1 :]

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        try:
            yield seen
        finally:
            answer.close()
            thread.join(5)


def read_report(file: Path) -> list[dict[str, Any]]:
    """One dictionary a device; empty before the first report."""
    try:
        return [json.loads(line) for line in file.read_text().splitlines()]
    except FileNotFoundError:
        return []


def acknowledged(report: Path) -> int:
    """Acknowledged values of all devices."""
    return sum(one["acknowledged"] for one in read_report(report))


def missing(product: Running, said: dict[str, int]) -> int:
    """How many acknowledged counter values are not in the database: the counters run 0, 1, 2, …"""
    have = dict(
        product.query(
            "SELECT d.endpoint, count(DISTINCT CAST(s.number AS INTEGER)) FROM telemetry_sample s"
            " JOIN telemetry_series r ON r.id = s.series_id JOIN devices_device d ON d.id = r.device_id"
            " WHERE r.path = ? GROUP BY d.endpoint",
            PATH,
        )
    )
    return sum(max(0, count - have.get(endpoint, 0)) for endpoint, count in said.items())


def stored(product: Running) -> tuple[int, int]:
    """Samples of the counters, and how many different numbers they are."""
    rows = product.query(
        "SELECT count(*), count(DISTINCT CAST(s.number AS INTEGER)) FROM telemetry_sample s"
        " JOIN telemetry_series r ON r.id = s.series_id WHERE r.path = ? GROUP BY r.id",
        PATH,
    )
    if not rows:
        raise SetupError("nothing was stored at all")
    return sum(row[0] for row in rows), sum(row[1] for row in rows)
