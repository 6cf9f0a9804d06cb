"""What charts show, ready to be drawn: the finest level that stays within so many points, gaps with their reasons.

Each operation only reads its parameters, asks a selector and shapes the answer.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from ninja.errors import HttpError
from ninja.params.functions import Query
from pydantic import Field

from backend.api import chart_schemas
from backend.api.base import ERRORS, Endpoint, api, device_or_404
from backend.api.chart_events import chart_events
from backend.api.parameters import LIMIT, Moment, strict
from backend.devices.models import Device
from backend.devices.selectors import time_of
from backend.lwm2m.paths import series_readings
from backend.lwm2m.times import us_of_datetime
from backend.telemetry.buckets import HOUR
from backend.telemetry.selectors import (
    Chart,
    SeriesView,
    charts,
    series_by_ids,
    series_by_names,
    storage_costs,
)

MAX_SERIES = 24
MAX_POINTS = 2000
MAX_EVENTS = 500
MAX_PAGE = 500
# microseconds
DEFAULT_RANGE = HOUR

Of = Annotated[str, Field(min_length=1, max_length=300, description="endpoint and path: sim-1/3303/0/5700")]


def wanted_series(ids: Sequence[int], of: Sequence[str]) -> tuple[list[SeriesView], list[str]]:
    """The series that are asked for, each once and in that order, and the words of `of` that there is none of.

    Raises HttpError (400) on too many or none, or a word that names no path, Http404 on an unknown id.
    """
    if not ids and not of:
        raise HttpError(400, "say which series: series=ID, or of=ENDPOINT/PATH such as of=sim-1/3303/0/5700.")
    if len(ids) + len(of) > MAX_SERIES:
        raise HttpError(400, f"more than {MAX_SERIES} series: ask in several requests.")
    candidates = {word: series_readings(word) for word in of}
    for word, names in candidates.items():
        if not names:
            raise HttpError(400, f"of: {word[:80]!r} ends with no path: use ENDPOINT/PATH such as sim-1/3303/0/5700.")
    by_id = series_by_ids(ids=[one for one in ids if 0 <= one <= LIMIT])
    by_name = series_by_names(names={name for names in candidates.values() for name in names})
    found: dict[int, SeriesView] = {}
    for one in ids:
        if one not in by_id:
            raise Http404(f"There is no series {one}.")
        found[one] = by_id[one]
    missing = []
    for word, names in candidates.items():
        view = next((by_name[name] for name in names if name in by_name), None)
        if view is None:
            missing.append(word)
        else:
            found[view.id] = view
    return list(found.values()), missing


def time_range(start: int | None, end: int | None, now: int) -> tuple[int, int]:
    """The last hour where neither is given, else an hour before `end`, or until now. Raises HttpError (400)."""
    until = now if end is None else end
    since = until - DEFAULT_RANGE if start is None else start
    if until < since:
        raise HttpError(400, "end lies before start: swap them.")
    return since, until


def _ms(microseconds: int) -> int | float:
    """Whole milliseconds as an integer."""
    whole, rest = divmod(microseconds, 1000)
    return microseconds / 1000 if rest else whole


def _item(chart: Chart) -> dict[str, Any]:
    view, stats = chart.series, chart.stats
    points: list[Any]
    if chart.width is None:
        points = [(time / 1000, number) for time, number in chart.points]
    elif chart.width % 1000:
        points = [(start / 1000, *numbers) for start, *numbers in chart.buckets]
    else:
        points = [(start // 1000, low, high, mean, count) for start, low, high, mean, count in chart.buckets]
    return {
        "series": {
            "id": view.id,
            "device": view.device,
            "path": view.path,
            "object_name": view.object_name,
            "name": view.name,
            "unit": view.unit,
            "first": view.first,
            "last": view.last,
        },
        "level": chart.level,
        "width": None if chart.width is None else _ms(chart.width),
        "points": points,
        "other": [(time / 1000, text) for time, text in chart.other],
        "others": chart.others,
        "gaps": [
            {"start": _ms(gap.start), "end": _ms(gap.end), "reason": gap.reason, "text": gap.text} for gap in chart.gaps
        ],
        "stats": None
        if stats is None
        else {
            "count": stats.count,
            "min": stats.min,
            "max": stats.max,
            "mean": stats.mean,
            "first": stats.first,
            "last": stats.last,
        },
    }


@api.get("/chart", response={200: chart_schemas.Charts, **ERRORS}, summary="What a chart shows", tags=["series"])
@strict("series", "of", "start", "end", "points")
def chart(
    request: HttpRequest,
    series: Annotated[list[int], Query(description="ids of series; repeat it for more than one")] = [],  # noqa: B006
    of: Annotated[list[Of], Query(description="the same by endpoint and path")] = [],  # noqa: B006 - read only
    start: Annotated[Moment | None, Query(description="an hour before end where it is left out")] = None,
    end: Annotated[Moment | None, Query(description="now where it is left out")] = None,
    points: Annotated[int, Query(ge=2, le=MAX_POINTS, description="at most so many a series")] = 1000,
) -> HttpResponse:
    """Several series in one range: samples where there are few enough, else buckets; gaps, and the numbers of all."""
    now = us_of_datetime(timezone.now())
    since, until = time_range(start, end, now)
    views, missing = wanted_series(series, of)
    found = charts(series=views, start=since, end=until, points=points, now=now)
    # thousands of points: written as they are, without a second look at each
    return api.create_response(
        request,
        {
            "start": _ms(since),
            "end": _ms(until),
            "now": _ms(now),
            "items": [_item(one) for one in found],
            "missing": missing,
        },
        status=200,
    )


@api.get(
    "/chart/events",
    response={200: list[chart_schemas.ChartEvent], **ERRORS},
    summary="What happened meanwhile",
    tags=["series"],
)
@strict("of", "device", "start", "end", "limit")
def events(
    request: HttpRequest,
    of: Annotated[list[Of], Query(description="of the devices of these series")] = [],  # noqa: B006 - read only
    device: Annotated[list[Endpoint], Query(description="repeat it for more than one")] = [],  # noqa: B006
    start: Annotated[Moment | None, Query(description="an hour before end where it is left out")] = None,
    end: Annotated[Moment | None, Query(description="now where it is left out")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_EVENTS, description="the newest so many")] = MAX_EVENTS,
) -> list[dict[str, Any]]:
    """Registrations, ended commands and firmware updates, clocks that were set, alerts: oldest first."""
    since, until = time_range(start, end, us_of_datetime(timezone.now()))
    if len(of) + len(device) > MAX_SERIES:
        raise HttpError(400, f"more than {MAX_SERIES} devices: ask in several requests.")
    devices: dict[int, Device] = {}
    for endpoint in device:
        found = device_or_404(endpoint)
        devices[found.pk] = found
    if of or not device:
        endpoints = {view.device for view in wanted_series([], of)[0]}
        devices |= {one.pk: one for one in Device.objects.filter(endpoint__in=endpoints)}
    return chart_events(devices=list(devices.values()), start=time_of(since), end=time_of(until), limit=limit)


@api.get("/storage", response={200: chart_schemas.Storage, **ERRORS}, summary="What is stored", tags=["series"])
@strict("device", "by", "order", "page", "page_size")
def storage(
    request: HttpRequest,
    device: Annotated[Endpoint | None, Query(description="of this one only")] = None,
    by: Annotated[Literal["device", "series"], Query()] = "device",
    order: Annotated[str, Query(max_length=32, description="a field; with a leading - descending")] = "-bytes",
    page: Annotated[int, Query(ge=1, le=10_000_000)] = 1,
    page_size: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
) -> dict[str, Any]:
    """How many samples, rollups and log lines devices or series have, and about how many bytes that takes."""
    of = None if device is None else device_or_404(device)
    try:
        found = storage_costs(device=of, by_series=by == "series", order=order, page=page, page_size=page_size)
    except ValueError as error:
        raise HttpError(400, str(error)) from None
    return {
        "items": [asdict(one) for one in found.items],
        "count": found.count,
        "total": asdict(found.total),
        "database_bytes": found.database_bytes,
        "sample_bytes": found.sample_bytes,
        "rollup_bytes": found.rollup_bytes,
        "counted_at": found.counted_at,
    }
