"""A bar of many updates by state, as rectangles in percent of its width."""

from collections.abc import Mapping
from dataclasses import dataclass

from backend.firmware.models import UpdateState
from backend.ui.legend import UPDATE_STATES, StateInfo

# what is over stands at the left
_ORDER = (
    UpdateState.SUCCEEDED,
    UpdateState.FAILED,
    UpdateState.CANCELLED,
    UpdateState.UPDATING,
    UpdateState.DOWNLOADED,
    UpdateState.DOWNLOADING,
    UpdateState.PENDING,
)


@dataclass(frozen=True)
class Piece:
    """One state's part of the bar: start and width in percent, as SVG takes them."""

    info: StateInfo
    number: int
    start: str
    width: str


@dataclass(frozen=True)
class Bar:
    """A bar of a number of updates."""

    pieces: list[Piece]
    total: int

    @property
    def words(self) -> str:
        """What it says, for those who do not see it: "12 succeeded, 3 failed, 5 pending"."""
        return ", ".join(f"{one.number} {one.info.label.lower()}" for one in self.pieces) or "no devices"


def bar_of(counts: Mapping[UpdateState, int]) -> Bar:
    """`counts`: updates per state."""
    total = sum(counts.values())
    pieces: list[Piece] = []
    start = 0.0
    for state in _ORDER:
        number = counts.get(state, 0)
        if number:
            width = 100 * number / total
            pieces.append(Piece(UPDATE_STATES[state], number, f"{start:.3f}%", f"{width:.3f}%"))
            start += width
    return Bar(pieces, total)
