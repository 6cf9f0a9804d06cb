"""Log messages, version 1 (docs/device-logs.md): bytes of devices as lines, and back."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

VERSION = 1
# version, flags, boot id, first sequence number, lost, uptime (the upper two of its six bytes, then four)
_HEADER = struct.Struct(">BBIIIHI")
HEADER_BYTES = _HEADER.size
MODULE_BYTES = 31
# milliseconds; what six bytes hold
MAX_UPTIME = 2**48 - 1
_VARINT_BYTES = 10
_SEVERITIES = range(1, 5)


class FormatError(ValueError):
    """This is no log message; the text says why, in one sentence without a full stop."""


class LogEntry(NamedTuple):
    """One line."""

    # milliseconds since the boot
    uptime: int
    # 1 error … 4 debug
    severity: int
    module: str
    text: str


@dataclass(frozen=True)
class LogMessage:
    """What a message says. `lines` have the consecutive numbers `first`, `first` + 1, …"""

    boot_id: int
    first: int
    # lines of this boot below `first` that the device has given up
    lost: int
    # milliseconds since the boot when it was packed
    uptime: int
    lines: Sequence[LogEntry] = field(default_factory=list)
    # why the message does not parse to its end, and what is left of it; "" and b"" where it does
    problem: str = ""
    rest: bytes = b""


def readable(data: bytes) -> str:
    r"""UTF-8 as text, with \xNN for bytes that are none, and for NUL, which no database keeps."""
    return data.decode(errors="backslashreplace").replace("\0", "\\x00")


def parse(data: bytes) -> LogMessage:
    """The message; one that is cut short gives its whole lines. Raises FormatError where the header is not there."""
    if not data:
        raise FormatError("it is empty")
    if data[0] != VERSION:
        raise FormatError(f"its version is {data[0]}, and only {VERSION} is known")
    if len(data) < HEADER_BYTES:
        raise FormatError(f"it ends after {len(data)} of the header's {HEADER_BYTES} bytes")
    _, _, boot_id, first, lost, high, low = _HEADER.unpack_from(data)
    lines: list[LogEntry] = []
    position = whole = HEADER_BYTES
    uptime = 0
    problem = ""
    size = len(data)
    modules: dict[bytes, str] = {}
    while position < size:
        number = len(lines) + 1
        # most of the numbers have one byte or two
        byte = data[position]
        position += 1
        if byte < 0x80:
            uptime += byte
        else:
            value, position = _varint(data, position - 1)
            if value < 0:
                problem = _CUT if position > size else "the time of line {} has more than 10 bytes"
                break
            uptime += value
        if uptime > MAX_UPTIME:
            problem = "the time of line {} is later than any uptime"
            break
        if position >= size:
            problem = _CUT
            break
        byte = data[position]
        severity = byte >> 5
        if severity not in _SEVERITIES:
            problem = f"the severity of line {{}} is {severity}"
            break
        start = position + 1
        position = start + (byte & 31)
        if position >= size:
            problem = _CUT
            break
        name = data[start:position]
        length = data[position]
        position += 1
        if length >= 0x80:
            length, position = _varint(data, position - 1)
            if length < 0:
                problem = _CUT if position > size else "the length of line {} has more than 10 bytes"
                break
        end = position + length
        if end > size:
            problem = _CUT
            break
        module = modules.get(name)
        if module is None:
            module = modules[name] = readable(name)
        lines.append(LogEntry(uptime, severity, module, readable(data[position:end])))
        position = whole = end
    return LogMessage(
        boot_id, first, lost, high << 32 | low, lines, problem.format(number) if problem else "", data[whole:]
    )


_CUT = "it is cut short in line {}"


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Value and the position behind it. Value -1: it has too many bytes, or (position beyond the end) is cut short."""
    value = shift = 0
    for _ in range(_VARINT_BYTES):
        if position >= len(data):
            return -1, len(data) + 1
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    return -1, position


def pack(message: LogMessage) -> bytes:
    """The bytes of a message; `rest` is added as it is. Raises ValueError where a field does not fit."""
    try:
        parts = [
            _HEADER.pack(
                VERSION,
                0,
                message.boot_id,
                message.first,
                message.lost,
                message.uptime >> 32,
                message.uptime & 0xFFFFFFFF,
            )
        ]
    except struct.error as error:
        raise ValueError(f"a field of the header does not fit: {error}") from None
    before = 0
    for line in message.lines:
        module, text = line.module.encode(), line.text.encode()
        if len(module) > MODULE_BYTES:
            raise ValueError(f"a module's name has at most {MODULE_BYTES} bytes")
        if line.severity not in _SEVERITIES or not before <= line.uptime <= MAX_UPTIME:
            raise ValueError("severities are 1 to 4, and uptimes go up")
        parts += (_packed(line.uptime - before), bytes([line.severity << 5 | len(module)]), module)
        parts += (_packed(len(text)), text)
        before = line.uptime
    parts.append(message.rest)
    return b"".join(parts)


def _packed(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)
