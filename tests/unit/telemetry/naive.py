"""What rollups and charts must say, computed the slow way from every sample that ever came."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from backend.telemetry.models import Level, Rollup, Sample, Series
from backend.telemetry.selectors import Chart, charts, series_by_ids
from backend.telemetry.services import retention_step, rollups_step
from backend.telemetry.storage import HOUR, Marks, SampleBuffer, samples_insert

MINUTE = HOUR // 60
DAY = 24 * HOUR

# time, number, text, delay
Row = tuple[int, float | None, str | None, int | None]


@dataclass
class Model:
    """One series: the samples that are there, and those that were when they were deleted."""

    series: Series
    marks: Marks = field(default_factory=Marks)
    present: set[tuple[int, float | None, str | None]] = field(default_factory=set)
    gone: list[tuple[int, float | None, str | None]] = field(default_factory=list)

    def insert(self, rows: Iterable[Row]) -> None:
        buffer = SampleBuffer()
        for row in rows:
            buffer.add(self.series.pk, *row)
            self.present.add(row[:3])
        samples_insert(buffer, self.marks)
        self.marks.committed()
        self.check_present()

    def roll(self, now: int, *, budget: float = 1.0, future: bool = False) -> None:
        for _ in range(1000):
            step = rollups_step(now=now, budget=budget, future=future)
            self.marks.forget(step.done)
            # what came late into an hour whose samples were gone has gone, too
            self.take()
            if not step.more:
                return
        raise AssertionError("the rollups come to no end")

    def retain(self, now: int, *, budget: float = 1.0) -> None:
        after: int | None = 0
        for _ in range(1000):
            assert after is not None
            after = retention_step(now=now, budget=budget, after=after).after
            if after is None:
                break
        else:
            raise AssertionError("the sweep comes to no end")
        self.take()

    def take(self) -> None:
        """What is no longer stored is gone; nothing else is."""
        stored = self.stored()
        assert stored <= self.present
        self.gone += self.present - stored
        self.present = stored

    def stored(self) -> set[tuple[int, float | None, str | None]]:
        return set(Sample.objects.filter(series=self.series).values_list("time", "number", "text"))

    def check_present(self) -> None:
        assert self.stored() == self.present

    def everything(self) -> list[tuple[int, float | None, str | None]]:
        return [*self.present, *self.gone]

    def check_rollups(self) -> None:
        """Every hour that is not stale, its minutes, and every day without a stale hour."""
        stale = set(self.series.stale_hours.values_list("hour", flat=True))
        rows = {(row.level, row.start): row for row in Rollup.objects.filter(series=self.series)}
        hours: dict[int, list[float | None]] = {}
        minutes: dict[int, list[float | None]] = {}
        days: dict[int, list[float | None]] = {}
        for time, number, _ in self.everything():
            hours.setdefault(time // HOUR, []).append(number)
            minutes.setdefault(time // MINUTE, []).append(number)
            days.setdefault(time // DAY, []).append(number)
        stale_days = {hour // 24 for hour in stale}
        for hour, numbers in hours.items():
            if hour not in stale:
                same(rows[Level.HOUR, hour * HOUR], numbers)
        for minute, numbers in minutes.items():
            if minute // 60 not in stale and rows[Level.HOUR, minute // 60 * HOUR].minutes:
                same(rows[Level.MINUTE, minute * MINUTE], numbers)
        for day, numbers in days.items():
            if day not in stale_days:
                same(rows[Level.DAY, day * DAY], numbers)
        # nothing that is not
        assert {start // HOUR for level, start in rows if level == Level.HOUR} <= set(hours)
        assert {start // MINUTE for level, start in rows if level == Level.MINUTE} <= set(minutes)
        assert {start // DAY for level, start in rows if level == Level.DAY} <= set(days)
        # what is counted as kept
        kept = [time for time, _, _ in self.present if time // HOUR not in stale]
        counted = sum(
            row.count + row.others
            for (level, start), row in rows.items()
            if level == Level.HOUR and row.kept_since is not None and start // HOUR not in stale
        )
        assert counted == len(kept)
        if not stale:
            self.series.refresh_from_db()
            assert self.series.kept == len(kept)
        for time in kept:
            kept_since = rows[Level.HOUR, time // HOUR * HOUR].kept_since
            assert kept_since is not None
            assert kept_since >= (time // HOUR + 1) * HOUR

    def chart(self, start: int, end: int, points: int, now: int) -> Chart:
        view = series_by_ids(ids=[self.series.pk])[self.series.pk]
        (found,) = charts(series=[view], start=start, end=end, points=points, now=now)
        return found

    def attributed(self) -> list[tuple[int, float | None]]:
        """Each sample with the time that it counts at: what is gone, where the finest that is left of it begins."""
        hours = Rollup.objects.filter(series=self.series, level=Level.HOUR)
        flags = dict(hours.values_list("start", "minutes"))
        found = [(time, number) for time, number, _ in self.present]
        for time, number, _ in self.gone:
            hour = time // HOUR * HOUR
            if hour in flags:
                found.append((time // MINUTE * MINUTE if flags[hour] else hour, number))
        return found

    def check_chart(self, start: int, end: int, points: int, now: int) -> Chart:
        found = self.chart(start, end, points, now)
        inside = [(time, number) for time, number in self.attributed() if start <= time < end]
        numbers = [number for _, number in inside if number is not None]
        assert found.others == len(inside) - len(numbers)
        assert len(found.other) <= found.others
        if found.width is None:
            assert sorted(number for _, number in found.points) == sorted(numbers)
            assert len(inside) <= points
        else:
            expected: dict[int, list[float]] = {}
            for time, number in inside:
                if number is not None:
                    expected.setdefault(time // found.width, []).append(number)
            assert [start for start, *_ in found.buckets] == sorted(place * found.width for place in expected)
            assert len(found.buckets) <= points
            for start_, low, high, mean, count in found.buckets:
                values = expected[start_ // found.width]
                assert (count, low, high) == (len(values), min(values), max(values))
                assert close(mean, values)
        if not numbers:
            assert found.stats is None
            return found
        assert found.stats is not None
        assert (found.stats.count, found.stats.min, found.stats.max) == (len(numbers), min(numbers), max(numbers))
        assert close(found.stats.mean, numbers)
        if not self.gone:
            ordered = sorted((time, number) for time, number in inside if number is not None)
            assert found.stats.first in {number for time, number in ordered if time == ordered[0][0]}
            assert found.stats.last in {number for time, number in ordered if time == ordered[-1][0]}
        for gap in found.gaps:
            assert start <= gap.start < gap.end <= min(end, now)
        return found


def same(row: Rollup, values: list[float | None]) -> None:
    numbers = [number for number in values if number is not None]
    assert (row.count, row.others) == (len(numbers), len(values) - len(numbers))
    if not numbers:
        assert {row.minimum, row.maximum, row.mean, row.first, row.last} == {None}
        return
    assert row.minimum == min(numbers)
    # null: the same as the minimum
    maximum, mean, first, last = (
        row.minimum if value is None else value for value in (row.maximum, row.mean, row.first, row.last)
    )
    assert maximum == max(numbers)
    assert close(mean, numbers)
    assert first in numbers
    assert last in numbers


def close(mean: float, numbers: list[float]) -> bool:
    largest = max(abs(number) for number in numbers)
    wanted = math.fsum(number / len(numbers) for number in numbers)
    return min(numbers) <= mean <= max(numbers) and abs(mean - wanted) <= 1e-12 * largest + 1e-279
