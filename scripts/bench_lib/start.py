"""How long it takes from `scripts/run` to the first value on a page."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from bench_lib import Result
from bench_lib.running import running, temporary_data, wait_for

DESCRIPTION = "from scripts/run (already set up) to the first value of a device on its page"
LIMIT_S = 30


def run(argv: Sequence[str]) -> Result:
    """Runs the benchmark. Raises SetupError where something does not start."""
    argparse.ArgumentParser(prog="scripts/bench start", description=DESCRIPTION).parse_args(argv)
    with temporary_data() as data:
        administrator, new = first_value(data, None)
        _, again = first_value(data, administrator)
    result = Result(
        title="start: seconds from scripts/run",
        figures={
            "new_data_ready_s": new[0],
            "new_data_first_value_s": new[1],
            "same_data_ready_s": again[0],
            "same_data_first_value_s": again[1],
        },
        failures=[],
    )
    for name, (_, seconds) in (("new data", new), ("same data", again)):
        if seconds > LIMIT_S:
            result.failures.append(f"with {name} the first value came after {seconds:.0f} s, more than {LIMIT_S}")
    return result


def first_value(
    data: Path, administrator: tuple[str, str] | None
) -> tuple[tuple[str, str] | None, tuple[float, float]]:
    """Seconds to the ready line and to a temperature, newer than the start, on the device's page."""
    began, start = time.time(), time.monotonic()
    with running(devices=3, data=data, administrator=administrator) as product:
        person = product.signed_in()

        def shown() -> bool:
            rows = product.query(
                "SELECT r.value FROM devices_resource r JOIN devices_device d ON d.id = r.device_id"
                " WHERE d.endpoint = 'sim-1' AND r.path = '/3303/0/5700' AND r.received > ?",
                began * 1e6,
            )
            page = person.get(f"{product.url}devices/sim-1/", timeout=30) if rows else None
            return page is not None and page.status_code == 200 and "/3303/0/5700" in page.text

        wait_for(shown, timeout=120, what="a value on the page of sim-1")
        return product.administrator, (product.ready_after, time.monotonic() - start)
