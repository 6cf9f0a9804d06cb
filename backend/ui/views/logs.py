"""Log lines of all devices and of one; the lines themselves are fetched as JSON."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from backend.accounts.permissions import Permission, require
from backend.devices.models import Device
from backend.devices.selectors import device_list
from backend.logs.models import Line, Severity
from backend.logs.selectors import modules_list
from backend.ui.logs.address import RANGES, UP_TO, Address, address_of, moment_of
from backend.ui.logs.device import LEVELS, device_logs
from backend.ui.logs.stream import cursor_of, news_json, page_json
from backend.ui.views.common import device_or_404

# what type-ahead offers at once
SUGGESTIONS = 20


def _stream(address: Address, *, device: Device | None) -> dict[str, Any]:
    """What the stream's template and script are given: the first lines are in the page already."""
    return {
        "ranges": [(key, label) for key, (_, label) in RANGES.items()],
        "severities": [(key, label) for key, (_, label) in UP_TO.items()],
        "address": address,
        "stream": {
            "device": device.endpoint if device else None,
            "severities": dict(Severity.choices),
            "url": reverse("part-logs"),
            "line_url": reverse("part-log-line", kwargs={"pk": 0}),
            "choices_url": reverse("part-log-choices"),
            "download_url": "/api/v1/logs/download",
            "device_url": reverse("device", kwargs={"endpoint": "ENDPOINT"}),
            "logs_url": reverse("logs"),
            "unknown": address.unknown,
            "first": page_json(address, around=address.at),
        },
    }


@require(Permission.VIEW)
@require_safe
def logs_page(request: HttpRequest) -> HttpResponse:
    """Lines of all devices, filtered by the address.

    `device=`, `module=` (several), `severity=` (up to), `search=`, `range=` (see RANGES) or `from=&to=`, `at=`.
    """
    address = address_of(request.GET)
    known = [endpoint for endpoint in address.endpoints if endpoint not in address.unknown]
    live = f"/api/v1/live?{urlencode([('device', one) for one in known])}" if known else "/api/v1/live"
    context = _stream(address, device=None) | {"live_url": live, "any": Line.objects.exists()}
    return render(request, "ui/logs.html", context)


def logs_tab(request: HttpRequest, device: Device) -> dict[str, Any]:
    """The Logs tab of a device's page: the same without `device=`."""
    facts = device_logs(device)
    context = _stream(address_of(request.GET, device=device), device=device)
    return context | {"device": device, "logs": facts, "levels": LEVELS, "any": facts.any}


@require(Permission.VIEW)
@require_safe
def logs_facts_part(request: HttpRequest, endpoint: str) -> HttpResponse:
    """What the device's lines cost and what was cut, as it is now."""
    device = device_or_404(endpoint)
    return render(request, "ui/parts/logs_facts.html", {"device": device, "logs": device_logs(device)})


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0


@require(Permission.VIEW)
@require_safe
def lines_part(request: HttpRequest) -> JsonResponse:
    """Lines as JSON: with the page's filters, and `before=` or `after=` a cursor, `around=` a time, or `since=` a line.

    `since=NUMBER&floor=MICROSECONDS`: what was stored after that line, and the losses from that time on.
    """
    address = address_of(request.GET)
    if "since" in request.GET:
        floor = request.GET.get("floor", "").lstrip("-")
        return JsonResponse(news_json(address, since=_number(request.GET["since"]), floor=_number(floor)))
    return JsonResponse(
        page_json(
            address,
            before=cursor_of(request.GET.get("before", "")),
            after=cursor_of(request.GET.get("after", "")),
            around=moment_of(request.GET.get("around", "")),
        )
    )


@require(Permission.VIEW)
@require_safe
def line_part(request: HttpRequest, pk: int) -> JsonResponse:
    """The whole text of one line, for those that are too long to be shown at once."""
    text = Line.objects.filter(pk=pk).values_list("text", flat=True).first()
    if text is None:
        raise Http404("There is no such line (any more).")
    return JsonResponse({"text": text})


@require(Permission.VIEW)
@require_safe
def choices_part(request: HttpRequest) -> JsonResponse:
    """Suggestions for a filter: `what=device|module`, `search=` what was typed; modules of `device=` (several)."""
    search = request.GET.get("search", "").strip()
    if request.GET.get("what") == "device":
        found = device_list(search=search).order_by("endpoint").values_list("endpoint", flat=True)
        return JsonResponse({"choices": list(found[:SUGGESTIONS])})
    names = modules_list(devices=address_of(request.GET).devices)
    fitting = [name for name in names if search.lower() in name.lower()]
    return JsonResponse({"choices": fitting[:SUGGESTIONS]})
