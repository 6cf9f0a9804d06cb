"""Writes to observations: what is wanted on a device, and how far that has come."""

from collections.abc import Iterable
from datetime import datetime

from backend.devices.models import Observation


def observations_want(*, device_id: int, paths: Iterable[str], at: datetime) -> list[str]:
    """Makes the device's observations exactly these paths, new ones as wanted; the paths that are no longer wanted."""
    wanted = set(paths)
    present = set(Observation.objects.filter(device_id=device_id).values_list("path", flat=True))
    gone = sorted(present - wanted)
    if gone:
        Observation.objects.filter(device_id=device_id, path__in=gone).delete()
    Observation.objects.bulk_create(
        [Observation(device_id=device_id, path=path, changed_at=at) for path in sorted(wanted - present)],
        ignore_conflicts=True,
    )
    return gone


def observation_set_active(*, device_id: int, path: str, registration_id: str, at: datetime) -> None:
    """The device observes the path in this registration."""
    Observation.objects.filter(device_id=device_id, path=path).update(
        state=Observation.State.ACTIVE, registration_id=registration_id, reason="", changed_at=at
    )


def observation_set_failed(*, device_id: int, path: str, registration_id: str, reason: str, at: datetime) -> None:
    """The device does not observe the path; `reason` in words, with the device's code."""
    Observation.objects.filter(device_id=device_id, path=path).update(
        state=Observation.State.FAILED, registration_id=registration_id, reason=reason or "no reason", changed_at=at
    )
