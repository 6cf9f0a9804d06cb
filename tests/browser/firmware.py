"""What the stand-in for sync writes of firmware: images, a campaign in all its states, and how updates go on."""

import hashlib
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from backend.accounts.models import User
from backend.devices.models import Change, Device
from backend.firmware.endings import ending_reason
from backend.firmware.models import Campaign, FirmwareImage, FirmwareUpdate, SigningKey, UpdateLine

SIZE = 412_672
# failed devices of the campaign end in turns with these
CODES = ("integrity", "not-back", "connection-lost", "transfer-stalled", "rolled-back")


def image(version: str, **fields: Any) -> FirmwareImage:
    """An image without a file."""
    values: dict[str, Any] = {
        "sha256": hashlib.sha256(version.encode()).hexdigest(),
        "size": SIZE,
        "file_name": f"app-{version}.signed.bin",
        "kind": "mcuboot",
        "version": version,
        "signature": "unknown",
        "details": [["Header size", "512 bytes"], ["SHA-256", "ab" * 32]],
        "uploaded_at": timezone.now() - timedelta(hours=3),
    }
    made, _ = FirmwareImage.objects.get_or_create(sha256=values.pop("sha256"), defaults={**values, **fields})
    return made


def _update(device: Device, of: FirmwareImage, state: str, now: datetime, **fields: Any) -> FirmwareUpdate:
    values: dict[str, Any] = {
        "device": device, "image": of, "state": state, "asked_by": User.objects.get(username="ada"),
        "asked_at": now - timedelta(minutes=42), "step_since": now, "give_up_at": now + timedelta(days=30),
        "version_before": "1.3.2",
    }  # fmt: skip
    if state != "pending":
        began = now - timedelta(minutes=9)
        values |= {"admitted_at": began, "started_at": began, "method_used": "push", "transfers": 1}
    if state == "downloading":
        values |= {
            "step": "deliver", "bytes_sent": SIZE // 4, "transfer_at": now - timedelta(seconds=10), "progress_at": now,
            "block_size": 1024, "lwm2m_state": 1, "update_result": 0,
        }  # fmt: skip
    elif state == "updating":
        values |= {"step": "hold", "executes": 1, "deadline_at": now + timedelta(minutes=14), "lwm2m_state": 0}
    elif state == "succeeded":
        values |= {"step": "done", "code": "succeeded", "reason": ending_reason("succeeded"), "ended_at": now,
                   "version_after": of.version}  # fmt: skip
    elif state == "failed":
        code = fields.get("code", "integrity")
        values |= {"step": "done", "reason": ending_reason(code, tries="in 3 transfers", size=SIZE), "ended_at": now}
    return FirmwareUpdate(**{**values, **fields})


def firmware_campaign(*, name: str, devices: int, failed: int = 0, active: int = 0, stopped: bool = False) -> int:
    """A campaign of the first meters: some failed, some under way, a few more through, the rest waiting; its id."""
    now = timezone.now()
    of = image("1.4.0", model="AM-*")
    SigningKey.objects.get_or_create(
        name="production", defaults={"pem": "-", "fingerprint": "cd" * 32, "kind": "ECDSA P-256", "added_at": now}
    )
    with transaction.atomic():
        FirmwareUpdate.objects.filter(state="pending", device__endpoint__startswith="meter").delete()
        campaign = Campaign.objects.create(
            name=name, image=of, phases=[5, 25, 100], created_at=now - timedelta(minutes=42), phase=1,
            selection={"search": "meter", "left_out": [{"why": "Another model.", "devices": 3, "examples": ["sim-1"]}]},
            **({"stopped_at": now, "stopped_reason": f"{failed} updates failed."} if stopped else {}),
        )  # fmt: skip
        meters = list(Device.objects.filter(endpoint__startswith="meter").order_by("endpoint")[:devices])
        through = failed + failed
        rows = []
        for number, device in enumerate(meters):
            phase = 0 if number < devices * 0.05 else 1 if number < devices * 0.25 else 2
            state, fields = "pending", {"reason": "Waits for its turn in the campaign."}
            if number < through:
                state, fields = ("failed", {"code": CODES[number // 2 % 5]}) if number % 2 else ("succeeded", {})
            elif number < through + active:
                state, fields = ("downloading" if number % 3 else "updating"), {}
            rows.append(_update(device, of, state, now, campaign=campaign, phase=phase, **fields))
        FirmwareUpdate.objects.bulk_create(rows)
        Change.objects.create(kind=Change.Kind.FIRMWARE)
    return campaign.pk


def firmware_update(*, endpoint: str, state: str, version: str = "2.0.0", **fields: Any) -> int:
    """An update of one device; its id."""
    now = timezone.now()
    with transaction.atomic():
        device = Device.objects.get(endpoint=endpoint)
        row = _update(device, image(version), state, now, **fields)
        row.save()
        UpdateLine.objects.create(update=row, at=now, text="Asked by ada.")
        Change.objects.create(device_id=device.pk, kind=Change.Kind.FIRMWARE)
    return row.pk


def firmware_goes_on(*, update: int, line: str = "", **fields: Any) -> None:
    """The update as these fields say now; times as seconds from now."""
    now = timezone.now()
    with transaction.atomic():
        row = FirmwareUpdate.objects.get(pk=update)
        for name, value in fields.items():
            setattr(row, name, now + timedelta(seconds=value) if name.endswith("_at") else value)
        row.save()
        if line:
            UpdateLine.objects.create(update=row, at=now, text=line)
        Change.objects.create(device_id=row.device_id, kind=Change.Kind.FIRMWARE)


def firmware_advance(*, campaign: int, count: int) -> None:
    """So many of the campaign's updates that are under way succeed, and as many others begin."""
    now = timezone.now()
    with transaction.atomic():
        of = FirmwareUpdate.objects.filter(campaign=campaign)
        for row in of.filter(state__in=["downloading", "updating"]).order_by("id")[:count]:
            row.state, row.step, row.code, row.reason, row.ended_at = "succeeded", "done", "succeeded", "Done.", now
            row.save()
            Change.objects.create(device_id=row.device_id, kind=Change.Kind.FIRMWARE)
        for row in of.filter(state="pending").order_by("id")[:count]:
            row.state, row.step, row.reason, row.admitted_at, row.started_at = "downloading", "deliver", "", now, now
            row.save()
            Change.objects.create(device_id=row.device_id, kind=Change.Kind.FIRMWARE)


COMMANDS: dict[str, Any] = {
    "firmware_campaign": firmware_campaign,
    "firmware_update": firmware_update,
    "firmware_goes_on": firmware_goes_on,
    "firmware_advance": firmware_advance,
}
