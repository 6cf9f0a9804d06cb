"""Browsers of signed-in people."""

import pytest
from django.test import Client

from backend.accounts.models import Role
from tests.unit.api.builders import user


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
