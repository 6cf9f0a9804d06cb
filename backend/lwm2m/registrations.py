"""A registration as a server describes it (LwM2M Core 1.1, 6.2), read from Leshan's JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from backend.lwm2m.times import EPOCH

# characters kept of an address and of a root path, and of a version and a binding: sane ones are far shorter
LONG = 64
SHORT = 8


class RegistrationError(ValueError):
    """JSON that is not a registration."""


@dataclass(frozen=True, slots=True)
class RegistrationInfo:
    """One registration. `sleeping` is None where the server does not say."""

    endpoint: str
    registration_id: str
    registered_at: datetime
    last_update: datetime
    lifetime: int
    address: str
    lwm2m_version: str
    binding_mode: str
    queue_mode: bool
    secure: bool
    root_path: str
    object_links: list[dict[str, Any]]
    additional_attributes: dict[str, Any]
    sleeping: bool | None


def datetime_of_ms(milliseconds: float) -> datetime:
    """Milliseconds since 1970 as an aware datetime. Raises RegistrationError outside datetime's range."""
    try:
        return EPOCH + timedelta(milliseconds=milliseconds)
    except (OverflowError, ValueError, TypeError) as error:
        raise RegistrationError(f"{milliseconds!r} is not a time in milliseconds: {error}") from None


def _word(raw: Any, most: int) -> str:
    """A text that a device may have made up, cut to what a column holds; no database keeps a NUL."""
    return str(raw or "").replace("\x00", "\ufffd")[:most]


def _without_nul(raw: Any) -> Any:
    """The same JSON without NUL characters: PostgreSQL refuses them."""
    if isinstance(raw, str):
        return raw.replace("\x00", "\ufffd")
    if isinstance(raw, Mapping):
        return {_without_nul(key): _without_nul(value) for key, value in raw.items()}
    return [_without_nul(part) for part in raw] if isinstance(raw, list) else raw


def registration_parse(raw: Any) -> RegistrationInfo:
    """From one element of `GET /api/clients` or a registration event. Raises RegistrationError."""
    if not isinstance(raw, Mapping):
        raise RegistrationError(f"{raw!r:.80} is not a registration")
    endpoint, registration_id = raw.get("endpoint"), raw.get("registrationId")
    if not isinstance(endpoint, str) or not endpoint or len(endpoint) > 255 or "\x00" in endpoint:
        raise RegistrationError(f"endpoint {endpoint!r:.80}: 1 to 255 characters are needed, none of them NUL")
    if not isinstance(registration_id, str) or not 0 < len(registration_id) <= LONG or "\x00" in registration_id:
        raise RegistrationError(f"registrationId {registration_id!r:.80}: 1 to {LONG} characters are needed")
    links = raw.get("objectLinks") or []
    if not isinstance(links, list) or not all(isinstance(link, Mapping) for link in links):
        raise RegistrationError("objectLinks is not an array of links")
    additional = raw.get("additionalRegistrationAttributes") or {}
    lifetime = raw.get("lifetime") or 0
    if isinstance(lifetime, bool) or not isinstance(lifetime, int) or not 0 <= lifetime < 2**63:
        raise RegistrationError(f"lifetime {lifetime!r:.40} is not a number of seconds")
    registered = raw.get("registrationDate") or 0
    binding = raw.get("bindingMode")
    sleeping = raw.get("sleeping")
    return RegistrationInfo(
        endpoint=endpoint,
        registration_id=registration_id,
        registered_at=datetime_of_ms(registered),
        last_update=datetime_of_ms(raw.get("lastUpdate") or registered),
        lifetime=lifetime,
        address=_word(raw.get("address"), LONG),
        lwm2m_version=_word(raw.get("lwM2mVersion"), SHORT),
        binding_mode=_word(binding if isinstance(binding, str) else "".join(map(str, binding or [])), SHORT),
        queue_mode=bool(raw.get("queuemode")),
        secure=bool(raw.get("secure")),
        root_path=_word(raw.get("rootPath") or "/", LONG),
        object_links=[_without_nul(link) for link in links],
        additional_attributes=_without_nul(additional) if isinstance(additional, Mapping) else {},
        sleeping=sleeping if isinstance(sleeping, bool) else None,
    )
