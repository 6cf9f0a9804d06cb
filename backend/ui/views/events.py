"""What happened, on all devices."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from backend.accounts.permissions import Permission, require
from backend.devices.models import DeviceEvent
from backend.ui.selectors import event_page, raw_event_list


@require(Permission.VIEW)
@require_safe
def event_list_page(request: HttpRequest) -> HttpResponse:
    """Events, newest first: `?kind=refused`, and `&before=…` for older ones."""
    kind = request.GET.get("kind", "")
    kind = kind if kind in DeviceEvent.Kind.values else ""
    page = event_page(kind=kind, before=request.GET.get("before", ""))
    kinds = [("", "All", kind == "")] + [(value, label, value == kind) for value, label in DeviceEvent.Kind.choices]
    query = {"kind": kind, "before": page.older} if kind else {"before": page.older}
    older_url = f"?{urlencode(query)}" if page.older else ""
    return render(
        request,
        "ui/events.html",
        {"events": page.events, "kinds": kinds, "older_url": older_url, "first": not request.GET.get("before")},
    )


@require(Permission.VIEW)
@require_safe
def raw_event_list_page(request: HttpRequest) -> HttpResponse:
    """Events that could not be understood, as they came."""
    return render(request, "ui/raw_events.html", {"raw_events": raw_event_list()})
