"""One boot of a device in memory: its clock, and which of its line numbers are there.

What is there follows from two things alone: the highest number that is known, and the ranges below it that are lost.
So a line that comes again is known without a look at the lines.
"""

from bisect import bisect_left
from dataclasses import dataclass

from backend.logs.models import Boot, Loss

# a stretch of the clock: so long (ms of uptime), and at least so many messages
STRETCH = 3_600_000
STRETCH_MESSAGES = 8
_KEPT_FROM_US = frozenset({Loss.Reason.RATE.value, Loss.Reason.SPACE.value})


@dataclass(slots=True)
class Hole:
    """As `models.Loss`."""

    first: int
    last: int
    # rate or space; "" where the device's counts say the reason
    cut: str
    since: int | None
    time: int
    lost_before: int
    lost_after: int

    @property
    def size(self) -> int:
        """How many lines."""
        return self.last - self.first + 1

    @property
    def reason(self) -> str:
        """As `Loss.reason`."""
        if self.cut:
            return self.cut
        gave_up = self.lost_after - self.lost_before >= self.size
        return Loss.Reason.DEVICE.value if gave_up else Loss.Reason.MISSING.value

    @classmethod
    def of(cls, loss: Loss) -> "Hole":
        """From its row."""
        return cls(
            loss.first,
            loss.last,
            loss.reason if loss.reason in _KEPT_FROM_US else "",
            loss.since,
            loss.time,
            loss.lost_before,
            loss.lost_after,
        )


class BootState:
    """What messages change about a boot; `boot` is written back by the caller where `touched`."""

    __slots__ = ("boot", "gone", "holes", "new", "touched")

    def __init__(self, boot: Boot) -> None:
        """Without its holes: the caller adds those that matter with `load`, by number."""
        self.boot = boot
        self.holes: list[Hole] = []
        # first numbers of rows to delete, and holes to write
        self.gone: set[int] = set()
        self.new: dict[int, Hole] = {}
        self.touched = False

    def load(self, loss: Loss) -> None:
        """A hole that is stored. In ascending order."""
        self.holes.append(Hole.of(loss))

    # -- the clock

    def anchor(self, *, uptime: int, received: int) -> int:
        """When its uptime was 0, in µs, now that a message of this uptime (ms) was received (µs).

        The smallest difference is the truth: everything else was under way for longer. Only the last hour or two
        count, because clocks drift apart, and because ours may be set.
        """
        boot = self.boot
        started = received - uptime * 1000
        if boot.stretch_messages == 0:
            boot.started = boot.stretch_started = started
            boot.stretch_uptime = uptime
        elif uptime - boot.stretch_uptime >= STRETCH and boot.stretch_messages >= STRETCH_MESSAGES:
            # the stretch that ends becomes the one before
            boot.started = min(boot.stretch_started, started)
            boot.stretch_started, boot.stretch_uptime, boot.stretch_messages = started, uptime, 0
        else:
            boot.stretch_started = min(boot.stretch_started, started)
            boot.started = min(boot.started, boot.stretch_started)
        boot.stretch_messages += 1
        if boot.last_time is not None and received < boot.last_time:
            # our own clock was set back: what it said before binds no more
            boot.last_time = None
        self.touched = True
        return boot.started

    # -- the numbers

    @property
    def cut_last(self) -> bool:
        """Was the last line cut because there were too many?"""
        last = self.holes[-1] if self.holes else None
        return last is not None and last.cut == Loss.Reason.RATE.value and last.last == self.boot.last_sequence

    def hole_at(self, number: int) -> int:
        """Index of the first hole that ends at or behind this number."""
        return bisect_left(self.holes, number, key=lambda hole: hole.last)

    def append(self, hole: Hole) -> None:
        """A hole behind all others; lines that we cut one after the other are one."""
        if hole.cut and self.holes:
            last = self.holes[-1]
            if last.cut == hole.cut and last.last == hole.first - 1:
                last.last, last.time, last.lost_after = hole.last, hole.time, hole.lost_after
                self.new[last.first] = last
                return
        self.holes.append(hole)
        self.new[hole.first] = hole

    def replace(self, index: int, holes: list[Hole]) -> None:
        """These in place of one."""
        old = self.holes[index]
        self.gone.add(old.first)
        self.new.pop(old.first, None)
        self.holes[index : index + 1] = holes
        for hole in holes:
            self.gone.discard(hole.first)
            self.new[hole.first] = hole
