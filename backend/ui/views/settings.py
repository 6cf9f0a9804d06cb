"""The settings' first page, and the forms of a device's Settings tab."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from backend.accounts.permissions import Permission, require
from backend.devices.models import Device
from backend.devices.services import device_observation_clear, device_observation_set, profile_assign
from backend.ui.settings_forms import DeviceObservationForm, DeviceProfileForm
from backend.ui.views.common import device_or_404, person, sentence
from backend.ui.views.devices import page_context
from backend.ui.views.tabs import settings_tab


@require(Permission.ADMINISTER)
@require_safe
def settings_index(request: HttpRequest) -> HttpResponse:
    """Where everything that is set lies."""
    return render(request, "ui/settings.html")


def _tab(request: HttpRequest, device: Device, **wrong: Any) -> HttpResponse:
    """The tab again, with what was wrong."""
    return render(request, "ui/device_settings.html", page_context(request, device, "settings") | wrong)


def _done(device: Device) -> HttpResponse:
    return HttpResponseRedirect(reverse("device", kwargs={"endpoint": device.endpoint}) + "?tab=settings")


@require(Permission.VIEW)
@require_safe
def settings_part(request: HttpRequest, endpoint: str) -> HttpResponse:
    """The observations of a device's Settings tab, fetched again while it is open."""
    return render(request, "ui/parts/device_wishes.html", settings_tab(request, device_or_404(endpoint)))


@require(Permission.OPERATE)
@require_POST
def device_profile(request: HttpRequest, endpoint: str) -> HttpResponse:
    """Another profile by hand, or (`rules=1`) back to what the rules say."""
    device = device_or_404(endpoint)
    if request.POST.get("rules"):
        profile_assign(devices=device, profile=None, by_hand=False)
        return _done(device)
    form = DeviceProfileForm(request.POST)
    if not form.is_valid():
        return _tab(request, device, profile_form=form, problem="Choose one of the profiles.")
    profile_assign(devices=device, profile=form.cleaned_data["profile"])
    return _done(device)


@require(Permission.OPERATE)
@require_POST
def device_observation(request: HttpRequest, endpoint: str) -> HttpResponse:
    """`action` observe (with attributes), remove (not on this device), clear (back to the profile's word)."""
    device = device_or_404(endpoint)
    action, path = request.POST.get("action", "observe"), request.POST.get("path", "")
    try:
        if action == "clear":
            device_observation_clear(device=device, path=path)
        elif action == "remove":
            device_observation_set(device=device, path=path, wanted=False, attributes={}, by=person(request))
        else:
            form = DeviceObservationForm(request.POST)
            if not form.is_valid():
                return _tab(request, device, observation_form=form)
            device_observation_set(
                device=device, path=form.cleaned_data["path"], attributes=form.attributes, by=person(request)
            )
    except ValueError as error:
        return _tab(request, device, observation_form=DeviceObservationForm(request.POST), problem=sentence(error))
    return _done(device)
