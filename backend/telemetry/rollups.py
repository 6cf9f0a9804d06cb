"""What samples come to in an hour, a minute, a day. Pure: no database. Times in microseconds."""

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from backend.telemetry.buckets import HOUR, MINUTE

# an hour with more samples than these is also summed up by minute; for fewer, sixty rows take more room than they save
# time
DENSE = 600


@dataclass(frozen=True, slots=True)
class Summary:
    """Numbers of one stretch of time; all None where `count` is 0. `others`: samples that are no numbers."""

    count: int
    others: int
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    first: float | None = None
    last: float | None = None


def mean(numbers: Sequence[float], low: float, high: float) -> float:
    """The mean of one or more finite numbers between `low` and `high`, without overflow."""
    try:
        found = math.fsum(numbers) / len(numbers)
    except OverflowError:
        found = math.fsum(number / len(numbers) for number in numbers)
    return min(high, max(low, found))


def summary(values: Sequence[float | None]) -> Summary:
    """Of the samples of a stretch in the order of their times; None is one that is no number."""
    numbers = [number for number in values if number is not None]
    others = len(values) - len(numbers)
    if not numbers:
        return Summary(0, others)
    low, high = min(numbers), max(numbers)
    return Summary(len(numbers), others, low, high, mean(numbers, low, high), numbers[0], numbers[-1])


def minutes(times: Sequence[int], values: Sequence[float | None], hour: int) -> dict[int, Summary]:
    """Start of the minute → its summary, of the samples (in order) of the hour that begins at `hour`."""
    found: dict[int, Summary] = {}
    position, count = 0, len(times)
    while position < count:
        start = times[position] - (times[position] - hour) % MINUTE
        until = bisect_left(times, start + MINUTE, position)
        found[start] = summary(values[position:until])
        position = until
    assert all(hour <= start < hour + HOUR for start in found)
    return found


def merged(parts: Iterable[Summary]) -> Summary:
    """Of all stretches together, which come in the order of their times.

    Nothing is lost but digits of the mean. Where samples of one stretch lie among those of another, as late ones do
    whose hour is summed up already, `first` and `last` stay those of the outermost stretches.
    """
    found = list(parts)
    others = sum(part.others for part in found)
    filled = [part for part in found if part.count]
    if not filled:
        return Summary(0, others)
    count = sum(part.count for part in filled)
    low = min(part.minimum for part in filled if part.minimum is not None)
    high = max(part.maximum for part in filled if part.maximum is not None)
    # weights come to 1: no overflow
    weighted = math.fsum(part.mean * (part.count / count) for part in filled if part.mean is not None)
    return Summary(count, others, low, high, min(high, max(low, weighted)), filled[0].first, filled[-1].last)
