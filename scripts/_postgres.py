"""A PostgreSQL cluster that lives as long as a block: for the tests. Standard library only."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from _setup import SetupError, postgres_folder
from _supervise import die_with_parent

USER = "flownexus"
# a test's data may be lost: nothing is flushed
OPTIONS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=60", "listen_addresses=")


@contextlib.contextmanager
def temporary_cluster() -> Iterator[str]:
    """A DATABASE_URL for an empty database in a new cluster on a socket of its own. Raises SetupError without one."""
    programs = postgres_folder()
    if programs is None:
        raise SetupError("PostgreSQL is not installed: sudo apt-get install postgresql")
    # a short path: a socket's name has at most 107 bytes
    folder = Path(tempfile.mkdtemp(prefix="fnx-pg-", dir="/tmp"))
    # PostgreSQL refuses to run as root
    user = _other_user() if os.geteuid() == 0 else None
    server: subprocess.Popen[bytes] | None = None
    try:
        if user:
            shutil.chown(folder, user)
        data, log = folder / "data", folder / "log"
        initdb: list[str | Path] = [
            programs / "initdb",
            "-D",
            data,
            "-U",
            USER,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ]
        made = subprocess.run(initdb, user=user, cwd=folder, text=True, capture_output=True)
        if made.returncode:
            raise SetupError(f"initdb failed: {made.stderr.strip()}")
        command: list[str | Path] = [programs / "postgres", "-D", data, "-k", folder]
        for option in OPTIONS:
            command += ["-c", option]
        with log.open("wb") as out:
            server = subprocess.Popen(
                command,
                user=user,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        _wait_ready(programs, folder, server, log)
        create: list[str | Path] = [programs / "createdb", "-h", folder, "-U", USER, USER]
        created = subprocess.run(create, user=user, cwd=folder, text=True, capture_output=True)
        if created.returncode:
            raise SetupError(f"createdb failed: {created.stderr.strip()}")
        yield f"postgresql://{USER}@/{USER}?host={folder}"
    finally:
        if server is not None:
            # SIGINT: PostgreSQL's fast shutdown, with clients still connected
            with contextlib.suppress(ProcessLookupError):
                server.send_signal(2)
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _other_user() -> str:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise SetupError("PostgreSQL refuses to run as root and there is neither a user postgres nor nobody")


def _wait_ready(programs: Path, folder: Path, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < deadline:
        if subprocess.run([programs / "pg_isready", "-q", "-h", folder]).returncode == 0:
            return
        time.sleep(0.1)
    raise SetupError(f"PostgreSQL did not start:\n{log.read_text(errors='replace')[-2000:]}")
