"""What people ask of one device's firmware: an update, its end, another try. `drive` carries it out."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from backend.accounts.models import User
from backend.commands.services.bulk import commands_drop
from backend.devices.models import Device
from backend.devices.selectors import registration_of
from backend.firmware.endings import ending_reason
from backend.firmware.errors import FirmwareError
from backend.firmware.models import (
    ENDED,
    Campaign,
    FirmwareImage,
    FirmwareUpdate,
    Method,
    Step,
    UpdateLine,
    UpdateState,
)
from backend.firmware.selectors.images import image_fits, image_usable
from backend.firmware.selectors.updates import update_untold
from backend.lwm2m.objects import object_instances

MOST_HOLD = 86_400
# updates whose turn has not come are never given up
NEVER = timedelta(days=36_500)
_GONE = "The device or the image was deleted at this moment: nothing was asked."


def update_create(
    *,
    device: Device,
    image: FirmwareImage,
    by: User | None,
    method: str = "auto",
    force: bool = False,
    object_instance: int | None = None,
    hold_seconds: int | None = None,
    campaign: Campaign | None = None,
    phase: int = 0,
) -> FirmwareUpdate:
    """Asks for the image to be installed on the device; `sync` carries it out.

    It may begin at once, unless it is a campaign's. An update of the same firmware instance that is still pending is
    superseded. `object_instance`: None for the image's own, else the first that the device lists. `hold_seconds`: 0 to
    86,400, None for the setting. `force`: also where the device runs this version, or the image is not for it.
    Raises FirmwareError, which says what is wrong and what to do.
    """
    if method not in Method.values:
        raise FirmwareError(f"There is no method {str(method)[:20]!r}: use auto, push or pull.")
    if hold_seconds is not None and not 0 <= hold_seconds <= MOST_HOLD:
        raise FirmwareError(f"The hold time goes from 0 to {MOST_HOLD} seconds.")
    refused = image_usable(image=image) if force else image_fits(image=image, device=device)
    if refused:
        raise FirmwareError(refused)
    instance = _instance(device, image, object_instance)
    at = timezone.now()
    try:
        with transaction.atomic():
            _supersede(device, instance, by, at)
            update = FirmwareUpdate.objects.create(
                device=device,
                image=image,
                campaign=campaign,
                phase=phase,
                object_instance=instance,
                method=method,
                force=force,
                hold_seconds=settings.FIRMWARE_HOLD_SECONDS if hold_seconds is None else hold_seconds,
                asked_by=by,
                asked_at=at,
                admitted_at=None if campaign is not None else at,
                step_since=at,
                look_at=None if campaign is not None else at,
                give_up_at=at + timedelta(days=settings.FIRMWARE_GIVE_UP_DAYS),
            )
    except IntegrityError:
        if (
            campaign is not None
            and FirmwareUpdate.objects.filter(campaign=campaign, device=device, retried_at=None).exists()
        ):
            raise FirmwareError(f"The campaign has an update of {device.endpoint} already.") from None
        raise FirmwareError(_GONE) from None
    return update


def _instance(device: Device, image: FirmwareImage, wanted: int | None) -> int:
    """The instance of object 5. Raises FirmwareError where the device is known not to have it."""
    registration = registration_of(device)
    asked = image.object_instance if wanted is None else wanted
    if registration is None:
        return asked or 0
    instances = object_instances(registration.object_links).get(5)
    if instances is None:
        raise FirmwareError(
            f"{device.endpoint} lists no firmware object (object 5): it cannot be updated over LwM2M as it is."
        )
    if asked is None:
        return instances[0] if instances else 0
    if instances and asked not in instances:
        listed = ", ".join(f"/5/{number}" for number in instances)
        raise FirmwareError(f"{device.endpoint} lists no firmware instance /5/{asked}: choose one of {listed}.")
    return asked


def _supersede(device: Device, instance: int, by: User | None, at: datetime) -> None:
    """A newer wish for the same firmware instance takes the place of one that has not begun."""
    for update in FirmwareUpdate.objects.select_for_update().filter(
        device=device, object_instance=instance, state=UpdateState.PENDING
    ):
        _end(update, UpdateState.CANCELLED, "superseded", ending_reason("superseded"), by, at)


def _end(update: FirmwareUpdate, state: UpdateState, code: str, reason: str, by: User | None, at: datetime) -> None:
    """Ends one that is pending, without its device."""
    if update.command_id is not None:
        commands_drop(ids=[update.command_id], at=at)
    update.state, update.step, update.code, update.reason = state, Step.DONE, code, reason
    update.ended_at = update.step_since = at
    # for `sync` to tell the pages
    update.look_at, update.deadline_at = at, None
    update.cancelled_by = by
    update.command = None
    update.save()
    UpdateLine.objects.create(update=update, at=at, text=f"{state.label}: {reason}")


@transaction.atomic
def update_cancel(*, update_id: int, by: User | None) -> FirmwareUpdate:
    """Cancels it: at once while it only waits, else when the device has forgotten the package (seconds later).

    Raises FirmwareUpdate.DoesNotExist; FirmwareError where it has ended, or the device installs already.
    """
    update = FirmwareUpdate.objects.select_for_update(of=("self",)).select_related("command").get(pk=update_id)
    if update.state in ENDED:
        raise FirmwareError(f"The update has ended already: {UpdateState(update.state).label.lower()}.")
    if update.state == UpdateState.UPDATING and not update_untold(update):
        raise FirmwareError("The device installs the firmware already: that cannot be taken back. Wait for its end.")
    at = timezone.now()
    if update.step == Step.WAIT and not update.transfers:
        name = f" by {by.username}" if by is not None else ""
        update.cancel_requested_at = at
        _end(update, UpdateState.CANCELLED, "cancelled", ending_reason("cancelled", by=name), by, at)
    elif update.cancel_requested_at is None:
        update.cancel_requested_at, update.cancelled_by, update.look_at = at, by, at
        update.save(update_fields=["cancel_requested_at", "cancelled_by", "look_at"])
    return update


def update_retry(*, update_id: int, by: User | None) -> FirmwareUpdate:
    """Another try of one that failed or was cancelled; the new one. It may begin at once, unless its campaign is held.

    Raises FirmwareUpdate.DoesNotExist; FirmwareError where there is nothing to retry.
    """
    with transaction.atomic():
        campaigns_hold(ids=FirmwareUpdate.objects.filter(pk=update_id).values_list("campaign_id", flat=True))
        rows = FirmwareUpdate.objects.select_for_update(of=("self",)).select_related("device", "image", "campaign")
        update = rows.get(pk=update_id)
        if update.state not in (UpdateState.FAILED, UpdateState.CANCELLED):
            word = UpdateState(update.state).label.lower()
            raise FirmwareError(f"Only an update that failed or was cancelled can be retried; this one is {word}.")
        if update.retried_at is not None:
            raise FirmwareError("This update was retried already: look at the newer one.")
        refused = image_usable(image=update.image)
        if refused:
            raise FirmwareError(refused)
        return retry_make(update=update, by=by, at=timezone.now())


def campaigns_hold(*, ids: Iterable[int | None]) -> None:
    """Holds these campaigns until the transaction ends: before any of their updates, as everybody does."""
    named = {one for one in ids if one is not None}
    if named and connection.features.has_select_for_update:
        # rows that point at them may be written meanwhile
        rows = Campaign.objects.select_for_update(no_key=True).filter(pk__in=named)
        list(rows.order_by("pk").values_list("pk", flat=True))


def retry_make(*, update: FirmwareUpdate, by: User | None, at: datetime) -> FirmwareUpdate:
    """The row that takes the ended update's place, in a transaction that holds the campaign and the ended one.

    It stays in the campaign, unless that was cancelled, and may begin at once, unless that is paused or stopped: then
    it begins when the campaign goes on. A pending update of the same instance is superseded.
    """
    campaign = update.campaign
    if campaign is not None and campaign.cancelled_at is not None:
        campaign = None
    waits = campaign is not None and (campaign.paused_at or campaign.stopped_at) is not None
    _supersede(update.device, update.object_instance, by, at)
    update.retried_at = at
    update.save(update_fields=["retried_at"])
    return FirmwareUpdate.objects.create(
        device_id=update.device_id,
        image_id=update.image_id,
        campaign=campaign,
        phase=update.phase,
        object_instance=update.object_instance,
        method=update.method,
        force=update.force,
        hold_seconds=update.hold_seconds,
        asked_by=by,
        asked_at=at,
        admitted_at=None if waits else at,
        step_since=at,
        look_at=at,
        give_up_at=at + (NEVER if waits else timedelta(days=settings.FIRMWARE_GIVE_UP_DAYS)),
        retry_of=update,
    )
