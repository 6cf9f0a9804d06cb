"""Reads of series, with the names and units that the object models give them."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import OuterRef, Q, QuerySet, Subquery

from backend.devices.models import Device
from backend.devices.selectors import Names, names_of, time_of
from backend.lwm2m.paths import resource_ids
from backend.telemetry.buckets import HOUR
from backend.telemetry.models import Level, Rollup, Sample, Series


@dataclass(frozen=True, kw_only=True)
class SeriesView:
    """A series with its names; `first` and `last` are the times of its oldest and newest sample (None: empty).

    Of what only rollups tell any more: an hour's begin, and its end.
    """

    id: int
    device: str
    path: str
    object_id: int
    object_instance_id: int
    resource_id: int
    resource_instance_id: int | None
    object_name: str
    name: str
    unit: str
    first: datetime | None
    last: datetime | None


def _series() -> QuerySet[Series]:
    samples = Sample.objects.filter(series=OuterRef("pk"))
    hours = Rollup.objects.filter(series=OuterRef("pk"), level=Level.HOUR)
    return Series.objects.annotate(
        first_time=Subquery(samples.order_by("time", "seq").values("time")[:1]),
        last_time=Subquery(samples.order_by("-time", "-seq").values("time")[:1]),
        first_hour=Subquery(hours.order_by("start").values("start")[:1]),
        last_hour=Subquery(hours.order_by("-start").values("start")[:1]),
    )


def _first(sample: int | None, hour: int | None) -> datetime | None:
    if hour is not None and (sample is None or hour + HOUR <= sample):
        sample = hour
    return None if sample is None else time_of(sample)


def _last(sample: int | None, hour: int | None) -> datetime | None:
    if hour is not None and (sample is None or hour > sample):
        sample = hour + HOUR
    return None if sample is None else time_of(sample)


def _objects(series: Iterable[Series]) -> set[int]:
    return {resource_ids(one.path)[0] for one in series}


def _views(device: Device, series: Iterable[Series], names: Names) -> list[SeriesView]:
    views = []
    for one in series:
        object_id, instance_id, resource_id, resource_instance_id = resource_ids(one.path)
        views.append(
            SeriesView(
                id=one.pk,
                device=device.endpoint,
                path=one.path,
                object_id=object_id,
                object_instance_id=instance_id,
                resource_id=resource_id,
                resource_instance_id=resource_instance_id,
                object_name=names.object_name(object_id),
                name=names.name(object_id, resource_id),
                unit=names.unit(object_id, instance_id, resource_id),
                first=_first(one.first_time, one.first_hour),  # type: ignore[attr-defined]
                last=_last(one.last_time, one.last_hour),  # type: ignore[attr-defined]
            )
        )
    views.sort(
        key=lambda view: (
            view.object_id,
            view.object_instance_id,
            view.resource_id,
            -1 if view.resource_instance_id is None else view.resource_instance_id,
        )
    )
    return views


def _views_of_many(series: Iterable[Series]) -> list[SeriesView]:
    by_device: dict[Device, list[Series]] = defaultdict(list)
    for one in series:
        by_device[one.device].append(one)
    names = names_of(objects={device: _objects(of_device) for device, of_device in by_device.items()})
    return [view for device, of_device in by_device.items() for view in _views(device, of_device, names[device])]


def series_list(*, device: Device) -> list[SeriesView]:
    """All series of a device in the order of their paths. Three queries; `device` should come with its registration."""
    series = list(_series().filter(device=device))
    return _views(device, series, Names(device=device, object_ids=_objects(series)))


def series_get(*, series_id: int) -> SeriesView:
    """One series. Raises Series.DoesNotExist."""
    series = _series().select_related("device", "device__registration").get(pk=series_id)
    return _views_of_many([series])[0]


def series_by_ids(*, ids: Collection[int]) -> dict[int, SeriesView]:
    """Those of these series that there are. Three queries."""
    series = _series().select_related("device", "device__registration").filter(pk__in=ids)
    return {view.id: view for view in _views_of_many(series)}


def series_extents(*, ids: Collection[int]) -> list[tuple[datetime, datetime]]:
    """From the oldest to the newest sample, of those of these series that have any. One query."""
    extents = [
        (_first(one.first_time, one.first_hour), _last(one.last_time, one.last_hour))  # type: ignore[attr-defined]
        for one in _series().filter(pk__in=ids)
    ]
    return [(first, last) for first, last in extents if first is not None and last is not None]


def series_by_names(*, names: Collection[tuple[str, str]]) -> dict[tuple[str, str], SeriesView]:
    """Those of these (endpoint, path) series that there are. Three queries."""
    # no text in a database holds NUL, and PostgreSQL refuses to look
    wanted = {(endpoint, path) for endpoint, path in names if "\0" not in endpoint}
    if not wanted:
        return {}
    condition = Q()
    for endpoint, path in sorted(wanted):
        condition |= Q(device__endpoint=endpoint, path=path)
    series = _series().select_related("device", "device__registration").filter(condition)
    return {(view.device, view.path): view for view in _views_of_many(series)}
