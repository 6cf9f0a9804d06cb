"""Where a series has holes: neighbours much farther apart than usual. Pure; all times in microseconds."""

from collections.abc import Sequence
from itertools import pairwise

from backend.telemetry.buckets import Span

# so many times the usual distance: two values that did not come are no hole yet
FACTOR = 3.5
# … and longer than what one distance in ten is, for devices that send in bursts
LONG_SHARE = 0.9
LONG_FACTOR = 1.5
# fewer distances tell nothing of what is usual
ENOUGH = 3


def _share(ordered: Sequence[float], share: float) -> float:
    return ordered[int((len(ordered) - 1) * share)]


def longest_usual(times: Sequence[int]) -> float | None:
    """How far apart neighbours may be without a hole; None where there are too few times to know. `times` in order."""
    distances = sorted(later - earlier for earlier, later in pairwise(times) if later > earlier)
    if len(distances) < ENOUGH:
        return None
    return max(FACTOR * _share(distances, 0.5), LONG_FACTOR * _share(distances, LONG_SHARE))


def longest_usual_of_buckets(starts: Sequence[int], counts: Sequence[int], width: int) -> float | None:
    """The same from buckets that are not empty, in order, and how many samples each of them has."""
    distances = sorted(later - earlier for earlier, later in pairwise(starts))
    if len(distances) < ENOUGH:
        return None
    usual = _share(distances, 0.5)
    if usual <= width:
        usual = width / max(1, _share(sorted(counts), 0.5))
    long = _share(distances, LONG_SHARE)
    return max(FACTOR * usual, LONG_FACTOR * long if long > width else 0)


def holes(starts: Sequence[int], *, length: int, longest: float) -> list[Span]:
    """Holes that are longer than `longest` between neighbours that each last `length` (samples: 0) from their start."""
    limit = longest + length
    return [(since + length, until) for since, until in pairwise(starts) if until - since > limit]
