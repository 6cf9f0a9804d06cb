"""`manage.py administrator`: what scripts read from it."""

import re

import pytest
from django.core.management import CommandError, call_command

from backend.accounts.models import Role, User

pytestmark = [pytest.mark.django_db, pytest.mark.database]

LINE = re.compile(r"administrator: (\S+) / (\S{16,})\n")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    call_command("administrator", *arguments)
    return capsys.readouterr().out


def test_once_and_never_again(capsys: pytest.CaptureFixture[str]) -> None:
    match = LINE.fullmatch(run(capsys))
    assert match is not None
    assert match[1] == "admin"
    assert User.objects.get(username="admin").check_password(match[2])
    assert run(capsys) == ""
    assert run(capsys, "--username", "other") == ""


def test_reset(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys)
    match = LINE.fullmatch(run(capsys, "--reset"))
    assert match is not None
    assert User.objects.get().check_password(match[2])
    match = LINE.fullmatch(run(capsys, "--reset", "--username", "ada"))
    assert match is not None
    assert match[1] == "ada"
    assert User.objects.get(username="ada").role == Role.ADMINISTRATOR


@pytest.mark.parametrize("name", ["", "a b", "x" * 200])
def test_a_name_that_cannot_be(name: str) -> None:
    with pytest.raises(CommandError):
        call_command("administrator", "--username", name)
    assert User.objects.count() == 0


def test_a_taken_name(capsys: pytest.CaptureFixture[str]) -> None:
    User.objects.create(username="admin", role=Role.VIEWER)
    with pytest.raises(CommandError, match="--reset"):
        call_command("administrator")
