"""How long a queue-mode device listens after a message: the profile's word, and what was learned."""

from collections.abc import Collection

from backend.devices.models import Device

# Leshan's own default, and the least that is still worth asking in; seconds
DEFAULT_AWAKE_SECONDS = 93
LEAST_AWAKE_SECONDS = 2


def awake_effective(*, profile: int | None, learned: int | None) -> int | None:
    """The shorter one of both, in seconds; None where neither says anything."""
    said = [seconds for seconds in (profile, learned) if seconds is not None]
    return min(said) if said else None


def awake_halve(*, device: Device) -> int | None:
    """A request to a device that was thought awake was not answered: its window is half as long from now on.

    `device` with its profile. The new window in seconds; None where it is the shortest already.
    """
    profile = None if device.profile is None else device.profile.awake_seconds
    now = awake_effective(profile=profile, learned=device.awake_seconds) or DEFAULT_AWAKE_SECONDS
    if now <= LEAST_AWAKE_SECONDS:
        return None
    device.awake_seconds = max(LEAST_AWAKE_SECONDS, now // 2)
    Device.objects.filter(pk=device.pk).update(awake_seconds=device.awake_seconds)
    return device.awake_seconds


def awake_forget(*, endpoints: Collection[str]) -> list[str]:
    """What was learned of these devices counts no longer: the profile says something new. Those it is news for."""
    names = sorted(endpoints)
    found: list[str] = []
    for start in range(0, len(names), 500):
        learned = Device.objects.filter(endpoint__in=names[start : start + 500], awake_seconds__isnull=False)
        found += learned.values_list("endpoint", flat=True)
        learned.update(awake_seconds=None)
    return found
