"""What the stand-in for sync writes of logs: boots, lines, losses."""

import random
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from backend.devices.models import Change, Device, Profile
from backend.logs.models import Boot, Line, Loss, Module, Usage

HEX = (
    "00000000  50 46 20 48 65 6c 6c 6f  2c 20 77 6f 72 6c 64 21  |PF Hello, world!|\n"
    "00000010  de ad be ef 00 01 02 03  04 05 06 07 08 09 0a 0b  |................|"
)
CHATTER = (
    (3, "sensor", "temperature 21.{n:02} Cel, humidity {n}.5 %"),
    (4, "coap", "tx CON PUT /dp?seq={n} (mid 0x{n:04x})"),
    (3, "lwm2m_engine", "notify /3303/0/5700 pmin 10 pmax 60"),
    (2, "modem", "RSRP -11{n} dBm: weak, retry in {n} s"),
    (4, "kernel", "workqueue idle {n} ms"),
    (3, "app", "uploaded {n} records"),
    (1, "flash", "write of 0x{n:05x} failed: -EIO (-5)"),
)


def _us(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)


def _boot(device: Device, boot_id: int, started: int) -> Boot:
    made, _ = Boot.objects.get_or_create(
        device=device,
        boot_id=boot_id,
        defaults={
            "started": started, "first_received_at": timezone.now(), "stretch_started": started, "stretch_uptime": 0,
        },
    )  # fmt: skip
    return made


def log_lines(
    *,
    endpoint: str,
    lines: list[list[Any]] | None = None,
    count: int = 0,
    boot: int = 0x1A2B3C4D,
    seconds_ago: float = 0.0,
    step_ms: int = 100,
    late: float = 0.0,
) -> int:
    """Lines [severity, module, text] or `count` of chatter, the last one logged `seconds_ago`; the newest one's id."""
    made = lines or []
    if count:
        chance = random.Random(7)
        weights = [30, 24, 20, 5, 14, 10, 1]
        picked = chance.choices(CHATTER, weights=weights, k=count)
        made = [[severity, module, text.format(n=chance.randint(0, 99))] for severity, module, text in picked]
    now = timezone.now()
    end = _us(now - timedelta(seconds=seconds_ago))
    with transaction.atomic():
        device = Device.objects.get(endpoint=endpoint)
        begin = end - (len(made) - 1) * step_ms * 1000
        run = _boot(device, boot, begin - 42_000_000)
        first = run.last_sequence + 1
        unread = [None, None, None]
        rows = []
        for number, (severity, module, text) in enumerate(made):
            time = begin + number * step_ms * 1000
            of = [run, first + number, (time - run.started) // 1000] if severity else unread
            rows.append(
                Line(
                    device=device, boot=of[0], sequence=of[1], time=time, received=time + round(late * 1e6),
                    uptime=of[2], severity=severity, module=module, text=text,
                    problem="" if severity else "The version of the message is 9: 1 is known",
                )
            )  # fmt: skip
        Line.objects.bulk_create(rows)
        run.last_sequence = first + len(made) - 1
        run.save()
        for module in {row.module for row in rows} - {""}:
            Module.objects.get_or_create(device=device, name=module)
        usage, _ = Usage.objects.get_or_create(device=device, defaults={"counted_at": now})
        usage.lines += len(rows)
        usage.bytes += sum(len(row.text.encode()) for row in rows)
        usage.save()
        Change.objects.create(device_id=device.pk, kind=Change.Kind.LOGS)
    return Line.objects.order_by("-id").values_list("id", flat=True).first() or 0


def log_loss(
    *, endpoint: str, reason: str, count: int, boot: int = 0x1A2B3C4D, seconds_ago: float = 0.0, loss: int | None = None
) -> int:
    """So many lines that are not there before the next one; `loss`: this one is of so many now (0: gone)."""
    with transaction.atomic():
        device = Device.objects.get(endpoint=endpoint)
        Change.objects.create(device_id=device.pk, kind=Change.Kind.LOGS)
        if loss is not None:
            there = Loss.objects.get(pk=loss)
            if not count:
                there.delete()
                return loss
            there.last = there.first + count - 1
            there.save()
            return loss
        time = _us(timezone.now() - timedelta(seconds=seconds_ago))
        run = _boot(device, boot, time)
        first = run.last_sequence + 1
        made = Loss.objects.create(
            device=device, boot=run, first=first, last=first + count - 1, reason=reason, time=time,
            lost_after=count if reason == "device" else 0,
        )  # fmt: skip
        run.last_sequence = first + count - 1
        run.save()
        if reason in {"rate", "space"}:
            usage, _ = Usage.objects.get_or_create(device=device, defaults={"counted_at": timezone.now()})
            usage.cut += count
            usage.save()
    return made.pk


def log_device(*, endpoint: str, profile: bool = False) -> None:
    """A device for a test's own lines."""
    device, _ = Device.objects.get_or_create(endpoint=endpoint, defaults={"status": "online"})
    if profile:
        device.profile, _ = Profile.objects.get_or_create(name="default")
        device.save()


def log_story(*, endpoint: str) -> None:
    """A day of a device's life: a boot banner, chatter, a hex dump, a fault, a new boot, lost and unread lines."""
    log_device(endpoint=endpoint, profile=True)
    log_lines(endpoint=endpoint, count=50, boot=0x0BADCAFE, seconds_ago=5400, step_ms=900)
    log_lines(
        endpoint=endpoint, boot=0x0BADCAFE, seconds_ago=5380,
        lines=[[1, "os", "***** BUS FAULT *****"], [1, "os", "  Precise data bus error, BFAR Address: 0x20040000"]],
    )  # fmt: skip
    log_lines(
        endpoint=endpoint, seconds_ago=1500,
        lines=[
            [3, "app", "*** Booting Zephyr OS build v4.3.0 ***"],
            [3, "app", "FlowNexus device 1.4.0, endpoint sim-logs, 100% ready_to_go"],
            [4, "flash", HEX],
        ],
    )  # fmt: skip
    log_loss(endpoint=endpoint, reason="device", count=17, seconds_ago=1400)
    log_lines(endpoint=endpoint, count=60, seconds_ago=700, step_ms=3000)
    log_loss(endpoint=endpoint, reason="rate", count=1234, seconds_ago=600)
    log_lines(endpoint=endpoint, count=40, seconds_ago=90, step_ms=2000)
    log_lines(
        endpoint=endpoint, seconds_ago=60,
        lines=[
            [0, "", "\\x09\\x00garbage \\xff\\xfe"],
            [2, "text", "Zähler läuft über: Ω ≤ 10 µs, \x1b[31mrot\x1b[0m, <b>no markup</b> 'quotes' \"too\" \\ back"],
            [3, "long", "one very long line " + "0123456789abcdef" * 400 + " the end of it"],
        ],
    )  # fmt: skip


COMMANDS: dict[str, Any] = {
    "log_lines": log_lines,
    "log_loss": log_loss,
    "log_device": log_device,
    "log_story": log_story,
}
