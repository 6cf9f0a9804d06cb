"""Reads of series and samples, by key and in bounded portions: no query here grows with what lies outside its range."""

from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import BigIntegerField, Count, ExpressionWrapper, F, Max, Min, OuterRef, QuerySet, Subquery, Sum

from backend.devices.models import Device
from backend.devices.selectors import Names, time_of
from backend.lwm2m.paths import resource_ids
from backend.telemetry.models import Sample, Series

# microseconds, number, text: what a sample is worth (number None: only text can say it; both: the text is exact)
Point = tuple[int, float | None, str | None]
# microseconds, smallest, largest, mean
Bucket = tuple[int, float, float, float]

# a power of two changes no digit of a double, and so no sum of doubles overflows (PostgreSQL refuses to)
SCALE = 2.0**-64


@dataclass(frozen=True, kw_only=True)
class SeriesView:
    """A series with its names; `first` and `last` are the times of its oldest and newest sample (None: empty)."""

    id: int
    device: str
    path: str
    object_id: int
    object_instance_id: int
    resource_id: int
    resource_instance_id: int | None
    object_name: str
    name: str
    unit: str
    first: datetime | None
    last: datetime | None


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


def _series(device: Device | None = None) -> QuerySet[Series]:
    oldest = Sample.objects.filter(series=OuterRef("pk")).order_by("time", "seq").values("time")[:1]
    newest = Sample.objects.filter(series=OuterRef("pk")).order_by("-time", "-seq").values("time")[:1]
    series = Series.objects.annotate(first_time=Subquery(oldest), last_time=Subquery(newest))
    return series if device is None else series.filter(device=device)


def _views(device: Device, series: list[Series]) -> list[SeriesView]:
    ids = {one.pk: resource_ids(one.path) for one in series}
    names = Names(device=device, object_ids={object_id for object_id, *_ in ids.values()})
    views = []
    for one in series:
        object_id, instance_id, resource_id, resource_instance_id = ids[one.pk]
        first, last = one.first_time, one.last_time  # type: ignore[attr-defined]
        views.append(
            SeriesView(
                id=one.pk,
                device=device.endpoint,
                path=one.path,
                object_id=object_id,
                object_instance_id=instance_id,
                resource_id=resource_id,
                resource_instance_id=resource_instance_id,
                object_name=names.object_name(object_id),
                name=names.name(object_id, resource_id),
                unit=names.unit(object_id, instance_id, resource_id),
                first=None if first is None else time_of(first),
                last=None if last is None else time_of(last),
            )
        )
    views.sort(
        key=lambda view: (
            view.object_id,
            view.object_instance_id,
            view.resource_id,
            -1 if view.resource_instance_id is None else view.resource_instance_id,
        )
    )
    return views


def series_list(*, device: Device) -> list[SeriesView]:
    """All series of a device in the order of their paths. Three queries; `device` should come with its registration."""
    return _views(device, list(_series(device)))


def series_get(*, series_id: int) -> SeriesView:
    """One series. Raises Series.DoesNotExist."""
    series = _series().select_related("device", "device__registration").get(pk=series_id)
    return _views(series.device, [series])[0]


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
            total=Sum(F("number") * SCALE),
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
