"""Firmware updates of devices, and campaigns that roll an image out."""

from collections.abc import Callable
from typing import Annotated, Any

from django.db import transaction
from django.http import Http404, HttpRequest
from ninja import Status
from ninja.errors import HttpError
from ninja.params.functions import Body, Query

from backend.accounts.models import User
from backend.api import firmware_schemas as schemas
from backend.api import schemas as common
from backend.api.auth import operator
from backend.api.base import ERRORS, Endpoint, api, device_or_404, person
from backend.api.commands import chosen_devices
from backend.api.parameters import LIMIT, strict
from backend.firmware.errors import FirmwareError
from backend.firmware.models import Campaign, FirmwareImage, FirmwareUpdate, UpdateState
from backend.firmware.selectors.campaigns import (
    CampaignView,
    campaign_failures,
    campaign_get,
    campaign_list,
    campaign_status,
)
from backend.firmware.selectors.images import image_get
from backend.firmware.selectors.updates import update_list, update_with_lines
from backend.firmware.services.campaigns import (
    campaign_advance,
    campaign_cancel,
    campaign_create,
    campaign_pause,
    campaign_resume,
    campaign_retry_failed,
)
from backend.firmware.services.updates import update_cancel, update_create, update_retry

MAX_PAGE = 500
CHANGE_ERRORS: dict[Any, Any] = {**ERRORS, 409: common.Error}


# -- shapes


def _update(update: FirmwareUpdate) -> dict[str, Any]:
    """As schemas.Update; with device, image and people at hand."""
    return {
        "id": update.pk,
        "device": update.device.endpoint,
        "image": update.image_id,
        "image_name": update.image.file_name,
        "version": update.image.version,
        "campaign": update.campaign_id,
        "phase": update.phase + 1,
        "object_instance": update.object_instance,
        "method": update.method,
        "method_used": update.method_used,
        "force": update.force,
        "state": update.state,
        "step": update.step,
        "code": update.code,
        "reason": update.reason,
        "lwm2m_state": update.lwm2m_state,
        "update_result": update.update_result,
        "version_before": update.version_before,
        "version_after": update.version_after,
        "bytes_sent": update.bytes_sent,
        "size": update.image.size,
        "percent": min(100, 100 * update.bytes_sent // update.image.size),
        "transfers": update.transfers,
        "executes": update.executes,
        "asked_by": update.asked_by.username if update.asked_by else None,
        "asked_at": update.asked_at,
        "admitted_at": update.admitted_at,
        "started_at": update.started_at,
        "ended_at": update.ended_at,
        "cancel_requested_at": update.cancel_requested_at,
        "cancelled_by": update.cancelled_by.username if update.cancelled_by else None,
        "retried_at": update.retried_at,
        "retry_of": update.retry_of_id,
    }


def _campaign(view: CampaignView) -> dict[str, Any]:
    """As schemas.Campaign."""
    campaign = view.campaign
    return {
        "id": campaign.pk,
        "name": campaign.name,
        "image": campaign.image_id,
        "image_name": campaign.image.file_name,
        "version": campaign.image.version,
        "status": view.status,
        "waits": view.waits,
        "until": view.until,
        "total": view.total,
        "counts": view.counts,
        "ended": view.ended,
        "percent": view.percent,
        "under_way": view.under_way,
        "away": view.away,
        "seconds_left": view.seconds_left,
        "phase": campaign.phase + 1,
        "phases": [vars(phase) for phase in view.phases],
        "left_out": [vars(group) for group in view.left_out],
        "concurrency": campaign.concurrency,
        "success_threshold": campaign.success_threshold,
        "error_threshold": campaign.error_threshold,
        "hold_seconds": campaign.hold_seconds,
        "start_at": campaign.start_at,
        "window_from": campaign.window_from,
        "window_to": campaign.window_to,
        "zone": campaign.zone,
        "method": campaign.method,
        "force": campaign.force,
        "standing": campaign.standing,
        "object_instance": campaign.object_instance,
        "created_at": campaign.created_at,
        "created_by": campaign.created_by.username if campaign.created_by else None,
        "began_at": view.began_at,
        "ended_at": view.ended_at,
    }


def _image_or_404(image_id: int) -> FirmwareImage:
    try:
        return image_get(id=image_id)
    except FirmwareImage.DoesNotExist:
        raise Http404(f"There is no image {image_id}.") from None


def _detail(update_id: int) -> dict[str, Any]:
    try:
        update = update_with_lines(id=min(update_id, LIMIT))
    except FirmwareUpdate.DoesNotExist:
        raise Http404(f"There is no firmware update {update_id}.") from None
    return {**_update(update), "lines": [{"at": line.at, "text": line.text} for line in update.lines.all()]}


def _campaign_detail(campaign_id: int) -> dict[str, Any]:
    try:
        campaign = campaign_get(id=min(campaign_id, LIMIT))
    except Campaign.DoesNotExist:
        raise Http404(f"There is no campaign {campaign_id}.") from None
    failures = [vars(group) for group in campaign_failures(campaign=campaign)]
    return {**_campaign(campaign_status(campaign=campaign)), "failures": failures}


# -- updates


@api.post(
    "/firmware/updates",
    auth=operator,
    response={201: schemas.UpdatesMade, **ERRORS},
    summary="Update a device, or a few",
    tags=["firmware"],
)
@strict()
def updates_ask(request: HttpRequest, asked: Annotated[schemas.UpdateAsk, Body()]) -> Status[dict[str, Any]]:
    """Begins as soon as the device is there. Where it is refused for one device, nothing is asked of any."""
    if (asked.device is None) == (asked.devices is None):
        raise HttpError(400, "name the device, or devices, one of the two; many of them are a campaign.")
    image = _image_or_404(asked.image)
    if asked.device is not None:
        devices = [device_or_404(asked.device)]
    else:
        devices = list(chosen_devices(asked.devices, None).select_related("profile", "registration"))
    made = []
    with transaction.atomic():
        for device in devices:
            try:
                update = update_create(
                    device=device,
                    image=image,
                    by=person(request),
                    method=asked.method,
                    force=asked.force,
                    object_instance=asked.object_instance,
                    hold_seconds=asked.hold_seconds,
                )
            except FirmwareError as error:
                text = f"{device.endpoint}: {error}" if len(devices) > 1 else f"{error}"
                raise HttpError(400, text) from None
            made.append(update)
    return Status(201, {"items": [_update(update) for update in made]})


@api.get("/firmware/updates", response={200: schemas.Updates, **ERRORS}, summary="Firmware updates", tags=["firmware"])
@strict("device", "state", "campaign", "image", "code", "before", "limit")
def updates(
    request: HttpRequest,
    device: Annotated[Endpoint | None, Query(description="of this device")] = None,
    state: Annotated[list[UpdateState], Query(description="repeat it for more than one")] = [],  # noqa: B006 - read only
    campaign: Annotated[int | None, Query(ge=1, le=LIMIT)] = None,
    image: Annotated[int | None, Query(ge=1, le=LIMIT)] = None,
    code: Annotated[str, Query(max_length=32, pattern="^[a-z0-9-]*$", description="how it ended")] = "",
    before: Annotated[int | None, Query(ge=1, le=LIMIT, description="the `next` of an earlier answer")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
) -> dict[str, Any]:
    """A portion of the updates, newest first."""
    found = update_list(
        device=None if device is None else device_or_404(device),
        states=state or None,
        campaign=campaign,
        image=image,
        code=code,
        before=before,
    )
    page = list(found[: limit + 1])
    return {
        "items": [_update(one) for one in page[:limit]],
        "next": page[limit - 1].pk if len(page) > limit else None,
    }


@api.get(
    "/firmware/updates/{int:update_id}",
    response={200: schemas.UpdateDetail, **ERRORS},
    summary="One firmware update",
    tags=["firmware"],
)
@strict()
def update(request: HttpRequest, update_id: int) -> dict[str, Any]:
    """With its history."""
    return _detail(update_id)


def _changed(service: Callable[..., FirmwareUpdate], update_id: int, by: User) -> dict[str, Any]:
    try:
        return _detail(service(update_id=min(update_id, LIMIT), by=by).pk)
    except FirmwareUpdate.DoesNotExist:
        raise Http404(f"There is no firmware update {update_id}.") from None
    except FirmwareError as error:
        raise HttpError(409, str(error)) from None


@api.delete(
    "/firmware/updates/{int:update_id}",
    auth=operator,
    response={200: schemas.UpdateDetail, **CHANGE_ERRORS},
    summary="Cancel a firmware update",
    tags=["firmware"],
)
@strict()
def update_end(request: HttpRequest, update_id: int) -> dict[str, Any]:
    """At once while it waits, else when the device has forgotten the package; not while the device installs."""
    return _changed(update_cancel, update_id, person(request))


@api.post(
    "/firmware/updates/{int:update_id}",
    auth=operator,
    response={201: schemas.UpdateDetail, **CHANGE_ERRORS},
    summary="Retry a firmware update",
    tags=["firmware"],
)
@strict()
def update_again(
    request: HttpRequest, update_id: int, asked: Annotated[schemas.UpdateAct, Body()]
) -> Status[dict[str, Any]]:
    """A new update in place of one that failed or was cancelled; the answer is the new one."""
    return Status(201, _changed(update_retry, update_id, person(request)))


# -- campaigns


def _selection(asked: schemas.CampaignAsk) -> dict[str, Any]:
    if (asked.devices is None) == (asked.filter is None):
        raise HttpError(400, 'name the devices: either devices, such as ["sim-1", "sim-2"], or a filter; {} is all.')
    if asked.filter is None:
        return {"endpoints": asked.devices}
    # what was not said does not narrow it; a null does
    said = asked.filter.model_dump(mode="json", exclude_unset=True)
    return {name: value for name, value in said.items() if value is not None or name == "profile"}


@api.post(
    "/firmware/campaigns",
    auth=operator,
    response={201: schemas.CampaignDetail, **ERRORS},
    summary="Roll an image out",
    tags=["firmware"],
)
@strict()
def campaign_make(request: HttpRequest, asked: Annotated[schemas.CampaignAsk, Body()]) -> Status[dict[str, Any]]:
    """An update for each of the devices that the image fits, in phases."""
    given = asked.model_dump(exclude={"image", "devices", "filter"})
    image = _image_or_404(asked.image)
    try:
        made = campaign_create(**given, image=image, selection=_selection(asked), by=person(request))
    except FirmwareError as error:
        raise HttpError(400, str(error)) from None
    return Status(201, _campaign_detail(made.pk))


@api.get("/firmware/campaigns", response={200: schemas.Campaigns, **ERRORS}, summary="Campaigns", tags=["firmware"])
@strict("search", "before", "limit")
def campaigns(
    request: HttpRequest,
    search: Annotated[str, Query(max_length=255, description="words in name, image or version")] = "",
    before: Annotated[int | None, Query(ge=1, le=LIMIT, description="the `next` of an earlier answer")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
) -> dict[str, Any]:
    """A portion of the campaigns, newest first."""
    page = campaign_list(search=search, before=before, limit=limit + 1)
    return {
        "items": [_campaign(view) for view in page[:limit]],
        "next": page[limit - 1].campaign.pk if len(page) > limit else None,
    }


@api.get(
    "/firmware/campaigns/{int:campaign_id}",
    response={200: schemas.CampaignDetail, **ERRORS},
    summary="One campaign",
    tags=["firmware"],
)
@strict()
def campaign(request: HttpRequest, campaign_id: int) -> dict[str, Any]:
    """With the devices that failed, by reason."""
    return _campaign_detail(campaign_id)


ACTIONS: dict[str, Callable[..., Any]] = {
    "pause": campaign_pause,
    "resume": campaign_resume,
    "advance": campaign_advance,
    "retry": campaign_retry_failed,
}


def _campaign_changed(service: Callable[..., Any], campaign_id: int, by: User) -> dict[str, Any]:
    try:
        service(campaign_id=min(campaign_id, LIMIT), by=by)
    except Campaign.DoesNotExist:
        raise Http404(f"There is no campaign {campaign_id}.") from None
    except FirmwareError as error:
        raise HttpError(409, str(error)) from None
    return _campaign_detail(campaign_id)


@api.post(
    "/firmware/campaigns/{int:campaign_id}",
    auth=operator,
    response={200: schemas.CampaignDetail, **CHANGE_ERRORS},
    summary="Pause or resume a campaign, begin its next phase, retry what failed",
    tags=["firmware"],
)
@strict()
def campaign_act(
    request: HttpRequest, campaign_id: int, asked: Annotated[schemas.CampaignAct, Body()]
) -> dict[str, Any]:
    """`advance` begins the next phase whatever this one lacks; `retry` makes new updates of those that failed."""
    return _campaign_changed(ACTIONS[asked.action], campaign_id, person(request))


@api.delete(
    "/firmware/campaigns/{int:campaign_id}",
    auth=operator,
    response={200: schemas.CampaignDetail, **CHANGE_ERRORS},
    summary="Cancel a campaign",
    tags=["firmware"],
)
@strict()
def campaign_end(request: HttpRequest, campaign_id: int) -> dict[str, Any]:
    """Ends what has not begun, and takes back what is being transferred; devices that install are left to finish."""
    return _campaign_changed(campaign_cancel, campaign_id, person(request))
