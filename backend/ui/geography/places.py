"""Positions and tracks as the map gets them: JSON, times in milliseconds since 1970."""

import math
from collections.abc import Collection
from typing import Any

from backend.devices.models import Device
from backend.devices.selectors.position import LATITUDE, LIMITS, LOCATION_OBJECT, LONGITUDE, degrees_of, position_list
from backend.telemetry.models import Sample, Series

# positions of a track
TRACK = 500
# microseconds between a latitude and its longitude: devices stamp them apart at most so far
PAIR_WITHIN = 2_000_000


def places_json(*, endpoints: Collection[str] | None = None) -> dict[str, Any]:
    """`places`: [endpoint, instance, latitude, longitude, status, ms]; `unusable`: [endpoint, instance, why, ms]."""
    positions = position_list(endpoints=endpoints)
    return {
        "places": [
            [one.endpoint, one.instance, one.latitude, one.longitude, one.status, one.time // 1000]
            for one in positions
            if one.usable
        ],
        "unusable": [
            [one.endpoint, one.instance, one.problem, one.time // 1000] for one in positions if not one.usable
        ],
    }


def _newest(device: Device, instance: int, resource: int, limit: int) -> list[tuple[int, float]]:
    """The newest values of one coordinate that are usable, newest first: (microseconds, degrees)."""
    path = f"/{LOCATION_OBJECT}/{instance}/{resource}"
    series = Series.objects.filter(device=device, path=path).first()
    if series is None:
        return []
    bound = LIMITS[resource][1]
    rows = Sample.objects.filter(series=series).order_by("-time", "-seq").values_list("time", "number", "text")[:limit]
    found = [(time, degrees_of(number, text or "")) for time, number, text in rows]
    return [
        (time, value) for time, value in found if value is not None and math.isfinite(value) and abs(value) <= bound
    ]


def track_json(*, device: Device, instance: int, limit: int = TRACK) -> list[tuple[float, float, int]]:
    """The last positions of a device, oldest first: latitude, longitude, ms. Two coordinates of one time are one place.

    Where only one of the two has come at a time, it is paired with the nearest other one not too far away.
    """
    latitudes = _newest(device, instance, LATITUDE, limit)[::-1]
    longitudes = _newest(device, instance, LONGITUDE, limit)[::-1]
    places: list[tuple[float, float, int]] = []
    at = 0
    for time, latitude in latitudes:
        while at + 1 < len(longitudes) and abs(longitudes[at + 1][0] - time) <= abs(longitudes[at][0] - time):
            at += 1
        if longitudes and abs(longitudes[at][0] - time) <= PAIR_WITHIN and (latitude or longitudes[at][1]):
            places.append((latitude, longitudes[at][1], time // 1000))
    return places
