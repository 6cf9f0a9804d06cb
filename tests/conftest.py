"""What holds for all tests."""

from importlib import import_module

import pytest

default_profile = import_module("backend.devices.migrations.0002_default_profile")


@pytest.fixture(autouse=True)
def migrated_rows(request: pytest.FixtureRequest) -> None:
    """The rows that migrations make are there for every test with a database.

    A test with real transactions ends with every table emptied, and with several workers others may come after it.
    """
    if not (request.node.get_closest_marker("django_db") or {"db", "transactional_db"} & set(request.fixturenames)):
        return
    request.getfixturevalue("db")

    from django.apps import apps
    from django.db import connection

    if not apps.get_model("devices", "Profile").objects.exists():
        default_profile.forwards(apps, connection.schema_editor())
