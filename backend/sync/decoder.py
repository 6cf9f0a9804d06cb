"""From the bytes of Leshan's event stream to typed items. No I/O, no clock: feed it chunks, cut anywhere.

Nothing raises: what cannot be understood becomes `Poisoned`, with the bytes as they came (up to a limit).
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import orjson

from backend.lwm2m.paths import PathError, resource_ids
from backend.lwm2m.registrations import registration_parse
from backend.lwm2m.values import PAIRS, NodeError, leaves, pair
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
    Reading,
    Refused,
    Registered,
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

    def feed(self, chunk: bytes) -> list[Frame | Idle]:
        """The frames and comments that this chunk completes, in order."""
        if self._at_start:
            chunk = self._without_bom(chunk)
        if self._skip_lf and chunk:
            self._skip_lf = False
            chunk = chunk.removeprefix(b"\n")
        if b"\r" in chunk:
            self._skip_lf = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        found: list[Frame | Idle] = []
        while chunk:
            if self._long is not None:
                chunk = self._long.feed(chunk)
                if self._long.done:
                    found.append(self._long.result())
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

    def _take(self, chunk: bytes, found: list[Frame | Idle]) -> bytes:
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
            for block in head.split(b"\n\n"):
                self._block(block, found)
        rest = self._strip(rest, found)
        if len(rest) > self._event_limit:
            self._long = _LongEvent(self._keep_limit)
            return rest
        if rest:
            self._pieces, self._size = [rest], len(rest)
        return b""

    @staticmethod
    def _strip(block: bytes, found: list[Frame | Idle]) -> bytes:
        """Takes complete comment lines and empty lines off the front, so that an idle comment is heard at once."""
        while block[:1] in {b":", b"\n"}:
            line, newline, rest = block.partition(b"\n")
            if not newline:
                break
            if line:
                found.append(_comment(line))
            block = rest
        return block

    def _block(self, block: bytes, found: list[Frame | Idle]) -> None:
        """One event: the lines between two empty ones."""
        if block[:1] in {b":", b"\n"}:
            block = self._strip(block + b"\n", found).removesuffix(b"\n")
        if not block:
            return
        if len(block) + 1 > self._event_limit:
            event = _LongEvent(self._keep_limit)
            rest = event.feed(block + b"\n\n")
            found.append(event.result())
            self._block(rest.removesuffix(b"\n\n"), found)
            return
        lines = block.split(b"\n")
        # the way that our server writes it, and then any other
        if len(lines) == 3:
            first, second, third = lines
            if first.startswith(b"id: ") and second.startswith(b"event: ") and third.startswith(b"data: "):
                data = third[6:]
                found.append(Frame(_id(first[4:]), _text(second[7:]), data, len(data)))
                return
        self._lines(lines, found)

    @staticmethod
    def _lines(lines: list[bytes], found: list[Frame | Idle]) -> None:
        event_id = name = ""
        data: bytes | None = None
        for line in lines:
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
            found.append(Frame(event_id, name, data or b"", len(data or b"")))


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

    def result(self) -> Frame | Idle:
        """The frame, or the comment where there is nothing else."""
        if self._comment is not None and not (self._lines or self._id or self._name):
            return self._comment
        return Frame(self._id, self._name, bytes(self._data), self._data_size, truncated=True)


def _comment(line: bytes) -> Idle:
    return Idle(line[1 : COMMENT_LIMIT + 1].decode("utf-8", "replace").strip())


@lru_cache(maxsize=256)
def _text(value: bytes) -> str:
    return value[:64].decode("utf-8", "replace").replace("\x00", "\ufffd")


def _id(value: bytes) -> str:
    """An id with a NUL or of no sensible length counts as none."""
    if b"\x00" in value or len(value) > 64:
        return ""
    return value.decode("utf-8", "replace")


# -- frames to events


def frame_parse(frame: Frame) -> Item:
    """The event in a frame. Never raises: what is not understood is `Poisoned`."""
    if frame.truncated:
        error = f"an event of {frame.size} bytes is too long to be read"
        return Poisoned(frame.id, frame.name, frame.data, frame.size, error)
    try:
        body = orjson.loads(frame.data)
    except orjson.JSONDecodeError as error:
        return Poisoned(frame.id, frame.name, frame.data, frame.size, f"not JSON: {error}")
    try:
        return _PARSERS.get(frame.name, _unknown)(frame, body)
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
        text = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) and error.args else str(error)
        return Poisoned(frame.id, frame.name, frame.data, frame.size, f"{frame.name}: {text[:500]}")


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


def _values(frame: Frame, body: dict[str, Any], nodes: Any) -> Values:
    """The hot loop of decoding: all samples of an event, or `nodes` where it has none (a stock server)."""
    readings: list[Reading] = []
    problems: list[str] = []
    samples = body.get("samples")
    if samples is None:
        samples = [{"time": None, "nodes": nodes}]
    for sample in samples:
        raw = sample["time"]
        if type(raw) is int and 0 <= raw < _LATEST:
            time: int | None = raw * 1000
        else:
            time = None if raw is None else _microseconds(raw)
        for path, node in sample["nodes"].items():
            # nearly every value is a single resource: this short way does what readings_of does for it
            try:
                if node["kind"] == "singleResource" and resource_ids(path)[3] is None:
                    type_ = node["type"]
                    number, text = PAIRS[type_](node["value"])
                    readings.append((path, type_, number, text, time))
                    continue
            except (KeyError, TypeError, ValueError, OverflowError):
                pass
            readings_of(path, node, time, readings, problems)
    return Values(frame.id, frame.name, frame.data, _time(body), _endpoint(body), readings, problems)


def _notification(frame: Frame, body: dict[str, Any]) -> Event:
    if "samples" in body or body.get("kind") == "composite":
        return _values(frame, body, body.get("val"))
    return _values(frame, body, {body["res"]: body["val"]})


def _send(frame: Frame, body: dict[str, Any]) -> Event:
    return _values(frame, body, body.get("val"))


def _request_response(frame: Frame, body: dict[str, Any]) -> Event:
    """A device's late answer: its content, where it has one, is worth as much as a read's."""
    readings: list[Reading] = []
    problems: list[str] = []
    response = body.get("response")
    content = response.get("content") if isinstance(response, dict) and response.get("success") else None
    if content is not None:
        readings_of(str(body.get("path")), content, None, readings, problems)
    return Values(frame.id, frame.name, frame.data, _time(body), _endpoint(body), readings, problems, sampled=False)


def _registration(body: Any) -> Any:
    """The registration itself, or under "registration" beside what our server adds."""
    return body.get("registration", body)


def _registered(frame: Frame, body: dict[str, Any]) -> Event:
    return Registered(frame.id, frame.name, frame.data, _time(body), registration_parse(_registration(body)))


def _updated(frame: Frame, body: dict[str, Any]) -> Event:
    return Updated(frame.id, frame.name, frame.data, _time(body), registration_parse(_registration(body)))


def _deregistered(frame: Frame, body: dict[str, Any]) -> Event:
    info = registration_parse(_registration(body))
    return Deregistered(frame.id, frame.name, frame.data, _time(body), info, str(body.get("reason") or "")[:16])


def _presence(frame: Frame, body: dict[str, Any]) -> Event:
    return Presence(frame.id, frame.name, frame.data, _time(body), _endpoint(body), frame.name == "AWAKE")


def _gap(frame: Frame, body: dict[str, Any]) -> Event:
    first, last = body.get("from"), body.get("to")
    return Gap(
        frame.id,
        frame.name,
        frame.data,
        _time(body),
        journal=str(body.get("journal") or "")[:48],
        first=None if first is None else int(first),
        last=None if last is None else int(last),
        reason=str(body.get("reason") or "unknown")[:32],
    )


def _observation_lost(frame: Frame, body: dict[str, Any]) -> Event:
    path, code = str(body["path"]), str(body.get("code") or "")
    return ObservationLost(frame.id, frame.name, frame.data, _time(body), _endpoint(body), path, code)


def _undecoded(frame: Frame, body: dict[str, Any]) -> Event:
    texts = {key: str(body.get(key) or "") for key in ("path", "format", "hex", "error")}
    return Undecoded(frame.id, frame.name, frame.data, _time(body), _endpoint(body), **texts)


def _refused(frame: Frame, body: dict[str, Any]) -> Event:
    endpoint = body.get("endpoint")
    return Refused(
        frame.id,
        frame.name,
        frame.data,
        _time(body),
        endpoint=endpoint if isinstance(endpoint, str) else "",
        reason=str(body.get("reason") or ""),
        detail=dict(body),
    )


def _unknown(frame: Frame, body: Any) -> Event:
    return Unknown(frame.id, frame.name, frame.data, None)


def _ignored(frame: Frame, body: Any) -> Event:
    return Ignored(frame.id, frame.name, frame.data, _time(body))


_PARSERS: dict[str, Callable[[Frame, Any], Event]] = {
    "NOTIFICATION": _notification,
    "SEND": _send,
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
    "PROGRESS": _ignored,
}


class Decoder:
    """Chunks of bytes in, typed items out."""

    def __init__(self, *, event_limit: int = EVENT_LIMIT, keep_limit: int = KEEP_LIMIT) -> None:
        """As FrameDecoder."""
        self._frames = FrameDecoder(event_limit=event_limit, keep_limit=keep_limit)

    def feed(self, chunk: bytes) -> list[Item]:
        """The items that this chunk completes, in order."""
        return [frame_parse(found) if isinstance(found, Frame) else found for found in self._frames.feed(chunk)]
