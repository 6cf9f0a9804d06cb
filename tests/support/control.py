"""Asks devices through the API, as a script of a user would, and waits for how it ends."""

from typing import Any

from tests.support.stack import Stack
from tests.support.waiting import wait_for
from tests.support.web import Person

OPEN = {"queued", "sent"}


class Control:
    """Commands of one person."""

    def __init__(self, stack: Stack, person: Person | None = None) -> None:
        self.stack = stack
        self.person = person or stack.administrator()

    def ask(self, device: str, kind: str, path: str = "", **fields: Any) -> Any:
        """Asks; the command as the API gives it."""
        answer = self.person.send("POST", "/commands", {"device": device, "kind": kind, "path": path, **fields})
        assert answer.status_code == 201, f"{answer.status_code} {answer.text}"
        return answer.json()["command"]

    def get(self, command: Any) -> Any:
        """The command as it is now."""
        return self.person.api(f"/commands/{command['id']}")

    def cancel(self, command: Any) -> Any:
        """Takes it back."""
        return self.person.send("DELETE", f"/commands/{command['id']}")

    def wait_state(self, command: Any, *states: str, timeout: float = 30.0) -> Any:
        """The command, once it is in one of these states."""

        def look() -> Any:
            now = self.get(command)
            assert now["state"] in {*states, *OPEN}, now
            return now if now["state"] in states else None

        return wait_for(look, timeout=timeout, what=lambda: f"{states}: {self.get(command)}\n{self.stack.log_tails()}")

    def wait_end(self, command: Any, *, timeout: float = 30.0) -> Any:
        """The command, once it has ended."""
        return self.wait_state(command, "succeeded", "failed", "expired", "cancelled", timeout=timeout)

    def done(self, device: str, kind: str, path: str = "", *, timeout: float = 30.0, **fields: Any) -> Any:
        """Asks and waits for the end."""
        return self.wait_end(self.ask(device, kind, path, **fields), timeout=timeout)

    def succeeds(self, device: str, kind: str, path: str = "", **fields: Any) -> Any:
        """Asks, and it must succeed."""
        ended = self.done(device, kind, path, **fields)
        assert ended["state"] == "succeeded", ended
        return ended

    def value(self, device: str, path: str) -> Any:
        """The current value, None where there is none."""
        values = self.person.api("/values", device=device)["items"]
        return next((one["value"] for one in values if one["path"] == path), None)

    def wait_value(self, device: str, path: str, value: Any) -> None:
        """Until the current value is this one."""
        wait_for(
            lambda: self.value(device, path) == value,
            what=lambda: f"{path} = {value!r}, it is {self.value(device, path)!r}\n{self.stack.log_tails()}",
        )
