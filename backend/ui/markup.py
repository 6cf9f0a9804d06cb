"""Small pieces of HTML that tables and templates share."""

from collections.abc import Callable
from datetime import UTC, datetime

from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from backend.ui.legend import (
    CAMPAIGN_STATES,
    COMMAND_STATES,
    DEVICE_STATES,
    OBSERVATION_STATES,
    UPDATE_STATES,
    StateInfo,
)

DASH = "\N{EN DASH}"
# seconds
YEAR = 31_557_600


def icon(name: str) -> SafeString:
    """A drawing from icons.svg; decoration only, so it is hidden from screen readers."""
    return format_html(
        '<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>', static("ui/icons.svg"), name
    )


def shape(name: str) -> SafeString:
    """The shape of a state."""
    return format_html('<svg aria-hidden="true"><use href="{}#s-{}"></use></svg>', static("ui/icons.svg"), name)


def _badge(info: StateInfo, group: str) -> SafeString:
    entry = f"{group}-{info.key}"
    return format_html(
        '<a class="status is-{}" href="{}#{}" data-legend="{}" title="What does this mean?">{}{}</a>',
        info.key,
        reverse("statuses"),
        entry,
        entry,
        shape(info.shape),
        info.label,
    )


def status_badge(status: str) -> SafeString:
    """A device's status as word, colour and shape; a click explains it."""
    return _badge(DEVICE_STATES[status], "device")


def observation_badge(state: str) -> SafeString:
    """An observation's state as word, colour and shape; a click explains it."""
    return _badge(OBSERVATION_STATES[state], "observation")


def command_badge(state: str) -> SafeString:
    """A command's state as word, colour and shape; a click explains it."""
    return _badge(COMMAND_STATES[state], "command")


def update_badge(state: str) -> SafeString:
    """A firmware update's state as word, colour and shape; a click explains it."""
    return _badge(UPDATE_STATES[state], "update")


def campaign_badge(status: str) -> SafeString:
    """A campaign's status as word, colour and shape; a click explains it."""
    return _badge(CAMPAIGN_STATES[status], "campaign")


def distance(moment: datetime, now: datetime) -> str:
    """ "12 s ago", "in 3 min": as the browser's clock module says it."""
    seconds = round((now - moment).total_seconds())
    length = abs(seconds)
    if length < 2:
        return "just now"
    if length < 60:
        text = f"{length} s"
    elif length < 3600:
        text = f"{length // 60} min"
    elif length < 48 * 3600:
        text = f"{length // 3600} h"
    elif length < 2 * YEAR:
        text = f"{length // 86400} days"
    else:
        text = f"{length // YEAR} years"
    return f"{text} ago" if seconds >= 0 else f"in {text}"


def ago(moment: datetime | None, note: str = "") -> SafeString:
    """A relative time that the browser lets tick; exact time, zone and the note on hover. Unknown is a dash."""
    if moment is None:
        return format_html('<span class="muted">{}</span>', DASH)
    return format_html(
        '<time data-time="ago" datetime="{}" data-note="{}">{}</time>',
        moment.astimezone(UTC).isoformat(timespec="milliseconds"),
        note,
        distance(moment, timezone.now()),
    )


def _moment(moment: datetime | None, show: str, text: Callable[[datetime], str]) -> SafeString:
    """A time that the browser shows in its zone, by `show`; `text` of the UTC time where there is no script."""
    if moment is None:
        return format_html('<span class="muted">{}</span>', DASH)
    utc = moment.astimezone(UTC)
    return format_html(
        '<time data-time="{}" datetime="{}">{}</time>', show, utc.isoformat(timespec="milliseconds"), text(utc)
    )


def exact(moment: datetime | None) -> SafeString:
    """An exact time, shown in the browser's zone (UTC where there is no script). Unknown is a dash."""
    return _moment(moment, "exact", lambda utc: utc.strftime("%Y-%m-%d %H:%M:%S UTC"))


def clock(moment: datetime | None) -> SafeString:
    """The time of day in the browser's zone, with the date where it is another day. Unknown is a dash."""

    def text(utc: datetime) -> str:
        return utc.strftime("%H:%M UTC" if utc.date() == timezone.now().date() else "%Y-%m-%d %H:%M UTC")

    return _moment(moment, "clock", text)
