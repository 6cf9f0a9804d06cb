"""Dashboards: named sets of charts, shared by everybody of the installation."""

from datetime import datetime
from typing import Annotated, Any

from django.http import Http404, HttpRequest
from ninja import Field, Schema, Status
from ninja.errors import HttpError
from ninja.params.functions import Body as InBody
from pydantic import ConfigDict

from backend.api.auth import operator
from backend.api.base import ERRORS, api, person
from backend.api.parameters import LIMIT, Text, strict
from backend.telemetry.models import Dashboard
from backend.telemetry.selectors.dashboards import dashboard_get, dashboard_list
from backend.telemetry.services.dashboards import (
    Chart,
    DashboardError,
    dashboard_create,
    dashboard_delete,
    dashboard_update,
)


class DashboardSeries(Schema):
    """One line of a chart."""

    model_config = ConfigDict(extra="forbid")

    device: Text = Field(description="the endpoint name")
    path: Text = Field(description="such as /3303/0/5700")


class DashboardChart(Schema):
    """One chart: at most two units."""

    model_config = ConfigDict(extra="forbid")

    title: Text = ""
    series: list[DashboardSeries]


class DashboardBody(Schema):
    """A dashboard as it shall be."""

    model_config = ConfigDict(extra="forbid")

    name: Text
    range: Text = Field("24h", description="what is shown at first: a number and one of s, m, h, d, w, y")
    charts: list[DashboardChart] = []
    changed_at: datetime | None = Field(None, description="as it was read: a change since then is not overwritten")


class DashboardShape(Schema):
    """A dashboard."""

    id: int
    name: str
    range: str
    charts: list[DashboardChart]
    created_at: datetime
    created_by: str | None
    changed_at: datetime


class DashboardItems(Schema):
    """All of them."""

    items: list[DashboardShape]


def _shape(dashboard: Dashboard) -> dict[str, Any]:
    charts = [Chart.of(one) for one in dashboard.charts]
    return {
        "id": dashboard.pk,
        "name": dashboard.name,
        "range": dashboard.range,
        "charts": [
            {"title": one.title, "series": [{"device": device, "path": path} for device, path in one.series]}
            for one in charts
        ],
        "created_at": dashboard.created_at,
        "created_by": dashboard.created_by.username if dashboard.created_by else None,
        "changed_at": dashboard.changed_at,
    }


def _or_404(dashboard_id: int) -> Dashboard:
    try:
        return dashboard_get(id=min(dashboard_id, LIMIT))
    except Dashboard.DoesNotExist:
        raise Http404(f"There is no dashboard {dashboard_id}.") from None


def _charts(body: DashboardBody) -> list[Chart]:
    return [Chart(title=one.title, series=[(line.device, line.path) for line in one.series]) for one in body.charts]


@api.get("/dashboards", response={200: DashboardItems, **ERRORS}, summary="Dashboards", tags=["dashboards"])
@strict()
def dashboards(request: HttpRequest) -> dict[str, Any]:
    """All of them, by name."""
    return {"items": [_shape(one) for one in dashboard_list()]}


@api.post(
    "/dashboards",
    auth=operator,
    response={201: DashboardShape, **ERRORS},
    summary="Add a dashboard",
    tags=["dashboards"],
)
@strict()
def dashboard_add(request: HttpRequest, body: Annotated[DashboardBody, InBody()]) -> Status[dict[str, Any]]:
    """A new one, for everybody."""
    try:
        made = dashboard_create(name=body.name, charts=_charts(body), range=body.range, by=person(request))
    except DashboardError as error:
        raise HttpError(400, str(error)) from None
    return Status(201, _shape(made))


@api.get(
    "/dashboards/{int:dashboard_id}",
    response={200: DashboardShape, **ERRORS},
    summary="A dashboard",
    tags=["dashboards"],
)
@strict()
def dashboard(request: HttpRequest, dashboard_id: int) -> dict[str, Any]:
    """One of them."""
    return _shape(_or_404(dashboard_id))


@api.put(
    "/dashboards/{int:dashboard_id}",
    auth=operator,
    response={200: DashboardShape, **ERRORS},
    summary="Change a dashboard",
    tags=["dashboards"],
)
@strict()
def dashboard_change(
    request: HttpRequest, dashboard_id: int, body: Annotated[DashboardBody, InBody()]
) -> dict[str, Any]:
    """The dashboard as it shall be, all of it."""
    _or_404(dashboard_id)
    try:
        dashboard_update(
            dashboard_id=dashboard_id, name=body.name, range=body.range, charts=_charts(body), seen=body.changed_at
        )
    except DashboardError as error:
        raise HttpError(400, str(error)) from None
    return _shape(_or_404(dashboard_id))


@api.delete(
    "/dashboards/{int:dashboard_id}",
    auth=operator,
    response={200: DashboardItems, **ERRORS},
    summary="Remove a dashboard",
    tags=["dashboards"],
)
@strict()
def dashboard_remove(request: HttpRequest, dashboard_id: int) -> dict[str, Any]:
    """The samples stay."""
    dashboard_delete(dashboard_id=_or_404(dashboard_id).pk)
    return {"items": [_shape(one) for one in dashboard_list()]}
