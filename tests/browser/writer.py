"""Stands in for `sync`: a process that writes into the database what the tests tell it to, one JSON line each.

In: `["command", {arguments}]`; out: a JSON line with the command's result. A thread says every second that sync is
alive, as the real one does, until told not to.
"""

import json
import math
import random
import sys
import threading
from datetime import datetime, timedelta
from typing import Any

import django

django.setup()

from django.conf import settings  # noqa: E402 - models are there after setup()
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.utils import timezone  # noqa: E402

from backend.accounts.models import User  # noqa: E402
from backend.commands.models import Command, CommandBatch  # noqa: E402
from backend.devices.models import (  # noqa: E402
    Change,
    Device,
    DeviceEvent,
    LeshanServer,
    ObjectSpec,
    Observation,
    RawEvent,
    Registration,
    Resource,
    ServerInterval,
    StreamGap,
)
from backend.pki.models import Certificate, Credential  # noqa: E402
from backend.telemetry.models import Sample, Series, StaleHour  # noqa: E402
from tests.browser import alerts, charts, firmware, logs, places  # noqa: E402

PASSWORD = "correct horse battery"
# id, name, unit, type, operations, range; a trailing * of the operations: several values
Resources = list[tuple[int, str, str, str, str, str]]
SPECS: dict[int, tuple[str, Resources]] = {
    1: (
        "LwM2M Server",
        [(1, "Lifetime", "s", "integer", "RW", "1..86400"), (6, "Notification Storing", "", "boolean", "RW", "")],
    ),
    3: (
        "Device",
        [
            (0, "Manufacturer", "", "string", "R", ""),
            (4, "Reboot", "", "none", "E", ""),
            (6, "Available Power Sources", "", "integer", "R*", "0..7"),
            (9, "Battery Level", "%", "integer", "R", "0..100"),
            (13, "Current Time", "", "time", "RW", ""),
            (14, "UTC Offset", "", "string", "RW", ""),
            (16, "Supported Binding and Modes", "", "string", "R", ""),
        ],
    ),
    4: ("Connectivity Monitoring", [(2, "Radio Signal Strength", "dBm", "integer", "R", "")]),
    3303: (
        "Temperature",
        [(5700, "Sensor Value", "", "float", "R", ""), (5701, "Sensor Units", "", "string", "R", "")],
    ),
    3342: ("On/Off switch", [(5500, "Digital Input State", "", "boolean", "R", "")]),
}
beating = threading.Event()


def microseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)


def seed(*, devices: int = 0) -> None:
    """People, a device with everything, awkward ones, and as many plain ones as asked for."""
    now = timezone.now()
    for name, role in (("ada", "administrator"), ("olga", "operator"), ("vera", "viewer")):
        user = User(username=name, role=role)
        user.set_password(PASSWORD)
        user.save()
    server = LeshanServer.objects.create(
        name="default", url="http://127.0.0.1:8080", last_event_id="j-10", head_event_id="j-10", last_event_at=now,
        connected_since=now - timedelta(hours=2), sync_alive_at=now, sync_started_at=now - timedelta(hours=2),
    )  # fmt: skip
    for object_id, (name, resources) in SPECS.items():
        definitions = [
            {
                "id": one,
                "name": label,
                "units": units,
                "operations": operations.rstrip("*"),
                "type": type_,
                "range": allowed,
                "instancetype": "multiple" if operations.endswith("*") else "single",
                "mandatory": one in {1, 5700},
                "description": f"The {label} of the device.",
            }
            for one, label, units, type_, operations, allowed in resources
        ]
        ObjectSpec.objects.create(
            object_id=object_id, version="1.0", name=name, fetched_at=now,
            spec={
                "id": object_id, "name": name, "version": "1.0", "resourcedefs": definitions,
                "instancetype": "single" if object_id == 3 else "multiple",
            },
        )  # fmt: skip
    device = Device.objects.create(
        endpoint="sim-1", status="online", status_since=now - timedelta(hours=2), last_contact=now, server=server,
        manufacturer="FlowNexus", model="simulated", serial_number="SN-1", firmware_version="1.0.0",
    )  # fmt: skip
    Registration.objects.create(
        device=device, registration_id="r1", registered_at=now - timedelta(hours=2), last_update=now, lifetime=300,
        address="192.0.2.7:5683", lwm2m_version="1.1", binding_mode="U", secure=True,
        object_links=[
            {"url": "/1/0", "attributes": {}}, {"url": "/3/0", "attributes": {}},
            {"url": "/3303/0", "attributes": {"ver": "1.1"}}, {"url": "/3342/0", "attributes": {}},
        ],
    )  # fmt: skip
    Credential.objects.create(device=device, mode="x509")
    Certificate.objects.create(
        kind="device", device=device, common_name="sim-1", serial_number="1f", sha256="ab" * 32,
        issuer_sha256="cd" * 32, not_before=now, not_after=now + timedelta(days=700), pem="-",
    )  # fmt: skip
    for path, type_, text, number in (
        ("/3/0/0", "STRING", "FlowNexus", None),
        ("/3/0/6/0", "INTEGER", "1", 1.0),
        ("/3/0/6/1", "INTEGER", "5", 5.0),
        ("/3/0/9", "INTEGER", "87", 87.0),
        ("/3/0/13", "TIME", "1795366800000", 1795366800000.0),
        ("/1/0/1", "INTEGER", "300", 300.0),
        ("/1/0/6", "BOOLEAN", "true", 1.0),
        ("/33000/0/4/0", "INTEGER", "5", 5.0),
        ("/33000/0/4/1", "INTEGER", "7", 7.0),
        ("/4/0/2", "INTEGER", "-71", -71.0),
        ("/3303/0/5700", "FLOAT", "21.5", 21.5),
        ("/3303/0/5701", "STRING", "Cel", None),
        ("/3303/1/5700", "FLOAT", "NaN", None),
        ("/33000/0/1", "OPAQUE", "00ff" * 40, None),
        ("/33000/0/2", "STRING", "<script>alert(1)</script>" + "long " * 80, None),
    ):
        resource_write(device, path, type_, text, number, now)
    points = [now - timedelta(seconds=2 * index) for index in range(900, 0, -1)]
    points = [at for at in points if not 600 < (now - at).total_seconds() < 780]
    series = Series.objects.create(device=device, path="/3303/0/5700")
    Sample.objects.bulk_create(
        Sample(
            series=series,
            time=microseconds(at),
            number=None if index == 700 else 21.5 + math.sin(index / 60),
            text="NaN" if index == 700 else None,
        )
        for index, at in enumerate(points)
    )
    battery = Series.objects.create(device=device, path="/3/0/9")
    Sample.objects.bulk_create(
        Sample(series=battery, time=microseconds(now - timedelta(minutes=10 * index)), number=87 + index)
        for index in range(1, 8)
    )
    # chartable, but nothing but text has ever come
    Sample.objects.create(
        series=Series.objects.create(device=device, path="/4/0/2"), time=microseconds(now), text="Infinity"
    )
    charts.hours_mark()
    ServerInterval.objects.create(
        server=server, state="down", started_at=now - timedelta(seconds=780), ended_at=now - timedelta(seconds=600),
        reason="Leshan refused the connection",
    )  # fmt: skip
    StreamGap.objects.create(
        server=server, journal="j", first_sequence=3, last_sequence=9, reason="truncated",
        since=now - timedelta(minutes=25), recorded_at=now - timedelta(minutes=24),
    )  # fmt: skip
    Observation.objects.create(device=device, path="/3303/0/5700", state="active", changed_at=now)
    Observation.objects.create(device=device, path="/3/0/9", state="wanted", changed_at=now)
    Observation.objects.create(device=device, path="/6/0/0", state="failed", reason="4.04 Not Found", changed_at=now)
    DeviceEvent.objects.create(device=device, kind="registered", at=now, text="Registered", detail={"lifetime": 300})
    DeviceEvent.objects.create(kind="refused", at=now, text="“eve”: another CA", detail={"peer": "192.0.2.9:1"})
    RawEvent.objects.create(
        server=server, device=device, event_id="j-4", name="SEND", data=b"{\xff", size=2, error="no JSON",
        received_at=now,
    )  # fmt: skip
    ada = User.objects.get(username="ada")
    for number, (kind, path, state, reason, answer) in enumerate(
        (
            ("read", "/3/0/9", "succeeded", "", {"content": {"kind": "singleResource", "id": 9, "type": "INTEGER",
                                                             "value": "87"}}),
            ("write", "/1/0/1", "failed", "4.05 Method Not Allowed: the device does not allow this there", None),
            ("execute", "/3/0/4", "expired", "the device was not heard in time", None),
            ("write", "/3/0/14", "cancelled", "cancelled by ada before anything was sent", None),
        )
    ):  # fmt: skip
        at = now - timedelta(minutes=10 - number)
        Command.objects.create(
            device=device, kind=kind, path=path, state=state, reason=reason, answer=answer, asked_by=ada, asked_at=at,
            sent_at=at, ended_at=at, expires_at=at + timedelta(hours=24), duration_ms=35, attempts=1,
            arguments={"mode": "replace", "node": {"kind": "singleResource", "id": int(path.split("/")[-1]),
                                                   "type": "STRING", "value": "300"}} if kind == "write" else {},
        )  # fmt: skip
    sleeper = Device.objects.create(
        endpoint="sleeper", status="asleep", status_since=now, last_contact=now, server=server
    )
    Registration.objects.create(
        device=sleeper, registration_id="r2", registered_at=now, last_update=now, lifetime=3600, queue_mode=True,
        address="192.0.2.8:5683", lwm2m_version="1.1", binding_mode="UQ", secure=True,
        object_links=[{"url": "/1/0", "attributes": {}}, {"url": "/3/0", "attributes": {}}],
    )  # fmt: skip
    Device.objects.create(endpoint="new", status="never_seen")
    Device.objects.create(endpoint="stolen", status="blocked", last_contact=now - timedelta(days=20))
    Device.objects.create(
        endpoint='a/very "long" <b>name</b> of a device & more ' * 4, status="offline", model="m" * 80,
        serial_number="S" * 60, firmware_version="v" * 60, last_contact=now - timedelta(days=3), server=server,
    )  # fmt: skip
    chance = random.Random(1)
    Device.objects.bulk_create(
        Device(
            endpoint=f"meter-{number:05}", model=f"AM-{number % 3}",
            status=chance.choice(["online", "asleep", "offline"]),
            firmware_version=f"1.{number % 5}", last_contact=now - timedelta(seconds=chance.randint(1, 90_000)),
        )
        for number in range(devices)
    )  # fmt: skip


def resource_write(device: Device, path: str, type_: str, text: str, number: float | None, at: datetime) -> None:
    ids = [int(part) for part in path.strip("/").split("/")]
    Resource.objects.update_or_create(
        device=device,
        path=path,
        defaults={
            "object_id": ids[0],
            "object_instance_id": ids[1],
            "resource_id": ids[2],
            "resource_instance_id": ids[3] if len(ids) > 3 else None,
            "type": type_,
            "value": text,
            "number": number,
            "time": microseconds(at),
            "received": microseconds(at),
        },
    )


def session(*, username: str) -> str:
    """The key of a session in which this person is signed in."""
    user = User.objects.get(username=username)
    store = SessionStore()
    store[SESSION_KEY] = str(user.pk)
    store[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    store[HASH_SESSION_KEY] = user.get_session_auth_hash()
    store.create()
    return str(store.session_key)


def value(*, endpoint: str, path: str, number: float) -> None:
    """A new value of a device, in one transaction as sync does it."""
    now = timezone.now()
    with transaction.atomic():
        device = Device.objects.get(endpoint=endpoint)
        resource_write(device, path, "FLOAT", repr(number), number, now)
        series, _ = Series.objects.get_or_create(device=device, path=path)
        Sample.objects.create(series=series, time=microseconds(now), number=number)
        StaleHour.objects.get_or_create(series=series, hour=microseconds(now) // charts.HOUR_US)
        Device.objects.filter(pk=device.pk).update(last_contact=now)
        Change.objects.create(device_id=device.pk, kind=Change.Kind.VALUES)


def status(*, endpoint: str, status: str) -> None:
    """A device in another state."""
    with transaction.atomic():
        device = Device.objects.get(endpoint=endpoint)
        Device.objects.filter(pk=device.pk).update(status=status, status_since=timezone.now())
        Change.objects.create(device_id=device.pk, kind=Change.Kind.STATUS)


def answer(*, endpoint: str, state: str, reason: str = "", value: str = "") -> int:
    """The device's open commands end, or are sent, as sync would write it; how many."""
    now = timezone.now()
    with transaction.atomic():
        device = Device.objects.get(endpoint=endpoint)
        commands = list(Command.objects.filter(device=device, state__in=["queued", "sent"]).order_by("id"))
        for command in commands:
            command.state, command.reason, command.sent_at, command.attempts = state, reason, now, 1
            if state != "sent":
                command.ended_at, command.duration_ms, command.status = now, 35, "CONTENT(205)"
            if value:
                number = int(command.path.split("/")[-1])
                node = {"kind": "singleResource", "id": number, "type": "STRING", "value": value}
                command.answer = {"status": "CONTENT(205)", "content": node}
            command.save()
            if state == "sent":
                break
        Change.objects.create(device_id=device.pk, kind=Change.Kind.COMMANDS)
    return len(commands)


def batch(*, count: int) -> int:
    """So many commands of the newest batch succeed; the batch's number."""
    now = timezone.now()
    newest = CommandBatch.objects.order_by("-id").first()
    assert newest is not None
    with transaction.atomic():
        for command in Command.objects.filter(batch=newest, state="queued").order_by("id")[:count]:
            command.state, command.ended_at, command.duration_ms = "succeeded", now, 20
            command.save()
            Change.objects.create(device_id=command.device_id, kind=Change.Kind.COMMANDS)
    return newest.pk


def sync(*, alive: bool) -> None:
    """The heartbeat goes on, or has stopped a minute ago."""
    if alive:
        beating.set()
        beat()
    else:
        beating.clear()
        LeshanServer.objects.update(sync_alive_at=timezone.now() - timedelta(minutes=1))


def beat() -> None:
    LeshanServer.objects.update(sync_alive_at=timezone.now())


def heartbeat() -> None:
    pause = threading.Event()
    while True:
        if beating.is_set():
            beat()
            connection.close()
        pause.wait(1)


COMMANDS: dict[str, Any] = {
    "seed": seed, "session": session, "value": value, "status": status, "sync": sync, "answer": answer, "batch": batch,
    **alerts.COMMANDS, **firmware.COMMANDS,
    **charts.COMMANDS, **logs.COMMANDS, **places.COMMANDS,
}  # fmt: skip


def main() -> None:
    """Until the input ends."""
    threading.Thread(target=heartbeat, daemon=True).start()
    for line in sys.stdin:
        name, arguments = json.loads(line)
        print(json.dumps(COMMANDS[name](**arguments)), flush=True)


if __name__ == "__main__":
    main()
