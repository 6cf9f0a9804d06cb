"""The sentences that people read about events."""

from backend.devices.models import DeviceEvent
from backend.lwm2m.codes import code_words
from backend.lwm2m.registrations import RegistrationInfo
from backend.sync.events import Gap, ObservationLost, Refused, Undecoded

_Kind = DeviceEvent.Kind
END_KINDS = {
    "deregistered": _Kind.DEREGISTERED,
    "expired": _Kind.EXPIRED,
    "replaced": _Kind.REPLACED,
    "revoked": _Kind.REVOKED,
}


def registered(info: RegistrationInfo) -> str:
    """A registration."""
    how = "over DTLS" if info.secure else "without encryption"
    mode = ", queue mode" if info.queue_mode else ""
    return f"Registered from {info.address} {how}, LwM2M {info.lwm2m_version}, lifetime {info.lifetime} s{mode}"


def updated(info: RegistrationInfo, changed: list[str]) -> str:
    """A registration update that changed something."""
    details = {"lifetime": f"lifetime is {info.lifetime} s", "address": f"address is {info.address}"}
    return "Registration changed: " + ", ".join(details.get(word, word) for word in changed)


def ended(info: RegistrationInfo, reason: str) -> str:
    """The end of a registration."""
    if reason == "expired":
        return f"Registration expired: no update within {info.lifetime} s"
    return {
        "deregistered": "The device deregistered",
        "replaced": "The device registered again without deregistering",
        "revoked": "The credential was revoked and the device disconnected",
    }.get(reason, f"Registration ended: {reason}")


def vanished() -> str:
    """A registration that the server no longer has."""
    return "The server no longer has the registration (it was restarted, or its end was not told)"


def observation_lost(item: ObservationLost) -> str:
    """The device ended an observation."""
    return f"The device ended the observation of {', '.join(item.paths)}" + (
        f": {code_words(item.code)}" if item.code else ""
    )


def undecoded(item: Undecoded) -> str:
    """A message that the server could not read."""
    where = f" for {item.path}" if item.path else ""
    size = len(item.hex) // 2
    return f"A message{where} was not understood ({item.format or 'unknown format'}, {size} bytes): {item.error}"


def decoded(count: int, *, whole: bool) -> str:
    """A message that was kept raw and can be read now."""
    what = "A message that was kept as it came is understood now" if whole else "A part of a message is understood now"
    return f"{what}: {count} {'value' if count == 1 else 'values'}"


def refused(item: Refused) -> str:
    """A refused connection or registration."""
    detail = item.detail
    by = "The device refused us" if detail.get("by") == "device" else "Refused"
    who = item.endpoint or detail.get("identity") or detail.get("subject") or ""
    peer = f" from {detail['peer']}" if detail.get("peer") else ""
    return f"{by}{f' {who}' if who else ''}{peer}: {item.reason or 'no reason given'}"


def gap(item: Gap) -> str:
    """Events that can never be had again."""
    if item.first is None or item.last is None:
        return f"{item.reason}, journal {item.journal or 'unknown'}"
    return f"{item.reason}, journal {item.journal or 'unknown'}, {item.first} to {item.last}"
