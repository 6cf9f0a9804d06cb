"""Commands that a part of FlowNexus asks of many devices at once, each another one: the same few statements for all."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from backend.commands.models import Command, Kind
from backend.commands.services.cancel import commands_cancel
from backend.commands.services.check import arguments_check
from backend.lwm2m.nodes import nothing_known


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """One command to be queued. A node in the arguments says its type: no object model is asked."""

    device_id: int
    kind: Kind
    path: str
    # by kind, see docs/api.md; of a package's write: {"sha256", "size" (bytes), "seconds"}
    arguments: Mapping[str, Any] = field(default_factory=dict)
    expires_in: timedelta
    note: str = ""


def commands_ask(*, asks: Sequence[Asking], at: datetime) -> list[Command]:
    """Queues them, in this order: one statement for any number. Raises CommandError where one of them is none."""
    return Command.objects.bulk_create(
        [
            Command(
                device_id=ask.device_id,
                kind=ask.kind,
                path=ask.path,
                arguments=_checked(ask),
                note=ask.note,
                asked_at=at,
                expires_at=at + ask.expires_in,
            )
            for ask in asks
        ]
    )


def commands_drop(*, ids: Collection[int], at: datetime) -> int:
    """Cancels those of them that have not ended, as `command_cancel` does for people; how many. Few statements."""
    if not ids:
        return 0
    return commands_cancel(commands=Command.objects.filter(pk__in=ids), by=None, at=at)


def _checked(ask: Asking) -> dict[str, Any]:
    return arguments_check(
        kind=ask.kind,
        path=ask.path,
        arguments=ask.arguments,
        content_format="",
        definitions=nothing_known,
        force=False,
    )
