"""Updates: all of them, and one of them live; calling one back, trying it again."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from backend.accounts.permissions import Permission, require
from backend.firmware.errors import FirmwareError
from backend.firmware.models import FirmwareUpdate
from backend.firmware.selectors.updates import update_get, update_lines
from backend.firmware.services.updates import update_cancel, update_retry
from backend.ui.firmware.lists import context_of, updates_csv, updates_of
from backend.ui.firmware.updates import update_view
from backend.ui.listing import live_url
from backend.ui.views.common import person, sentence

# -- all of them


def _list_context(request: HttpRequest) -> dict[str, Any]:
    return context_of(updates_of(request.GET), url=reverse("firmware-updates"), part=reverse("part-updates"))


@require(Permission.VIEW)
@require_safe
def update_list_page(request: HttpRequest) -> HttpResponse:
    """Updates of all devices, newest first, filtered by the address; `?_export=csv` gives the same as a file."""
    context = _list_context(request)
    if request.GET.get("_export") == "csv":
        return updates_csv(context["list"])
    return render(request, "ui/firmware_updates.html", context)


@require(Permission.VIEW)
@require_safe
def updates_part(request: HttpRequest) -> HttpResponse:
    """The same as it is now."""
    return render(request, "ui/parts/update_list.html", _list_context(request))


# -- one of them


def _update(pk: int) -> FirmwareUpdate:
    try:
        return update_get(id=pk)
    except FirmwareUpdate.DoesNotExist:
        raise Http404("There is no such update (any more).") from None


def _context(update: FirmwareUpdate) -> dict[str, Any]:
    return {
        "device": update.device,
        "live_url": live_url([update.device]),
        "one": update_view(update),
        "update": update,
        "lines": update_lines(update=update),
        "retries": list(update.retries.order_by("id")),
    }


@require(Permission.VIEW)
@require_safe
def update_page(request: HttpRequest, pk: int) -> HttpResponse:
    """One update: how far it is, how it ended, and every line of its history."""
    return render(request, "ui/firmware_update.html", _context(_update(pk)))


@require(Permission.VIEW)
@require_safe
def update_part(request: HttpRequest, pk: int) -> HttpResponse:
    """The same as it is now."""
    return render(request, "ui/parts/update.html", _context(_update(pk)))


# where a page that asked for something is shown again
def _back(request: HttpRequest, update: FirmwareUpdate) -> str:
    where = request.POST.get("back", "")
    if where == "campaign" and update.campaign_id is not None:
        return reverse("campaign", args=[update.campaign_id])
    if where == "device":
        return f"{reverse('device', kwargs={'endpoint': update.device.endpoint})}?tab=firmware"
    if where == "list":
        return reverse("firmware-updates")
    return reverse("firmware-update", args=[update.pk])


def _told(request: HttpRequest, update: FirmwareUpdate, *, text: str = "", error: str = "", back: str) -> HttpResponse:
    """What came of it, beside the rows (htmx), else as a page."""
    if not request.htmx:  # type: ignore[attr-defined]
        if error:
            return render(request, "ui/refused.html", {"error": error, "back": back}, status=400)
        return HttpResponseRedirect(back)
    response = render(request, "ui/parts/update_told.html", {"update": update, "text": text, "error": error})
    if not error:
        response.headers["HX-Trigger"] = "fn:firmware"
    return response


@require(Permission.OPERATE)
@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Calls it back."""
    update = _update(pk)
    back = _back(request, update)
    try:
        update_cancel(update_id=update.pk, by=person(request))
    except FirmwareError as error:
        return _told(request, update, error=sentence(error), back=back)
    return _told(request, update, text="The update is being cancelled.", back=back)


@require(Permission.OPERATE)
@require_POST
def retry(request: HttpRequest, pk: int) -> HttpResponse:
    """Begins it again, as another update."""
    update = _update(pk)
    back = _back(request, update)
    try:
        made = update_retry(update_id=update.pk, by=person(request))
    except FirmwareError as error:
        return _told(request, update, error=sentence(error), back=back)
    if request.POST.get("back", "") == "" and not request.htmx:  # type: ignore[attr-defined]
        back = reverse("firmware-update", args=[made.pk])
    return _told(request, made, text="It is tried again, from the beginning.", back=back)
