"""What a form asks for so that a value of an LwM2M type can be typed, and from a form back to a command's arguments."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.http import QueryDict

from backend.commands.models import Kind
from backend.devices.selectors import ResourceView
from backend.lwm2m.attributes import ATTRIBUTES
from backend.lwm2m.input import Choice, enumeration, enumeration_closed, typed_text, value_range
from backend.lwm2m.objects import ResourceDefinition
from backend.lwm2m.values import TYPES

WIDGETS = {
    "BOOLEAN": "switch",
    "INTEGER": "number",
    "UNSIGNED_INTEGER": "number",
    "FLOAT": "number",
    "TIME": "time",
    "OPAQUE": "opaque",
    "OBJLNK": "objlnk",
}
# longer texts are typed into a field of several lines
LONG_TEXT = 60
INPUT_TYPES = sorted(TYPES)


@dataclass(frozen=True)
class ValueField:
    """One input: which widget, what it allows, what stands in it."""

    # switch, number, time, select, opaque, objlnk, text, area
    widget: str
    type: str
    name: str
    label: str
    id: str
    text: str = ""
    minimum: str = ""
    maximum: str = ""
    step: str = ""
    unit: str = ""
    # what the model says of the range, in words
    range: str = ""
    choices: tuple[Choice, ...] = ()
    # may something else than the choices be typed?
    closed: bool = False
    required: bool = False


@dataclass(frozen=True)
class WriteForm:
    """How a resource is written."""

    field: ValueField
    type: str
    # the model knows the type: it is not asked for
    type_known: bool
    multiple: bool
    # of a multi-instance resource: (instance, field)
    rows: list[tuple[int | str, ValueField]]


def value_field(
    *,
    type_: str,
    definition: ResourceDefinition | None,
    name: str,
    label: str,
    id_: str,
    text: str = "",
    required: bool = False,
) -> ValueField:
    """The input for one value. `text`: as it would be typed."""
    choices = enumeration(definition)
    closed = enumeration_closed(definition)
    widget = WIDGETS.get(type_, "area" if len(text) > LONG_TEXT or "\n" in text else "text")
    if choices and type_ in {"INTEGER", "UNSIGNED_INTEGER"} and (not text or text in {one.value for one in choices}):
        widget = "select"
    allowed = value_range(definition)
    minimum = maximum = ""
    if allowed and allowed.minimum is not None and allowed.maximum is not None and widget == "number":
        minimum, maximum = f"{allowed.minimum:f}", f"{allowed.maximum:f}"
    return ValueField(
        widget=widget,
        type=type_,
        name=name,
        label=label,
        id=id_,
        text=text,
        minimum=minimum or ("0" if type_ == "UNSIGNED_INTEGER" else ""),
        maximum=maximum,
        step="any" if type_ == "FLOAT" else "1",
        range=allowed.text if allowed and widget != "select" else "",
        choices=choices,
        closed=closed,
        required=required,
    )


def _typed(view: ResourceView) -> str:
    try:
        return typed_text(view.type, view.text)
    except ValueError:
        return view.text


def write_form(
    *,
    definition: ResourceDefinition | None,
    views: Iterable[ResourceView],
    chosen_type: str = "",
    one_instance: bool = False,
) -> WriteForm:
    """How this resource is written: by its model, else by the type of the value that is there, else as it is chosen."""
    there = list(views)
    known = definition.type if definition and definition.type in TYPES else ""
    type_ = known or (chosen_type if chosen_type in TYPES else "") or (there[0].type if there else "STRING")
    several = any(view.resource_instance_id is not None for view in there)
    multiple = not one_instance and (definition.multiple if definition else several)
    label = definition.name if definition else "Value"
    # a value of another type than the one that is to be written is no help
    texts = {view.resource_instance_id: _typed(view) if view.type == type_ else "" for view in there}

    def made(name: str, id_: str, text: str, what: str) -> ValueField:
        return value_field(type_=type_, definition=definition, name=name, label=what, id_=id_, text=text)

    rows: list[tuple[int | str, ValueField]] = []
    if multiple:
        numbers = sorted(one for one in texts if one is not None) or [0]
        rows = [
            (number, _several(made("value", f"value-{number}", texts.get(number, ""), f"Value of instance {number}")))
            for number in numbers
        ]
    first = next(iter(texts.values()), "")
    return WriteForm(
        field=_several(made("value", "value-new", "", "Value")) if multiple else made("value", "value", first, label),
        type=type_,
        type_known=bool(known),
        multiple=multiple,
        rows=rows,
    )


def _several(one: ValueField) -> ValueField:
    """A switch that is off sends nothing: among several values it would be missing, so these are chosen from a list."""
    if one.widget != "switch":
        return one
    choices = (Choice("true", "on"), Choice("false", "off"))
    return replace(one, widget="select", choices=choices, closed=True)


def create_fields(definitions: Iterable[ResourceDefinition]) -> list[ValueField]:
    """Inputs for the resources of a new instance that one value can be written to; mandatory ones first."""
    usable = [one for one in definitions if one.type in TYPES and "E" not in one.operations and not one.multiple]
    usable.sort(key=lambda one: (not one.mandatory, one.id))
    return [
        _several(
            value_field(
                type_=one.type,
                definition=one,
                name=f"resource-{one.id}",
                label=one.name or f"Resource {one.id}",
                id_=f"resource-{one.id}",
                required=one.mandatory and "W" in one.operations,
            )
        )
        for one in usable
    ]


def _value(data: QueryDict, type_: str) -> str:
    text = data.get("value")
    if text is None:
        # a switch that is off
        return "false" if type_ == "BOOLEAN" else ""
    return text


def write_arguments(data: QueryDict) -> dict[str, Any]:
    """Arguments of a write: `type`, and `value`, or with `multiple` as many `number` as `value`."""
    type_ = data.get("type", "")
    node: dict[str, Any] = {"type": type_} if type_ else {}
    if data.get("multiple"):
        pairs = zip(data.getlist("number"), data.getlist("value"), strict=False)
        values: dict[str, str] = {}
        for number, value in pairs:
            key = number.strip()
            if not key and not value:
                continue
            # the same number twice must not vanish silently: the second gets a name that is refused with it
            values[key if key not in values else f"{key} (twice)"] = value
        node["values"] = values
    else:
        node["value"] = _value(data, type_)
    return {"node": node}


def attributes_arguments(data: QueryDict) -> dict[str, Any]:
    """Arguments of write-attributes; `unset`: what was left empty is taken from the device."""
    given = {name: data.get(name, "").strip() for name in ATTRIBUTES if name in data}
    empty = {name: None for name, text in given.items() if not text} if data.get("unset") else {}
    return {"attributes": {**empty, **{name: text for name, text in given.items() if text}}}


def create_arguments(data: QueryDict) -> dict[str, Any]:
    """Arguments of a create: `number` (empty: the device chooses) and `resource-ID` for those that are given."""
    node: dict[str, Any] = {
        "resources": [
            {"id": int(name.removeprefix("resource-")), "value": data[name]}
            for name in data
            if name.startswith("resource-")
            and name[9:].isascii()
            and name[9:].isdecimal()
            and len(name) < 15
            and data[name]
        ]
    }
    number = data.get("number", "").strip()
    if number:
        node["id"] = number
    # of an object that no model knows: resource, type, value
    rows = zip(data.getlist("free-id"), data.getlist("free-type"), data.getlist("free-value"), strict=False)
    node["resources"] += [
        {"id": one.strip(), "type": type_, "value": value} for one, type_, value in rows if one.strip()
    ]
    return {"node": node}


def arguments_of(kind: str, data: QueryDict) -> Mapping[str, Any]:
    """The arguments that a form says for a command of this kind; whether they hold is decided by the service."""
    if kind == Kind.WRITE:
        return write_arguments(data)
    if kind == Kind.WRITE_ATTRIBUTES:
        return attributes_arguments(data)
    if kind == Kind.EXECUTE:
        return {"arguments": data.get("arguments", "").strip()}
    if kind == Kind.CREATE:
        return create_arguments(data)
    return {}
