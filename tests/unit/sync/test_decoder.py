import json
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backend.lwm2m.values import canonical_text, flatten_tolerant
from backend.sync.decoder import Decoder, FrameDecoder, _values_of
from backend.sync.events import (
    Deregistered,
    Frame,
    Gap,
    Idle,
    Ignored,
    Item,
    ObservationLost,
    Poisoned,
    Presence,
    Progressed,
    Refused,
    Registered,
    Responded,
    Undecoded,
    Unknown,
    Updated,
    Values,
)
from tests.unit.sync.samples import REGISTRATION, event, node, notification

LIMITS = {"event_limit": 200, "keep_limit": 50}


def decode(stream: bytes, **limits: int) -> list[Item]:
    return Decoder(**limits).feed(stream)


def one(name: str, body: Any, id_: str = "j-1") -> Item:
    (item,) = decode(event(id_, name, body))
    return item


fragments = st.sampled_from(
    [
        *(b"id: j-1\n", b"id:j-2\r\n", b"id: \x00\n", b"event: NOTIFICATION\n", b"event: SEND\r", b"retry: 5\n"),
        *(b"data: {}\n", b"data: x\r\n", b"data\n", b"data:\n", b": j-7\n", b":\n", b"\n", b"\r\n", b"\r"),
        *(b"\xff\xfe\n", b"\xef\xbb\xbf", b"x" * 60, b"data: " + b"y" * 230 + b"\n", b": " + b"z" * 300 + b"\n"),
        *(b"data: \xc3", event("j-3", "AWAKE", {"ep": "a"}), notification("j-4", "a", 1.5)),
        notification("j-5", 'ü/"', 2.5, time=1),
    ]
)
streams = st.lists(fragments, max_size=14).map(b"".join)


@settings(max_examples=400)
@given(streams, st.data())
def test_any_cut_of_the_stream_gives_the_same_items(stream: bytes, data: st.DataObject) -> None:
    whole = decode(stream, **LIMITS)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    decoder = Decoder(**LIMITS)
    pieces: list[Item] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        pieces += decoder.feed(stream[start:end])
    assert pieces == whole
    decoder = Decoder(**LIMITS)
    assert [item for byte in stream for item in decoder.feed(bytes([byte]))] == whole


@given(st.binary(max_size=400))
@example(b"\n\n\n")
@example(b"\r\r\n\n")
def test_no_bytes_make_it_raise(stream: bytes) -> None:
    decode(stream, **LIMITS)
    decode(b"event: NOTIFICATION\ndata: " + stream.replace(b"\n", b" ").replace(b"\r", b" ") + b"\n\n")


@given(st.sampled_from(["\n", "\r", "\r\n"]))
def test_every_line_ending_counts(end: str) -> None:
    stream = end.join(["id: j-1", "event: AWAKE", 'data: {"ep":', 'data: "a"}', "", ""]).encode()
    (item,) = decode(stream)
    assert isinstance(item, Presence)
    assert (item.endpoint, item.awake) == ("a", True)


def test_an_idle_comment_is_heard_before_the_next_event() -> None:
    decoder = Decoder()
    assert decoder.feed(b": j-5\n") == [Idle("j-5")]
    assert decoder.feed(b"\n") == []
    assert decoder.feed(b"id: j-6\nevent: AWAKE\n") == []
    assert [type(item) for item in decoder.feed(b'data: {"ep":"a"}\n\n')] == [Presence]


def test_a_too_long_event_is_kept_in_part_and_the_next_one_is_read() -> None:
    stream = event("j-1", "SEND", "x" * 10_000_000) + event("j-2", "AWAKE", {"ep": "a"})
    decoder = Decoder()
    items = [item for start in range(0, len(stream), 65536) for item in decoder.feed(stream[start : start + 65536])]
    poisoned, awake = items
    assert isinstance(poisoned, Poisoned)
    assert (poisoned.id, poisoned.name, poisoned.size) == ("j-1", "SEND", 10_000_002)
    assert poisoned.data == b'"' + b"x" * (1024 * 1024 - 1)
    assert "too long" in poisoned.error
    assert isinstance(awake, Presence)


@pytest.mark.parametrize("data", [b"{", b"{}x", b'{"ep":"a\xff"}', b"", b"\xf0\x28", b'{"ep":"\\ud800"}', b"[" * 2000])
def test_what_is_not_json_is_poisoned_with_its_bytes(data: bytes) -> None:
    (item,) = decode(b"id: j-1\nevent: NOTIFICATION\ndata: " + data + b"\n\n")
    assert isinstance(item, Poisoned)
    assert (item.id, item.name, item.data, item.size) == ("j-1", "NOTIFICATION", data, len(data))
    assert item.error.startswith("not JSON")


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("NOTIFICATION", {"ep": "a"}),
        ("NOTIFICATION", {"res": "/3/0/9", "val": node(9, "INTEGER", "1")}),
        ("NOTIFICATION", {"ep": "", "res": "/3/0/9", "val": node(9, "INTEGER", "1")}),
        ("NOTIFICATION", {"ep": "a", "samples": [{"time": "x", "nodes": {}}]}),
        ("NOTIFICATION", {"ep": "a", "samples": [{"time": 1e300, "nodes": {}}]}),
        ("NOTIFICATION", {"ep": "a", "samples": [{"nodes": {}}]}),
        ("NOTIFICATION", {"ep": "a", "samples": 3}),
        ("NOTIFICATION", []),
        ("SEND", {"ep": "a", "val": 3}),
        ("SEND", None),
        ("REGISTRATION", {}),
        ("REGISTRATION", 3),
        ("UPDATED", {"registration": None}),
        ("AWAKE", {"ep": 3}),
        ("GAP", {"from": "x"}),
        ("OBSERVATION_LOST", {"ep": "a"}),
        ("REFUSED", 3),
    ],
)
def test_events_of_another_shape_are_poisoned(name: str, body: Any) -> None:
    item = one(name, body)
    assert isinstance(item, Poisoned)
    assert item.error.startswith(name)
    assert json.loads(item.data) == body


@pytest.mark.parametrize("depth", [100, 500, 980, 1_000, 1_010, 1_020, 2_000, 100_000])
@pytest.mark.parametrize("place", ["val", "ep", "time", "samples"])
def test_nesting_stops_nothing(depth: int, place: str) -> None:
    body = {"ep": b'"a"', "samples": b"[]", "val": b"{}", "time": b"1"} | {place: b"[" * depth + b"]" * depth}
    data = b"{" + b",".join(b'"%s":%s' % (name.encode(), value) for name, value in body.items()) + b"}"
    for name in (b"SEND", b"SLEEPING", b"REQUEST_RESPONSE"):
        (item,) = decode(b"id: j-1\nevent: " + name + b"\ndata: " + data + b"\n\n")
        assert isinstance(item, Values | Presence | Responded | Poisoned)
        assert item.data == data


def test_an_unknown_event_is_told_as_such() -> None:
    item = one("NEWS", {"time": "whatever"})
    assert isinstance(item, Unknown)
    assert item.name == "NEWS"
    assert isinstance(one("COAPLOG", {"timestamp": 1}), Ignored)
    assert isinstance(one("COAPLOG", {"ep": "a"}), Ignored)


def test_a_notification_of_a_stock_server_has_no_times() -> None:
    item = one("NOTIFICATION", {"ep": "a", "kind": "single", "res": "/3/0/9", "val": node(9, "INTEGER", "61")}, id_="")
    assert isinstance(item, Values)
    assert (item.id, item.time, item.endpoint) == ("", None, "a")
    assert item.readings == [("/3/0/9", "INTEGER", 61.0, None, None)]


def test_composite_and_send_of_a_stock_server() -> None:
    nodes = {"/3/0/9": node(9, "INTEGER", "61"), "/3303/0/5700": node(5700, "FLOAT", "21.5")}
    readings = [("/3/0/9", "INTEGER", 61.0, None, None), ("/3303/0/5700", "FLOAT", 21.5, None, None)]
    composite = one("NOTIFICATION", {"ep": "a", "kind": "composite", "val": nodes, "paths": list(nodes)})
    assert isinstance(composite, Values)
    assert composite.readings == readings
    sent = one("SEND", {"ep": "a", "val": nodes})
    assert isinstance(sent, Values)
    assert sent.readings == readings


def test_all_samples_of_a_send_come_with_their_times() -> None:
    samples = [
        {"time": 1000, "nodes": {"/3303/0/5700": node(5700, "FLOAT", "1.0")}},
        {"time": 1000.001, "nodes": {"/3303/0/5700": node(5700, "FLOAT", "2.0")}},
        {"time": None, "nodes": {"/3303/0": {"kind": "instance", "id": 0, "resources": [node(5701, "STRING", "Cel")]}}},
    ]
    item = one("SEND", {"ep": "a", "time": 5000, "val": {}, "samples": samples})
    assert isinstance(item, Values)
    assert item.time == 5_000_000
    assert item.readings == [
        ("/3303/0/5700", "FLOAT", 1.0, None, 1_000_000),
        ("/3303/0/5700", "FLOAT", 2.0, None, 1_000_001),
        ("/3303/0/5701", "STRING", None, "Cel", None),
    ]
    assert item.problems == []


def test_a_bad_value_is_told_and_the_others_kept() -> None:
    nodes = {
        "/3/0/9": node(9, "INTEGER", "many"),
        "/3/0/13": node(13, "TIME", 5),
        "/3/0": node(1, "STRING", "x"),
        "x": 3,
    }
    item = one("SEND", {"ep": "a", "val": nodes})
    assert isinstance(item, Values)
    assert item.readings == [("/3/0/13", "TIME", 5.0, None, None)]
    assert len(item.problems) == 3


types = st.sampled_from(
    ["INTEGER", "FLOAT", "STRING", "BOOLEAN", "OPAQUE", "TIME", "OBJLNK", "CORELNK", "float", "X", None, 3]
)
raws = (
    st.none()
    | st.booleans()
    # beyond 64 bits, one reader gives an integer and the other a float; devices' integers come as texts
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["1", "1.5", "NaN", "ff"])
)


@given(st.sampled_from(["/3/0/9", "/3/0", "/3/0/9/1", "/", "x"]), types, raws)
def test_the_short_way_and_the_long_way_agree(path: str, type_: Any, raw: Any) -> None:
    single = node(9, type_, raw)
    try:
        body = orjson.loads(json.dumps(single, allow_nan=False))
    except ValueError:
        return
    values, problems = flatten_tolerant(path, body)
    # a stock server's form, and ours, which has a reader of its own
    for told in ({"val": {path: single}}, {"samples": [{"time": None, "nodes": {path: single}}]}):
        item = one("SEND", {"ep": "a", **told})
        assert isinstance(item, Values)
        found = [(p, t, canonical_text(t, n, x), n) for p, t, n, x, _ in item.readings]
        assert found == [tuple(value) for value in values]
        assert bool(item.problems) == bool(problems)


moments = st.sampled_from([0, 1, 1.5, -1, 10**13 - 1, 10**13, 2**70, "x", True, None])
singles = st.builds(node, st.just(9), st.sampled_from(["FLOAT", "INTEGER", "STRING"]), st.sampled_from(["1", "x", 2.5]))
nodes = singles | st.sampled_from([None, 3, {"kind": "singleResource"}, {"kind": "multiResource", "id": 1}, {}])
samples = st.lists(
    st.fixed_dictionaries(
        {"time": moments, "nodes": st.dictionaries(st.sampled_from(["/3/0/9", "/3/0/9/1", "/3"]), nodes, max_size=3)}
    )
    | st.sampled_from([{}, {"time": 1}, None]),
    max_size=3,
)
bodies = st.fixed_dictionaries(
    {"ep": st.sampled_from(["a", "", "x" * 256, 5, None]), "samples": samples | st.just(None)},
    optional={"time": moments, "guessed": st.sampled_from([[], ["/3/0/9"], [1], "x", None]), "more": st.just([1])},
)


@settings(max_examples=400)
@given(bodies)
def test_what_is_odd_about_a_body_costs_nothing_else(body: dict[str, Any]) -> None:
    """The reader for usual bodies gives what the other one gives, or leaves it to that."""
    data = json.dumps(body).encode()
    try:
        expected: Any = _values_of("j-1", "SEND", data, orjson.loads(data))
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError):
        expected = Poisoned
    item = one("SEND", body)
    if expected is Poisoned:
        assert isinstance(item, Poisoned)
    else:
        expected.data = item.data if isinstance(item, Values) else b""
        assert item == expected


def test_registrations() -> None:
    item = one("REGISTRATION", REGISTRATION)
    assert isinstance(item, Registered)
    assert item.registration.endpoint == "sim-1"
    update = one("UPDATED", {"registration": REGISTRATION, "update": {}})
    assert isinstance(update, Updated)
    assert update.registration == item.registration
    end = one("DEREGISTRATION", REGISTRATION | {"reason": "expired", "time": 7})
    assert isinstance(end, Deregistered)
    assert (end.reason, end.time) == ("expired", 7000)


def test_the_other_events() -> None:
    gap = one("GAP", {"journal": "j", "from": 5, "to": 9, "reason": "truncated"})
    assert isinstance(gap, Gap)
    assert (gap.journal, gap.first, gap.last, gap.reason) == ("j", 5, 9, "truncated")
    lost = one("OBSERVATION_LOST", {"ep": "a", "path": "/3/0/9", "code": "NOT_FOUND(404)"})
    assert isinstance(lost, ObservationLost)
    undecoded = one("UNDECODED", {"ep": "a", "format": "SENML_CBOR", "hex": "ff", "error": "cut"})
    assert isinstance(undecoded, Undecoded)
    assert (undecoded.path, undecoded.hex) == ("", "ff")
    refused = one("REFUSED", {"by": "server", "peer": "127.0.0.1:1", "reason": "unknown"})
    assert isinstance(refused, Refused)
    assert refused.endpoint == ""
    answer = one(
        "REQUEST_RESPONSE",
        {"ep": "a", "path": "/3/0/9", "response": {"success": True, "content": node(9, "INTEGER", "1")}},
    )
    assert isinstance(answer, Responded)
    assert (answer.record.outcome, answer.record.sent, answer.record.duration_ms) == ("answered", True, None)
    assert answer.readings == [("/3/0/9", "INTEGER", 1.0, None, None)]

    composite = {"/3/0/9": node(9, "INTEGER", "1"), "/3/0/1": None}
    ended = {
        "ep": "a", "path": "", "paths": list(composite), "requestId": "1-ab", "outcome": "answered", "duration": 12,
        "response": {"success": True, "content": composite},
    }  # fmt: skip
    answer = one("REQUEST_RESPONSE", ended)
    assert isinstance(answer, Responded)
    assert answer.readings == [("/3/0/9", "INTEGER", 1.0, None, None)]
    late = one("REQUEST_RESPONSE", {"ep": "a", "path": "/3", "requestId": "1", "outcome": "timeout", "sent": False})
    assert isinstance(late, Responded)
    assert (late.record.outcome, late.record.sent, late.readings) == ("timeout", False, [])
    lost = one("OBSERVATION_LOST", {"ep": "a", "paths": ["/3/0/9", "/3/0/1"], "code": "4.04"})
    assert isinstance(lost, ObservationLost)
    assert lost.paths == ["/3/0/9", "/3/0/1"]


def test_frames_keep_ids_apart() -> None:
    frames = FrameDecoder().feed(b"id: 1\n\nevent: x\n\ndata: a\ndata: b\n\n")
    assert frames == [Frame("1", "", b""), Frame("", "x", b""), Frame("", "", b"a\nb")]


def test_progress_of_a_push_and_of_a_pull() -> None:
    push = {"ep": "a", "requestId": "7-x", "path": "/5/0/0", "sha256": "ab", "sent": 1024, "total": 5000, "block": 512}
    item = one("PROGRESS", push, "")
    assert isinstance(item, Progressed)
    assert (item.id, item.endpoint, item.request_id, item.sha256) == ("", "a", "7-x", "ab")
    assert (item.sent, item.total, item.block) == (1024, 5000, 512)
    pull = one("PROGRESS", {"ep": "a", "path": "/fw", "sha256": "ab", "sent": 0, "total": 1}, "")
    assert isinstance(pull, Progressed)
    assert (pull.request_id, pull.block) == ("", None)


@pytest.mark.parametrize("wrong", [{"sent": 3}, {"sent": -1}, {"sent": "1"}, {"total": None}, {"ep": ""}])
def test_odd_progress_is_kept_raw(wrong: dict[str, Any]) -> None:
    assert isinstance(one("PROGRESS", {"ep": "a", "sha256": "ab", "sent": 1, "total": 2} | wrong, ""), Poisoned)
