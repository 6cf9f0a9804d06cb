"""Reads of firmware updates: lists, one update with its history, how far it is and what it waits for."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from backend.commands.models import State
from backend.devices.models import Device
from backend.devices.selectors import words_match
from backend.firmware import machine
from backend.firmware.endings import ENDINGS, WAITING
from backend.firmware.models import (
    ENDED,
    Campaign,
    FirmwareImage,
    FirmwareUpdate,
    Step,
    UpdateLine,
    UpdateState,
)

_LONGEST_SEARCH = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an update's transfer is."""

    # 0 to 100, of the bytes
    percent: int
    # bytes
    sent: int
    total: int
    # of the present transfer, on average; None before there is anything to measure
    bytes_per_second: float | None
    # until the package is there
    seconds_left: float | None


def update_list(
    *,
    device: Device | None = None,
    campaign: Campaign | int | None = None,
    image: FirmwareImage | int | None = None,
    states: Collection[str] | None = None,
    code: str = "",
    search: str = "",
    before: int | None = None,
) -> QuerySet[FirmwareUpdate]:
    """Updates, newest first, with device, image, campaign and people (one query).

    Campaign and image may be ids. `states`: only these; None for all. `search`: every word of it in endpoint, file
    name, version, code or reason. `before`: only those with lower ids. Raises ValueError on an unknown state.
    """
    updates = FirmwareUpdate.objects.select_related(
        "device", "device__registration", "image", "campaign", "asked_by", "cancelled_by", "command"
    ).order_by("-id")
    if device is not None:
        updates = updates.filter(device=device)
    if campaign is not None:
        updates = updates.filter(campaign=campaign)
    if image is not None:
        updates = updates.filter(image=image)
    if states is not None:
        unknown = [one for one in states if one not in UpdateState.values]
        if unknown:
            raise ValueError(f"there is no state {unknown[0]!r}: use one of {', '.join(UpdateState.values)}")
        updates = updates.filter(state__in=states)
    if code:
        updates = updates.filter(code=code)
    if before is not None:
        updates = updates.filter(pk__lt=before)
    if "\0" in search or len(search) > _LONGEST_SEARCH:
        return updates.none()
    fields = ("device__endpoint", "image__file_name", "image__version", "code", "reason")
    return updates.filter(words_match(search, *fields))


def update_get(*, id: int) -> FirmwareUpdate:
    """One update. Raises FirmwareUpdate.DoesNotExist."""
    return update_list().get(pk=id)


def update_with_lines(*, id: int) -> FirmwareUpdate:
    """One update; its history is loaded as `lines`. Raises FirmwareUpdate.DoesNotExist."""
    return update_list().prefetch_related("lines").get(pk=id)


def update_lines(*, update: FirmwareUpdate) -> list[UpdateLine]:
    """Its history, oldest first; one query."""
    return list(UpdateLine.objects.filter(update=update))


def update_progress(update: FirmwareUpdate, at: datetime) -> Progress:
    """How far the transfer is at this moment; all of it once the device has the package. No query."""
    total = update.image.size
    whole = update.state in (UpdateState.DOWNLOADED, UpdateState.UPDATING, UpdateState.SUCCEEDED)
    sent = min(total, update.bytes_sent)
    if whole and update.executes:
        sent = total
    speed = left = None
    if update.state == UpdateState.DOWNLOADING and sent:
        speed = machine.rate(update.bytes_sent, update.transfer_at, update.progress_at)
        if speed and update.progress_at is not None:
            # since the last news it went on, presumably
            gone = max(0.0, (at - update.progress_at).total_seconds())
            left = max(0.0, (total - sent) / speed - gone)
    percent = 100 if sent >= total else int(100 * sent / total)
    return Progress(percent=percent, sent=sent, total=total, bytes_per_second=speed, seconds_left=left)


def update_waiting_text(update: FirmwareUpdate) -> str:
    """What an open update does or waits for at the moment, in a sentence; "" for one that has ended. No query."""
    if update.state in ENDED:
        return ""
    if update.cancel_requested_at is not None and update.state != UpdateState.UPDATING:
        return "It is being cancelled: the device is told to forget the package."
    if update.code in WAITING:
        return update.reason or f"{WAITING[update.code]}."
    step = Step(update.step)
    if update.code in ENDINGS:
        before = f"{ENDINGS[update.code].title}: {update.reason}".rstrip(": ").rstrip(".")
        if step == Step.PREPARE and update.deadline_at is not None:
            return f"{before}. Another transfer begins at {update.deadline_at:%H:%M:%S} UTC."
        return f"{before}. {step.label}."
    if step == Step.HOLD and update.deadline_at is not None:
        return f"{step.label}, until {update.deadline_at:%H:%M:%S} UTC."
    if step == Step.INSTALL and update.deadline_at is not None:
        return f"{step.label}; it must be done by {update.deadline_at:%H:%M:%S} UTC."
    return f"{step.label}."


def update_untold(update: FirmwareUpdate) -> bool:
    """Is the device yet to be told to install it, such as one that sleeps? With `command` at hand."""
    command = update.command
    return (
        update.step == Step.EXECUTE and command is not None and command.state == State.QUEUED and not command.attempts
    )
