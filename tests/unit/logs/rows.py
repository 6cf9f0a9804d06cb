"""A device that logs, and what is stored of it."""

from datetime import UTC, datetime

from backend.devices.models import Device
from backend.logs.format import LogEntry, LogMessage, pack
from backend.logs.models import Line, Loss, Usage
from backend.logs.services import Incoming, Kept, messages_store
from backend.lwm2m.times import datetime_of_us

# 2026-01-01 in µs
T0 = 1_767_225_600_000_000
AT = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = 1_000_000


def message(
    first: int, texts: list[str], *, boot: int = 1, lost: int = 0, uptime: int | None = None, step: int = 10
) -> bytes:
    """Lines `first`, …, of which number n was logged n * step ms after the boot."""
    lines = [LogEntry((first + index) * step, 3, "main", text) for index, text in enumerate(texts)]
    packed = uptime if uptime is not None else (lines[-1].uptime if lines else first * step)
    return pack(LogMessage(boot, first, lost, packed, lines))


def numbered(first: int, last: int, **more: int) -> bytes:
    """Lines that say their number."""
    return message(first, [f"line {number}" for number in range(first, last + 1)], **more)


def store(device: Device, *data: bytes, received: int = T0, at: datetime | None = None) -> Kept:
    items = [Incoming(device.pk, one, received) for one in data]
    return messages_store(items, at=at or datetime_of_us(received))


def sequences(device: Device, boot: int = 1) -> list[int | None]:
    lines = Line.objects.filter(device=device, boot__boot_id=boot).order_by("sequence")
    return list(lines.values_list("sequence", flat=True))


def losses(device: Device) -> list[tuple[int, int, str]]:
    return list(Loss.objects.filter(device=device).order_by("boot", "first").values_list("first", "last", "reason"))


def counted_right(device: Device) -> None:
    """Usage is exactly what is there."""
    texts = list(Line.objects.filter(device=device).values_list("text", flat=True))
    usage = Usage.objects.get(device=device)
    assert (usage.lines, usage.bytes) == (len(texts), sum(len(text.encode()) for text in texts))
