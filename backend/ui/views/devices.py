"""The list of devices and the page of one."""

import shlex
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.http.request import split_domain_port
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe
from django_tables2 import RequestConfig

from backend.accounts.permissions import Permission, require
from backend.devices.models import Device, Registration
from backend.devices.selectors import (
    device_choices,
    device_get,
    event_list,
    next_expected,
    observation_list,
)
from backend.ui import selectors
from backend.ui.filters import DevicesFilter
from backend.ui.listing import list_state, live_url, rows_url
from backend.ui.tables import PAGE_SIZES, DevicesTable, devices_csv
from backend.ui.values import values_page

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


def _device(endpoint: str) -> Device:
    try:
        return device_get(endpoint=endpoint)
    except Device.DoesNotExist:
        raise Http404(f"There is no device with the endpoint name “{endpoint}”.") from None


def _registration(device: Device) -> Registration | None:
    return getattr(device, "registration", None)


def _head(device: Device) -> dict[str, Any]:
    figures = selectors.key_figures(device=device)
    return {
        "device": device,
        "registration": _registration(device),
        "next_expected": next_expected(device),
        "battery": figures.get(selectors.BATTERY_PATH),
        "signal": figures.get(selectors.SIGNAL_PATH),
    }


def _values(request: HttpRequest, device: Device) -> dict[str, Any]:
    page = values_page(device=device, series=request.GET.get("series", ""))
    return {"device": device, "page": page, "ranges": RANGES}


def _connection(device: Device) -> dict[str, Any]:
    return {
        "device": device,
        "registration": _registration(device),
        "next_expected": next_expected(device),
        "credential": selectors.credential_of(device=device),
        "certificates": selectors.certificate_list(device=device),
        "observations": observation_list(device=device),
        "events": event_list(device=device, limit=50),
        "new_credential": f"scripts/certs device {shlex.quote(device.endpoint)}",
        "raw_events": selectors.raw_event_list(device=device, limit=50),
    }


TABS = {"values": "Values", "connection": "Connection"}


@require(Permission.VIEW)
@require_safe
def device_page(request: HttpRequest, endpoint: str) -> HttpResponse:
    """One device: `?tab=values|connection`, and for the chart `&series=PATH&range=SECONDS`."""
    device = _device(endpoint)
    tab = request.GET.get("tab", "")
    tab = tab if tab in TABS else "values"
    address = reverse("device", kwargs={"endpoint": endpoint})
    context = _head(device) | {
        "tab": tab,
        "tabs": [
            (label, address if key == "values" else f"{address}?{urlencode({'tab': key})}", key == tab)
            for key, label in TABS.items()
        ],
        "live_url": live_url([device]),
    }
    context |= _connection(device) if tab == "connection" else _values(request, device)
    return render(request, f"ui/device_{tab}.html", context)


@require(Permission.VIEW)
@require_safe
def head_part(request: HttpRequest, endpoint: str) -> HttpResponse:
    """The device page's header."""
    return render(request, "ui/parts/device_head.html", _head(_device(endpoint)))


@require(Permission.VIEW)
@require_safe
def values_part(request: HttpRequest, endpoint: str) -> HttpResponse:
    """The device's current values."""
    return render(request, "ui/parts/device_values.html", _values(request, _device(endpoint)))


@require(Permission.VIEW)
@require_safe
def connection_part(request: HttpRequest, endpoint: str) -> HttpResponse:
    """The device's Connection tab."""
    return render(request, "ui/parts/device_connection.html", _connection(_device(endpoint)))
