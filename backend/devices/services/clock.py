"""A device's clock (object 3, resource 13)."""

from datetime import datetime

from django.db import transaction

from backend.devices.models import Change, Device, DeviceEvent

_UNITS = ((365 * 86_400, "year"), (86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def _span(seconds: float) -> str:
    """`56 years`, `1 hour`."""
    for length, name in _UNITS:
        count = int(abs(seconds) // length)
        if count:
            return f"{count} {name}" + ("s" if count > 1 else "")
    return "less than a second"


def clock_noted(*, endpoint: str, ahead: float, error: str, at: datetime) -> None:
    """Notes that the device's clock was set, or that it does not let us; `ahead`: how far it was, in seconds."""
    wrong = f"The device's clock was {_span(ahead)} {'ahead' if ahead > 0 else 'behind'}"
    text = f"{wrong}; it could not be set: {error}" if error else f"{wrong} and was set"
    with transaction.atomic():
        device = Device.objects.filter(endpoint=endpoint).first()
        if device is not None:
            detail = {"ahead": round(ahead, 1), "error": error}
            DeviceEvent.objects.create(device=device, kind=DeviceEvent.Kind.CLOCK_SET, at=at, text=text, detail=detail)
            Change.objects.create(device_id=device.pk, kind=Change.Kind.STATUS)
