"""Where certificates and keys lie, and how they get there without ever being half there.

    DIR/ca.{pem,der}, ca.key.pem, server.{pem,der}, server.key.pem
    DIR/devices/<percent-encoded endpoint>/{cert,key,ca}.{pem,der}     X.509
    DIR/devices/<percent-encoded endpoint>/psk.{identity,key}          PSK (key in hex)

Folders are 0700, keys 0600. New files are first written to a staging folder beside their place; the database's commit
decides; then they are moved. A crash in between leaves either a staging folder without rows, which `recover` deletes,
or one with rows, which `recover` moves.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from backend.pki.errors import BadNameError, PkiError

FOLDER_NAME_MAX = 255
STAGING = ".staging-"
# up to here every file is flushed by itself; beyond, one flush of all file systems is cheaper
FLUSH_ONE_BY_ONE = 100

# file name (or device folder and file name) → content
Files = Mapping[str, bytes]


def folder_name(endpoint: str) -> str:
    """The endpoint as a folder's name: percent-encoded UTF-8 but for letters, digits and `_-~.` (RFC 3986, 2.3).

    `.` and `..` are encoded as well. Raises BadNameError where the name gets too long for a file system.
    """
    name = quote(endpoint, safe="")
    if name in {".", ".."}:
        name = name.replace(".", "%2E")
    if len(name) > FOLDER_NAME_MAX:
        raise BadNameError(
            f"{endpoint!r} is too long for a folder name: {len(name)} characters when percent-encoded, "
            f"{FOLDER_NAME_MAX} at most; shorten it"
        )
    return name


def device_folder(directory: Path, endpoint: str) -> Path:
    """The folder of one device's files."""
    return directory / "devices" / folder_name(endpoint)


@contextlib.contextmanager
def opened(directory: Path) -> Iterator[None]:
    """The folder, made where it is missing (0700), for this process alone until the block ends.

    Raises PkiError where it cannot be made or written.
    """
    try:
        (directory / "devices").mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (directory, directory / "devices"):
            folder.chmod(0o700)
        lock = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise PkiError(f"cannot write to {directory} ({error.strerror}): choose another FLOWNEXUS_DATA") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def stage(parent: Path, files: Files) -> Path:
    """A staging folder in `parent` with all the files written and flushed. Raises PkiError where that fails."""
    staging = Path(tempfile.mkdtemp(prefix=STAGING, dir=parent))
    try:
        for name, content in files.items():
            file = staging / name
            file.parent.mkdir(mode=0o700, exist_ok=True)
            _write(file, content, flush=len(files) <= FLUSH_ONE_BY_ONE)
        if len(files) > FLUSH_ONE_BY_ONE:
            os.sync()
    except OSError as error:
        shutil.rmtree(staging, ignore_errors=True)
        raise PkiError(f"cannot write to {parent}: {error.strerror}") from error
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return staging


def publish(staging: Path) -> None:
    """Moves what was staged to its place and deletes the staging folder."""
    parent = staging.parent
    for entry in sorted(staging.iterdir()):
        try:
            entry.replace(parent / entry.name)
        except OSError as error:
            if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
                raise PkiError(f"{parent / entry.name} is in the way: move it aside and try again") from error
            raise
    _flush_folder(parent)
    staging.rmdir()


def discard(staging: Path) -> None:
    """Deletes what was staged."""
    shutil.rmtree(staging, ignore_errors=True)


def recover(parent: Path, wanted: Callable[[Path], bool]) -> None:
    """Ends what a crash interrupted: `wanted(entry)` tells whether the database knows a staged file or folder."""
    for staging in sorted(parent.glob(f"{STAGING}*")):
        for entry in sorted(staging.iterdir()):
            if not wanted(entry):
                if entry.is_dir():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()
        publish(staging)


def _write(file: Path, content: bytes, *, flush: bool) -> None:
    private = ".key" in file.name or file.name.startswith("key.")
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o644)
    with os.fdopen(descriptor, "wb") as out:
        out.write(content)
        if flush:
            out.flush()
            os.fsync(out.fileno())


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
