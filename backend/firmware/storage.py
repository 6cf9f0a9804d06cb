"""Where the bytes of images lie: IMAGES_DIR/<sha256>, once each (folder 0700, files 0600).

An upload is hashed while it streams into a temporary file beside them, and gets its place with a rename: a file under
its hash is complete. A temporary file is locked as long as somebody writes it, so one that can be locked is litter.
Until the database knows a new file, an empty one beside it, `.keeping-<sha256>`, says that this is still to come.
"""

import errno
import fcntl
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from django.conf import settings

from backend.firmware.errors import FirmwareError, NoRoomError, TooLargeError

MIB = 1024 * 1024
TEMPORARY = ".incoming-"
KEEPING = ".keeping-"
# bytes read or written at once
CHUNK = 256 * 1024
_SHA256 = re.compile(r"[0-9a-f]{64}")


def image_path(sha256: str) -> Path:
    """The file of that hash (64 lower-case hex digits), whether it exists or not. Raises ValueError."""
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"{sha256[:80]!r} is no SHA-256 in lower-case hex")
    return Path(settings.IMAGES_DIR) / sha256


def limit_bytes() -> int:
    """How large an image may be here."""
    return int(settings.FIRMWARE_LIMIT_MIB) * MIB


def too_large(limit: int) -> TooLargeError:
    """The sentence for what exceeds `limit` bytes."""
    size = f"{limit // MIB} MiB" if limit % MIB == 0 else f"{limit:,} bytes"
    return TooLargeError(
        f"The image is larger than {size}, which is the limit: "
        "upload a smaller one, or raise FLOWNEXUS_FIRMWARE_LIMIT_MIB."
    )


def _unwritable(error: OSError) -> NoRoomError:
    folder = settings.IMAGES_DIR
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return NoRoomError(f"There is no room for the image in {folder}: free some space, or delete old images.")
    return NoRoomError(f"The image cannot be written to {folder} ({error.strerror}): see to the folder's permissions.")


def _folder() -> Path:
    folder = Path(settings.IMAGES_DIR)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


class Incoming:
    """An image on its way in: write it, look at it, keep it. A context manager; what was not kept is gone at its end.

    Where it cannot be written, `write` and `keep` raise NoRoomError.
    """

    def __init__(self, limit: int) -> None:
        """`limit`: bytes. Raises NoRoomError."""
        self.size = 0
        self._limit = limit
        self._hash = hashlib.sha256()
        try:
            with locked():
                folder = _folder()
                _sweep(folder)
                descriptor, name = tempfile.mkstemp(prefix=TEMPORARY, dir=folder)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            raise _unwritable(error) from error
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self._path: Path | None = Path(name)

    @property
    def path(self) -> Path:
        """Where it lies for now."""
        if self._path is None:
            raise FirmwareError("The upload is over already: begin another one.")
        return self._path

    @property
    def sha256(self) -> str:
        """Of what was written so far, lower-case hex."""
        return self._hash.hexdigest()

    def write(self, chunk: bytes) -> None:
        """Append. Raises TooLargeError above the limit."""
        if self.size + len(chunk) > self._limit:
            raise too_large(self._limit)
        self._hash.update(chunk)
        self.size += len(chunk)
        rest = memoryview(chunk)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise _unwritable(error) from error

    def keep(self) -> Path:
        """Give it its place; one that lies there already stays. Within `locked`, and `kept` or `undone` comes next."""
        target = image_path(self.sha256)
        try:
            # another size under the right hash is what a broken file system left
            if not (target.is_file() and target.stat().st_size == self.size):
                os.fsync(self._file.fileno())
                if not target.exists():
                    _marker(target).touch(mode=0o600)
                self.path.replace(target)
                self._path = None
                _flush_folder(target.parent)
        except OSError as error:
            raise _unwritable(error) from error
        self.close()
        return target

    def close(self) -> None:
        """Delete what was not kept."""
        if self._path is not None:
            with suppress(OSError):
                self._path.unlink()
            self._path = None
        self._file.close()

    def __enter__(self) -> "Incoming":
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Delete what was not kept."""
        self.close()


def incoming(limit_bytes: int) -> Incoming:
    """A new upload of at most so many bytes. Raises NoRoomError."""
    return Incoming(limit_bytes)


@contextmanager
def locked() -> Iterator[None]:
    """Only one process at a time decides which files there are. Raises NoRoomError."""
    try:
        lock = os.open(_folder() / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unwritable(error) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _marker(target: Path) -> Path:
    return target.with_name(KEEPING + target.name)


def kept(sha256: str) -> None:
    """The database knows the file now. Within `locked`."""
    _marker(image_path(sha256)).unlink(missing_ok=True)


def undone(sha256: str) -> None:
    """The database does not come to know the file: it goes, if it was new. Within `locked`."""
    marker = _marker(image_path(sha256))
    if marker.exists():
        image_path(sha256).unlink(missing_ok=True)
        marker.unlink(missing_ok=True)


def unfinished() -> set[str]:
    """The hashes of files of which a crash has kept somebody from saying `kept` or `undone`. Within `locked`."""
    names = (one.name.removeprefix(KEEPING) for one in Path(settings.IMAGES_DIR).glob(f"{KEEPING}*"))
    return {name for name in names if _SHA256.fullmatch(name)}


def file_delete(sha256: str) -> None:
    """Delete the file, where it is there. Within `locked`."""
    image_path(sha256).unlink(missing_ok=True)


def chunks_of(path: Path, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """The file's bytes from `start` to before `end`, in portions."""
    with path.open("rb") as file:
        file.seek(start)
        left = None if end is None else max(0, end - start)
        while left is None or left > 0:
            chunk = file.read(CHUNK if left is None else min(CHUNK, left))
            if not chunk:
                return
            if left is not None:
                left -= len(chunk)
            yield chunk


def _sweep(folder: Path) -> None:
    """Removes what killed uploads left."""
    for file in folder.glob(f"{TEMPORARY}*"):
        with suppress(OSError):
            descriptor = os.open(file, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                file.unlink()
            finally:
                os.close(descriptor)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
