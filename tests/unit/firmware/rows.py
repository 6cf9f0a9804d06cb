"""Rows for tests of firmware updates, and a `sync` of a few lines that carries out what `drive` asks."""

import itertools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from backend.commands.models import Command, Kind, State
from backend.devices.models import Device, Registration, Resource, Status
from backend.firmware.models import FirmwareImage, FirmwareUpdate, ImageKind
from backend.firmware.services.drive import World, updates_due, updates_step

_NUMBER = itertools.count(1)


def image(size: int = 10_000, version: str = "2.0.0", **values: Any) -> FirmwareImage:
    number = next(_NUMBER)
    return FirmwareImage.objects.create(
        sha256=f"{number:064x}",
        size=size,
        file_name=f"app{number}.bin",
        kind=ImageKind.OPAQUE,
        version=version,
        uploaded_at=timezone.now(),
        **values,
    )


def device(name: str = "", *, registered: bool = True, instances: Sequence[int] = (0,), **values: Any) -> Device:
    made = Device.objects.create(endpoint=name or f"d{next(_NUMBER)}", status=Status.ONLINE, **values)
    if registered:
        register(made, instances=instances)
    return made


def register(device: Device, *, instances: Sequence[int] = (0,), at: datetime | None = None) -> Registration:
    moment = at or timezone.now()
    row, _ = Registration.objects.update_or_create(
        device=device,
        defaults={
            "registration_id": f"r{next(_NUMBER)}",
            "registered_at": moment,
            "last_update": moment,
            "lifetime": 300,
            "address": "192.0.2.1:5683",
            "lwm2m_version": "1.1",
            "secure": True,
            "object_links": [{"url": "/3/0", "attributes": {}}]
            + [{"url": f"/5/{number}", "attributes": {}} for number in instances],
            "ended_at": None,
            "end_reason": "",
        },
    )
    return row


def says(device: Device, path: str, value: Any, at: datetime) -> None:
    ids = [int(part) for part in path.split("/")[1:]]
    moment = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    Resource.objects.update_or_create(
        device=device,
        path=path,
        defaults={
            "object_id": ids[0],
            "object_instance_id": ids[1],
            "resource_id": ids[2],
            "type": "STRING",
            "value": str(value),
            "time": moment,
            "received": moment,
        },
    )


class Unit:
    """What a device of the tests is."""

    def __init__(self) -> None:
        self.state, self.result, self.version = 0, 0, "1.0.0"
        self.executes = self.pushes = 0


class Hub:
    """`sync`, as far as it concerns updates: due ones are looked at, deeds done, commands answered."""

    def __init__(self, at: datetime | None = None) -> None:
        self.at = at or timezone.now()
        self.since = self.at - timedelta(days=1)
        self.packages: set[str] = set()
        self.grants: dict[int, str] = {}
        self.refused: dict[int | str, str] = {}
        self.connected = True
        self.units: dict[int, Unit] = {}
        self.deeds: list[str] = []
        self.after_step: Callable[[], None] = lambda: None

    @property
    def world(self) -> World:
        return World(
            connected=self.connected,
            connected_since=self.since if self.connected else None,
            packages=frozenset(self.packages),
            grants=dict(self.grants),
            refused=dict(self.refused),
        )

    def unit(self, device_id: int) -> Unit:
        return self.units.setdefault(device_id, Unit())

    def step(self, ids: Sequence[int] | None = None) -> None:
        due = updates_due(at=self.at, limit=1000) if ids is None else list(ids)
        for deed in updates_step(ids=due, world=self.world, at=self.at):
            self.deeds.append(deed.kind)
            if deed.kind == "package":
                self.packages.add(deed.sha256)
            elif deed.kind == "grant":
                self.grants[deed.update_id] = "coaps://192.0.2.9:5684/fw/t"
            else:
                self.grants.pop(deed.update_id, None)
            FirmwareUpdate.objects.filter(pk=deed.update_id, ended_at=None).update(look_at=self.at)
        self.after_step()

    def commands(self) -> int:
        """Answers all that is queued; how many."""
        rows = list(Command.objects.filter(state=State.QUEUED).select_related("device__registration").order_by("id"))
        count = 0
        for command in rows:
            registration = Registration.objects.filter(device=command.device, ended_at=None).first()
            if registration is None:
                continue
            count += 1
            command.sent_at, command.attempts = self.at, command.attempts + 1
            self.answer(command, self.unit(command.device_id))
            command.ended_at = self.at
            command.save()
            FirmwareUpdate.objects.filter(command=command, ended_at=None).update(look_at=self.at)
        for command in Command.objects.filter(state=State.SENT, cancel_requested_at__isnull=False):
            command.state, command.reason, command.ended_at = State.CANCELLED, "cancelled", self.at
            command.save()
        return count

    def answer(self, command: Command, unit: Unit) -> None:
        command.state = State.SUCCEEDED
        content: Any = None
        if command.kind == Kind.READ:
            values = {3: unit.state, 5: unit.result, 7: unit.version, 9: 2}
            if command.path.count("/") == 2:
                nodes = [{"kind": "singleResource", "id": one, "value": str(value)} for one, value in values.items()]
                content = {"kind": "instance", "id": 0, "resources": nodes}
                for one, value in values.items():
                    says(command.device, f"{command.path}/{one}", value, self.at)
            else:
                resource = int(command.path.rsplit("/", 1)[1])
                value = unit.version if command.path == "/3/0/3" else values[resource]
                content = {"kind": "singleResource", "id": resource, "value": str(value)}
        elif command.kind == Kind.WRITE_PACKAGE:
            unit.pushes += 1
            unit.state = 2
        elif command.kind == Kind.WRITE:
            unit.state, unit.result = (2, 0) if command.arguments["node"]["value"] else (0, 0)
        elif command.kind == Kind.EXECUTE:
            assert unit.state == 2
            unit.executes += 1
            unit.state, unit.result, unit.version = 0, 1, "2.0.0"
            register(command.device, at=self.at)
        command.answer = {"success": True, "content": content}

    def run(self, *, steps: int = 400, stop: Callable[[], bool] = lambda: False) -> None:
        for _ in range(steps):
            self.step()
            if stop() or not FirmwareUpdate.objects.filter(ended_at=None).exists():
                return
            if self.commands():
                self.at += timedelta(seconds=0.2)
                continue
            later = FirmwareUpdate.objects.filter(ended_at=None, look_at__isnull=False).order_by("look_at").first()
            if later is None or later.look_at is None:
                return
            self.at = max(self.at + timedelta(seconds=0.25), later.look_at)
        raise AssertionError("it goes on for ever")
