"""What becomes of a command after an attempt: pure rules, no database (docs/architecture.md, "Command states")."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from backend.commands.models import REPEATABLE, Kind, State

# a device that stays silent is asked again after this long, doubling
FIRST_DELAY = timedelta(seconds=5)
LONGEST_DELAY = timedelta(minutes=5)
# Leshan was restarted, or a registration ended: the device has to register again anyway
SOON = timedelta(seconds=1)
# what Leshan says of a request that came to nothing through no fault of the request
_PASSING = ("Request rejected", "Request cancelled", "Unexpected exception")
# … and of the write of a package that it does not have
_NO_PACKAGE = "there is no package"
# in place of a device's status: the package has to be handed over first, then it can be asked again
PACKAGE_MISSING = "PACKAGE-MISSING"
# the device answered, but not what can be understood
_UNREADABLE = "Invalid Response"

# the device's own words (LwM2M Core 1.1, 6.3; RFC 7252, 5.9) for people
_WORDS = {
    "400": "bad request: the device does not accept what was asked",
    "401": "unauthorised: the device does not let this server do that",
    "403": "forbidden: the device does not let this server do that",
    "404": "not found: the device has no such object, instance or resource",
    "405": "method not allowed: the device does not offer this operation there",
    "406": "not acceptable: the device cannot answer in this content format",
    "408": "request entity incomplete: a block of the transfer was missing",
    "409": "conflict: the device is in a state that does not allow it",
    "412": "precondition failed: the device refuses it as it stands",
    "413": "request entity too large: the device has no room for it",
    "415": "unsupported content format: the device does not read this format",
    "500": "internal server error: the device failed while it did it",
    "501": "not implemented: the device does not know this operation",
    "503": "service unavailable: the device cannot do it just now",
}


@dataclass(frozen=True, slots=True)
class Record:
    """How a request ended, as Leshan tells it (docs/leshan-api.md, "Requests")."""

    request_id: str
    # answered, timeout, cancelled, failed, unknown
    outcome: str
    response: Mapping[str, Any] | None = None
    error: str = ""
    # has any datagram of it left? false only where that is certain
    sent: bool = True
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be written into the command's row, if that is still in this attempt.

    A state of `queued` gives it back: after `delay`, or `silent`: the device did not answer (one with queue mode is
    asked when it gives a sign of life). `counted` false: the attempt never was one, its Request-Id is still unused.
    `in_doubt`: should it end now, nobody knows whether the device did it.
    """

    state: str
    reason: str = ""
    answer: Mapping[str, Any] | None = field(default=None)
    status: str = ""
    duration_ms: int | None = None
    delay: timedelta | None = None
    silent: bool = False
    counted: bool = True
    in_doubt: bool = False


def delay_after(attempts: int, *, first: timedelta = FIRST_DELAY) -> timedelta:
    """The wait after that many attempts (from 1) that nobody answered."""
    doublings: int = min(max(0, attempts - 1), 10)
    return min(LONGEST_DELAY, first * (1 << doublings))


def status_words(status: str, message: str = "") -> str:
    """A device's refusal: `"NOT_FOUND(404)"` → `"4.04 not found: the device has …"`, with what it said itself."""
    code = status.partition("(")[2].removesuffix(")")
    digits = code if len(code) == 3 and code.isdecimal() else ""
    words = _WORDS.get(digits, status.partition("(")[0].replace("_", " ").lower() or "refused")
    said = f" (it says: {message})" if message else ""
    return (f"{digits[0]}.{digits[1:]} {words}" if digits else words) + said


def refusal(status: str, message: str = "") -> str:
    """The sentence for a device's refusal."""
    return f"The device refuses: {status_words(status, message)}"


def verdict(record: Record, *, kind: str, attempts: int, expires_at: datetime) -> Verdict:
    """The rule for a request that ended."""
    if record.outcome == "answered":
        return _answered(record)
    repeatable = kind in REPEATABLE
    if record.outcome == "cancelled":
        return Verdict(State.CANCELLED, _cancelled(record.sent, kind), duration_ms=record.duration_ms)
    if record.outcome == "failed":
        return _failed(record, kind=kind, attempts=attempts)
    restarted = record.outcome == "unknown"
    if not restarted and record.outcome != "timeout":
        return Verdict(State.FAILED, f"Leshan tells of an outcome that is not known: {record.outcome!r:.40}")
    what = "the LwM2M server was restarted" if restarted else "the device did not answer"
    if not repeatable and record.sent:
        return Verdict(State.FAILED, f"{what}: unknown whether the device did it", duration_ms=record.duration_ms)
    doubt = record.sent and not _harmless(kind)
    if restarted:
        return Verdict(State.QUEUED, f"{what}, asking again", delay=SOON, in_doubt=doubt)
    return Verdict(
        State.QUEUED,
        f"no answer yet (attempt {attempts}), trying again until {expires_at:%Y-%m-%d %H:%M:%S} UTC",
        delay=delay_after(attempts),
        silent=True,
        in_doubt=doubt,
    )


def _answered(record: Record) -> Verdict:
    response = dict(record.response or {})
    status = str(response.get("status") or "")[:40]
    if response.get("success"):
        return Verdict(State.SUCCEEDED, "", response, status, record.duration_ms)
    said = refusal(status, str(response.get("errormessage") or "")[:500])
    return Verdict(State.FAILED, said, response, status, record.duration_ms)


def package_missing(error: str) -> bool:
    """Does Leshan, by these words, not have the package that was to be written?"""
    return _NO_PACKAGE in error.lower()


def without_package(error: str) -> Verdict:
    """Nothing was sent: Leshan does not have the package."""
    return Verdict(State.FAILED, error, status=PACKAGE_MISSING)


def _failed(record: Record, *, kind: str, attempts: int) -> Verdict:
    error = record.error or "no reason given"
    if kind == Kind.WRITE_PACKAGE and package_missing(error):
        return without_package(error)
    passing = error.startswith(_PASSING)
    if passing and (not record.sent or kind in REPEATABLE):
        # such as a registration that ended in the middle: the next one, which may be there already, is asked again
        return Verdict(
            State.QUEUED,
            f"{error} (attempt {attempts}), trying again",
            delay=delay_after(attempts, first=SOON),
            in_doubt=record.sent and not _harmless(kind),
        )
    doubt = record.sent and not error.startswith(_UNREADABLE) and not _harmless(kind)
    text = f"{error}: unknown whether the device did it" if doubt else error
    return Verdict(State.FAILED, text, duration_ms=record.duration_ms)


def _harmless(kind: str) -> bool:
    """Does it change nothing on the device?"""
    return kind in {Kind.READ, Kind.DISCOVER, Kind.READ_COMPOSITE}


def _cancelled(sent: bool, kind: str) -> str:
    if not sent:
        return "Cancelled before anything of it was sent to the device"
    if _harmless(kind):
        return "Cancelled before the device's answer came"
    return "Cancelled after it was sent: unknown whether the device did it"


def lost(*, kind: str, repeat: bool) -> Verdict:
    """Leshan knows nothing of it. `repeat`: it certainly never had it; else it lost its data."""
    if repeat or kind in REPEATABLE:
        return Verdict(State.QUEUED, "the LwM2M server lost the request, asking again", delay=SOON, in_doubt=not repeat)
    return Verdict(State.FAILED, "the LwM2M server lost its data: unknown whether the device did it")


def answered_by_server(response_status: str = "") -> Verdict:
    """What was to be achieved is so already, by Leshan's word."""
    return Verdict(State.SUCCEEDED, "", None, response_status)
