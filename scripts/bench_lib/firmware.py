"""Firmware over DTLS: updates against bare REST calls to Leshan in the same run, many devices at once, the cost."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import requests
from _setup import SetupError

from bench_lib import Result
from bench_lib.api import Api
from bench_lib.running import (
    Running,
    cpu_seconds,
    resident_mib,
    running,
    simulated,
    temporary_data,
    wait_for,
    wait_online,
)

DESCRIPTION = "firmware updates: push and pull against bare Leshan calls, many devices at once, CPU and memory"
RATIO = 1.2
SYNC_MIB = 250
ROUNDS = 5


def run(argv: Sequence[str]) -> Result:
    """Runs the benchmark. Raises SetupError where something does not start."""
    parser = argparse.ArgumentParser(prog="scripts/bench firmware", description=DESCRIPTION)
    parser.add_argument("--kib", type=int, default=1024, help="size of the image in KiB (1024)")
    parser.add_argument("--devices", type=int, default=50, help="how many devices are updated at once (50)")
    help_text = "milliseconds between a message and its answer, as a wired network has (1); 0: bare loopback"
    parser.add_argument("--round-trip", type=int, default=1, help=help_text)
    options = parser.parse_args(argv)
    flags = ["--interval", "3600", "--install-seconds", "0.2", "--boot-seconds", "0.5"]
    if options.round_trip:
        flags += ["--round-trip", str(options.round_trip)]
    with (
        temporary_data() as data,
        running(devices=0, data=data) as product,
        simulated(product, options.devices, *flags),
    ):
        wait_online(product, options.devices)
        bench = Bench(product, size=options.kib * 1024, devices=options.devices)
        return bench.measure(f"{options.kib} KiB over DTLS, round trip {options.round_trip} ms")


class Bench:
    """The parts of the measurement."""

    def __init__(self, product: Running, *, size: int, devices: int) -> None:
        """`size`: bytes of an image."""
        self.product = product
        self.size = size
        self.names = [f"bench-{number}" for number in range(1, devices + 1)]
        self.api = Api(product)
        self.leshan = requests.Session()
        self.leshan.trust_env = False
        self.leshan.headers["Authorization"] = f"Bearer {(product.data / 'leshan.token').read_text().strip()}"
        self.leshan_url = product.scalar("SELECT url FROM devices_leshanserver")
        self.images = 0

    def measure(self, what: str) -> Result:
        """Single ones in turn, so that both see the same machine; then everybody, in a row and at once."""
        times: dict[str, list[float]] = {"bare_push": [], "push": [], "bare_pull": [], "pull": []}
        whole: list[float] = []
        for number in range(ROUNDS + 1):
            name = self.names[number % len(self.names)]
            bare = self.bare_push(name), self.bare_pull(name)
            push, all_of_it = self.update(name, "push")
            pull, _ = self.update(name, "pull")
            if number:
                # the first round warms up
                for kind, seconds in zip(times, (bare[0], push, bare[1], pull), strict=True):
                    times[kind].append(seconds)
                whole.append(all_of_it)
        medians = {kind: statistics.median(seconds) for kind, seconds in times.items()}

        image = self.image()
        start = time.perf_counter()
        for name in self.names:
            self.wait_downloaded([self.ask(name, image, "push")])
        in_a_row = time.perf_counter() - start
        self.wait_ended(image)

        image = self.image()
        pids = self.product.pids()
        before = {name: cpu_seconds(pid) for name, pid in pids.items()}
        with watched(pids) as peaks:
            start = time.perf_counter()
            self.wait_downloaded([self.ask(name, image, "push") for name in self.names])
            at_once = time.perf_counter() - start
            self.wait_ended(image)
        cpu = {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}
        succeeded = self.count(image, "succeeded")

        result = Result(
            title=f"firmware: {what}; medians of {ROUNDS}",
            figures={
                **{f"{kind}_s": seconds for kind, seconds in medians.items()},
                "push_to_bare": medians["push"] / medians["bare_push"],
                "pull_to_bare": medians["pull"] / medians["bare_pull"],
                "click_to_downloaded_s": statistics.median(whole),
                "devices": len(self.names),
                "in_a_row_s": in_a_row,
                "at_once_s": at_once,
                "at_once_to_in_a_row": at_once / in_a_row,
                "at_once_succeeded": succeeded,
                **{f"cpu_{name}_s": used for name, used in sorted(cpu.items())},
                **{f"peak_{name}_mib": mib for name, mib in sorted(peaks.items())},
            },
        )
        for kind in ("push", "pull"):
            if medians[kind] > RATIO * medians[f"bare_{kind}"]:
                result.failures.append(f"a {kind} takes more than {RATIO} times a bare one")
        if succeeded != len(self.names):
            result.failures.append(f"{len(self.names) - succeeded} updates did not succeed")
        if peaks["sync"] > SYNC_MIB:
            result.failures.append(f"sync held {peaks['sync']:.0f} MiB, more than {SYNC_MIB}")
        return result

    # -- without us

    def call(self, method: str, path: str, **options: object) -> requests.Response:
        """A request to Leshan; a device's refusal counts as an error."""
        answer = self.leshan.request(method, self.leshan_url + path, timeout=300, **options)  # type: ignore[arg-type]
        if answer.status_code >= 300 or b'"success":false' in answer.content:
            raise SetupError(f"{method} {path}: HTTP {answer.status_code} {answer.text[:200]}")
        return answer

    def bare_push(self, name: str) -> float:
        """Seconds of one write of the bytes, by Leshan's own block-wise layer."""
        body = os.urandom(self.size)
        start = time.perf_counter()
        headers = {"Content-Type": "application/octet-stream"}
        self.call("PUT", f"/api/clients/{name}/5/0/0?timeout=300", data=body, headers=headers)
        taken = time.perf_counter() - start
        self.reset(name)
        return taken

    def bare_pull(self, name: str) -> float:
        """Seconds from writing the address until the device has all of it."""
        content = os.urandom(self.size)
        sha256 = hash_of(content)
        self.call("PUT", f"/api/packages/{sha256}", data=content)
        uri = self.call("PUT", f"/api/clients/{name}/grants/{sha256}").json()["uri"]
        start = time.perf_counter()
        self.write_uri(name, uri)
        self.wait_state(name, "2")
        taken = time.perf_counter() - start
        self.reset(name)
        self.call("DELETE", f"/api/packages/{sha256}")
        return taken

    def reset(self, name: str) -> None:
        """An empty address makes the device forget what it has (LwM2M Core 1.1, E.6)."""
        self.write_uri(name, "")
        self.wait_state(name, "0")

    def write_uri(self, name: str, uri: str) -> None:
        """To 5/0/1."""
        node = {"kind": "singleResource", "id": 1, "type": "STRING", "value": uri}
        self.call("PUT", f"/api/clients/{name}/5/0/1?timeout=30", json=node)

    def wait_state(self, name: str, state: str) -> None:
        """Until 5/0/3 is this."""
        path = f"/api/clients/{name}/5/0/3"
        wait_for(
            lambda: self.call("GET", path).json()["content"]["value"] == state,
            timeout=120, what=f"{name} is in State {state}", every=0.01,
        )  # fmt: skip

    # -- with us

    def image(self) -> int:
        """The id of a new image."""
        self.images += 1
        file = self.product.data / f"bench-{self.images}.bin"
        version = f"{self.images + 1}.0.0"
        head = f"version:{version}\n".encode()
        file.write_bytes(head + os.urandom(self.size - len(head)))
        self.product.manage("firmware", "add", str(file), "--version", version)
        found: int = self.product.scalar("SELECT max(id) FROM firmware_firmwareimage")
        return found

    def ask(self, name: str, image: int, method: str) -> int:
        """Asks for an update; its id."""
        body: dict[str, object] = {"device": name, "image": image, "method": method, "hold_seconds": 0}
        found: int = self.api.post("/firmware/updates", body)["items"][0]["id"]
        return found

    def update(self, name: str, method: str) -> tuple[float, float]:
        """Seconds of the transfer, and from the click until the device has been asked whether it is whole.

        A push ends with its stored answer, a pull with the State 2 that the device notifies. Waits for the end.
        """
        image = self.image()
        update = self.ask(name, image, method)
        self.wait_downloaded([update])
        self.wait_ended(image)
        end = {
            "push": "SELECT julianday(c.ended_at) FROM commands_command c"
            " WHERE c.device_id = u.device_id AND c.kind = 'write_package' AND c.asked_at >= u.asked_at",
            "pull": "SELECT 2440587.5 + min(s.time) / 86400e6 FROM telemetry_sample s"
            " JOIN telemetry_series r ON r.id = s.series_id AND r.device_id = u.device_id AND r.path = '/5/0/3'"
            " WHERE s.number = 2 AND s.time / 86400e6 + 2440587.5 > julianday(u.transfer_at)",
        }[method]
        rows = self.product.query(
            f"SELECT (({end}) - julianday(u.transfer_at)) * 86400.0,"  # noqa: S608 - ours
            " (julianday(l.at) - julianday(u.asked_at)) * 86400.0 FROM firmware_firmwareupdate u"
            " JOIN firmware_updateline l ON l.update_id = u.id AND l.text LIKE '%whole package and finds it good%'"
            " WHERE u.id = ? ORDER BY l.id LIMIT 1",
            update,
        )
        return rows[0]

    def wait_downloaded(self, updates: Sequence[int]) -> None:
        """Until all of them have been told to install."""
        first, last = min(updates), max(updates)
        wait_for(
            lambda: self.product.scalar(
                "SELECT count(*) FROM firmware_firmwareupdate"
                " WHERE id BETWEEN ? AND ? AND (executed_at IS NOT NULL OR ended_at IS NOT NULL)",
                first, last,
            ) == last - first + 1,
            timeout=900, what=f"{len(updates)} devices have the package", every=0.02,
        )  # fmt: skip

    def wait_ended(self, image: int) -> None:
        """Until every update to the image is over."""
        wait_for(
            lambda: not self.product.scalar(
                "SELECT count(*) FROM firmware_firmwareupdate WHERE image_id = ? AND ended_at IS NULL", image
            ),
            timeout=300, what="the updates have ended",
        )  # fmt: skip

    def count(self, image: int, state: str) -> int:
        """How many updates to the image are in this state."""
        sql = "SELECT count(*) FROM firmware_firmwareupdate WHERE image_id = ? AND state = ?"
        found: int = self.product.scalar(sql, image, state)
        return found


@contextlib.contextmanager
def watched(pids: dict[str, int]) -> Iterator[dict[str, float]]:
    """The most memory that each process held meanwhile, in MiB."""
    peaks = dict.fromkeys(pids, 0.0)
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.1):
            for name, pid in pids.items():
                if Path(f"/proc/{pid}").exists():
                    peaks[name] = max(peaks[name], resident_mib(pid))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield peaks
    finally:
        over.set()
        thread.join()


def hash_of(content: bytes) -> str:
    """SHA-256 in lower-case hex."""
    return hashlib.sha256(content).hexdigest()
