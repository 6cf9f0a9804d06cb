"""What a campaign may do next, from counts, thresholds, the daily window and the time. No database, no clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from hashlib import blake2b
from itertools import pairwise
from zoneinfo import ZoneInfo

# failures among fewer ended updates say little: the share is judged from here on, or once it cannot come out otherwise
SAMPLE = 10
# a daily window opens within so many days, also where the clock is put forward in the middle of it
_DAYS_AHEAD = 3


class RolloutStatus(StrEnum):
    """What a campaign is doing; derived, never stored."""

    SCHEDULED = "scheduled"
    RUNNING = "running"
    # for its daily window, or for devices that come to match
    WAITING = "waiting"
    PAUSED = "paused"
    # by the error threshold, or because a phase cannot reach its success threshold
    STOPPED = "stopped"
    FINISHED = "finished"
    CANCELLED = "cancelled"


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """The time of day in which updates begin: from `opens` on, before `closes`; over midnight where that is earlier."""

    opens: time
    closes: time
    zone: ZoneInfo

    def __str__(self) -> str:
        """Such as `22:00 to 04:00 Europe/Vienna`."""
        return f"{_clock(self.opens)} to {_clock(self.closes)} {self.zone.key}"

    def open_at(self, at: datetime) -> bool:
        """May an update begin at this (aware) moment?"""
        local = at.astimezone(self.zone).time()
        if self.opens <= self.closes:
            return self.opens <= local < self.closes
        return local >= self.opens or local < self.closes

    def next_opening(self, at: datetime) -> datetime:
        """When it opens next after `at`, in UTC; `at` itself while it is open.

        On the day on which the clock skips the time of opening, it opens with the hour that comes instead.
        """
        if self.open_at(at):
            return at
        today = at.astimezone(self.zone).date()
        openings = []
        for day in range(-1, _DAYS_AHEAD):
            opens = datetime.combine(today + timedelta(days=day), self.opens, self.zone)
            # a time may come twice; in UTC, because times of one zone compare by what the clock shows
            openings += [opens.replace(fold=fold).astimezone(UTC) for fold in (0, 1)]
        later = (moment for moment in openings if moment > at.astimezone(UTC) and self.open_at(moment))
        return min(later, default=at + timedelta(days=_DAYS_AHEAD))


@dataclass(frozen=True, kw_only=True, slots=True)
class PhaseCounts:
    """How far a phase's devices have come.

    Not counted at all: cancelled ones, those given up because the device never came, and failures from before the
    campaign was resumed: they are no evidence for or against the image any more.
    """

    succeeded: int = 0
    failed: int = 0
    # not ended, whether begun or not
    open: int = 0
    # of the open ones: those that take one of the places for updates under way
    active: int = 0
    # of the open ones: not begun, and the device is there
    ready: int = 0
    # of the open ones: those whose device is away or asleep
    away: int = 0

    @property
    def total(self) -> int:
        """Those that count."""
        return self.succeeded + self.failed + self.open


@dataclass(frozen=True, kw_only=True, slots=True)
class Rollout:
    """What was decided about a campaign, and how far it is."""

    # cumulative percentages, the last is 100
    phases: Sequence[int]
    # updates under way at once
    concurrency: int
    # percent of a phase's devices that must succeed before the next one begins
    success_threshold: int
    # percent of the ended ones that may fail
    error_threshold: int
    # the phase that may begin, from 0
    phase: int = 0
    standing: bool = False
    start_at: datetime | None = None
    window: Window | None = None
    paused: bool = False
    stopped: bool = False
    cancelled: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What may happen now."""

    status: RolloutStatus
    # the phase that may begin
    phase: int
    # so many more updates may begin, in phases up to that one
    admit: int = 0
    # not empty: the rest must not begin, and why
    stop: str = ""
    # what is waited for, in words; "" where it simply goes on
    waits: str = ""
    # and until when, where that is known
    until: datetime | None = None


def phases_check(phases: Sequence[int]) -> list[int]:
    """The cumulative percentages, checked: they rise, and end with 100. Raises ValueError."""
    found = list(phases)
    if not found or any(isinstance(one, bool) or not isinstance(one, int) for one in found):
        raise ValueError("phases are whole percentages such as 5, 25, 100.")
    if len(found) > 20:
        raise ValueError("a campaign has at most 20 phases.")
    rising = all(one < other for one, other in pairwise(found))
    if not rising or found[0] < 1 or found[-1] != 100:
        raise ValueError("phases are percentages that add up: each is greater than the one before, the last is 100.")
    return found


def device_rank(campaign_id: int, endpoint: str) -> int:
    """The device's place in the campaign's order: as good as random, and the same at every look. 64 bits."""
    return int.from_bytes(blake2b(f"{campaign_id}:{endpoint}".encode(), digest_size=8).digest())


def phase_sizes(total: int, phases: Sequence[int]) -> list[int]:
    """How many of `total` devices each phase has; rounded up, so that the first one has at least one."""
    bounds = [-(-total * percent // 100) for percent in phases]
    return [bound - before for bound, before in zip(bounds, [0, *bounds[:-1]], strict=True)]


def phase_of_rank(rank: int, phases: Sequence[int]) -> int:
    """The phase of a device that came later, by its rank alone."""
    percent = rank * 100 / 2**64
    return next((number for number, bound in enumerate(phases) if percent < bound), len(phases) - 1)


def needed(total: int, percent: int) -> int:
    """How many of `total` are `percent` of it, rounded up."""
    return -(-total * percent // 100)


def decide(rollout: Rollout, counts: Sequence[PhaseCounts], at: datetime) -> Decision:
    """What the campaign may do at `at`; `counts` by phase."""
    status = _status(rollout, counts, at)
    if status in {RolloutStatus.CANCELLED, RolloutStatus.FINISHED}:
        return Decision(status=status, phase=rollout.phase)
    if rollout.stopped:
        return Decision(status=status, phase=rollout.phase, waits=_STOPPED)
    stop = _reason_to_stop(rollout, counts)
    if stop:
        return Decision(status=RolloutStatus.STOPPED, phase=rollout.phase, stop=stop, waits=_STOPPED)
    if status == RolloutStatus.PAUSED:
        return Decision(status=status, phase=rollout.phase, waits="Waits until somebody resumes it.")
    if status == RolloutStatus.SCHEDULED:
        return Decision(status=status, phase=rollout.phase, waits="Waits for its start.", until=rollout.start_at)
    phase = rollout.phase
    while phase < len(counts) - 1 and _passed(rollout, counts[phase]):
        phase += 1
    begun = counts[: phase + 1]
    under_way = sum(one.active for one in counts)
    window = rollout.window
    if window is not None and not window.open_at(at):
        rest = f"; {under_way} that began go on" if under_way else ""
        return Decision(
            status=RolloutStatus.WAITING,
            phase=phase,
            waits=f"Waits for its daily window, {window}{rest}.",
            until=window.next_opening(at),
        )
    if not sum(one.open for one in counts):
        return Decision(
            status=RolloutStatus.WAITING,
            phase=phase,
            waits="All devices are through; those that come to match are taken up.",
        )
    room = max(0, rollout.concurrency - under_way)
    return Decision(
        status=status,
        phase=phase,
        admit=min(room, sum(one.ready for one in begun)),
        waits=_waits(rollout, counts, phase),
    )


_STOPPED = "Waits until somebody has looked at the failures and resumes it."


def _status(rollout: Rollout, counts: Sequence[PhaseCounts], at: datetime) -> RolloutStatus:
    if rollout.cancelled:
        return RolloutStatus.CANCELLED
    if not rollout.standing and not sum(one.open for one in counts):
        return RolloutStatus.FINISHED
    if rollout.stopped:
        return RolloutStatus.STOPPED
    if rollout.paused:
        return RolloutStatus.PAUSED
    if rollout.start_at is not None and at < rollout.start_at:
        return RolloutStatus.SCHEDULED
    return RolloutStatus.RUNNING


def _passed(rollout: Rollout, phase: PhaseCounts) -> bool:
    """Have enough of the phase's devices succeeded? One without devices that count has nothing to wait for."""
    return phase.succeeded >= needed(phase.total, rollout.success_threshold)


def _reason_to_stop(rollout: Rollout, counts: Sequence[PhaseCounts]) -> str:
    """Why the rest must not begin; "" where it may."""
    begun = counts[: rollout.phase + 1]
    # nothing is left that stopping would spare
    if not sum(one.open for one in counts):
        return ""
    failed, total = sum(one.failed for one in begun), sum(one.total for one in begun)
    ended = failed + sum(one.succeeded for one in begun)
    certain = failed * 100 > rollout.error_threshold * total
    if failed and (certain or ended >= min(SAMPLE, total)) and failed * 100 > rollout.error_threshold * ended:
        return (
            f"{failed} of the {ended} updates that ended failed ({_percent(failed, ended)}): "
            f"more than {rollout.error_threshold} % may not."
        )
    here = counts[rollout.phase]
    if rollout.phase < len(counts) - 1 and here.failed:
        least = needed(here.total, rollout.success_threshold)
        if here.succeeded + here.open < least:
            return (
                f"Phase {rollout.phase + 1} cannot succeed any more: {least} of its {here.total} devices must "
                f"({rollout.success_threshold} %), and {here.failed} failed."
            )
    return ""


def _waits(rollout: Rollout, counts: Sequence[PhaseCounts], phase: int) -> str:
    begun, here = counts[: phase + 1], counts[phase]
    if any(one.active or one.ready for one in begun):
        return ""
    away = sum(one.away for one in begun)
    devices = f"{away} devices that are away or asleep" if away > 1 else "a device that is away or asleep"
    if phase < len(counts) - 1:
        least = needed(here.total, rollout.success_threshold)
        return (
            f"Phase {phase + 2} begins when {least} of the {here.total} devices of phase {phase + 1} have succeeded; "
            f"{here.succeeded} have." + (f" It waits for {devices}." if away else "")
        )
    return f"Waits for {devices}." if away else ""


def _percent(part: int, whole: int) -> str:
    """Such as `12.5 %`."""
    return f"{100 * part / whole:.1f}".removesuffix(".0") + " %"


def _clock(moment: time) -> str:
    return f"{moment:%H:%M:%S}" if moment.second else f"{moment:%H:%M}"
