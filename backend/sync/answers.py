"""Answers to commands, as part of an ingest's transaction: the command's end and what it means for the device."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from backend.commands.models import Command, Kind, State
from backend.commands.services.outcomes import Verdict, refusal, verdict
from backend.commands.services.transitions import Settled, commands_locked, commands_settle
from backend.devices.models import Resource
from backend.devices.selectors import registration_of
from backend.devices.services import (
    ObservationMark,
    awake_halve,
    observation_ensure,
    observation_remove,
    observation_set_failed,
    observations_set_active,
)
from backend.lwm2m.paths import PathError, path_ids
from backend.sync.events import Responded

# a device that was heard this long after a request went out was awake then: the silence was another thing
HEARD = timedelta(seconds=1)


@dataclass(slots=True)
class AnswerEffects:
    """What the answers of a batch make necessary."""

    settled: list[Settled] = field(default_factory=list)
    # endpoint → paths that were written: their new values are to be read
    written: dict[str, set[str]] = field(default_factory=dict)
    # endpoints whose observations are to be looked at: a command changed them, or did not manage to
    replan: set[str] = field(default_factory=set)
    # endpoint → a shorter awake window, in seconds
    awake: dict[str, int] = field(default_factory=dict)

    def add(self, other: "AnswerEffects") -> None:
        """Joins the effects of a later part."""
        self.settled += other.settled
        for endpoint, paths in other.written.items():
            self.written.setdefault(endpoint, set()).update(paths)
        self.replan |= other.replan
        self.awake |= other.awake


class Answers:
    """The answers of one batch. The commands are held until its transaction ends."""

    def __init__(self, items: Iterable[Responded], now: datetime) -> None:
        """Looks the commands up, in a constant number of queries."""
        wanted = {item.record.request_id for item in items if item.record.request_id}
        self._now = now
        self._commands = commands_locked(request_ids=wanted) if wanted else {}
        self._verdicts: list[tuple[Command, Verdict]] = []
        self.effects = AnswerEffects()

    def take(self, item: Responded) -> tuple[Command, Verdict] | None:
        """The command that is in exactly this attempt, and its verdict; None: the answer to somebody else's request."""
        command = self._commands.pop(item.record.request_id, None)
        if command is None:
            return None
        given = verdict(item.record, kind=command.kind, attempts=command.attempts, expires_at=command.expires_at)
        self._verdicts.append((command, given))
        return command, given

    @staticmethod
    def sampled(command: Command) -> bool:
        """Do its values belong into the time series? Those of an observation come as an event, too."""
        if command.kind == Kind.READ:
            return command.path.count("/") >= 2
        return command.kind == Kind.READ_COMPOSITE

    def settle(self) -> None:
        """Writes the commands; pages are told by the batch."""
        self.effects.settled = commands_settle(verdicts=self._verdicts, at=self._now, tell=False)
        for (command, given), settled in zip(self._verdicts, self.effects.settled, strict=True):
            if given.state == State.SUCCEEDED:
                self._succeeded(command, given)
            elif given.state == State.FAILED and given.answer is not None and command.kind == Kind.OBSERVE:
                observation_ensure(device_id=command.device_id, path=command.path, at=self._now)
                observation_set_failed(
                    device_id=command.device_id,
                    path=command.path,
                    registration_id=_registration_id(command),
                    reason=refusal(given.status),
                    at=self._now,
                )
            if command.kind in {Kind.OBSERVE, Kind.CANCEL_OBSERVE} and settled.state != State.QUEUED:
                self.effects.replan.add(command.device.endpoint)
            if settled.silent:
                self._learn(command)

    def _succeeded(self, command: Command, given: Verdict) -> None:
        device_id, path, kind = command.device_id, command.path, command.kind
        if kind == Kind.OBSERVE:
            observation_ensure(device_id=device_id, path=path, at=self._now)
            observations_set_active(
                device_id=device_id,
                marks=[ObservationMark(path)],
                registration_id=_registration_id(command),
                at=self._now,
            )
        elif kind == Kind.CANCEL_OBSERVE:
            observation_remove(device_id=device_id, path=path)
        elif kind in {Kind.WRITE, Kind.WRITE_COMPOSITE, Kind.CREATE}:
            written = _created(command, given) if kind == Kind.CREATE else command.paths
            if written:
                self.effects.written.setdefault(command.device.endpoint, set()).update(written)
        elif kind == Kind.DELETE:
            _forget(device_id, path)

    def _learn(self, command: Command) -> None:
        """The device was asked while it was thought awake, and was not."""
        heard, sent = command.device.last_contact, command.sent_at
        if heard is not None and sent is not None and heard > sent + HEARD:
            return
        seconds = awake_halve(device=command.device)
        if seconds is not None:
            self.effects.awake[command.device.endpoint] = seconds


def _created(command: Command, given: Verdict) -> list[str]:
    """The new instance, where its id is known: chosen by us, or told by the device."""
    location = str((given.answer or {}).get("location") or "")
    number = command.arguments.get("node", {}).get("id")
    if location:
        return ["/" + location.strip("/")]
    return [f"{command.path}/{number}"] if isinstance(number, int) and number >= 0 else []


def _forget(device_id: int, path: str) -> None:
    """What was deleted has no current values."""
    try:
        object_id, instance, resource, resource_instance = path_ids(path)
    except PathError:
        return
    gone = Resource.objects.filter(device_id=device_id, object_id=object_id)
    for name, number in (
        ("object_instance_id", instance),
        ("resource_id", resource),
        ("resource_instance_id", resource_instance),
    ):
        if number is not None:
            gone = gone.filter(**{name: number})
    gone.delete()


def _registration_id(command: Command) -> str:
    registration = registration_of(command.device)
    return "" if registration is None else registration.registration_id
