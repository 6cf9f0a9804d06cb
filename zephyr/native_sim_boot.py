#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Stands for the boot loader where there is none: starts a native_sim device from the image in its simulated flash.

This is not MCUboot. It does on a flash file what MCUboot does on a flash: takes the image in slot 0 for the program,
swaps the slots if that was asked for, and swaps them back at the next start if the new image has not been confirmed.
The trailers are read and written as MCUboot 2 does (swap type table, magic, copy done, image ok). The program of an
image made for native_sim is the Linux executable, so what is started is really what lies in slot 0.

Standard library only, but for --key, which needs the package `cryptography`.
"""

from __future__ import annotations

import argparse
import contextlib
import enum
import hashlib
import os
import shlex
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import BinaryIO

# as in snippets/ota/boards/native_sim.overlay
FLASH_SIZE = 0x600000
SLOT_0 = 0x200000
SLOT_1 = 0x400000
SLOT_SIZE = 0x200000
ERASED = b"\xff"
CHUNK = 4096

# as in src/native_sim_reset.c
RESET_STATUS = 75

HEADER = struct.Struct("<IIHHIIBBHII")
HEADER_MAGIC = 0x96F3B83D
TLV_INFO = struct.Struct("<HH")
TLV_INFO_MAGIC = 0x6907
TLV = struct.Struct("<HH")
TLV_SHA256 = 0x10
TLV_ECDSA = 0x22

# the trailer, with fields of 8 bytes (BOOT_MAX_ALIGN), from the end of the slot
TRAILER_MAGIC = bytes.fromhex("77c295f360d2ef7f3552500f2cb67980")
MAGIC = SLOT_SIZE - len(TRAILER_MAGIC)
IMAGE_OK = MAGIC - 8
COPY_DONE = MAGIC - 16
SWAP_INFO = MAGIC - 24
FLAG_SET = b"\x01"


class BootError(Exception):
    """Cannot start; the message says what to do."""


class ImageError(Exception):
    """Not a valid image; the message says why."""


class Swap(enum.Enum):
    """What the trailers ask for; the values are those in a trailer."""

    NONE = 1
    TEST = 2
    PERMANENT = 3
    REVERT = 4


@dataclass(frozen=True)
class Trailer:
    """The end of a slot: whether it holds the magic, and the two flags."""

    magic: bool
    image_ok: bool
    copy_done: bool


@dataclass(frozen=True)
class Image:
    """A valid image in a slot. `program` and `size` (of all of it) in bytes, `header` is the length of the header."""

    version: str
    sha256: str
    header: int
    program: int
    size: int


def read_trailer(flash: BinaryIO, slot: int) -> Trailer:
    """The trailer of the slot at this offset."""

    def field(offset: int, size: int) -> bytes:
        flash.seek(slot + offset)
        return flash.read(size)

    return Trailer(
        magic=field(MAGIC, len(TRAILER_MAGIC)) == TRAILER_MAGIC,
        image_ok=field(IMAGE_OK, 1) == FLAG_SET,
        copy_done=field(COPY_DONE, 1) == FLAG_SET,
    )


def write_trailer(flash: BinaryIO, slot: int, swap: Swap, *, image_ok: bool) -> None:
    """The trailer that a finished swap leaves in slot 0."""
    trailer = bytearray(ERASED * (SLOT_SIZE - SWAP_INFO))
    trailer[0] = swap.value
    trailer[COPY_DONE - SWAP_INFO] = FLAG_SET[0]
    if image_ok:
        trailer[IMAGE_OK - SWAP_INFO] = FLAG_SET[0]
    trailer[MAGIC - SWAP_INFO :] = TRAILER_MAGIC
    flash.seek(slot + SWAP_INFO)
    flash.write(trailer)


def requested_swap(slot_0: Trailer, slot_1: Trailer) -> Swap:
    """MCUboot's table: a request in slot 1 goes before an image in slot 0 that was never confirmed."""
    if slot_1.magic:
        return Swap.PERMANENT if slot_1.image_ok else Swap.TEST
    if slot_0.magic and slot_0.copy_done and not slot_0.image_ok:
        return Swap.REVERT
    return Swap.NONE


def is_on_trial(flash: BinaryIO) -> bool:
    """True if the image in slot 0 would be taken back at the next start."""
    return requested_swap(read_trailer(flash, SLOT_0), read_trailer(flash, SLOT_1)) is Swap.REVERT


def read_image(flash: BinaryIO, slot: int, keys: Sequence[Path] = ()) -> Image:
    """The image in the slot at this offset, its SHA-256 and with `keys` its signature verified; else ImageError."""
    flash.seek(slot)
    magic, _, header, protected, program, _, major, minor, revision, build, _ = HEADER.unpack(flash.read(HEADER.size))
    if magic != HEADER_MAGIC:
        raise ImageError("there is no MCUboot image")
    hashed = header + program + protected
    if header < HEADER.size or hashed + TLV_INFO.size > SWAP_INFO:
        raise ImageError("the sizes in its header are wrong")
    flash.seek(slot)
    digest = hashlib.sha256()
    left = hashed
    while left:
        chunk = flash.read(min(left, CHUNK))
        digest.update(chunk)
        left -= len(chunk)
    tlvs = dict(_read_tlvs(flash))
    size = flash.tell() - slot
    if tlvs.get(TLV_SHA256) != digest.digest():
        raise ImageError("its SHA-256 is wrong")
    if keys and not _is_signed(digest.digest(), tlvs.get(TLV_ECDSA), keys):
        raise ImageError("it is not signed with one of the keys")
    version = f"{major}.{minor}.{revision}" + (f"+{build}" if build else "")
    return Image(version, digest.hexdigest(), header, program, size)


def _read_tlvs(flash: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Types and values, from where the flash stands."""
    magic, total = TLV_INFO.unpack(flash.read(TLV_INFO.size))
    if magic != TLV_INFO_MAGIC:
        raise ImageError("it is incomplete")
    total -= TLV_INFO.size
    while total >= TLV.size:
        kind, size = TLV.unpack(flash.read(TLV.size))
        total -= TLV.size + size
        if total < 0:
            raise ImageError("its list of hashes and signatures is damaged")
        yield kind, flash.read(size)


def _is_signed(digest: bytes, signature: bytes | None, keys: Sequence[Path]) -> bool:
    """True if one of the keys (PEM, private or public, ECDSA P-256) made the signature."""
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec, utils
    except ModuleNotFoundError:
        raise BootError("--key needs the package cryptography: use the Python of .venv, or pip install it") from None

    for path in keys:
        pem = path.read_bytes()
        try:
            private = b"PRIVATE KEY" in pem
            key = serialization.load_pem_private_key(pem, None) if private else serialization.load_pem_public_key(pem)
        except (TypeError, ValueError) as error:
            raise BootError(f"{path} is not a key in PEM: {error}") from None
        public = key.public_key() if isinstance(key, ec.EllipticCurvePrivateKey) else key
        if not isinstance(public, ec.EllipticCurvePublicKey):
            raise BootError(f"{path} is not an ECDSA key: make one with imgtool keygen -t ecdsa-p256")
        with contextlib.suppress(InvalidSignature):
            public.verify(signature or b"", digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
            return True
    return False


def erase(flash: BinaryIO, slot: int, start: int = 0) -> None:
    """Erases a slot, from `start` to its end."""
    flash.seek(slot + start)
    flash.write(ERASED * (SLOT_SIZE - start))


def exchange(flash: BinaryIO) -> None:
    """What was in slot 0 is in slot 1 and the other way round; both trailers are erased."""
    for offset in range(0, SLOT_SIZE, CHUNK):
        flash.seek(SLOT_0 + offset)
        first = flash.read(CHUNK)
        flash.seek(SLOT_1 + offset)
        second = flash.read(CHUNK)
        flash.seek(SLOT_0 + offset)
        flash.write(second)
        flash.seek(SLOT_1 + offset)
        flash.write(first)
    erase(flash, SLOT_0, SWAP_INFO)
    erase(flash, SLOT_1, SWAP_INFO)


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """A copy of the flash to change, which then takes its place: at any moment all of the change is there or none."""
    copy = path.with_name(path.name + ".new")
    shutil.copyfile(path, copy)
    copy.chmod(0o600)
    try:
        with copy.open("r+b") as flash:
            yield flash
            flash.flush()
            os.fsync(flash.fileno())
        copy.replace(path)
    finally:
        copy.unlink(missing_ok=True)


def boot(path: Path, keys: Sequence[Path] = ()) -> tuple[Image, str]:
    """What a boot loader does at a start: the image that is now to run from slot 0, and in words what was done."""
    with path.open("rb") as flash:
        swap = requested_swap(read_trailer(flash, SLOT_0), read_trailer(flash, SLOT_1))
        done = "nothing to swap"
        refused: ImageError | None = None
        if swap is not Swap.NONE:
            try:
                incoming = read_image(flash, SLOT_1, keys)
            except ImageError as error:
                refused = error
    if refused is not None:
        # as MCUboot: what cannot be started is erased, and slot 0 stays
        with replaced(path) as flash:
            erase(flash, SLOT_1)
            if swap is Swap.REVERT:
                write_trailer(flash, SLOT_0, Swap.NONE, image_ok=True)
        done = f"image in slot 1 refused and erased: {refused}"
    elif swap is not Swap.NONE:
        with replaced(path) as flash:
            exchange(flash)
            write_trailer(flash, SLOT_0, swap, image_ok=swap is not Swap.TEST)
        done = {
            Swap.TEST: f"slots swapped, {incoming.version} is on trial until it is confirmed",
            Swap.PERMANENT: f"slots swapped, {incoming.version} stays",
            Swap.REVERT: f"the image on trial was never confirmed: slots swapped back to {incoming.version}",
        }[swap]
    with path.open("rb") as flash:
        try:
            return read_image(flash, SLOT_0, keys), done
        except ImageError as error:
            raise BootError(f"no image to start in slot 0 of {path}: {error}. Install one with --image") from None


def install(path: Path, source: Path, keys: Sequence[Path] = ()) -> Image | None:
    """Writes an image to slot 0 of a blank flash, as a programmer does; None if slot 0 is not blank any more."""
    if not path.exists():
        with path.open("xb") as flash:
            path.chmod(0o600)
            for _ in range(FLASH_SIZE // CHUNK):
                flash.write(ERASED * CHUNK)
    if path.stat().st_size != FLASH_SIZE:
        raise BootError(f"{path} is not a flash of {FLASH_SIZE} bytes: name another file, or remove it")
    with path.open("rb") as flash:
        flash.seek(SLOT_0)
        if flash.read(HEADER.size) != ERASED * HEADER.size:
            return None
    if source.stat().st_size > SWAP_INFO:
        raise BootError(f"{source} is too large for a slot of {SLOT_SIZE} bytes")
    with replaced(path) as flash, source.open("rb") as image:
        erase(flash, SLOT_0)
        flash.seek(SLOT_0)
        shutil.copyfileobj(image, flash, CHUNK)
        try:
            return read_image(flash, SLOT_0, keys)
        except ImageError as error:
            raise BootError(f"{source} is no image to start: {error}") from None


def extract(path: Path, image: Image, target: Path) -> None:
    """The program of slot 0 as a file that can be executed."""
    target.unlink(missing_ok=True)
    with path.open("rb") as flash, target.open("xb") as program:
        target.chmod(0o700)
        flash.seek(SLOT_0 + image.header)
        left = image.program
        while left:
            chunk = flash.read(min(left, CHUNK))
            program.write(chunk)
            left -= len(chunk)


class Device:
    """The program of slot 0, started again and again."""

    def __init__(self, flash: Path, keys: Sequence[Path], arguments: Sequence[str]) -> None:
        self.flash = flash
        self.keys = keys
        self.arguments = arguments
        self.program = flash.with_name(flash.name + ".program")
        self.process: subprocess.Popen[bytes] | None = None
        self.stopping = False

    def stop(self, signum: int, frame: FrameType | None) -> None:
        """Ends the program, and then this one."""
        self.stopping = True
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def run(self) -> int:
        """Until the program ends otherwise than by a reset; its exit status."""
        try:
            while True:
                status = self.once()
                if self.stopping:
                    return 0
                with self.flash.open("rb") as flash:
                    trial = is_on_trial(flash)
                if status != RESET_STATUS and not trial:
                    say(f"the program ended with status {status}")
                    return status if status >= 0 else 128 - status
                # a board resets as well when its program crashes
                say("reset" if status == RESET_STATUS else f"reset: the image on trial ended with status {status}")
        finally:
            self.program.unlink(missing_ok=True)

    def once(self) -> int:
        """One start of the device; the program's exit status."""
        image, done = boot(self.flash, self.keys)
        say(done)
        say(f"starting {image.version} from slot 0, sha256 {image.sha256}")
        extract(self.flash, image, self.program)
        command = [str(self.program.absolute()), f"--flash={self.flash}", *self.arguments]
        try:
            self.process = subprocess.Popen(command)
        except OSError as error:
            say(f"the image is no program for this computer ({error.strerror}): a board would crash here")
            return 1
        if self.stopping:
            self.process.terminate()
        return self.process.wait()


def say(text: str) -> None:
    """One line, apart from the device's own."""
    print(f"native_sim_boot: {text}", flush=True)


def main(argv: Sequence[str]) -> int:
    """The exit status of the program, or 2 with a line that says what to do."""
    parser = argparse.ArgumentParser(
        prog="native_sim_boot.py",
        description="Stands for the boot loader of a native_sim device (it is not MCUboot): starts the image in slot 0 "
        "of the flash file, and at each reset swaps the slots as MCUboot would.",
        epilog="Example: native_sim_boot.py --flash device.flash --image app.signed.bin -- --certs=certs/devices/z1",
    )
    parser.add_argument("--flash", type=Path, required=True, metavar="FILE", help="simulated flash; made if missing")
    parser.add_argument("--image", type=Path, metavar="FILE", help="signed image for slot 0 of a blank flash")
    parser.add_argument(
        "--key",
        type=Path,
        action="append",
        default=[],
        metavar="PEM",
        help="start only images signed with this key (ECDSA P-256; repeatable). Without it, any image",
    )
    parser.add_argument("arguments", nargs="*", metavar="ARGUMENT", help="for the program, after --")
    options = parser.parse_args(argv)
    device = Device(options.flash, options.key, options.arguments)
    say("stands for the boot loader, which native_sim does not have; it is not MCUboot")
    if not options.key:
        say("signatures are not verified (no --key)")
    try:
        if options.image is not None:
            image = install(options.flash, options.image, options.key)
            if image is not None:
                say(f"installed {image.version} in slot 0 of the blank flash")
            else:
                say(f"--image not used: slot 0 holds an image already (remove {options.flash} to start anew)")
        signal.signal(signal.SIGTERM, device.stop)
        signal.signal(signal.SIGINT, device.stop)
        say(f"the program gets: {shlex.join(options.arguments)}")
        return device.run()
    except BootError as error:
        print(f"native_sim_boot.py: {error}", file=sys.stderr)
    except OSError as error:
        print(f"native_sim_boot.py: {error.filename}: {error.strerror}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
