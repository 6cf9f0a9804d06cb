"""Rollouts: what people decide about them, and the step by which `sync` lets updates begin.

People (web) and `sync` write at the same time: whoever changes a campaign holds its row, always before any update's,
and every write says from what it changes.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from backend.accounts.models import User
from backend.commands.models import State
from backend.commands.services.bulk import commands_drop
from backend.devices.models import Change, Device
from backend.devices.services import rows_insert
from backend.firmware.endings import ENDINGS, WAITING, ending_reason
from backend.firmware.errors import FirmwareError
from backend.firmware.models import (
    ACTIVE,
    OPEN,
    Campaign,
    FirmwareImage,
    FirmwareUpdate,
    Method,
    Step,
    UpdateLine,
    UpdateState,
)
from backend.firmware.rollout import decide, device_rank, phase_of_rank, phase_sizes, phases_check
from backend.firmware.selectors.campaigns import (
    LAPSED,
    NOT_LET_IN,
    READY,
    Candidate,
    Counted,
    LeftOut,
    campaigns_counted,
    candidates,
    instance_of,
    rollout_of,
    selection_check,
    selection_devices,
)
from backend.firmware.selectors.images import image_usable
from backend.firmware.services.updates import MOST_HOLD, NEVER

MAX_CONCURRENCY = 10_000
LONG_NAME = 100
# ids in one statement
_CHUNK = 5000
# how often standing campaigns look for devices that have come to match
STANDING_EVERY = timedelta(seconds=30)
_WAITS = {"code": "waiting-turn", "reason": f"{WAITING['waiting-turn']}."}
_RETRY_OF = f'UPDATE "{FirmwareUpdate._meta.db_table}" SET "retry_of_id" = %s WHERE "id" = %s'  # noqa: S608 - our name
_AGAIN = "A device or another update changed at this moment: nothing was done. Try again."


# -- making one


def campaign_create(
    *,
    name: str,
    image: FirmwareImage,
    by: User | None,
    selection: Mapping[str, Any],
    devices: QuerySet[Device] | None = None,
    phases: Sequence[int] = (10, 50, 100),
    concurrency: int = 20,
    success_threshold: int = 90,
    error_threshold: int = 10,
    hold_seconds: int | None = None,
    start_at: datetime | None = None,
    window_from: time | None = None,
    window_to: time | None = None,
    zone: str = "UTC",
    method: str = Method.AUTO,
    force: bool = False,
    standing: bool = False,
    object_instance: int | None = None,
) -> Campaign:
    """Makes a campaign with an update for each device that the image fits; constant queries for any number of them.

    `selection` says which devices (selectors.campaigns.selection_check), `devices` narrows it to a query that the
    caller has at hand. `phases`: cumulative percentages. `hold_seconds`: None for the setting. `start_at` is aware;
    `window_from` and `window_to` are times of day in `zone` (IANA). `object_instance`: None for the image's.
    Within the phases the order is as good as random, but devices that are away now come last: a phase that is to prove
    the image should not wait for them. Waiting updates of the same devices and instance end as superseded. Devices
    that the image does not fit are left out; `selection["left_out"]` of the campaign counts them by reason.
    Raises FirmwareError.
    """
    chosen = selection_check(selection=selection)
    values = _checked(
        name=name,
        phases=phases,
        concurrency=concurrency,
        success_threshold=success_threshold,
        error_threshold=error_threshold,
        hold_seconds=hold_seconds,
        start_at=start_at,
        window=(window_from, window_to),
        zone=zone,
        method=method,
        object_instance=instance_of(image=image, object_instance=object_instance),
    )
    refused = image_usable(image=image)
    if refused:
        raise FirmwareError(refused)
    if devices is None:
        devices = selection_devices(selection=chosen)
    if not standing:
        _all_exist(chosen)
    fitting, left_out = candidates(image=image, devices=devices, force=force)
    if not fitting and not standing:
        if left_out:
            raise FirmwareError(f"The image fits none of the chosen devices. {left_out[0].why}")
        raise FirmwareError("No device was chosen: nothing was made.")
    now = timezone.now()
    with transaction.atomic():
        campaign = Campaign.objects.create(
            **values,
            image=image,
            selection={**chosen, **_left_out(left_out)},
            standing=standing,
            force=force,
            created_at=now,
            created_by=by,
        )
        order = sorted(fitting, key=lambda one: (one.away, device_rank(campaign.pk, one.endpoint)))
        parts, start = [], 0
        for size in phase_sizes(len(order), campaign.phases):
            parts.append(order[start : start + size])
            start += size
        _rows_add(campaign, parts, by=by, at=now)
    return campaign


def _checked(
    *,
    name: str,
    phases: Sequence[int],
    concurrency: int,
    success_threshold: int,
    error_threshold: int,
    hold_seconds: int | None,
    start_at: datetime | None,
    window: tuple[time | None, time | None],
    zone: str,
    method: str,
    object_instance: int,
) -> dict[str, Any]:
    """The campaign's own columns. Raises FirmwareError."""
    name = " ".join(name.split())
    if not name or len(name) > LONG_NAME or "\0" in name:
        raise FirmwareError(f"a campaign's name has 1 to {LONG_NAME} characters.")
    try:
        found = phases_check(phases)
    except ValueError as error:
        raise FirmwareError(f"{error}") from None
    if not 1 <= concurrency <= MAX_CONCURRENCY:
        raise FirmwareError(f"1 to {MAX_CONCURRENCY:,} updates may be under way at once.")
    if not (0 <= success_threshold <= 100 and 0 <= error_threshold <= 100):
        raise FirmwareError("the thresholds are percentages from 0 to 100.")
    hold = settings.FIRMWARE_HOLD_SECONDS if hold_seconds is None else hold_seconds
    if not 0 <= hold <= MOST_HOLD:
        raise FirmwareError(f"the new firmware may have to hold for 0 to {MOST_HOLD:,} seconds.")
    if start_at is not None and start_at.tzinfo is None:
        raise FirmwareError("the start needs a time zone, such as 2026-11-23T02:00:00+01:00.")
    if (window[0] is None) != (window[1] is None):
        raise FirmwareError("a daily window has a beginning and an end: name both, or neither.")
    if window[0] is not None and window[0] == window[1]:
        raise FirmwareError("the daily window begins when it ends: leave both out for all day.")
    if any(one is not None and one.tzinfo is not None for one in window):
        raise FirmwareError("the daily window's times are those of its zone: leave the offset out.")
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        # a name that is a folder, or leads out of the database of zones, is none either
        raise FirmwareError(f"there is no time zone {zone[:64]!r}: use a name such as Europe/Vienna or UTC.") from None
    if method not in Method.values:
        raise FirmwareError(f"there is no method {method[:20]!r}: use one of {', '.join(Method.values)}.")
    if not 0 <= object_instance <= 65_534:
        raise FirmwareError("an object instance is a number from 0 to 65534.")
    return {
        "name": name,
        "phases": found,
        "concurrency": concurrency,
        "success_threshold": success_threshold,
        "error_threshold": error_threshold,
        "hold_seconds": hold,
        "start_at": start_at,
        "window_from": window[0],
        "window_to": window[1],
        "zone": zone,
        "method": method,
        "object_instance": object_instance,
    }


def _all_exist(selection: Mapping[str, Any]) -> None:
    named = selection.get("endpoints", [])
    if not named:
        return
    known = set(Device.objects.filter(endpoint__in=named).values_list("endpoint", flat=True))
    missing = [endpoint for endpoint in named if endpoint not in known]
    if missing:
        more = f" (and {len(missing) - 1} more that do not exist)" if len(missing) > 1 else ""
        raise FirmwareError(f"There is no device {missing[0]!r}{more}.")


def _left_out(groups: list[LeftOut]) -> dict[str, Any]:
    return {"left_out": [vars(group) for group in groups]} if groups else {}


def _rows_add(campaign: Campaign, phases: Sequence[Sequence[Candidate]], *, by: User | None, at: datetime) -> int:
    """An update for each of the devices, by phase; their waiting ones make room. How many."""
    made = 0
    try:
        with transaction.atomic():
            for part in _parts([one.id for them in phases for one in them]):
                _supersede(campaign, part, at)
            for number, them in enumerate(phases):
                for part in _parts([one.id for one in them]):
                    made += rows_insert(
                        model=FirmwareUpdate,
                        devices=Device.objects.filter(pk__in=part),
                        values=_row(campaign, number, by, at),
                    )
    except IntegrityError:
        raise FirmwareError(_AGAIN) from None
    return made


def _row(campaign: Campaign, phase: int, by: User | None, at: datetime) -> dict[str, Any]:
    give_up = _give_up(campaign, at) if phase <= campaign.phase else None
    return {
        "image_id": campaign.image_id,
        "campaign_id": campaign.pk,
        "phase": phase,
        "object_instance": campaign.object_instance,
        "method": campaign.method,
        "force": campaign.force,
        "hold_seconds": campaign.hold_seconds,
        "state": UpdateState.PENDING.value,
        "step": Step.WAIT.value,
        **_WAITS,
        "asked_by_id": by.pk if by else None,
        "asked_at": at,
        "step_since": at,
        "give_up_at": give_up or at + NEVER,
    }


def _give_up(campaign: Campaign, at: datetime) -> datetime | None:
    """When updates end that could not begin, though their turn had come at `at`; None: never."""
    if campaign.standing:
        return None
    return max(at, campaign.start_at or at) + timedelta(days=settings.FIRMWARE_GIVE_UP_DAYS)


def _supersede(campaign: Campaign, device_ids: list[int], at: datetime) -> None:
    """Ends what else waits for these devices' instance."""
    waiting = FirmwareUpdate.objects.filter(
        device__in=device_ids, object_instance=campaign.object_instance, state=UpdateState.PENDING
    )
    _end_waiting(waiting, code="superseded", reason=ending_reason("superseded"), by=None, at=at)


def _end_waiting(updates: QuerySet[FirmwareUpdate], *, code: str, reason: str, by: User | None, at: datetime) -> int:
    """Ends pending ones without their devices, as ENDINGS says of the code; how many."""
    state = ENDINGS[code].state
    ids = _held(updates.filter(state=UpdateState.PENDING))
    for part in _parts(ids):
        these = FirmwareUpdate.objects.filter(pk__in=part, state=UpdateState.PENDING)
        asked = these.filter(command__isnull=False).values_list("command_id", flat=True)
        commands_drop(ids=[one for one in asked if one is not None], at=at)
        these.update(
            state=state,
            step=Step.DONE,
            code=code,
            reason=reason,
            command=None,
            cancelled_by=by,
            ended_at=at,
            step_since=at,
            # for `sync` to tell the pages
            look_at=at,
            deadline_at=None,
        )
    UpdateLine.objects.bulk_create(
        [UpdateLine(update_id=update_id, at=at, text=f"{state.label}: {reason}") for update_id in ids],
        batch_size=_CHUNK,
    )
    return len(ids)


# -- what people do with it


def campaign_pause(*, campaign_id: int, by: User | None) -> Campaign:
    """Nothing more begins; what began goes on. Raises Campaign.DoesNotExist; FirmwareError where it is over."""
    with transaction.atomic():
        campaign = _locked(campaign_id)
        _not_over(campaign)
        if campaign.paused_at is None:
            campaign.paused_at = timezone.now()
            campaign.save(update_fields=["paused_at"])
            _hold_back(campaign)
    return campaign


def campaign_resume(*, campaign_id: int, by: User | None) -> Campaign:
    """Goes on after a pause or a stop. After a stop, the failures until now do not count any more.

    Raises Campaign.DoesNotExist; FirmwareError where it is over or going on anyway.
    """
    with transaction.atomic():
        campaign = _locked(campaign_id)
        _not_over(campaign)
        now = timezone.now()
        # its page may say that it has stopped before `sync` has come to note it
        _stop_if_due(campaign, now)
        if campaign.paused_at is None and campaign.stopped_at is None:
            raise FirmwareError("the campaign is not paused: nothing was changed.")
        if campaign.stopped_at is not None:
            campaign.resumed_at = now
        campaign.paused_at = campaign.stopped_at = None
        campaign.stopped_reason = ""
        campaign.save(update_fields=["paused_at", "stopped_at", "stopped_reason", "resumed_at"])
        _begins_now(campaign, Q(phase__lte=campaign.phase), now)
        # those that were let in just before it was held, and saw it
        waiting = FirmwareUpdate.objects.filter(campaign=campaign, state=UpdateState.PENDING, step=Step.WAIT)
        waiting.filter(pk__in=_held(waiting.exclude(admitted_at=None))).update(look_at=now)
    return campaign


def campaign_advance(*, campaign_id: int, by: User | None) -> Campaign:
    """The next phase begins, whatever is missing in the present one.

    Raises Campaign.DoesNotExist; FirmwareError where it is over or in its last phase.
    """
    with transaction.atomic():
        campaign = _locked(campaign_id)
        _not_over(campaign)
        if campaign.phase >= len(campaign.phases) - 1:
            raise FirmwareError("the campaign is in its last phase: nothing was changed.")
        _phase_set(campaign, campaign.phase + 1, timezone.now())
    return campaign


def campaign_cancel(*, campaign_id: int, by: User | None) -> Campaign:
    """Ends what has not begun, and takes back what is being transferred; devices that install are left to finish.

    Raises Campaign.DoesNotExist; FirmwareError where it is cancelled already, or everything has ended.
    """
    with transaction.atomic():
        campaign = _locked(campaign_id)
        _not_over(campaign)
        updates = FirmwareUpdate.objects.filter(campaign=campaign, retried_at__isnull=True)
        if not campaign.standing and not updates.filter(state__in=OPEN).exists():
            raise FirmwareError("all of the campaign's updates have ended: there is nothing left to cancel.")
        now = timezone.now()
        campaign.cancelled_at = now
        campaign.save(update_fields=["cancelled_at"])
        who = f" by {by.username}" if by else ""
        reason = ending_reason("cancelled-campaign", by=who)
        # a device that has got something of the package is told to forget it
        _end_waiting(updates.filter(transfers=0), code="cancelled-campaign", reason=reason, by=by, at=now)
        untold = Q(step=Step.EXECUTE, command__state=State.QUEUED, command__attempts=0)
        under_way = updates.filter(
            ~Q(state=UpdateState.UPDATING) | untold, state__in=OPEN, cancel_requested_at__isnull=True
        )
        for part in _parts(_held(under_way)):
            under_way.filter(pk__in=part).update(cancel_requested_at=now, cancelled_by=by, look_at=now)
    return campaign


def campaign_retry_failed(*, campaign_id: int, by: User | None) -> int:
    """A new update in place of each that failed, in its phase; how many. A stopped campaign has to be resumed, too.

    Left as they are: devices for which another update waits or runs. Constant queries.
    Raises Campaign.DoesNotExist; FirmwareError where it is cancelled, or nothing can be retried.
    """
    with transaction.atomic():
        campaign = _locked(campaign_id)
        if campaign.cancelled_at is not None:
            raise FirmwareError("the campaign was cancelled: make a new one.")
        image = FirmwareImage.objects.select_related("profile").get(pk=campaign.image_id)
        refused = image_usable(image=image)
        if refused:
            raise FirmwareError(refused)
        now = timezone.now()
        # retried failures count no longer: without this, a stop that is due would never be
        _stop_if_due(campaign, now)
        # in two plain queries: planners mistake what comes of an anti-join of thousands of rows that are new
        failed = FirmwareUpdate.objects.filter(campaign=campaign, state=UpdateState.FAILED, retried_at__isnull=True)
        device_of = dict(failed.order_by().values_list("pk", "device_id"))
        others = FirmwareUpdate.objects.filter(object_instance=campaign.object_instance, state__in=OPEN)
        busy = set(others.order_by().values_list("device_id", flat=True))
        ids = [pk for pk in _held(failed) if pk in device_of and device_of[pk] not in busy]
        if not ids:
            raise FirmwareError("none of the campaign's devices failed, or other updates wait for those that did.")
        for part in _parts(ids):
            FirmwareUpdate.objects.filter(pk__in=part, retried_at__isnull=True).update(retried_at=now)
        retried = FirmwareUpdate.objects.filter(campaign=campaign, retried_at=now)
        made = 0
        try:
            with transaction.atomic():
                for phase in range(len(campaign.phases)):
                    of_phase = retried.filter(phase=phase).values("device_id")
                    made += rows_insert(
                        model=FirmwareUpdate,
                        devices=Device.objects.filter(pk__in=of_phase),
                        values=_row(campaign, phase, by, now),
                    )
                before = dict(retried.order_by().values_list("device_id", "pk"))
                new = FirmwareUpdate.objects.filter(campaign=campaign, retried_at__isnull=True, asked_at=now)
                rows = new.filter(retry_of=None).order_by("pk").values_list("device_id", "pk")
                with connection.cursor() as cursor:
                    cursor.executemany(
                        _RETRY_OF, [(before[device_id], pk) for device_id, pk in rows if device_id in before]
                    )
        except IntegrityError:
            raise FirmwareError(_AGAIN) from None
    return made


def _locked(campaign_id: int) -> Campaign:
    """The campaign, held until the transaction ends. Raises Campaign.DoesNotExist."""
    # rows that point at it may be written meanwhile
    return Campaign.objects.select_for_update(no_key=True).get(pk=campaign_id)


def _not_over(campaign: Campaign) -> None:
    if campaign.cancelled_at is not None:
        raise FirmwareError("the campaign was cancelled: nothing was changed. Make a new one.")


def _hold_back(campaign: Campaign) -> None:
    """Those that were let in, but of which nothing was asked yet, wait again; nobody gives them up meanwhile."""
    waiting = FirmwareUpdate.objects.filter(campaign=campaign, state=UpdateState.PENDING)
    _held(waiting)
    waiting.filter(step=Step.WAIT, started_at__isnull=True).update(
        admitted_at=None, look_at=None, give_up_at=timezone.now() + NEVER, **_WAITS
    )


def _begins_now(campaign: Campaign, which: Q, at: datetime) -> None:
    """The time within which these updates must begin starts at `at`."""
    give_up = _give_up(campaign, at)
    waiting = FirmwareUpdate.objects.filter(
        which, campaign=campaign, state=UpdateState.PENDING, admitted_at__isnull=True
    )
    if give_up is not None:
        _held(waiting)
        waiting.update(give_up_at=give_up)


def _phase_set(campaign: Campaign, phase: int, at: datetime) -> None:
    before, campaign.phase = campaign.phase, phase
    campaign.save(update_fields=["phase"])
    _begins_now(campaign, Q(phase__gt=before, phase__lte=phase), at)


# -- the step of `sync`

# when standing campaigns were looked at; lost with the process, which then looks at once
_standing_looked: dict[tuple[int, datetime], datetime] = {}
# what the open campaigns were like at the last look, by id and when they were made; None at the first
_seen: dict[tuple[int, datetime], tuple[Any, ...]] | None = None


def campaigns_step(*, at: datetime) -> set[int]:
    """Lets updates of campaigns begin, moves phases on, and stops campaigns; the ids of the updates that may begin now.

    Three queries while there is nothing to do, a few more for each campaign that goes on.
    """
    waiting = FirmwareUpdate.objects.filter(campaign=OuterRef("pk"), state__in=OPEN)
    campaigns = list(
        Campaign.objects.filter(Exists(waiting) | Q(standing=True), cancelled_at__isnull=True)
        .select_related("image", "image__profile")
        .order_by("pk")
    )
    _tell_changed(campaigns)
    if not campaigns:
        _standing_looked.clear()
        return set()
    for campaign in campaigns:
        if _standing_due(campaign, at):
            _take_up(campaign, at)
    counted = campaigns_counted(campaigns=campaigns)
    admitted: set[int] = set()
    for campaign in campaigns:
        decision = decide(rollout_of(campaign=campaign), counted[campaign.pk].phases, at)
        moves = decision.stop or decision.admit or decision.phase != campaign.phase
        if moves or counted[campaign.pk].lapsed or _late(counted[campaign.pk], at):
            with suppress(Campaign.DoesNotExist):
                admitted |= _go_on(campaign.pk, at)
    return admitted


def _stop_if_due(campaign: Campaign, at: datetime) -> bool:
    """Stops the campaign, which is held, where too many have failed; whether it did."""
    decision = decide(rollout_of(campaign=campaign), campaigns_counted(campaigns=[campaign])[campaign.pk].phases, at)
    if not decision.stop or campaign.stopped_at is not None:
        return False
    campaign.stopped_at, campaign.stopped_reason = at, decision.stop
    campaign.save(update_fields=["stopped_at", "stopped_reason"])
    _hold_back(campaign)
    _tell()
    return True


def _go_on(campaign_id: int, at: datetime) -> set[int]:
    """Decides once more, with the campaign held, and does it."""
    with transaction.atomic():
        campaign = _locked(campaign_id)
        if _stop_if_due(campaign, at):
            return set()
        counted = campaigns_counted(campaigns=[campaign])[campaign_id]
        decision = decide(rollout_of(campaign=campaign), counted.phases, at)
        if decision.phase != campaign.phase:
            _phase_set(campaign, decision.phase, at)
            _tell()
        updates = FirmwareUpdate.objects.filter(campaign=campaign)
        if counted.lapsed:
            # its place goes to another device; its turn comes again when it is back
            lapsed = _held(updates.filter(LAPSED))
            updates.filter(LAPSED, pk__in=lapsed).update(admitted_at=None, look_at=None, **_WAITS)
        if _late(counted, at):
            late = updates.filter(NOT_LET_IN, give_up_at__lte=at)
            reason = ending_reason("given-up", since=f"{at:%Y-%m-%d %H:%M} UTC")
            _end_waiting(late, code="given-up", reason=reason, by=None, at=at)
        if not decision.admit:
            return set()
        busy = FirmwareUpdate.objects.filter(device=OuterRef("device"), state__in=ACTIVE)
        ready = updates.filter(~Exists(busy), READY, phase__lte=campaign.phase).order_by("phase", "pk")
        ids = list(ready.values_list("pk", flat=True)[: decision.admit])
        give_up = at + timedelta(days=settings.FIRMWARE_GIVE_UP_DAYS)
        _held(updates.filter(pk__in=ids))
        still = updates.filter(pk__in=ids, state=UpdateState.PENDING, admitted_at__isnull=True)
        still.update(admitted_at=at, look_at=at, give_up_at=give_up)
        return set(updates.filter(pk__in=ids, state=UpdateState.PENDING, admitted_at=at).values_list("pk", flat=True))


def _late(counted: Counted, at: datetime) -> bool:
    """Has one waited for its device for too long?"""
    return counted.give_up_at is not None and counted.give_up_at <= at


def _standing_due(campaign: Campaign, at: datetime) -> bool:
    """Is it time to look for devices that have come to match?"""
    if not campaign.standing or campaign.paused_at is not None or campaign.stopped_at is not None:
        return False
    if campaign.start_at is not None and at < campaign.start_at:
        return False
    key = (campaign.pk, campaign.created_at)
    looked = _standing_looked.get(key)
    if looked is not None and looked <= at < looked + STANDING_EVERY:
        return False
    _standing_looked[key] = at
    return not image_usable(image=campaign.image)


def _take_up(campaign: Campaign, at: datetime) -> int:
    """Updates for devices that match by now; how many. What a newer campaign wants of a device goes before this."""
    mine = FirmwareUpdate.objects.filter(device=OuterRef("pk"), campaign=campaign)
    other = FirmwareUpdate.objects.filter(device=OuterRef("pk"), object_instance=campaign.object_instance)
    newer = other.filter(Q(state__in=OPEN) | Q(campaign__gt=campaign.pk))
    try:
        matching = selection_devices(selection=campaign.selection)
    except FirmwareError:
        # a filter of the days before an update of this program
        return 0
    found, _ = candidates(
        image=campaign.image, devices=matching.filter(~Exists(mine), ~Exists(newer)), force=campaign.force
    )
    if not found:
        return 0
    phases: list[list[Candidate]] = [[] for _ in campaign.phases]
    for one in found:
        number = phase_of_rank(device_rank(campaign.pk, one.endpoint), campaign.phases)
        phases[max(number, campaign.phase)].append(one)
    with transaction.atomic(), suppress(Campaign.DoesNotExist, FirmwareError):
        if _locked(campaign.pk).cancelled_at is None:
            return _rows_add(campaign, phases, by=None, at=at)
    return 0


def _tell_changed(campaigns: Sequence[Campaign]) -> None:
    """What people did to campaigns in other processes is told here: `sync` alone writes the feed that pages follow."""
    global _seen
    now = {
        (one.pk, one.created_at): (one.phase, one.paused_at, one.stopped_at, one.resumed_at, one.start_at)
        for one in campaigns
    }
    if _seen is not None and _seen != now:
        _tell()
    _seen = now


def _tell() -> None:
    """A campaign's own state is new: for live pages."""
    Change.objects.create(device_id=None, kind=Change.Kind.FIRMWARE)


def _held(updates: QuerySet[FirmwareUpdate]) -> list[int]:
    """The ids, held in their order as everybody does it: else two could wait for each other for ever."""
    if connection.features.has_select_for_update:
        updates = updates.select_for_update(of=("self",), no_key=True)
    return list(updates.order_by("pk").values_list("pk", flat=True))


def _parts(ids: Iterable[int]) -> Iterable[list[int]]:
    every = list(ids)
    for start in range(0, len(every), _CHUNK):
        yield every[start : start + _CHUNK]
