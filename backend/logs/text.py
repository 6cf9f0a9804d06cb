"""Lines as text and as JSON lines, for files and terminals."""

from collections.abc import Iterable, Iterator

import orjson

from backend.logs.selectors import LineView, LossView

FORMATS = {"text": "text/plain; charset=utf-8", "ndjson": "application/x-ndjson"}
# lines made into one piece
_PIECE = 500
# what would end a line, or do something to a terminal
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))} | {9: "\t", 10: "\\n", 13: "\\r"}
_CONTROLS |= {0x2028: "\\u2028", 0x2029: "\\u2029"}


def plain(view: LineView | LossView) -> str:
    """One line of text, without its end."""
    moment = view.time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    device = view.device.translate(_CONTROLS)
    if isinstance(view, LossView):
        return f"{moment} {device} --- {view.text} ---"
    module = f"{view.module.translate(_CONTROLS)}: " if view.module else ""
    return f"{moment} {device} {view.severity.label.upper():<7} {module}{view.text.translate(_CONTROLS)}"


def as_json(view: LineView | LossView) -> bytes:
    """One JSON object, without a line end."""
    return orjson.dumps(line_fields(view) if isinstance(view, LineView) else loss_fields(view))


def line_fields(line: LineView) -> dict[str, object]:
    """A line for JSON."""
    return {
        "id": line.id,
        "device": line.device,
        "time": line.time,
        "received": line.received,
        "uptime": line.uptime,
        "boot": line.boot_id,
        "sequence": line.sequence,
        "severity": line.severity.name.lower(),
        "module": line.module,
        "text": line.text,
        "problem": line.problem,
    }


def loss_fields(loss: LossView) -> dict[str, object]:
    """A loss for JSON."""
    return {
        "device": loss.device,
        "boot": loss.boot_id,
        "first": loss.first,
        "last": loss.last,
        "lost": loss.count,
        "reason": loss.reason,
        "given_up": loss.given_up,
        "since": loss.since,
        "time": loss.time,
        "text": loss.text,
    }


def pieces(views: Iterable[LineView | LossView], *, format_: str) -> Iterator[bytes]:
    """A file of one of FORMATS, in pieces of some hundred lines."""
    waiting: list[bytes] = []
    for view in views:
        waiting.append(as_json(view) if format_ == "ndjson" else plain(view).encode())
        if len(waiting) >= _PIECE:
            yield b"\n".join(waiting) + b"\n"
            waiting = []
    if waiting:
        yield b"\n".join(waiting) + b"\n"
