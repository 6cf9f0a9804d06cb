"""Rows for the tests of selectors and API."""

from datetime import UTC, datetime, timedelta
from typing import Any

from backend.accounts.models import Role, User
from backend.devices.models import Device, LeshanServer, ObjectSpec, Registration, Resource, Status
from backend.lwm2m.values import pair_of_text
from backend.telemetry.models import Sample, Series

# 2026-11-22 17:00 UTC in microseconds
T0 = 1_795_366_800_000_000
NOW = datetime(2026, 11, 22, 17, tzinfo=UTC)

AWKWARD_ENDPOINTS = [
    "plain",
    "with \"quotes\" and 'more'",
    "with space",
    "a/b//c",
    "ends/",
    "50%25 + & = ? # ;",
    "Zähler-μ-温度",
    "back\\slash",
    "two\nlines",
    "<script>alert(1)</script>",
    "urn:imei:356938035643809",
]

TEMPERATURE = {
    "id": 3303,
    "name": "Temperature",
    "version": "1.0",
    "resourcedefs": [
        {"id": 5700, "name": "Sensor Value", "type": "float", "operations": "R", "units": "", "instancetype": "single"},
        {"id": 5701, "name": "Sensor Units", "type": "string", "operations": "R", "instancetype": "single"},
    ],
}
DEVICE = {
    "id": 3,
    "name": "Device",
    "version": "1.1",
    "resourcedefs": [
        {"id": 9, "name": "Battery Level", "type": "integer", "operations": "R", "units": "%"},
        {"id": 4, "name": "Reboot", "type": "none", "operations": "E"},
    ],
}


def user(name: str, role: Role = Role.VIEWER, **fields: Any) -> User:
    """Somebody who can be signed in with `client.force_login`."""
    return User.objects.create(username=name, role=role, **fields)


def device(endpoint: str = "dev-1", *, registered: bool = False, **fields: Any) -> Device:
    made = Device.objects.create(endpoint=endpoint, **fields)
    if registered:
        Registration.objects.create(
            device=made,
            registration_id=f"r{made.pk}",
            registered_at=NOW,
            last_update=NOW,
            lifetime=300,
            address="192.0.2.1:5683",
            lwm2m_version="1.1",
            binding_mode="U",
            object_links=[{"url": "/3/0", "attributes": {}}, {"url": "/3303/0", "attributes": {"ver": "1.1"}}],
        )
        Device.objects.filter(pk=made.pk).update(status=Status.ONLINE)
        made.refresh_from_db()
    return made


def specs() -> None:
    for spec in (TEMPERATURE, {**TEMPERATURE, "version": "1.1", "name": "Temperature 1.1"}, DEVICE):
        ObjectSpec.objects.create(
            object_id=spec["id"], version=spec["version"], name=spec["name"], spec=spec, fetched_at=NOW
        )


def resource(of: Device, path: str, type_: str, text: str, *, time: int = T0, **fields: Any) -> Resource:
    ids = [int(part) for part in path.strip("/").split("/")]
    number, _ = pair_of_text(type_, text)
    return Resource.objects.create(
        device=of,
        path=path,
        object_id=ids[0],
        object_instance_id=ids[1],
        resource_id=ids[2],
        resource_instance_id=ids[3] if len(ids) > 3 else None,
        type=type_,
        value=text,
        number=number,
        time=time,
        received=time + 1000,
        **fields,
    )


def series(of: Device, path: str = "/3303/0/5700") -> Series:
    return Series.objects.create(device=of, path=path)


def samples(of: Series, points: list[tuple[int, float | None, str | None]], *, seq: int = 0) -> None:
    Sample.objects.bulk_create(
        Sample(series=of, time=time, seq=seq, number=number, text=text) for time, number, text in points
    )


def leshan(**fields: Any) -> LeshanServer:
    """A server whose sync says that all is well, now."""
    now = datetime.now(UTC)
    values: dict[str, Any] = {
        "name": "default",
        "url": "http://127.0.0.1:8080",
        "sync_alive_at": now,
        "sync_started_at": now - timedelta(hours=1),
        "connected_since": now - timedelta(hours=1),
        "last_event_id": "a-b-10",
        "head_event_id": "a-b-10",
    }
    return LeshanServer.objects.create(**{**values, **fields})
