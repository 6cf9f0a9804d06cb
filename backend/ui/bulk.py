"""Many devices, chosen by hand or by a filter, and one command for all of them."""

from dataclasses import dataclass

from django.db.models import QuerySet
from django.http import QueryDict

from backend.commands.models import Kind
from backend.devices.models import Device
from backend.devices.selectors import device_choices, object_spec
from backend.lwm2m.objects import ResourceDefinition, object_name, resource_definition
from backend.lwm2m.paths import PathError, path_ids
from backend.ui.filters import DevicesFilter
from backend.ui.inputs import INPUT_TYPES, WriteForm, write_form
from backend.ui.selectors import devices_by_id

FILTERS = ("search", "status", "model", "firmware_version", "observations")
EXAMPLES = 5
KINDS = (Kind.READ, Kind.WRITE, Kind.EXECUTE, Kind.OBSERVE, Kind.CANCEL_OBSERVE, Kind.DISCOVER, Kind.WRITE_ATTRIBUTES)


@dataclass(frozen=True)
class Selection:
    """Which devices: `fields` says it again in the next form."""

    devices: QuerySet[Device]
    count: int
    examples: list[str]
    fields: list[tuple[str, str]]
    everything: bool


def selection_of(data: QueryDict) -> Selection:
    """`id=…&id=…`, or `all=1` with the filters of the device list: all that fit, whatever page they are on."""
    if data.get("all") == "1":
        chosen = DevicesFilter(data, choices=device_choices())
        chosen.form.is_valid()
        devices = chosen.filter_queryset(Device.objects.none())
        fields = [("all", "1"), *((name, value) for name in FILTERS for value in data.getlist(name) if value)]
    else:
        ids = [int(one) for one in data.getlist("id") if one.isascii() and one.isdecimal() and len(one) < 19]
        devices = devices_by_id(ids=ids)
        fields = [("id", str(one)) for one in ids]
    return Selection(
        devices=devices,
        count=devices.count(),
        examples=list(devices.values_list("endpoint", flat=True)[:EXAMPLES]),
        fields=fields,
        everything=data.get("all") == "1",
    )


@dataclass(frozen=True)
class BulkInput:
    """What the chosen operation asks for on the path."""

    kind: str
    path: str
    # the path in words, "" where no model knows it
    what: str
    definition: ResourceDefinition | None
    write: WriteForm | None
    types: list[str]


def bulk_input(data: QueryDict) -> BulkInput:
    """By `kind` and `path`, from any model that knows the path."""
    kind, path = data.get("kind", Kind.READ), data.get("path", "").strip()
    definition, what = None, ""
    resource_path = one_instance = False
    try:
        object_id, _, resource_id, resource_instance_id = path_ids(path)
    except PathError:
        pass
    else:
        spec = object_spec(object_id=object_id)
        resource_path, one_instance = resource_id is not None, resource_instance_id is not None
        if spec is not None:
            definition = None if resource_id is None else resource_definition(spec, resource_id)
            what = " · ".join(part for part in (object_name(spec), definition.name if definition else "") if part)
    write = None
    if kind == Kind.WRITE and resource_path:
        write = write_form(definition=definition, views=[], chosen_type=data.get("type", ""), one_instance=one_instance)
    return BulkInput(kind=kind, path=path, what=what, definition=definition, write=write, types=INPUT_TYPES)


def kind_choices() -> list[tuple[str, str]]:
    """The operations that make sense for many devices at once."""
    return [(kind.value, kind.label) for kind in KINDS]
