"""What a rule says of devices, paths and values: pure, without database."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from backend.alerts.models import Comparison, Rule, Scope
from backend.devices.patterns import pattern_regex


class Turn(StrEnum):
    """What a value makes of an alert."""

    OPENED = "opened"
    CLEARED = "cleared"


@dataclass(slots=True)
class Watch:
    """How a rule stands with one series."""

    open: bool = False
    # microseconds since 1970: since when the value has been beyond the limit; None: it is not, or the alert is open
    since: int | None = None


@dataclass(frozen=True)
class Threshold:
    """A limit with hysteresis."""

    above: bool
    limit: float
    clear_limit: float
    for_us: int = 0

    def beyond(self, value: float) -> bool:
        """Is the value bad?"""
        return value > self.limit if self.above else value < self.limit

    def back(self, value: float) -> bool:
        """Is it good again?"""
        return value <= self.clear_limit if self.above else value >= self.clear_limit

    def step(self, watch: Watch, at: int, value: float | None) -> Turn | None:
        """The next value in time (None, NaN, infinite: no number, which changes nothing). Changes `watch`."""
        if value is None or not math.isfinite(value):
            return None
        if watch.open:
            if self.back(value):
                watch.open = False
                return Turn.CLEARED
            return None
        if not self.beyond(value):
            watch.since = None
            return None
        # a clock that went back begins anew
        if watch.since is None or at < watch.since:
            watch.since = at
        if at - watch.since < self.for_us:
            return None
        watch.open, watch.since = True, None
        return Turn.OPENED


def path_regex(pattern: str) -> re.Pattern[str]:
    """Of a rule's path: `*` is any one id."""
    return re.compile(re.escape(pattern).replace(r"\*", r"\d+"))


@dataclass(frozen=True)
class Compiled:
    """A rule, ready to be asked often."""

    rule: Rule
    channel_ids: tuple[int, ...]
    threshold: Threshold | None
    _paths: re.Pattern[str] | None
    _names: frozenset[str]
    _pattern: re.Pattern[str] | None

    def covers(self, endpoint: str, profile_id: int | None) -> bool:
        """Is the rule about this device?"""
        if self.rule.scope == Scope.ALL:
            return True
        if self.rule.scope == Scope.PROFILE:
            return profile_id == self.rule.profile_id
        if endpoint in self._names:
            return True
        return self._pattern is not None and self._pattern.fullmatch(endpoint) is not None

    def watches(self, path: str) -> bool:
        """Is it about this series?"""
        return self._paths is not None and self._paths.fullmatch(path) is not None


def compiled(rule: Rule, channel_ids: Iterable[int] = ()) -> Compiled:
    """The rule, ready to be asked. Patterns of endpoints take upper and lower case alike, as in profile rules."""
    threshold = None
    if rule.limit is not None and rule.clear_limit is not None:
        threshold = Threshold(
            rule.comparison == Comparison.ABOVE, rule.limit, rule.clear_limit, rule.for_seconds * 1_000_000
        )
    patterns = [pattern_regex(one) for one in rule.endpoints if "*" in one or "?" in one]
    return Compiled(
        rule=rule,
        channel_ids=tuple(channel_ids),
        threshold=threshold,
        _paths=path_regex(rule.path) if rule.path else None,
        _names=frozenset(one for one in rule.endpoints if "*" not in one and "?" not in one),
        _pattern=re.compile("|".join(f"(?:{one})" for one in patterns), re.IGNORECASE) if patterns else None,
    )
