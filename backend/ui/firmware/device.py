"""The Firmware tab of a device's page."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, QueryDict
from django.urls import reverse

from backend.accounts.permissions import Permission, allowed
from backend.devices.models import Device, Resource
from backend.devices.selectors import registration_of
from backend.firmware.models import OPEN
from backend.firmware.selectors.images import images_for
from backend.firmware.selectors.updates import update_list
from backend.lwm2m.objects import object_instances
from backend.ui.firmware.forms import UpdateForm
from backend.ui.firmware.lists import context_of, updates_of
from backend.ui.firmware.updates import update_view
from backend.ui.firmware.words import DELIVERY, LWM2M_STATES, PROTOCOLS, UPDATE_RESULTS, coded

FIRMWARE_OBJECT = 5
# LwM2M Software Management: packages beside the firmware, not carried out here yet
SOFTWARE_OBJECT = 9
# updates on the tab
HISTORY = 20


@dataclass(frozen=True)
class FirmwareObject:
    """An instance of object 5 as the device says it, in words; "" is not known."""

    instance: int
    state: str
    result: str
    package: str
    version: str
    protocols: str
    delivery: str


def _listed(device: Device, object_id: int) -> list[int]:
    """The instances of an object, as the registration lists them."""
    registration = registration_of(device)
    return sorted(object_instances(registration.object_links).get(object_id, [])) if registration else []


def firmware_instances(device: Device) -> list[int]:
    """Of object 5, as the registration lists them."""
    return _listed(device, FIRMWARE_OBJECT)


def _objects(device: Device, instances: list[int]) -> list[FirmwareObject]:
    rows = Resource.objects.filter(device=device, object_id=FIRMWARE_OBJECT)
    values: dict[tuple[int, int], list[Resource]] = {}
    for row in rows:
        values.setdefault((row.object_instance_id, row.resource_id), []).append(row)

    def text(instance: int, resource: int) -> str:
        there = values.get((instance, resource), [])
        return there[0].value or "" if there else ""

    def number(instance: int, resource: int) -> int | None:
        said = text(instance, resource)
        return int(said) if said.lstrip("-").isdecimal() and len(said) < 10 else None

    def several(instance: int, resource: int) -> str:
        there = values.get((instance, resource), [])
        numbers = sorted({int(one.value) for one in there if one.value and one.value.isdecimal()})
        return ", ".join(PROTOCOLS.get(one, str(one)) for one in numbers)

    every = sorted({*instances, *(instance for instance, _ in values)})
    return [
        FirmwareObject(
            instance=one,
            state=coded(LWM2M_STATES, number(one, 3)),
            result=coded(UPDATE_RESULTS, number(one, 5)),
            package=text(one, 6),
            version=text(one, 7),
            protocols=several(one, 8),
            delivery=coded(DELIVERY, number(one, 9)),
        )
        for one in every
    ]


def live_context(device: Device) -> dict[str, Any]:
    """What moves: the updates that are open, and what the device says."""
    instances = firmware_instances(device)
    return {
        "device": device,
        "objects": _objects(device, instances),
        "registered": registration_of(device) is not None,
        "software": [f"/{SOFTWARE_OBJECT}/{one}" for one in _listed(device, SOFTWARE_OBJECT)],
        "current": [update_view(one) for one in update_list(device=device, states=OPEN).order_by("id")],
    }


def history_context(device: Device, query: QueryDict) -> dict[str, Any]:
    """The updates that have ended."""
    return context_of(
        updates_of(query, device=device, page_size=HISTORY),
        url=reverse("device", kwargs={"endpoint": device.endpoint}),
        part=reverse("part-device-updates", kwargs={"endpoint": device.endpoint}),
    ) | {"device": device}


def firmware_tab(request: HttpRequest, device: Device) -> dict[str, Any]:
    """What the Firmware tab of a device's page is made of."""
    return live_context(device) | history_context(device, of_list(request)) | form_context(request, device, None)


def of_list(request: HttpRequest) -> QueryDict:
    """The address without what belongs to the page."""
    query = request.GET.copy()
    query.pop("tab", None)
    return query


def form_context(request: HttpRequest, device: Device, form: UpdateForm | None) -> dict[str, Any]:
    """The form for another update, with the images that fit first; nothing for those who may not act."""
    if not allowed(request.user, Permission.OPERATE):
        return {}
    fitting = images_for(device=device)
    form = form or UpdateForm(instances=firmware_instances(device))
    fits = {image.pk for image in fitting}
    images = list(form.fields["image"].queryset)  # type: ignore[attr-defined]
    choices = [(image, image.pk in fits) for image in images]
    return {
        "update_form": form,
        "fitting": [image for image, fit in choices if fit],
        "others": [image for image, fit in choices if not fit],
        # none unless somebody chose it: what is sent should be meant
        "chosen_image": str(form["image"].value() or ""),
    }
