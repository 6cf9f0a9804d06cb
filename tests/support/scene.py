"""A whole FlowNexus with devices that misbehave on demand and tell what was really done to them."""

import json
from pathlib import Path
from typing import Any

from tests.support.control import Control
from tests.support.stack import Stack
from tests.support.waiting import wait_for

DEVICE = "sim-1"
# Reset Min and Max Measured Values, and the value itself
RESET = "/3303/0/5605"
VALUE = "/3303/0/5700"


class Scene:
    """Everything of a stack, and the fleet's fault file and report."""

    def __init__(self, stack: Stack, *, seconds: int = 2) -> None:
        """`seconds`: a device that does not answer a request is given up after this."""
        self.stack = stack
        self.report = stack.folder / "report"
        self.faults = stack.folder / "faults"
        stack.extra_env["FLOWNEXUS_REQUEST_SECONDS"] = str(seconds)

    def start(self, *fleet: str, count: int = 1, awake: int = 93) -> Control:
        """All processes; the fleet with these flags. `awake`: seconds that Leshan takes a quiet sleeper to listen."""
        stack = self.stack
        self.leshan = ("--awake-seconds", str(awake))
        devices = [f"sim-{number}" for number in range(1, count + 1)]
        stack.provision(*devices)
        stack.start_leshan(*self.leshan)
        stack.start_sync()
        stack.start_web()
        stack.start_fleet(
            *("--report", str(self.report), "--fault-file", str(self.faults), "--interval", "3600", *fleet),
            count=count,
        )
        stack.wait_online(*devices)
        self.control = Control(stack)
        return self.control

    def kill(self, *names: str) -> None:
        """These processes, at once and without a warning."""
        for name in names:
            self.stack.processes[name].kill()

    def restart(self, *names: str) -> None:
        """Those that were killed."""
        start = {
            "leshan": lambda: self.stack.start_leshan(*self.leshan),
            "sync": self.stack.start_sync,
            "web": self.stack.start_web,
        }
        for name in names:
            start[name]()

    def fault(self, *lines: str) -> None:
        """From now on."""
        draft = Path(f"{self.faults}.new")
        draft.write_text("".join(f"{line}\n" for line in lines))
        draft.rename(self.faults)

    def device(self, endpoint: str = DEVICE, *, report: Path | None = None) -> dict[str, Any]:
        """What the device says of itself; `report`: of another fleet."""
        lines = [json.loads(line) for line in (report or self.report).read_text().splitlines()]
        found: dict[str, Any] = next(line for line in lines if line["endpoint"] == endpoint)
        return found

    def executes(self, endpoint: str = DEVICE, path: str = RESET) -> int:
        """How often it was really done, as the newest report says."""
        count: int = self.device(endpoint)["paths"].get(path, {}).get("executes", 0)
        return count

    def wait_executed(self, endpoint: str = DEVICE) -> None:
        """Until the device has done it, though it has not answered."""
        wait_for(lambda: self.executes(endpoint) == 1, what=lambda: f"executed: {self.device(endpoint)}")

    def wait_fresh_report(self, report: Path | None = None) -> None:
        """A report of which all was gathered after now: not the next one, which may be under way, but the second."""
        file = report or self.report
        written = file.stat().st_mtime_ns
        for _ in range(2):
            wait_for(lambda: file.stat().st_mtime_ns > written, what="a new report")  # noqa: B023 - at once
            written = file.stat().st_mtime_ns
