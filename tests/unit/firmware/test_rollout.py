"""What a campaign may do next, as tables."""

from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from backend.firmware.rollout import (
    PhaseCounts,
    Rollout,
    RolloutStatus,
    Window,
    decide,
    device_rank,
    phase_of_rank,
    phase_sizes,
    phases_check,
)

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
VIENNA = ZoneInfo("Europe/Vienna")


def window(opens: str, closes: str, zone: str = "UTC") -> Window:
    return Window(opens=time.fromisoformat(opens), closes=time.fromisoformat(closes), zone=ZoneInfo(zone))


def rollout(**fields: Any) -> Rollout:
    values = {"phases": [10, 50, 100], "concurrency": 20, "success_threshold": 90, "error_threshold": 10}
    return Rollout(**{**values, **fields})


def phase(succeeded: int = 0, failed: int = 0, active: int = 0, ready: int = 0, away: int = 0) -> PhaseCounts:
    return PhaseCounts(
        succeeded=succeeded, failed=failed, open=active + ready + away, active=active, ready=ready, away=away
    )


# -- phases


@pytest.mark.parametrize(
    ("total", "phases", "sizes"),
    [
        (100, [5, 25, 50, 100], [5, 20, 25, 50]),
        (1, [10, 50, 100], [1, 0, 0]),
        (3, [10, 50, 100], [1, 1, 1]),
        (7, [1, 100], [1, 6]),
        (0, [10, 100], [0, 0]),
        (10_000, [1, 10, 100], [100, 900, 9000]),
        (29, [100], [29]),
    ],
)
def test_sizes_of_phases(total: int, phases: list[int], sizes: list[int]) -> None:
    assert phase_sizes(total, phases) == sizes


@pytest.mark.parametrize(
    "phases", [[], [50], [100, 100], [50, 20, 100], [0, 100], [-1, 100], [10, 101], [True, 100], ["5", 100], [5.5, 100]]
)
def test_phases_that_are_none(phases: list[Any]) -> None:
    with pytest.raises(ValueError, match="percentages"):
        phases_check(phases)


def test_too_many_phases() -> None:
    with pytest.raises(ValueError, match="at most 20"):
        phases_check([*range(1, 21), 100])


def test_the_order_is_stable_and_even() -> None:
    ranks = [device_rank(7, f"dev-{one}") for one in range(2000)]
    assert ranks == [device_rank(7, f"dev-{one}") for one in range(2000)]
    assert len(set(ranks)) == 2000
    assert sorted(ranks) != sorted(device_rank(8, f"dev-{one}") for one in range(2000))
    first = sum(phase_of_rank(rank, [10, 50, 100]) == 0 for rank in ranks)
    assert 130 < first < 270
    assert phase_of_rank(0, [10, 100]) == 0
    assert phase_of_rank(2**64 - 1, [10, 100]) == 1


# -- the daily window


@pytest.mark.parametrize(
    ("hours", "at", "is_open"),
    [
        (("02:00", "04:00"), "2026-11-22T02:00:00+00:00", True),
        (("02:00", "04:00"), "2026-11-22T03:59:59.999+00:00", True),
        (("02:00", "04:00"), "2026-11-22T04:00:00+00:00", False),
        (("02:00", "04:00"), "2026-11-22T01:59:59+00:00", False),
        # over midnight
        (("22:00", "04:00"), "2026-11-22T22:00:00+00:00", True),
        (("22:00", "04:00"), "2026-11-22T00:00:00+00:00", True),
        (("22:00", "04:00"), "2026-11-22T03:59:00+00:00", True),
        (("22:00", "04:00"), "2026-11-22T04:00:00+00:00", False),
        (("22:00", "00:00"), "2026-11-22T23:59:59+00:00", True),
        (("22:00", "00:00"), "2026-11-22T00:00:00+00:00", False),
        # a zone: 2 o'clock in Vienna is 1 o'clock UTC in winter, midnight in summer
        (("02:00", "04:00", "Europe/Vienna"), "2026-11-22T01:00:00+00:00", True),
        (("02:00", "04:00", "Europe/Vienna"), "2026-11-22T03:00:00+00:00", False),
        (("02:00", "04:00", "Europe/Vienna"), "2026-07-01T00:00:00+00:00", True),
        (("02:00", "04:00", "Europe/Vienna"), "2026-07-01T02:00:00+00:00", False),
        # the hour that comes twice is in it twice
        (("02:00", "03:00", "Europe/Vienna"), "2026-10-25T00:30:00+00:00", True),
        (("02:00", "03:00", "Europe/Vienna"), "2026-10-25T01:30:00+00:00", True),
        (("02:00", "03:00", "Europe/Vienna"), "2026-10-25T02:00:00+00:00", False),
        # the hour that is skipped is not in it at all
        (("02:00", "03:00", "Europe/Vienna"), "2026-03-29T00:59:59+00:00", False),
        (("02:00", "03:00", "Europe/Vienna"), "2026-03-29T01:00:00+00:00", False),
    ],
)
def test_window(hours: tuple[str, ...], at: str, is_open: bool) -> None:
    assert window(*hours).open_at(datetime.fromisoformat(at)) is is_open


@pytest.mark.parametrize(
    ("hours", "at", "opens"),
    [
        (("02:00", "04:00"), "2026-11-22T12:00:00+00:00", "2026-11-23T02:00:00+00:00"),
        (("02:00", "04:00"), "2026-11-22T01:00:00+00:00", "2026-11-22T02:00:00+00:00"),
        (("02:00", "04:00"), "2026-11-22T03:00:00+00:00", "2026-11-22T03:00:00+00:00"),
        (("22:00", "04:00"), "2026-11-22T12:00:00+00:00", "2026-11-22T22:00:00+00:00"),
        (("02:00", "04:00", "Europe/Vienna"), "2026-11-22T12:00:00+00:00", "2026-11-23T01:00:00+00:00"),
        # after the first of the two
        (("02:30", "02:45", "Europe/Vienna"), "2026-10-25T00:50:00+00:00", "2026-10-25T01:30:00+00:00"),
        # skipped on the 29th
        (("02:00", "03:00", "Europe/Vienna"), "2026-03-28T12:00:00+00:00", "2026-03-30T00:00:00+00:00"),
        (("02:00", "05:00", "Europe/Vienna"), "2026-03-28T12:00:00+00:00", "2026-03-29T01:00:00+00:00"),
        # far in the east it is tomorrow already
        (("02:00", "04:00", "Pacific/Kiritimati"), "2026-11-22T15:00:00+00:00", "2026-11-23T12:00:00+00:00"),
    ],
)
def test_next_opening(hours: tuple[str, ...], at: str, opens: str) -> None:
    assert window(*hours).next_opening(datetime.fromisoformat(at)) == datetime.fromisoformat(opens)


def test_a_window_in_words() -> None:
    assert str(window("22:00", "04:00:30", "Europe/Vienna")) == "22:00 to 04:00:30 Europe/Vienna"


# -- the decision: (what was decided, counts, status, phase, how many more, why it stops)

RUNNING, STOPPED = RolloutStatus.RUNNING, RolloutStatus.STOPPED
FINISHED, WAITING = RolloutStatus.FINISHED, RolloutStatus.WAITING
REST = phase(ready=50)


@pytest.mark.parametrize(
    ("fields", "counts", "status", "now_phase", "admit", "stop"),
    [
        # the first phase only, no more than there are places
        ({}, [phase(ready=10), phase(ready=40), REST], RUNNING, 0, 10, ""),
        ({"concurrency": 3}, [phase(ready=10), phase(ready=40), REST], RUNNING, 0, 3, ""),
        ({"concurrency": 3}, [phase(active=2, ready=8), phase(ready=40), REST], RUNNING, 0, 1, ""),
        ({"concurrency": 3}, [phase(active=5, ready=5), phase(ready=40), REST], RUNNING, 0, 0, ""),
        # devices that are away hold no place
        ({"concurrency": 3}, [phase(away=8, ready=2), phase(ready=40), REST], RUNNING, 0, 2, ""),
        # enough of the phase have succeeded: it goes on, whatever the others do
        ({}, [phase(succeeded=9, active=1), phase(ready=40), REST], RUNNING, 1, 19, ""),
        ({}, [phase(succeeded=9, away=1), phase(ready=40), REST], RUNNING, 1, 20, ""),
        ({}, [phase(succeeded=9, failed=1), phase(ready=40), REST], RUNNING, 1, 20, ""),
        ({}, [phase(succeeded=8, active=2), phase(ready=40), REST], RUNNING, 0, 0, ""),
        # a phase of one device, an empty one
        ({}, [phase(ready=1), phase(ready=1), phase(ready=1)], RUNNING, 0, 1, ""),
        ({}, [phase(succeeded=1), phase(ready=1), phase(ready=1)], RUNNING, 1, 1, ""),
        ({}, [phase(succeeded=1), phase(), phase(ready=1)], RUNNING, 2, 1, ""),
        ({}, [phase(failed=1), phase(ready=1), phase(ready=1)], STOPPED, 0, 0, "1 of the 1 updates"),
        # nothing has to succeed: all phases at once; everything has to
        ({"success_threshold": 0}, [phase(ready=1), phase(ready=4), REST], RUNNING, 2, 20, ""),
        ({"success_threshold": 100}, [phase(succeeded=9, active=1), phase(ready=4), REST], RUNNING, 0, 0, ""),
        ({"success_threshold": 100}, [phase(succeeded=10), phase(ready=4), REST], RUNNING, 1, 4, ""),
        ({"success_threshold": 100, "error_threshold": 100}, [phase(succeeded=9, failed=1), phase(ready=4), REST],
         STOPPED, 0, 0, "Phase 1 cannot succeed"),
        # no failure is too many; one is
        ({"error_threshold": 100, "success_threshold": 0}, [phase(failed=10), phase(ready=4), REST],
         RUNNING, 2, 20, ""),
        ({"error_threshold": 0}, [phase(succeeded=99, failed=1), phase(ready=4), REST], STOPPED, 0, 0, "1 of the 100"),
        # 2 of 5, at 10 %
        ({}, [phase(failed=2, ready=3), phase(ready=4), REST], STOPPED, 0, 0, "2 of the 2 updates"),
        ({}, [phase(failed=2, succeeded=3), phase(ready=4), REST], STOPPED, 0, 0, "2 of the 5 updates"),
        # exactly the threshold is not more than it
        ({"phase": 2}, [phase(succeeded=10), phase(succeeded=40), phase(succeeded=40, failed=10, ready=50)],
         RUNNING, 2, 20, ""),
        ({"phase": 2}, [phase(succeeded=10), phase(succeeded=39), phase(succeeded=40, failed=10, ready=50)],
         STOPPED, 2, 0, "10 of the 99"),
        # the first one to end of many failed: too few to judge by
        ({}, [phase(failed=1, ready=499), phase(ready=4), REST], RUNNING, 0, 20, ""),
        ({}, [phase(failed=2, succeeded=7, ready=491), phase(ready=4), REST], RUNNING, 0, 20, ""),
        ({}, [phase(failed=2, succeeded=8, ready=490), phase(ready=4), REST], STOPPED, 0, 0, "2 of the 10"),
        # failures of phases that have not begun (a device by itself) do not count
        ({}, [phase(ready=10), phase(failed=5), REST], RUNNING, 0, 10, ""),
        # it is not stopped twice, and nothing is stopped when nothing is left
        ({"stopped": True}, [phase(failed=2, ready=3), phase(ready=4), REST], STOPPED, 0, 0, ""),
        ({"phase": 2}, [phase(succeeded=1), phase(succeeded=1), phase(failed=8)], FINISHED, 2, 0, ""),
        ({"stopped": True}, [phase(failed=2), phase(), phase()], FINISHED, 0, 0, ""),
        # a device that is retried in an earlier phase goes first again
        ({"phase": 2}, [phase(succeeded=4, ready=1), phase(succeeded=20), phase(succeeded=9, active=20)],
         RUNNING, 2, 0, ""),
        # paused, cancelled, not yet
        ({"paused": True}, [phase(ready=10), phase(ready=4), REST], RolloutStatus.PAUSED, 0, 0, ""),
        ({"paused": True}, [phase(failed=2, active=3), phase(ready=4), REST], STOPPED, 0, 0, "2 of the 2"),
        ({"cancelled": True}, [phase(active=1), phase(), phase()], RolloutStatus.CANCELLED, 0, 0, ""),
        ({"start_at": datetime(2026, 11, 23, tzinfo=UTC)}, [phase(ready=10), phase(ready=4), REST],
         RolloutStatus.SCHEDULED, 0, 0, ""),
        ({"start_at": NOON}, [phase(ready=10), phase(ready=4), REST], RUNNING, 0, 10, ""),
        ({"window": window("12:00", "13:00")}, [phase(ready=10), phase(ready=4), REST], RUNNING, 0, 10, ""),
        ({"window": window("13:00", "14:00")}, [phase(ready=10), phase(ready=4), REST], WAITING, 0, 0, ""),
        # what began goes on outside of it, and may fail there
        ({"window": window("13:00", "14:00")}, [phase(active=1, failed=1), phase(ready=4), REST],
         STOPPED, 0, 0, "1 of"),
        # all through; devices may still come
        ({"standing": True, "phase": 2}, [phase(succeeded=1), phase(), phase()], WAITING, 2, 0, ""),
        ({"standing": True, "phase": 2}, [phase(succeeded=1), phase(), phase(ready=2)], RUNNING, 2, 2, ""),
    ],
)  # fmt: skip
def test_decide(
    fields: dict[str, Any],
    counts: list[PhaseCounts],
    status: RolloutStatus,
    now_phase: int,
    admit: int,
    stop: str,
) -> None:
    found = decide(rollout(**fields), counts, NOON)
    assert (found.status, found.phase, found.admit) == (status, now_phase, admit)
    assert found.stop.startswith(stop)
    assert bool(found.stop) == bool(stop)


@pytest.mark.parametrize(
    ("fields", "counts", "waits", "until"),
    [
        ({}, [phase(active=1, away=9), phase(ready=4), REST], "", None),
        ({}, [phase(succeeded=7, away=3), phase(ready=4), REST],
         "Phase 2 begins when 9 of the 10 devices of phase 1 have succeeded; 7 have. "
         "It waits for 3 devices that are away or asleep.", None),
        ({"phase": 2}, [phase(succeeded=7), phase(), phase(away=1)],
         "Waits for a device that is away or asleep.", None),
        ({"start_at": datetime(2026, 11, 23, tzinfo=UTC)}, [phase(ready=1), phase(), phase()],
         "Waits for its start.", datetime(2026, 11, 23, tzinfo=UTC)),
        ({"window": window("13:00", "14:00")}, [phase(active=2, ready=1), phase(), phase()],
         "Waits for its daily window, 13:00 to 14:00 UTC; 2 that began go on.", datetime(2026, 11, 22, 13, tzinfo=UTC)),
        ({"paused": True}, [phase(ready=1), phase(), phase()], "Waits until somebody resumes it.", None),
    ],
)  # fmt: skip
def test_what_is_waited_for(
    fields: dict[str, Any], counts: list[PhaseCounts], waits: str, until: datetime | None
) -> None:
    found = decide(rollout(**fields), counts, NOON)
    assert (found.waits, found.until) == (waits, until)
