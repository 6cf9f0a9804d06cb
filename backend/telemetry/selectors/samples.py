"""Reads of samples, by key and in bounded portions: no query here grows with what lies outside its range."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from django.db.models import BigIntegerField, Case, Count, ExpressionWrapper, F, Max, Min, QuerySet, Sum, When

from backend.telemetry.models import Sample
from backend.telemetry.reading import SCALE, TINY, samples_after

# microseconds, number, text: what a sample is worth (number None: only text can say it; both: the text is exact)
Point = tuple[int, float | None, str | None]
# series id, microseconds, delay in milliseconds (None: no time of the device's own), number, text
Row = tuple[int, int, int | None, float | None, str | None]
# microseconds, smallest, largest, mean
Bucket = tuple[int, float, float, float]


# samples that `samples_iter` holds at once
_PAGE = 5000


@dataclass(frozen=True, order=True)
class Cursor:
    """A place in a series: right after the sample with this time (microseconds) and seq."""

    time: int
    seq: int

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """From `str(cursor)`. Raises ValueError."""
        time, dot, seq = text.rpartition(".")
        if not (dot and text.isascii() and seq.isdecimal() and time.removeprefix("-").isdecimal()):
            raise ValueError(f"{text[:40]!r} is no cursor: use the `next` of an earlier answer")
        cursor = cls(int(time), int(seq))
        if not (-(2**63) <= cursor.time < 2**63 and cursor.seq < 2**15):
            raise ValueError(f"{text[:40]!r} is no cursor: use the `next` of an earlier answer")
        return cursor

    def __str__(self) -> str:
        """As it travels: `microseconds.seq`."""
        return f"{self.time}.{self.seq}"


@dataclass(frozen=True, kw_only=True)
class SamplePage:
    """A portion of a series, oldest first: either the samples as they are, or thinned to buckets."""

    points: list[Point] = field(default_factory=list)
    # only when thinned
    buckets: list[Bucket] = field(default_factory=list)
    aggregated: bool = False
    # there is more in the range than is here (never when thinned, except for `points`: see `samples_thinned`)
    truncated: bool = False
    # where to go on: after the last sample that this answer covers
    next: Cursor | None = None


def _range(series_id: int, start: int | None, end: int | None) -> QuerySet[Sample]:
    samples = Sample.objects.filter(series_id=series_id)
    if start is not None:
        samples = samples.filter(time__gte=start)
    if end is not None:
        samples = samples.filter(time__lt=end)
    return samples


def samples_page(
    *, series_id: int, start: int | None = None, end: int | None = None, after: Cursor | None = None, limit: int
) -> SamplePage:
    """The first `limit` samples with start <= time < end (microseconds; None: open) after the cursor, oldest first.

    One query. Going on with `next` until `truncated` is false reads every sample of the range exactly once.
    """
    samples = _range(series_id, start, end)
    if after is not None:
        samples = samples.filter(time__gte=after.time).exclude(time=after.time, seq__lte=after.seq)
    rows = list(samples.order_by("time", "seq").values_list("time", "seq", "number", "text")[: limit + 1])
    truncated = len(rows) > limit
    rows = rows[:limit]
    return SamplePage(
        points=[(time, number, text) for time, _, number, text in rows],
        truncated=truncated,
        next=Cursor(rows[-1][0], rows[-1][1]) if rows else after,
    )


def samples_thinned(*, series_id: int, start: int | None = None, end: int | None = None, max_points: int) -> SamplePage:
    """What a chart of start <= time < end needs: all samples where there are at most `max_points`, else buckets.

    Buckets are equally long, at most `max_points` in number, and together they cover the samples of the range; one
    without numbers is left out. A bucket's time is the middle of the times in it. What is no number (NaN, infinities)
    stays in `points`, up to `max_points` of them (`truncated` tells that there are more). A series without any number
    is not thinned but paged.
    """
    page = samples_page(series_id=series_id, start=start, end=end, limit=max_points)
    if not page.truncated:
        return page
    samples = _range(series_id, start, end)
    newest = samples.order_by("-time", "-seq").values_list("time", "seq")[:1].get()
    # samples that come while this reads belong to the next answer
    samples = samples.filter(time__lte=newest[0])
    oldest = page.points[0][0]
    width = (newest[0] - oldest) // max_points + 1
    place = ExpressionWrapper((F("time") - oldest) / width, output_field=BigIntegerField())
    rows = list(
        samples.annotate(place=place)
        .values("place")
        .annotate(
            since=Min("time"),
            until=Max("time"),
            low=Min("number"),
            high=Max("number"),
            total=Sum(Case(When(number__gt=-TINY, number__lt=TINY, then=0.0), default=F("number") * SCALE)),
            numbers=Count("number"),
            others=Count("series_id") - Count("number"),
        )
        .order_by("place")
        .values_list("since", "until", "low", "high", "total", "numbers", "others")
    )
    buckets = [
        ((since + until) // 2, low, high, min(high, max(low, total / numbers / SCALE)))
        for since, until, low, high, total, numbers, _ in rows
        if numbers
    ]
    if not buckets:
        return page
    points: list[Point] = []
    if any(row[-1] for row in rows):
        others = samples.filter(number__isnull=True).order_by("time", "seq")
        points = list(others.values_list("time", "number", "text")[: max_points + 1])
    return SamplePage(
        buckets=buckets,
        points=points[:max_points],
        aggregated=True,
        truncated=len(points) > max_points,
        next=Cursor(*newest),
    )


def samples_iter(*, series_ids: Iterable[int], start: int | None = None, end: int | None = None) -> Iterator[Row]:
    """All samples with start <= time < end (microseconds; None: open), series after series, each oldest first.

    In constant memory, a page of samples a query, and no transaction lasts longer than one: what is stored meanwhile
    comes with it if it is later than what has been read of its series.
    """
    for series_id in series_ids:
        # right before the first moment: no seq is below 0
        time, seq = -(2**63) if start is None else start, -1
        while True:
            rows = samples_after(series_id, time, seq, end, _PAGE)
            for time, seq, delay, number, text in rows:  # noqa: B007 - where the next page begins
                yield series_id, time, delay, number, text
            if len(rows) < _PAGE:
                break
