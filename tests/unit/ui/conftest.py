"""Quick passwords, no counts of failed logins from the test before, no build of static files."""

import copy
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from pytest_django import Settings

from backend.accounts.models import Role
from tests.unit.api.builders import user


@pytest.fixture(autouse=True)
def _light(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    storages: dict[str, Any] = copy.deepcopy(settings.STORAGES)
    storages["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = storages
    cache.clear()


@pytest.fixture
def viewer(client: Client, db: None) -> Client:
    """A browser in which a viewer is signed in."""
    client.force_login(user("vera"))
    return client


@pytest.fixture
def administrator(client: Client, db: None) -> Client:
    """A browser in which the only administrator is signed in."""
    client.force_login(user("ada", Role.ADMINISTRATOR))
    return client
