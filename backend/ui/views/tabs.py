"""What the Trace and Settings tabs of a device's page are made of."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode

from backend.accounts.permissions import Permission, allowed, refusal
from backend.devices.models import Device
from backend.telemetry.selectors import storage_cost_of
from backend.ui.settings_forms import DeviceObservationForm, DeviceProfileForm
from backend.ui.settings_pages import device_settings


def trace_tab(request: HttpRequest, device: Device) -> dict[str, Any]:
    """The live CoAP messages: for administrators, as the stream behind it is."""
    if not allowed(request.user, Permission.ADMINISTER):
        raise PermissionDenied(refusal(request.user, Permission.ADMINISTER))
    return {"trace_url": f"{reverse('debug-trace')}?{urlencode({'ep': device.endpoint})}"}


def settings_tab(request: HttpRequest, device: Device) -> dict[str, Any]:
    """Desired state beside real state; `?path=` fills the form with what holds for that path now."""
    page = device_settings(device=device)
    initial: dict[str, Any] = {}
    chosen = next((row for row in page.rows if row.path == request.GET.get("path")), None)
    if chosen is not None:
        attributes = chosen.own.attributes if chosen.own and chosen.own.wanted else {}
        if not attributes and chosen.observation is not None:
            attributes = chosen.observation.attributes
        initial = {"path": chosen.path, **attributes}
    return {
        "device": device,
        "page": page,
        "cost": storage_cost_of(device=device),
        "cost_url": f"{reverse('settings-storage')}?{urlencode({'device': device.endpoint})}"
        if allowed(request.user, Permission.ADMINISTER)
        else "",
        "may_operate": allowed(request.user, Permission.OPERATE),
        "profile_form": DeviceProfileForm(initial={"profile": device.profile_id}),
        "observation_form": DeviceObservationForm(initial=initial),
        "chosen": chosen,
    }
