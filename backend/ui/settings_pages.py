"""What the settings pages show: what rules match, object models, a device's desired and real state."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend.devices.models import (
    Device,
    DeviceObservation,
    ObjectDefinition,
    ObjectSpec,
    Observation,
)
from backend.devices.patterns import pattern_regex
from backend.devices.selectors import observation_list, profile_patterns, registration_of
from backend.devices.services import DEFAULT_AWAKE_SECONDS, awake_effective
from backend.lwm2m.objects import version_parse

# -- profiles


def rule_matches(*, endpoint: str = "", manufacturer: str = "", model: str = "") -> int:
    """How many devices match these patterns (`*` and `?` as in file names, upper and lower case alike)."""
    devices = Device.objects.all()
    for name, pattern in (("endpoint", endpoint), ("manufacturer", manufacturer), ("model", model)):
        if pattern.strip().strip("*"):
            devices = devices.filter(**{f"{name}__iregex": f"^{pattern_regex(pattern.strip())}$"})
    return devices.count()


# -- object models


@dataclass(frozen=True)
class ModelRow:
    """One known object version."""

    spec: ObjectSpec
    uploaded: bool


def _order(spec: ObjectSpec) -> tuple[int, tuple[int, int]]:
    return spec.object_id, version_parse(spec.version)


def model_list(*, search: str = "") -> list[ModelRow]:
    """The object versions that are known, by id; `search` in id and name."""
    uploaded = set(ObjectDefinition.objects.values_list("object_id", "version"))
    words = search.lower().split()
    specs = [
        spec
        for spec in ObjectSpec.objects.defer("spec")
        if all(word.lstrip("/") in f"{spec.object_id} {spec.name.lower()}" for word in words)
    ]
    return [ModelRow(spec, (spec.object_id, spec.version) in uploaded) for spec in sorted(specs, key=_order)]


def model_get(*, object_id: int, version: str) -> ObjectSpec:
    """One of them with its resources. Raises ObjectSpec.DoesNotExist."""
    return ObjectSpec.objects.get(object_id=object_id, version=version)


# -- a device


@dataclass(frozen=True, kw_only=True)
class WishRow:
    """A path that is, was or could be observed: wanted beside real."""

    path: str
    # None: there is nothing on the device's side yet
    observation: Observation | None
    own: DeviceObservation | None
    # of the profile, with `*`; "" where it does not name the path
    pattern: str
    # why there is nothing
    note: str
    wanted: str
    taken: str

    @property
    def removed(self) -> bool:
        """Does a person not want what the profile wants?"""
        return self.own is not None and not self.own.wanted


@dataclass(frozen=True, kw_only=True)
class DeviceSettings:
    """Everything that a device's Settings tab shows."""

    rows: list[WishRow]
    # what the profile wants of objects that this device does not have, or has not told of yet
    absent: list[WishRow]
    absent_note: str
    awake_profile: int | None
    awake_learned: int | None
    awake_effective: int
    queue_mode: bool
    composite: bool


def attributes_text(attributes: Mapping[str, Any]) -> str:
    """ "pmin 10, pmax 60"; "" for none."""
    return ", ".join(f"{name} {value:g}" for name, value in attributes.items() if value is not None)


def _matches(pattern: str, path: str) -> bool:
    ours, theirs = pattern.split("/"), path.split("/")
    return len(ours) == len(theirs) and all(a in {"*", b} for a, b in zip(ours, theirs, strict=True))


def _by_number(path: str) -> list[int]:
    return [int(part) if part.isdecimal() else -1 for part in path.strip("/").split("/")]


def device_settings(*, device: Device) -> DeviceSettings:
    """`device` with profile and registration, as `device_get` gives it. Three queries."""
    profile = device.profile
    patterns = profile_patterns(device=device)
    own = {one.path: one for one in DeviceObservation.objects.filter(device=device)}
    real = {one.path: one for one in observation_list(device=device)}
    registration = registration_of(device)
    absent = (
        "The device does not list this object."
        if registration is not None and registration.ended_at is None
        else "Asked for when the device registers."
    )
    rows = []
    covered = set()
    for path in real.keys() | own.keys():
        pattern = next((one for one in patterns if _matches(one.path, path)), None)
        if pattern is not None:
            covered.add(pattern.path)
        observation, mine = real.get(path), own.get(path)
        if mine is not None and mine.wanted and mine.attributes:
            wishes: Mapping[str, Any] = mine.attributes
        else:
            wishes = observation.attributes if observation else pattern.attributes if pattern else {}
        note = "" if observation else "Not wanted on this device." if mine and not mine.wanted else absent
        rows.append(
            WishRow(
                path=path,
                observation=observation,
                own=mine,
                pattern=pattern.path if pattern else "",
                note=note,
                wanted=attributes_text(wishes),
                taken=attributes_text(observation.attributes_set) if observation else "",
            )
        )
    rest = [
        WishRow(
            path=one.path, observation=None, own=None, pattern=one.path, note=absent,
            wanted=attributes_text(one.attributes), taken="",
        )
        for one in patterns
        if one.path not in covered
    ]  # fmt: skip
    awake = profile.awake_seconds if profile is not None else None
    return DeviceSettings(
        rows=sorted(rows, key=lambda row: _by_number(row.path)),
        absent=sorted(rest, key=lambda row: _by_number(row.path)),
        absent_note=absent,
        awake_profile=awake,
        awake_learned=device.awake_seconds,
        awake_effective=awake_effective(profile=awake, learned=device.awake_seconds) or DEFAULT_AWAKE_SECONDS,
        queue_mode=bool(registration and registration.queue_mode),
        composite=bool(profile and profile.composite),
    )
