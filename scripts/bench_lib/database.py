"""A database of its own for a benchmark that works in this process."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

from _postgres import temporary_cluster
from _setup import ROOT


@contextlib.contextmanager
def own_database(*, postgres: bool) -> Iterator[None]:
    """Sets the environment for Django: an empty data folder, and SQLite in it or a PostgreSQL cluster.

    Call `django.setup()` within. Raises SetupError where PostgreSQL cannot be started.
    """
    with contextlib.ExitStack() as stack:
        os.environ["FLOWNEXUS_DATA"] = stack.enter_context(tempfile.TemporaryDirectory(prefix="flownexus-bench-"))
        os.environ.pop("DATABASE_URL", None)
        if postgres:
            os.environ["DATABASE_URL"] = stack.enter_context(temporary_cluster())
        os.environ["DJANGO_SETTINGS_MODULE"] = "backend.config.settings"
        sys.path.insert(0, str(ROOT))
        yield
