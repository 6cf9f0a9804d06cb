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


# path, or a pattern with `*` for the instance, and its notification attributes
Wish = tuple[str, Mapping[str, float]]
# a person's word on one path of one device: path, wanted, attributes
OwnWish = tuple[str, bool, Mapping[str, float]]
Attributes = Mapping[str, float]
# None unsets an attribute
Changes = Mapping[str, float | None]

# how many paths a composite observation may have: what Zephyr's client takes
COMPOSITE_MOST = 6


def paths_wanted(
    wishes: Iterable[Wish],
    links: Sequence[Mapping[str, Any]],
    own: Iterable[OwnWish] = (),
    firmware: Iterable[str] = (),
) -> dict[str, Attributes]:
    """The profile's patterns as real paths on a device with these object links: only what the device lists.

    `*` stands for every instance that is listed; a pattern for an instance that is not listed gives nothing, but where
    an object is listed without instances, a pattern with an instance number is tried. A person's own word overrides
    the profile's on its path; there the device only has to have the object. What a firmware update follows is observed
    even against that word, as long as it lasts.
    """
    instances = object_instances(links)
    paths: dict[str, Attributes] = {}
    for pattern, attributes in wishes:
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
        for path in chosen:
            paths.setdefault(path, attributes)
    for path, wanted, attributes in own:
        try:
            object_id = path_ids(path)[0]
        except PathError:
            continue
        if not wanted:
            paths.pop(path, None)
        elif object_id in instances:
            paths[path] = attributes
    for path in firmware:
        if path_ids(path)[0] in instances:
            paths.setdefault(path, {})
    return paths


@dataclass(frozen=True, slots=True)
class ObservationRow:
    """An observation as the database has it."""

    path: str
    state: str
    registration_id: str
    # wanted when it was last looked at, and those that the device has taken
    attributes: Attributes = field(default_factory=dict)
    attributes_set: Attributes = field(default_factory=dict)
    composite: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """What is known of a registered device when its work is planned."""

    registration_id: str
    links: Sequence[Mapping[str, Any]]
    wishes: Sequence[Wish]
    observations: Sequence[ObservationRow]
    # (object, instance) → how many of its resources have a value
    known: Mapping[tuple[int, int], int]
    # object 3 was read in this registration
    identified: bool
    own: Sequence[OwnWish] = ()
    # observe single resources together
    composite: bool = False
    # paths that a command is about to observe, or no longer: it has the first word
    commanded: frozenset[str] = frozenset()
    # paths that a firmware update follows
    firmware: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class DevicePlan:
    """What to ask of a device, in this order: `identify`, then composites, observe, cancel, attributes, read."""

    wanted: dict[str, Attributes]
    identify: bool
    # path → attributes to write before it is observed
    observe: dict[str, Changes]
    # groups of such paths, each for one composite observation
    composites: list[dict[str, Changes]]
    # of observations that are there already, or are wanted no more
    attributes: dict[str, Changes]
    cancel: list[str]
    cancel_composites: list[tuple[str, ...]]
    read: list[str] = field(default_factory=list)


def device_plan(facts: DeviceFacts, *, retry_failed: bool = False) -> DevicePlan:
    """Compares what is wanted with what is there.

    An observation counts only in the registration that it was made in; one that the device refused in this
    registration is not tried again, but with `retry_failed`. Attributes are written anew in every registration: nobody
    knows whether the device kept them.
    """
    wanted = paths_wanted(facts.wishes, facts.links, facts.own, facts.firmware)
    rows = {row.path: row for row in facts.observations}
    here = {path: row for path, row in rows.items() if row.registration_id == facts.registration_id}
    active = {path for path, row in here.items() if row.state == "active"}
    refused = set() if retry_failed else {path for path, row in here.items() if row.state == "failed"}
    open_ = {path for path in wanted if path not in refused and path not in facts.commanded}

    together = {path for path in active if here[path].composite}
    broken = not facts.composite or bool(together - wanted.keys()) or any(path in facts.commanded for path in together)
    alone = active - together
    joinable = {path for path in open_ - alone if facts.composite and path.count("/") == 3}
    regroup = bool(together) and (broken or bool(joinable - together))
    cancel_composites = _groups(together) if regroup else []
    if not regroup:
        joinable -= together
    groups = [group for group in _groups(joinable) if len(group) > 1]
    grouped = {path for group in groups for path in group}
    settled = alone | (set() if regroup else together)
    observe = [path for path in wanted if path in open_ and path not in settled and path not in grouped]

    changes = {path: _changes(wanted[path], rows.get(path)) for path in open_ - settled}
    # a later observation would be held up by attributes that stay behind
    left = {
        path: _changes({}, row)
        for path, row in sorted(here.items())
        if path not in wanted and path not in facts.commanded and row.attributes_set
    }
    instances = object_instances(facts.links)
    # what observations bring says nothing of the rest of an instance, such as its unit
    observed = Counter(path_ids(path)[:2] for path in wanted)
    return DevicePlan(
        wanted=wanted,
        identify=not facts.identified and (3 in instances),
        observe={path: changes[path] for path in observe},
        composites=[{path: changes[path] for path in group} for group in groups],
        attributes={
            path: _changes(wanted[path], rows[path])
            for path in wanted
            if path in settled & open_ and _outdated(wanted[path], rows[path])
        }
        | left,
        cancel=sorted(alone - wanted.keys() - facts.commanded),
        cancel_composites=cancel_composites,
        read=[
            f"/{object_id}/{instance}"
            for object_id, listed in instances.items()
            if object_id not in UNREADABLE
            for instance in listed
            if facts.known.get((object_id, instance), 0) <= observed[object_id, instance]
            and (object_id, instance) != (3, 0)
        ],
    )


def _groups(paths: Iterable[str]) -> list[tuple[str, ...]]:
    """By order of the paths, so that the same paths always make the same groups."""
    ordered = sorted(paths)
    return [tuple(ordered[start : start + COMPOSITE_MOST]) for start in range(0, len(ordered), COMPOSITE_MOST)]


def _changes(wanted: Attributes, row: ObservationRow | None) -> Changes:
    """What to write: all that is wanted, and what was set and is wanted no more, as None."""
    before = {} if row is None else row.attributes_set
    return dict.fromkeys(before.keys() - wanted.keys()) | dict(wanted)


def _outdated(wanted: Attributes, row: ObservationRow) -> bool:
    """Has the device other attributes than wanted? Those that it refused are not written again."""
    if dict(row.attributes_set) == dict(wanted):
        return False
    return not (row.reason and dict(row.attributes) == dict(wanted))


def retry_delay(attempt: int, *, first: float, most: float) -> float:
    """Seconds before attempt number `attempt` (from 1): doubling from `first` up to `most`."""
    return float(min(most, first * 2 ** min(attempt - 1, 16)))
