"""Which series there are, with the names and units that people know them by: found by key, found by words."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.db.models import Q, QuerySet

from backend.devices.models import Device, ObjectSpec, Resource
from backend.devices.selectors import registration_of
from backend.devices.selectors.resource import MEASURED, UNITS_RESOURCE
from backend.lwm2m.objects import object_name, object_versions, resource_definition, version_nearest
from backend.lwm2m.paths import resource_ids
from backend.telemetry.models import Series
from backend.ui.charts.keys import SeriesKey, readings
from backend.ui.values import unit_text

# words of a search beyond these narrow nothing down
MAX_WORDS = 8
# definitions of one object, by version
Versions = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class ChartSeries:
    """A series as a chart names it; `id` None: there is none (yet) of that key."""

    key: str
    id: int | None = None
    device: str = ""
    path: str = ""
    # "Temperature · Sensor Value", "" where no model knows it
    name: str = ""
    # as people write it: °C
    unit: str = ""

    def as_json(self) -> dict[str, Any]:
        """For the page's script."""
        return asdict(self)


class _Specs:
    """The object models of several objects. One query."""

    def __init__(self, object_ids: Iterable[int] | None = None) -> None:
        """`object_ids`: of these; None: of all."""
        rows = ObjectSpec.objects.all()
        if object_ids is not None:
            rows = rows.filter(object_id__in=set(object_ids))
        self._by_object: dict[int, dict[str, Mapping[str, Any]]] = {}
        for object_id, version, spec in rows.values_list("object_id", "version", "spec"):
            self._by_object.setdefault(object_id, {})[version] = spec
        self._names: dict[tuple[int, int, str | None], tuple[str, str]] = {}

    def several(self, object_id: int) -> bool:
        """Are there several versions to choose from?"""
        return len(self._by_object.get(object_id, ())) > 1

    def name_and_unit(self, object_id: int, resource_id: int, version: str | None = None) -> tuple[str, str]:
        """What the resource is called, object first, and its unit in the model."""
        key = (object_id, resource_id, version)
        if key not in self._names:
            versions: Versions = self._by_object.get(object_id, {})
            nearest = version_nearest(version, versions)
            spec = versions[nearest] if nearest is not None else {}
            definition = resource_definition(spec, resource_id)
            words = [object_name(spec), definition.name if definition else ""]
            self._names[key] = (" · ".join(filter(None, words)), definition.units if definition else "")
        return self._names[key]


def _own_units(series: Sequence[Series]) -> dict[tuple[int, int, int], str]:
    """(device, object, instance) → the unit that the device itself tells."""
    devices = {one.device_id for one in series if resource_ids(one.path)[2] in MEASURED}
    if not devices:
        return {}
    rows = Resource.objects.filter(
        device__in=devices, resource_id=UNITS_RESOURCE, resource_instance_id=None, type="STRING"
    )
    return {
        (device, object_id, instance): value
        for device, object_id, instance, value in rows.values_list(
            "device_id", "object_id", "object_instance_id", "value"
        )
        if value
    }


def _named(series: Sequence[Series]) -> list[ChartSeries]:
    """With names and units, in the same order. Two queries, whatever their number."""
    specs = _Specs({resource_ids(one.path)[0] for one in series})
    units = _own_units(series)
    versions: dict[int, dict[int, str]] = {}
    named = []
    for one in series:
        object_id, instance, resource, _ = resource_ids(one.path)
        version = None
        if specs.several(object_id):
            if one.device_id not in versions:
                registration = registration_of(one.device)
                versions[one.device_id] = object_versions(registration.object_links) if registration else {}
            version = versions[one.device_id].get(object_id)
        name, unit = specs.name_and_unit(object_id, resource, version)
        if resource in MEASURED:
            unit = units.get((one.device_id, object_id, instance), unit)
        named.append(
            ChartSeries(
                key=str(SeriesKey(one.device.endpoint, one.path)),
                id=one.pk,
                device=one.device.endpoint,
                path=one.path,
                name=name,
                unit=unit_text(unit),
            )
        )
    return named


def _with_device(series: QuerySet[Series]) -> QuerySet[Series]:
    return series.select_related("device", "device__registration")


def series_resolve(*, keys: Sequence[str]) -> list[ChartSeries]:
    """The series of these keys, in their order and each once; those that there are not have no id. Three queries."""
    wanted = {key: readings(key) for key in dict.fromkeys(keys)}
    pairs = {reading for found in wanted.values() for reading in found}
    condition = Q(pk__in=[])
    for reading in pairs:
        condition |= Q(device__endpoint=reading.endpoint, path=reading.path)
    there = list(_with_device(Series.objects.filter(condition))) if pairs else []
    by_key = {SeriesKey(one.device.endpoint, one.path): one for one in there}
    chosen: dict[str, Series] = {}
    for key, found in wanted.items():
        match = next((by_key[reading] for reading in found if reading in by_key), None)
        if match is not None:
            chosen[key] = match
    named = dict(zip(chosen, _named(list(chosen.values())), strict=True))
    result = []
    for key, found in wanted.items():
        missing = found[-1] if found else SeriesKey("", "")
        result.append(named.get(key) or ChartSeries(key=key, device=missing.endpoint, path=missing.path))
    return result


def series_of_device(*, device: Device) -> list[ChartSeries]:
    """All series of a device, in the order of their paths. Three queries."""
    series = sorted(
        _with_device(Series.objects.filter(device=device)),
        key=lambda one: tuple(-1 if part is None else part for part in resource_ids(one.path)),
    )
    return _named(series)


def _paths_called(word: str, specs: _Specs, paths: Sequence[str]) -> list[str]:
    found = []
    for path in paths:
        object_id, _, resource, _ = resource_ids(path)
        if word in specs.name_and_unit(object_id, resource)[0].lower():
            found.append(path)
    return found


def series_search(*, text: str, limit: int = 40) -> list[ChartSeries]:
    """Series in which every word occurs: in the endpoint, the path or the name. By endpoint and path.

    Six queries; an empty text finds the first ones.
    """
    if "\0" in text:
        return []
    words = text.lower().split()[:MAX_WORDS]
    series = _with_device(Series.objects.all())
    if words:
        # names are in the models: which of the few hundred paths that occur are meant
        paths = list(Series.objects.order_by("path").values_list("path", flat=True).distinct())
        specs = _Specs()
        for word in words:
            series = series.filter(
                Q(device__endpoint__icontains=word)
                | Q(path__contains=word)
                | Q(path__in=_paths_called(word, specs, paths))
            )
    return _named(list(series.order_by("device__endpoint", "path")[:limit]))
