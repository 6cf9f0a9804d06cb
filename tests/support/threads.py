"""Real concurrency in tests: threads with connections of their own to one database."""

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections


@pytest.fixture
def threads(transactional_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that open connections from now on share one real database.

    On SQLite that is a copy in a file: connections to one in memory do not wait for each other.
    """
    if connection.vendor == "sqlite":
        connection.ensure_connection()
        file = tmp_path / "race.sqlite3"
        copy = sqlite3.connect(file)
        connection.connection.backup(copy)
        copy.close()
        monkeypatch.setitem(connections.settings["default"], "NAME", str(file))


def in_threads(*works: Callable[[], Any]) -> list[Any]:
    """Results or exceptions of all, begun at one moment."""
    barrier = threading.Barrier(len(works))
    results: list[Any] = [None] * len(works)

    def run(place: int, work: Callable[[], Any]) -> None:
        try:
            connection.ensure_connection()
            barrier.wait(timeout=30)
            results[place] = work()
        except Exception as error:
            results[place] = error
        finally:
            connection.close()

    running = [threading.Thread(target=run, args=one) for one in enumerate(works)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(timeout=60)
        assert not thread.is_alive()
    return results
