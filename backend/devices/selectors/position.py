"""Where devices say they are: object 6 (Location) of the OMA registry."""

import math
from collections.abc import Collection
from dataclasses import dataclass

from backend.devices.models import Device, Resource

LOCATION_OBJECT = 6
LATITUDE = 0
LONGITUDE = 1
LIMITS = {LATITUDE: ("latitude", 90.0), LONGITUDE: ("longitude", 180.0)}
# devices asked for by name at once
_NAMES = 500


@dataclass(frozen=True, kw_only=True)
class Position:
    """What one instance of object 6 says. Degrees (WGS 84); `problem` says why it cannot be drawn, "" where it can."""

    endpoint: str
    status: str
    instance: int
    latitude: float | None
    longitude: float | None
    # microseconds since 1970: when it was so, of the newer of the two values
    time: int
    problem: str

    @property
    def usable(self) -> bool:
        """Can it be drawn?"""
        return not self.problem


def degrees_of(number: float | None, text: str) -> float | None:
    """A coordinate that came as a number or, as in LwM2M 1.0, as text; None: it is no number."""
    if number is not None:
        return number
    try:
        return float(text.strip())
    except ValueError:
        return None


def _problem(values: dict[int, tuple[float | None, str]]) -> str:
    for resource, (name, limit) in LIMITS.items():
        if resource not in values:
            return f"no {name} has come"
        degrees, text = values[resource]
        if degrees is None or not math.isfinite(degrees):
            return f"the {name} is no number: {text[:40]!r}"
        if abs(degrees) > limit:
            return f"the {name} {degrees:g} is not between -{limit:g} and {limit:g}"
    if all(values[resource][0] == 0 for resource in LIMITS):
        return "0, 0 is what receivers say that have no fix"
    return ""


def position_list(*, endpoints: Collection[str] | None = None) -> list[Position]:
    """The positions of all devices that report object 6, or of these; by endpoint name and instance. Two queries."""
    devices = Device.objects.all()
    resources = Resource.objects.filter(object_id=LOCATION_OBJECT, resource_id__in=LIMITS)
    if endpoints is not None:
        devices = devices.filter(endpoint__in=list(endpoints)[:_NAMES])
        resources = resources.filter(device__in=devices)
    rows = resources.order_by("path").values_list(
        "device_id", "object_instance_id", "resource_id", "number", "value", "time"
    )
    values: dict[tuple[int, int], dict[int, tuple[float | None, str]]] = {}
    times: dict[tuple[int, int], int] = {}
    for device_id, instance, resource, number, text, time in rows:
        key = (device_id, instance)
        values.setdefault(key, {})[resource] = (degrees_of(number, text), text)
        times[key] = max(time, times.get(key, time))
    if endpoints is None and len(values) < _NAMES:
        devices = devices.filter(pk__in={device_id for device_id, _ in values})
    known = {pk: (endpoint, status) for pk, endpoint, status in devices.values_list("pk", "endpoint", "status")}
    positions = [
        Position(
            endpoint=known[device_id][0],
            status=known[device_id][1],
            instance=instance,
            latitude=said.get(LATITUDE, (None, ""))[0],
            longitude=said.get(LONGITUDE, (None, ""))[0],
            time=times[device_id, instance],
            problem=_problem(said),
        )
        for (device_id, instance), said in values.items()
        if device_id in known
    ]
    return sorted(positions, key=lambda position: (position.endpoint, position.instance))
