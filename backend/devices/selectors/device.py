"""Reads of devices: lists, one device, counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, F, OrderBy, QuerySet

from backend.devices.models import Device, Observation, Registration, Status
from backend.devices.selectors.words import words_match

# what a list may be ordered by: its name outside → the field
DEVICE_ORDERS = {
    "endpoint": "endpoint",
    "status": "status",
    "status_since": "status_since",
    "last_contact": "last_contact",
    "manufacturer": "manufacturer",
    "model": "model",
    "serial_number": "serial_number",
    "firmware_version": "firmware_version",
    "profile": "profile__name",
    "created_at": "created_at",
}


@dataclass(frozen=True, kw_only=True)
class DeviceFilter:
    """The choices that a list of devices offers: values that occur, in order; the empty one stands for unknown."""

    models: list[str]
    firmware_versions: list[str]
    manufacturers: list[str]


def _ordering(order: str) -> OrderBy:
    """Ascending, or descending with a leading `-`; unknown values always last. Raises ValueError."""
    name = order.removeprefix("-")
    if name not in DEVICE_ORDERS or order.startswith("--"):
        known = ", ".join(DEVICE_ORDERS)
        raise ValueError(f"cannot order by {order!r}: use one of {known}, with a leading - for descending")
    field = F(DEVICE_ORDERS[name])
    return field.desc(nulls_last=True) if order.startswith("-") else field.asc(nulls_last=True)


def device_list(
    *,
    search: str = "",
    status: Sequence[str] = (),
    model: str | None = None,
    firmware_version: str | None = None,
    manufacturer: str | None = None,
    order: str = "endpoint",
) -> QuerySet[Device]:
    """Devices with profile and registration at hand (one query for any number of them).

    `search`: every word of it occurs in the endpoint, manufacturer, model, serial number or firmware version (in any
    case of letters; on SQLite of ASCII letters). `status`: one of several. `model`, `firmware_version`,
    `manufacturer`: exactly; the empty text finds devices that have not said.
    Raises ValueError on an unknown status or order.
    """
    devices = Device.objects.select_related("profile", "registration")
    fields = ("endpoint", "serial_number", "model", "manufacturer", "firmware_version")
    devices = devices.filter(words_match(search, *fields))
    unknown = [one for one in status if one not in Status.values]
    if unknown:
        raise ValueError(f"there is no status {unknown[0]!r}: use one of {', '.join(Status.values)}")
    if status:
        devices = devices.filter(status__in=status)
    if model is not None:
        devices = devices.filter(model=model)
    if firmware_version is not None:
        devices = devices.filter(firmware_version=firmware_version)
    if manufacturer is not None:
        devices = devices.filter(manufacturer=manufacturer)
    if "\0" in f"{search}{model}{firmware_version}{manufacturer}":
        # no text in a database holds it, and PostgreSQL refuses to look
        devices = devices.none()
    # the endpoint name decides between equals, so that pages never overlap
    return devices.order_by(_ordering(order), "endpoint")


def device_get(*, endpoint: str) -> Device:
    """One device with profile and registration. Raises Device.DoesNotExist."""
    if "\0" in endpoint:
        # PostgreSQL cannot even be asked for it
        raise Device.DoesNotExist
    return Device.objects.select_related("profile", "registration").get(endpoint=endpoint)


def device_choices() -> DeviceFilter:
    """What there is to filter devices by."""

    def values(field: str) -> list[str]:
        return list(Device.objects.order_by(field).values_list(field, flat=True).distinct())

    return DeviceFilter(
        models=values("model"), firmware_versions=values("firmware_version"), manufacturers=values("manufacturer")
    )


def status_counts() -> dict[Status, int]:
    """How many devices are in each state; every state is there, also with 0."""
    rows = Device.objects.order_by().values_list("status").annotate(number=Count("pk"))
    counted = dict(rows)
    return {status: counted.get(status.value, 0) for status in Status}


def observation_list(*, device: Device) -> list[Observation]:
    """What is observed on the device, wanted and real, by path."""
    return list(Observation.objects.filter(device=device))


def observation_failures() -> QuerySet[Observation]:
    """Failed observations that somebody should look at.

    Not those where the device answered that it has no such path (4.04): a profile is a wish for many kinds of devices.
    """
    return Observation.objects.filter(state=Observation.State.FAILED).exclude(reason__startswith="NOT_FOUND")


def registration_of(device: Device) -> Registration | None:
    """The device's newest registration, ended or not; None where there has been none."""
    try:
        return device.registration
    except Registration.DoesNotExist:
        return None


def next_expected(device: Device) -> datetime | None:
    """When the device will have made itself heard at the latest: the end of its lifetime. None while unregistered."""
    registration = registration_of(device)
    if registration is None or registration.ended_at is not None:
        return None
    try:
        return registration.last_update + timedelta(seconds=registration.lifetime)
    except OverflowError:
        # a lifetime of centuries stands for "never expires"
        return None
