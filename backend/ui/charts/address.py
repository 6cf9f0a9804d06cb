"""The state of Explore as its address says it.

`s=ENDPOINT/PATH` (repeated) are the series of the first chart, `s2=`, `s3=` … those of the charts below it; `t=`, `t2=`
their titles; `hide=ENDPOINT/PATH` series that are not drawn. `range=24h` ends now and slides along, `from=` and `to=`
(ISO 8601) stand still; `at=` marks a moment, and is the middle where neither range nor from and to are given.
The page's script reads and writes the same (explore.js); here it is read so that the page comes with its charts.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.http import QueryDict
from django.utils import timezone
from django.utils.http import urlencode

from backend.telemetry.selectors import series_extents
from backend.ui.charts.catalog import ChartSeries, series_resolve
from backend.ui.charts.keys import MAX_CHARTS, MAX_SERIES, SeriesKey, chart_number

# in the address → on the button
RANGES = (
    ("5m", "5 min"),
    ("15m", "15 min"),
    ("1h", "1 h"),
    ("6h", "6 h"),
    ("24h", "24 h"),
    ("7d", "7 d"),
    ("30d", "30 d"),
    ("1y", "1 y"),
)
DEFAULT_RANGE = "1h"
# what a page opens with, where its address says nothing of time
OPENING = (("1h", timedelta(hours=1)), ("6h", timedelta(hours=6)))
LONGEST_OPENING, LONGEST_LENGTH = "24h", timedelta(hours=24)
_RANGE = re.compile(r"[1-9]\d{0,6}[smhdwy]", re.ASCII)


@dataclass(frozen=True)
class ChartAsked:
    """One chart: its place in the address (1, 2, …), its title ("" none) and its series."""

    number: int
    title: str
    series: Sequence[ChartSeries]

    @property
    def title_name(self) -> str:
        """The title's parameter in an address."""
        return "t" if self.number == 1 else f"t{self.number}"


def charts_asked(query: QueryDict) -> list[ChartAsked]:
    """The charts of an address, numbered anew from 1; one empty chart where it names none. Three queries."""
    keys: dict[int, list[str]] = {}
    for parameter, values in query.lists():
        number = chart_number(parameter)
        if number is not None and number <= MAX_CHARTS:
            keys[number] = list(dict.fromkeys(filter(None, values)))[:MAX_SERIES]
    found = {one.key: one for one in series_resolve(keys=[key for group in keys.values() for key in group])}
    charts = [
        ChartAsked(place, query.get("t" if number == 1 else f"t{number}", ""), [found[key] for key in keys[number]])
        for place, number in enumerate(sorted(number for number in keys if keys[number]), start=1)
    ]
    return charts or [ChartAsked(1, "", [])]


def range_asked(query: QueryDict, default: str = DEFAULT_RANGE) -> str:
    """The sliding range of an address; what is none counts as not given."""
    text = query.get("range", "")
    return text if _RANGE.fullmatch(text) else default


def range_opened(query: QueryDict, series: Iterable[ChartSeries], default: str = DEFAULT_RANGE) -> str:
    """The sliding range of an address; where it says nothing of time, the shortest that holds all of these series.

    Of `OPENING`, or the longest that a page opens with; a series of which not even that shows anything does not count.
    `default`: without any series that has begun, and around `at`. One query, none where the address says it.
    """
    asked = range_asked(query, "")
    ids = [one.id for one in series if one.id is not None]
    if asked or "from" in query or "at" in query or not ids:
        return asked or default
    extents = series_extents(ids=ids)
    if not extents:
        return default
    now = timezone.now()
    ages = [now - first for first, last in extents if now - last <= LONGEST_LENGTH]
    return next((key for key, length in OPENING if ages and max(ages) <= length), LONGEST_OPENING)


def explore_query(charts: Sequence[tuple[str, Sequence[SeriesKey]]], **more: str) -> str:
    """The query of Explore with these charts (title, series)."""
    pairs: list[tuple[str, str]] = []
    for number, (title, series) in enumerate(charts, start=1):
        place = "" if number == 1 else str(number)
        pairs += [(f"s{place}", str(key)) for key in series]
        if title:
            pairs.append((f"t{place}", title))
    return urlencode([*pairs, *more.items()])
