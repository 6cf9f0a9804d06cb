"""Object definitions as Leshan gives them: `{"id","name","version",…,"resourcedefs":[{"id","name","units",…}]}`.

Pure functions on such dicts; versions are "major.minor" (LwM2M Core 1.1, 7.2.1).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.lwm2m.paths import PathError, path_ids
from backend.lwm2m.values import type_name

Version = tuple[int, int]
# an object that is listed without a version has this one
DEFAULT_VERSION: Version = (1, 0)


class VersionError(ValueError):
    """A text that is not `major.minor`."""


@dataclass(frozen=True, slots=True)
class ResourceDefinition:
    """What an object model says of one resource."""

    id: int
    name: str
    # LwM2M data type in capitals, "" for a resource that is only executed
    type: str
    units: str
    # some of "R", "W", "E"
    operations: str
    multiple: bool
    mandatory: bool
    description: str
    # what values it takes, as the model's author wrote it: "0..100", "1-64 bytes" (backend.lwm2m.input reads it)
    range: str = ""


def version_parse(text: str | None) -> Version:
    """`"1.1"` → `(1, 1)`; None and "" stand for 1.0. Raises VersionError."""
    if not text:
        return DEFAULT_VERSION
    major, dot, minor = text.partition(".")
    if not (dot and major.isdecimal() and minor.isdecimal() and text.isascii()):
        raise VersionError(f"{text[:32]!r} is not a version such as 1.1")
    return int(major), int(minor)


def version_text(version: Version) -> str:
    """`(1, 1)` → `"1.1"`."""
    return f"{version[0]}.{version[1]}"


def version_nearest(wanted: str | None, available: Iterable[str]) -> str | None:
    """The available version that is closest to the wanted one; None where there is none.

    The exact one, else the closest within the same major version (the newer of two equally close), else the closest
    major version: the same rule as on the Java side. A wanted text that is no version counts as 1.0.
    """
    try:
        major, minor = version_parse(wanted)
    except VersionError:
        major, minor = DEFAULT_VERSION
    best: tuple[tuple[int, int, int, int], str] | None = None
    for text in available:
        try:
            candidate = version_parse(text)
        except VersionError:
            continue
        rank = (abs(candidate[0] - major), abs(candidate[1] - minor), -candidate[0], -candidate[1])
        if best is None or rank < best[0]:
            best = (rank, text)
    return None if best is None else best[1]


def resource_definition(spec: Mapping[str, Any], resource_id: int) -> ResourceDefinition | None:
    """The definition of one resource; None where the object does not have it."""
    for definition in spec.get("resourcedefs") or []:
        if definition.get("id") == resource_id:
            return ResourceDefinition(
                id=resource_id,
                name=str(definition.get("name") or ""),
                type=type_name(str(definition.get("type") or "")).replace("NONE", ""),
                units=str(definition.get("units") or ""),
                operations=str(definition.get("operations") or "").replace("NONE", ""),
                multiple=str(definition.get("instancetype") or "").lower() == "multiple",
                mandatory=bool(definition.get("mandatory")),
                description=str(definition.get("description") or ""),
                range=str(definition.get("range") or ""),
            )
    return None


def object_name(spec: Mapping[str, Any]) -> str:
    """The object's name, "" where the model has none."""
    return str(spec.get("name") or "")


def object_versions(links: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """Object id → version, from a registration's object links; a version may stand on the object or on an instance."""
    versions: dict[int, str] = {}
    for link in links:
        try:
            object_id = path_ids(str(link.get("url")))[0]
        except PathError:
            continue
        attributes = link.get("attributes")
        stated = attributes.get("ver") if isinstance(attributes, Mapping) else None
        if stated:
            versions[object_id] = str(stated).strip('"')
        else:
            versions.setdefault(object_id, version_text(DEFAULT_VERSION))
    return versions


def object_instances(links: Sequence[Mapping[str, Any]]) -> dict[int, list[int]]:
    """Object id → the instances that a registration's object links name (none for an object listed alone)."""
    instances: dict[int, set[int]] = {}
    for link in links:
        try:
            object_id, instance_id, _, _ = path_ids(str(link.get("url")))
        except PathError:
            continue
        found = instances.setdefault(object_id, set())
        if instance_id is not None:
            found.add(instance_id)
    return {object_id: sorted(found) for object_id, found in sorted(instances.items())}
