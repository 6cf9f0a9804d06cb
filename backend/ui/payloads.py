"""Bytes that a device sent and nobody understood, for people who know what to look for."""

import re
from dataclasses import dataclass

UNDECODED = "UNDECODED"
PER_LINE = 16
# of the event's JSON: its beginning may be all that there is
_HEX = re.compile(rb'"hex"\s*:\s*"([0-9a-fA-F]*)("?)')


@dataclass(frozen=True)
class PayloadDump:
    """The device's own bytes; `whole`: all of them are in `lines`."""

    size: int
    lines: str
    whole: bool


def hex_dump(data: bytes) -> str:
    """Offset, hex and ASCII in columns, sixteen bytes a line."""
    rows = []
    for offset in range(0, len(data), PER_LINE):
        part = data[offset : offset + PER_LINE]
        letters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        rows.append(f"{offset:08x}  {part.hex(' '):<{PER_LINE * 3 - 1}}  |{letters}|")
    return "\n".join(rows)


def payload_dump(name: str, data: bytes) -> PayloadDump | None:
    """The payload within the beginning of an UNDECODED event; None for all others."""
    found = _HEX.search(data) if name == UNDECODED else None
    if found is None:
        return None
    digits = found[1][: len(found[1]) // 2 * 2].decode()
    payload = bytes.fromhex(digits)
    return PayloadDump(len(payload), hex_dump(payload), whole=bool(found[2]))
