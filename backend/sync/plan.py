"""What has to be done to bring Leshan and devices to what the database wants: pure decisions."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backend.lwm2m.objects import object_instances
from backend.lwm2m.paths import PathError, path_ids
from backend.sync.client import CredentialJson, Tls

# Security and OSCORE are not readable (LwM2M Core 1.1, E.1 and E.6)
UNREADABLE = {0, 21}


@dataclass(frozen=True, slots=True)
class CredentialRow:
    """A device's credential as the database has it.

    `certificates`: (SHA-256 of the DER, revoked?) of every certificate that was issued to the device.
    """

    endpoint: str
    mode: str
    psk_identity: str = ""
    psk_key: str = ""
    certificates: tuple[tuple[str, bool], ...] = ()


def credential_json(row: CredentialRow) -> CredentialJson | None:
    """The entry for Leshan's security store; None where the device must not connect: all its certificates revoked."""
    if row.mode == "psk":
        tls: Tls = {"mode": "psk", "details": {"identity": row.psk_identity, "key": row.psk_key}}
        return {"endpoint": row.endpoint, "tls": tls}
    tls = {"mode": "x509"}
    if row.certificates:
        valid = sorted(sha256 for sha256, revoked in row.certificates if not revoked)
        if not valid:
            return None
        tls["certificates"] = valid
    return {"endpoint": row.endpoint, "tls": tls}


def digest(entry: CredentialJson) -> str:
    """A fingerprint of an entry, its key included."""
    return hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class CredentialPlan:
    """What to change in Leshan's security store: deletions come first, they may free an identity."""

    put: list[CredentialJson]
    delete: list[str]
    # ours by the books, but no longer there and no longer wanted
    forget: list[str]


def credentials_plan(
    *,
    wanted: Mapping[str, CredentialJson],
    present: Mapping[str, CredentialJson],
    pushed: Mapping[str, str],
) -> CredentialPlan:
    """Compares by endpoint. Entries that we did not put there (`pushed`: endpoint → digest) are left alone."""
    put = [
        entry
        for endpoint, entry in wanted.items()
        if endpoint not in present or _differs(present[endpoint], entry) or pushed.get(endpoint) != digest(entry)
    ]
    gone = [endpoint for endpoint in pushed if endpoint not in wanted]
    return CredentialPlan(
        put=put,
        delete=[endpoint for endpoint in gone if endpoint in present],
        forget=[endpoint for endpoint in gone if endpoint not in present],
    )


def _differs(present: CredentialJson, wanted: CredentialJson) -> bool:
    """By what a server tells: keys it may keep to itself."""
    mine, theirs = wanted["tls"], present["tls"]
    if mine["mode"] != theirs["mode"]:
        return True
    if "details" in mine and theirs.get("details", {}).get("identity") != mine["details"].get("identity"):
        return True
    shown = theirs.get("certificates")
    return shown is not None and set(shown) != set(mine.get("certificates", []))


def paths_wanted(patterns: Iterable[str], links: Sequence[Mapping[str, Any]]) -> list[str]:
    """The profile's patterns as real paths on a device with these object links: only what the device lists.

    `*` stands for every instance that is listed; a pattern for an instance that is not listed gives nothing, but where
    an object is listed without instances, a pattern with an instance number is tried.
    """
    instances = object_instances(links)
    paths: dict[str, None] = {}
    for pattern in patterns:
        parts = pattern.strip("/").split("/")
        try:
            object_id = path_ids(f"/{parts[0]}")[0]
        except PathError:
            continue
        if object_id not in instances:
            continue
        listed = instances[object_id]
        if len(parts) == 1:
            chosen = [f"/{object_id}"]
        elif parts[1] == "*":
            chosen = ["/".join(["", str(object_id), str(instance), *parts[2:]]) for instance in listed]
        elif not listed or parts[1] in {str(instance) for instance in listed}:
            chosen = ["/" + "/".join(parts)]
        else:
            chosen = []
        paths.update(dict.fromkeys(chosen))
    return list(paths)


@dataclass(frozen=True, slots=True)
class ObservationRow:
    """An observation as the database has it."""

    path: str
    state: str
    registration_id: str


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """What is known of a registered device when its work is planned."""

    registration_id: str
    links: Sequence[Mapping[str, Any]]
    patterns: Sequence[str]
    observations: Sequence[ObservationRow]
    # (object, instance) → how many of its resources have a value
    known: Mapping[tuple[int, int], int]
    # object 3 was read in this registration
    identified: bool


@dataclass(frozen=True, slots=True)
class DevicePlan:
    """What to ask of a device, in this order: `identify`, then observe, cancel, read."""

    wanted: list[str]
    identify: bool
    observe: list[str]
    cancel: list[str]
    read: list[str] = field(default_factory=list)


def device_plan(facts: DeviceFacts, *, retry_failed: bool = False) -> DevicePlan:
    """Compares what is wanted with what is there.

    An observation counts only in the registration that it was made in; one that the device refused in this
    registration is not tried again, but with `retry_failed`.
    """
    wanted = paths_wanted(facts.patterns, facts.links)
    settled = {
        row.path
        for row in facts.observations
        if row.registration_id == facts.registration_id
        and (row.state == "active" or (row.state == "failed" and not retry_failed))
    }
    cancel = [
        row.path
        for row in facts.observations
        if row.path not in wanted and row.state == "active" and row.registration_id == facts.registration_id
    ]
    instances = object_instances(facts.links)
    # what observations bring says nothing of the rest of an instance, such as its unit
    observed = Counter(path_ids(path)[:2] for path in wanted)
    read = [
        f"/{object_id}/{instance}"
        for object_id, listed in instances.items()
        if object_id not in UNREADABLE
        for instance in listed
        if facts.known.get((object_id, instance), 0) <= observed[object_id, instance]
        and (object_id, instance) != (3, 0)
    ]
    return DevicePlan(
        wanted=wanted,
        identify=not facts.identified and (3 in instances),
        observe=[path for path in wanted if path not in settled],
        cancel=cancel,
        read=read,
    )


def retry_delay(attempt: int, *, first: float, most: float) -> float:
    """Seconds before attempt number `attempt` (from 1): doubling from `first` up to `most`."""
    return float(min(most, first * 2 ** min(attempt - 1, 16)))
