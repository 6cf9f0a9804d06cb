"""Reading log lines.

Times are microseconds since 1970 (UTC) where a parameter or field says so, else aware datetimes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max, Q, QuerySet

from backend.devices.models import Device
from backend.devices.selectors import time_of
from backend.logs import arrivals, search
from backend.logs.filters import Cursor, LineFilter
from backend.logs.models import Line, Loss, Module, Severity, Usage

__all__ = [
    "Cursor",
    "LineFilter",
    "LineNews",
    "LinePage",
    "LineView",
    "LossView",
    "UsageView",
    "lines_iter",
    "lines_page",
    "lines_since",
    "losses_list",
    "modules_list",
    "stream_iter",
    "usage_of",
]

# lines that `lines_iter` looks at in one go, and fetches at once
WINDOW = 20_000
PORTION = 500


@dataclass(frozen=True, kw_only=True)
class LineView:
    """One line as people want to see it."""

    id: int
    # the endpoint name
    device: str
    time: datetime
    received: datetime
    # milliseconds since the boot; None for what could not be read, as are boot_id and sequence
    uptime: int | None
    boot_id: int | None
    sequence: int | None
    severity: Severity
    module: str
    text: str
    # why it could not be read; "" for all others
    problem: str
    # `time`, exact
    time_us: int

    @property
    def cursor(self) -> Cursor:
        """Its place in the stream."""
        return Cursor(self.time_us, self.id)


@dataclass(frozen=True, kw_only=True)
class LossView:
    """Lines that are not there."""

    id: int
    device: str
    boot_id: int
    # line numbers, both included
    first: int
    last: int
    reason: str
    # how many of them the device itself gave up
    given_up: int
    # the times of the line before them (None: there is none) and of the line after them
    since: datetime | None
    time: datetime
    time_us: int
    # what happened, in one sentence
    text: str

    @property
    def count(self) -> int:
        """How many lines."""
        return self.last - self.first + 1


@dataclass(frozen=True, kw_only=True)
class LinePage:
    """A portion of the stream, newest first."""

    lines: list[LineView]
    # newest first; each stands right below (before, in time) the first line that is not older than it
    losses: list[LossView]
    # how many more losses there are in this stretch
    more_losses: int
    # go on with before=older until it is None
    older: Cursor | None
    # go on with after=newer; None where there is no line at all
    newer: Cursor | None
    # no line is newer than these
    newest: bool


@dataclass(frozen=True, kw_only=True)
class UsageView:
    """What a device's lines cost."""

    lines: int
    # of text
    bytes: int
    # lines that came and were not kept
    cut: int


def lines_page(
    *,
    filter: LineFilter,
    before: Cursor | None = None,
    after: Cursor | None = None,
    around: int | None = None,
    limit: int = 200,
) -> LinePage:
    """Lines, newest first: the newest, those older than `before`, newer than `after`, or about the time `around` (µs).

    With `after` the lines that follow it come, not the newest of all. `before`, `after`, `around`: one at most.
    """
    if around is not None:
        # a time's own lines count as newer, so that what led to it is above the middle
        middle = Cursor(around, 0)
        newer = search.keys_newer(filter=filter, after=middle, limit=limit - limit // 2 + 1, inclusive=True)
        older = search.keys_older(filter=filter, before=middle, limit=limit // 2 + 1)
        more_newer, more_older = len(newer) > limit - limit // 2, len(older) > limit // 2
        keys = newer[: limit - limit // 2][::-1] + older[: limit // 2]
    elif after is not None:
        newer = search.keys_newer(filter=filter, after=after, limit=limit + 1)
        more_newer, more_older = len(newer) > limit, True
        keys = newer[:limit][::-1]
    else:
        older = search.keys_older(filter=filter, before=before, limit=limit + 1)
        more_newer, more_older = before is not None, len(older) > limit
        keys = older[:limit]
    low = keys[-1].time if keys and (more_older or after is not None) else None
    high = keys[0].time if keys and more_newer else None
    if after is not None:
        low = after.time
    if before is not None:
        high = before.time - 1
    losses, more_losses = _losses(filter, low=low, high=high, limit=limit)
    oldest = keys[-1] if keys else after
    return LinePage(
        lines=_lines(keys),
        losses=losses,
        more_losses=more_losses,
        older=oldest if more_older else None,
        newer=keys[0] if keys else (after or before),
        newest=not more_newer,
    )


def _lines(keys: Sequence[Cursor]) -> list[LineView]:
    """The lines of these keys, in their order; those that were deleted meanwhile are left out."""
    found = {
        line.pk: line
        for line in Line.objects.filter(id__in=[key.id for key in keys]).select_related("boot").defer("boot__device")
    }
    names = dict(
        Device.objects.filter(id__in={line.device_id for line in found.values()}).values_list("id", "endpoint")
    )
    return [_view(found[key.id], names[found[key.id].device_id]) for key in keys if key.id in found]


def _view(line: Line, endpoint: str) -> LineView:
    return LineView(
        id=line.pk,
        device=endpoint,
        time=time_of(line.time),
        received=time_of(line.received),
        uptime=line.uptime,
        boot_id=line.boot.boot_id if line.boot else None,
        sequence=line.sequence,
        severity=Severity(line.severity),
        module=line.module,
        text=line.text,
        problem=line.problem,
        time_us=line.time,
    )


def _losses(filter: LineFilter, *, low: int | None, high: int | None, limit: int) -> tuple[list[LossView], int]:
    """The newest `limit` losses of low <= time <= high, newest first, and how many more there are.

    None in a search: nobody can say whether the word was in them.
    """
    if filter.search or filter.empty:
        return [], 0
    rows = _loss_rows(filter).order_by("-time", "-first")
    if low is not None:
        rows = rows.filter(time__gte=low)
    if high is not None:
        rows = rows.filter(time__lte=high)
    found = list(rows[: limit + 1])
    more = rows.count() - limit if len(found) > limit else 0
    return [_loss_view(loss) for loss in found[:limit]], max(more, 0)


def _loss_rows(filter: LineFilter) -> QuerySet[Loss]:
    rows = Loss.objects.select_related("boot", "device")
    if filter.devices is not None:
        rows = rows.filter(device_id__in=filter.devices)
    if filter.start is not None:
        rows = rows.filter(time__gte=filter.start)
    if filter.end is not None:
        rows = rows.filter(time__lt=filter.end)
    return rows


def _loss_view(loss: Loss) -> LossView:
    count = loss.last - loss.first + 1
    given_up = min(count, max(0, loss.lost_after - loss.lost_before)) if loss.reason in _UNKEPT else 0
    what = "1 line" if count == 1 else f"{count:,} lines"
    if loss.reason == Loss.Reason.MISSING and given_up:
        text = f"{what} lost: {given_up:,} given up by the device, {count - given_up:,} never arrived"
    else:
        text = f"{what} {Loss.Reason(loss.reason).label}"
    return LossView(
        id=loss.pk,
        device=loss.device.endpoint,
        boot_id=loss.boot.boot_id,
        first=loss.first,
        last=loss.last,
        reason=loss.reason,
        given_up=given_up,
        since=None if loss.since is None else time_of(loss.since),
        time=time_of(loss.time),
        time_us=loss.time,
        text=text,
    )


_UNKEPT = {Loss.Reason.DEVICE.value, Loss.Reason.MISSING.value}


def modules_list(*, devices: Sequence[int] | None = None) -> list[str]:
    """The names of modules that lines come or came from, in order; of all devices where `devices` is None."""
    rows = Module.objects.all() if devices is None else Module.objects.filter(device_id__in=devices)
    return sorted(rows.values_list("name", flat=True).distinct())


def lines_iter(*, filter: LineFilter, portion: int = WINDOW) -> Iterator[LineView]:
    """All lines of a filter, oldest first, in constant memory. What arrives meanwhile behind it is not seen."""
    after: Cursor | None = None
    while True:
        keys, after = search.window_newer(filter=filter, after=after, window=portion)
        for start in range(0, len(keys), PORTION):
            yield from _lines(keys[start : start + PORTION])
        if after is None:
            return


def stream_iter(*, filter: LineFilter) -> Iterator[LineView | LossView]:
    """Lines and losses, oldest first, in constant memory: a loss stands before the lines that are not older than it."""
    losses = _losses_iter(filter)
    loss = next(losses, None)
    for line in lines_iter(filter=filter):
        while loss is not None and loss.time_us <= line.time_us:
            yield loss
            loss = next(losses, None)
        yield line
    while loss is not None:
        yield loss
        loss = next(losses, None)


def _losses_iter(filter: LineFilter) -> Iterator[LossView]:
    """All losses of a filter, oldest first, a portion a query: an open one would keep the database from tidying up."""
    if filter.search or filter.empty:
        return
    rows = _loss_rows(filter).order_by("time", "id")
    after = Q()
    while True:
        part = list(rows.filter(after)[:PORTION])
        yield from map(_loss_view, part)
        if len(part) < PORTION:
            return
        after = Q(time=part[-1].time, id__gt=part[-1].pk) | Q(time__gt=part[-1].time)


def usage_of(*, device: Device) -> UsageView:
    """What this device's lines cost; zeros where there are none."""
    row = Usage.objects.filter(device=device).first()
    if row is None:
        return UsageView(lines=0, bytes=0, cut=0)
    return UsageView(lines=row.lines, bytes=row.bytes, cut=row.cut)


@dataclass(frozen=True, kw_only=True)
class LineNews:
    """What was stored since a line, oldest time first; `last`: where the next look begins."""

    lines: list[LineView]
    last: int
    # more was stored than was looked at
    more: bool


def lines_since(*, filter: LineFilter, since: int | None, limit: int = PORTION) -> LineNews:
    """Lines that were stored after the line with the number `since`, whatever time they stand at: late ones too.

    Among the next `limit` lines of all devices. `since` None: nothing but where to begin.
    """
    if since is None:
        return LineNews(lines=[], last=Line.objects.aggregate(last=Max("id"))["last"] or 0, more=False)
    keys, last, more = arrivals.keys_since(filter=filter, since=since, limit=limit)
    return LineNews(lines=_lines(keys), last=last, more=more)


def losses_list(*, filter: LineFilter, low: int, limit: int = 500) -> list[LossView]:
    """The newest losses from the time `low` (µs) on, newest first."""
    return _losses(filter, low=low, high=None, limit=limit)[0]
