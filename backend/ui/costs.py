"""What devices and series take on disk, as tables; and in words what profiles keep."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import django_tables2 as tables
from django.contrib.humanize.templatetags.humanize import intcomma
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from backend.devices.models import Profile
from backend.telemetry.selectors import Cost, SeriesView
from backend.ui.firmware.words import size_text
from backend.ui.markup import ago

_END = {"td": {"class": "end num"}, "th": {"class": "end"}}


class NumberColumn(tables.Column):  # type: ignore[misc]
    """A number at the right; the largest come first."""

    def __init__(self, *, size: bool = False, **options: str) -> None:
        """`size`: of bytes."""
        super().__init__(attrs=_END, initial_sort_descending=True, **options)
        self.size = size

    def render(self, value: int) -> str:
        """With separators, or as KiB and MiB."""
        return size_text(value) if self.size else str(intcomma(value))


class DeviceCostsTable(tables.Table):  # type: ignore[misc]
    """What each device costs."""

    device = tables.Column(verbose_name="Device")
    together = NumberColumn(verbose_name="Together", size=True)
    samples = NumberColumn(verbose_name="Samples")
    rollups = NumberColumn(verbose_name="Rollups")
    bytes = NumberColumn(verbose_name="Values", size=True)
    log_lines = NumberColumn(verbose_name="Log lines")
    log_bytes = NumberColumn(verbose_name="Log text", size=True)

    class Meta:
        """State in the address."""

        order_by = "-together"

    def render_device(self, record: Cost) -> SafeString:
        """Leads to its series."""
        return format_html('<a href="?{}">{}</a>', urlencode({"device": record.device}), record.device)


class SeriesCostsTable(tables.Table):  # type: ignore[misc]
    """What each series of a device costs."""

    path = tables.Column(verbose_name="Path")
    together = NumberColumn(verbose_name="On disk", size=True)
    samples = NumberColumn(verbose_name="Samples")
    rollups = NumberColumn(verbose_name="Rollups")
    first = tables.Column(verbose_name="Oldest", empty_values=(), orderable=False, accessor="series_id")

    class Meta:
        """State in the address."""

        order_by = "-together"

    # of the page that is shown
    views: Mapping[int, SeriesView] = {}

    def render_path(self, record: Cost) -> SafeString:
        """With its name; leads to its chart."""
        view = self.views.get(record.series_id or 0)
        address = f"{reverse('explore')}?{urlencode({'s': f'{record.device}{record.path}'})}"
        name = format_html('<span class="sub">{} · {}</span>', view.object_name, view.name) if view else ""
        return format_html('<a href="{}" class="mono">{}</a>{}', address, record.path, name)

    def render_first(self, record: Cost) -> SafeString:
        """When its oldest sample, or what is left of it, was."""
        view = self.views.get(record.series_id or 0)
        return ago(view.first if view else None)


@dataclass(frozen=True)
class Kept:
    """A profile, and what it keeps."""

    profile: Profile
    text: str


def kept_by(profile: Profile) -> Kept:
    """In words: days of samples, minutes, hours, log lines; what has no end is kept for good."""
    parts = []
    for what, days in (
        ("samples", profile.samples_days),
        ("minutes", profile.minutes_days),
        ("hours and days", profile.hours_days),
        ("log lines", profile.logs_days),
    ):
        if days is None:
            parts.append(f"{what} for good")
        else:
            parts.append(f"{what} {days:,} day{'' if days == 1 else 's'}" if days else f"{what} not at all")
    if profile.logs_mib is not None:
        parts.append(f"at most {profile.logs_mib:,} MiB of log text a device")
    text = " · ".join(parts)
    return Kept(profile, text[:1].upper() + text[1:])
