"""Writes to observations: what is wanted on a device, and how far that has come."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from backend.accounts.models import User
from backend.devices.models import Device, DeviceObservation, Observation
from backend.lwm2m.attributes import attributes_check
from backend.lwm2m.paths import path_ids


@dataclass(frozen=True, slots=True)
class ObservationMark:
    """A path that a device observes now. `attributes`: those it has taken, None where none were sent.

    `note`: what it did not take, with its reason. `composite`: established together with others.
    """

    path: str
    attributes: Mapping[str, Any] | None = None
    note: str = ""
    composite: bool = False


def device_observation_set(
    *,
    device: Device,
    path: str,
    wanted: bool = True,
    attributes: Mapping[str, Any] | None = None,
    by: User | None,
) -> DeviceObservation:
    """What a person wants observed (or not) on this device: it overrides the profile's word on that path.

    `attributes`: pmin, pmax, gt, lt, st; None keeps those that were set before. Raises ValueError (PathError) on a
    path or attributes that are none. Each call makes a new row: that is how `sync` notices.
    """
    path_ids(path)
    with transaction.atomic():
        # one at a time for a device: two at once would both find no row and one of them fail
        Device.objects.select_for_update().filter(pk=device.pk).first()
        before = DeviceObservation.objects.filter(device=device, path=path).first()
        chosen = before.attributes if attributes is None and before is not None else attributes
        kept = attributes_check({name: value for name, value in (chosen or {}).items() if value is not None}, path=path)
        if before is not None:
            before.delete()
        return DeviceObservation.objects.create(device=device, path=path, wanted=wanted, attributes=kept)


def device_observation_clear(*, device: Device, path: str) -> bool:
    """Back to the profile's word on that path; false where there was no word of its own."""
    deleted, _ = DeviceObservation.objects.filter(device=device, path=path).delete()
    return deleted > 0


def observations_want(*, device_id: int, wanted: Mapping[str, Mapping[str, Any]], at: datetime) -> list[str]:
    """Makes the device's observations exactly these paths (path → attributes), new ones as wanted.

    Returns the paths that are no longer wanted.
    """
    present = dict(Observation.objects.filter(device_id=device_id).values_list("path", "attributes"))
    gone = sorted(present.keys() - wanted.keys())
    if gone:
        Observation.objects.filter(device_id=device_id, path__in=gone).delete()
    Observation.objects.bulk_create(
        [
            Observation(device_id=device_id, path=path, attributes=dict(wanted[path]), changed_at=at)
            for path in sorted(wanted.keys() - present.keys())
        ],
        ignore_conflicts=True,
    )
    for path in sorted(wanted.keys() & present.keys()):
        if present[path] != wanted[path]:
            Observation.objects.filter(device_id=device_id, path=path).update(
                attributes=dict(wanted[path]), changed_at=at
            )
    return gone


def observations_set_active(
    *, device_id: int, marks: Iterable[ObservationMark], registration_id: str, at: datetime
) -> None:
    """The device observes these paths in this registration."""
    for mark in marks:
        values: dict[str, Any] = {
            "state": Observation.State.ACTIVE,
            "registration_id": registration_id,
            "reason": mark.note,
            "composite": mark.composite,
            "changed_at": at,
        }
        if mark.attributes is not None:
            values["attributes_set"] = dict(mark.attributes)
        Observation.objects.filter(device_id=device_id, path=mark.path).update(**values)


def observation_ensure(*, device_id: int, path: str, at: datetime) -> None:
    """The row of a path that is observed, whether or not it was there."""
    Observation.objects.bulk_create([Observation(device_id=device_id, path=path, changed_at=at)], ignore_conflicts=True)


def observation_set_attributes(
    *, device_id: int, path: str, attributes: Mapping[str, Any] | None, note: str, at: datetime
) -> None:
    """The device has taken these attributes, or (None) has not, `note` says why."""
    values: dict[str, Any] = {"reason": note, "changed_at": at}
    if attributes is not None:
        values["attributes_set"] = dict(attributes)
    Observation.objects.filter(device_id=device_id, path=path, state=Observation.State.ACTIVE).update(**values)


def observation_set_failed(*, device_id: int, path: str, registration_id: str, reason: str, at: datetime) -> None:
    """The device does not observe the path; `reason` in words, with the device's code."""
    Observation.objects.filter(device_id=device_id, path=path).update(
        state=Observation.State.FAILED, registration_id=registration_id, reason=reason or "no reason", changed_at=at
    )


def observation_remove(*, device_id: int, path: str) -> None:
    """The path is no longer observed, and not wanted."""
    Observation.objects.filter(device_id=device_id, path=path).delete()
