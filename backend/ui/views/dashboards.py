"""Dashboards: named sets of charts. Everybody sees them, operators change them."""

import json
from datetime import datetime
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from backend.accounts.permissions import Permission, require
from backend.telemetry.models import Dashboard
from backend.telemetry.selectors.dashboards import dashboard_get, dashboard_list
from backend.telemetry.services.dashboards import (
    Chart,
    DashboardError,
    dashboard_add,
    dashboard_create,
    dashboard_delete,
    dashboard_duplicate,
    dashboard_update,
)
from backend.ui.charts.address import RANGES, ChartAsked, explore_query, range_asked
from backend.ui.charts.catalog import series_resolve
from backend.ui.charts.keys import SeriesKey, readings
from backend.ui.views.common import person, sentence
from backend.ui.views.explore import charts_live_url

# characters: far more than the charts of one dashboard need
LONGEST_CHARTS = 200_000


def _dashboard(pk: int) -> Dashboard:
    try:
        return dashboard_get(id=pk)
    except Dashboard.DoesNotExist:
        raise Http404("There is no such dashboard (any more).") from None


def _keys(chart: Chart) -> list[SeriesKey]:
    return [SeriesKey(endpoint, path) for endpoint, path in chart.series]


def _list_page(request: HttpRequest, *, problem: str = "", status: int = 200) -> HttpResponse:
    rows = [(one, [Chart.of(chart) for chart in one.charts]) for one in dashboard_list()]
    return render(request, "ui/dashboards.html", {"rows": rows, "problem": problem}, status=status)


def _page(request: HttpRequest, dashboard: Dashboard, *, problem: str = "", status: int = 200) -> HttpResponse:
    stored = [Chart.of(one) for one in dashboard.charts]
    found = {one.key: one for one in series_resolve(keys=[str(key) for chart in stored for key in _keys(chart)])}
    charts = [
        ChartAsked(number, chart.title, [found[str(key)] for key in _keys(chart)])
        for number, chart in enumerate(stored, start=1)
    ]
    shown = [
        (chart, explore_query([(chart.title, _keys(source))])) for chart, source in zip(charts, stored, strict=True)
    ]
    context = {
        "dashboard": dashboard,
        "charts": shown,
        "seen": dashboard.changed_at.isoformat(),
        "ranges": RANGES,
        # one that was saved from a zoom is none of the buttons
        "first_ranges": [*RANGES, *([] if dashboard.range in dict(RANGES) else [(dashboard.range, dashboard.range)])],
        "range": range_asked(request.GET, dashboard.range),
        "fixed": "from" in request.GET or "at" in request.GET,
        "editing": "edit" in request.GET,
        "problem": problem,
        "live_url": charts_live_url(charts),
        "explore": explore_query([(chart.title, _keys(chart)) for chart in stored], range=dashboard.range),
    }
    return render(request, "ui/dashboard.html", context, status=status)


def _charts_posted(request: HttpRequest) -> list[Chart]:
    """`charts`: as JSON `[{"title", "series": ["ENDPOINT/PATH", …]}, …]`. Raises DashboardError."""
    text = request.POST.get("charts", "")
    try:
        given: Any = json.loads(text) if 0 < len(text) <= LONGEST_CHARTS else None
        return [
            Chart(title=str(one["title"]), series=[readings(str(key))[0] for key in one["series"]]) for one in given
        ]
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        raise DashboardError("there are no charts to save: choose series in Explore first.") from None


def _charts_named(request: HttpRequest) -> list[Chart]:
    """As `_charts_posted`, by the names of series that there are: an endpoint name may end in numbers."""
    charts = _charts_posted(request)
    keys = [str(SeriesKey(*one)) for chart in charts for one in chart.series]
    there = {one.key: (one.device, one.path) for one in series_resolve(keys=keys) if one.id is not None}
    return [
        Chart(title=chart.title, series=[there.get(str(SeriesKey(*one)), one) for one in chart.series])
        for chart in charts
    ]


@require(Permission.VIEW)
@require_safe
def dashboard_list_page(request: HttpRequest) -> HttpResponse:
    """All dashboards."""
    return _list_page(request)


@require(Permission.VIEW)
@require_safe
def dashboard_page(request: HttpRequest, pk: int) -> HttpResponse:
    """One dashboard; `?range=`, or `from=` and `to=`, as in Explore; `?edit=1` with what changes it."""
    return _page(request, _dashboard(pk))


@require(Permission.OPERATE)
@require_POST
def dashboard_new(request: HttpRequest) -> HttpResponse:
    """Explore's “Save as dashboard”: `name`, `range`, `charts`."""
    try:
        made = dashboard_create(
            name=request.POST.get("name", ""),
            charts=_charts_named(request),
            range=request.POST.get("range") or "24h",
            by=person(request),
        )
    except DashboardError as error:
        return _list_page(request, problem=sentence(error), status=400)
    return HttpResponseRedirect(reverse("dashboard", args=[made.pk]))


def _seen(request: HttpRequest) -> datetime | None:
    try:
        return datetime.fromisoformat(request.POST.get("seen", ""))
    except ValueError:
        return None


def _changed(request: HttpRequest, dashboard: Dashboard, action: str) -> dict[str, Any]:
    """What `dashboard_update` is to change. Raises DashboardError."""
    if action == "rename":
        return {"name": request.POST.get("name", ""), "range": request.POST.get("range") or dashboard.range}
    charts = [Chart.of(one) for one in dashboard.charts]
    text = request.POST.get("chart", "")
    place = int(text) - 1 if text.isascii() and text.isdecimal() and len(text) < 4 else -1
    if not 0 <= place < len(charts):
        raise DashboardError("there is no such chart (any more): look at the dashboard as it is now.")
    if action == "title":
        charts[place] = Chart(title=request.POST.get("title", ""), series=charts[place].series)
    elif action == "remove":
        charts.pop(place)
    else:
        other = place + (1 if action == "down" else -1)
        if 0 <= other < len(charts):
            charts[place], charts[other] = charts[other], charts[place]
    return {"charts": charts}


@require(Permission.OPERATE)
@require_POST
def dashboard_act(request: HttpRequest, pk: int, action: str) -> HttpResponse:
    """`add` (charts), `rename` (name, range), `title`, `up`, `down`, `remove` (chart), `duplicate`, `delete`."""
    dashboard = _dashboard(pk)
    try:
        if action == "delete":
            dashboard_delete(dashboard_id=pk)
            return HttpResponseRedirect(reverse("dashboards"))
        if action == "duplicate":
            copy = dashboard_duplicate(dashboard_id=pk, by=person(request))
            return HttpResponseRedirect(f"{reverse('dashboard', args=[copy.pk])}?edit=1")
        if action == "add":
            dashboard_add(dashboard_id=pk, charts=_charts_named(request))
            return HttpResponseRedirect(reverse("dashboard", args=[pk]))
        if action not in {"rename", "title", "up", "down", "remove"}:
            raise Http404("A dashboard has no such action.")
        dashboard_update(dashboard_id=pk, seen=_seen(request), **_changed(request, dashboard, action))
    except DashboardError as error:
        return _page(request, _dashboard(pk), problem=sentence(error), status=400)
    return HttpResponseRedirect(f"{reverse('dashboard', args=[pk])}?edit=1")
