"""Firmware on one device's page: what moves there, and asking for an update."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from backend.accounts.permissions import Permission, require
from backend.firmware.errors import FirmwareError
from backend.firmware.services.updates import update_create
from backend.ui.firmware.device import firmware_instances, form_context, history_context, live_context, of_list
from backend.ui.firmware.forms import UpdateForm
from backend.ui.views.common import device_or_404, person, sentence
from backend.ui.views.devices import page_context


@require(Permission.VIEW)
@require_safe
def device_part(request: HttpRequest, endpoint: str) -> HttpResponse:
    """What moves on the Firmware tab."""
    return render(request, "ui/parts/device_firmware.html", live_context(device_or_404(endpoint)))


@require(Permission.VIEW)
@require_safe
def history_part(request: HttpRequest, endpoint: str) -> HttpResponse:
    """The updates of the device that have ended."""
    context = history_context(device_or_404(endpoint), of_list(request))
    return render(request, "ui/parts/device_updates.html", context)


@require(Permission.OPERATE)
@require_POST
def update_new(request: HttpRequest, endpoint: str) -> HttpResponse:
    """Asks for an update of one device."""
    device = device_or_404(endpoint)
    form = UpdateForm(request.POST, instances=firmware_instances(device))
    problem = ""
    if form.is_valid():
        said = form.cleaned_data
        try:
            update_create(
                device=device,
                image=said["image"],
                by=person(request),
                method=said["method"],
                force=said["force"],
                object_instance=said.get("object_instance"),
            )
        except FirmwareError as error:
            problem = sentence(error)
        else:
            return HttpResponseRedirect(f"{reverse('device', kwargs={'endpoint': endpoint})}?tab=firmware")
    else:
        problem = "Nothing was asked: see what is missing below."
    context = page_context(request, device, "firmware") | form_context(request, device, form) | {"problem": problem}
    return render(request, "ui/device_firmware.html", context)
