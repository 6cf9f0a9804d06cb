"""Alerts in plain sentences."""

from datetime import UTC, datetime

from backend.alerts.models import Comparison, Kind, Rule
from backend.devices.models import Status


def number(value: float) -> str:
    """Short and readable: 31.5, 12, 1e+30."""
    return f"{value:.10g}"


def span(seconds: int) -> str:
    """A length of time: 90 s, 5 min, 2 h, 3 days."""
    for size, unit in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            count = seconds // size
            return f"{count} {'day' if unit == 'days' and count == 1 else unit}"
    return f"{seconds} s"


def moment(at: datetime) -> str:
    """A time for readers who may be anywhere."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def threshold_opened(rule: Rule, path: str, value: float) -> str:
    """Why a value opened an alert."""
    assert rule.limit is not None
    held = f" for {span(rule.for_seconds)}" if rule.for_seconds else ""
    return f"{path} is {number(value)}: {rule.comparison} {number(rule.limit)}{held}."


def threshold_cleared(rule: Rule, path: str, value: float) -> str:
    """Why a value closed it."""
    assert rule.clear_limit is not None
    side = "above" if rule.comparison == Comparison.ABOVE else "below"
    return f"{path} is {number(value)}: no longer {side} {number(rule.clear_limit)}."


def no_data_opened(rule: Rule, path: str, last: datetime | None) -> str:
    """Why silence opened an alert."""
    assert rule.minutes is not None
    came = f" The last value came at {moment(last)}." if last else ""
    return f"No data on {path} for {span(rule.minutes * 60)}.{came}"


def no_data_cleared(path: str) -> str:
    """Why silence is over."""
    return f"Data came again on {path}."


def status_opened(rule: Rule) -> str:
    """Why a status opened an alert."""
    label = Status(rule.status).label.lower()
    return f"The device has been {label} for {span(rule.minutes * 60)}." if rule.minutes else f"The device is {label}."


def status_cleared(status: str) -> str:
    """What it is now."""
    return f"The device is {Status(status).label.lower()} now."


RULE_CHANGED = "The rule was changed: by what it says now, all is well."
RULE_DISABLED = "The rule was switched off."
RULE_DELETED = "The rule was deleted."
NOT_COVERED = "The rule is no longer about this device and path."


def condition(rule: Rule) -> str:
    """What the rule watches for, as the list of rules says it."""
    if rule.kind == Kind.THRESHOLD:
        assert rule.limit is not None
        text = f"{rule.path} {rule.comparison} {number(rule.limit)}"
        if rule.for_seconds:
            text += f" for {span(rule.for_seconds)}"
        if rule.clear_limit is not None and rule.clear_limit != rule.limit:
            text += f", until it is {number(rule.clear_limit)}"
        return text
    minutes = rule.minutes or 0
    if rule.kind == Kind.NO_DATA:
        return f"no data on {rule.path} for {span(minutes * 60)}"
    label = Status(rule.status).label.lower()
    return f"{label} for {span(minutes * 60)}" if minutes else label
