"""How much memory the Python processes need with many devices."""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Sequence

import requests

from bench_lib import Result
from bench_lib.running import Running, resident_mib, running, temporary_data, wait_for

DESCRIPTION = "resident memory of sync and web with many devices, pages and an open live stream"
LIMIT_MIB = 200


def run(argv: Sequence[str]) -> Result:
    """Runs the benchmark. Raises SetupError where something does not start."""
    parser = argparse.ArgumentParser(prog="scripts/bench memory", description=DESCRIPTION)
    parser.add_argument("--devices", type=int, default=1000, help="how many devices (1000)")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to watch once all are online (60)")
    options = parser.parse_args(argv)
    with temporary_data() as data, running(devices=options.devices, data=data) as product:
        return measure(product, devices=options.devices, seconds=options.seconds)


def measure(product: Running, *, devices: int, seconds: float) -> Result:
    """Waits for all devices, then uses the web app and watches."""
    wait_for(
        lambda: product.scalar("SELECT count(*) FROM devices_device WHERE status IN ('online', 'asleep')") >= devices,
        timeout=300,
        what=f"{devices} devices are online",
        every=1.0,
    )
    person = product.signed_in()
    stream = threading.Thread(target=listen, args=(product, person), daemon=True)
    stream.start()
    pages = ["", "devices/", "devices/?page=2", "devices/sim-1/", "api/v1/devices", "api/v1/values?device=sim-2"]
    processes = {name: pid for name, pid in product.pids().items() if name in {"sync", "web", "leshan"}}
    highest = dict.fromkeys(processes, 0.0)
    deadline = time.monotonic() + seconds
    turn = 0
    while time.monotonic() < deadline:
        person.get(product.url + pages[turn % len(pages)], timeout=30).raise_for_status()
        turn += 1
        for name, pid in processes.items():
            highest[name] = max(highest[name], resident_mib(pid))
        time.sleep(0.25)
    result = Result(
        title=f"memory: {devices} devices, {turn} pages in {seconds:.0f} s",
        figures={f"{name}_mib": size for name, size in sorted(highest.items())},
        failures=[],
    )
    for name in ("sync", "web"):
        if highest[name] > LIMIT_MIB:
            result.failures.append(f"{name} needs {highest[name]:.0f} MiB, more than {LIMIT_MIB}")
    return result


def listen(product: Running, person: requests.Session) -> None:
    """An open page: reads the live stream until it ends."""
    try:
        with requests.get(f"{product.url}api/v1/live", cookies=person.cookies, stream=True, timeout=60) as answer:
            for _ in answer.iter_content(1024):
                pass
    except requests.RequestException:
        # the stream ends with the product
        return
