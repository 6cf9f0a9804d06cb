"""Reads of what happened."""

from backend.devices.models import Device, DeviceEvent


def event_list(*, device: Device | None = None, limit: int = 50) -> list[DeviceEvent]:
    """The newest events, of one device or of all (refused strangers included), newest first, devices at hand."""
    events = DeviceEvent.objects.select_related("device")
    if device is not None:
        events = events.filter(device=device)
    return list(events.order_by("-at", "-id")[:limit])
