import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

from backend.sync.exceptions import AlreadyRunningError
from backend.sync.lock import AdvisoryLock, FileLock

HOLDER = """
import sys, pathlib
from backend.sync.lock import FileLock
lock = FileLock(pathlib.Path(sys.argv[1]), "default")
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_one_is_refused_until_the_first_one_ends(tmp_path: Path) -> None:
    database = tmp_path / "db.sqlite3"
    first = FileLock(database, "default")
    with pytest.raises(AlreadyRunningError, match=r"another sync works on .*process"):
        FileLock(database, "default")
    FileLock(database, "other").close()
    first.ensure()
    first.close()
    FileLock(database, "default").close()
    assert oct((tmp_path / "db.sqlite3.sync-default.lock").stat().st_mode)[-3:] == "600"


def test_the_kernel_takes_it_back_from_a_killed_holder(tmp_path: Path) -> None:
    database = tmp_path / "db.sqlite3"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(AlreadyRunningError, match=str(holder.pid)):
            FileLock(database, "default")
        holder.kill()
        holder.wait(10)
    FileLock(database, "default").close()


@pytest.mark.django_db
@pytest.mark.database
def test_the_advisory_lock_of_postgresql() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("PostgreSQL only")
    first = AdvisoryLock(1)
    with pytest.raises(AlreadyRunningError):
        AdvisoryLock(1)
    AdvisoryLock(2).close()
    first.ensure()
    # the connection is lost, and with it the lock: it is taken again
    assert first._connection is not None
    first._connection.close()
    first.ensure()
    with pytest.raises(AlreadyRunningError):
        AdvisoryLock(1)
    first.close()
    AdvisoryLock(1).close()
