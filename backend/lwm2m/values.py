"""Values of resources: from Leshan's JSON nodes to canonical text and numbers, without loss, and back for people.

A value travels as a pair `(number, text)`: `text` is None where the number alone says it exactly. That is also how
samples are stored. `canonical_text` gives the one text that stands for the value:

INTEGER, UNSIGNED_INTEGER decimal · FLOAT the shortest decimal that reads back as the same double ("NaN", "Infinity",
"-Infinity") · BOOLEAN "true" or "false" · TIME milliseconds since 1970, decimal · OPAQUE lower-case hex · OBJLNK
"object:instance" ("65535:65535" is the null link) · STRING, CORELNK as they are. (LwM2M Core 1.1, appendix C.)
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from backend.lwm2m.paths import Path, PathError, path_ids, resource_ids

# integers up to here are doubles exactly
EXACT = 2**53
NULL_LINK = "65535:65535"

Pair = tuple[float | None, str | None]


class NodeError(ValueError):
    """A node or value that is not what its type says."""


class Value(NamedTuple):
    """One resource or resource instance: its path, type, canonical text, and what it is worth as a number."""

    path: str
    type: str
    text: str
    number: float | None


def _integer(raw: Any) -> Pair:
    if isinstance(raw, bool) or not isinstance(raw, str | int):
        # a JSON double that is whole is an integer all the same
        if not (isinstance(raw, float) and raw.is_integer()):
            raise NodeError(f"{raw!r:.80} is not an integer")
        raw = int(raw)
    value = int(raw)
    number = float(value)
    return (number, None) if -EXACT <= value <= EXACT else (number, str(value))


def _float(raw: Any) -> Pair:
    if raw is True or raw is False:
        raise NodeError(f"{raw!r} is not a float")
    number = float(raw)
    if number and number - number == 0.0:
        return number, None
    if number == 0.0:
        # databases drop the sign of a zero
        return number, None if math.copysign(1.0, number) > 0 else "-0.0"
    return None, "NaN" if math.isnan(number) else ("Infinity" if number > 0 else "-Infinity")


# to a dict, 1 and 0 are True and False
_BOOLEANS = {
    True: 1.0,
    False: 0.0,
    "true": 1.0,
    "false": 0.0,
    "1": 1.0,
    "0": 0.0,
}


def _boolean(raw: Any) -> Pair:
    if not isinstance(raw, bool | str | int) or raw not in _BOOLEANS:
        raise NodeError(f"{raw!r:.80} is not a boolean")
    return _BOOLEANS[raw], None


def _string(raw: Any) -> Pair:
    if not isinstance(raw, str):
        raise NodeError(f"{raw!r:.80} is not a text")
    return None, raw


def _opaque(raw: Any) -> Pair:
    if not isinstance(raw, str):
        raise NodeError(f"{raw!r:.80} is not hex")
    return None, bytes.fromhex(raw).hex()


def _objlnk(raw: Any) -> Pair:
    if isinstance(raw, Mapping):
        if raw.get("nullLink") is True:
            return None, NULL_LINK
        first, second = raw.get("objectId"), raw.get("objectInstanceId")
    elif isinstance(raw, str):
        first, _, second = raw.partition(":")
    else:
        raise NodeError(f"{raw!r:.80} is not an object link")
    ids = int(str(first)), int(str(second))
    if not all(0 <= part <= 65535 for part in ids):
        raise NodeError(f"{raw!r:.80} is not an object link")
    return None, f"{ids[0]}:{ids[1]}"


def _corelnk(raw: Any) -> Pair:
    return None, raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False)


PAIRS: dict[str, Callable[[Any], Pair]] = {
    "INTEGER": _integer,
    "UNSIGNED_INTEGER": _integer,
    "TIME": _integer,
    "FLOAT": _float,
    "BOOLEAN": _boolean,
    "STRING": _string,
    "OPAQUE": _opaque,
    "OBJLNK": _objlnk,
    "CORELNK": _corelnk,
}
TYPES = frozenset(PAIRS)
# Leshan's word for a type that the specification calls otherwise
LESHAN_CORELNK = "CORELINK"


def type_name(text: str) -> str:
    """A type as Leshan or a DDF file writes it ("unsigned_integer", "Unsigned Integer", "corelink"), in capitals."""
    name = text.strip().upper().replace(" ", "_")
    return "CORELNK" if name == LESHAN_CORELNK else name


def pair(type_: str, raw: Any) -> Pair:
    """The value as `(number, text)`. `type_` in capitals. Raises NodeError on what the type does not allow."""
    try:
        return PAIRS[type_](raw)
    except KeyError:
        raise NodeError(f"{type_!r:.40} is no LwM2M data type") from None
    except NodeError:
        raise
    except (ValueError, TypeError, OverflowError) as error:
        raise NodeError(f"{raw!r:.80} is no {type_}: {error}") from None


def canonical_text(type_: str, number: float | None, text: str | None) -> str:
    """The one text that stands for the value of this pair."""
    if text is not None:
        return text
    assert number is not None
    if type_ == "FLOAT":
        return repr(number)
    if type_ == "BOOLEAN":
        return "true" if number else "false"
    return str(int(number))


def pair_of_text(type_: str, text: str) -> Pair:
    """The pair of a canonical text: the inverse of `canonical_text`. Raises NodeError."""
    return pair(type_, text)


def node_type(node: Mapping[str, Any]) -> str:
    """A resource node's type in capitals; guessed from the JSON value where the node names none (older bodies)."""
    type_ = node.get("type")
    if isinstance(type_, str):
        return type_name(type_)
    sample = node.get("value")
    values = node.get("values")
    if sample is None and isinstance(values, Mapping) and values:
        sample = next(iter(values.values()))
    if isinstance(sample, bool):
        return "BOOLEAN"
    if isinstance(sample, int):
        return "INTEGER"
    if isinstance(sample, float):
        return "FLOAT"
    if isinstance(sample, Mapping):
        return "OBJLNK"
    return "STRING"


def leaves(path: str, node: Any) -> Iterator[tuple[str, str, Any]]:
    """Every (path, type, raw JSON value) under a node that stands at `path` ("/" for the root).

    Takes all node kinds: resource, resource instance, multi-instance resource, instance, object, root, and bodies
    without `kind`. Raises NodeError where the node is none of them or does not fit its path.
    """
    if not isinstance(node, Mapping):
        raise NodeError(f"{path}: {node!r:.80} is not a node")
    base = "" if path == "/" else path
    try:
        depth = 0 if not base else 4 - path_ids(base).count(None)
    except PathError as error:
        raise NodeError(str(error)) from None
    if "value" in node:
        if depth not in {3, 4}:
            raise NodeError(f"{path}: a single value does not belong here")
        yield base, node_type(node), node["value"]
        return
    for key, wanted in (("values", 3), ("resources", 2), ("instances", 1), ("objects", 0)):
        children = node.get(key)
        if children is None:
            continue
        if depth != wanted:
            raise NodeError(f"{path}: a node with {key!r} does not belong here")
        if key == "values":
            if not isinstance(children, Mapping):
                raise NodeError(f"{path}: {key!r} must be an object")
            type_ = node_type(node)
            for number, raw in children.items():
                yield f"{base}/{_child_id(path, number)}", type_, raw
            return
        if not isinstance(children, list):
            raise NodeError(f"{path}: {key!r} must be an array")
        for child in children:
            if not isinstance(child, Mapping):
                raise NodeError(f"{path}: {child!r:.80} is not a node")
            yield from leaves(f"{base}/{_child_id(path, child.get('id'))}", child)
        return
    raise NodeError(f"{path}: a node without a value")


def _child_id(path: str, raw: Any) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int | str) or not str(raw).isdecimal() or int(raw) > 65535:
        raise NodeError(f"{path}: {raw!r:.40} is not an id")
    return int(raw)


def flatten(path: str, node: Any) -> list[Value]:
    """All values under a node. Raises NodeError on the first one that cannot be read (`flatten_tolerant` goes on)."""
    values, problems = flatten_tolerant(path, node)
    if problems:
        raise NodeError(problems[0])
    return values


def flatten_tolerant(path: str, node: Any) -> tuple[list[Value], list[str]]:
    """All values under a node that can be read, and a sentence for each that cannot."""
    values: list[Value] = []
    problems: list[str] = []
    try:
        for leaf, type_, raw in leaves(path, node):
            try:
                resource_ids(leaf)
                number, text = pair(type_, raw)
            except (NodeError, PathError) as error:
                problems.append(f"{leaf}: {error}")
                continue
            values.append(Value(leaf, type_, canonical_text(type_, number, text), number))
    except NodeError as error:
        problems.append(str(error))
    return values, problems


def python_value(type_: str, text: str) -> bool | int | float | str | bytes | datetime:
    """A canonical text as the Python value that fits its type best. OBJLNK, CORELNK and STRING stay text.

    TIME becomes an aware datetime (UTC), or stays an int where it lies outside datetime's range.
    """
    if type_ in {"INTEGER", "UNSIGNED_INTEGER"}:
        return int(text)
    if type_ == "FLOAT":
        return float(text)
    if type_ == "BOOLEAN":
        return text == "true"
    if type_ == "OPAQUE":
        return bytes.fromhex(text)
    if type_ == "TIME":
        milliseconds = int(text)
        try:
            return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
        except OverflowError:
            return milliseconds
    return text


def display(type_: str, text: str) -> str:
    """A canonical text for people: floats with 6 significant digits, sizes of opaque values, times in ISO 8601."""
    value = python_value(type_, text)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else text
    if isinstance(value, bytes):
        return f"{len(value)} byte{'' if len(value) == 1 else 's'}"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="milliseconds" if value.microsecond else "seconds")
    if type_ == "OBJLNK":
        return "no link" if text == NULL_LINK else "/" + text.replace(":", "/")
    return str(value)


def parse_instance(text: str) -> Path:
    """The path that an OBJLNK text points at. Raises NodeError on the null link and on anything else."""
    if text == NULL_LINK:
        raise NodeError("the null link points nowhere")
    first, _, second = text.partition(":")
    try:
        return Path(int(first), int(second))
    except ValueError as error:
        raise NodeError(f"{text!r:.40} is not an object link") from error
