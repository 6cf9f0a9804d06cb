"""Profiles: what kinds of devices are observed on, and which devices get which profile."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from backend.devices.models import Device, Profile, ProfileObservation, ProfileRule, default_profile_id
from backend.devices.patterns import pattern_regex
from backend.lwm2m.attributes import PERIODS, THRESHOLDS, AttributeInputError, attributes_check
from backend.lwm2m.paths import PathError, path_ids

LONG_NAME = 64
LONG_PATTERN = 255
# seconds: a day
MAX_AWAKE = 86_400
MAX_PATHS = 200
MAX_RULES = 500
# ids in one statement; both databases take more
_CHUNK = 10_000
# the most of each limit: a century, and what no device comes near
LIMITS = {
    "samples_days": 36_500,
    "minutes_days": 36_500,
    "hours_days": 36_500,
    "logs_days": 36_500,
    "logs_per_minute": 1_000_000,
    "logs_mib": 100_000,
}
# those that a profile keeps
_ATTRIBUTES = (*PERIODS[:2], *THRESHOLDS)


class ProfileError(ValueError):
    """The profile or rule cannot be so; the message says what is wrong and what to do."""


@dataclass(frozen=True, kw_only=True)
class WantedPath:
    """A path of a profile: `*` as instance stands for every one that the device lists. Attributes by name."""

    path: str
    attributes: Mapping[str, Any]


class ProfileKeeping(TypedDict, total=False):
    """Whether clocks are set, and what is kept for how long; None: no limit. See the model's fields."""

    set_clock: bool
    samples_days: int | None
    minutes_days: int | None
    hours_days: int | None
    logs_days: int | None
    logs_per_minute: int | None
    logs_mib: int | None


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Devices that match all patterns that are given get the profile. `*` and `?` as in file names; "" matches all."""

    profile_id: int
    endpoint: str = ""
    manufacturer: str = ""
    model: str = ""


# -- profiles


def _name(name: str) -> str:
    name = " ".join(name.split())
    if not 1 <= len(name) <= LONG_NAME or "\0" in name:
        raise ProfileError(f"a profile has a name of 1 to {LONG_NAME} characters.")
    return name


def _awake(seconds: int | None) -> int | None:
    if seconds is not None and (isinstance(seconds, bool) or not 1 <= seconds <= MAX_AWAKE):
        raise ProfileError(f"the awake window is 1 to {MAX_AWAKE} seconds, or left out for the server's own.")
    return seconds


def _keep(profile: Profile, keeping: ProfileKeeping) -> None:
    """Takes over what is given."""
    for name, value in keeping.items():
        most = LIMITS.get(name)
        if most is not None and value is not None and not 1 <= value <= most:  # type: ignore[operator]
            raise ProfileError(f"{name.replace('_', ' ')}: a number from 1 to {most}, or nothing for no limit.")
        setattr(profile, name, value)


def pattern_check(pattern: str) -> str:
    """A profile's path in its one form. Raises ProfileError."""
    pattern = pattern.strip()
    parts = pattern.split("/")
    starred = len(parts) > 2 and parts[2] == "*"
    try:
        path_ids("/".join([*parts[:2], "0", *parts[3:]]) if starred else pattern)
    except PathError:
        raise ProfileError(
            f"{pattern[:64]!r} is not a path such as /3/0/9, or /3303/*/5700 for every instance."
        ) from None
    return pattern


def _observations(observations: Iterable[WantedPath]) -> list[ProfileObservation]:
    made: dict[str, ProfileObservation] = {}
    for one in observations:
        path = pattern_check(one.path)
        if path in made:
            raise ProfileError(f"{path} is named twice.")
        try:
            # a name without a value is one that was left empty in a form
            given = {name: value for name, value in one.attributes.items() if value is not None}
            attributes = attributes_check(given, path=path)
        except AttributeInputError as error:
            raise ProfileError(f"{path}: {error}") from None
        for name in attributes:
            if name not in _ATTRIBUTES:
                raise ProfileError(f"{path}: a profile sets {', '.join(_ATTRIBUTES)}; {name} it does not.")
        made[path] = ProfileObservation(path=path, **attributes)
    if len(made) > MAX_PATHS:
        raise ProfileError(f"{len(made)} paths in one profile: at most {MAX_PATHS}.")
    return list(made.values())


def _store(profile: Profile, observations: Iterable[WantedPath] | None) -> Profile:
    rows = None if observations is None else _observations(observations)
    try:
        with transaction.atomic():
            if profile.pk is not None:
                Profile.objects.select_for_update().filter(pk=profile.pk).first()
            if profile.is_default:
                Profile.objects.filter(is_default=True).exclude(pk=profile.pk).update(is_default=False)
            profile.save()
            if rows is not None:
                ProfileObservation.objects.filter(profile=profile).delete()
                for row in rows:
                    row.profile = profile
                ProfileObservation.objects.bulk_create(rows)
    except IntegrityError:
        raise ProfileError(f"there is a profile {profile.name!r} already: choose another name.") from None
    return profile


def profile_create(
    *,
    name: str,
    observations: Iterable[WantedPath] = (),
    awake_seconds: int | None = None,
    composite: bool = False,
    is_default: bool = False,
    **keeping: Unpack[ProfileKeeping],
) -> Profile:
    """A new profile; as the default it takes the place of the one before. Raises ProfileError."""
    profile = Profile(name=_name(name), awake_seconds=_awake(awake_seconds), composite=composite, is_default=is_default)
    _keep(profile, keeping)
    return _store(profile, observations)


def profile_update(
    *,
    profile: Profile,
    name: str,
    observations: Iterable[WantedPath] | None,
    awake_seconds: int | None,
    composite: bool,
    is_default: bool,
    **keeping: Unpack[ProfileKeeping],
) -> Profile:
    """The profile as it shall be from now on; what is left out of `keeping`, and `observations` None, stay as they are.

    Raises ProfileError.
    """
    _keep(profile, keeping)
    profile.name, profile.awake_seconds = _name(name), _awake(awake_seconds)
    profile.composite, profile.is_default = composite, is_default
    return _store(profile, observations)


@transaction.atomic
def profile_delete(*, profile: Profile) -> None:
    """Removes the profile with its rules; its devices get what the other rules, or the default, give them."""
    device_ids = list(Device.objects.filter(profile=profile).values_list("pk", flat=True))
    Device.objects.filter(profile=profile).update(profile=None, profile_by_hand=False)
    profile.delete()
    profiles_apply_rules(device_ids=device_ids)


# -- rules


def _pattern(text: str, what: str) -> str:
    text = text.strip()
    if len(text) > LONG_PATTERN or "\0" in text:
        raise ProfileError(f"a pattern for the {what} has at most {LONG_PATTERN} characters.")
    # it matches everything, as the empty one does
    return "" if text and not text.strip("*") else text


def _rule(rule: Rule, position: int) -> ProfileRule:
    made = ProfileRule(
        profile_id=rule.profile_id,
        position=position,
        endpoint=_pattern(rule.endpoint, "endpoint"),
        manufacturer=_pattern(rule.manufacturer, "manufacturer"),
        model=_pattern(rule.model, "model"),
    )
    if not (made.endpoint or made.manufacturer or made.model):
        raise ProfileError("a rule matches by endpoint, manufacturer or model; all others get the default profile.")
    return made


def profile_rules_set(*, rules: Sequence[Rule], profile: Profile | None = None) -> list[ProfileRule]:
    """Makes the rules exactly these, in the order in which they are tried, and applies them to all devices.

    With `profile`: only the rules of that one are replaced; they take the place of its first one, or the end.
    Raises ProfileError.
    """
    if len(rules) > MAX_RULES:
        raise ProfileError(f"{len(rules)} rules: at most {MAX_RULES}.")
    with transaction.atomic():
        if profile is not None:
            before = list(ProfileRule.objects.all())
            place = next((number for number, one in enumerate(before) if one.profile_id == profile.pk), len(before))
            others = (
                [_as_rule(one) for one in before[:place]],
                [_as_rule(one) for one in before[place:] if one.profile_id != profile.pk],
            )
            rules = [*others[0], *rules, *others[1]]
        known = set(Profile.objects.select_for_update().values_list("pk", flat=True))
        for rule in rules:
            if rule.profile_id not in known:
                raise ProfileError(f"there is no profile {rule.profile_id}.")
        rows = [_rule(rule, position) for position, rule in enumerate(rules)]
        ProfileRule.objects.all().delete()
        ProfileRule.objects.bulk_create(rows)
        profiles_apply_rules(device_ids=None)
    return list(ProfileRule.objects.select_related("profile"))


def _as_rule(row: ProfileRule) -> Rule:
    return Rule(profile_id=row.profile_id, endpoint=row.endpoint, manufacturer=row.manufacturer, model=row.model)


def _matcher(pattern: str) -> re.Pattern[str] | None:
    """None for what matches everything."""
    if not pattern:
        return None
    return re.compile(pattern_regex(pattern), re.IGNORECASE)


def profiles_apply_rules(*, device_ids: Collection[int] | None) -> int:
    """Gives devices (None: all) the profile of the first rule that matches, else the default; how many changed.

    Those whose profile a person chose are left alone. Few statements, whatever the number of devices.
    """
    rules = [
        (rule.profile_id, [_matcher(rule.endpoint), _matcher(rule.manufacturer), _matcher(rule.model)])
        for rule in ProfileRule.objects.all()
    ]
    default = default_profile_id()
    changes: dict[int | None, list[int]] = {}
    fields = ("pk", "profile_id", "endpoint", "manufacturer", "model")
    for chosen in _free(device_ids):
        for pk, now, *texts in chosen.values_list(*fields):
            profile_id = default
            for candidate, patterns in rules:
                pairs = zip(patterns, texts, strict=True)
                if all(pattern is None or pattern.fullmatch(text) for pattern, text in pairs):
                    profile_id = candidate
                    break
            if profile_id != now:
                changes.setdefault(profile_id, []).append(pk)
    changed = 0
    for profile_id, ids in changes.items():
        for start in range(0, len(ids), _CHUNK):
            part = Device.objects.filter(pk__in=ids[start : start + _CHUNK], profile_by_hand=False)
            changed += part.update(profile_id=profile_id)
    return changed


def _free(device_ids: Collection[int] | None) -> Iterable[QuerySet[Device]]:
    """The devices that rules may change, in portions."""
    free = Device.objects.filter(profile_by_hand=False).order_by()
    if device_ids is None:
        yield free
        return
    ids = sorted(device_ids)
    for start in range(0, len(ids), _CHUNK):
        yield free.filter(pk__in=ids[start : start + _CHUNK])


# -- devices


def profile_assign(
    *, devices: "Device | Iterable[Device] | QuerySet[Device]", profile: Profile | None, by_hand: bool = True
) -> int:
    """Gives these devices the profile (None: no profile at all), for rules to leave alone; how many devices these are.

    `by_hand` false, with `profile` None: back to what the rules say. Raises ProfileError.
    """
    if not by_hand and profile is not None:
        raise ProfileError("rules choose the profile, or you do: name no profile for the rules to choose.")
    ids: set[int]
    if isinstance(devices, Device):
        ids = {devices.pk}
    elif isinstance(devices, QuerySet):
        ids = set(devices.values_list("pk", flat=True))
    else:
        ids = {device.pk for device in devices}
    count = 0
    with transaction.atomic():
        ordered = sorted(ids)
        for start in range(0, len(ordered), _CHUNK):
            chosen = Device.objects.filter(pk__in=ordered[start : start + _CHUNK])
            if by_hand:
                count += chosen.update(profile=profile, profile_by_hand=True)
            else:
                count += chosen.update(profile_by_hand=False)
        if not by_hand:
            profiles_apply_rules(device_ids=ids)
    return count
