"""Answers, times and numbers as the machine reads and writes them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from backend.firmware.machine.constants import DAY, EXECUTE_TIME, INSTALL_SPEED, MAX_EXPIRY, SLOWEST, TRANSFER_SLACK
from backend.firmware.machine.vocabulary import Limits


def values_of(answer: Mapping[str, Any] | None) -> dict[int, str]:
    """Resource id → value as text, from an answer with one resource or a whole instance; others are left out."""
    content = (answer or {}).get("content")
    if not isinstance(content, Mapping):
        return {}
    nodes = content.get("resources") if content.get("kind") == "instance" else [content]
    found: dict[int, str] = {}
    for node in nodes if isinstance(nodes, list) else []:
        if isinstance(node, Mapping) and isinstance(node.get("id"), int) and node.get("value") is not None:
            found[node["id"]] = str(node["value"])
    return found


def number_of(text: str | None) -> int | None:
    """`"2"` → 2; None for what is no small number."""
    if text is None:
        return None
    try:
        number = int(text)
    except ValueError:
        return None
    return number if 0 <= number < 1000 else None


def slowest_time(size: int) -> timedelta:
    """How long a transfer of that many bytes may take while nothing is known of its speed."""
    return min(timedelta(seconds=size / SLOWEST) + TRANSFER_SLACK, MAX_EXPIRY - DAY)


def install_time(size: int, limits: Limits) -> timedelta:
    """How long an installation may take, from the execute on."""
    return limits.install + timedelta(seconds=size / INSTALL_SPEED)


def execute_time(limits: Limits) -> timedelta:
    """How long after the execute a device that is still in State 2 has not taken it."""
    return min(EXECUTE_TIME, limits.install / 2)


def rate(sent: int, begun: datetime | None, moved: datetime | None) -> float | None:
    """Bytes a second of a transfer, on average; None before there is anything to measure."""
    if begun is None or moved is None or not sent:
        return None
    seconds = (moved - begun).total_seconds()
    return sent / seconds if seconds >= 1.0 else None


def moment_text(moment: datetime | None) -> str:
    """Such as `2026-11-23 02:00:00 UTC`."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment is not None else "some time"


def times_text(count: int) -> str:
    """Such as `once` or `3 times`."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def tries_text(count: int) -> str:
    """How often it was tried, as a sentence; "" for never."""
    return f"It was tried {times_text(count)}." if count else ""


def sentence(text: str) -> str:
    """With a full stop at its end; "" stays."""
    text = text.strip()
    return text if not text or text[-1] in ".!?" else text + "."
