"""What people want observed, changed along with a command to one device or many."""

from collections.abc import Sequence

from django.db import transaction
from django.db.models import Q, QuerySet

from backend.devices.models import Device, DeviceObservation, ProfileObservation
from backend.devices.services.bulk import rows_insert
from backend.lwm2m.paths import path_ids


def _patterns(path: str) -> list[str]:
    """The patterns of a profile that this path may come from."""
    object_id, instance_id, *rest = path_ids(path)
    if instance_id is None:
        return [path]
    return [path, "/".join(["", str(object_id), "*", *(str(one) for one in rest if one is not None)])]


@transaction.atomic
def observations_ask(*, devices: QuerySet[Device], paths: Sequence[str], wanted: bool) -> None:
    """These paths are wanted, or not wanted, on the devices. A few statements a path, whatever the number of devices.

    Where the profile wants a path already, its word (with its attributes) counts again; attributes that a person set
    on the device stay.
    """
    for path in paths:
        own = DeviceObservation.objects.filter(device__in=devices.values("pk"), path=path)
        rest = devices
        if wanted:
            covering = list(
                ProfileObservation.objects.filter(path__in=_patterns(path)).values_list("profile_id", flat=True)
            )
            own.filter(device__profile__in=covering, wanted=False, attributes={}).delete()
            own.filter(wanted=False).update(wanted=True)
            rest = devices.filter(Q(profile__isnull=True) | ~Q(profile__in=covering))
        else:
            own.filter(wanted=True).update(wanted=False)
        rows_insert(
            model=DeviceObservation,
            devices=rest,
            values={"path": path, "wanted": wanted, "attributes": {}},
            ignore_conflicts=True,
        )
