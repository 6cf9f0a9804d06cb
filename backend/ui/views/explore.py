"""Explore: series of any devices on charts, and the Charts tab of one device."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from backend.accounts.permissions import Permission, allowed, require
from backend.devices.models import Device
from backend.telemetry.selectors.dashboards import dashboard_list
from backend.ui.charts.address import LONGEST_OPENING, RANGES, ChartAsked, charts_asked, range_opened
from backend.ui.charts.catalog import series_of_device, series_resolve, series_search
from backend.ui.charts.keys import MAX_CHARTS, MAX_SERIES
from backend.ui.listing import live_url

# what the picker lists at once, and what an empty page offers
FOUND = 40
OFFERED = 8
# longer words find nothing
LONGEST_SEARCH = 200
MANY_KEYS = MAX_CHARTS * MAX_SERIES


def charts_live_url(charts: Sequence[ChartAsked]) -> str:
    """The event stream for the devices on these charts, "" where there are none."""
    endpoints = dict.fromkeys(one.device for chart in charts for one in chart.series if one.device)
    return live_url([Device(endpoint=endpoint) for endpoint in endpoints]) if endpoints else ""


@require(Permission.VIEW)
@require_safe
def explore_page(request: HttpRequest) -> HttpResponse:
    """Charts as the address says (backend.ui.charts.address)."""
    charts = charts_asked(request.GET)
    empty = not any(chart.series for chart in charts)
    operating = allowed(request.user, Permission.OPERATE)
    context = {
        "charts": charts,
        "ranges": RANGES,
        "range": range_opened(request.GET, [one for chart in charts for one in chart.series]),
        "fixed": "from" in request.GET or "at" in request.GET,
        "max_series": MAX_SERIES,
        "max_charts": MAX_CHARTS,
        "offered": series_search(text="", limit=OFFERED) if empty else [],
        "dashboards": dashboard_list() if operating else [],
        "shared": dashboard_list()[:OFFERED] if empty else [],
        "live_url": charts_live_url(charts),
    }
    return render(request, "ui/explore.html", context)


@require(Permission.VIEW)
@require_safe
def series_part(request: HttpRequest) -> JsonResponse:
    """`?q=words`: series in which all of them occur; `?s=ENDPOINT/PATH` (repeated): those series. As JSON."""
    keys = request.GET.getlist("s")[:MANY_KEYS]
    if keys:
        return JsonResponse({"items": [one.as_json() for one in series_resolve(keys=keys)], "more": False})
    found = series_search(text=request.GET.get("q", "")[:LONGEST_SEARCH], limit=FOUND + 1)
    return JsonResponse({"items": [one.as_json() for one in found[:FOUND]], "more": len(found) > FOUND})


def charts_tab(request: HttpRequest, device: Device) -> dict[str, Any]:
    """The Charts tab: every series of the device as a small chart, all of one range."""
    series = series_of_device(device=device)
    return {
        "device": device,
        "series": series,
        "ranges": RANGES,
        "range": range_opened(request.GET, series, LONGEST_OPENING),
        "fixed": "from" in request.GET or "at" in request.GET,
    }
