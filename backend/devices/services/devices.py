"""Writes to devices."""

from collections.abc import Iterable

from backend.devices.models import Device


def device_provision(*, endpoint: str) -> Device:
    """The device with this endpoint name, created (never seen, default profile) where it is new.

    Raises ValueError on an empty name or one of more than 255 characters.
    """
    if not endpoint or len(endpoint) > 255:
        raise ValueError("an endpoint name has 1 to 255 characters")
    device, _ = Device.objects.get_or_create(endpoint=endpoint)
    return device


def devices_ensure(*, endpoints: Iterable[str], create: Iterable[str]) -> dict[str, Device]:
    """The devices of these endpoint names, by name; those in `create` are made where they are new."""
    wanted = set(endpoints)
    found = {device.endpoint: device for device in Device.objects.filter(endpoint__in=wanted)}
    missing = sorted(set(create) - found.keys())
    if missing:
        # a default profile is asked for once, not once a row
        profile_id = Device._meta.get_field("profile").get_default()
        Device.objects.bulk_create(
            [Device(endpoint=endpoint, profile_id=profile_id) for endpoint in missing], ignore_conflicts=True
        )
        found |= {device.endpoint: device for device in Device.objects.filter(endpoint__in=missing)}
    return found
