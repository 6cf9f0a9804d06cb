"""Commands and answers in one line for people."""

from collections.abc import Mapping
from typing import Any

from backend.commands.models import Command, Kind, State
from backend.lwm2m.codes import code_words
from backend.lwm2m.values import NodeError, Value, display, flatten_tolerant

# in place of arguments or an answer that are too long for a list: how many characters of JSON they are
CUT = "cut"
# characters of one value, and values of one node, that a line shows
LONG = 60
MANY = 3


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONG else text[: LONG - 1] + "…"


def _shown(value: Value) -> str:
    try:
        return _short(display(value.type, value.text))
    except (ValueError, NodeError):
        return _short(value.text)


def node_summary(path: str, node: Any) -> str:
    """A node's value, or its first values with their paths."""
    values, problems = flatten_tolerant(path, node)
    if not values:
        return _short(problems[0]) if problems else "no values"
    if len(values) == 1 and values[0].path == path:
        return _shown(values[0])
    parts = [f"{value.path.removeprefix(path).lstrip('/') or value.path}: {_shown(value)}" for value in values[:MANY]]
    if len(values) > MANY:
        parts.append(f"… {len(values)} values in all")
    return ", ".join(parts)


def _attributes(attributes: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} unset" if value is None else f"{name}={value}" for name, value in attributes.items())


def arguments_summary(command: Command) -> str:
    """What is sent along, "" where nothing is."""
    arguments = command.arguments
    if CUT in arguments:
        return f"{arguments[CUT]} characters"
    if command.kind == Kind.WRITE:
        return node_summary(command.path, arguments.get("node"))
    if command.kind == Kind.CREATE:
        node = arguments.get("node") or {}
        number = node.get("id") if isinstance(node, Mapping) else None
        if number is None:
            resources = node.get("resources") if isinstance(node, Mapping) else None
            return f"{len(resources or [])} resources, the device chooses the number"
        return node_summary(f"{command.path}/{number}", node) if node.get("resources") else f"instance {number}"
    if command.kind == Kind.WRITE_ATTRIBUTES:
        return _attributes(arguments.get("attributes") or {})
    if command.kind == Kind.EXECUTE:
        return _short(str(arguments.get("arguments") or ""))
    if command.kind == Kind.WRITE_PACKAGE:
        return f"{arguments.get('size')} bytes, SHA-256 {str(arguments.get('sha256'))[:12]}…"
    if command.kind == Kind.WRITE_COMPOSITE:
        nodes = arguments.get("nodes") or {}
        return ", ".join(f"{path}: {node_summary(path, node)}" for path, node in list(nodes.items())[:MANY]) + (
            f", … {len(nodes)} paths in all" if len(nodes) > MANY else ""
        )
    return ""


def command_summary(command: Command) -> str:
    """What was asked: "Write /1/0/1: 300"."""
    kind = Kind(command.kind)
    where = command.path
    if not where and kind != Kind.WRITE_COMPOSITE and CUT not in command.arguments:
        paths = command.paths
        where = ", ".join(paths[:MANY]) + (f", … {len(paths)} in all" if len(paths) > MANY else "")
    said = arguments_summary(command)
    head = " ".join(part for part in (kind.label, where) if part)
    if kind == Kind.WRITE and command.arguments.get("mode") == "update":
        head += " (update)"
    return f"{head}: {said}" if said else head


def answer_summary(command: Command) -> str:
    """What came of it, as far as there is something to say: the value read, the reason of an end, why it waits."""
    if command.state != State.SUCCEEDED:
        return command.reason
    answer = command.answer
    if not isinstance(answer, Mapping):
        return command.reason or code_words(command.status)
    if CUT in answer:
        return f"{code_words(command.status)}, {answer[CUT]} characters".removeprefix(", ")
    content = answer.get("content")
    if isinstance(content, Mapping):
        if not command.path:
            present = {path: node for path, node in content.items() if node is not None}
            said = [f"{path}: {node_summary(path, node)}" for path, node in list(present.items())[:MANY]]
            if len(present) > MANY:
                said.append(f"… {len(present)} paths in all")
            return ", ".join(said) or "no values"
        return node_summary(command.path, content)
    links = answer.get("objectLinks")
    if isinstance(links, list):
        return f"{len(links)} link{'' if len(links) == 1 else 's'}"
    location = answer.get("location")
    if location:
        return f"created {location}"
    return command.reason or code_words(command.status)
