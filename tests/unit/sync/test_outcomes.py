"""What becomes of a command: every outcome that Leshan can tell of."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backend.commands.models import REPEATABLE, Kind, State
from backend.commands.services.outcomes import Record, Verdict, delay_after, lost, status_words, verdict

UNTIL = datetime(2027, 1, 1, 12, 0, tzinfo=UTC)


def decide(kind: Kind, outcome: str, *, attempts: int = 1, **fields: Any) -> Verdict:
    return verdict(Record("1-a", outcome, **fields), kind=kind, attempts=attempts, expires_at=UNTIL)


@pytest.mark.parametrize("kind", Kind.values)
def test_an_answer_ends_every_kind(kind: str) -> None:
    done = decide(Kind(kind), "answered", response={"success": True, "status": "CHANGED(204)"}, duration_ms=5)
    assert (done.state, done.reason, done.status, done.duration_ms) == (State.SUCCEEDED, "", "CHANGED(204)", 5)
    response = {"success": False, "status": "METHOD_NOT_ALLOWED(405)", "errormessage": "no"}
    refused = decide(Kind(kind), "answered", response=response)
    assert refused.state == State.FAILED
    assert refused.reason.startswith("The device refuses: 4.05 method not allowed")
    assert refused.reason.endswith("(it says: no)")
    assert refused.answer == response


@pytest.mark.parametrize("outcome", ["timeout", "unknown"])
@pytest.mark.parametrize("sent", [True, False])
@pytest.mark.parametrize("kind", Kind.values)
def test_silence_is_asked_again_unless_that_could_do_it_twice(kind: str, sent: bool, outcome: str) -> None:
    given = decide(Kind(kind), outcome, sent=sent)
    if kind in REPEATABLE or not sent:
        assert given.state == State.QUEUED
        assert given.delay is not None
        assert given.counted
        assert given.silent == (outcome == "timeout")
    else:
        assert given.state == State.FAILED
        assert "unknown whether the device did it" in given.reason


def test_the_reason_of_a_wait_says_until_when() -> None:
    given = decide(Kind.READ, "timeout", attempts=3)
    assert given.reason == "no answer yet (attempt 3), trying again until 2027-01-01 12:00:00 UTC"
    assert given.delay == timedelta(seconds=20)
    assert [delay_after(count).total_seconds() for count in (1, 2, 7, 1000)] == [5, 10, 300, 300]


def test_cancelled_tells_the_truth_about_what_was_sent() -> None:
    assert "before anything of it was sent" in decide(Kind.EXECUTE, "cancelled", sent=False).reason
    assert "unknown whether" in decide(Kind.EXECUTE, "cancelled").reason
    assert "unknown whether" in decide(Kind.WRITE, "cancelled").reason
    assert "unknown" not in decide(Kind.READ, "cancelled").reason


@pytest.mark.parametrize(
    ("kind", "error", "sent", "state", "doubt"),
    [
        (Kind.READ, "Request cancelled: registration ended", True, State.QUEUED, False),
        (Kind.EXECUTE, "Request cancelled: registration ended", True, State.FAILED, True),
        (Kind.EXECUTE, "Request cancelled: registration ended", False, State.QUEUED, False),
        (Kind.READ, "Invalid Response: codec", True, State.FAILED, False),
        (Kind.EXECUTE, "Invalid Response: codec", True, State.FAILED, False),
        (Kind.WRITE, "Invalid request: type", False, State.FAILED, False),
        (Kind.CREATE, "Something odd", True, State.FAILED, True),
        (Kind.READ, "", False, State.FAILED, False),
    ],
)
def test_what_leshan_could_not_do(kind: Kind, error: str, sent: bool, state: str, doubt: bool) -> None:
    given = decide(kind, "failed", error=error, sent=sent)
    assert given.state == state
    assert given.reason
    assert ("unknown whether" in given.reason) == doubt


def test_after_the_end_of_a_registration_it_goes_on_at_once() -> None:
    delays = [
        decide(Kind.READ, "failed", error="Request cancelled: registration ended", attempts=count).delay
        for count in (1, 2, 3, 1000)
    ]
    assert [delay and delay.total_seconds() for delay in delays] == [1, 2, 4, 300]


def test_an_outcome_of_the_future_ends_it() -> None:
    assert decide(Kind.READ, "exploded").state == State.FAILED


def test_a_server_that_lost_its_data() -> None:
    assert lost(kind=Kind.READ, repeat=False).state == State.QUEUED
    assert lost(kind=Kind.EXECUTE, repeat=True).state == State.QUEUED
    assert lost(kind=Kind.EXECUTE, repeat=False).state == State.FAILED


def test_words_of_codes() -> None:
    assert status_words("NOT_FOUND(404)").startswith("4.04 not found")
    assert status_words("TOO_MANY_REQUESTS(429)") == "4.29 too many requests"
    assert status_words("", "x") == "refused (it says: x)"
