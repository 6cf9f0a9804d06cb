"""What is asked so often that it takes one click: a command with its path and arguments filled in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from backend.commands.models import Kind

# more than 10 years: a slip of the keyboard
MAX_LIFETIME = 315_360_000
# an argument that `sync` replaces by the time at which it sends: the command may wait for hours
CLOCK = "clock"


class ActionError(ValueError):
    """What was typed does not fit; the message says what does."""


def _nothing(text: str) -> dict[str, Any]:
    if text.strip():
        raise ActionError("this takes no value: leave it out.")
    return {}


def _single(resource_id: int, type_: str, value: str | bool | int) -> dict[str, Any]:
    return {
        "mode": "replace",
        "node": {"kind": "singleResource", "id": resource_id, "type": type_, "value": value},
    }


def _lifetime(text: str) -> dict[str, Any]:
    digits = text.strip()
    if not (digits.isascii() and digits.isdecimal()) or not 1 <= int(digits[:12]) <= MAX_LIFETIME:
        raise ActionError(f"the lifetime is a whole number of seconds from 1 to {MAX_LIFETIME}, such as 300.")
    return _single(1, "INTEGER", str(int(digits)))


def _mute(text: str) -> dict[str, Any]:
    word = text.strip().lower() or "true"
    if word not in {"true", "false"}:
        raise ActionError("say true (mute) or false (let the device send again).")
    return _single(23, "BOOLEAN", word == "true")


def _clock(text: str) -> dict[str, Any]:
    return arguments_at(_nothing(text) | _single(13, "TIME", 0) | {CLOCK: True}, at=timezone.now())


def arguments_at(arguments: Mapping[str, Any], *, at: datetime) -> dict[str, Any]:
    """The arguments as they are sent at that time: what sets a clock carries the time of sending, not of asking."""
    if arguments.get(CLOCK) is not True:
        return dict(arguments)
    # devices count whole seconds
    return {**arguments, "node": {**arguments["node"], "value": int(at.timestamp()) * 1000}}


@dataclass(frozen=True, kw_only=True)
class Action:
    """One click. `arguments` takes the text that was typed ("" where there is no `input`); raises ActionError."""

    key: str
    title: str
    # one sentence: what the device then does
    description: str
    kind: Kind
    path: str
    arguments: Callable[[str], dict[str, Any]]
    # what to type, "" for nothing; and what kind of input fits: "number", "boolean" or ""
    input: str = ""
    input_type: str = ""
    input_default: str = ""
    # asked before it is done; "" for no question
    confirm: str = ""
    dangerous: bool = False


_ACTIONS = [
    Action(
        key="lifetime",
        title="Set lifetime",
        description="The device must make itself heard at least this often, or it counts as offline.",
        kind=Kind.WRITE,
        path="/1/0/1",
        arguments=_lifetime,
        input="Lifetime in seconds",
        input_type="number",
        input_default="300",
    ),
    Action(
        key="update",
        title="Trigger update",
        description="The device sends a registration update.",
        kind=Kind.EXECUTE,
        path="/1/0/8",
        arguments=_nothing,
    ),
    Action(
        key="mute",
        title="Mute Send",
        description="The device sends no values of its own accord (LwM2M 1.1 and later).",
        kind=Kind.WRITE,
        path="/1/0/23",
        arguments=_mute,
        input="Mute",
        input_type="boolean",
        input_default="true",
    ),
    Action(
        key="clock",
        title="Set clock",
        description="The device's clock is set to the time at which the command is sent.",
        kind=Kind.WRITE,
        path="/3/0/13",
        arguments=_clock,
    ),
    Action(
        key="reboot",
        title="Reboot",
        description="The device restarts and registers again.",
        kind=Kind.EXECUTE,
        path="/3/0/4",
        arguments=_nothing,
        confirm="The device will restart. It is away until it has registered again.",
    ),
    Action(
        key="factory-reset",
        title="Factory reset",
        description="The device goes back to how it was delivered.",
        kind=Kind.EXECUTE,
        path="/3/0/5",
        arguments=_nothing,
        confirm="The device will forget its settings, and perhaps how to reach this server. This cannot be undone.",
        dangerous=True,
    ),
]
ACTIONS: dict[str, Action] = {action.key: action for action in _ACTIONS}


def action_get(*, key: str) -> Action:
    """The action of this key. Raises ActionError, naming those that there are."""
    try:
        return ACTIONS[key]
    except KeyError:
        raise ActionError(f"there is no action {key[:40]!r}: use one of {', '.join(ACTIONS)}.") from None
