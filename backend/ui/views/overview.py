"""The first page, and what all pages share: the state of the pipeline and the legend."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port
from django.shortcuts import render
from django.views.decorators.http import require_safe

from backend.accounts.permissions import Permission, require
from backend.devices.models import Status
from backend.devices.selectors import event_list, pipeline_state, status_counts
from backend.ui.alerts.words import ALERT_STATES
from backend.ui.legend import CAMPAIGN_STATES, COMMAND_STATES, DEVICE_STATES, OBSERVATION_STATES, UPDATE_STATES
from backend.ui.selectors import attention


def _context(request: HttpRequest) -> dict[str, Any]:
    counts = status_counts()
    return {
        "counts": [(info, counts[Status(key)]) for key, info in DEVICE_STATES.items()],
        "total": sum(counts.values()),
        "attention": attention(silent_count=counts[Status.OFFLINE]),
        "pipeline": pipeline_state(),
        "events": event_list(limit=12),
        "host": split_domain_port(request.get_host())[0],
    }


@require(Permission.VIEW)
@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """Is everything all right?"""
    return render(request, "ui/overview.html", _context(request))


@require(Permission.VIEW)
@require_safe
def overview_part(request: HttpRequest) -> HttpResponse:
    """The same, fetched again while the page is open."""
    return render(request, "ui/parts/overview.html", _context(request))


@require(Permission.VIEW)
@require_safe
def pipeline_part(request: HttpRequest) -> HttpResponse:
    """The banner that says when sync or Leshan is down or behind."""
    return render(request, "ui/parts/pipeline.html", {"pipeline": pipeline_state()})


@require(Permission.VIEW)
@require_safe
def statuses(request: HttpRequest) -> HttpResponse:
    """What every state means and what to do."""
    return render(
        request,
        "ui/statuses.html",
        {
            "device_states": DEVICE_STATES.values(),
            "observation_states": OBSERVATION_STATES.values(),
            "command_states": COMMAND_STATES.values(),
            "update_states": UPDATE_STATES.values(),
            "campaign_states": CAMPAIGN_STATES.values(),
            "alert_states": ALERT_STATES.values(),
        },
    )
