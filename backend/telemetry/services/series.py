"""Series come into being with their first sample."""

from collections.abc import Collection

from backend.telemetry.models import Series

SeriesKey = tuple[int, str]


def series_ensure(*, keys: Collection[SeriesKey]) -> dict[SeriesKey, int]:
    """The ids of these (device id, path) series and of all others of the same devices, made where they are new."""
    devices = {device_id for device_id, _ in keys}

    def present() -> dict[SeriesKey, int]:
        rows = Series.objects.filter(device_id__in=devices).values_list("device_id", "path", "pk")
        return {(device_id, path): pk for device_id, path, pk in rows}

    found = present()
    missing = [key for key in keys if key not in found]
    if missing:
        Series.objects.bulk_create(
            [Series(device_id=device_id, path=path) for device_id, path in sorted(set(missing))],
            ignore_conflicts=True,
        )
        found = present()
    return found
