"""From the bytes of Leshan's event stream to typed items. No I/O, no clock: feed it chunks, cut anywhere.

Nothing raises: what cannot be understood becomes `Poisoned`, with the bytes as they came (up to a limit).
"""

import functools
import operator
import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import orjson

from backend.commands.services.outcomes import Record
from backend.lwm2m.paths import PathError, resource_ids
from backend.lwm2m.registrations import registration_parse
from backend.lwm2m.values import PAIRS, TYPES, NodeError, leaves, pair
from backend.sync.events import (
    Deregistered,
    Event,
    Frame,
    Gap,
    Idle,
    Ignored,
    Item,
    ObservationLost,
    Poisoned,
    Presence,
    Progressed,
    Reading,
    Refused,
    Registered,
    Responded,
    Undecoded,
    Unknown,
    Updated,
    Values,
)

# bytes of an event (id, name and data) above which it is not parsed but only its beginning kept
EVENT_LIMIT = 8 * 1024 * 1024
KEEP_LIMIT = 1024 * 1024
COMMENT_LIMIT = 256
FIELD_LIMIT = 1024
# milliseconds that are a sensible time without a closer look: up to the year 2286
_LATEST = 10**13
# one event as our server writes it, and how many line ends it has
_EVENTS = re.compile(rb"^id: ([^\n]{0,64})\nevent: ([^\n]*)\ndata: ([^\n]*)\n\n", re.MULTILINE)
_EVENT_LINES = 4


class FrameDecoder:
    """The line protocol of server-sent events (WHATWG HTML, 9.2): chunks in, frames and comments out.

    Memory is bounded by EVENT_LIMIT and the size of a chunk.
    """

    def __init__(self, *, event_limit: int = EVENT_LIMIT, keep_limit: int = KEEP_LIMIT) -> None:
        """The limits are in bytes."""
        self._event_limit = event_limit
        self._keep_limit = keep_limit
        self._pieces: list[bytes] = []
        self._size = 0
        self._skip_lf = False
        self._at_start = True
        self._long: _LongEvent | None = None

    def make(self, event_id: str, name: str, data: bytes) -> Any:
        """What is given back for an event."""
        return Frame(event_id, name, data)

    def make_cut(self, event_id: str, name: str, data: bytes, size: int) -> Any:
        """What is given back for one that was too long: `data` is only the beginning of `size` bytes."""
        return Frame(event_id, name, data, cut_from=size)

    def feed(self, chunk: bytes) -> list[Any]:
        """The frames and comments that this chunk completes, in order."""
        if self._at_start:
            chunk = self._without_bom(chunk)
        if self._skip_lf and chunk:
            self._skip_lf = False
            chunk = chunk.removeprefix(b"\n")
        if b"\r" in chunk:
            self._skip_lf = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        found: list[Any] = []
        while chunk:
            if self._long is not None:
                chunk = self._long.feed(chunk)
                if self._long.done:
                    found.append(self._long.result(self.make_cut))
                    self._long = None
                continue
            chunk = self._take(chunk, found)
        return found

    def _without_bom(self, chunk: bytes) -> bytes:
        """Drops a byte order mark at the very start, also one that is cut."""
        bom = b"\xef\xbb\xbf"
        start = b"".join(self._pieces) + chunk
        self._pieces, self._size = [], 0
        if len(start) < 3 and bom.startswith(start):
            self._pieces, self._size = [start], len(start)
            return b""
        self._at_start = False
        return start.removeprefix(bom)

    def _take(self, chunk: bytes, found: list[Any]) -> bytes:
        """Takes whole events from what is there; gives back what a too long event has to eat first."""
        crossing = chunk.startswith(b"\n") and self._pieces and self._pieces[-1].endswith(b"\n")
        self._pieces.append(chunk)
        self._size += len(chunk)
        first = self._pieces[0][:1]
        if b"\n\n" not in chunk and not crossing and first not in b":\n" and self._size <= self._event_limit:
            return b""
        data = b"".join(self._pieces)
        self._pieces, self._size = [], 0
        head, separator, rest = data.rpartition(b"\n\n")
        if separator:
            self._blocks(head, found)
        rest = self._strip(rest, found)
        if len(rest) > self._event_limit:
            self._long = _LongEvent(self._keep_limit)
            return rest
        if rest:
            self._pieces, self._size = [rest], len(rest)
        return b""

    @staticmethod
    def _strip(block: bytes, found: list[Any]) -> bytes:
        """Takes complete comment lines and empty lines off the front, so that an idle comment is heard at once."""
        while block[:1] in {b":", b"\n"}:
            line, newline, rest = block.partition(b"\n")
            if not newline:
                break
            if line:
                found.append(_comment(line))
            block = rest
        return block

    def _blocks(self, head: bytes, found: list[Any]) -> None:
        """Whole events, without the last one's end."""
        whole = head + b"\n\n"
        if len(head) < self._event_limit and b"\x00" not in head:
            # nothing but events the way that our server writes them? Then they account for every line
            events = _EVENTS.findall(whole)
            if len(events) * _EVENT_LINES == whole.count(b"\n"):
                make = self.make
                for event_id, name, data in events:
                    found.append(make(event_id.decode("utf-8", "replace"), _text(name), data))
                return
        for block in head.split(b"\n\n"):
            self._block(block, found)

    def _block(self, block: bytes, found: list[Any]) -> None:
        """One event: the lines between two empty ones."""
        if block[:1] in {b":", b"\n"}:
            block = self._strip(block + b"\n", found).removesuffix(b"\n")
        if not block:
            return
        if len(block) + 1 > self._event_limit:
            event = _LongEvent(self._keep_limit)
            rest = event.feed(block + b"\n\n")
            found.append(event.result(self.make_cut))
            self._block(rest.removesuffix(b"\n\n"), found)
            return
        event_id = name = ""
        data: bytes | None = None
        for line in block.split(b"\n"):
            key, _, value = line.partition(b":")
            if value[:1] == b" ":
                value = value[1:]
            if key == b"data":
                data = value if data is None else data + b"\n" + value
            elif key == b"id":
                event_id = _id(value)
            elif key == b"event":
                name = _text(value)
            elif not key and line:
                found.append(_comment(line))
        if data is not None or event_id or name:
            found.append(self.make(event_id, name, data or b""))


class _LongEvent:
    """An event that is too long to hold: line by line, only the beginning of its data is kept."""

    def __init__(self, keep_limit: int) -> None:
        self._keep = keep_limit
        self._line = bytearray()
        self._line_size = 0
        self._data = bytearray()
        self._data_size = 0
        self._lines = 0
        self._id = ""
        self._name = ""
        self._comment: Idle | None = None
        self.done = False

    def feed(self, chunk: bytes) -> bytes:
        """Takes bytes up to the empty line that ends the event (`done`); gives back the rest."""
        position = 0
        while position < len(chunk):
            newline = chunk.find(b"\n", position)
            end = len(chunk) if newline < 0 else newline
            room = self._keep + FIELD_LIMIT - len(self._line)
            if room > 0:
                self._line += chunk[position : min(end, position + room)]
            self._line_size += end - position
            if newline < 0:
                return b""
            position = newline + 1
            if self._end_of_line():
                self.done = True
                return chunk[position:]
        return b""

    def _end_of_line(self) -> bool:
        line, size = bytes(self._line), self._line_size
        self._line.clear()
        self._line_size = 0
        if not size:
            return True
        key, _, value = line.partition(b":")
        cut = size - len(line)
        if value[:1] == b" ":
            value = value[1:]
        if key == b"data":
            if self._lines:
                self._append(b"\n", 0)
            self._append(value, cut)
            self._lines += 1
        elif key == b"id":
            self._id = _id(value)
        elif key == b"event":
            self._name = _text(value)
        elif not key:
            self._comment = _comment(line)
            # a comment at the front stands for itself: what follows it is the event
            return not (self._lines or self._id or self._name)
        return False

    def _append(self, value: bytes, cut: int) -> None:
        self._data += value[: max(0, self._keep - len(self._data))]
        self._data_size += len(value) + cut

    def result(self, make: Callable[[str, str, bytes, int], Any]) -> Any:
        """The event, or the comment where there is nothing else."""
        if self._comment is not None and not (self._lines or self._id or self._name):
            return self._comment
        return make(self._id, self._name, bytes(self._data), self._data_size)


def _comment(line: bytes) -> Idle:
    return Idle(line[1 : COMMENT_LIMIT + 1].decode("utf-8", "replace").strip())


@lru_cache(maxsize=256)
def _text(value: bytes) -> str:
    return value[:64].decode("utf-8", "replace").replace("\x00", "\ufffd")


def _id(value: bytes) -> str:
    """An id with a NUL or of no sensible length counts as none."""
    return "" if len(value) > 64 or b"\x00" in value else value.decode("utf-8", "replace")


# -- frames to events


class Decoder(FrameDecoder):
    """Chunks of bytes in, typed items (backend.sync.events.Item) out."""

    def make(self, event_id: str, name: str, data: bytes) -> Item:
        """The event in a frame. Never raises: what is not understood is `Poisoned`."""
        try:
            if name == "NOTIFICATION" or name == "SEND":
                return _values(event_id, name, data)
            return _PARSERS.get(name, _unknown)(event_id, name, data, orjson.loads(data))
        except orjson.JSONDecodeError as error:
            return Poisoned(event_id, name, data, len(data), f"not JSON: {error}")
        except (KeyError, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            text = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) and error.args else str(error)
            return Poisoned(event_id, name, data, len(data), f"{name}: {text[:500]}")

    def make_cut(self, event_id: str, name: str, data: bytes, size: int) -> Item:
        """One that is too long to be read."""
        return Poisoned(event_id, name, data, size, f"an event of {size} bytes is too long to be read")


def _time(body: Any) -> int | None:
    """`"time"`, milliseconds, as microseconds."""
    raw = body.get("time") if type(body) is dict else None
    if type(raw) is int and 0 <= raw < _LATEST:
        return raw * 1000
    return None if raw is None else _microseconds(raw)


def _microseconds(milliseconds: Any) -> int:
    if type(milliseconds) is int:
        microseconds = milliseconds * 1000
    elif type(milliseconds) is float:
        microseconds = round(milliseconds * 1000)
    else:
        raise ValueError(f"{milliseconds!r:.40} is not a time in milliseconds")
    if not -(2**63) <= microseconds < 2**63:
        raise ValueError(f"{milliseconds!r:.40} is a time out of range")
    return microseconds


def _endpoint(body: dict[str, Any]) -> str:
    endpoint = body["ep"]
    if type(endpoint) is not str or not 0 < len(endpoint) <= 255:
        raise ValueError(f"ep {endpoint!r:.80}: 1 to 255 characters are needed")
    return endpoint


def readings_of(path: str, node: Any, time: int | None, readings: list[Reading], problems: list[str]) -> None:
    """Adds every value under a node; what cannot be read is told in `problems` and the rest kept."""
    try:
        # most nodes are one resource: a short way for them
        if node["kind"] == "singleResource" and resource_ids(path)[3] is None:
            number, text = PAIRS[node["type"]](node["value"])
            readings.append((path, node["type"], number, text, time))
            return
    except (KeyError, TypeError, ValueError, OverflowError):
        pass
    try:
        for leaf, type_, raw in leaves(path, node):
            try:
                resource_ids(leaf)
                number, text = pair(type_, raw)
            except (NodeError, PathError) as error:
                problems.append(f"{leaf[:64]}: {error}")
                continue
            readings.append((leaf, type_, number, text, time))
    except NodeError as error:
        problems.append(str(error))


class _Node(msgspec.Struct, gc=False, tag_field="type"):
    """A single resource of any type but FLOAT."""

    kind: Literal["singleResource"]
    value: Any


class _Float(msgspec.Struct, gc=False, tag_field="type", tag="FLOAT"):
    """A single number. Our server writes it as a text, which is read as a number on the way."""

    kind: Literal["singleResource"]
    value: float


if TYPE_CHECKING:
    _AnyNode = _Float | _Node
else:
    _AnyNode = functools.reduce(
        operator.or_,
        (msgspec.defstruct(f"_{name}", [], bases=(_Node,), tag=name) for name in sorted(TYPES - {"FLOAT"})),
        _Float,
    )
_Time = Annotated[int, msgspec.Meta(ge=0, lt=_LATEST)] | None


class _Sample(msgspec.Struct, gc=False):
    time: _Time
    nodes: dict[str, _AnyNode]


class _Body(msgspec.Struct, gc=False):
    """NOTIFICATION or SEND as nearly all are; what is not (as `val`, the same once more) is not even read."""

    ep: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    samples: list[_Sample]
    time: _Time = None
    guessed: list[str] = []


_body = msgspec.json.Decoder(_Body, strict=False).decode


def _values(id_: str, name: str, data: bytes) -> Values:
    """NOTIFICATION and SEND: the hot loop of decoding. What is anything but usual goes to `_values_of`."""
    try:
        body = _body(data)
        readings: list[Reading] = []
        for sample in body.samples:
            time = sample.time
            if time is not None:
                time *= 1000
            for path, node in sample.nodes.items():
                if resource_ids(path)[3] is not None:
                    return _values_of(id_, name, data, orjson.loads(data))
                value = node.value
                if type(node) is _Float and value and value - value == 0.0:
                    # neither zero nor infinite nor NaN: the number says it all
                    readings.append((path, "FLOAT", value, None, time))
                    continue
                type_ = str(node.__struct_config__.tag)
                number, text = PAIRS[type_](value)
                readings.append((path, type_, number, text, time))
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError, OverflowError, RecursionError):
        return _values_of(id_, name, data, orjson.loads(data))
    at = None if body.time is None else body.time * 1000
    if body.guessed:
        return Values(id_, name, data, at, body.ep, readings, [], frozenset(body.guessed))
    return Values(id_, name, data, at, body.ep, readings, [])


def _values_of(id_: str, name: str, data: bytes, body: dict[str, Any]) -> Values:
    """The same of any body, with what cannot be read of it."""
    readings: list[Reading] = []
    problems: list[str] = []
    samples = body.get("samples")
    if samples is None:
        # a stock server: values without times, of a single observation beside their path
        single = name == "NOTIFICATION" and body.get("kind") != "composite"
        samples = [{"time": None, "nodes": {body["res"]: body["val"]} if single else body["val"]}]
    for sample in samples:
        raw = sample["time"]
        time = None if raw is None else _microseconds(raw)
        for path, node in sample["nodes"].items():
            readings_of(path, node, time, readings, problems)
    guessed = frozenset(map(str, body.get("guessed") or ()))
    return Values(id_, name, data, _time(body), _endpoint(body), readings, problems, guessed)


def decoded_readings(body: dict[str, Any]) -> list[Reading]:
    """The readings of an answer of `POST /api/clients/{ep}/decode`. Raises ValueError, KeyError or TypeError."""
    values = _values_of("", "SEND", b"", body)
    return [reading for reading in values.readings if reading[0] not in values.guessed]


def _request_response(id_: str, name: str, data: bytes, body: dict[str, Any]) -> Event:
    """How a request ended; a device's answer is worth as much as a read's."""
    record = record_of(body)
    readings: list[Reading] = []
    problems: list[str] = []
    content = record.response.get("content") if record.response and record.response.get("success") else None
    if content is not None:
        content_readings(str(body.get("path") or ""), content, readings, problems)
    return Responded(id_, name, data, _time(body), _endpoint(body), record, readings, problems)


def responded(body: dict[str, Any]) -> Item:
    """The same from Leshan's record of a request that ended."""
    data = orjson.dumps(body)
    try:
        return _request_response("", "REQUEST_RESPONSE", data, body)
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        return Poisoned("", "REQUEST_RESPONSE", data, len(data), f"REQUEST_RESPONSE: {str(error)[:500]}")


def record_of(body: dict[str, Any]) -> Record:
    """The fields that say how a request ended; without `outcome`, as a stock server says it, the device answered."""
    response, duration = body.get("response"), body.get("duration")
    return Record(
        request_id=str(body.get("requestId") or ""),
        outcome=str(body.get("outcome") or "answered"),
        response=response if isinstance(response, dict) else None,
        error=str(body.get("error") or "")[:2000],
        sent=body.get("sent") is not False,
        duration_ms=min(2**31 - 1, max(0, round(duration))) if isinstance(duration, int | float) else None,
    )


def content_readings(path: str, content: Any, readings: list[Reading], problems: list[str]) -> None:
    """Adds every value in an answer's content: a node at the path, or of a composite a node by path."""
    if path or not isinstance(content, dict):
        readings_of(path or "/", content, None, readings, problems)
        return
    for place, node in content.items():
        # a composite answers with nothing where it has nothing
        if node is not None:
            readings_of(str(place), node, None, readings, problems)


def _registration(body: Any) -> Any:
    """The registration itself, or under "registration" beside what our server adds."""
    return body.get("registration", body)


def _registered(id_: str, name: str, data: bytes, body: dict[str, Any]) -> Event:
    return Registered(id_, name, data, _time(body), registration_parse(_registration(body)))


def _updated(id_: str, name: str, data: bytes, body: dict[str, Any]) -> Event:
    return Updated(id_, name, data, _time(body), registration_parse(_registration(body)))


def _deregistered(id_: str, name: str, data: bytes, body: dict[str, Any]) -> Event:
    info = registration_parse(_registration(body))
    return Deregistered(id_, name, data, _time(body), info, str(body.get("reason") or "")[:16])


def _presence(id_: str, name: str, data: bytes, body: dict[str, Any]) -> Event:
    return Presence(id_, name, data, _time(body), _endpoint(body), name == "AWAKE")


def _gap(id_: str, name: str, data: bytes, body: dict[str, Any]) -> Event:
    first, last = body.get("from"), body.get("to")
    return Gap(
        id_,
        name,
        data,
        _time(body),
        journal=str(body.get("journal") or "")[:48],
        first=None if first is None else int(first),
        last=None if last is None else int(last),
        reason=str(body.get("reason") or "unknown")[:32],
    )


def _observation_lost(id_: str, name: str, data: bytes, body: dict[str, Any]) -> Event:
    paths = body["paths"] if "path" not in body else [body["path"]]
    code = str(body.get("code") or "")
    return ObservationLost(id_, name, data, _time(body), _endpoint(body), [str(path) for path in paths], code)


def _undecoded(id_: str, name: str, data: bytes, body: dict[str, Any]) -> Event:
    texts = {key: str(body.get(key) or "") for key in ("path", "format", "hex", "error")}
    return Undecoded(id_, name, data, _time(body), _endpoint(body), **texts)


def _refused(id_: str, name: str, data: bytes, body: dict[str, Any]) -> Event:
    endpoint = body.get("endpoint")
    return Refused(
        id_,
        name,
        data,
        _time(body),
        endpoint=endpoint if isinstance(endpoint, str) else "",
        reason=str(body.get("reason") or ""),
        detail=dict(body),
    )


def _progressed(id_: str, name: str, data: bytes, body: dict[str, Any]) -> Event:
    sent, total, block = (body.get(key) for key in ("sent", "total", "block"))
    if type(sent) is not int or type(total) is not int or not 0 <= sent <= total < 2**63:
        raise ValueError(f"{sent!r:.40} of {total!r:.40} bytes is no progress")
    return Progressed(
        id_,
        name,
        data,
        _time(body),
        endpoint=_endpoint(body),
        request_id=str(body.get("requestId") or ""),
        sha256=str(body["sha256"]),
        sent=sent,
        total=total,
        block=block if type(block) is int and 0 < block < 2**31 else None,
    )


def _unknown(id_: str, name: str, data: bytes, body: Any) -> Event:
    return Unknown(id_, name, data, None)


def _ignored(id_: str, name: str, data: bytes, body: Any) -> Event:
    return Ignored(id_, name, data, _time(body))


_PARSERS: dict[str, Callable[[str, str, bytes, Any], Event]] = {
    "REQUEST_RESPONSE": _request_response,
    "REGISTRATION": _registered,
    "UPDATED": _updated,
    "DEREGISTRATION": _deregistered,
    "SLEEPING": _presence,
    "AWAKE": _presence,
    "GAP": _gap,
    "OBSERVATION_LOST": _observation_lost,
    "UNDECODED": _undecoded,
    "REFUSED": _refused,
    "COAPLOG": _ignored,
    "PROGRESS": _progressed,
}
