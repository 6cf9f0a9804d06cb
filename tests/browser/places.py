"""What the stand-in for sync writes of positions: object 6 of devices."""

import math
import random
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from backend.devices.models import Change, Device, Resource, Status
from backend.telemetry.models import Sample, Series

# a few places where fleets are: latitude, longitude
TOWNS = ((48.137, 11.575), (52.52, 13.405), (51.507, -0.128), (40.713, -74.006), (-33.869, 151.209), (1.29, 103.85))


def _resource(device: Device, path: str, text: str, kind: str, time: int) -> Resource:
    ids = [int(part) for part in path.strip("/").split("/")]
    try:
        number = float(text) if kind == "FLOAT" and math.isfinite(float(text)) else None
    except ValueError:
        number = None
    return Resource(
        device=device, path=path, object_id=ids[0], object_instance_id=ids[1], resource_id=ids[2], type=kind,
        value=text, number=number, time=time, received=time,
    )  # fmt: skip


def place(
    *, endpoint: str, latitude: str | None = None, longitude: str | None = None, instance: int = 0,
    kind: str = "FLOAT", status: str = "online", seconds_ago: float = 0.0, track: int = 0,
) -> None:  # fmt: skip
    """A device's position, as text; None: this one has not come. `track`: with so many earlier ones on a spiral."""
    now = timezone.now() - timedelta(seconds=seconds_ago)
    time = round(now.timestamp() * 1_000_000)
    with transaction.atomic():
        device, _ = Device.objects.get_or_create(endpoint=endpoint, defaults={"status": status})
        Device.objects.filter(pk=device.pk).update(status=status)
        for resource, text in ((0, latitude), (1, longitude)):
            path = f"/6/{instance}/{resource}"
            Resource.objects.filter(device=device, path=path).delete()
            if text is None:
                continue
            _resource(device, path, text, kind, time).save()
            if track:
                series, _ = Series.objects.get_or_create(device=device, path=path)
                wave = (math.sin, math.cos)[resource]
                Sample.objects.bulk_create(
                    Sample(
                        series=series,
                        time=time - step * 60_000_000,
                        number=float(text) + step * 0.0004 * wave(step / 9),
                    )
                    for step in range(track)
                )
        Change.objects.create(device_id=device.pk, kind=Change.Kind.VALUES)


def places(*, count: int) -> None:
    """So many devices in and around some towns."""
    chance = random.Random(3)
    now = round(timezone.now().timestamp() * 1_000_000)
    names = [f"place-{number:05}" for number in range(count)]
    with transaction.atomic():
        Device.objects.bulk_create(
            Device(endpoint=name, status=chance.choices(Status.values, weights=[60, 30, 8, 1, 1])[0]) for name in names
        )
        rows = []
        for device in Device.objects.filter(endpoint__in=names):
            latitude, longitude = chance.choice(TOWNS)
            latitude += chance.gauss(0, 0.4)
            longitude += chance.gauss(0, 0.6)
            time = now - chance.randint(0, 200_000) * 1_000_000
            rows.append(_resource(device, "/6/0/0", f"{latitude:.6f}", "FLOAT", time))
            rows.append(_resource(device, "/6/0/1", f"{longitude:.6f}", "FLOAT", time))
        Resource.objects.bulk_create(rows, batch_size=2000)


def places_gone() -> None:
    """No device has a position."""
    Resource.objects.filter(object_id=6).delete()
    Device.objects.filter(endpoint__startswith="place-").delete()


COMMANDS: dict[str, Any] = {"place": place, "places": places, "places_gone": places_gone}
