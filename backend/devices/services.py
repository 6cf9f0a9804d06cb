"""Writes to devices."""

from backend.devices.models import Device


def device_provision(*, endpoint: str) -> Device:
    """The device with this endpoint name, created (never seen, default profile) where it is new.

    Raises ValueError on an empty name or one of more than 255 characters.
    """
    if not endpoint or len(endpoint) > 255:
        raise ValueError("an endpoint name has 1 to 255 characters")
    device, _ = Device.objects.get_or_create(endpoint=endpoint)
    return device
