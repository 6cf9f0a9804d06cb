"""A certificate folder of its own for every test."""

from pathlib import Path

import pytest
from pytest_django import Settings


@pytest.fixture
def certs(tmp_path: Path, settings: Settings) -> Path:
    """settings.CERTS_DIR, not yet made."""
    settings.CERTS_DIR = tmp_path / "certs"
    return tmp_path / "certs"
