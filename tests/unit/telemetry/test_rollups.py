"""Rollups and charts against a naive recomputation, whatever comes in whatever order."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from backend.devices.models import Device, Profile
from backend.telemetry.models import Level, Rollup, Sample, Series, StaleHour
from backend.telemetry.rollup_rows import Columns, hours_samples
from backend.telemetry.rollups import DENSE, merged, minutes, summary
from backend.telemetry.services import rollups as services
from backend.telemetry.services import rollups_step
from backend.telemetry.storage import HOUR, Marks, SampleBuffer, samples_insert
from tests.unit.telemetry.naive import DAY, MINUTE, Model, Row

pytestmark = [pytest.mark.django_db, pytest.mark.database]

# 2026-11-22 17:00 UTC
T0 = 1_795_366_800_000_000
NOW = T0 + 3 * HOUR
names = itertools.count()


def model(**days: int | None) -> Model:
    profile = Profile.objects.create(name=f"p{next(names)}", **days)
    device = Device.objects.create(endpoint=f"dev-{next(names)}", profile=profile)
    return Model(Series.objects.create(device=device, path="/3303/0/5700"))


# before 1970, at it, long ago, yesterday, some hours of today, tomorrow, the year 2038
hours = st.sampled_from([-25, -1, 0, 1, 300_000, *(T0 // HOUR + n for n in (-30, -24, -2, -1, 0, 1, 2, 30)), 596_523])
times = st.builds(
    lambda hour, minute, rest: hour * HOUR + minute * MINUTE + rest,
    hours,
    st.sampled_from([0, 1, 30, 59]),
    st.sampled_from([0, 1, 59_999_999]) | st.integers(0, MINUTE - 1),
)
numbers = st.floats(-1e300, 1e300).map(lambda number: number + 0.0) | st.sampled_from([0.0, 1.7e308, -1.7e308, 5e-324])
values = (
    numbers.map(lambda number: (number, None))
    | st.sampled_from([(None, "NaN"), (None, "Infinity"), (None, "-Infinity"), (None, ""), (None, "on")])
    | st.just((9007199254740994.0, "9007199254740993"))
)
delays = st.none() | st.sampled_from([0, -5, 1, 3_600_000, 400 * 86_400_000])
numbers_small = st.floats(-1e6, 1e6)
rows = st.builds(lambda time, value, delay: (time, *value, delay), times, values, delays)


# more samples in an hour than rollups by hour alone are made of: hour, how many, microseconds between them, first value
denses = st.tuples(hours, st.integers(DENSE - 5, DENSE + 10), st.sampled_from([1, 1_000_000, 5_900_000]), numbers_small)
steps = st.lists(
    st.lists(rows, max_size=20).map(lambda batch: ("insert", batch))
    | denses.map(lambda one: ("dense", *one))
    | st.tuples(st.just("roll"), st.sampled_from([0.0, 1.0]), st.booleans())
    | st.tuples(st.sampled_from(["retain", "age"]), st.sampled_from([0.0, 1.0]), st.integers(0, 500)),
    max_size=8,
)
ranges = st.lists(st.tuples(times, times, st.integers(2, 40)), min_size=1, max_size=2)
days = st.sampled_from([None, 0, 1, 2, 40])
ALL = (-(2**63), 2**63 - 1, 7)
# kept, gone, kept: of the last one, all samples lie after the ranges below end; the first one came late
CUT = [
    ("insert", [(T0 - 90 * HOUR, 3.0, None, 80 * 3_600_000), (T0 - 80 * HOUR, 1.0, None, None)]),
    ("insert", [(T0 + 30 * MINUTE, 2.0, None, None)]),
    ("age", 1.0, 0),
]


@settings(deadline=None, max_examples=20, derandomize=True, suppress_health_check=list(HealthCheck))
@given(steps=steps, ranges=ranges, keep=st.tuples(days, days, days))
@example(steps=CUT, ranges=[(T0 - 85 * HOUR, T0 + 10 * MINUTE, 2)], keep=(2, None, None))
@example(steps=CUT, ranges=[(T0 - 85 * HOUR, T0 + 10 * MINUTE, 60)], keep=(2, 1, None))
@example(steps=CUT, ranges=[(T0 - 95 * HOUR, T0 + 10 * MINUTE, 2)], keep=(2, 1, None))
def test_against_a_naive_recomputation(
    db: None,
    steps: Sequence[tuple[Any, ...]],
    ranges: Sequence[tuple[int, int, int]],
    keep: tuple[int | None, int | None, int | None],
) -> None:
    """Late, duplicate, out of order, before 1970 and in the future, deleted in between."""
    with transaction.atomic():
        one = model(samples_days=keep[0], minutes_days=keep[1], hours_days=None)
        now = NOW
        for what, *how in steps:
            if what == "insert":
                one.insert(how[0])
            elif what == "dense":
                hour, count, apart, value = how
                one.insert((hour * HOUR + n * apart, value + n % 7, None, None) for n in range(count))
            elif what == "roll":
                one.roll(now, budget=how[0], future=how[1])
            else:
                now += how[1] * HOUR
                if what == "age":
                    one.roll(now, future=True)
                one.retain(now, budget=how[0])
            one.check_rollups()
        for start, end, points in (*ranges, ALL):
            one.check_chart(min(start, end), max(start, end), points, now)
        # when everything is summed up, it says the same
        one.roll(now, future=True)
        one.roll(now + 400 * 366 * DAY)
        assert not StaleHour.objects.filter(series=one.series).exists()
        one.check_rollups()
        for start, end, points in (*ranges, ALL):
            one.check_chart(min(start, end), max(start, end), points, now)
        transaction.set_rollback(True)


@settings(deadline=None, max_examples=15, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    first=st.lists(rows, max_size=25),
    late=st.lists(rows, max_size=25),
    later=st.lists(rows, max_size=10),
    keep=st.tuples(days, days, days),
    sums=st.lists(st.booleans(), min_size=3, max_size=3),
)
def test_no_order_of_deletion_breaks_anything(
    db: None,
    first: list[Row],
    late: list[Row],
    later: list[Row],
    keep: tuple[int | None, int | None, int | None],
    sums: list[bool],
) -> None:
    """Also rows by hour and day go: what is left is whole days, and charts say what is left."""
    with transaction.atomic():
        one = model(samples_days=keep[0], minutes_days=keep[1], hours_days=keep[2])
        for number, batch in enumerate((first, late, later)):
            one.insert(batch)
            if sums[number]:
                one.roll(NOW, future=True)
            one.retain(NOW + number * 20 * DAY)
        hours = set(Rollup.objects.filter(series=one.series, level=Level.HOUR).values_list("start", flat=True))
        rest = set(Rollup.objects.filter(series=one.series).exclude(level=Level.HOUR).values_list("level", "start"))
        assert {start for level, start in rest if level == Level.DAY} == {start // DAY * DAY for start in hours}
        assert {start // HOUR * HOUR for level, start in rest if level == Level.MINUTE} <= hours
        found = one.chart(-(2**63), 2**63 - 1, 5, NOW)
        rows_of_hours = Rollup.objects.filter(series=one.series, level=Level.HOUR)
        stale = set(StaleHour.objects.filter(series=one.series).values_list("hour", flat=True))
        told = (
            sum(row.count for row in rows_of_hours if row.kept_since is None or row.start // HOUR not in stale)
            + Sample.objects.filter(
                series=one.series, number__isnull=False, time__in=[t for t, *_ in one.present if t // HOUR in stale]
            ).count()
        )
        assert (found.stats.count if found.stats else 0) == told
        transaction.set_rollback(True)


def test_an_hour_is_summed_up_when_it_is_over() -> None:
    one = model()
    hour = T0 // HOUR
    one.insert([(T0 + n * MINUTE, float(n), None, None) for n in range(60)])
    assert one.marks.known == {(one.series.pk, hour)}
    for too_early in (T0, T0 + HOUR, T0 + HOUR + 30_000_000 - 1):
        assert not rollups_step(now=too_early, budget=1).done
    step = rollups_step(now=T0 + HOUR + 30_000_000, budget=1)
    assert step.done == {(one.series.pk, hour)}
    assert not step.more
    rows = list(Rollup.objects.filter(series=one.series).order_by("level").values_list("level", "start", "kept_since"))
    assert rows == [(Level.HOUR, T0, T0 + HOUR), (Level.DAY, T0 // DAY * DAY, None)]
    found = Rollup.objects.get(series=one.series, level=Level.HOUR)
    assert (found.count, found.minimum, found.maximum, found.mean, found.first, found.last, found.minutes) == (
        # the first one is the minimum
        (60, 0.0, 59.0, 29.5, None, 59.0, False)
    )


def test_marks_are_made_once_and_again_after_they_are_taken_away() -> None:
    one = model()
    key = (one.series.pk, T0 // HOUR)
    buffer = SampleBuffer()
    buffer.add(one.series.pk, T0, 1.0, None, None)
    samples_insert(buffer, one.marks)
    assert (one.marks.fresh, one.marks.known) == ({key}, set())
    one.marks.rolled_back()
    assert (one.marks.fresh, one.marks.known) == (set(), set())
    one.marks.known.add(key)
    StaleHour.objects.all().delete()
    more = SampleBuffer()
    more.add(one.series.pk, T0 + 1, 1.0, None, None)
    samples_insert(more, one.marks)
    assert not StaleHour.objects.exists()
    one.marks.forget([key])
    last = SampleBuffer()
    last.add(one.series.pk, T0 + 2, 1.0, None, None)
    samples_insert(last, one.marks)
    assert StaleHour.objects.count() == 1
    one.marks.committed()
    assert one.marks.known == {key}
    # a duplicate changes no hour
    StaleHour.objects.all().delete()
    one.marks.clear()
    samples_insert(last, one.marks)
    assert not StaleHour.objects.exists()
    assert samples_insert(SampleBuffer(), Marks()) == 0


def test_hours_of_a_clock_that_runs_ahead_are_taken_when_asked_for() -> None:
    one = model()
    one.insert([(NOW + 100 * DAY, 1.0, None, None), (NOW, 2.0, None, None)])
    assert not rollups_step(now=NOW, budget=1).done
    step = rollups_step(now=NOW, budget=1, future=True)
    assert step.done == {(one.series.pk, (NOW + 100 * DAY) // HOUR)}
    one.check_rollups()


def test_a_step_ends_in_time_and_the_next_goes_on() -> None:
    one = model()
    one.insert([(T0 - n * HOUR, float(n), None, None) for n in range(1000)])
    steps = 0
    more = True
    while more:
        step = rollups_step(now=NOW, budget=0)
        assert len(step.done) == 1
        one.marks.forget(step.done)
        more, steps = step.more, steps + 1
        if steps == 20:
            one.check_rollups()
            break
    one.roll(NOW)
    one.check_rollups()
    assert not one.marks.known


@pytest.mark.parametrize("of_an_hour", [1, 40, 99, 100, 101, 250])
def test_a_dense_stretch_after_a_sparse_one_is_read_in_portions(
    monkeypatch: pytest.MonkeyPatch, of_an_hour: int
) -> None:
    monkeypatch.setattr(services, "_SAMPLES", 50)
    sizes: list[int] = []

    def read(series_id: int, first: int, last: int, limit: int | None = None) -> Columns:
        columns = hours_samples(series_id, first, last, limit)
        sizes.append(len(columns[0]))
        return columns

    monkeypatch.setattr(services, "hours_samples", read)
    one = model()
    one.insert([(T0 - 31 * HOUR, 0.0, None, None)])
    one.insert(
        [(T0 - n * HOUR + k * 10_000_000, float(k), None, None) for n in range(1, 31) for k in range(of_an_hour)]
    )
    one.roll(NOW)
    one.check_rollups()
    assert max(sizes) <= max(100, of_an_hour)


def test_what_comes_late_into_a_deleted_hour_is_merged() -> None:
    one = model(samples_days=1, minutes_days=None, hours_days=None)
    one.insert([(T0 + n * 1_000_000, float(n), None, None) for n in range(700)])
    one.roll(NOW)
    one.retain(NOW + 3 * DAY)
    assert not one.present
    assert len(one.gone) == 700
    one.insert([(T0 + 2, -5.0, None, 1), (T0 + 30 * MINUTE, 1e6, None, 1), (T0 + 5, None, "NaN", 1)])
    # before it is summed up, too
    assert one.check_chart(T0, T0 + HOUR, 100, NOW).others == 1
    one.roll(NOW + 3 * DAY)
    assert not one.present
    one.check_rollups()
    row = Rollup.objects.get(series=one.series, level=Level.HOUR)
    assert (row.count, row.others, row.minimum, row.maximum, row.kept_since) == (702, 1, -5.0, 1e6, None)
    found = one.check_chart(T0, T0 + HOUR, 100, NOW)
    assert (found.level, found.stats and found.stats.count, found.others) == ("minute", 702, 1)


def test_what_comes_later_in_the_hour_of_a_range_s_begin_is_not_before_it() -> None:
    """Else the chart of a device's first hour would begin with a gap."""
    one = model()
    one.insert([(T0 + 40 * MINUTE + n * 1_000_000, float(n), None, None) for n in range(30)])
    one.roll(NOW)
    assert one.check_chart(T0 + MINUTE, T0 + 41 * MINUTE, 100, T0 + 41 * MINUTE - 30_000_000).gaps == []


def test_retention_counts_from_when_a_sample_came() -> None:
    one = model(samples_days=1, minutes_days=0, hours_days=None)
    month = 30 * 86_400_000
    one.insert([(T0, 1.0, None, month), (T0 + 2 * HOUR, 2.0, None, None)])
    one.roll(T0 + 30 * DAY)
    one.retain(T0 + 30 * DAY + 12 * HOUR)
    assert {number for _, number, _ in one.present} == {1.0}
    one.retain(T0 + 31 * DAY + 1)
    assert not one.present
    assert not Rollup.objects.filter(series=one.series, level=Level.MINUTE).exists()
    one.check_rollups()


def test_rows_by_minute_outlive_their_samples_where_the_profile_says_so() -> None:
    one = model(samples_days=1, minutes_days=10, hours_days=20)
    one.insert([(T0 + n * 10 * MINUTE, float(n), None, None) for n in range(6)])
    one.roll(NOW)
    assert not Rollup.objects.filter(level=Level.MINUTE).exists()
    one.retain(T0 + 3 * DAY)
    assert Rollup.objects.filter(level=Level.MINUTE).count() == 6
    one.check_rollups()
    found = one.check_chart(T0, T0 + HOUR, 60, NOW)
    assert [(start, mean) for start, _, _, mean, _ in found.buckets] == [
        (T0 + n * 10 * MINUTE, float(n)) for n in range(6)
    ]
    one.retain(T0 + 12 * DAY)
    assert not Rollup.objects.filter(level=Level.MINUTE).exists()
    one.check_rollups()
    assert len(one.check_chart(T0, T0 + HOUR, 60, NOW).buckets) == 1
    one.retain(T0 + 22 * DAY)
    assert not Rollup.objects.exists()
    assert one.chart(T0, T0 + HOUR, 60, NOW).stats is None


def test_stale_hours_are_not_deleted() -> None:
    one = model(samples_days=0, minutes_days=0, hours_days=0)
    one.insert([(T0, 1.0, None, None)])
    one.retain(T0 + 100 * DAY)
    assert one.present
    one.roll(NOW)
    one.insert([(T0 + 1, 1.0, None, None)])
    one.retain(T0 + 100 * DAY)
    assert len(one.present) == 2
    one.roll(NOW)
    one.retain(T0 + 100 * DAY)
    assert not one.present
    assert not Rollup.objects.exists()


def test_devices_without_profile_are_kept_as_the_default_says() -> None:
    one = model(samples_days=None)
    Device.objects.update(profile=None)
    Profile.objects.filter(is_default=True).update(samples_days=1)
    one.insert([(T0, 1.0, None, None)])
    one.roll(NOW)
    one.retain(T0 + 3 * DAY)
    assert not one.present
    Profile.objects.filter(is_default=True).delete()
    one.insert([(T0 + DAY, 1.0, None, None)])
    one.roll(NOW + 9 * DAY)
    one.retain(T0 + 300 * DAY)
    assert one.present


def test_means_do_not_overflow() -> None:
    assert summary([1.7e308] * 3).mean == 1.7e308
    both = merged([summary([1.7e308] * 3), summary([1.7e308, None]), summary([None])])
    assert (both.mean, both.count, both.others) == (1.7e308, 4, 2)
    assert merged([]).count == 0
    assert minutes([], [], 0) == {}


def test_series_are_swept_in_their_order() -> None:
    models = [model(samples_days=1, minutes_days=0) for _ in range(3)]
    for one in models:
        one.insert([(T0 + n * HOUR, float(n), None, None) for n in range(5)])
    models[0].roll(NOW + DAY)
    for one in models:
        one.retain(NOW + 5 * DAY, budget=0)
    assert not Sample.objects.exists()
    assert all(count == 0 for count in Series.objects.values_list("kept", flat=True))
