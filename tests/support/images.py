"""Firmware images for tests: MCUboot images that imgtool really signs, and plain bytes that tell their version."""

import hashlib
import os
from pathlib import Path

from imgtool.image import Image
from imgtool.keys import ECDSA256P1
from imgtool.version import decode_version


def plain_image(version: str, *, size: int = 4096) -> bytes:
    """Bytes that no tool knows; simulated devices read the version from the first line."""
    head = f"version:{version}\n".encode()
    return head + os.urandom(size - len(head))


def signing_key() -> ECDSA256P1:
    """A new ECDSA P-256 key."""
    return ECDSA256P1.generate()


def public_pem(key: ECDSA256P1, folder: Path) -> str:
    """The public half, as an administrator registers it."""
    file = folder / "public.pem"
    key.emit_public_pem(str(file))
    return file.read_text()


def mcuboot_image(version: str, folder: Path, *, key: ECDSA256P1 | None = None, size: int = 4096) -> bytes:
    """An image with header, hash and, with a key, a signature; `size`: of what it carries, in bytes."""
    body, signed = folder / "body.bin", folder / "signed.bin"
    body.write_bytes(os.urandom(size))
    image = Image(version=decode_version(version), header_size=32, pad_header=True, slot_size=size + 65536, align=4)
    image.load(str(body))
    image.create(key, "hash", None)
    image.save(str(signed))
    return signed.read_bytes()


def sha256(content: bytes) -> str:
    """As images are named."""
    return hashlib.sha256(content).hexdigest()
