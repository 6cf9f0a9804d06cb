"""Reads of profiles, their rules, and what is wanted on a device."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from backend.devices.models import Device, DeviceObservation, Observation, Profile, ProfileObservation, ProfileRule


def _with_counts(profiles: QuerySet[Profile]) -> QuerySet[Profile]:
    devices = Device.objects.filter(profile=OuterRef("pk")).order_by().values("profile").annotate(n=Count("pk"))
    return profiles.prefetch_related("observations", "rules").annotate(
        device_count=Coalesce(Subquery(devices.values("n"), output_field=IntegerField()), 0)
    )


def profile_list() -> QuerySet[Profile]:
    """Profiles by name with their observations and rules, and `device_count`; three queries."""
    return _with_counts(Profile.objects.all())


def profile_get(*, id: int) -> Profile:
    """One of them. Raises Profile.DoesNotExist."""
    return profile_list().get(pk=id)


def profile_by_name(*, name: str) -> Profile:
    """One of them by its name. Raises Profile.DoesNotExist."""
    if "\0" in name:
        raise Profile.DoesNotExist
    return profile_list().get(name=name)


def rule_list() -> QuerySet[ProfileRule]:
    """The rules with their profiles, in the order in which they are tried."""
    return ProfileRule.objects.select_related("profile")


@dataclass(frozen=True, kw_only=True)
class WantedView:
    """A path that is observed, wanted, or expressly not wanted, on one device."""

    path: str
    wanted: bool
    # "device": a person's word on this device; "profile": the profile's
    source: str
    # those that are wanted
    attributes: Mapping[str, Any]
    # an Observation's state; "" where it has not been tried, or is not wanted
    state: str
    # those that the device has taken
    attributes_set: Mapping[str, Any]
    reason: str
    composite: bool
    changed_at: datetime | None


def wanted_list(*, device: Device) -> list[WantedView]:
    """What is wanted on the device and how far that has come, by path. Two queries."""
    own = {one.path: one for one in DeviceObservation.objects.filter(device=device)}
    real = {one.path: one for one in Observation.objects.filter(device=device)}
    views = []
    for path in sorted(own.keys() | real.keys(), key=_order):
        word, row = own.get(path), real.get(path)
        wanted = word.wanted if word is not None else True
        attributes = row.attributes if row is not None else {}
        views.append(
            WantedView(
                path=path,
                wanted=wanted,
                source="device" if word is not None else "profile",
                attributes=word.attributes if word is not None and (wanted or row is None) else attributes,
                state=row.state if row is not None else "",
                attributes_set=row.attributes_set if row is not None else {},
                reason=row.reason if row is not None else "",
                composite=row.composite if row is not None else False,
                changed_at=row.changed_at if row is not None else None,
            )
        )
    return views


def _order(path: str) -> list[int]:
    return [int(part) for part in path.strip("/").split("/") if part.isdecimal()]


def profile_patterns(*, device: Device) -> list[ProfileObservation]:
    """What the device's profile wants, `*` included; [] without a profile."""
    if device.profile_id is None:
        return []
    return list(ProfileObservation.objects.filter(profile_id=device.profile_id))
