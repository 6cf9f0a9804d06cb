"""Writes of dashboards: named sets of charts that everybody of the installation shares."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction

from backend.accounts.models import User
from backend.lwm2m.paths import PathError, resource_ids
from backend.telemetry.models import Dashboard

LONG_NAME = 64
LONG_TITLE = 120
LONG_ENDPOINT = 255
MAX_CHARTS = 12
MAX_SERIES = 24
# "15m", "24h", "1y": how long before now a chart begins
_RANGE = re.compile(r"[1-9]\d{0,6}[smhdwy]", re.ASCII)
_FREE_NAMES = 1000


class DashboardError(ValueError):
    """The dashboard cannot be so; the message says what is wrong and what to do."""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One chart: (endpoint, path) of its series, in the order in which they are drawn."""

    title: str
    series: Sequence[tuple[str, str]]

    @classmethod
    def of(cls, stored: object) -> "Chart":
        """From what `Dashboard.charts` holds."""
        assert isinstance(stored, dict)
        return cls(title=stored["title"], series=[(endpoint, path) for endpoint, path in stored["series"]])


def _storable(text: str) -> bool:
    """No database keeps NUL; a lone surrogate, which JSON can hold, is no character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _text(text: str, *, most: int, what: str, least: int = 0) -> str:
    text = " ".join(text.split())
    if not (least <= len(text) <= most and _storable(text)):
        raise DashboardError(f"{what} has {least} to {most} characters." if least else f"{what}: at most {most}.")
    return text


def range_check(text: str) -> str:
    """A range such as 15m, 24h, 7d, 1y. Raises DashboardError."""
    if not _RANGE.fullmatch(text):
        raise DashboardError("a range is a number and one of s, m, h, d, w, y, such as 15m, 24h, 7d or 1y.")
    return text


def _series(endpoint: str, path: str) -> list[str]:
    if not (1 <= len(endpoint) <= LONG_ENDPOINT and _storable(endpoint)):
        raise DashboardError("a series names a device by its endpoint name.")
    try:
        resource_ids(path)
    except PathError as error:
        raise DashboardError(f"{error}.") from None
    return [endpoint, path]


def _stored(charts: Sequence[Chart]) -> list[dict[str, object]]:
    if len(charts) > MAX_CHARTS:
        raise DashboardError(f"a dashboard holds at most {MAX_CHARTS} charts: make another one.")
    stored: list[dict[str, object]] = []
    for chart in charts:
        if not 1 <= len(chart.series) <= MAX_SERIES:
            raise DashboardError(f"a chart has 1 to {MAX_SERIES} series.")
        series = [_series(endpoint, path) for endpoint, path in dict.fromkeys(chart.series)]
        stored.append({"title": _text(chart.title, most=LONG_TITLE, what="a chart's title"), "series": series})
    return stored


def _save(dashboard: Dashboard) -> Dashboard:
    try:
        with transaction.atomic():
            dashboard.save()
    except IntegrityError:
        raise DashboardError(f"there is a dashboard “{dashboard.name}” already: choose another name.") from None
    return dashboard


def dashboard_create(*, name: str, charts: Sequence[Chart], range: str = "24h", by: User | None) -> Dashboard:
    """A new one. Raises DashboardError."""
    return _save(
        Dashboard(
            name=_text(name, least=1, most=LONG_NAME, what="a name"),
            charts=_stored(charts),
            range=range_check(range),
            created_by=by,
        )
    )


def dashboard_update(
    *,
    dashboard_id: int,
    name: str | None = None,
    range: str | None = None,
    charts: Sequence[Chart] | None = None,
    seen: datetime | None = None,
) -> Dashboard:
    """Changes what is given. `seen`: its `changed_at` as the person saw it; a change since then is not overwritten.

    Raises DashboardError, Dashboard.DoesNotExist.
    """
    with transaction.atomic():
        dashboard = Dashboard.objects.select_for_update().get(pk=dashboard_id)
        if seen is not None and dashboard.changed_at != seen:
            raise DashboardError("somebody changed this dashboard meanwhile: look at it as it is now, and try again.")
        if name is not None:
            dashboard.name = _text(name, least=1, most=LONG_NAME, what="a name")
        if range is not None:
            dashboard.range = range_check(range)
        if charts is not None:
            dashboard.charts = _stored(charts)
        return _save(dashboard)


def dashboard_add(*, dashboard_id: int, charts: Sequence[Chart]) -> Dashboard:
    """More charts, below those that are there. Raises DashboardError, Dashboard.DoesNotExist."""
    with transaction.atomic():
        dashboard = Dashboard.objects.select_for_update().get(pk=dashboard_id)
        dashboard.charts = _stored([*(Chart.of(one) for one in dashboard.charts), *charts])
        return _save(dashboard)


def dashboard_duplicate(*, dashboard_id: int, by: User | None) -> Dashboard:
    """The same charts under a free name. Raises DashboardError, Dashboard.DoesNotExist."""
    source = Dashboard.objects.get(pk=dashboard_id)
    taken = set(Dashboard.objects.values_list("name", flat=True))
    for number in range(1, _FREE_NAMES):
        end = " (copy)" if number == 1 else f" (copy {number})"
        name = source.name[: LONG_NAME - len(end)] + end
        if name not in taken:
            return _save(Dashboard(name=name, charts=source.charts, range=source.range, created_by=by))
    raise DashboardError("there are too many copies: give some of them names of their own.")


def dashboard_delete(*, dashboard_id: int) -> None:
    """It goes; the samples stay. Nothing happens where it is gone already."""
    Dashboard.objects.filter(pk=dashboard_id).delete()
