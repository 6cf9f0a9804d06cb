"""Quick passwords, no counts of failed logins from the test before, no build of static files."""

import copy
from typing import Any

import pytest
from django.core.cache import cache
from pytest_django import Settings


@pytest.fixture(autouse=True)
def _light(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    storages: dict[str, Any] = copy.deepcopy(settings.STORAGES)
    storages["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = storages
    # nobody listens there: whatever runs on this machine is left alone
    settings.LESHAN_URL = "http://127.0.0.1:9"
    cache.clear()
