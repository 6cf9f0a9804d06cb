"""Reading devices, values, series and the pipeline.

Each operation only reads its parameters, asks a selector and shapes the answer.
"""

from datetime import timedelta
from typing import Annotated, Any

from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils import timezone
from ninja.errors import HttpError
from ninja.params.functions import Query

from backend.api import schemas
from backend.api.base import ERRORS, Endpoint, api, device_or_404
from backend.api.live import live_stream
from backend.api.parameters import LIMIT, Moment, strict
from backend.devices.models import Device, Status
from backend.devices.selectors import (
    ResourceView,
    device_list,
    gap_list,
    next_expected,
    observation_list,
    pipeline_state,
    registration_of,
    resource_list,
    time_of,
)
from backend.lwm2m.values import EXACT
from backend.telemetry.models import Series
from backend.telemetry.selectors import (
    Cursor,
    SeriesView,
    samples_page,
    samples_thinned,
    series_get,
    series_list,
)

MAX_PAGE = 500
MAX_POINTS = 20_000
# a live page names the devices that it shows; one that shows more listens to all
MAX_LIVE_DEVICES = 500


# -- shapes


def device_shape(device: Device) -> dict[str, Any]:
    """As schemas.Device; with profile and registration at hand."""
    registration = registration_of(device)
    return {
        "endpoint": device.endpoint,
        "status": device.status,
        "status_since": device.status_since,
        "last_contact": device.last_contact,
        "next_expected": next_expected(device),
        "manufacturer": device.manufacturer,
        "model": device.model,
        "serial_number": device.serial_number,
        "firmware_version": device.firmware_version,
        "queue_mode": registration.queue_mode if registration else None,
        "profile": device.profile.name if device.profile else None,
        "created_at": device.created_at,
    }


def _json_value(view: ResourceView) -> bool | int | float | str:
    """The canonical text as the JSON type that holds it exactly, else as it is."""
    if view.type == "BOOLEAN":
        return view.text == "true"
    if view.number is not None and view.type in {"INTEGER", "UNSIGNED_INTEGER", "TIME"}:
        return int(view.number) if abs(view.number) < EXACT else view.text
    if view.number is not None and view.type == "FLOAT":
        return float(view.text)
    return view.text


def _value(view: ResourceView) -> dict[str, Any]:
    return {
        "path": view.path,
        "object": view.object_id,
        "instance": view.object_instance_id,
        "resource": view.resource_id,
        "resource_instance": view.resource_instance_id,
        "object_name": view.object_name,
        "name": view.name,
        "unit": view.unit,
        "type": view.type,
        "value": _json_value(view),
        "text": view.text,
        "number": view.number,
        "time": view.time,
        "received": view.received,
        "has_device_time": view.has_device_time,
    }


def _series(series: SeriesView) -> dict[str, Any]:
    return {
        "id": series.id,
        "device": series.device,
        "path": series.path,
        "object_name": series.object_name,
        "name": series.name,
        "unit": series.unit,
        "first": series.first,
        "last": series.last,
    }


def _ordered(start: int | None, end: int | None) -> None:
    if start is not None and end is not None and end < start:
        raise HttpError(400, "end lies before start: swap them.")


# -- operations


@api.get("/devices", response={200: schemas.Devices, **ERRORS}, summary="Devices", tags=["devices"])
@strict("search", "status", "model", "firmware_version", "manufacturer", "order", "page", "page_size")
def devices(
    request: HttpRequest,
    search: Annotated[
        str, Query(max_length=255, description="words that occur in endpoint, serial number, model …")
    ] = "",
    status: Annotated[list[Status], Query(description="repeat it for more than one")] = [],  # noqa: B006 - read only
    model: Annotated[str | None, Query(max_length=255)] = None,
    firmware_version: Annotated[str | None, Query(max_length=255)] = None,
    manufacturer: Annotated[str | None, Query(max_length=255)] = None,
    order: Annotated[str, Query(max_length=32, description="a field; with a leading - descending")] = "endpoint",
    page: Annotated[int, Query(ge=1, le=10_000_000)] = 1,
    page_size: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
) -> dict[str, Any]:
    """A page of devices, filtered and ordered."""
    try:
        found = device_list(
            search=search,
            status=status,
            model=model,
            firmware_version=firmware_version,
            manufacturer=manufacturer,
            order=order,
        )
    except ValueError as error:
        raise HttpError(400, str(error)) from None
    start = (page - 1) * page_size
    return {"items": [device_shape(one) for one in found[start : start + page_size]], "count": found.count()}


@api.get(
    "/devices/{text:endpoint}",
    response={200: schemas.DeviceDetail, **ERRORS},
    summary="One device",
    tags=["devices"],
)
@strict()
def device(request: HttpRequest, endpoint: str) -> dict[str, Any]:
    """A device with its registration and observations. The endpoint name is percent-encoded in the address."""
    found = device_or_404(endpoint)
    registration = registration_of(found)
    return {
        **device_shape(found),
        "registration": registration,
        "observations": observation_list(device=found),
    }


@api.get("/values", response={200: schemas.Values, **ERRORS}, summary="Current values", tags=["values"])
@strict("device", "object")
def values(
    request: HttpRequest,
    device: Annotated[Endpoint, Query()],
    object_id: Annotated[int | None, Query(alias="object", ge=0, le=65535, description="of this object only")] = None,
) -> dict[str, Any]:
    """The newest known value of every resource of a device."""
    views = resource_list(device=device_or_404(device), object_id=object_id)
    return {"items": [_value(view) for view in views]}


@api.get("/series", response={200: schemas.SeriesItems, **ERRORS}, summary="Series of a device", tags=["series"])
@strict("device")
def series(request: HttpRequest, device: Annotated[Endpoint, Query()]) -> dict[str, Any]:
    """What there are samples of."""
    return {"items": [_series(one) for one in series_list(device=device_or_404(device))]}


@api.get(
    "/series/{int:series_id}/samples",
    response={200: schemas.Samples, **ERRORS},
    summary="Samples of a series",
    tags=["series"],
)
@strict("start", "end", "after", "max_points", "thin")
def samples(
    request: HttpRequest,
    series_id: int,
    start: Annotated[Moment | None, Query(description="from here on")] = None,
    end: Annotated[Moment | None, Query(description="up to here, without it")] = None,
    after: Annotated[
        str | None, Query(max_length=40, description="the `next` of an earlier answer; never thins")
    ] = None,
    max_points: Annotated[int, Query(ge=1, le=MAX_POINTS)] = 2000,
    thin: Annotated[bool, Query(description="false: page through all samples instead of thinning them")] = True,
) -> HttpResponse:
    """Samples of start <= time < end: all where there are at most max_points, else thinned (or paged)."""
    _ordered(start, end)
    if series_id > LIMIT:
        raise Http404(f"There is no series {series_id}.")
    try:
        cursor = None if after is None else Cursor.parse(after)
    except ValueError as error:
        raise HttpError(400, f"after: {error}") from None
    try:
        of = series_get(series_id=series_id)
    except Series.DoesNotExist:
        raise Http404(f"There is no series {series_id}.") from None
    if cursor is not None or not thin:
        page = samples_page(series_id=series_id, start=start, end=end, after=cursor, limit=max_points)
    else:
        page = samples_thinned(series_id=series_id, start=start, end=end, max_points=max_points)
    points = [[time / 1000, number, text] for time, number, text in page.points]
    # thousands of points: written as they are, without a second look at each
    return api.create_response(
        request,
        {
            "series": _series(of),
            "aggregated": page.aggregated,
            "points": [[time / 1000, *rest] for time, *rest in page.buckets] if page.aggregated else points,
            "other": points if page.aggregated else [],
            "truncated": page.truncated,
            "next": None if page.next is None else str(page.next),
        },
        status=200,
    )


@api.get("/gaps", response={200: schemas.Gaps, **ERRORS}, summary="Gaps", tags=["server"])
@strict("start", "end")
def gaps(
    request: HttpRequest,
    start: Annotated[Moment | None, Query(description="a day ago where it is left out")] = None,
    end: Annotated[Moment | None, Query(description="now where it is left out")] = None,
) -> dict[str, Any]:
    """When the event stream was not heard, and which events are gone for good."""
    _ordered(start, end)
    until = timezone.now() if end is None else time_of(end)
    try:
        since = until - timedelta(days=1) if start is None else time_of(start)
    except OverflowError:
        since = until
    return {"items": gap_list(start=since, end=until)}


@api.get("/server", response={200: schemas.Server, **ERRORS}, summary="State of the pipeline", tags=["server"])
@strict()
def server(request: HttpRequest) -> dict[str, Any]:
    """Does what devices say arrive, and how late?"""
    state = pipeline_state()
    return {**vars(state), "lag": state.lag.total_seconds()}


@api.get(
    "/live",
    response={200: None, **ERRORS},
    summary="What changes, as it changes",
    tags=["live"],
    openapi_extra={
        "responses": {200: {"description": "a stream of events", "content": {"text/event-stream": {}}}},
    },
)
@strict("device")
async def live(
    request: HttpRequest,
    device: Annotated[list[Endpoint], Query(description="repeat it for more than one; none: all")] = [],  # noqa: B006 - read only
) -> StreamingHttpResponse:
    """Server-sent events: `hello` first, then `values`, `status`, `server`, `resync` (docs/api.md)."""
    if len(device) > MAX_LIVE_DEVICES:
        raise HttpError(400, f"more than {MAX_LIVE_DEVICES} devices: leave device out and listen to all.")
    return live_stream(session_key=request.session.session_key, devices=frozenset(device) or None)
