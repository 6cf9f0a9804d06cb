"""The write of a package, as firmware updates ask for it."""

from datetime import timedelta
from typing import Any

import pytest

from backend.commands.models import Command, Kind, State
from backend.commands.services import CommandError
from backend.commands.services.bulk import Asking, commands_ask
from backend.commands.texts import command_summary
from tests.unit.api.builders import NOW, device

pytestmark = [pytest.mark.django_db, pytest.mark.database]

HASH = "0f" * 32
ARGUMENTS = {"sha256": HASH, "size": 1024, "seconds": 90_000}


def ask(path: str = "/5/0/0", **arguments: Any) -> Command:
    asking = Asking(
        device_id=device(registered=True).pk,
        kind=Kind.WRITE_PACKAGE,
        path=path,
        arguments=ARGUMENTS | arguments,
        expires_in=timedelta(days=2),
        note="Firmware update 7",
    )
    (made,) = commands_ask(asks=[asking], at=NOW)
    return made


def test_a_packages_transfer() -> None:
    made = Command.objects.get(pk=ask().pk)
    assert (made.kind, made.state, made.note) == (Kind.WRITE_PACKAGE, State.QUEUED, "Firmware update 7")
    assert made.arguments == ARGUMENTS
    assert made.expires_at == NOW + timedelta(days=2)
    assert command_summary(made) == "Write package /5/0/0: 1024 bytes, SHA-256 0f0f0f0f0f0f…"


@pytest.mark.parametrize(
    "wrong",
    [
        {"path": "/5/0"}, {"path": ""}, {"path": "/0/0/5"}, {"sha256": "AB" * 32}, {"sha256": "x"}, {"sha256": None},
        {"size": 0}, {"size": "1"}, {"seconds": 0}, {"seconds": None}, {"other": 1},
    ],
)  # fmt: skip
def test_a_packages_transfer_that_is_none(wrong: dict[str, Any]) -> None:
    with pytest.raises(CommandError):
        ask(**wrong)
    assert not Command.objects.exists()
