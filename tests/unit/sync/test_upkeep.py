"""What is done between batches: in which order, and that nothing which was told gets lost."""

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import timezone

from backend.alerts.models import Alert
from backend.alerts.services import Evaluated, Evaluator
from backend.logs.services.retention import RetentionStep as LogsStep
from backend.sync import upkeep
from backend.sync.upkeep import Upkeep
from backend.telemetry.models import StaleHour
from backend.telemetry.services import RetentionStep, RollupStep
from tests.unit.alerts.rows import rule, said
from tests.unit.api.builders import NOW, device

LONG_AGO = datetime(2019, 6, 1, tzinfo=UTC)


class Clock:
    """Stands still but for what a test adds."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds

    def time_ns(self) -> int:
        return int(timezone.now().timestamp() * 1e9)


class Play:
    """Upkeep whose chores have nothing to do, unless a test says otherwise."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = Clock()
        self.problems: dict[str, str] = {}
        # device ids of each look at the alerts
        self.asked: list[set[int] | None] = []
        # what looks bring, from the first on
        self.brings: list[Evaluated | Exception] = []
        self.rolled_up = 0
        monkeypatch.setattr(upkeep, "time", self.clock)
        monkeypatch.setattr(upkeep, "evaluate", self._evaluate)
        monkeypatch.setattr(upkeep, "rollups_step", self._rollups)
        monkeypatch.setattr(upkeep, "retention_step", lambda **_: RetentionStep())
        monkeypatch.setattr(upkeep, "logs_retention_step", lambda **_: LogsStep(0, False))
        monkeypatch.setattr(upkeep, "alerts_retention_step", lambda **_: False)
        monkeypatch.setattr(upkeep, "raw_events_retention_step", lambda **_: False)
        self.upkeep = Upkeep(retry=self._retry, rolled_up=lambda _: None, problem=self.problems.__setitem__)

    @staticmethod
    def _retry(action: Callable[[], Any]) -> Any:
        return action()

    def _evaluate(self, *, device_ids: Collection[int] | None, **_: Any) -> Evaluated:
        self.asked.append(None if device_ids is None else set(device_ids))
        brought = self.brings.pop(0) if self.brings else Evaluated()
        if isinstance(brought, Exception):
            raise brought
        return brought

    def _rollups(self, **_: Any) -> RollupStep:
        self.rolled_up += 1
        return RollupStep()

    def at(self, seconds: float) -> None:
        """A tick so many seconds after the start."""
        self.clock.seconds = 1000.0 + seconds
        self.upkeep.tick()


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Play:
    return Play(monkeypatch)


def test_what_was_told_before_a_look_at_everything_is_looked_at_too(play: Play) -> None:
    # a look at everything goes by when devices were heard: that may be long ago while a backlog is stored
    play.upkeep.told({7})
    play.at(0)
    play.at(0.2)
    assert play.asked == [None, {7}]
    play.at(1)
    assert play.asked == [None, {7}, set()]


def test_what_is_left_of_a_look_comes_soon(play: Play) -> None:
    play.brings = [Evaluated(), Evaluated(more=True), Evaluated()]
    for seconds in (0, 0.6, 0.8, 1.0):
        play.at(seconds)
    assert len(play.asked) == 3


def test_alerts_that_fail_hold_up_nothing(play: Play) -> None:
    play.brings = [Evaluated(), ValueError("odd")]
    for seconds in (0, 0.15, 0.3, 0.45, 0.6):
        play.at(seconds)
    assert "odd" in play.problems["alerts"]
    play.upkeep.told({7})
    play.at(5.65)
    assert play.rolled_up == 2
    assert len(play.asked) == 2, "tried again after a while only"
    play.at(61)
    assert play.problems["alerts"] == ""


def test_hours_are_summed_up_when_the_rules_have_seen_them(play: Play) -> None:
    for seconds in (0, 0.15, 0.3, 0.45, 0.6, 5.2):
        play.at(seconds)
    asked = len(play.asked)
    play.upkeep.told({7})
    play.at(5.65)
    assert play.asked[asked:] == [{7}]
    assert play.rolled_up == 2


def test_rollups_do_not_wait_for_ever(play: Play) -> None:
    play.brings = [Evaluated(more=True)] * 1000
    for n in range(200):
        play.at(n * 0.15)
    assert play.rolled_up >= 3


@pytest.mark.django_db
@pytest.mark.database
def test_a_clock_that_was_set_back_is_seen_before_its_hours_are_summed_up(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluator = Evaluator()
    monkeypatch.setattr(upkeep, "evaluate", evaluator.evaluate)
    one = device()
    rule()
    now = (timezone.now() - NOW).total_seconds()
    said(one, [(now - 7200, 20.0)])
    for seconds in (0, 0.15, 0.3, 0.45, 0.6, 5.2):
        play.at(seconds)

    def summed_up(**_: Any) -> RollupStep:
        StaleHour.objects.all().delete()
        return RollupStep()

    monkeypatch.setattr(upkeep, "rollups_step", summed_up)
    said(one, [(60, 41.0)], base=LONG_AGO, received=now + 60)
    play.upkeep.told({one.pk})
    play.at(5.65)
    play.at(6.2)
    assert Alert.objects.count() == 1
