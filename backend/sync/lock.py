"""One `sync` per database and server: the kernel (or PostgreSQL) gives the lock back however the holder ends."""

import fcntl
import os
from pathlib import Path
from typing import Protocol

import psycopg
from django.db import OperationalError, connection

from backend.sync.exceptions import AlreadyRunningError

# an arbitrary number that stands for this lock among PostgreSQL's advisory ones
_CLASS = 0x464C4E58


class Lock(Protocol):
    """Held until the process ends."""

    def ensure(self) -> None:
        """Is it still ours? Takes it again where it was lost with a connection.

        Raises AlreadyRunningError, or OperationalError while the database cannot be reached.
        """

    def close(self) -> None:
        """Gives it back."""


class FileLock:
    """`flock` on a file beside the SQLite database."""

    def __init__(self, database: Path, server: str) -> None:
        """Raises AlreadyRunningError, or OSError where the file cannot be made."""
        self.file = database.with_name(f"{database.name}.sync-{server}.lock")
        self._descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise AlreadyRunningError(
                f"another sync works on {database}" + (f" (process {holder})" if holder else "")
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def ensure(self) -> None:
        """A file lock is lost with the process only."""

    def close(self) -> None:
        """Gives it back."""
        os.close(self._descriptor)


class AdvisoryLock:
    """A session-level advisory lock on a connection of its own."""

    def __init__(self, server_id: int) -> None:
        """Raises AlreadyRunningError, or OperationalError where the database cannot be reached."""
        self._server_id = server_id
        self._connection: psycopg.Connection[tuple[bool]] | None = None
        self.ensure()

    def ensure(self) -> None:
        """Looks after the connection. Raises AlreadyRunningError where another has taken the lock meanwhile."""
        if self._connection is not None:
            try:
                self._connection.execute("SELECT true")
            except psycopg.Error:
                self._connection.close()
                self._connection = None
            else:
                return
        parameters = connection.get_connection_params()
        for key in ("cursor_factory", "context", "prepare_threshold"):
            parameters.pop(key, None)
        try:
            opened = psycopg.connect(**parameters, autocommit=True)
            row = opened.execute("SELECT pg_try_advisory_lock(%s, %s)", (_CLASS, self._server_id)).fetchone()
        except psycopg.Error as error:
            raise OperationalError(str(error)) from error
        if row is None or not row[0]:
            opened.close()
            raise AlreadyRunningError("another sync works on this database")
        self._connection = opened

    def close(self) -> None:
        """Gives it back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def lock_acquire(*, server: str, server_id: int) -> Lock:
    """The lock for this database and server. Raises AlreadyRunningError."""
    if connection.vendor == "sqlite":
        return FileLock(Path(str(connection.settings_dict["NAME"])), server)
    return AdvisoryLock(server_id)
