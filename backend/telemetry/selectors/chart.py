"""What a chart shows of a series: at the finest level that stays within so many points, and nothing missing.

An hour that is not stale is read from its rollups, a stale one from its samples (backend.telemetry.models.StaleHour);
so the answer is right at any moment, however far behind the rollups are.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

from backend.telemetry import gaps, reading, rollups
from backend.telemetry.buckets import DAY, HOUR, MINUTE, Span, ceil, divided, floor, joined, width_for
from backend.telemetry.models import Level
from backend.telemetry.reading import SCALE, Extent
from backend.telemetry.selectors.gaps import Gap, GapReasons
from backend.telemetry.selectors.series import SeriesView

# samples that are no numbers: so many are told, the others counted
MAX_OTHERS = 200
# rows that may be read for one chart; where it takes more, the series that take most become coarser
MAX_ROWS = 60_000
# times that tell how often a series has samples, where the range has few
RECENT = 100
# times beyond (146,000 years from 1970) are not looked at: nothing overflows on the way
FAR = 2**62

# start in microseconds, smallest, largest, mean, how many numbers
Bucket = tuple[int, float, float, float, int]
LEVELS = ((MINUTE, "buckets"), (HOUR, "minute"), (DAY, "hour"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Of all numbers in the range."""

    count: int
    min: float
    max: float
    mean: float
    first: float | None
    last: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One series in a range. Times in microseconds."""

    series: SeriesView
    # samples, buckets (computed from samples), minute, hour, day
    level: str
    width: int | None
    # of level "samples": numbers only
    points: list[tuple[int, float]] = field(default_factory=list)
    # of the other levels: those with at least one number
    buckets: list[Bucket] = field(default_factory=list)
    # the first samples that are no (finite) numbers, and how many there are
    other: list[tuple[int, str]] = field(default_factory=list)
    others: int = 0
    gaps: list[Gap] = field(default_factory=list)
    stats: Stats | None = None


class _Read:
    """One series cut into buckets of one width."""

    def __init__(self, series_id: int, span: Span, base: int, width: int) -> None:
        self.series_id = series_id
        self.span = span
        self.width = width
        self.base = base
        self._parts: list[reading.Part] = []

    def run(self) -> list[reading.Part]:
        """Reads what lies in the span: one part a place, in order."""
        start, end = self.span
        stale = reading.stale_hours(self.series_id, start, end)
        spans = [self.span]
        if self.width >= DAY:
            spans = self._rollups(spans, DAY, Level.DAY, [floor(hour * HOUR, DAY) for hour in stale])
        if self.width >= HOUR:
            spans = self._rollups(spans, HOUR, Level.HOUR, [hour * HOUR for hour in stale])
        self._fine(spans, stale)
        return _together(sorted(self._parts, key=itemgetter(0)))

    def _rollups(self, spans: list[Span], unit: int, level: Level, stale: Iterable[int]) -> list[Span]:
        """Takes whole days or hours that are not stale from their rollups; what is left is for a finer level."""
        whole: list[Span] = []
        rest: list[Span] = []
        for start, end in spans:
            since, until = ceil(start, unit), floor(end, unit)
            if since < until:
                whole.append((since, until))
                rest += [(start, since), (until, end)]
            else:
                rest.append((start, end))
        fresh, old = divided(whole, joined((start, start + unit) for start in stale))
        if fresh:
            self._parts += reading.parts_of_rollups(self.series_id, level, fresh, self.base, self.width)
        return joined([*rest, *old])

    def _fine(self, spans: list[Span], stale: Sequence[int]) -> None:
        """Minutes, samples, and what is left of hours whose samples are gone."""
        if not spans:
            return
        around = joined((floor(start, HOUR), end) for start, end in spans)
        rows = {row[0]: row for row in reading.hour_rows(self.series_id, around)}
        stale_hours = set(stale)
        hours = sorted({hour * HOUR for hour in stale} | rows.keys())
        samples: list[Span] = []
        minutes: list[Span] = []
        for start, end in spans:
            for hour in hours[bisect_left(hours, floor(start, HOUR)) : bisect_left(hours, end)]:
                self._hour(hour, max(hour, start), min(hour + HOUR, end), rows, stale_hours, samples, minutes)
        if samples:
            self._parts += reading.parts_of_samples(self.series_id, joined(samples), self.base, self.width)
        if minutes:
            self._parts += reading.parts_of_rollups(
                self.series_id, Level.MINUTE, joined(minutes), self.base, self.width
            )

    def _hour(
        self,
        hour: int,
        start: int,
        end: int,
        rows: dict[int, reading.HourRow],
        stale: set[int],
        samples: list[Span],
        minutes: list[Span],
    ) -> None:
        """Where the hour's part from start to end is to be read."""
        row = rows.get(hour)
        _, count, others, low, high, mean, kept_since, has_minutes = row or (hour, 0, 0, None, None, None, 0, None)
        is_stale = hour // HOUR in stale
        if kept_since is None:
            # what is gone cannot be cut: it belongs to where it begins
            if has_minutes:
                minutes.append((ceil(start, MINUTE), end))
            elif start == hour:
                total = None if mean is None else mean * SCALE * count
                self._parts.append(((hour - self.base) // self.width, count, others, low, high, total))
            if is_stale:
                samples.append((start, end))
        elif is_stale or not has_minutes or self.width < MINUTE:
            samples.append((start, end))
        else:
            since, until = ceil(start, MINUTE), floor(end, MINUTE)
            if since >= until:
                samples.append((start, end))
            else:
                minutes.append((since, until))
                samples += [(start, since), (until, end)]


def _together(parts: Sequence[reading.Part]) -> list[reading.Part]:
    """Parts in order; those of one place as one. Nearly always there is one."""
    found: list[reading.Part] = []
    last = None
    for part in parts:
        if part[0] != last:
            found.append(part)
            last = part[0]
        elif found[-1][1] and part[1]:
            place, count, others, low, high, total = found[-1]
            _, more, more_others, lower, higher, more_total = part
            found[-1] = (
                place,
                count + more,
                others + more_others,
                min(low, lower),
                max(high, higher),
                total + more_total,
            )
        else:
            # one of them has no numbers
            filled, other = (part, found[-1]) if part[1] else (found[-1], part)
            found[-1] = (filled[0], filled[1], filled[2] + other[2], *filled[3:])
    return found


def _between(low: float, mean: float, high: float) -> float:
    return low if mean < low else high if mean > high else mean


def _level(width: int) -> str:
    return next((name for limit, name in LEVELS if width < limit), "day")


def _samples(view: SeriesView, span: Span) -> tuple[Chart, list[int]]:
    """Also the times of all samples."""
    rows = reading.samples_rows(view.id, *span)
    points = [(time, number) for time, number, _ in rows if number is not None]
    other = [(time, text or "") for time, number, text in rows if number is None]
    stats = None
    if points:
        numbers = [number for _, number in points]
        low, high = min(numbers), max(numbers)
        stats = Stats(
            count=len(numbers),
            min=low,
            max=high,
            mean=rollups.mean(numbers, low, high),
            first=numbers[0],
            last=numbers[-1],
        )
    chart = Chart(
        series=view,
        level="samples",
        width=None,
        points=points,
        other=other[:MAX_OTHERS],
        others=len(other),
        stats=stats,
    )
    return chart, [time for time, _, _ in rows]


@dataclass(slots=True)
class _Plan:
    """How a series is to be read. `width` None: its samples as they are; `extent.first` None: there is nothing."""

    view: SeriesView
    extent: Extent
    width: int | None = None
    # hours begin in it whose samples are gone
    gone: bool = False

    @property
    def span(self) -> Span:
        assert self.extent.first is not None
        assert self.extent.end is not None
        return self.extent.first, self.extent.end

    def rows(self) -> int:
        """How many rows that takes, as far as the rollups know."""
        if self.width is None or self.width >= HOUR:
            return 0
        samples, minutes = reading.weight(self.view.id, floor(self.span[0], HOUR), self.span[1])
        return samples if self.width < MINUTE else minutes


def _bucketed(plan: _Plan, width: int) -> tuple[Chart, list[int], list[int]]:
    """Also the starts of all buckets with anything in them, and how many samples that is."""
    view, span = plan.view, plan.span
    base = floor(span[0], width)
    parts = [part for part in _Read(view.id, span, base, width).run() if part[1] or part[2]]
    buckets: list[Bucket] = [
        (base + place * width, low, high, _between(low, total / count / SCALE, high), count)
        for place, count, _, low, high, total in parts
        if count
    ]
    others = sum(part[2] for part in parts)
    stats = None
    if buckets:
        count = sum(part[1] for part in parts)
        low, high = min(bucket[1] for bucket in buckets), max(bucket[2] for bucket in buckets)
        total = sum(part[5] for part in parts if part[1])
        stats = Stats(
            count=count,
            min=low,
            max=high,
            mean=_between(low, total / count / SCALE, high),
            first=_edge(plan, buckets[0][0], width, newest=False),
            last=_edge(plan, buckets[-1][0], width, newest=True),
        )
    chart = Chart(
        series=view,
        level=_level(width),
        width=width,
        buckets=buckets,
        other=_others(view.id, span) if others else [],
        others=others,
        stats=stats,
    )
    return chart, [base + part[0] * width for part in parts], [part[1] + part[2] for part in parts]


def _edge(plan: _Plan, start: int, width: int, *, newest: bool) -> float | None:
    since, until = plan.span
    return reading.number_at(plan.view.id, max(since, start), min(until, start + width), newest=newest, gone=plan.gone)


def _others(series_id: int, span: Span) -> list[tuple[int, str]]:
    """The first samples that are no numbers, from the hours that have such."""
    start, end = span
    hours = reading.hours_with_others(series_id, floor(start, HOUR), end, MAX_OTHERS)
    hours += [hour * HOUR for hour in reading.stale_hours(series_id, start, end)]
    spans = joined((max(hour, start), min(hour + HOUR, end)) for hour in hours)
    rows = sorted(reading.others_rows(series_id, spans, MAX_OTHERS), key=lambda row: row[0])
    return [(time, text or "") for time, text in rows]


def _plan(view: SeriesView, start: int, end: int, points: int) -> _Plan:
    plan = _Plan(view, reading.extent(view.id, start, end))
    if plan.extent.first is None:
        return plan
    span = plan.span
    plan.gone = plan.extent.minutes_only or reading.samples_are_gone(view.id, *span)
    if plan.gone or reading.samples_exceed(view.id, *span, points):
        plan.width = width_for(*span, points)
    return plan


def _lighten(plans: Sequence[_Plan], points: int) -> None:
    """Makes the series coarser that take most rows, until all of them together take few enough."""
    weights = {id(plan): plan.rows() for plan in plans if plan.extent.first is not None}
    while sum(weights.values()) > MAX_ROWS:
        heaviest = max(plans, key=lambda plan: weights.get(id(plan), 0))
        assert heaviest.width is not None
        coarser = MINUTE if heaviest.width < MINUTE else HOUR
        heaviest.width = width_for(*heaviest.span, points, at_least=coarser)
        weights[id(heaviest)] = heaviest.rows()


def _holes(plan: _Plan, starts: Sequence[int], counts: Sequence[int], within: Span, now: int) -> list[Span]:
    """Holes between what there is and what comes before and after it, as far as they lie within the range."""
    length = plan.width or 0
    longest = gaps.longest_usual_of_buckets(starts, counts, length) if length else gaps.longest_usual(starts)
    if longest is None or len(starts) < RECENT // 4:
        # few values: what is usual, the time before tells, too
        recent = gaps.longest_usual(reading.times_before(plan.view.id, within[1], RECENT))
        longest = max((one for one in (longest, recent) if one is not None), default=None)
    if longest is None:
        return []
    found = gaps.holes(starts, length=length, longest=longest)
    before, first, end = plan.extent.before, plan.extent.first, plan.extent.end
    # nothing comes next: the time until now counts
    after = now if plan.extent.after is None else plan.extent.after
    around = []
    if first is None or end is None:
        if before is not None:
            around.append((before, after))
    else:
        if before is not None:
            around.append((before, first))
        around.append((end - 1, after))
    found += [(since, until) for since, until in around if until - since > longest]
    start, until = within[0], min(within[1], now)
    cut = [(max(since, start), min(later, until)) for since, later in found]
    return sorted((since, later) for since, later in cut if since < later)


def charts(*, series: Sequence[SeriesView], start: int, end: int, points: int, now: int) -> list[Chart]:
    """What charts of these series show of start <= time < end (microseconds), in at most `points` (2 or more) points.

    Samples where there are few enough of them, else buckets: each tells of the samples between its start (or the
    range's) and its end. Of a minute, or an hour, whose samples are gone by retention, all counts where it begins.
    Widths grow with what lies in the range, not with the range. A number of queries that does not grow with the range.
    """
    start, end = max(start, -FAR), min(end, FAR)
    if end <= start:
        return [Chart(series=view, level="samples", width=None) for view in series]
    made: list[Chart] = []
    reasons = GapReasons()
    with reading.snapshot():
        plans = [_plan(view, start, end, points) for view in series]
        _lighten(plans, points)
        for plan in plans:
            counts: list[int] = []
            if plan.extent.first is None:
                chart, starts = Chart(series=plan.view, level="samples", width=None), list[int]()
            elif plan.width is None:
                chart, starts = _samples(plan.view, plan.span)
            else:
                chart, starts, counts = _bucketed(plan, plan.width)
            reasons.add(plan.view, _holes(plan, starts, counts, (start, end), now))
            made.append(chart)
        told = reasons.tell()
    return [
        Chart(
            **{name: getattr(chart, name) for name in Chart.__slots__ if name != "gaps"},
            gaps=told.get(chart.series.id, []),
        )
        for chart in made
    ]
