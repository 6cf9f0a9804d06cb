"""Reads of campaigns: what each is doing is derived from its devices' updates. Nothing here writes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Count, F, Max, Min, Q, QuerySet
from django.utils import timezone

from backend.devices.models import Device, Profile, Status
from backend.devices.selectors import device_list, words_match
from backend.firmware.endings import ENDINGS
from backend.firmware.errors import FirmwareError
from backend.firmware.models import (
    ACTIVE,
    ENDED,
    OPEN,
    Campaign,
    FirmwareImage,
    FirmwareUpdate,
    Step,
    UpdateState,
)
from backend.firmware.rollout import Decision, PhaseCounts, Rollout, RolloutStatus, Window, decide, needed
from backend.firmware.selectors.images import image_fits

# what a campaign's selection may name, beside endpoints: as the list of devices filters
FILTERS = ("search", "status", "model", "firmware_version", "manufacturer", "profile")
# the device never came: that says nothing of the image
GIVEN_UP = "given-up"
_LONGEST_SEARCH = 255
# how many of the newest successes tell how long an update takes
_TIMED = 50
# reasons that are told apart where devices are left out
_REASONS = 20
_EXAMPLES = 3

_HERE = Q(device__status=Status.ONLINE)
# it takes one of the campaign's places. A device that sleeps, or went away before it began, takes none
TAKES_PLACE = (
    Q(admitted_at__isnull=False, state__in=OPEN) & ~Q(device__status=Status.ASLEEP) & (Q(state__in=ACTIVE) | _HERE)
)
# it may begin as soon as there is a place for it
NOT_LET_IN = Q(state=UpdateState.PENDING, admitted_at__isnull=True)
READY = NOT_LET_IN & _HERE
# let in, but the device went away before anything was asked of it
LAPSED = Q(state=UpdateState.PENDING, step=Step.WAIT, admitted_at__isnull=False, started_at__isnull=True) & ~_HERE
FRESH = Q(campaign__resumed_at__isnull=True) | Q(ended_at__gt=F("campaign__resumed_at"))


# -- which devices


def selection_check(*, selection: Mapping[str, Any]) -> dict[str, Any]:
    """The selection as it is kept: {"endpoints": […]}, or filters as in FILTERS; {} is every device.

    `profile` may be a name or an id and is kept as the id, None for devices without one. Raises FirmwareError.
    """
    unknown = sorted(set(selection) - {*FILTERS, "endpoints"})
    if unknown:
        raise FirmwareError(f"devices cannot be chosen by {unknown[0]!r}: use endpoints, or {', '.join(FILTERS)}.")
    found = dict(selection)
    if "endpoints" in found:
        if len(found) > 1:
            raise FirmwareError("choose devices by their endpoints or by a filter, not by both.")
        found["endpoints"] = list(dict.fromkeys(str(one) for one in found["endpoints"]))
        if not found["endpoints"]:
            raise FirmwareError("no device was named: name at least one endpoint.")
        if any("\0" in one for one in found["endpoints"]):
            raise FirmwareError("an endpoint name cannot hold the character NUL.")
        return found
    if "status" in found:
        found["status"] = [str(one) for one in found["status"]]
    if found.get("profile") is not None:
        found["profile"] = _profile_id(found["profile"])
    _filtered(found)
    return found


def selection_devices(*, selection: Mapping[str, Any]) -> QuerySet[Device]:
    """The devices that a campaign's selection finds now, with profile and registration. Raises FirmwareError."""
    if "endpoints" in selection:
        return Device.objects.select_related("profile", "registration").filter(endpoint__in=selection["endpoints"])
    return _filtered(selection)


def _filtered(selection: Mapping[str, Any]) -> QuerySet[Device]:
    wanted = {name: selection[name] for name in FILTERS if name in selection and name != "profile"}
    try:
        devices = device_list(**wanted)
    except ValueError as error:
        raise FirmwareError(f"{error}") from None
    return devices.filter(profile=selection["profile"]) if "profile" in selection else devices


def _profile_id(profile: object) -> int:
    if isinstance(profile, Profile):
        return profile.pk
    by_id = isinstance(profile, int) and not isinstance(profile, bool)
    found = Profile.objects.filter(**({"pk": profile} if by_id else {"name": str(profile).replace("\0", "\ufffd")}))
    first = found.values_list("pk", flat=True).first()
    if first is None:
        raise FirmwareError(f"there is no profile {profile!r}.")
    return first


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """Devices that were chosen, but that the image does not fit."""

    why: str
    devices: int
    examples: list[str]


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a campaign of these devices would be."""

    chosen: int
    # those that would get an update, and how many of them are away now (not registered)
    devices: int
    away: int
    left_out: list[LeftOut]
    # of those that would get one: a waiting update of theirs would be given up for this one
    superseded: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chosen device that the image fits."""

    id: int
    endpoint: str
    away: bool


def candidates(
    *, image: FirmwareImage, devices: QuerySet[Device], force: bool
) -> tuple[list[Candidate], list[LeftOut]]:
    """Those of the devices that the image fits, and the others by the reason; one query, two for a sliced selection.

    `force`: fits or not. The image's profile is at hand.
    """
    if devices.query.is_sliced:
        devices = Device.objects.filter(pk__in=list(devices.values_list("pk", flat=True)))
    away = {Status.OFFLINE, Status.NEVER_SEEN, Status.BLOCKED}
    if force:
        rows = devices.order_by().values_list("pk", "endpoint", "status")
        return [Candidate(pk, endpoint, status in away) for pk, endpoint, status in rows], []
    fitting, refused = [], dict[str, list[str]]()
    # only what image_fits looks at: registrations of thousands are megabytes
    found = devices.order_by("endpoint").select_related(None)
    for device in found.only("endpoint", "status", "manufacturer", "model", "profile_id").iterator(chunk_size=2000):
        why = image_fits(image=image, device=device)
        if why:
            refused.setdefault(why, []).append(device.endpoint)
        else:
            fitting.append(Candidate(device.pk, device.endpoint, device.status in away))
    groups = sorted(refused.items(), key=lambda group: -len(group[1]))
    left_out = [LeftOut(why=why, devices=len(them), examples=them[:_EXAMPLES]) for why, them in groups[:_REASONS]]
    rest = [endpoint for _, them in groups[_REASONS:] for endpoint in them]
    if rest:
        left_out.append(LeftOut(why="Other reasons of this kind.", devices=len(rest), examples=rest[:_EXAMPLES]))
    return fitting, left_out


def campaign_preview(
    *, image: FirmwareImage, devices: QuerySet[Device], force: bool = False, object_instance: int | None = None
) -> Preview:
    """Which of the devices a campaign would take up, and which not and why."""
    fitting, left_out = candidates(image=image, devices=devices, force=force)
    instance = instance_of(image=image, object_instance=object_instance)
    waiting = FirmwareUpdate.objects.filter(state=UpdateState.PENDING, object_instance=instance)
    ids = {one.id for one in fitting}
    return Preview(
        chosen=len(fitting) + sum(group.devices for group in left_out),
        devices=len(fitting),
        away=sum(one.away for one in fitting),
        left_out=left_out,
        superseded=len(ids.intersection(waiting.values_list("device_id", flat=True).iterator())),
    )


def instance_of(*, image: FirmwareImage, object_instance: int | None) -> int:
    """The instance of object 5 that the image goes to: as asked, else the image's, else the first."""
    if object_instance is not None:
        return object_instance
    return image.object_instance or 0


# -- one campaign, and all of them


@dataclass(frozen=True, kw_only=True)
class PhaseView:
    """A phase of a campaign. Every state is in `counts`, also with 0."""

    # from 1
    number: int
    # percent of the devices that are through when it is
    percent: int
    total: int
    counts: Mapping[UpdateState, int]
    # so many must succeed before the next one begins
    needed: int
    begun: bool


@dataclass(frozen=True, kw_only=True)
class FailureGroup:
    """Devices that failed for the same reason."""

    code: str
    # in short, and what to do
    title: str
    remedy: str
    devices: int
    # of the newest of them
    reason: str
    example: str


@dataclass(frozen=True, kw_only=True)
class CampaignView:
    """What a campaign is doing. Updates that were retried are not counted; every state is in `counts`, also with 0."""

    campaign: Campaign
    status: RolloutStatus
    # in words, "" where it simply goes on; until when, where that is known
    waits: str
    until: datetime | None
    total: int
    counts: Mapping[UpdateState, int]
    ended: int
    # of those that have ended, in whole percent, rounded down: 100 means all
    percent: int
    # updates that take one of the campaign's places
    under_way: int
    # open ones whose device is away or asleep
    away: int
    phases: list[PhaseView]
    # of the first and the last update so far
    began_at: datetime | None
    ended_at: datetime | None
    # for the devices that are there; None where nothing tells yet, or it waits for something else
    seconds_left: float | None
    # devices that were chosen, but that the image does not fit
    left_out: list[LeftOut]


def rollout_of(*, campaign: Campaign) -> Rollout:
    """The campaign as `backend.firmware.rollout` judges it."""
    window = None
    if campaign.window_from is not None and campaign.window_to is not None:
        window = Window(opens=campaign.window_from, closes=campaign.window_to, zone=ZoneInfo(campaign.zone))
    return Rollout(
        phases=campaign.phases,
        concurrency=campaign.concurrency,
        success_threshold=campaign.success_threshold,
        error_threshold=campaign.error_threshold,
        phase=campaign.phase,
        standing=campaign.standing,
        start_at=campaign.start_at,
        window=window,
        paused=campaign.paused_at is not None,
        stopped=campaign.stopped_at is not None,
        cancelled=campaign.cancelled_at is not None,
    )


@dataclass(frozen=True, kw_only=True)
class Counted:
    """A campaign's updates, counted by phase."""

    phases: list[PhaseCounts]
    states: list[dict[UpdateState, int]]
    # let in, but the device went away before anything was asked of it
    lapsed: int
    # the first of those that were not let in is given up then
    give_up_at: datetime | None
    began_at: datetime | None
    ended_at: datetime | None


def campaigns_counted(*, campaigns: Sequence[Campaign]) -> dict[int, Counted]:
    """How far the campaigns' devices have come, by the campaign's id; one query."""
    rows = (
        FirmwareUpdate.objects.filter(campaign__in=[one.pk for one in campaigns], retried_at__isnull=True)
        .order_by()
        .values("campaign_id", "phase", "state")
        .annotate(
            number=Count("pk"),
            counting=Count("pk", filter=~Q(code=GIVEN_UP) & FRESH),
            active=Count("pk", filter=TAKES_PLACE),
            ready=Count("pk", filter=READY),
            lapsed=Count("pk", filter=LAPSED),
            give_up=Min("give_up_at", filter=NOT_LET_IN),
            began=Min("started_at"),
            ended=Max("ended_at"),
        )
    )
    of_campaign: dict[int, list[Mapping[str, Any]]] = {}
    for row in rows:
        of_campaign.setdefault(row["campaign_id"], []).append(row)
    return {one.pk: _counted(one, of_campaign.get(one.pk, [])) for one in campaigns}


def _counted(campaign: Campaign, rows: Sequence[Mapping[str, Any]]) -> Counted:
    number = len(campaign.phases)
    states: list[dict[UpdateState, int]] = [dict.fromkeys(UpdateState, 0) for _ in range(number)]
    sums = [dict.fromkeys(("succeeded", "failed", "open", "active", "ready", "away"), 0) for _ in range(number)]
    for row in rows:
        phase, state = min(row["phase"], number - 1), UpdateState(row["state"])
        states[phase][state] += row["number"]
        if state == UpdateState.SUCCEEDED:
            sums[phase]["succeeded"] += row["number"]
        elif state == UpdateState.FAILED:
            sums[phase]["failed"] += row["counting"]
        elif state in OPEN:
            sums[phase]["open"] += row["number"]
            sums[phase]["active"] += row["active"]
            sums[phase]["ready"] += row["ready"]
            sums[phase]["away"] += row["number"] - row["active"] - row["ready"]
    give_up, began, ended = (
        [row[name] for row in rows if row[name] is not None] for name in ("give_up", "began", "ended")
    )
    return Counted(
        phases=[PhaseCounts(**one) for one in sums],
        states=states,
        lapsed=sum(row["lapsed"] for row in rows),
        give_up_at=min(give_up, default=None),
        began_at=min(began, default=None),
        ended_at=max(ended, default=None),
    )


def campaign_get(*, id: int) -> Campaign:
    """One campaign with image and creator. Raises Campaign.DoesNotExist."""
    return Campaign.objects.select_related("image", "created_by").get(pk=id)


def campaign_status(*, campaign: Campaign, at: datetime | None = None) -> CampaignView:
    """What the campaign is doing, derived from its devices' updates; two queries."""
    at = at or timezone.now()
    counted = campaigns_counted(campaigns=[campaign])[campaign.pk]
    return _view(campaign, counted, at, timed=True)


def campaign_list(
    *, search: str = "", before: int | None = None, limit: int = 50, at: datetime | None = None
) -> list[CampaignView]:
    """A portion of the campaigns, newest first; two queries. `search`: words in name, image or version.

    `before`: only those with lower ids. Without `seconds_left`.
    """
    campaigns = Campaign.objects.select_related("image", "created_by").order_by("-id")
    if "\0" in search or len(search) > _LONGEST_SEARCH:
        return []
    campaigns = campaigns.filter(words_match(search, "name", "image__file_name", "image__version"))
    if before is not None:
        campaigns = campaigns.filter(pk__lt=before)
    found = list(campaigns[:limit])
    at = at or timezone.now()
    counted = campaigns_counted(campaigns=found)
    return [_view(one, counted[one.pk], at, timed=False) for one in found]


def _view(campaign: Campaign, counted: Counted, at: datetime, *, timed: bool) -> CampaignView:
    rollout = rollout_of(campaign=campaign)
    decision = decide(rollout, counted.phases, at)
    counts = {state: sum(one[state] for one in counted.states) for state in UpdateState}
    total = sum(counts.values())
    ended = sum(counts[state] for state in ENDED)
    under_way, away = (sum(getattr(one, name) for one in counted.phases) for name in ("active", "away"))
    return CampaignView(
        campaign=campaign,
        status=decision.status,
        waits=campaign.stopped_reason or decision.stop if decision.status == RolloutStatus.STOPPED else decision.waits,
        until=decision.until,
        total=total,
        counts=counts,
        ended=ended,
        percent=100 * ended // total if total else 100,
        under_way=under_way,
        away=away,
        phases=[
            PhaseView(
                number=number + 1,
                percent=percent,
                total=sum(states.values()),
                counts=states,
                needed=needed(phase.total, campaign.success_threshold),
                begun=number <= decision.phase,
            )
            for number, (percent, phase, states) in enumerate(
                zip(campaign.phases, counted.phases, counted.states, strict=True)
            )
        ],
        began_at=counted.began_at,
        ended_at=counted.ended_at if ended == total else None,
        seconds_left=_seconds_left(campaign, decision, total - ended - away) if timed else None,
        left_out=[LeftOut(**one) for one in campaign.selection.get("left_out", [])],
    )


def _seconds_left(campaign: Campaign, decision: Decision, remaining: int) -> float | None:
    """From what the newest successes took, as many at once as may be."""
    if decision.status != RolloutStatus.RUNNING or decision.waits or remaining <= 0:
        return None
    newest = FirmwareUpdate.objects.filter(
        campaign=campaign, state=UpdateState.SUCCEEDED, started_at__isnull=False
    ).order_by("-ended_at")
    taken = [
        (ended - started).total_seconds()
        for started, ended in newest.values_list("started_at", "ended_at")[:_TIMED]
        if started is not None and ended is not None
    ]
    if not taken:
        return None
    return sum(taken) / len(taken) * max(1.0, remaining / campaign.concurrency)


def campaign_updates(
    *, campaign: Campaign, states: Sequence[str] = (), code: str = "", phase: int | None = None, retried: bool = False
) -> QuerySet[FirmwareUpdate]:
    """The campaign's updates with their devices, by phase and endpoint. `retried`: also those that were retried.

    Raises ValueError on an unknown state.
    """
    unknown = [one for one in states if one not in UpdateState.values]
    if unknown:
        raise ValueError(f"there is no state {unknown[0]!r}: use one of {', '.join(UpdateState.values)}")
    updates = FirmwareUpdate.objects.filter(campaign=campaign).select_related("device", "image")
    if not retried:
        updates = updates.filter(retried_at__isnull=True)
    if states:
        updates = updates.filter(state__in=states)
    if code:
        updates = updates.filter(code=code)
    if phase is not None:
        updates = updates.filter(phase=phase)
    return updates.order_by("phase", "device__endpoint")


def campaign_failures(*, campaign: Campaign) -> list[FailureGroup]:
    """The campaign's failed devices by the reason's code, most frequent first; two queries."""
    failed = FirmwareUpdate.objects.filter(campaign=campaign, state=UpdateState.FAILED, retried_at__isnull=True)
    groups = list(failed.order_by().values("code").annotate(devices=Count("pk"), newest=Max("pk")))
    newest = FirmwareUpdate.objects.select_related("device").in_bulk([group["newest"] for group in groups])
    return [
        FailureGroup(
            code=group["code"],
            title=ENDINGS[group["code"]].title if group["code"] in ENDINGS else group["code"],
            remedy=ENDINGS[group["code"]].remedy if group["code"] in ENDINGS else "",
            devices=group["devices"],
            reason=newest[group["newest"]].reason,
            example=newest[group["newest"]].device.endpoint,
        )
        for group in sorted(groups, key=lambda group: (-group["devices"], group["code"]))
        if group["newest"] in newest
    ]


def campaigns_stopped() -> list[Campaign]:
    """Those that stopped by themselves with devices left, for somebody to look at."""
    waiting = Q(updates__state__in=OPEN, updates__retried_at__isnull=True)
    stopped = Campaign.objects.filter(stopped_at__isnull=False, cancelled_at__isnull=True)
    return list(stopped.filter(waiting).distinct().order_by("-stopped_at"))
