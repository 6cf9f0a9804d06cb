"""Which lines are wanted, and places in their stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

# characters of a search; longer ones are refused where they come in
MAX_SEARCH = 200
_LIMIT = 2**63 - 1


class Cursor(NamedTuple):
    """A place in the stream: the key of a line."""

    # microseconds since 1970
    time: int
    id: int

    def __str__(self) -> str:
        """As `parse` takes it."""
        return f"{self.time}.{self.id}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Raises ValueError."""
        time, dot, number = text.partition(".")
        try:
            made = cls(int(time), int(number))
        except ValueError:
            made = None
        if made is None or not dot or abs(made.time) > _LIMIT or not 0 <= made.id <= _LIMIT or str(made) != text:
            raise ValueError("this is no cursor: use `older` or `newer` of an answer as it is")
        return made


@dataclass(frozen=True, kw_only=True)
class LineFilter:
    """Which lines are wanted; everything left out wants all."""

    # device ids; an empty list wants none
    devices: Sequence[int] | None = None
    # up to this severity (1 error … 4 debug); what could not be read is always wanted
    severity: int | None = None
    modules: Sequence[str] = ()
    # a part of the text, as it stands; ASCII letters match in upper and lower case
    search: str = ""
    # microseconds since 1970: start <= time < end
    start: int | None = None
    end: int | None = None

    @property
    def empty(self) -> bool:
        """Does it want nothing at all?"""
        return (
            (self.devices is not None and not self.devices)
            or "\0" in self.search
            or any("\0" in module for module in self.modules)
            or (self.start is not None and self.end is not None and self.end <= self.start)
        )
