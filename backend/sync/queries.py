"""What `sync` reads from the database: intentions, and what is known of devices."""

from collections.abc import Collection, Sequence
from typing import Any

from django.db.models import Count, Max, Q, Sum

from backend.devices.models import (
    Device,
    ObjectSpec,
    Observation,
    Profile,
    ProfileObservation,
    Registration,
    Resource,
    Status,
)
from backend.pki.models import Certificate, Credential
from backend.sync.client import CredentialJson
from backend.sync.models import PushedCredential
from backend.sync.plan import CredentialRow, DeviceFacts, ObservationRow, credential_json

_CHUNK = 500
_IDENTITY = ("/3/0/0", "/3/0/1", "/3/0/2", "/3/0/3")


def credentials_fingerprint() -> tuple[Any, ...]:
    """Changes whenever a device's credential may have changed. Cheap."""
    credentials = Credential.objects.aggregate(Count("pk"), Max("pk"), Max("changed_at"))
    certificates = Certificate.objects.filter(device__isnull=False).aggregate(Count("pk"), Count("revoked_at"))
    blocked = Device.objects.filter(status=Status.BLOCKED).aggregate(Count("pk"), Sum("pk"))
    return (*credentials.values(), *certificates.values(), *blocked.values())


def profiles_fingerprint() -> tuple[Any, ...]:
    """Changes whenever a profile, or which device has which, may have changed. Cheap."""
    patterns = tuple(ProfileObservation.objects.order_by("pk").values_list("pk", "profile_id", "path"))
    profiles = tuple(Profile.objects.order_by("pk").values_list("pk", "awake_seconds"))
    devices = tuple(Device.objects.order_by("profile_id").values_list("profile_id").annotate(Count("pk"), Sum("pk")))
    return hash(patterns), profiles, devices


def device_profiles() -> dict[str, int | None]:
    """Endpoint → profile id of every device."""
    return dict(Device.objects.order_by().values_list("endpoint", "profile_id"))


def credentials_wanted() -> dict[str, CredentialJson]:
    """Endpoint → entry for every device that may connect."""
    certificates: dict[int, list[tuple[str, bool]]] = {}
    issued = Certificate.objects.filter(kind=Certificate.Kind.DEVICE, device__isnull=False)
    for device_id, sha256, revoked_at in issued.values_list("device_id", "sha256", "revoked_at"):
        assert device_id is not None
        certificates.setdefault(device_id, []).append((sha256, revoked_at is not None))
    wanted: dict[str, CredentialJson] = {}
    rows = Credential.objects.exclude(device__status=Status.BLOCKED).order_by("pk")
    for device_id, endpoint, mode, identity, key in rows.values_list(
        "device_id", "device__endpoint", "mode", "psk_identity", "psk_key"
    ):
        issued_to = tuple(certificates.get(device_id, ()))
        entry = credential_json(CredentialRow(endpoint, mode, identity or "", key, issued_to))
        if entry is not None:
            wanted[endpoint] = entry
    return wanted


def credentials_pushed(*, server_id: int) -> dict[str, str]:
    """Endpoint → digest of what was given to the server."""
    return dict(PushedCredential.objects.filter(server_id=server_id).values_list("endpoint", "digest"))


def objectspecs_known() -> set[tuple[int, str]]:
    """The (object, version) pairs of which there is a definition."""
    return set(ObjectSpec.objects.values_list("object_id", "version"))


class DeviceRecord:
    """A registered device with its facts for planning."""

    __slots__ = ("awake_seconds", "device_id", "endpoint", "facts", "queue_mode")

    def __init__(
        self, *, device_id: int, endpoint: str, queue_mode: bool, awake_seconds: int | None, facts: DeviceFacts
    ) -> None:
        """All of it as stored."""
        self.device_id = device_id
        self.endpoint = endpoint
        self.queue_mode = queue_mode
        self.awake_seconds = awake_seconds
        self.facts = facts


def device_records(*, endpoints: Collection[str]) -> list[DeviceRecord]:
    """Those of these devices that are registered now."""
    names = sorted(endpoints)
    records: list[DeviceRecord] = []
    for start in range(0, len(names), _CHUNK):
        records += _records(names[start : start + _CHUNK])
    return records


def registered_endpoints(*, server_id: int) -> list[str]:
    """The endpoints that are registered now."""
    rows = Registration.objects.filter(ended_at=None, device__server_id=server_id)
    return list(rows.values_list("device__endpoint", flat=True))


def _records(names: Sequence[str]) -> list[DeviceRecord]:
    rows = list(
        Registration.objects.filter(ended_at=None, device__endpoint__in=names).select_related("device__profile")
    )
    ids = [row.device_id for row in rows]
    patterns: dict[int, list[str]] = {}
    profiles = {row.device.profile_id for row in rows if row.device.profile_id is not None}
    wishes = ProfileObservation.objects.filter(profile_id__in=profiles)
    for profile_id, path in wishes.values_list("profile_id", "path"):
        patterns.setdefault(profile_id, []).append(path)
    observations: dict[int, list[ObservationRow]] = {}
    present = Observation.objects.filter(device_id__in=ids)
    for device_id, path, state, registration_id in present.values_list("device_id", "path", "state", "registration_id"):
        observations.setdefault(device_id, []).append(ObservationRow(path, state, registration_id))
    known: dict[int, dict[tuple[int, int], int]] = {}
    instances = Resource.objects.filter(device_id__in=ids).order_by()
    counted = instances.values_list("device_id", "object_id", "object_instance_id").annotate(Count("pk"))
    for device_id, object_id, instance, count in counted:
        known.setdefault(device_id, {})[object_id, instance] = count
    identity = Resource.objects.filter(Q(device_id__in=ids), path__in=_IDENTITY).order_by()
    identified = dict(identity.values_list("device_id").annotate(Max("received")))
    records = []
    for row in rows:
        profile = row.device.profile
        facts = DeviceFacts(
            registration_id=row.registration_id,
            links=row.object_links,
            patterns=patterns.get(row.device.profile_id or 0, []),
            observations=observations.get(row.device_id, []),
            known=known.get(row.device_id, {}),
            identified=identified.get(row.device_id, 0) >= row.registered_at.timestamp() * 1_000_000,
        )
        records.append(
            DeviceRecord(
                device_id=row.device_id,
                endpoint=row.device.endpoint,
                queue_mode=row.queue_mode,
                awake_seconds=None if profile is None else profile.awake_seconds,
                facts=facts,
            )
        )
    return records
