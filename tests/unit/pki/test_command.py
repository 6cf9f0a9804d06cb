"""`scripts/certs`, from `manage.py certs` on: one clear line and exit code 1 on a mistake."""

from pathlib import Path

import pytest
from django.core.management import call_command

from backend.devices.models import Device

pytestmark = pytest.mark.django_db


def test_it_makes_everything_and_lists_it(certs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("certs", "init", "--host", "10.0.0.1", "--host", "flow.example")
    call_command("certs", "device", "a", "b")
    call_command("certs", "device", "--psk", "p")
    said = capsys.readouterr().out
    assert f"{certs / 'ca.pem'}" in said
    assert f"a: certificate and key in {certs / 'devices' / 'a'}" in said
    assert "p: identity and pre-shared key in" in said
    call_command("certs", "list")
    lines = capsys.readouterr().out.splitlines()
    assert [line.rpartition("  ")[2] for line in lines][1:] == [
        "device: a", "device: b", "server: FlowNexus server", "device: p",
    ]  # fmt: skip


def test_many_devices_are_said_in_few_lines(certs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("certs", "init")
    capsys.readouterr()
    call_command("certs", "device", *(f"m-{number}" for number in range(40)))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 11
    assert lines[-1].startswith("and 30 more in ")
    assert Device.objects.count() == 40


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["device", "x"], "there is no CA in"),
        (["device", "--psk", "a", "x" * 300], "1 to 255 characters"),
        (["init", "--host", "no host"], "neither a host name nor an IP address"),
    ],
)
def test_a_mistake_is_one_line(
    certs: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        call_command("certs", *arguments)
    assert ended.value.code == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("scripts/certs: ")
    assert message in line


def test_keep_passes_over_what_is_there(certs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("certs", "device", "--psk", "a")
    capsys.readouterr()
    call_command("certs", "device", "--psk", "--keep", "a")
    assert capsys.readouterr().out == "all of these have a credential already\n"
