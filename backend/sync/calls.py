"""A command as the HTTP request to Leshan that carries it out; pure, but for the time that sets a clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson
from django.conf import settings
from django.utils import timezone

from backend.commands.actions import arguments_at
from backend.commands.models import Command, Kind
from backend.lwm2m.attributes import attribute_text

# seconds for the device's answer
REQUEST_SECONDS: int = settings.REQUEST_SECONDS
# what a slow network carries in a second, in both directions: bigger bodies get more time
BYTES_PER_SECOND = 500


@dataclass(frozen=True, slots=True)
class Call:
    """`target`: path and query behind `/api/clients/{ep}`. `seconds`: how long the device may take."""

    method: str
    target: str
    body: bytes | None
    content_type: str
    seconds: int


def seconds_of(command: Command, size: int = 0) -> int:
    """How long the device may take for it, with a body of that many bytes."""
    if command.kind == Kind.WRITE_PACKAGE:
        # whoever asked for it knows the device's speed
        return int(command.arguments["seconds"])
    return REQUEST_SECONDS + size // BYTES_PER_SECOND


def call_of(command: Command) -> Call:
    """The request. Raises ValueError where its arguments are not what its kind needs."""
    arguments: Mapping[str, Any] = arguments_at(command.arguments or {}, at=timezone.now())
    path, kind = command.path, command.kind
    body: bytes | None = None
    content_type = "application/json"
    query: list[tuple[str, str | None]] = []
    if command.content_format:
        names = ("pathformat", "nodeformat") if not path else ("format",)
        query += [(name, command.content_format) for name in names]
    if kind == Kind.READ:
        method, target = "GET", path
    elif kind == Kind.DISCOVER:
        method, target, query = "GET", f"{path}/discover", []
    elif kind == Kind.WRITE:
        method, target, body = "PUT", path, orjson.dumps(arguments["node"])
        query.append(("replace", "false" if arguments.get("mode") == "update" else "true"))
    elif kind == Kind.WRITE_ATTRIBUTES:
        method, target = "PUT", f"{path}/attributes"
        query = [(name, _number(value)) for name, value in arguments["attributes"].items()]
    elif kind == Kind.EXECUTE:
        method, target, content_type, query = "POST", path, "text/plain; charset=utf-8", []
        body = str(arguments.get("arguments") or "").encode()
    elif kind == Kind.CREATE:
        method, target, body = "POST", path, orjson.dumps(arguments["node"])
    elif kind == Kind.DELETE:
        method, target, query = "DELETE", path, []
    elif kind == Kind.OBSERVE:
        method, target = "POST", f"{path}/observe"
    elif kind == Kind.CANCEL_OBSERVE:
        method, target, query = "DELETE", f"{path}/observe", [("active", None)]
    elif kind == Kind.READ_COMPOSITE:
        method, target = "GET", "/composite"
        query.append(("paths", ",".join(arguments["paths"])))
    elif kind == Kind.WRITE_COMPOSITE:
        method, target, body = "PUT", "/composite", orjson.dumps(arguments["nodes"])
        query = [pair for pair in query if pair[0] != "pathformat"]
    elif kind == Kind.OBSERVE_COMPOSITE:
        method, target = "POST", "/composite/observe"
        query.append(("paths", ",".join(arguments["paths"])))
    elif kind == Kind.CANCEL_COMPOSITE:
        method, target = "DELETE", "/composite/observe"
        query = [("active", None), ("paths", ",".join(arguments["paths"]))]
    elif kind == Kind.WRITE_PACKAGE:
        # Leshan has it: no byte of it passes here
        method, target, body, content_type = "PUT", path, b"", "application/octet-stream"
        query = [("package", str(arguments["sha256"]))]
    else:
        raise ValueError(f"{kind!r} is no kind of command")
    seconds = seconds_of(command, len(body or b""))
    query.append(("timeout", str(seconds)))
    return Call(method, f"{target}?{_query(query)}", body, content_type, seconds)


def _query(pairs: list[tuple[str, str | None]]) -> str:
    """A key without a value stands alone: that is how an attribute is unset."""
    return "&".join(name if value is None else f"{name}={quote(value, safe='/,')}" for name, value in pairs)


def _number(value: Any) -> str | None:
    return None if value is None else attribute_text(value)


def attributes_query(attributes: Mapping[str, Any]) -> str:
    """`{"pmin": 1, "gt": None}` → `pmin=1&gt`: write-attributes as Leshan takes them."""
    return _query([(name, _number(value)) for name, value in attributes.items()])
