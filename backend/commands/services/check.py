"""Is that a command that a device can be asked? Pure: what models say is handed in."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from backend.commands.actions import CLOCK
from backend.commands.models import COMPOSITES, Kind
from backend.commands.services.errors import CommandError
from backend.lwm2m.attributes import AttributeInputError, attributes_check, execute_arguments
from backend.lwm2m.input import ValueInputError
from backend.lwm2m.nodes import Definitions, instance_node, node_checked
from backend.lwm2m.paths import PathError, path_ids

FORMATS = ("TLV", "JSON", "TEXT", "OPAQUE", "CBOR", "SENML_JSON", "SENML_CBOR")
# they say which resource they are about, so that several fit in one message
COMPOSITE_FORMATS = ("SENML_JSON", "SENML_CBOR")
# they hold one bare value
SINGLE_FORMATS = ("TEXT", "OPAQUE", "CBOR")
# how many ids a path has, least and most (LwM2M Core 1.1, 6.3)
DEPTHS: Mapping[Kind, tuple[int, int, str]] = {
    Kind.READ: (1, 4, "an object, an instance, a resource or a resource instance"),
    Kind.DISCOVER: (1, 3, "an object, an instance or a resource"),
    Kind.WRITE: (2, 4, "an instance, a resource or a resource instance"),
    Kind.WRITE_ATTRIBUTES: (1, 4, "an object, an instance, a resource or a resource instance"),
    Kind.EXECUTE: (3, 3, "a resource"),
    Kind.CREATE: (1, 1, "an object; the new instance's number goes into the node"),
    Kind.DELETE: (2, 2, "an object instance"),
    Kind.OBSERVE: (1, 4, "an object, an instance, a resource or a resource instance"),
    Kind.CANCEL_OBSERVE: (1, 4, "an object, an instance, a resource or a resource instance"),
    Kind.WRITE_PACKAGE: (3, 3, "a resource"),
}
WITH_CONTENT = frozenset({Kind.READ, Kind.WRITE, Kind.CREATE, Kind.OBSERVE} | (COMPOSITES - {Kind.CANCEL_COMPOSITE}))
# what a device has to be able to do with the resource
NEEDED = {Kind.READ: "R", Kind.OBSERVE: "R", Kind.EXECUTE: "E"}
CAN_ONLY = {"R": "be read", "W": "be written", "RW": "be read and written", "E": "be executed"}
# keys lie in these, for bootstrap servers alone (LwM2M Core 1.1, E.1 and H.1): a device refuses anybody else, and what
# was to be written would stay readable in the log of commands
BOOTSTRAP_ONLY = {0: "LwM2M Security", 21: "LwM2M OSCORE"}
WRITING = frozenset({Kind.WRITE, Kind.CREATE, Kind.WRITE_COMPOSITE, Kind.WRITE_PACKAGE})
MAX_PATHS = 100
_HASH = re.compile(r"[0-9a-f]{64}")
# characters of the arguments as JSON
MAX_ARGUMENTS = 2_100_000


def _ids(path: Any) -> tuple[int, int | None, int | None, int | None]:
    if not isinstance(path, str):
        raise CommandError(f"a path is a text such as /3/0/9, not {str(path)[:40]}.")
    try:
        return path_ids(path)
    except PathError as error:
        raise CommandError(f"{error}.") from None


def paths_of(kind: Kind, path: str, arguments: Mapping[str, Any]) -> list[str]:
    """The paths that a command is about, checked for their form and number. Raises CommandError."""
    if kind not in COMPOSITES:
        least, most, what = DEPTHS[kind]
        if not path:
            raise CommandError(f"{kind.label} takes a path: {what}.")
        depth = 4 - _ids(path).count(None)
        if not least <= depth <= most:
            raise CommandError(f"{kind.label} takes the path of {what}; {path} is none.")
        return [path]
    if path:
        raise CommandError(f"{kind.label} has its paths in the arguments: leave path out.")
    name = "nodes" if kind == Kind.WRITE_COMPOSITE else "paths"
    given = arguments.get(name)
    if kind == Kind.WRITE_COMPOSITE:
        if not isinstance(given, Mapping):
            raise CommandError('give nodes, an object such as {"/1/0/1": {"value": 300}}.')
    elif not isinstance(given, Sequence) or isinstance(given, str):
        raise CommandError('give paths, an array such as ["/3/0/9", "/3303/0/5700"].')
    paths = list(given)
    if not paths:
        raise CommandError(f"{name} is empty: name at least one path.")
    if len(paths) > MAX_PATHS:
        raise CommandError(f"{len(paths)} paths in one command: at most {MAX_PATHS}.")
    for number, one in enumerate(paths):
        ids = _ids(one)
        if one in paths[:number]:
            raise CommandError(f"{one} is named twice.")
        if kind == Kind.WRITE_COMPOSITE and ids[2] is None:
            raise CommandError(f"{kind.label} takes resources and resource instances; {one} is none.")
    return paths


def object_ids(paths: Sequence[str]) -> set[int]:
    """The objects that the paths are in."""
    return {path_ids(path)[0] for path in paths}


def _format(kind: Kind, path: str, content_format: str) -> None:
    if not content_format:
        return
    if content_format not in FORMATS:
        raise CommandError(f"there is no content format {content_format[:40]!r}: use one of {', '.join(FORMATS)}.")
    if kind not in WITH_CONTENT:
        raise CommandError(f"{kind.label} carries no values: leave the content format out.")
    if kind in COMPOSITES and content_format not in COMPOSITE_FORMATS:
        raise CommandError(f"{kind.label} takes {' or '.join(COMPOSITE_FORMATS)}, not {content_format}.")
    if content_format in SINGLE_FORMATS and kind not in COMPOSITES and path_ids(path)[2] is None:
        raise CommandError(f"{content_format} holds one value: it takes the path of a resource, which {path} is not.")


def _operations(kind: Kind, paths: Sequence[str], definitions: Definitions) -> None:
    """Raises CommandError where the model says that the resource cannot do it."""
    needed = NEEDED.get(kind) or ("R" if kind in {Kind.READ_COMPOSITE, Kind.OBSERVE_COMPOSITE} else "")
    for path in paths if needed else ():
        object_id, _, resource_id, _ = path_ids(path)
        definition = None if resource_id is None else definitions(object_id, resource_id)
        if definition is not None and needed not in definition.operations:
            wanted = {"R": "read or observed", "E": "executed"}[needed]
            can = CAN_ONLY.get(definition.operations)
            instead = f": it can only {can}" if can else ""
            raise CommandError(f"{path} ({definition.name}) cannot be {wanted}, says its object model{instead}.")


def _none_left(kind: Kind, arguments: Mapping[str, Any], *known: str) -> None:
    for name in arguments:
        if name not in known:
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            raise CommandError(f"{kind.label} has no argument {str(name)[:40]!r}: {takes}.")


def _write(path: str, arguments: Mapping[str, Any], definitions: Definitions, force: bool) -> dict[str, Any]:
    _none_left(Kind.WRITE, arguments, "mode", "node", CLOCK)
    ids = path_ids(path)
    node = node_checked(path, arguments.get("node"), definitions=definitions, force=force)
    mode = arguments.get("mode") or "replace"
    if mode not in {"replace", "update"}:
        raise CommandError(f"there is no mode {str(mode)[:40]!r}: use replace or update.")
    if mode == "update" and node["kind"] in {"singleResource", "resourceInstance"}:
        raise CommandError(f"update changes parts of an instance or of a multi-instance resource; {path}: use replace.")
    checked = {"mode": mode, "node": node}
    if arguments.get(CLOCK):
        if node["kind"] != "singleResource" or node["type"] != "TIME" or ids[2] is None:
            raise CommandError(f"{CLOCK} (send the time of sending) belongs to the write of one TIME resource.")
        checked[CLOCK] = True
    return checked


def _create(path: str, arguments: Mapping[str, Any], definitions: Definitions, force: bool) -> dict[str, Any]:
    _none_left(Kind.CREATE, arguments, "node")
    node = arguments.get("node")
    if not isinstance(node, Mapping):
        raise CommandError(
            'give the new instance: {"node": {"resources": [{"id": 0, "value": 5}]}}; its id may be left out.'
        )
    return {"node": instance_node(path, node, definitions=definitions, creating=True, force=force)}


def _attributes(path: str, arguments: Mapping[str, Any], definitions: Definitions, force: bool) -> dict[str, Any]:
    _none_left(Kind.WRITE_ATTRIBUTES, arguments, "attributes")
    object_id, _, resource_id, _ = path_ids(path)
    definition = None if resource_id is None or force else definitions(object_id, resource_id)
    checked = attributes_check(arguments.get("attributes"), path=path, definition=definition, unset=True)
    if not checked:
        raise CommandError('attributes is empty: give some, such as {"pmin": 10}; null unsets one.')
    return {"attributes": checked}


def _execute(path: str, arguments: Mapping[str, Any], definitions: Definitions, force: bool) -> dict[str, Any]:
    _none_left(Kind.EXECUTE, arguments, "arguments")
    text = arguments.get("arguments") or ""
    if not isinstance(text, str):
        raise CommandError("the arguments of an execute are a text such as 0='a',1.")
    text = execute_arguments(text)
    return {"arguments": text} if text else {}


def _package(path: str, arguments: Mapping[str, Any], definitions: Definitions, force: bool) -> dict[str, Any]:
    """`size` in bytes is for people; `seconds` are for the whole transfer."""
    _none_left(Kind.WRITE_PACKAGE, arguments, "sha256", "size", "seconds")
    sha256, size, seconds = (arguments.get(name) for name in ("sha256", "size", "seconds"))
    if not isinstance(sha256, str) or not _HASH.fullmatch(sha256):
        raise CommandError(f"a package is named by the 64 lower-case hex digits of its SHA-256, not {sha256!r:.80}.")
    if not isinstance(size, int) or not isinstance(seconds, int) or size < 1 or seconds < 1:
        raise CommandError("a package has at least one byte, and its transfer takes at least one second.")
    return {"sha256": sha256, "size": size, "seconds": seconds}


_BY_KIND: Mapping[Kind, Callable[[str, Mapping[str, Any], Definitions, bool], dict[str, Any]]] = {
    Kind.WRITE: _write,
    Kind.CREATE: _create,
    Kind.WRITE_ATTRIBUTES: _attributes,
    Kind.EXECUTE: _execute,
    Kind.WRITE_PACKAGE: _package,
}


def arguments_check(
    *,
    kind: Kind,
    path: str,
    arguments: Mapping[str, Any],
    content_format: str,
    definitions: Definitions,
    force: bool,
) -> dict[str, Any]:
    """The arguments, complete and in the shape that goes to Leshan. Raises CommandError.

    `definitions`: what the device's object models say. `force`: do it all the same.
    """
    paths = paths_of(kind, path, arguments)
    for object_id in sorted(object_ids(paths) & BOOTSTRAP_ONLY.keys()) if kind in WRITING else ():
        name = BOOTSTRAP_ONLY[object_id]
        raise CommandError(
            f"object {object_id} ({name}) holds keys: only a bootstrap server may write it. Nothing is sent."
        )
    _format(kind, path, content_format)
    if not force:
        _operations(kind, paths, definitions)
    try:
        if kind == Kind.WRITE_COMPOSITE:
            _none_left(kind, arguments, "nodes")
            checked: dict[str, Any] = {
                "nodes": {
                    one: node_checked(one, node, definitions=definitions, force=force)
                    for one, node in arguments["nodes"].items()
                }
            }
        elif kind in COMPOSITES:
            _none_left(kind, arguments, "paths")
            checked = {"paths": paths}
        elif kind in _BY_KIND:
            checked = _BY_KIND[kind](path, arguments, definitions, force)
        else:
            _none_left(kind, arguments)
            checked = {}
    except (ValueInputError, AttributeInputError) as error:
        raise CommandError(str(error)) from None
    if checked and len(json.dumps(checked)) > MAX_ARGUMENTS:
        raise CommandError("this is more than 1 MiB of values in one command: write it in parts.")
    return checked
