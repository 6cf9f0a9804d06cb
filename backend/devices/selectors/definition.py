"""Reads of object definitions: which model holds for which device, and those that people added."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from backend.devices.models import Device, ObjectDefinition, ObjectSpec
from backend.lwm2m.objects import ResourceDefinition, object_versions, resource_definition, version_nearest

Specs = dict[int, dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Models:
    """The object models that hold for some devices: those that list the same versions."""

    # how many devices these are, and the endpoint of one
    count: int
    example: str
    specs: Specs

    def definition(self, object_id: int, resource_id: int) -> ResourceDefinition | None:
        """The resource's definition, None where no model knows it."""
        return resource_definition(self.specs.get(object_id, {}), resource_id)


def models_of(*, devices: Sequence[Device] | QuerySet[Device], object_ids: Collection[int]) -> list[Models]:
    """The models of these objects, grouped by what they are for the devices. Two queries, whatever their number.

    [] where there is no device.
    """
    by_object: dict[int, dict[str, dict[str, Any]]] = {}
    for object_id, version, spec in ObjectSpec.objects.filter(object_id__in=set(object_ids)).values_list(
        "object_id", "version", "spec"
    ):
        by_object.setdefault(object_id, {})[version] = spec
    several = {object_id for object_id, versions in by_object.items() if len(versions) > 1}
    groups: dict[tuple[str | None, ...], list[str]] = {}
    counts: dict[tuple[str | None, ...], int] = {}
    for endpoint, links in _links(devices, with_links=bool(several)):
        versions = object_versions(links) if links else {}
        key = tuple(
            version_nearest(versions.get(object_id), by_object[object_id]) if object_id in several else None
            for object_id in sorted(by_object)
        )
        groups.setdefault(key, [endpoint])
        counts[key] = counts.get(key, 0) + 1
    return [
        Models(
            count=counts[key],
            example=first[0],
            specs={
                object_id: by_object[object_id][version or next(iter(by_object[object_id]))]
                for object_id, version in zip(sorted(by_object), key, strict=True)
            },
        )
        for key, first in groups.items()
    ]


def _links(
    devices: Sequence[Device] | QuerySet[Device], *, with_links: bool
) -> Iterable[tuple[str, list[dict[str, Any]] | None]]:
    """(endpoint, object links) of each; links only where they matter: thousands of them take time."""
    if not isinstance(devices, QuerySet):
        devices = Device.objects.filter(pk__in=[device.pk for device in devices])
    fields = ("endpoint", "registration__object_links") if with_links else ("endpoint",)
    for row in devices.order_by("endpoint").values_list(*fields):
        yield row[0], row[1] if with_links else None


def object_spec(*, object_id: int, version: str | None = None) -> dict[str, Any] | None:
    """The definition of an object in the version closest to that one, as Leshan gives it; None where unknown."""
    versions = dict(ObjectSpec.objects.filter(object_id=object_id).values_list("version", "spec"))
    nearest = version_nearest(version, versions)
    return None if nearest is None else versions[nearest]


def definition_list() -> QuerySet[ObjectDefinition]:
    """The definitions that people uploaded, without their files, with who did it."""
    return ObjectDefinition.objects.select_related("uploaded_by").defer("xml").order_by("object_id", "version")


def definition_get(*, object_id: int, version: str) -> ObjectDefinition:
    """One of them, file included. Raises ObjectDefinition.DoesNotExist."""
    return ObjectDefinition.objects.select_related("uploaded_by").get(object_id=object_id, version=version)
