"""Every way in which a firmware update can end: what happened, what is likely behind it, what to do.

docs/firmware.md lists the same for readers.
"""

from dataclasses import dataclass
from typing import Any

from backend.firmware.models import UpdateState

# Update Result (5/x/5) → the ending's code (LwM2M Core 1.1, E.6; 10 and 11: version 1.1 of the object)
RESULT_CODES = {
    2: "no-space",
    3: "no-memory",
    4: "connection-lost",
    5: "integrity",
    6: "unsupported",
    7: "invalid-uri",
    8: "install-failed",
    9: "protocol",
    10: "cancelled-by-device",
    11: "deferred",
}


@dataclass(frozen=True, slots=True)
class Ending:
    """One way to end. `happened` may name facts in braces; the other sentences hold for every update."""

    code: str
    state: UpdateState
    title: str
    happened: str
    # "" where there is nothing to explain or to do
    cause: str = ""
    remedy: str = ""


_OK, _NO, _BACK = UpdateState.SUCCEEDED, UpdateState.FAILED, UpdateState.CANCELLED

ENDINGS: dict[str, Ending] = {
    ending.code: ending
    for ending in (
        Ending("succeeded", _OK, "Succeeded", "The device runs the new firmware{version}, and it has stayed."),
        Ending(
            "already-running",
            _OK,
            "Already on this version",
            "The device says that it runs version {after} already: nothing was sent.",
            "",
            "To install it all the same, start an update with force.",
        ),
        Ending(
            "succeeded-version-unchanged",
            _OK,
            "Succeeded, but the version did not change",
            "The device reports success (Update Result 1), but still says that it runs version {after}; "
            "the image is version {wanted}.",
            "Some devices report a constant version; or the image was built with the old version number; or the device "
            "went back to the old firmware without saying so.",
            "Check on the device which firmware it runs.",
        ),
        Ending(
            "succeeded-other-version",
            _OK,
            "Succeeded, with another version than expected",
            "The device reports success (Update Result 1) and says that it runs version {after}; the image is version "
            "{wanted}.",
            "The version in the image's header, or the one that was typed in for it, is not the one that the firmware "
            "says of itself.",
            "Build image and firmware with the same version, or correct the image's version here.",
        ),
        Ending(
            "no-space",
            _NO,
            "No room in flash",
            "The device has not enough flash for the package (Update Result 2).",
            "The image of {size} bytes is larger than the slot for it, or an older package still takes its place.",
            "Compare the image's size with the device's update slot; build a smaller image.",
        ),
        Ending(
            "no-memory",
            _NO,
            "Out of memory",
            "The device ran out of RAM while it took the package (Update Result 3).",
            "Too little heap, or too small a buffer for blocks of the package.",
            "Give the device more heap or smaller blocks; restart it and try again.",
        ),
        Ending(
            "connection-lost",
            _NO,
            "Connection lost",
            "The connection was lost during the transfer. {tries}{detail}",
            "Poor reception, a NAT that forgets the device in the middle, or a device that restarts under load (Update "
            "Result 4 where the device says so itself).",
            "Look at the device's registrations in this time; improve reception, or try another method (push or pull).",
        ),
        Ending(
            "integrity",
            _NO,
            "Integrity check failed",
            "The device finds the package damaged (Update Result 5). {tries}",
            "The image is signed with a key that the device does not trust, is not meant for its boot loader, or its "
            "flash does not keep what is written.",
            "Check the signature and for which board the image was built.",
        ),
        Ending(
            "unsupported",
            _NO,
            "Package type not supported",
            "The device does not support this type of package (Update Result 6).",
            "The image is not for this device: another board, another format, or the wrong firmware instance.",
            "Choose an image that was built for this device; restrict the image to a manufacturer and model.",
        ),
        Ending(
            "invalid-uri",
            _NO,
            "Invalid URI",
            "The device finds the package's URI invalid (Update Result 7).",
            "The device cannot parse or resolve the address, or takes no URI that long.",
            "Try push; or set the server's --package-host to an address that the device can reach.",
        ),
        Ending(
            "install-failed",
            _NO,
            "Installation failed",
            "The device could not install the package (Update Result 8).",
            "The boot loader refused the image (signature, version, dependency), or it failed its own test and was "
            "taken back.",
            "Read the device's log from the restart on; check how the image is signed and its version.",
        ),
        Ending(
            "protocol",
            _NO,
            "Protocol not supported",
            "The device does not support the protocol of the package's URI (Update Result 9).",
            "It lists other protocols (5/x/8) than it can do, or none.",
            "Try push.",
        ),
        Ending(
            "cancelled-by-device",
            _NO,
            "Cancelled at the device",
            "The update was cancelled at the device (Update Result 10).",
            "Somebody executed Cancel (5/x/10), or the device itself gave up the update.",
            "Retry when the device is ready for it.",
        ),
        Ending(
            "deferred",
            _NO,
            "Deferred by the device",
            "The device puts the update off (Update Result 11).",
            "Its user, or a limit such as the battery's charge, does not allow it now.",
            "Retry later.",
        ),
        Ending(
            "refused",
            _NO,
            "Refused by the device",
            "The device refuses a request of the update. {tries}{detail}",
            "The device's firmware object does not allow this now, or does not allow it to this server.",
            "Read the answer above; restart the device and try again, or try another method (push or pull).",
        ),
        Ending(
            "transfer-stalled",
            _NO,
            "Transfer stalled",
            "The transfer stood still: nothing moved for {stall} seconds after {sent} of {size} bytes. {tries}",
            "The device stopped answering or fetching: it hangs, writes to slow flash, or lost the network without "
            "noticing.",
            "Look at the device's log; if it needs longer pauses, raise FLOWNEXUS_FIRMWARE_STALL_SECONDS.",
        ),
        Ending(
            "transfer-timeout",
            _NO,
            "Transfer too slow",
            "The transfer took too long for its speed: {sent} of {size} bytes came over before its deadline. {tries}",
            "Under 50 bytes a second on average, or a speed that broke down in the middle.",
            "Improve reception, or use larger blocks on the device.",
        ),
        Ending(
            "not-downloaded",
            _NO,
            "Package not kept",
            "The transfer ended, but the device does not report the package as downloaded (State 2). {tries}{detail}",
            "The device forgot it in a restart, or dropped it without giving an Update Result.",
            "Look at the device's log during the transfer.",
        ),
        Ending(
            "not-reset",
            _NO,
            "Earlier update not forgotten",
            "The device keeps the state of an earlier update (State {state}, Update Result {result}) although it was "
            "told to forget it.",
            "It does not implement the reset (an empty write to 5/x/1 or 5/x/0), or its firmware object hangs.",
            "Restart the device, then retry.",
        ),
        Ending(
            "not-started",
            _NO,
            "Installation did not start",
            "The device was told {executes} to install the package, and still says that it is only downloaded (State "
            "2).{detail}",
            "It does not take the execute of 5/x/2, waits for its user, or its battery is too low for it.",
            "Look at the device's log; restart it and retry.",
        ),
        Ending(
            "stuck-updating",
            _NO,
            "Stuck while installing",
            "The device says since {since} that it installs the package (State 3), and did not finish in time.",
            "The installation hangs, or the restart that belongs to it never comes.",
            "Restart the device; where it needs longer, raise FLOWNEXUS_FIRMWARE_INSTALL_SECONDS.",
        ),
        Ending(
            "not-back",
            _NO,
            "Did not come back",
            "The device was told to install the package and was not heard properly again until the deadline.{detail}",
            "The new firmware does not start, does not connect (credentials, network, server address), or takes longer "
            "than allowed.",
            "Look at the device. When it registers again, the update is looked at anew by itself.",
        ),
        Ending(
            "no-change",
            _NO,
            "Nothing changed",
            "The device gave no Update Result and runs {after} as before.",
            "The boot loader did not accept the image and started the old one, or the device restarted without "
            "installing.",
            "Read the boot loader's log; check how the image is signed and its version.",
        ),
        Ending(
            "rolled-back",
            _NO,
            "Rolled back",
            "The new firmware started, but the device went back to version {after} within the hold time of {hold} "
            "seconds.",
            "The new firmware did not confirm itself, crashed, or lost its connection, so that the boot loader "
            "reverted it.",
            "Read the device's log from the first start of the new firmware on.",
        ),
        Ending(
            "other-version",
            _NO,
            "Another version",
            "The device came back with version {after} and without an Update Result; the image is version {wanted}.",
            "Somebody else updated it at the same time, or the boot loader chose another image.",
            "Check on the device which firmware it runs.",
        ),
        Ending(
            "unstable",
            _NO,
            "The device does not settle",
            "With the new firmware the device registered anew {renewals} times, each time before the hold time of "
            "{hold} seconds was over.",
            "The new firmware restarts again and again, or cannot keep its connection.",
            "Read the device's log; install the old version again.",
        ),
        Ending(
            "unreadable",
            _NO,
            "State cannot be read",
            "The device does not tell the state of its firmware object (5/x/3).{detail}",
            "Its access control does not allow it to this server, or the object is not complete.",
            "Check the device's firmware object; without its State no update can be followed.",
        ),
        Ending(
            "no-firmware-object",
            _NO,
            "No such firmware object",
            "The device lists no firmware object /5/{instance}.{detail}",
            "It cannot be updated over LwM2M. (Software Management, object 9, is something else.)",
            "Choose one of the instances that the device lists, or build its firmware with object 5.",
        ),
        Ending(
            "no-method",
            _NO,
            "No way to deliver",
            "The device and this update have no way in common to deliver the package.{detail}",
            "What it can do is in 5/x/9 (0 pull, 1 push, 2 both) and, for pull, in 5/x/8 (0 CoAP, 1 CoAPs).",
            "Retry with the method as the device can (auto).",
        ),
        Ending(
            "not-compatible",
            _NO,
            "Not for this device",
            "The image is not for this device.{detail}",
            "",
            "Choose another image, correct for which devices the image is, or start the update with force.",
        ),
        Ending(
            "not-signed",
            _NO,
            "Image not signed",
            "Only images that are signed with a registered key are taken here, and this one is not (any more).",
            "The image's key was deleted, or FLOWNEXUS_FIRMWARE_SIGNED_ONLY was switched on after the update was asked "
            "for.",
            "Register the key, or upload a signed image; then retry.",
        ),
        Ending(
            "image-deleted",
            _NO,
            "Image deleted",
            "The image's file was deleted before the device had it.",
            "",
            "Upload the image again and retry.",
        ),
        Ending(
            "package-refused",
            _NO,
            "The LwM2M server refuses the package",
            "The LwM2M server does not take the package, or does not offer it to the device.{detail}",
            "Its disk is full, or its --package-limit is below the image's size.",
            "Put that right, then retry.",
        ),
        Ending(
            "given-up",
            _NO,
            "Given up",
            "The update could not be carried out before {since}.{detail}",
            "The device stayed away, did not answer, or was busy with other updates.",
            "Retry when the device is back.",
        ),
        Ending(
            "device-busy",
            _NO,
            "The device installs something else",
            "The device was installing something else (State 3) and did not finish in time; nothing was sent.",
            "Another server or its user updates it, or an earlier installation hangs.",
            "Restart the device, then retry.",
        ),
        Ending("cancelled", _BACK, "Cancelled", "The update was cancelled{by}.{detail}"),
        Ending("cancelled-campaign", _BACK, "Cancelled with its campaign", "The campaign was cancelled{by}.{detail}"),
        Ending(
            "superseded",
            _BACK,
            "Superseded",
            "A newer update of this device took its place.",
        ),
    )
}

# what an open update waits for: code → in short
WAITING: dict[str, str] = {
    "waiting-turn": "Waits until its campaign lets it begin",
    "waiting-other": "Waits for another update of this device",
    "waiting-device": "Waits for the device",
    "waiting-server": "Waits for the LwM2M server",
    "waiting-identity": "Waits until the device says what it is",
    "waiting-awake": "Waits until the device wakes up",
    "waiting-install": "Waits until the device has installed something else",
    "waiting-package": "Waits until the LwM2M server has the package",
}


class _Facts(dict[str, Any]):
    def __missing__(self, name: str) -> str:
        return ""


def ending_reason(code: str, **facts: Any) -> str:
    """The whole reason for people: what happened, the likely cause, what to do. Facts not given are left out.

    `detail`: a sentence more. Raises KeyError on an unknown code.
    """
    ending = ENDINGS[code]
    if facts.get("detail"):
        facts["detail"] = f" {facts['detail']}"
    # without the gaps that facts leave which are not given
    happened = " ".join(ending.happened.format_map(_Facts(facts)).split())
    cause = f"Likely cause: {ending.cause.format_map(_Facts(facts))}" if ending.cause else ""
    remedy = f"What to do: {ending.remedy}" if ending.remedy else ""
    return " ".join(part for part in (happened, cause, remedy) if part)
