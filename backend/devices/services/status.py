"""The rules of a device's status (docs/architecture.md): pure."""

from enum import StrEnum

from backend.devices.models import Status


class Sign(StrEnum):
    """What tells us how a device is."""

    # any message that is not about the registration: a value, the answer to a request
    MESSAGE = "message"
    REGISTERED = "registered"
    AWAKE = "awake"
    ASLEEP = "asleep"
    # deregistered, expired, revoked, vanished; not `replaced`, which a new registration follows at once
    GONE = "gone"


_NEXT = {
    Sign.MESSAGE: Status.ONLINE,
    Sign.REGISTERED: Status.ONLINE,
    Sign.AWAKE: Status.ONLINE,
    Sign.ASLEEP: Status.ASLEEP,
    Sign.GONE: Status.OFFLINE,
}


def status_next(*, status: str, sign: Sign, late: bool = False) -> Status:
    """The status after a sign.

    `late`: the sign is older than what made the status, so it changes nothing. Blocked stays blocked: only a new
    credential lifts that. A device that is gone or was never seen does not fall asleep.
    """
    current = Status(status)
    if current is Status.BLOCKED or late:
        return current
    if sign is Sign.ASLEEP and current not in {Status.ONLINE, Status.ASLEEP}:
        return current
    return _NEXT[sign]
