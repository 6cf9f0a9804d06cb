"""Bodies that devices might upload: SenML packs good and bad, TLV, and what comes of them on a bad day."""

import json
import math
import struct
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

TEXT, LINK, OCTETS, CBOR, SENML_JSON, SENML_CBOR, TLV, JSON = 0, 40, 42, 60, 110, 112, 11542, 11543
SENML_LABELS = {
    "bs": -6,
    "bv": -5,
    "bt": -3,
    "bn": -2,
    "n": 0,
    "u": 1,
    "v": 2,
    "vs": 3,
    "vb": 4,
    "s": 5,
    "t": 6,
    "vd": 8,
}


@dataclass(frozen=True)
class Upload:
    """A body; `values` is how many values it certainly holds, None where that is not known."""

    format: int | None
    body: bytes = field(repr=False)
    values: int | None = None

    def __repr__(self) -> str:
        """With as much of the body as a person wants to see."""
        cut = f"… ({len(self.body)} bytes)" if len(self.body) > 200 else ""
        return f"Upload({self.format}, {self.body[:200]!r}{cut}, values={self.values})"


def cbor(item: Any) -> bytes:
    """An item in CBOR (RFC 8949)."""
    if item is None or isinstance(item, bool):
        return {None: b"\xf6", False: b"\xf4", True: b"\xf5"}[item]
    if isinstance(item, int):
        number = item if item >= 0 else -1 - item
        if number >= 1 << 64:
            return bytes([0xC2 if item >= 0 else 0xC3]) + cbor(number.to_bytes((number.bit_length() + 7) // 8, "big"))
        return _head(0 if item >= 0 else 1, number)
    if isinstance(item, float):
        return b"\xfb" + struct.pack(">d", item)
    if isinstance(item, bytes):
        return _head(2, len(item)) + item
    if isinstance(item, str):
        text = item.encode("utf-8", "surrogatepass")
        return _head(3, len(text)) + text
    if isinstance(item, list):
        return _head(4, len(item)) + b"".join(map(cbor, item))
    assert isinstance(item, dict)
    return _head(5, len(item)) + b"".join(cbor(key) + cbor(value) for key, value in item.items())


def _head(kind: int, number: int) -> bytes:
    if number < 24:
        return bytes([kind << 5 | number])
    size = next(size for size in range(4) if number < 1 << (8 << size))
    return bytes([kind << 5 | 24 + size]) + number.to_bytes(1 << size, "big")


def senml_cbor(records: list[Any]) -> bytes:
    """A pack in CBOR, with the labels of RFC 8428 as numbers."""
    return cbor(
        [
            {SENML_LABELS.get(label, label): value for label, value in record.items()}
            if isinstance(record, dict)
            else record
            for record in records
        ]
    )


def senml_json(records: list[Any]) -> bytes:
    """A pack in JSON; octets in base64, NaN as Python (and many a device) writes it."""

    def plain(value: object) -> object:
        return urlsafe_b64encode(value).rstrip(b"=").decode() if isinstance(value, bytes) else value

    return json.dumps(
        [
            {label: plain(value) for label, value in record.items()} if isinstance(record, dict) else plain(record)
            for record in records
        ]
    ).encode()


def tlv(kind: int, number: int, content: bytes) -> bytes:
    """An entry; `kind` is 0 for an object instance, 1 resource instance, 2 resource with instances, 3 resource."""
    wide = number > 255
    size = 0 if len(content) < 8 else (len(content).bit_length() + 7) // 8
    head = bytes([kind << 6 | wide << 5 | size << 3 | (len(content) if size == 0 else 0)])
    return head + number.to_bytes(1 + wide, "big") + (len(content).to_bytes(size, "big") if size else b"") + content


# -- what hypothesis draws from

_times = st.one_of(
    st.integers(0, 3600),
    st.integers(-86400 * 3650, 0),
    st.integers(946_684_800, 4_102_444_800),
    st.floats(1e9, 2e9).map(lambda seconds: round(seconds, 3)),
)
_absurd_numbers = st.sampled_from([
    1 << 63, 1 << 64, -(1 << 64), 10**40, 10**400, 1e308, 5e-324, math.nan, math.inf, -math.inf, 2**31, 1 << 28,
])  # fmt: skip
_good_values: dict[str, SearchStrategy[tuple[str, Any]]] = {
    "/3303/0/5700": st.floats(-1e6, 1e6).map(lambda value: ("v", value)),
    # listed by no registration
    "/3303/7/5700": st.integers(-1000, 1000).map(lambda value: ("v", value)),
    "/3/0/9": st.integers(0, 100).map(lambda value: ("v", value)),
    "/3/0/13": st.integers(0, 1 << 32).map(lambda value: ("v", value)),
    "/3303/0/5701": st.text(max_size=20).map(lambda value: ("vs", value)),
    "/20/0/4014": st.binary(max_size=60).map(lambda value: ("vd", value)),
    # known to no model
    "/33999/0/1": st.booleans().map(lambda value: ("vb", value)),
    "/33999/1/2/7": st.integers(-(1 << 63), (1 << 64) - 1).map(lambda value: ("v", value)),
}
_names = st.one_of(
    st.sampled_from([*_good_values, "", "/", "/3303", "/3303/0", "3303/0/5700", "//3303//0", "/3303/0/5700/1/2"]),
    st.integers(1, 400).map(lambda depth: "/9" * depth),
    st.lists(st.integers(-1, 1 << 33), max_size=5).map(lambda ids: "/" + "/".join(map(str, ids))),
    st.text(max_size=30),
)
_anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10), st.binary(max_size=10),
              _absurd_numbers),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=6,
)  # fmt: skip
_scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10), _absurd_numbers)
_records = st.one_of(
    st.fixed_dictionaries(
        {"n": _names},
        optional={
            "bn": _names, "bt": st.one_of(_times, _absurd_numbers), "t": st.one_of(_times, _absurd_numbers),
            "v": st.one_of(st.floats(), st.integers(), _absurd_numbers), "vs": st.text(max_size=10),
            "vb": st.booleans(), "vd": st.binary(max_size=10), "bv": _absurd_numbers, "must_": st.just(1),
        },
    ),
    st.dictionaries(st.sampled_from([*SENML_LABELS, "vlo", "x_"]), _scalars, max_size=5),
    _scalars,
)  # fmt: skip


@st.composite
def good_packs(draw: st.DrawFn) -> Upload:
    """Packs in which every value fits its resource, and no path comes twice at a time."""
    paths = draw(st.lists(st.sampled_from(list(_good_values)), min_size=1, max_size=8))
    start = draw(st.integers(946_684_800, 2_000_000_000))
    records: list[Any] = []
    for second, path in enumerate(paths):
        label, value = draw(_good_values[path])
        records.append({"n": path, "t": second, label: value})
    records[0]["bt"] = start
    as_json = draw(st.booleans())
    body = senml_json(records) if as_json else senml_cbor(records)
    return Upload(SENML_JSON if as_json else SENML_CBOR, body, len(records))


def _odd_packs() -> SearchStrategy[Upload]:
    packs = st.lists(_records, max_size=6)
    return st.one_of(
        packs.map(lambda records: Upload(SENML_JSON, senml_json(records))),
        packs.map(lambda records: Upload(SENML_CBOR, senml_cbor(records))),
    )


def _tlvs() -> SearchStrategy[bytes]:
    ids = st.one_of(st.sampled_from([0, 1, 9, 11, 5700, 5701]), st.integers(0, 65535))
    leaves = st.builds(tlv, st.sampled_from([1, 3]), ids, st.binary(max_size=12))
    return st.recursive(
        st.lists(leaves, max_size=4).map(b"".join),
        lambda inner: st.builds(tlv, st.sampled_from([0, 2, 0, 1]), ids, inner),
        max_leaves=5,
    )


@st.composite
def _damaged(draw: st.DrawFn) -> Upload:
    """A good pack with some octets changed, cut off, put in or doubled."""
    whole = draw(good_packs())
    body = bytearray(whole.body)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(body) - 1)))
        match draw(st.sampled_from(["flip", "cut", "insert", "double"])):
            case "flip" if body:
                body[at] ^= draw(st.integers(1, 255))
            case "cut":
                del body[at:]
            case "insert":
                body[at:at] = draw(st.binary(min_size=1, max_size=4))
            case _:
                body += body[at:]
    return Upload(whole.format, bytes(body))


_formats = st.sampled_from([TEXT, LINK, OCTETS, CBOR, SENML_JSON, SENML_CBOR, TLV, 1542, JSON, 1543, 65000, None])
uploads: SearchStrategy[Upload] = st.one_of(
    good_packs(),
    _odd_packs(),
    _damaged(),
    st.builds(Upload, _formats, st.binary(max_size=300)),
    st.builds(Upload, st.sampled_from([TLV, 1542]), _tlvs()),
    st.builds(Upload, st.sampled_from([CBOR, SENML_CBOR]), _anything.map(cbor)),
    # octets that open something again and again
    st.builds(
        lambda form, opening, times: Upload(form, opening * times),
        st.sampled_from([CBOR, SENML_CBOR, SENML_JSON, JSON, TLV]),
        st.sampled_from([b"[", b'{"n":', b"\x81", b"\x9f", b"\xbf\x00", b"\xa1\x00", b"\xd9\xd9\xf7", b"\x08\x00\xff"]),
        st.integers(1, 3000),
    ),
)
