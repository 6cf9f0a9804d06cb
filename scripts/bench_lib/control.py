"""From click to result: commands to many devices, against bare REST calls to Leshan in the same run."""

from __future__ import annotations

import argparse
import contextlib
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import requests
from _setup import SetupError
from urllib3.exceptions import HTTPError

from bench_lib import Result
from bench_lib.api import Api
from bench_lib.running import Running, running, simulated, temporary_data, wait_for, wait_online

DESCRIPTION = "commands to many devices: from click to result, against direct Leshan calls; the list of 10,000 devices"
PATH = "/3/0/9"
RATIO, EXTRA = 1.5, 0.150
LIST_SECONDS = 0.150
# of a browser: the page asks when the live feed tells it to
CLICKS = 60
PAGES = 15

INSERT_DEVICES = """
from backend.devices.models import Device
Device.objects.bulk_create([Device(endpoint=f"listed-{n:05}", manufacturer="Bench", model=f"M{n %% 7}",
    serial_number=str(n), firmware_version="1.0") for n in range(%d)], batch_size=500)
"""


def run(argv: Sequence[str]) -> Result:
    """Runs the benchmark. Raises SetupError where something does not start."""
    parser = argparse.ArgumentParser(prog="scripts/bench control", description=DESCRIPTION)
    parser.add_argument("--devices", type=int, default=500, help="how many devices are asked (500)")
    parser.add_argument("--listed", type=int, default=10_000, help="how many devices the list holds (10000)")
    options = parser.parse_args(argv)
    with (
        temporary_data() as data,
        running(devices=0, data=data) as product,
        simulated(product, options.devices, "--interval", "3600"),
    ):
        wait_online(product, options.devices)
        return measure(product, devices=options.devices, listed=options.listed)


class Clicks(Api):
    """Commands as a page asks them: told of their end by the live feed."""

    def __init__(self, product: Running) -> None:
        super().__init__(product)
        self.told = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def click(self, device: str) -> float:
        """Seconds from the click until the result is there, as a page sees it: told by the live feed, then fetched."""
        start = time.perf_counter()
        self.told.clear()
        command = self.post("/commands", {"device": device, "kind": "read", "path": PATH})["command"]
        while True:
            if not self.told.wait(30):
                raise SetupError(f"the live feed told nothing of {device}")
            self.told.clear()
            now = self.http.get(f"{self.url}/commands/{command['id']}", timeout=30).json()
            if now["state"] == "succeeded":
                return time.perf_counter() - start
            if now["state"] not in {"queued", "sent"}:
                raise SetupError(f"{device}: {now['state']}: {now['reason']}")

    def _listen(self) -> None:
        # ends with the web process
        headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
        with (
            contextlib.suppress(requests.RequestException, HTTPError, OSError),
            requests.get(f"{self.url}/live", headers=headers, cookies=self.http.cookies, stream=True) as live,  # noqa: S113
        ):
            while chunk := live.raw.read1(65536):
                if b"event: commands" in chunk:
                    self.told.set()


def measure(product: Running, *, devices: int, listed: int) -> Result:
    """Single clicks, then everybody at once, each against the same done directly; then the list."""
    api = Clicks(product)
    names = [f"bench-{number}" for number in range(1, devices + 1)]
    direct = direct_calls(product)
    some = names[:: max(1, devices // CLICKS)][:CLICKS]
    for name in some[:5]:
        direct(name)
        api.click(name)
    # in turn, so that both see the same machine
    direct_times, click_times = [], []
    for name in some:
        direct_times.append(direct(name))
        click_times.append(api.click(name))

    start = time.perf_counter()
    with ThreadPoolExecutor(64) as threads:
        burst_direct = list(threads.map(lambda name: (direct(name), time.perf_counter() - start)[1], names))
    direct_total = time.perf_counter() - start

    start_wall = time.time()
    start = time.perf_counter()
    batch = api.post("/commands", {"devices": names, "kind": "read", "path": PATH})["batch"]
    asked = time.perf_counter() - start
    wait_for(
        lambda: product.scalar("SELECT count(*) FROM commands_command WHERE batch_id = ? AND ended_at IS NOT NULL",
                               batch["id"]) == devices,
        timeout=120, what="every command has ended", every=0.02,
    )  # fmt: skip
    total = time.perf_counter() - start
    ends = product.query(
        "SELECT state, (julianday(ended_at) - 2440587.5) * 86400.0 FROM commands_command WHERE batch_id = ?",
        batch["id"],
    )
    succeeded = sum(state == "succeeded" for state, _ in ends)
    burst = [at - start_wall for _, at in ends]

    product.manage("shell", "-v0", "-c", INSERT_DEVICES % listed)
    pages = []
    for number in range(PAGES):
        begun = time.perf_counter()
        answer = api.http.get(f"{product.url}devices/", params={"page": 1 + number % 3}, timeout=30)
        pages.append(time.perf_counter() - begun)
        if answer.status_code != 200:
            raise SetupError(f"the list answers HTTP {answer.status_code}")
    one, click = statistics.median(direct_times), statistics.median(click_times)
    many_direct, many = statistics.median(burst_direct), statistics.median(burst)
    page = statistics.median(pages)
    result = Result(
        title=f"control: one read of {PATH} each from {devices} devices; medians",
        figures={
            "direct_call_ms": 1000 * one,
            "click_to_result_ms": 1000 * click,
            "allowed_click_to_result_ms": 1000 * (RATIO * one + EXTRA),
            "all_direct_median_ms": 1000 * many_direct,
            "all_direct_total_s": direct_total,
            "all_commands_median_ms": 1000 * many,
            "all_commands_asked_ms": 1000 * asked,
            "all_commands_total_s": total,
            "all_commands_per_second": devices / total,
            "allowed_all_median_ms": 1000 * (RATIO * many_direct + EXTRA),
            "succeeded": succeeded,
            "devices_in_list": devices + listed,
            "list_page_ms": 1000 * page,
        },
    )
    if succeeded != devices:
        result.failures.append(f"{devices - succeeded} commands did not succeed")
    if click > RATIO * one + EXTRA:
        result.failures.append(f"a click takes {1000 * click:.0f} ms, more than {RATIO} times the direct call + 150 ms")
    if many > RATIO * many_direct + EXTRA:
        result.failures.append(f"all at once: median {1000 * many:.0f} ms, more than {RATIO} times direct + 150 ms")
    if page > LIST_SECONDS:
        result.failures.append(f"the list of {devices + listed} devices takes {1000 * page:.0f} ms, more than 150 ms")
    return result


def direct_calls(product: Running) -> Callable[[str], float]:
    """A function that reads from a device through Leshan's REST alone; the seconds that it took."""
    url = product.scalar("SELECT url FROM devices_leshanserver")
    token = (product.data / "leshan.token").read_text().strip()
    local = threading.local()

    def read(name: str) -> float:
        if not hasattr(local, "http"):
            local.http = requests.Session()
            local.http.headers["Authorization"] = f"Bearer {token}"
        begun = time.perf_counter()
        answer = local.http.get(f"{url}/api/clients/{name}{PATH}", timeout=60)
        taken = time.perf_counter() - begun
        if answer.status_code != 200 or not answer.json()["success"]:
            raise SetupError(f"{name}: HTTP {answer.status_code} {answer.text[:200]}")
        return taken

    return read
