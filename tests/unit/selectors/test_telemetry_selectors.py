"""Samples: paging loses and repeats nothing, thinning shows every extreme."""

import itertools
import math
import random

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from backend.devices.selectors import device_get
from backend.telemetry.models import Sample
from backend.telemetry.selectors import Cursor, SamplePage, samples_page, samples_thinned, series_get, series_list
from tests.unit.api.builders import T0, device, resource, samples, series, specs

pytestmark = [pytest.mark.django_db, pytest.mark.database]

numbers = itertools.count()

SPECIAL = [(None, "NaN"), (None, "Infinity"), (None, "-Infinity"), (9007199254740994.0, "9007199254740993"), (None, "")]


def pages(series_id: int, limit: int, **where: int) -> list[tuple[int, float | None, str | None]]:
    found: list[tuple[int, float | None, str | None]] = []
    after: Cursor | None = None
    for _ in range(10_000):
        page = samples_page(series_id=series_id, after=after, limit=limit, **where)
        assert len(page.points) <= limit
        found += page.points
        if not page.truncated:
            return found
        assert page.next is not None
        after = Cursor.parse(str(page.next))
    raise AssertionError("paging does not end")


def test_pages_hold_everything_once() -> None:
    of = series(device())
    for seq, (number, text) in enumerate(SPECIAL):
        samples(of, [(T0, number, text)], seq=seq)
    samples(of, [(T0 + second * 1_000_000, float(second), None) for second in range(1, 40)])
    samples(of, [(-5, -1.5, None)])
    stored = list(Sample.objects.filter(series=of).order_by("time", "seq").values_list("time", "number", "text"))
    for limit in (1, 2, 3, 7, 44, 45, 46, 1000):
        assert pages(of.pk, limit) == stored


def test_the_range_is_half_open() -> None:
    of = series(device())
    samples(of, [(T0 + n, float(n), None) for n in range(10)])
    inside = pages(of.pk, 3, start=T0 + 2, end=T0 + 5)
    assert [number for _, number, _ in inside] == [2.0, 3.0, 4.0]
    assert pages(of.pk, 3, start=T0 + 5, end=T0 + 5) == []


def test_another_series_stays_out() -> None:
    of = device()
    mine, other = series(of), series(of, "/3303/1/5700")
    samples(mine, [(T0, 1.0, None)])
    samples(other, [(T0, 2.0, None), (T0 + 1, 3.0, None)])
    assert pages(mine.pk, 10) == [(T0, 1.0, None)]


def test_next_goes_on_where_it_was_when_nothing_is_new() -> None:
    of = series(device())
    assert samples_page(series_id=of.pk, limit=5) == SamplePage(next=None)
    samples(of, [(T0, 1.0, None)])
    first = samples_page(series_id=of.pk, limit=5)
    again = samples_page(series_id=of.pk, after=first.next, limit=5)
    assert again.points == []
    assert again.next == first.next
    samples(of, [(T0, 2.0, None)], seq=1)
    assert samples_page(series_id=of.pk, after=again.next, limit=5).points == [(T0, 2.0, None)]


def test_few_samples_are_not_thinned() -> None:
    of = series(device())
    samples(of, [(T0 + n, float(n), None) for n in range(100)])
    page = samples_thinned(series_id=of.pk, max_points=100)
    assert not page.aggregated
    assert len(page.points) == 100


def test_thinning_keeps_every_extreme_and_the_mean() -> None:
    rng = random.Random(7)
    of = series(device())
    values_in = [rng.gauss(20, 5) for _ in range(1000)]
    values_in[123], values_in[777] = 1e6, -1e6
    points: list[tuple[int, float | None, str | None]] = [
        (T0 + n * 1_000_000 + rng.randrange(900_000), number, None) for n, number in enumerate(values_in)
    ]
    samples(of, points)
    page = samples_thinned(series_id=of.pk, max_points=50)
    assert page.aggregated
    assert not page.truncated
    assert len(page.buckets) <= 50
    assert page.points == []
    assert page.next == Cursor(points[-1][0], 0)
    # the buckets, computed a second time by hand
    width = (points[-1][0] - points[0][0]) // 50 + 1
    expected = []
    for place in range(50):
        inside = [(time, number) for time, number, _ in points if (time - points[0][0]) // width == place]
        if inside:
            values = [number for _, number in inside if number is not None]
            expected.append(
                ((inside[0][0] + inside[-1][0]) // 2, min(values), max(values), math.fsum(values) / len(values))
            )
    assert len(page.buckets) == len(expected)
    for bucket, wanted in zip(page.buckets, expected, strict=True):
        assert bucket[:3] == wanted[:3]
        assert bucket[3] == pytest.approx(wanted[3])
    assert max(bucket[2] for bucket in page.buckets) == 1e6
    assert min(bucket[1] for bucket in page.buckets) == -1e6


def test_what_is_no_number_survives_thinning() -> None:
    of = series(device())
    samples(of, [(T0 + n, float(n), None) for n in range(100)])
    samples(of, [(T0 + 30, None, "NaN"), (T0 + 60, None, "-Infinity")], seq=1)
    page = samples_thinned(series_id=of.pk, max_points=10)
    assert page.aggregated
    assert page.points == [(T0 + 30, None, "NaN"), (T0 + 60, None, "-Infinity")]
    assert all(math.isfinite(value) for bucket in page.buckets for value in bucket[1:])


def test_a_series_of_texts_is_paged_not_thinned() -> None:
    of = series(device(), "/3/0/3")
    samples(of, [(T0 + n, None, f"v{n}") for n in range(20)])
    page = samples_thinned(series_id=of.pk, max_points=8)
    assert not page.aggregated
    assert page.truncated
    assert [text for _, _, text in page.points] == [f"v{n}" for n in range(8)]


def test_sums_of_huge_numbers_do_not_overflow() -> None:
    of = series(device())
    samples(of, [(T0 + n, 1.7e308, None) for n in range(100)])
    page = samples_thinned(series_id=of.pk, max_points=2)
    assert {bucket[1:] for bucket in page.buckets} == {(1.7e308, 1.7e308, 1.7e308)}


def test_all_samples_of_one_moment_are_one_bucket() -> None:
    of = series(device())
    for seq in range(10):
        samples(of, [(T0, float(seq), None)], seq=seq)
    assert samples_thinned(series_id=of.pk, max_points=3).buckets == [(T0, 0.0, 9.0, 4.5)]


@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(times=st.lists(st.integers(-(10**15), 10**15), min_size=1, max_size=60, unique=True), limit=st.integers(1, 20))
def test_any_times_in_any_portions(db: None, times: list[int], limit: int) -> None:
    of = series(device(f"dev-{next(numbers)}"))
    samples(of, [(time, float(time % 97), None) for time in times])
    assert pages(of.pk, limit) == [(time, float(time % 97), None) for time in sorted(times)]
    page = samples_thinned(series_id=of.pk, max_points=limit)
    if len(times) <= limit:
        assert len(page.points) == len(times)
    else:
        assert len(page.buckets) <= limit
        assert min(low for _, low, _, _ in page.buckets) == min(float(time % 97) for time in times)
        assert max(high for _, _, high, _ in page.buckets) == max(float(time % 97) for time in times)


def test_series_have_names_units_first_and_last(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    specs()
    of = device(registered=True)
    resource(of, "/3303/0/5701", "STRING", "Cel")
    for path in ("/3303/0/5700", "/3/0/9", "/3303/1/5700"):
        samples(series(of, path), [(T0, 1.0, None), (T0 + 2_000_000, 2.0, None)])
    series(of, "/40000/0/1")
    found = device_get(endpoint="dev-1")
    with django_assert_num_queries(3):
        views = series_list(device=found)
    assert [(view.path, view.object_name, view.name, view.unit) for view in views] == [
        ("/3/0/9", "Device", "Battery Level", "%"),
        ("/3303/0/5700", "Temperature 1.1", "Sensor Value", "Cel"),
        ("/3303/1/5700", "Temperature 1.1", "Sensor Value", ""),
        ("/40000/0/1", "", "", ""),
    ]
    assert views[0].first is not None
    assert views[0].last is not None
    assert (views[0].last - views[0].first).total_seconds() == 2
    assert views[3].first is views[3].last is None
    assert series_get(series_id=views[1].id) == views[1]


@pytest.mark.parametrize("text", ["", "1", "1.", ".1", "x.1", "1.x", "1.-1", "٣.1", "9223372036854775808.0", "1.99999"])
def test_a_broken_cursor_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no cursor"):
        Cursor.parse(text)
