"""What happened to devices, for the time axis of their charts: drawn from every room that has something to tell."""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from backend.alerts.selectors import alerts_between
from backend.commands.models import Command, Kind
from backend.commands.texts import command_summary
from backend.devices.models import Device, DeviceEvent
from backend.firmware.models import FirmwareUpdate
from backend.lwm2m.times import us_of_datetime

_Kind = DeviceEvent.Kind
GROUPS = {
    _Kind.REGISTERED: "registration",
    _Kind.UPDATED: "registration",
    _Kind.DEREGISTERED: "registration",
    _Kind.EXPIRED: "registration",
    _Kind.REPLACED: "registration",
    _Kind.REVOKED: "registration",
    _Kind.VANISHED: "registration",
    _Kind.REFUSED: "registration",
    _Kind.OBSERVATION_LOST: "message",
    _Kind.UNDECODED: "message",
    _Kind.DECODED: "message",
    _Kind.CLOCK_SET: "clock",
}


def _line(at: datetime, device: str, kind: str, group: str, text: str, href: str) -> dict[str, Any]:
    return {
        "at": us_of_datetime(at) / 1000,
        "device": device,
        "kind": kind,
        "group": group,
        "text": text,
        "href": href,
    }


def _page(endpoint: str, tab: str) -> str:
    return f"{reverse('device', args=[endpoint])}?{urlencode({'tab': tab})}"


def chart_events(*, devices: Collection[Device], start: datetime, end: datetime, limit: int) -> list[dict[str, Any]]:
    """The newest `limit` of what happened from `start` up to `end`, oldest first. A few queries for any number."""
    found = [
        *_device_events(devices, start, end, limit),
        *_commands(devices, start, end, limit),
        *_updates(devices, start, end, limit),
        *_alerts(devices, start, end, limit),
    ]
    found.sort(key=lambda line: float(line["at"]))
    return found[-limit:]


def _device_events(devices: Collection[Device], start: datetime, end: datetime, limit: int) -> Iterator[dict[str, Any]]:
    events = DeviceEvent.objects.filter(device__in=devices, at__gte=start, at__lt=end).select_related("device")
    for event in events.order_by("-at", "-id")[:limit]:
        assert event.device is not None
        kind = _Kind(event.kind)
        endpoint = event.device.endpoint
        text = event.text or kind.label
        yield _line(event.at, endpoint, kind, GROUPS[kind], text, _page(endpoint, "connection"))


def _commands(devices: Collection[Device], start: datetime, end: datetime, limit: int) -> Iterator[dict[str, Any]]:
    """Those that have ended; an update's package is told with the update."""
    commands = (
        Command.objects.filter(device__in=devices, ended_at__gte=start, ended_at__lt=end)
        .exclude(kind=Kind.WRITE_PACKAGE)
        .select_related("device")
        # answers may be large
        .defer("answer")
    )
    for command in commands.order_by("-ended_at", "-id")[:limit]:
        assert command.ended_at is not None
        endpoint = command.device.endpoint
        text = f"{command.note or command_summary(command)}: {command.get_state_display().lower()}"
        yield _line(command.ended_at, endpoint, command.state, "command", text, _page(endpoint, "commands"))


def _updates(devices: Collection[Device], start: datetime, end: datetime, limit: int) -> Iterator[dict[str, Any]]:
    updates = FirmwareUpdate.objects.filter(device__in=devices, ended_at__gte=start, ended_at__lt=end)
    for update in updates.select_related("device", "image").order_by("-ended_at", "-id")[:limit]:
        assert update.ended_at is not None
        version = update.image.version or update.image.file_name
        text = f"Firmware {version}: {update.get_state_display().lower()}. {update.reason}".rstrip(". ")
        href = reverse("firmware-update", args=[update.pk])
        yield _line(update.ended_at, update.device.endpoint, update.state, "firmware", text, href)


def _alerts(devices: Collection[Device], start: datetime, end: datetime, limit: int) -> Iterator[dict[str, Any]]:
    ids = [device.pk for device in devices]
    for at, alert, opened in alerts_between(device_ids=ids, start=start, end=end, limit=limit):
        text = alert.text if opened else alert.cleared_text
        kind = "opened" if opened else "cleared"
        endpoint = alert.device.endpoint
        href = reverse("device", args=[endpoint])
        yield _line(at, endpoint, kind, "alert", f"{alert.rule_name}: {text}", href)
