"""What every state means and what to do about it: one text for badges, the legend and the pages."""

from dataclasses import dataclass

from backend.commands.models import State
from backend.devices.models import Observation, Status
from backend.firmware.models import UpdateState


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

UPDATE_STATES: dict[str, StateInfo] = {
    info.key: info
    for info in (
        StateInfo(
            UpdateState.PENDING,
            UpdateState.PENDING.label,
            "clock",
            "The update has not begun: it waits for its turn in the campaign, for the device to register or wake, or "
            "for another update of the device. The reason stands beside it.",
            "Nothing to do: it begins by itself. It can be cancelled until the device installs it.",
        ),
        StateInfo(
            UpdateState.DOWNLOADING,
            UpdateState.DOWNLOADING.label,
            "arrow",
            "The package is on its way to the device: pushed block by block, or fetched by the device.",
            "Nothing to do. A transfer that stalls is noticed and tried again; the time left is told beside the bar.",
        ),
        StateInfo(
            UpdateState.DOWNLOADED,
            UpdateState.DOWNLOADED.label,
            "half",
            "The device has the whole package and says that it is intact.",
            "Nothing to do: it is told to install it.",
        ),
        StateInfo(
            UpdateState.UPDATING,
            UpdateState.UPDATING.label,
            "never_seen",
            "The device installs the package, restarts, and must then stay registered for the hold time.",
            "Nothing to do, and no cancelling any more. A device that does not come back is failed, with a reason.",
        ),
        StateInfo(
            UpdateState.SUCCEEDED,
            UpdateState.SUCCEEDED.label,
            "online",
            "The device runs the new firmware and has stayed registered with it.",
            "Nothing to do. Where the version is not the expected one, the reason says so.",
        ),
        StateInfo(
            UpdateState.FAILED,
            UpdateState.FAILED.label,
            "offline",
            "The update ended without the new firmware. The reason says what happened, why, and what to do.",
            "Do what the reason advises, then retry: the device is reset first and everything begins anew.",
        ),
        StateInfo(
            UpdateState.CANCELLED,
            UpdateState.CANCELLED.label,
            "blocked",
            "A person called the update back, or a newer one took its place, before the device installed anything.",
            "Nothing to do: the device runs what it ran before.",
        ),
    )
}

CAMPAIGN_STATES: dict[str, StateInfo] = {
    info.key: info
    for info in (
        StateInfo(
            "scheduled",
            "Scheduled",
            "clock",
            "The campaign begins at its start time.",
            "Nothing to do. It can be paused or cancelled before.",
        ),
        StateInfo(
            "running",
            "Running",
            "arrow",
            "Devices are being updated, so many at once as the campaign allows.",
            "Nothing to do. It goes on when all pages are closed.",
        ),
        StateInfo(
            "waiting",
            "Waiting",
            "asleep",
            "The time of day is outside the campaign's window: what has begun goes on, nothing new begins.",
            "Nothing to do: it goes on when the window opens.",
        ),
        StateInfo(
            "paused",
            "Paused",
            "pause",
            "A person paused it: what has begun goes on, nothing new begins.",
            "Resume it when it may go on.",
        ),
        StateInfo(
            "stopped",
            "Stopped",
            "offline",
            "More devices failed than the campaign allows, so the rest was left alone.",
            "Look at the failed devices and their reasons. Resume to go on with the rest, or cancel it.",
        ),
        StateInfo(
            "finished",
            "Finished",
            "online",
            "Every device's update has ended.",
            "Nothing to do, or retry the devices that failed.",
        ),
        StateInfo(
            "cancelled",
            "Cancelled",
            "blocked",
            "A person ended it: what had not begun was cancelled.",
            "Nothing to do.",
        ),
    )
}
