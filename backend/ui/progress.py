"""How far a command has come, in words: one line for every place that shows it."""

import json
from dataclasses import dataclass

from django.utils.html import format_html
from django.utils.safestring import SafeString

from backend.commands.models import OPEN, Command, State
from backend.commands.texts import answer_summary, command_summary
from backend.devices.models import Device, Status
from backend.devices.selectors import next_expected
from backend.ui.markup import clock


@dataclass(frozen=True)
class CommandLine:
    """One command for people."""

    command: Command
    what: str
    text: SafeString
    open: bool
    cancelling: bool


def waits_for(device: Device) -> SafeString:
    """When a command to this device goes out."""
    if device.status == Status.ONLINE:
        return SafeString("goes out at its turn")
    if device.status == Status.ASLEEP:
        expected = next_expected(device)
        if expected is None:
            return SafeString("goes out when the device wakes")
        return format_html("goes out when the device wakes, expected by {}", clock(expected))
    if device.status == Status.BLOCKED:
        return SafeString("goes out when the device is let in again: it is blocked")
    if device.status == Status.NEVER_SEEN:
        return SafeString("goes out when the device connects for the first time")
    return SafeString("goes out when the device registers again")


def _duration(milliseconds: int) -> str:
    return f"{milliseconds} ms" if milliseconds < 10_000 else f"{milliseconds / 1000:.1f} s"


def _text(command: Command) -> SafeString:
    if command.state == State.QUEUED:
        waiting = format_html("{}; given up {}", waits_for(command.device), clock(command.expires_at))
        return format_html("{} · {}", command.reason, waiting) if command.reason else waiting
    if command.state == State.SENT:
        if command.cancel_requested_at is not None:
            return SafeString("being cancelled; an answer that is on its way still counts")
        again = f", attempt {command.attempts}" if command.attempts > 1 else ""
        return format_html("waiting for the device's answer{}", again)
    said = answer_summary(command)
    if command.state == State.SUCCEEDED:
        took = f"in {_duration(command.duration_ms)}" if command.duration_ms is not None else ""
        return format_html("{} {}", said, format_html('<span class="muted nowrap">{}</span>', took))
    return format_html("{}", said)


def command_line(command: Command) -> CommandLine:
    """`command`: with its device (and that with its registration, else one query more while it waits)."""
    return CommandLine(
        command=command,
        what=command_summary(command),
        text=_text(command),
        open=command.state in OPEN,
        cancelling=command.cancel_requested_at is not None,
    )


def answer_json(command: Command) -> str:
    """The device's answer as Leshan gave it, to read; "" where there is none."""
    return "" if command.answer is None else json.dumps(command.answer, indent=2, ensure_ascii=False)[:20_000]


def arguments_json(command: Command) -> str:
    """What is sent along, to read; "" where nothing is."""
    return json.dumps(command.arguments, indent=2, ensure_ascii=False)[:20_000] if command.arguments else ""
