"""One place of a device's object tree, opened: what it is, what is known of it and what can be done there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backend.devices.models import Device, DeviceObservation, Observation
from backend.devices.selectors import ResourceView, device_contents, time_of
from backend.lwm2m.attributes import ATTRIBUTES, NUMERIC
from backend.lwm2m.objects import ResourceDefinition
from backend.lwm2m.paths import path_ids
from backend.lwm2m.values import canonical_text, display
from backend.telemetry.models import Sample, Series
from backend.ui.inputs import INPUT_TYPES, ValueField, WriteForm, create_fields, write_form
from backend.ui.progress import CommandLine, command_line
from backend.ui.selectors import commands_of_path, observation_of, own_observation_of
from backend.ui.values import Entry, unit_text, value_html

PERIODS = ("pmin", "pmax")
HISTORY = 12
WORDS = {"R": "read", "W": "write", "E": "execute"}
# what attributes mean, for those who do not know the standard by heart
MEANINGS = {
    "pmin": "at least so many seconds between two values",
    "pmax": "at most so many seconds without a value",
    "gt": "tell when the value goes above this",
    "lt": "tell when the value goes below this",
    "st": "tell when the value has changed by this much",
}


@dataclass(frozen=True)
class AttributeField:
    """One notification attribute."""

    name: str
    meaning: str
    text: str


@dataclass(frozen=True)
class PastValue:
    """A value that once was."""

    time: Any
    text: str


@dataclass(frozen=True)
class Panel:
    """What the panel of a path shows. Paths have one to four ids."""

    path: str
    depth: int
    name: str
    where: str
    definition: ResourceDefinition | None
    unit: str
    operations: str
    entries: list[Entry]
    newest: ResourceView | None
    readable: bool
    executable: bool
    observation: Observation | None
    own: DeviceObservation | None
    attributes: list[AttributeField]
    charted: bool
    write: WriteForm | None
    types: list[str]
    # of a new instance
    create: list[ValueField] = field(default_factory=list)
    object_path: str = ""
    history: list[PastValue] = field(default_factory=list)
    commands: list[CommandLine] = field(default_factory=list)

    @property
    def undecoded(self) -> bool:
        """Was the value read as bytes, before there was a definition to decode it with?"""
        known = self.definition.type if self.definition else ""
        return self.newest is not None and self.newest.type == "OPAQUE" and known not in {"", "OPAQUE"}

    @property
    def observed(self) -> bool:
        """Is it wanted as an observation (or there already)?"""
        return self.observation is not None and (self.own is None or self.own.wanted)


def _history(device: Device, path: str, type_: str) -> list[PastValue]:
    series = Series.objects.filter(device=device, path=path).first()
    if series is None:
        return []
    rows = (
        Sample.objects.filter(series=series).order_by("-time", "-seq").values_list("time", "number", "text")[:HISTORY]
    )
    return [PastValue(time_of(time), _shown(type_, number, text)) for time, number, text in rows]


def _shown(type_: str, number: float | None, text: str | None) -> str:
    try:
        return display(type_, canonical_text(type_, number, text))
    except (ValueError, AssertionError):
        return text if text is not None else f"{number:g}"


def _attributes(
    observation: Observation | None, own: DeviceObservation | None, type_: str, depth: int
) -> list[AttributeField]:
    said: Mapping[str, Any] = (
        (own.attributes if own else None) or (observation.attributes if observation else None) or {}
    )
    names = ATTRIBUTES if depth >= 3 and (type_ in NUMERIC or not type_) else PERIODS
    return [
        AttributeField(
            name,
            MEANINGS[name],
            "" if said.get(name) is None else f"{said[name]:g}" if name not in PERIODS else str(said[name]),
        )
        for name in names
        if name in MEANINGS
    ]


def panel_of(*, device: Device, path: str, chosen_type: str = "") -> Panel:
    """The panel of this path. Raises PathError. Seven queries, whatever the device holds."""
    object_id, instance_id, resource_id, resource_instance_id = path_ids(path)
    ids = [one for one in (object_id, instance_id, resource_id, resource_instance_id) if one is not None]
    depth = len(ids)
    names, views = device_contents(device=device)
    definition = None if resource_id is None else names.definition(object_id, resource_id)
    there = [view for view in views if view.path == path or view.path.startswith(f"{path}/")] if depth >= 3 else []
    type_ = definition.type if definition and definition.type else (there[0].type if there else "")
    what = names.object_name(object_id) or f"Object {object_id}"
    name = what if resource_id is None else names.name(object_id, resource_id) or f"Resource {resource_id}"
    operations = definition.operations if definition else ""
    observation = observation_of(device=device, path=path)
    own = own_observation_of(device=device, path=path)
    unknown = definition is None
    writable = depth >= 3 and (unknown or "W" in operations)
    model = names.spec(object_id).get("resourcedefs") or []
    model_ids = [one["id"] for one in model if isinstance(one.get("id"), int)]
    found = [names.definition(object_id, one) for one in model_ids] if depth <= 2 else []
    unit = (
        "" if instance_id is None or resource_id is None else unit_text(names.unit(object_id, instance_id, resource_id))
    )
    return Panel(
        path=path,
        depth=depth,
        name=name,
        where="" if depth < 3 else what,
        definition=definition,
        unit=unit,
        operations=", ".join(WORDS[one] for one in operations if one in WORDS),
        entries=[Entry(None if view.path == path else view.resource_instance_id, value_html(view)) for view in there],
        newest=max(there, key=lambda view: view.time, default=None),
        readable=depth < 3 or unknown or "R" in operations,
        executable=depth == 3 and (unknown or "E" in operations),
        observation=observation,
        own=own,
        attributes=_attributes(observation, own, type_, depth),
        charted=any(view.type in NUMERIC or view.type == "BOOLEAN" for view in there),
        write=write_form(definition=definition, views=there, chosen_type=chosen_type, one_instance=depth == 4)
        if writable
        else None,
        types=INPUT_TYPES,
        create=create_fields([one for one in found if one is not None]),
        object_path=f"/{object_id}",
        history=_history(device, path, type_) if depth >= 3 else [],
        commands=[command_line(one) for one in commands_of_path(device=device, path=path)],
    )
