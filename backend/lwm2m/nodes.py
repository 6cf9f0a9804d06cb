"""Nodes that are to be written: checked against their path and the object model, completed, in Leshan's one shape."""

from collections.abc import Callable, Mapping
from typing import Any

from backend.lwm2m.input import ValueInputError, multiple_values, node_value
from backend.lwm2m.objects import ResourceDefinition
from backend.lwm2m.paths import MAX_ID, PathError, path_ids
from backend.lwm2m.values import LESHAN_CORELNK, TYPES, type_name

# (object, resource) → what its model says; None where no model knows it
Definitions = Callable[[int, int], ResourceDefinition | None]
# resources of one instance
MANY = 1000


def nothing_known(object_id: int, resource_id: int) -> ResourceDefinition | None:
    """Definitions where there is no model."""
    return None


def _type_of(path: str, node: Mapping[str, Any], definition: ResourceDefinition | None, force: bool) -> str:
    said = node.get("type")
    known = definition.type if definition is not None else ""
    if said is None or said == "":
        if not known:
            raise ValueInputError(
                f"{path}: no object model knows it, so say its type: one of {', '.join(sorted(TYPES))}."
            )
        return known
    type_ = type_name(str(said))
    if type_ not in TYPES:
        raise ValueInputError(f"{path}: there is no type {str(said)[:40]!r}: use one of {', '.join(sorted(TYPES))}.")
    if known and type_ != known and not force:
        raise ValueInputError(f"{path} is {known} by its object model, not {type_}.")
    return type_


def leshan_type(type_: str) -> str:
    """The type's name as Leshan takes it."""
    return LESHAN_CORELNK if type_ == "CORELNK" else type_


def _writable(path: str, definition: ResourceDefinition | None, creating: bool, force: bool) -> None:
    if definition is None or force:
        return
    if definition.operations == "E" or (not creating and "W" not in definition.operations):
        can = {"R": "only be read", "E": "only be executed"}.get(definition.operations, "not be written")
        raise ValueInputError(f"{path} ({definition.name}) can {can}, says its object model.")


def resource_node(
    path: str,
    node: Mapping[str, Any],
    *,
    definitions: Definitions = nothing_known,
    creating: bool = False,
    force: bool = False,
) -> dict[str, Any]:
    """The node for a resource or a resource instance at `path`, from one with `value` or `values`.

    `type` may be left out where the model knows it. `force`: neither the model's type nor its range, operations and
    multiplicity are held. Raises ValueInputError.
    """
    object_id, _, resource_id, instance_id = path_ids(path)
    assert resource_id is not None
    definition = definitions(object_id, resource_id)
    _writable(path, definition, creating, force)
    type_ = _type_of(path, node, definition, force)
    held = None if force else definition
    try:
        if "values" in node:
            values = node["values"]
            if instance_id is not None:
                raise ValueInputError("this is one resource instance: give value, not values.")
            if not isinstance(values, Mapping):
                raise ValueInputError('values is an object such as {"0": 5, "1": 7}.')
            if held is not None and not held.multiple:
                raise ValueInputError("it has one value, says its object model: give value, not values.")
            return {
                "kind": "multiResource",
                "id": resource_id,
                "type": leshan_type(type_),
                "values": multiple_values(type_, values, definition=held),
            }
        if "value" not in node:
            raise ValueInputError("give its value (or values, by number, of a multi-instance resource).")
        if held is not None and held.multiple and instance_id is None:
            raise ValueInputError(
                'it has several values, says its object model: give values such as {"0": …}, or a path to one of them.'
            )
        if held is not None and not held.multiple and instance_id is not None:
            raise ValueInputError("it has one value, says its object model: leave the last number of the path out.")
        value = node_value(type_, node["value"], definition=held)
    except ValueInputError as error:
        raise ValueInputError(f"{path}: {error}") from None
    if instance_id is not None:
        return {"kind": "resourceInstance", "id": instance_id, "type": leshan_type(type_), "value": value}
    return {"kind": "singleResource", "id": resource_id, "type": leshan_type(type_), "value": value}


def _id(what: str, raw: Any) -> int:
    said = str(raw)
    if isinstance(raw, bool) or not (said.isascii() and said.isdecimal()) or not int(said[:8]) < MAX_ID:
        raise ValueInputError(f"{said[:40]!r} is no number of {what}: 0 to {MAX_ID - 1}.")
    return int(said)


def instance_node(
    path: str,
    node: Mapping[str, Any],
    *,
    definitions: Definitions = nothing_known,
    creating: bool = False,
    force: bool = False,
) -> dict[str, Any]:
    """The node for an object instance: at `/object/instance`, or at `/object` when it is to be created.

    Raises ValueInputError.
    """
    object_id, instance_id, _, _ = path_ids(path)
    resources = node.get("resources")
    if not isinstance(resources, list) or not all(isinstance(one, Mapping) for one in resources):
        raise ValueInputError(f'{path}: give resources, an array such as [{{"id": 0, "value": 5}}].')
    if len(resources) > MANY:
        raise ValueInputError(f"{path}: more than {MANY} resources in one instance.")
    made: dict[str, Any] = {"kind": "instance"}
    number = node.get("id", instance_id)
    if number is not None:
        made["id"] = _id("an object instance", number)
        if instance_id is not None and made["id"] != instance_id:
            raise ValueInputError(f"{path}: the node is for instance {made['id']}.")
    base = f"/{object_id}/{made.get('id', 0)}"
    done: dict[int, dict[str, Any]] = {}
    for one in resources:
        if "id" not in one:
            raise ValueInputError(f"{path}: a resource without id.")
        resource_id = _id("a resource", one["id"])
        if resource_id in done:
            raise ValueInputError(f"{path}: resource {resource_id} is given twice.")
        done[resource_id] = resource_node(
            f"{base}/{resource_id}", one, definitions=definitions, creating=creating, force=force
        )
    made["resources"] = list(done.values())
    return made


def node_checked(
    path: str,
    node: Any,
    *,
    definitions: Definitions = nothing_known,
    creating: bool = False,
    force: bool = False,
) -> dict[str, Any]:
    """Any node that may be written at `path`, in the shape that Leshan takes. Raises ValueInputError."""
    if not isinstance(node, Mapping):
        raise ValueInputError(f'{path}: a node is an object such as {{"value": 5}}, not {str(node)[:40]}.')
    try:
        ids = path_ids(path)
    except PathError as error:
        raise ValueInputError(f"{error}.") from None
    if ids[2] is None:
        return instance_node(path, node, definitions=definitions, creating=creating, force=force)
    said = node.get("id")
    mine = ids[2] if ids[3] is None else ids[3]
    if said is not None and str(said) != str(mine):
        raise ValueInputError(
            f"{path}: the node is for number {str(said)[:40]}; leave its id out, or correct the path."
        )
    return resource_node(path, node, definitions=definitions, force=force)
