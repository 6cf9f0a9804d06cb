"""The state of a page of log lines, as its address says it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.http import QueryDict
from django.utils import timezone

from backend.devices.models import Device
from backend.logs.filters import MAX_SEARCH
from backend.logs.models import Severity
from backend.logs.selectors import LineFilter
from backend.lwm2m.times import us_of_datetime, us_of_text

# key in the address → how far back, and what the choice says
RANGES = {
    "5m": (timedelta(minutes=5), "Last 5 min"),
    "15m": (timedelta(minutes=15), "Last 15 min"),
    "1h": (timedelta(hours=1), "Last hour"),
    "6h": (timedelta(hours=6), "Last 6 hours"),
    "24h": (timedelta(hours=24), "Last 24 hours"),
    "7d": (timedelta(days=7), "Last 7 days"),
}
# key in the address, as in the API → lines up to this severity are shown, and what the choice says
UP_TO = {
    "error": (Severity.ERROR, "Errors"),
    "warning": (Severity.WARNING, "Warnings and worse"),
    "info": (Severity.INFO, "Infos and worse"),
}
MOST_CHOSEN = 50
# the years 1 to 9999, which is what Python can say
_EARLIEST = us_of_datetime(datetime(1, 1, 2, tzinfo=UTC))
_LATEST = us_of_datetime(datetime(9999, 12, 30, tzinfo=UTC))


@dataclass(frozen=True, kw_only=True)
class Address:
    """What is asked for; times in microseconds since 1970. `unknown`: endpoint names that no device has."""

    endpoints: list[str] = field(default_factory=list)
    severity: int | None = None
    modules: list[str] = field(default_factory=list)
    search: str = ""
    range: str = ""
    start: int | None = None
    end: int | None = None
    at: int | None = None
    devices: list[int] | None = None
    unknown: list[str] = field(default_factory=list)

    @property
    def filter(self) -> LineFilter:
        """The same for the selectors; a range that ends now begins so long before now."""
        start = self.start
        if self.range:
            start = us_of_datetime(timezone.now() - RANGES[self.range][0])
        return LineFilter(
            devices=self.devices,
            severity=self.severity,
            modules=self.modules,
            search=self.search,
            start=start,
            end=self.end,
        )

    @property
    def filtered(self) -> bool:
        """Does it ask for less than every line (of the devices)?"""
        return bool(self.severity is not None or self.modules or self.search or self.range or self.start or self.end)


def moment_of(text: str) -> int | None:
    """ISO 8601 (UTC where no zone is said) as microseconds since 1970; None: it is no time."""
    try:
        moment = us_of_text(text)
    except ValueError:
        return None
    return moment if _EARLIEST <= moment <= _LATEST else None


def _several(values: Sequence[str]) -> list[str]:
    return [value for value in dict.fromkeys(values) if value][:MOST_CHOSEN]


def address_of(query: QueryDict, *, device: Device | None = None) -> Address:
    """Reads the address; what is nonsense in it counts as not given. `device`: the lines of this one only.

    `q` is `search`, as people know it from elsewhere; the page's script then writes the address anew (logs.js).
    """
    endpoints = [device.endpoint] if device else _several(query.getlist("device"))
    ids: list[int] | None = [device.pk] if device else None
    unknown: list[str] = []
    if endpoints and device is None:
        known = dict(Device.objects.filter(endpoint__in=endpoints).values_list("endpoint", "pk"))
        unknown = [endpoint for endpoint in endpoints if endpoint not in known]
        ids = [known[endpoint] for endpoint in endpoints if endpoint in known]
    severity = query.get("severity", "")
    range_ = query.get("range", "")
    range_ = range_ if range_ in RANGES else ""
    return Address(
        endpoints=endpoints,
        devices=ids,
        unknown=unknown,
        severity=UP_TO[severity][0] if severity in UP_TO else None,
        modules=_several(query.getlist("module")),
        search=query.get("search", query.get("q", ""))[:MAX_SEARCH].replace("\0", ""),
        range=range_,
        start=None if range_ else moment_of(query.get("from", "")),
        end=None if range_ else moment_of(query.get("to", "")),
        at=moment_of(query.get("at", "")),
    )
