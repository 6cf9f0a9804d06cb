"""What every state means and what to do about it: one text for badges, the legend and the pages."""

from dataclasses import dataclass

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
