"""What `sync` reads from the database: intentions, and what is known of devices."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Max, Q, Sum

from backend.commands.models import OPEN, Command, Kind
from backend.devices.models import (
    Device,
    DeviceObservation,
    ObjectDefinition,
    ObjectSpec,
    Observation,
    Profile,
    ProfileObservation,
    ProfileRule,
    RawEvent,
    Registration,
    Resource,
    Status,
)
from backend.devices.services import DOUBTED, awake_effective
from backend.firmware.models import FirmwareUpdate
from backend.firmware.services.drive import wished_paths
from backend.lwm2m.objects import object_versions, resource_definition, version_nearest
from backend.lwm2m.paths import path_ids
from backend.pki.models import Certificate, Credential
from backend.sync.client import CredentialJson
from backend.sync.definitions import DefinitionRow
from backend.sync.models import PushedCredential
from backend.sync.plan import (
    UNREADABLE,
    CredentialRow,
    DeviceFacts,
    ObservationRow,
    OwnWish,
    Wish,
    credential_json,
)
from backend.telemetry.buckets import HOUR
from backend.telemetry.models import Level, Rollup, Sample, Series

_CHUNK = 500
# times asked for at once
_TIMES = 500
_IDENTITY = ("/3/0/0", "/3/0/1", "/3/0/2", "/3/0/3")


def credentials_fingerprint() -> tuple[Any, ...]:
    """Changes whenever a device's credential may have changed. Cheap."""
    credentials = Credential.objects.aggregate(Count("pk"), Max("pk"), Max("changed_at"))
    certificates = Certificate.objects.filter(device__isnull=False).aggregate(Count("pk"), Count("revoked_at"))
    blocked = Device.objects.filter(status=Status.BLOCKED).aggregate(Count("pk"), Sum("pk"))
    return (*credentials.values(), *certificates.values(), *blocked.values())


def profiles_fingerprint() -> tuple[Any, ...]:
    """Changes whenever a profile, or which device has which, may have changed. Cheap.

    The last but one part tells of what concerns every device, the last one of which device has which profile.
    """
    patterns = tuple(
        ProfileObservation.objects.order_by("pk").values_list(
            "pk", "profile_id", "path", "pmin", "pmax", "gt", "lt", "st"
        )
    )
    profiles = tuple(Profile.objects.order_by("pk").values_list("pk", "awake_seconds", "composite"))
    devices = tuple(Device.objects.order_by("profile_id").values_list("profile_id").annotate(Count("pk"), Sum("pk")))
    return hash(patterns), profiles, devices


def own_observations_fingerprint() -> tuple[Any, ...]:
    """Changes whenever a person's word on an observation may have: new attributes are a new row. Cheap."""
    wanted = Sum("pk", filter=Q(wanted=True))
    return tuple(DeviceObservation.objects.aggregate(Count("pk"), Max("pk"), Sum("pk"), wanted=wanted).values())


def own_observations() -> dict[int, tuple[str, bool]]:
    """Row id → endpoint and whether it is wanted, of every such word."""
    rows = DeviceObservation.objects.order_by().values_list("pk", "device__endpoint", "wanted")
    return {pk: (endpoint, wanted) for pk, endpoint, wanted in rows}


def rules_fingerprint() -> tuple[Any, ...]:
    """Changes whenever a rule that gives devices their profiles may have. Cheap."""
    return tuple(ProfileRule.objects.order_by("position", "pk").values_list())


def definitions_fingerprint() -> tuple[Any, ...]:
    """Changes whenever an object definition of a person's may have. Cheap."""
    return tuple(ObjectDefinition.objects.aggregate(Count("pk"), Sum("pk"), Max("uploaded_at")).values())


def definitions_wanted() -> list[DefinitionRow]:
    """Every object definition that a person has added."""
    rows = ObjectDefinition.objects.values_list("pk", "object_id", "version", "xml", "problem")
    return [DefinitionRow(*row) for row in rows]


def endpoints_with_objects(*, object_ids: Collection[int], server_id: int) -> dict[tuple[int, str], str]:
    """(object, version as listed) → one registered device that lists it."""
    found: dict[tuple[int, str], str] = {}
    rows = Registration.objects.filter(ended_at=None, device__server_id=server_id)
    for endpoint, links in rows.values_list("device__endpoint", "object_links").iterator():
        for pair in object_versions(links).items():
            if pair[0] in object_ids:
                found.setdefault(pair, endpoint)
    return found


def presence(*, server_id: int) -> tuple[list[str], list[str]]:
    """The endpoints that are registered, and those of them that sleep."""
    rows = Registration.objects.filter(ended_at=None, device__server_id=server_id)
    known = rows.values_list("device__endpoint", "device__status")
    return [row[0] for row in known], [row[0] for row in known if row[1] == Status.ASLEEP]


def readable(*, written: Mapping[str, Collection[str]]) -> dict[str, list[str]]:
    """Endpoint → what to read so that the page shows what the device made of these writes.

    A resource that its model does not let us read is left out; one that no model knows is tried.
    """
    links = dict(
        Registration.objects.filter(ended_at=None, device__endpoint__in=list(written)).values_list(
            "device__endpoint", "object_links"
        )
    )
    objects = {path_ids(path)[0] for paths in written.values() for path in paths}
    specs: dict[int, dict[str, Any]] = {}
    for object_id, version, spec in ObjectSpec.objects.filter(object_id__in=objects).values_list(
        "object_id", "version", "spec"
    ):
        specs.setdefault(object_id, {})[version] = spec
    found: dict[str, list[str]] = {}
    for endpoint, paths in written.items():
        if endpoint not in links:
            continue
        versions = object_versions(links[endpoint])
        chosen: dict[str, None] = {}
        for path in sorted(paths):
            object_id, instance, resource, _ = path_ids(path)
            known = specs.get(object_id, {})
            nearest = version_nearest(versions.get(object_id), known)
            definition = None
            if nearest is not None and resource is not None:
                definition = resource_definition(known[nearest], resource)
            if object_id in UNREADABLE or (definition is not None and "R" not in definition.operations):
                continue
            # a resource instance is read with its resource: others of it may have gone
            parts = [str(part) for part in (object_id, instance, resource) if part is not None]
            chosen["/" + "/".join(parts)] = None
        found[endpoint] = list(chosen)
    return found


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


def packages_needed() -> set[str]:
    """SHA-256 of the images of updates that have not ended."""
    return set(
        FirmwareUpdate.objects.filter(ended_at=None).order_by().values_list("image__sha256", flat=True).distinct()
    )


def updates_devices(ids: Collection[int]) -> dict[int, str]:
    """The devices of these updates: id → endpoint."""
    return dict(FirmwareUpdate.objects.filter(pk__in=ids).order_by().values_list("device_id", "device__endpoint"))


def objectspecs_known() -> set[tuple[int, str]]:
    """The (object, version) pairs of which there is a definition that is not doubted."""
    return set(ObjectSpec.objects.exclude(fetched_at=DOUBTED).values_list("object_id", "version"))


def objectspecs_doubted() -> set[int]:
    """The objects of which a definition is doubted."""
    return set(ObjectSpec.objects.filter(fetched_at=DOUBTED).values_list("object_id", flat=True))


def clocks_to_set(*, endpoints: Sequence[str]) -> dict[str, bool]:
    """Those of these devices whose profile wants their clock set, and whether they use queue mode.

    Devices without a profile are as the default profile says; where there is none, their clocks are set.
    """
    wanted = Q(device__profile__set_clock=True)
    if not Profile.objects.filter(is_default=True, set_clock=False).exists():
        wanted |= Q(device__profile=None)
    rows = Registration.objects.filter(wanted, ended_at=None, device__endpoint__in=endpoints)
    return dict(rows.values_list("device__endpoint", "queue_mode"))


def messages_undecoded(*, server_id: int, after: int, limit: int, limit_bytes: int) -> list[tuple[int, str, bytes]]:
    """(id, endpoint, event as JSON) of messages that could not be understood, by id, up to so many or so long."""
    rows = RawEvent.objects.filter(
        name="UNDECODED", decoded_at=None, server_id=server_id, device__isnull=False, pk__gt=after
    ).order_by("pk")
    found: list[tuple[int, str, bytes]] = []
    size = 0
    for pk, endpoint, data in rows.values_list("pk", "device__endpoint", "data")[:limit].iterator(chunk_size=20):
        found.append((pk, endpoint, bytes(data)))
        size += len(data)
        if size > limit_bytes:
            break
    return found


@dataclass(frozen=True, slots=True)
class KnownSamples:
    """(path, time) of which there is a sample, and of which there are only sums left."""

    kept: frozenset[tuple[str, int]]
    summed_up: frozenset[tuple[str, int]]


def samples_known(*, device_id: int, keys: Collection[tuple[str, int]]) -> KnownSamples:
    """What is there already of a device at these paths and times (microseconds since 1970)."""
    times: dict[str, list[int]] = {}
    for path, time in keys:
        times.setdefault(path, []).append(time)
    kept: set[tuple[str, int]] = set()
    summed_up: set[tuple[str, int]] = set()
    for pk, path in Series.objects.filter(device_id=device_id, path__in=times).values_list("pk", "path"):
        for start in range(0, len(times[path]), _TIMES):
            part = times[path][start : start + _TIMES]
            samples = Sample.objects.filter(series_id=pk, time__in=part)
            kept.update((path, time) for time in samples.values_list("time", flat=True))
            hours = Rollup.objects.filter(
                series_id=pk, level=Level.HOUR, kept_since=None, start__in={time // HOUR * HOUR for time in part}
            )
            over = set(hours.values_list("start", flat=True))
            summed_up.update((path, time) for time in part if time // HOUR * HOUR in over)
    return KnownSamples(frozenset(kept), frozenset(summed_up))


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
    wishes: dict[int, list[Wish]] = {}
    profiles = {row.device.profile_id for row in rows if row.device.profile_id is not None}
    for wish in ProfileObservation.objects.filter(profile_id__in=profiles):
        wishes.setdefault(wish.profile_id, []).append((wish.path, wish.attributes))
    own: dict[int, list[OwnWish]] = {}
    words = DeviceObservation.objects.filter(device_id__in=ids)
    for device_id, path, wanted, attributes in words.values_list("device_id", "path", "wanted", "attributes"):
        own.setdefault(device_id, []).append((path, wanted, attributes))
    commanded: dict[int, set[str]] = {}
    commands = Command.objects.filter(device_id__in=ids, state__in=OPEN, kind__in=[Kind.OBSERVE, Kind.CANCEL_OBSERVE])
    for device_id, path in commands.values_list("device_id", "path"):
        commanded.setdefault(device_id, set()).add(path)
    observations: dict[int, list[ObservationRow]] = {}
    present = Observation.objects.filter(device_id__in=ids)
    columns = (
        "device_id", "path", "state", "registration_id", "attributes", "attributes_set", "composite", "reason",
    )  # fmt: skip
    for device_id, *columns_of in present.values_list(*columns):
        observations.setdefault(device_id, []).append(ObservationRow(*columns_of))
    known: dict[int, dict[tuple[int, int], int]] = {}
    instances = Resource.objects.filter(device_id__in=ids).order_by()
    counted = instances.values_list("device_id", "object_id", "object_instance_id").annotate(Count("pk"))
    for device_id, object_id, instance, count in counted:
        known.setdefault(device_id, {})[object_id, instance] = count
    identity = Resource.objects.filter(Q(device_id__in=ids), path__in=_IDENTITY).order_by()
    identified = dict(identity.values_list("device_id").annotate(Max("received")))
    firmware = wished_paths(device_ids=ids) if ids else {}
    records = []
    for row in rows:
        profile = row.device.profile
        facts = DeviceFacts(
            registration_id=row.registration_id,
            links=row.object_links,
            wishes=wishes.get(row.device.profile_id or 0, []),
            observations=observations.get(row.device_id, []),
            known=known.get(row.device_id, {}),
            identified=identified.get(row.device_id, 0) >= row.registered_at.timestamp() * 1_000_000,
            own=own.get(row.device_id, []),
            composite=profile is not None and profile.composite,
            commanded=frozenset(commanded.get(row.device_id, ())),
            firmware=tuple(firmware.get(row.device_id, ())),
        )
        records.append(
            DeviceRecord(
                device_id=row.device_id,
                endpoint=row.device.endpoint,
                queue_mode=row.queue_mode,
                awake_seconds=awake_effective(
                    profile=None if profile is None else profile.awake_seconds, learned=row.device.awake_seconds
                ),
                facts=facts,
            )
        )
    return records
