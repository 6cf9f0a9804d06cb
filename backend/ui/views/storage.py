"""What devices and their series cost on disk: for administrators."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from django_tables2 import RequestConfig

from backend.accounts.permissions import Permission, require
from backend.devices.selectors import profile_list
from backend.telemetry.selectors import series_by_ids, storage_costs
from backend.ui.costs import DeviceCostsTable, SeriesCostsTable, kept_by
from backend.ui.views.common import device_or_404

PAGE_SIZE = 50


@require(Permission.ADMINISTER)
@require_safe
def storage_page(request: HttpRequest) -> HttpResponse:
    """Each device, or (`?device=ENDPOINT`) each series of one, filtered (`search`), sorted and paged by the address."""
    endpoint, search = request.GET.get("device", ""), request.GET.get("search", "").strip()
    device = device_or_404(endpoint) if endpoint else None
    found = storage_costs(device=device, by_series=device is not None, search=search, page_size=None)
    table = (SeriesCostsTable if device is not None else DeviceCostsTable)(found.items)
    RequestConfig(request, paginate=False).configure(table)
    # a page that is not there is the nearest that is
    asked = request.GET.get("page", "")
    last = max(1, -(-found.count // PAGE_SIZE))
    number = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 9 else 1
    table.paginate(page=min(max(number, 1), last), per_page=PAGE_SIZE)
    if isinstance(table, SeriesCostsTable):
        shown = [row.record.series_id for row in table.page.object_list]
        table.views = series_by_ids(ids=shown)
    context: dict[str, Any] = {
        "device": device,
        "search": search,
        "costs": found,
        "table": table,
        "profiles": [kept_by(profile) for profile in profile_list()],
    }
    return render(request, "ui/settings_storage.html", context)
