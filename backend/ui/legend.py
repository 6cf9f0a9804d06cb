"""What every state means and what to do about it: one text for badges, the legend and the pages."""

from dataclasses import dataclass

from backend.commands.models import State
from backend.devices.models import Observation, Status


@dataclass(frozen=True)
class StateInfo:
    """One state in words."""

    key: str
    label: str
    # the symbol in icons.svg: states differ in shape, not only in colour
    shape: str
    meaning: str
    advice: str


DEVICE_STATES: dict[str, StateInfo] = {
    info.key: info
    for info in (
        StateInfo(
            Status.ONLINE,
            Status.ONLINE.label,
            "online",
            "The device is registered and can be reached now.",
            "Nothing to do.",
        ),
        StateInfo(
            Status.ASLEEP,
            Status.ASLEEP.label,
            "asleep",
            "The device is registered in queue mode and has stopped listening, as battery devices do. "
            "It says when it is awake by sending something.",
            "Nothing to do: “next expected” tells by when it must be heard again. If that time has passed, "
            "look at its battery and its radio.",
        ),
        StateInfo(
            Status.OFFLINE,
            Status.OFFLINE.label,
            "offline",
            "The device's registration is over: its lifetime ran out without an update, or it signed off, or the "
            "server no longer knows it. The device's page says which.",
            "Check its power and network. A device that comes back registers by itself; one that is turned away is "
            "listed under refused connections, with the reason.",
        ),
        StateInfo(
            Status.NEVER_SEEN,
            Status.NEVER_SEEN.label,
            "never_seen",
            "The device may connect, but has never done so.",
            "Put its files (certs/devices/NAME/) on it and point it at coaps://THIS-SERVER:5684. If it tries and "
            "fails, the refused connections say why: the name in the certificate must be the endpoint name.",
        ),
        StateInfo(
            Status.BLOCKED,
            Status.BLOCKED.label,
            "blocked",
            "The device's credential was revoked: it cannot connect, whatever it sends.",
            "If that was a mistake, issue a new credential: scripts/certs device NAME.",
        ),
    )
}

OBSERVATION_STATES: dict[str, StateInfo] = {
    info.key: info
    for info in (
        StateInfo(
            Observation.State.ACTIVE,
            Observation.State.ACTIVE.label,
            "online",
            "The device tells us of new values of this path by itself.",
            "Nothing to do.",
        ),
        StateInfo(
            Observation.State.WANTED,
            Observation.State.WANTED.label,
            "never_seen",
            "We want to observe this path; the request goes out while the device is registered and awake.",
            "Nothing to do while the device sleeps or is offline. On an online device it takes a few seconds.",
        ),
        StateInfo(
            Observation.State.FAILED,
            Observation.State.FAILED.label,
            "offline",
            "The device refused to be observed on this path, or ended the observation. The reason stands beside it.",
            "A device that does not have the path, or has too many observations already, says so with its code. "
            "It is tried again at the next registration.",
        ),
    )
}

COMMAND_STATES: dict[str, StateInfo] = {
    info.key: info
    for info in (
        StateInfo(
            State.QUEUED,
            State.QUEUED.label,
            "asleep",
            "The command waits for its turn: for the device to wake or to register again, or for the one before it.",
            "Nothing to do: it goes out by itself. It can be cancelled until then.",
        ),
        StateInfo(
            State.SENT,
            State.SENT.label,
            "never_seen",
            "The command is on its way; the device has not answered yet.",
            "Nothing to do. A device that has just fallen asleep is asked again when it wakes.",
        ),
        StateInfo(
            State.SUCCEEDED,
            State.SUCCEEDED.label,
            "online",
            "The device did it and said so.",
            "Nothing to do.",
        ),
        StateInfo(
            State.FAILED,
            State.FAILED.label,
            "offline",
            "The device refused, or it is unknown whether it did it. The reason stands beside it.",
            "4.04: the device has no such path. 4.05: it does not allow the operation there. 4.00: it does not take "
            "the value. Correct the command, or repeat it where repeating does no harm.",
        ),
        StateInfo(
            State.EXPIRED,
            State.EXPIRED.label,
            "offline",
            "The device was not heard before the command's time was over.",
            "See on the device's page when it was last heard. The command can be repeated.",
        ),
        StateInfo(
            State.CANCELLED,
            State.CANCELLED.label,
            "blocked",
            "A person called the command back.",
            "Nothing to do. The reason says whether the device may have received it all the same.",
        ),
    )
}
