"""The set-up's own small parts; the whole of it is what scripts/test begins with."""

import sys
from pathlib import Path

import _setup
import pytest


def test_folders_follow_option_then_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("FLOWNEXUS_DATA", raising=False)
    assert _setup.data_folder() == _setup.ROOT / "data"
    assert _setup.certs_folder() == _setup.ROOT / "certs"
    monkeypatch.setenv("FLOWNEXUS_DATA", str(tmp_path / "env"))
    assert _setup.data_folder() == tmp_path / "env"
    assert _setup.certs_folder() == tmp_path / "env" / "certs"
    assert _setup.data_folder(str(tmp_path / "option")) == tmp_path / "option"
    assert _setup.certs_folder(str(tmp_path / "option")) == tmp_path / "option" / "certs"
    assert _setup.environment(str(tmp_path / "option"))["FLOWNEXUS_DATA"] == str(tmp_path / "option")


def test_the_token_is_made_once_and_for_the_owner_only(tmp_path: Path) -> None:
    token = _setup.token_ensure(tmp_path)
    first = token.read_text()
    assert len(first.strip()) >= 32
    assert token.stat().st_mode & 0o777 == 0o600
    assert _setup.token_ensure(tmp_path).read_text() == first


def test_a_data_folder_that_cannot_be_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(_setup.SetupError, match="choose another folder with --data"):
        _setup.make_data_folder(tmp_path / "file" / "below")


def test_this_python_is_fit() -> None:
    assert _setup._usable(sys.executable)
    assert not _setup._usable("/nonexistent/python3")


def test_a_failing_tool_shows_the_end_of_its_output(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_setup, "CACHE", tmp_path)
    with pytest.raises(_setup.SetupError, match=r"(?s)thing failed \(3\).*\n  no network\nask somebody"):
        _setup._tool("thing", ["sh", "-c", "echo no network; exit 3"], advice="ask somebody")
