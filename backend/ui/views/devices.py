"""The list of devices and the page of one."""

import shlex
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe
from django_tables2 import RequestConfig

from backend.accounts.permissions import Permission, allowed, require
from backend.commands.actions import ACTIONS
from backend.commands.selectors import commands_waiting
from backend.devices.models import Device
from backend.devices.selectors import (
    device_choices,
    event_list,
    next_expected,
    observation_list,
    registration_of,
)
from backend.ui import selectors
from backend.ui.filters import DevicesFilter
from backend.ui.firmware.device import firmware_tab
from backend.ui.listing import list_state, live_url, rows_url
from backend.ui.tables import PAGE_SIZES, DevicesTable, devices_csv
from backend.ui.values import values_page
from backend.ui.views.commands import log_context
from backend.ui.views.common import device_or_404
from backend.ui.views.control import opened
from backend.ui.views.explore import charts_tab
from backend.ui.views.logs import logs_tab
from backend.ui.views.tabs import settings_tab, trace_tab

# of the chart: seconds and what the button says; 0 is all there is
RANGES = (
    (300, "5 min"),
    (3600, "1 h"),
    (21600, "6 h"),
    (86400, "24 h"),
    (604800, "7 d"),
    (0, "All"),
)


@require(Permission.VIEW)
@require_safe
def device_list_page(request: HttpRequest) -> HttpResponse:
    """Devices, filtered, sorted and paged by the address; `?_export=csv` gives the same devices as a file."""
    devices_filter = DevicesFilter(request.GET, choices=device_choices())
    devices_filter.form.is_valid()
    table = DevicesTable(devices_filter.filter_queryset(Device.objects.none()))
    state = list_state(request.GET)
    RequestConfig(request, paginate=False).configure(table)  # the order
    if request.GET.get("_export") == "csv":
        response = HttpResponse(devices_csv(table.data.data), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = 'attachment; filename="devices.csv"'
        return response
    # of the queryset: it counts in the database, the table's rows would all be read
    pages = Paginator(table.data.data, state.page_size)
    table.paginate(page=pages.get_page(request.GET.get("page")).number, per_page=state.page_size)
    shown = [row.record for row in table.page.object_list]
    counts = devices_filter.status_counts()
    context = {
        "filter": devices_filter,
        "table": table,
        "state": state,
        "chips": state.status_chips(counts),
        "page_sizes": PAGE_SIZES,
        "any": state.filtered or bool(shown),
        "rows_url": rows_url(shown),
        "live_url": live_url(shown),
        "host": split_domain_port(request.get_host())[0],
    }
    return render(request, "ui/devices.html", context)


@require(Permission.VIEW)
@require_safe
def rows_part(request: HttpRequest) -> HttpResponse:
    """The rows with these ids as they are now, for a list that is open: at most a page of them."""
    ids = [int(text) for text in request.GET.getlist("id") if text.isascii() and text.isdecimal() and len(text) < 19]
    table = DevicesTable(selectors.devices_by_id(ids=ids[: max(PAGE_SIZES)]))
    return render(request, "ui/parts/device_rows.html", {"rows": table.rows})


def _head(device: Device) -> dict[str, Any]:
    figures = selectors.key_figures(device=device)
    return {
        "device": device,
        "registration": registration_of(device),
        "next_expected": next_expected(device),
        "waiting": commands_waiting(device=device),
        "actions": ACTIONS.values(),
        "battery": figures.get(selectors.BATTERY_PATH),
        "signal": figures.get(selectors.SIGNAL_PATH),
    }


def _values(request: HttpRequest, device: Device) -> dict[str, Any]:
    page = values_page(device=device, series=request.GET.get("series", ""))
    return {"device": device, "page": page, "ranges": RANGES, "panel": opened(request, device)}


def _connection(device: Device) -> dict[str, Any]:
    return {
        "device": device,
        "registration": registration_of(device),
        "next_expected": next_expected(device),
        "credential": selectors.credential_of(device=device),
        "certificates": selectors.certificate_list(device=device),
        "observations": observation_list(device=device),
        "events": event_list(device=device, limit=50),
        "new_credential": f"scripts/certs device {shlex.quote(device.endpoint)}",
        "raw_events": selectors.raw_event_list(device=device, limit=50),
    }


# key in the address → (label, what it takes, what its template is given)
TABS: dict[str, tuple[str, Permission, Callable[[HttpRequest, Device], dict[str, Any]]]] = {
    "values": ("Values", Permission.VIEW, _values),
    "charts": ("Charts", Permission.VIEW, charts_tab),
    "logs": ("Logs", Permission.VIEW, logs_tab),
    "commands": ("Commands", Permission.VIEW, lambda request, device: log_context(request, device=device)),
    "firmware": ("Firmware", Permission.VIEW, firmware_tab),
    "connection": ("Connection", Permission.VIEW, lambda request, device: _connection(device)),
    "trace": ("Trace", Permission.ADMINISTER, trace_tab),
    "settings": ("Settings", Permission.VIEW, settings_tab),
}


def page_context(request: HttpRequest, device: Device, tab: str) -> dict[str, Any]:
    """What the page of a device is made of, with one of its tabs."""
    address = reverse("device", kwargs={"endpoint": device.endpoint})
    tabs = [
        (label, address if key == "values" else f"{address}?{urlencode({'tab': key})}", key == tab)
        for key, (label, permission, _) in TABS.items()
        if allowed(request.user, permission)
    ]
    return _head(device) | {"tab": tab, "tabs": tabs, "live_url": live_url([device])} | TABS[tab][2](request, device)


@require(Permission.VIEW)
@require_safe
def device_page(request: HttpRequest, endpoint: str) -> HttpResponse:
    """One device: `?tab=` one of TABS, and for the chart `&series=PATH&range=SECONDS`."""
    device = device_or_404(endpoint)
    tab = request.GET.get("tab", "")
    tab = tab if tab in TABS else "values"
    return render(request, f"ui/device_{tab}.html", page_context(request, device, tab))


@require(Permission.VIEW)
@require_safe
def head_part(request: HttpRequest, endpoint: str) -> HttpResponse:
    """The device page's header."""
    return render(request, "ui/parts/device_head.html", _head(device_or_404(endpoint)))


@require(Permission.VIEW)
@require_safe
def values_part(request: HttpRequest, endpoint: str) -> HttpResponse:
    """The device's current values."""
    return render(request, "ui/parts/device_values.html", _values(request, device_or_404(endpoint)))


@require(Permission.VIEW)
@require_safe
def connection_part(request: HttpRequest, endpoint: str) -> HttpResponse:
    """The device's Connection tab."""
    return render(request, "ui/parts/device_connection.html", _connection(device_or_404(endpoint)))
