"""Server-sent events, and what the journal says that devices have said."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import requests


class Event(NamedTuple):
    """One event; `id` is empty for live ones, `name` is ":" for a comment (then `data` is its text)."""

    id: str
    name: str
    data: Any


def stream_chunks(response: requests.Response) -> Iterator[bytes]:
    """The bytes of a streamed answer as they come.

    `iter_content` would hold a chunk back until its last two bytes are there, and Jetty sends these with the next one.
    """
    while chunk := response.raw.read1(65536):
        yield chunk


def parse_stream(chunks: Iterable[bytes]) -> Iterator[Event]:
    """Events from the bytes of a stream (WHATWG HTML, 9.2.6), with JSON data."""
    rest = b""
    fields: dict[str, str] = {}
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for raw in lines:
            line = raw.decode().removesuffix("\r")
            if line.startswith(":"):
                yield Event("", ":", line[1:].strip())
            elif line:
                name, _, value = line.partition(":")
                value = value.removeprefix(" ")
                fields[name] = fields[name] + "\n" + value if name == "data" and name in fields else value
            else:
                if "data" in fields:
                    yield Event(fields.get("id", ""), fields.get("event", "message"), json.loads(fields["data"]))
                fields = {}


def sequence(event_id: str) -> int:
    """The number in `<journal>-<sequence>`; 0 for an empty id."""
    return int(event_id.rpartition("-")[2] or 0)


class Value(NamedTuple):
    """One number of one device at one moment (microseconds since 1970)."""

    endpoint: str
    path: str
    time: int
    number: float


def said_values(events: Iterable[Event]) -> Counter[Value]:
    """Every number that devices notified or sent, with the time that it must be stored under.

    That is the device's own time, or where it sent none the event's.
    """
    values: Counter[Value] = Counter()
    for event in events:
        if event.name not in {"NOTIFICATION", "SEND"}:
            continue
        for sample in event.data["samples"]:
            milliseconds = sample["time"] if sample["time"] is not None else event.data["time"]
            for path, node in sample["nodes"].items():
                if node["kind"] == "singleResource" and node["type"].upper() in {"FLOAT", "INTEGER"}:
                    time = round(milliseconds * 1000)
                    values[Value(event.data["ep"], path, time, float(node["value"]))] += 1
    return values
