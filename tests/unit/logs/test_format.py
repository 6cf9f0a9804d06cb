"""The log format against every truncation, flipped bits, and itself."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backend.logs.format import (
    HEADER_BYTES,
    MAX_UPTIME,
    MODULE_BYTES,
    FormatError,
    LogEntry,
    LogMessage,
    pack,
    parse,
    readable,
)

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=200)
modules = texts.filter(lambda text: len(text.encode()) <= MODULE_BYTES)


@st.composite
def messages(draw: st.DrawFn, least: int = 0) -> LogMessage:
    gaps = st.integers(0, 300) | st.integers(0, 2**40)
    uptime = 0
    lines = []
    for _ in range(draw(st.integers(least, 12))):
        uptime += draw(gaps)
        lines.append(LogEntry(uptime, draw(st.integers(1, 4)), draw(modules), draw(texts)))
    number = st.integers(0, 2**32 - 1)
    return LogMessage(draw(number), draw(number), draw(number), draw(st.integers(0, MAX_UPTIME)), lines)


@given(messages())
def test_what_is_packed_is_parsed(message: LogMessage) -> None:
    assert parse(pack(message)) == message


@given(messages(least=1), st.data())
def test_a_message_that_is_cut_short_gives_its_whole_lines(message: LogMessage, data: st.DataObject) -> None:
    packed = pack(message)
    ends = [len(pack(LogMessage(1, 2, 3, 4, message.lines[:count]))) for count in range(len(message.lines) + 1)]
    for length in range(len(packed) + 1):
        if length < HEADER_BYTES:
            with pytest.raises(FormatError):
                parse(packed[:length])
            continue
        found = parse(packed[:length])
        whole = max(index for index, end in enumerate(ends) if end <= length)
        assert list(found.lines) == list(message.lines[:whole])
        assert found.rest == packed[ends[whole] : length]
        assert bool(found.problem) == bool(found.rest)
        assert (found.boot_id, found.first, found.lost, found.uptime) == (
            message.boot_id,
            message.first,
            message.lost,
            message.uptime,
        )


@given(messages(), st.lists(st.integers(0, 10**6), min_size=1, max_size=8))
def test_flipped_bits_never_do_harm(message: LogMessage, flips: list[int]) -> None:
    packed = bytearray(pack(message))
    for flip in flips:
        packed[flip // 8 % len(packed)] ^= 1 << flip % 8
    _harmless(bytes(packed))


@given(st.binary(max_size=200))
@example(b"\x01" + bytes(19) + b"\xff" * 30)
@example(b"\x01" + bytes(19) + b"\x00\x20" + b"\xff" * 30)
@example(b"\x01" + bytes(19) + b"\x80" * 9 + b"\x01\x20\x00")
def test_any_bytes_do_no_harm(data: bytes) -> None:
    _harmless(data)
    _harmless(b"\x01" + data)


def _harmless(data: bytes) -> None:
    try:
        found = parse(data)
    except FormatError:
        return
    assert data.endswith(found.rest)
    assert bool(found.problem) == bool(found.rest)
    uptimes = [line.uptime for line in found.lines]
    assert uptimes == sorted(uptimes)
    for line in found.lines:
        assert 0 <= line.uptime <= MAX_UPTIME
        assert 1 <= line.severity <= 4
        assert len(line.module) <= 4 * MODULE_BYTES
        assert "\0" not in line.module + line.text
        (line.module + line.text).encode()


def test_the_example_of_the_document() -> None:
    document = (Path(__file__).resolve().parents[3] / "docs" / "device-logs.md").read_text()
    example = document.partition("### Example")[2].partition("\n## ")[0]
    data = bytes.fromhex("".join(line for line in example.splitlines() if line.startswith("    ")))
    lines = [
        LogEntry(123_000, 2, "net", "weak signal"),
        LogEntry(123_200, 4, "sensor", "21.5 °C"),
    ]
    assert parse(data) == LogMessage(0x1A2B3C4D, 7, 2, 123_456, lines)
    assert pack(parse(data)) == data


def test_bytes_that_are_no_utf_8() -> None:
    assert readable(b"ok \xff\xc3 \0 \xc3\xa9") == "ok \\xff\\xc3 \\x00 é"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it is empty"),
        (b"hello", "its version is 104, and only 1 is known"),
        (b"\x01\0", "it ends after 2 of the header's 20 bytes"),
    ],
)
def test_what_is_no_log_message(data: bytes, why: str) -> None:
    with pytest.raises(FormatError, match=f"^{why}$"):
        parse(data)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"\x05", "it is cut short in line 2"),
        (b"\x80", "it is cut short in line 2"),
        (b"\x05\x23abc", "it is cut short in line 2"),
        (b"\x05\x20\x80", "it is cut short in line 2"),
        (b"\x05\x20\x02a", "it is cut short in line 2"),
        (b"\x05\x00\x00", "the severity of line 2 is 0"),
        (b"\x05\xa0\x00", "the severity of line 2 is 5"),
        (b"\xff" * 10 + b"\x00", "the time of line 2 has more than 10 bytes"),
        (b"\xff" * 9 + b"\x01\x20\x00", "the time of line 2 is later than any uptime"),
        (b"\x05\x20" + b"\xff" * 11, "the length of line 2 has more than 10 bytes"),
    ],
)
def test_what_is_wrong_with_a_line_is_said(line: bytes, why: str) -> None:
    whole = pack(LogMessage(1, 2, 3, 4, [LogEntry(5, 1, "m", "text")]))
    found = parse(whole + line)
    assert (found.problem, found.rest, len(found.lines)) == (why, line, 1)


@pytest.mark.parametrize(
    "message",
    [
        LogMessage(2**32, 0, 0, 0),
        LogMessage(0, 0, 0, 2**48),
        LogMessage(0, 0, 0, 0, [LogEntry(5, 5, "", "")]),
        LogMessage(0, 0, 0, 0, [LogEntry(5, 1, "", ""), LogEntry(4, 1, "", "")]),
        LogMessage(0, 0, 0, 0, [LogEntry(5, 1, "x" * 32, "")]),
    ],
)
def test_what_does_not_fit_is_not_packed(message: LogMessage) -> None:
    with pytest.raises(ValueError):
        pack(message)
