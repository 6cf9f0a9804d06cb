"""Reads of current values, with the names and units that the object models give them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from backend.devices.models import Device, ObjectSpec, Resource
from backend.devices.selectors.device import registration_of
from backend.lwm2m.objects import (
    ResourceDefinition,
    object_name,
    object_versions,
    resource_definition,
    version_nearest,
)
from backend.lwm2m.times import datetime_of_us
from backend.lwm2m.values import display

# IPSO: Sensor Units, the device's own word for the unit of what it measures
UNITS_RESOURCE = 5701
# … which are: Sensor Value, Min/Max Measured Value, Min/Max Range Value
MEASURED = frozenset({5700, 5601, 5602, 5603, 5604})


def time_of(microseconds: int) -> datetime:
    """Microseconds since 1970 as an aware datetime (UTC); times outside the years 1 to 9999 end there."""
    try:
        return datetime_of_us(microseconds)
    except OverflowError:
        return (datetime.max if microseconds > 0 else datetime.min).replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class ResourceView:
    """A current value as people want to see it. Names and units are "" where no model knows them."""

    path: str
    object_id: int
    object_instance_id: int
    resource_id: int
    resource_instance_id: int | None
    object_name: str
    name: str
    unit: str
    # a ValueType's name
    type: str
    # some of "RWE"
    operations: str
    description: str
    # canonical and exact (backend.lwm2m.values), and short for people
    text: str
    display: str
    number: float | None
    # when it was true: the device's own time where it sent one, else the receive time
    time: datetime
    received: datetime
    has_device_time: bool


# object id → version → definition
_Specs = Mapping[int, Mapping[str, dict[str, Any]]]


def _specs(object_ids: Collection[int]) -> _Specs:
    specs: dict[int, dict[str, dict[str, Any]]] = {}
    rows = ObjectSpec.objects.filter(object_id__in=object_ids)
    for object_id, version, spec in rows.values_list("object_id", "version", "spec"):
        specs.setdefault(object_id, {})[version] = spec
    return specs


class Names:
    """Names, units and operations for the paths of one device, from the object versions that it registered with.

    Two queries at most (units that the device told itself; models), whatever the number of paths.
    """

    def __init__(
        self,
        *,
        device: Device,
        object_ids: Iterable[int],
        resources: Iterable[Resource] | None = None,
        specs: _Specs | None = None,
    ) -> None:
        """`resources`: all values of the device (or of these objects), where they are at hand already.

        `specs`: so the definitions of these objects.
        """
        registration = registration_of(device)
        versions = object_versions(registration.object_links) if registration else {}
        wanted = set(object_ids)
        self._specs = {
            object_id: by_version[nearest]
            for object_id, by_version in (_specs(wanted) if specs is None else specs).items()
            if (nearest := version_nearest(versions.get(object_id), by_version)) is not None
        }
        if resources is None:
            resources = Resource.objects.filter(device=device, object_id__in=wanted, resource_id=UNITS_RESOURCE)
        self._units = {
            (one.object_id, one.object_instance_id): one.value
            for one in resources
            if one.resource_id == UNITS_RESOURCE and one.resource_instance_id is None and one.type == "STRING"
        }
        self._definitions: dict[tuple[int, int], ResourceDefinition | None] = {}

    def spec(self, object_id: int) -> dict[str, Any]:
        """The object's definition as Leshan gives it, {} where no model knows it."""
        return self._specs.get(object_id, {})

    def object_name(self, object_id: int) -> str:
        """The object's name, "" where no model knows it."""
        return object_name(self._specs.get(object_id, {}))

    def definition(self, object_id: int, resource_id: int) -> ResourceDefinition | None:
        """The resource's definition, None where no model knows it."""
        key = (object_id, resource_id)
        if key not in self._definitions:
            self._definitions[key] = resource_definition(self._specs.get(object_id, {}), resource_id)
        return self._definitions[key]

    def name(self, object_id: int, resource_id: int) -> str:
        """The resource's name, "" where no model knows it."""
        definition = self.definition(object_id, resource_id)
        return definition.name if definition else ""

    def unit(self, object_id: int, instance_id: int, resource_id: int) -> str:
        """The device's own Sensor Units (5701) for what it measures, else the model's units."""
        own = self._units.get((object_id, instance_id)) if resource_id in MEASURED else None
        if own:
            return own
        definition = self.definition(object_id, resource_id)
        return definition.units if definition else ""


def names_of(*, objects: Mapping[Device, Collection[int]]) -> dict[Device, Names]:
    """Those of several devices, for these objects of each. Two queries; the devices should have their registrations."""
    wanted = set().union(*objects.values())
    resources: dict[int, list[Resource]] = defaultdict(list)
    for one in Resource.objects.filter(device__in=objects, object_id__in=wanted, resource_id=UNITS_RESOURCE):
        resources[one.device_id].append(one)
    specs = _specs(wanted)
    return {
        device: Names(device=device, object_ids=ids, resources=resources[device.pk], specs=specs)
        for device, ids in objects.items()
    }


def _display(type_: str, text: str) -> str:
    try:
        return display(type_, text)
    except ValueError:
        # a row that another version wrote: what is stored is shown as it is
        return text


def resource_list(*, device: Device, object_id: int | None = None) -> list[ResourceView]:
    """All current values of the device (or of one object), in the order of their paths. Two queries.

    `device` should come with its registration (`device_get`), else that is a third.
    """
    stored = Resource.objects.filter(device=device)
    if object_id is not None:
        stored = stored.filter(object_id=object_id)
    resources = _in_order(stored)
    names = Names(device=device, object_ids={one.object_id for one in resources}, resources=resources)
    return _views(resources, names)


def device_contents(*, device: Device) -> tuple[Names, list[ResourceView]]:
    """All current values of the device, and the names of everything that it lists or has a value of. Two queries."""
    resources = _in_order(Resource.objects.filter(device=device))
    registration = registration_of(device)
    listed = object_versions(registration.object_links) if registration else {}
    ids = {one.object_id for one in resources} | set(listed)
    names = Names(device=device, object_ids=ids, resources=resources)
    return names, _views(resources, names)


def _in_order(stored: Iterable[Resource]) -> list[Resource]:
    return sorted(
        stored,
        key=lambda one: (
            one.object_id,
            one.object_instance_id,
            one.resource_id,
            -1 if one.resource_instance_id is None else one.resource_instance_id,
        ),
    )


def _views(resources: list[Resource], names: Names) -> list[ResourceView]:
    views = []
    for one in resources:
        definition = names.definition(one.object_id, one.resource_id)
        views.append(
            ResourceView(
                path=one.path,
                object_id=one.object_id,
                object_instance_id=one.object_instance_id,
                resource_id=one.resource_id,
                resource_instance_id=one.resource_instance_id,
                object_name=names.object_name(one.object_id),
                name=definition.name if definition else "",
                unit=names.unit(one.object_id, one.object_instance_id, one.resource_id),
                type=one.type,
                operations=definition.operations if definition else "",
                description=definition.description if definition else "",
                text=one.value,
                display=_display(one.type, one.value),
                number=one.number,
                time=time_of(one.time),
                received=time_of(one.received),
                has_device_time=one.has_device_time,
            )
        )
    return views
