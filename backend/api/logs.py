"""Log lines of devices."""

from typing import Annotated, Any, Literal

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from ninja.errors import HttpError
from ninja.params.functions import Query

from backend.api import log_schemas as schemas
from backend.api.base import ERRORS, Endpoint, api, device_or_404
from backend.api.parameters import Moment, strict
from backend.config.streaming import download
from backend.logs.filters import MAX_SEARCH, Cursor, LineFilter
from backend.logs.models import Severity
from backend.logs.selectors import lines_page, modules_list, stream_iter
from backend.logs.text import FORMATS, line_fields, loss_fields, pieces

MAX_PAGE = 1000
MAX_DEVICES = 500
MAX_MODULES = 200
FILTER = ("device", "severity", "module", "search", "start", "end")

Devices = Annotated[list[Endpoint], Query(max_length=MAX_DEVICES, description="repeat it for more than one; none: all")]
UpTo = Annotated[
    Literal["error", "warning", "info", "debug"] | None,
    Query(description="this severity and worse ones; unread ones too"),
]
Modules = Annotated[list[str], Query(max_length=MAX_MODULES, description="repeat it for more than one; none: all")]
Search = Annotated[
    str, Query(max_length=MAX_SEARCH, description="a piece of the text as it stands; a to z match A to Z, too")
]
Start = Annotated[Moment | None, Query(description="from here on")]
End = Annotated[Moment | None, Query(description="up to here, without it")]


def _filter(
    device: list[str], severity: str | None, module: list[str], search: str, start: int | None, end: int | None
) -> LineFilter:
    if start is not None and end is not None and end < start:
        raise HttpError(400, "end lies before start: swap them.")
    if any("\0" in text for text in (search, *module)):
        raise HttpError(400, "NUL is in no line: search for \\x00, which stands in its place.")
    return LineFilter(
        devices=[device_or_404(one).pk for one in dict.fromkeys(device)] if device else None,
        severity=None if severity is None else Severity[severity.upper()],
        modules=module,
        search=search,
        start=start,
        end=end,
    )


def _cursor(name: str, text: str | None) -> Cursor | None:
    try:
        return None if text is None else Cursor.parse(text)
    except ValueError as error:
        raise HttpError(400, f"{name}: {error}") from None


@api.get("/logs", response={200: schemas.Lines, **ERRORS}, summary="Log lines", tags=["logs"])
@strict(*FILTER, "before", "after", "around", "limit")
def logs(
    request: HttpRequest,
    device: Devices = [],  # noqa: B006 - read only
    severity: UpTo = None,
    module: Modules = [],  # noqa: B006 - read only
    search: Search = "",
    start: Start = None,
    end: End = None,
    before: Annotated[str | None, Query(max_length=60, description="`older` of an earlier answer")] = None,
    after: Annotated[str | None, Query(max_length=60, description="`newer` of an earlier answer")] = None,
    around: Annotated[Moment | None, Query(description="lines before and after this time")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 200,
) -> HttpResponse:
    """A portion of the lines of all the devices asked for, in one stream, newest first."""
    if sum(one is not None for one in (before, after, around)) > 1:
        raise HttpError(400, "before, after and around: give one of them at most.")
    page = lines_page(
        filter=_filter(device, severity, module, search, start, end),
        before=_cursor("before", before),
        after=_cursor("after", after),
        around=around,
        limit=limit,
    )
    # many lines: written as they are, without a second look at each
    return api.create_response(
        request,
        {
            "items": [line_fields(line) for line in page.lines],
            "losses": [loss_fields(loss) for loss in page.losses],
            "more_losses": page.more_losses,
            "older": None if page.older is None else str(page.older),
            "newer": None if page.newer is None else str(page.newer),
            "newest": page.newest,
        },
        status=200,
    )


@api.get("/logs/modules", response={200: schemas.Modules, **ERRORS}, summary="Modules", tags=["logs"])
@strict("device")
def modules(request: HttpRequest, device: Devices = []) -> dict[str, Any]:  # noqa: B006 - read only
    """What modules there are lines of."""
    devices = [device_or_404(one).pk for one in device] if device else None
    return {"items": modules_list(devices=devices)}


@api.get("/logs/download", summary="Log lines as a file", tags=["logs"])
@strict(*FILTER, "format")
def logs_download(
    request: HttpRequest,
    device: Devices = [],  # noqa: B006 - read only
    severity: UpTo = None,
    module: Modules = [],  # noqa: B006 - read only
    search: Search = "",
    start: Start = None,
    end: End = None,
    format: Annotated[Literal["text", "ndjson"], Query()] = "text",
) -> HttpResponseBase:
    """All lines of the filter and what is lost of them, oldest first, made while it is sent."""
    filter = _filter(device, severity, module, search, start, end)
    name = f"logs-{timezone.now():%Y%m%d-%H%M%S}.{'ndjson' if format == 'ndjson' else 'txt'}"
    return download(
        request, pieces(stream_iter(filter=filter), format_=format), content_type=FORMATS[format], file_name=name
    )
