"""Time cut into buckets: how wide they are, and what lies between two moments. Pure; all times in microseconds."""

from collections.abc import Iterable

MILLISECOND = 1000
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

# start (included) and end (not)
Span = tuple[int, int]

# buckets begin at whole multiples of their width since 1970 (UTC), so that panning a chart does not change them
WIDTHS: tuple[int, ...] = (
    *(step * 10**power for power in range(6) for step in (1, 2, 5)),
    *(seconds * SECOND for seconds in (1, 2, 5, 10, 15, 30)),
    *(minutes * MINUTE for minutes in (1, 2, 5, 10, 15, 30)),
    *(hours * HOUR for hours in (1, 2, 3, 6, 12)),
    DAY,
    *((7 * DAY) << power for power in range(24)),
)


def floor(time: int, width: int) -> int:
    """The last multiple of the width that is not after the time, before 1970 too."""
    return time - time % width


def ceil(time: int, width: int) -> int:
    """The first multiple of the width that is not before the time."""
    return time + -time % width


def width_for(start: int, end: int, points: int, *, at_least: int = 1) -> int:
    """The narrowest width in WIDTHS of which `points` (2 or more) buckets hold start <= time < end."""
    for width in WIDTHS:
        if width >= at_least and (end - 1) // width - start // width < points:
            return width
    raise ValueError(f"{end - start} µs are more than {points} buckets of any width hold")


def joined(spans: Iterable[Span]) -> list[Span]:
    """Spans in order, those that touch as one."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if start >= end:
            continue
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def divided(spans: Iterable[Span], by: Iterable[Span]) -> tuple[list[Span], list[Span]]:
    """What of the spans lies outside and what inside of `by`; both in order and without overlaps, as the results."""
    outside: list[Span] = []
    inside: list[Span] = []
    others = iter(by)
    other = next(others, None)
    for start, end in spans:
        while start < end:
            while other is not None and other[1] <= start:
                other = next(others, None)
            if other is None or other[0] >= end:
                outside.append((start, end))
                break
            if other[0] > start:
                outside.append((start, other[0]))
                start = other[0]
            until = min(end, other[1])
            inside.append((start, until))
            start = until
    return outside, inside
