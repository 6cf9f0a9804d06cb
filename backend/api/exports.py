"""Samples as files."""

from typing import Annotated, Literal

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from ninja.errors import HttpError
from ninja.params.functions import Query

from backend.api.base import Endpoint, api
from backend.api.parameters import Moment, strict
from backend.config.streaming import download
from backend.telemetry.export import (
    FORMATS,
    ExportError,
    Selection,
    export_chunks,
    export_name,
)

MANY = 1000


@api.get("/export", summary="Samples as a file", tags=["values"])
@strict("format", "of", "device", "path", "start", "end")
def export(
    request: HttpRequest,
    format: Annotated[Literal["csv", "parquet"], Query()] = "csv",
    of: Annotated[list[str], Query(max_length=MANY, description="ENDPOINT/3303/0/5700, repeated")] = [],  # noqa: B006
    device: Annotated[list[Endpoint], Query(max_length=MANY, description="all series of it, repeated")] = [],  # noqa: B006
    path: Annotated[list[str], Query(max_length=MANY, description="/3303/0/5700, repeated")] = [],  # noqa: B006
    start: Annotated[Moment | None, Query()] = None,
    end: Annotated[Moment | None, Query()] = None,
) -> HttpResponseBase:
    """Every sample with start <= time < end, series by series in the order of time; nothing chosen: of all devices.

    It is made while it is sent. Samples that arrive meanwhile may or may not be in it.
    """
    try:
        selection = Selection(series=of, devices=device, paths=path, start=start, end=end)
        chunks = export_chunks(selection, format_=format, apart=True)
    except ExportError as error:
        raise HttpError(400, str(error)) from None
    name = export_name(selection, format_=format, at=timezone.localtime())
    return download(request, chunks, content_type=FORMATS[format], file_name=name)
