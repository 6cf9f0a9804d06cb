"""`manage.py firmware`: one clear line and exit code 1 on a mistake."""

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from backend.firmware.models import FirmwareImage
from tests.unit.firmware.signed import key, private_pem, public_pem, signed

pytestmark = pytest.mark.django_db


def test_images_and_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    by = key()
    file, pem = tmp_path / "app.bin", tmp_path / "key.pem"
    file.write_bytes(signed(tmp_path, by))
    pem.write_text(public_pem(by))
    call_command("firmware", "keys", "add", "release", str(pem))
    assert "ECDSA P-256  release" in capsys.readouterr().out
    call_command("firmware", "add", str(file), "--model", "M*", "--note", "x")
    line = capsys.readouterr().out
    assert "1.2.3+4  app.bin  (signed with release)" in line
    call_command("firmware", "add", str(file))
    assert capsys.readouterr().out == f"this content is here already:\n{line}"
    call_command("firmware", "list")
    assert capsys.readouterr().out == line
    call_command("firmware", "list", "--search", "nothing")
    assert capsys.readouterr().out == ""
    call_command("firmware", "keys", "list")
    assert "release" in capsys.readouterr().out
    call_command("firmware", "keys", "delete", "release")
    call_command("firmware", "list")
    assert "(signed by an unknown key)" in capsys.readouterr().out
    call_command("firmware", "delete", str(FirmwareImage.objects.get().pk))
    assert FirmwareImage.objects.count() == 0


def test_mistakes(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "key.pem").write_text(private_pem(key()))
    for arguments, says in (
        (["add", str(tmp_path / "missing")], "does not exist"),
        (["add", str(tmp_path)], "is no file"),
        (["add", str(tmp_path / "empty")], "The file is empty"),
        (["add", str(tmp_path / "key.pem"), "--profile", "x"], "There is no profile 'x'"),
        (["delete", "7"], "There is no firmware image 7"),
        (["keys", "add", "k", str(tmp_path / "key.pem")], "PRIVATE"),
        (["keys", "add", "k", str(tmp_path / "missing")], "cannot be read"),
        (["keys", "delete", "k"], "There is no signing key 'k'"),
    ):
        with pytest.raises(CommandError, match=says) as refused:
            call_command("firmware", *arguments)
        assert "\n" not in str(refused.value)
