"""Lines and losses as the browser gets them: JSON, oldest first, times in microseconds since 1970."""

from typing import Any

from backend.logs.selectors import Cursor, LineView, LossView, lines_page, lines_since, losses_list
from backend.lwm2m.times import us_of_datetime
from backend.ui.logs.address import Address

# lines of one answer
PAGE = 300
# lines that are looked at when new ones are asked for; more is as if the page were opened anew
NEWEST = 2000
# characters of a line's text that are sent along; the whole text on demand
TEXT_SHOWN = 2000


def cursor_of(text: str) -> Cursor | None:
    """Reads a cursor in an address; None: it is none."""
    try:
        return Cursor.parse(text)
    except ValueError:
        return None


def line_json(line: LineView) -> dict[str, Any]:
    """One line; `size`: characters of the whole text, where it is cut."""
    text = line.text[:TEXT_SHOWN]
    made: dict[str, Any] = {
        "id": line.id,
        "device": line.device,
        "time": line.time_us,
        "received": us_of_datetime(line.received),
        "uptime": line.uptime,
        "boot": None if line.boot_id is None else f"{line.boot_id:08x}",
        "sequence": line.sequence,
        "severity": line.severity.value,
        "module": line.module,
        "text": text,
    }
    if line.problem:
        made["problem"] = line.problem
    if len(line.text) > TEXT_SHOWN:
        made["size"] = len(line.text)
    return made


def loss_json(loss: LossView) -> dict[str, Any]:
    """Lines that are not there."""
    return {
        "id": loss.id,
        "device": loss.device,
        "time": loss.time_us,
        "boot": f"{loss.boot_id:08x}",
        "first": loss.first,
        "last": loss.last,
        "reason": loss.reason,
        "text": loss.text,
    }


def page_json(
    address: Address, *, before: Cursor | None = None, after: Cursor | None = None, around: int | None = None
) -> dict[str, Any]:
    """A page of lines: the newest, or those before or after a cursor, or around a moment.

    `older`, `newer`: cursors, None where there is nothing more that way. `last`: where `news_json` goes on.
    """
    asked = address.filter
    # first, so that what comes meanwhile is told twice rather than never
    last = lines_since(filter=asked, since=None).last
    page = lines_page(filter=asked, before=before, after=after, around=around, limit=PAGE)
    return {
        "lines": [line_json(line) for line in reversed(page.lines)],
        "losses": [loss_json(loss) for loss in reversed(page.losses)],
        "older": str(page.older) if page.older else None,
        "newer": str(page.newer) if page.newer and not page.newest else None,
        "last": last,
    }


def news_json(address: Address, *, since: int, floor: int) -> dict[str, Any]:
    """What was stored after the line numbered `since`; and all losses from the moment `floor` on, as they are now."""
    asked = address.filter
    news = lines_since(filter=asked, since=since, limit=NEWEST)
    return {
        "lines": [line_json(line) for line in news.lines],
        "losses": [loss_json(loss) for loss in reversed(losses_list(filter=asked, low=floor))],
        "last": news.last,
        "more": news.more,
    }
