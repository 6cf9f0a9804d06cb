"""Old lines go, in small steps."""

import time as clock
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q

from backend.devices.models import Profile
from backend.logs import storage
from backend.logs.models import Boot, Line, Loss, Usage

# lines of one transaction: each leaves some fifty entries of the search index
PORTION = 250
# losses of a device that are kept
LOSSES = 10_000
# devices whose losses and boots are looked through in one step: that takes longer the more there are
SWEEP = 20
DAY = 86_400_000_000
MIB = 2**20


@dataclass(frozen=True)
class RetentionStep:
    """What a step did."""

    deleted: int
    # there is more to delete now
    more: bool
    # where the sweep through all devices goes on
    after: int = 0


def retention_step(*, now: int, budget: float, after: int = 0) -> RetentionStep:
    """Deletes what is older than the profiles keep, or takes more space, for about `budget` seconds.

    `now`: µs since 1970. Only one writer at a time. Age counts from the receive time where that is later. Lines that
    go for their age leave nothing behind; those that go for the space leave a loss, and are counted as cut. Give
    `after` of each step to the next one.
    """
    until = clock.monotonic() + budget
    deleted = 0
    for device_id, before, most in _due(now):
        while True:
            with transaction.atomic():
                done = _delete(device_id, before=before, most=most)
            deleted += done
            if done == 0:
                break
            if clock.monotonic() >= until:
                return RetentionStep(deleted, True, after)
    devices = Usage.objects.filter(device_id__gt=after).order_by("device_id")
    ids = list(devices.values_list("device_id", flat=True)[:SWEEP])
    while True:
        with transaction.atomic():
            done = _losses(now, ids) + _boots(now, ids)
        if done == 0:
            return RetentionStep(deleted, False, ids[-1] if len(ids) == SWEEP else 0)
        if clock.monotonic() >= until:
            return RetentionStep(deleted, True, after)


def _profiles() -> list[tuple[Q, Profile]]:
    """Each profile and which devices (of a relation `device`) have it."""
    found = []
    for profile in Profile.objects.all():
        of = Q(device__profile=profile)
        if profile.is_default:
            of |= Q(device__profile__isnull=True)
        found.append((of, profile))
    return found


def _due(now: int) -> list[tuple[int, int | None, int | None]]:
    """(device, µs before which its lines are too old or None, bytes that they may take or None): where something is."""
    due = []
    for of, profile in _profiles():
        before = None if profile.logs_days is None else now - profile.logs_days * DAY
        most = None if profile.logs_mib is None else profile.logs_mib * MIB
        much = Q() if most is None else Q(bytes__gt=most)
        old = Q() if before is None else Exists(Line.objects.filter(device_id=OuterRef("device_id"), time__lt=before))
        if much or old:
            rows = Usage.objects.filter(of, much | old, lines__gt=0).order_by("device_id")
            due += [(device_id, before, most) for device_id in rows.values_list("device_id", flat=True)]
    return due


def _delete(device_id: int, *, before: int | None, most: int | None) -> int:
    """A portion of a device's oldest lines; how many."""
    usage = Usage.objects.filter(device_id=device_id).first()
    if usage is None:
        # deleted meanwhile, with its device
        return 0
    rows = storage.lines_oldest(device_id, PORTION)
    # what comes late, or with an uptime that cannot be right, is not old when it comes
    old = [row for row in rows if before is not None and row.time < before and row.received < before]
    surplus: list[storage.OldLine] = []
    if most is not None:
        size = usage.bytes - sum(row.size for row in old)
        gone = {row.id for row in old}
        for row in rows:
            if size <= most:
                break
            if row.id not in gone:
                size -= row.size
                surplus.append(row)
    going = [*old, *surplus]
    if not going:
        return 0
    storage.lines_delete([row.id for row in going])
    usage.lines = max(0, usage.lines - len(going))
    usage.bytes = max(0, usage.bytes - sum(row.size for row in going))
    usage.cut += len(surplus)
    usage.save(update_fields=["lines", "bytes", "cut"])
    _note(device_id, surplus)
    return len(going)


def _note(device_id: int, rows: Sequence[storage.OldLine]) -> None:
    """Losses in place of lines that went for the space they took, joined to those that went before."""
    ranges: dict[int, list[tuple[int, int, int]]] = {}
    numbered = [
        (row.boot_id, row.sequence, row.time) for row in rows if row.boot_id is not None and row.sequence is not None
    ]
    for boot_id, sequence, time in sorted(numbered):
        parts = ranges.setdefault(boot_id, [])
        if parts and parts[-1][1] == sequence - 1:
            parts[-1] = parts[-1][0], sequence, time
        else:
            parts.append((sequence, sequence, time))
    space = Loss.Reason.SPACE.value
    for boot_id, parts in ranges.items():
        for first, last, time in parts:
            around = list(
                Loss.objects.filter(Q(last=first - 1) | Q(first=last + 1), boot_id=boot_id, reason=space).order_by(
                    "first"
                )
            )
            low = min([first, *(loss.first for loss in around)])
            high = max([last, *(loss.last for loss in around)])
            since = next((loss.since for loss in around if loss.first == low), None)
            Loss.objects.filter(pk__in=[loss.pk for loss in around]).delete()
            Loss.objects.create(
                device_id=device_id,
                boot_id=boot_id,
                first=low,
                last=high,
                reason=space,
                since=since,
                time=max([time, *(loss.time for loss in around)]),
            )


def _losses(now: int, device_ids: Sequence[int]) -> int:
    """A portion of losses that are as old as lines may not be, or too many of one of these devices; how many went."""
    for of, profile in _profiles():
        if profile.logs_days is not None:
            old = Loss.objects.filter(of, time__lt=now - profile.logs_days * DAY)
            if ids := list(old.values_list("id", flat=True)[:PORTION]):
                return Loss.objects.filter(id__in=ids).delete()[0]
    of_these = Loss.objects.filter(device_id__in=device_ids)
    many = of_these.values("device_id").annotate(losses=Count("id")).filter(losses__gt=LOSSES).order_by()
    for row in many:
        oldest = Loss.objects.filter(device_id=row["device_id"]).order_by("time", "id")
        ids = list(oldest.values_list("id", flat=True)[: min(PORTION, row["losses"] - LOSSES)])
        return Loss.objects.filter(id__in=ids).delete()[0]
    return 0


def _boots(now: int, device_ids: Sequence[int]) -> int:
    """A portion of these devices' boots of which nothing is left; how many went."""
    for of, profile in _profiles():
        if profile.logs_days is not None:
            before = now - max(profile.logs_days, 1) * DAY
            empty = Boot.objects.filter(
                of,
                Q(device_id__in=device_ids),
                ~Exists(Line.objects.filter(boot_id=OuterRef("id"))),
                ~Exists(Loss.objects.filter(boot_id=OuterRef("id"))),
                Q(last_time__lt=before) | Q(last_time__isnull=True, started__lt=before),
            )
            if ids := list(empty.values_list("id", flat=True)[:PORTION]):
                return Boot.objects.filter(id__in=ids).delete()[0]
    return 0
