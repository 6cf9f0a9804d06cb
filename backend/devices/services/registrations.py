"""What a registration says, into its row. These functions change the object; the caller saves (in bulk)."""

from datetime import datetime

from backend.devices.models import Registration
from backend.lwm2m.registrations import RegistrationInfo

FIELDS = [
    "registration_id",
    "registered_at",
    "last_update",
    "lifetime",
    "address",
    "lwm2m_version",
    "binding_mode",
    "queue_mode",
    "secure",
    "root_path",
    "object_links",
    "additional_attributes",
    "ended_at",
    "end_reason",
]
# what a person calls a changed registration; the time of the last update is none of it
_MEANINGFUL = {
    "lifetime": "lifetime",
    "address": "address",
    "binding_mode": "binding",
    "object_links": "objects",
    "queue_mode": "queue mode",
}


def registration_is_older(*, stored: Registration | None, info: RegistrationInfo) -> bool:
    """Is this another registration than the stored one, from before it? Then it is news of the past."""
    if stored is None or stored.registration_id == info.registration_id:
        return False
    return info.registered_at < stored.registered_at


def registration_fill(*, registration: Registration, info: RegistrationInfo) -> list[str]:
    """Takes everything over from `info`; the words for what changed in the same registration ([] for a new one)."""
    same = registration.registration_id == info.registration_id
    changed = [
        word for field, word in _MEANINGFUL.items() if same and getattr(registration, field) != getattr(info, field)
    ]
    if same and registration.last_update is not None:
        registration.last_update = max(registration.last_update, info.last_update)
    else:
        registration.last_update = info.last_update
    registration.registration_id = info.registration_id
    registration.registered_at = info.registered_at
    registration.lifetime = info.lifetime
    registration.address = info.address
    registration.lwm2m_version = info.lwm2m_version
    registration.binding_mode = info.binding_mode
    registration.queue_mode = info.queue_mode
    registration.secure = info.secure
    registration.root_path = info.root_path
    registration.object_links = info.object_links
    registration.additional_attributes = info.additional_attributes
    registration.ended_at = None
    registration.end_reason = ""
    return changed


def registration_end(*, registration: Registration, at: datetime, reason: str) -> None:
    """Marks it as over."""
    registration.ended_at = at
    registration.end_reason = reason
