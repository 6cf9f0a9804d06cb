"""An image folder of its own for every test."""

from pathlib import Path

import pytest
from pytest_django import Settings


@pytest.fixture(autouse=True)
def images(tmp_path: Path, settings: Settings) -> Path:
    """settings.IMAGES_DIR, not yet made."""
    settings.IMAGES_DIR = tmp_path / "images"
    return tmp_path / "images"
