"""Images as imgtool signs them, with keys made here."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from imgtool import image as imgtool_image
from imgtool import keys as imgtool_keys
from imgtool.version import decode_version

HEADER = 512
KINDS: dict[str, Callable[[], Any]] = {
    "ECDSA P-256": imgtool_keys.ECDSA256P1.generate,
    "ECDSA P-384": imgtool_keys.ECDSA384P1.generate,
    "Ed25519": imgtool_keys.Ed25519.generate,
    "RSA 2048": imgtool_keys.RSA.generate,
    "RSA 3072": lambda: imgtool_keys.RSA.generate(3072),
}


def key(kind: str = "ECDSA P-256") -> Any:
    return KINDS[kind]()


def public_pem(of: Any) -> str:
    return str(of.get_public_pem().decode())


def private_pem(of: Any) -> str:
    return str(
        of.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
    )


def program(size: int = 20_000) -> bytes:
    # 251: no repetition at the beginnings of blocks
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def signed(folder: Path, by: Any = None, *, version: str = "1.2.3+4", size: int = 20_000, **how: Any) -> bytes:
    """The image's bytes; `how`: security_counter, pad (with slot_size), pure, dependencies, encrypted, full_key."""
    source = folder / "program.bin"
    source.write_bytes(program(size))
    made = imgtool_image.Image(
        version=decode_version(version),
        header_size=HEADER,
        pad_header=True,
        pad=how.get("pad", False),
        confirm=how.get("pad", False),
        slot_size=how.get("slot_size", 0),
        security_counter=how.get("security_counter"),
    )
    made.load(str(source))
    # of the device, to encrypt to
    to = imgtool_keys.X25519Public(X25519PrivateKey.generate().public_key()) if how.get("encrypted") else None
    made.create(
        by,
        "full" if how.get("full_key") else "hash",
        to,
        dependencies=how.get("dependencies"),
        is_pure=how.get("pure", False),
    )
    target = folder / "signed.bin"
    made.save(str(target))
    return target.read_bytes()


def imgtool_says(content: bytes, folder: Path, by: Any) -> str:
    """What imgtool's own `verify` says of it."""
    file = folder / "verified.bin"
    file.write_bytes(content)
    result, *_ = imgtool_image.Image.verify(str(file), by)
    return str(result.name)


def header(*, header_size: int = 512, image_size: int = 1000, protected: int = 0) -> bytes:
    """A header, and nothing behind it."""
    return struct.pack(
        "<IIHHIIBBHII", imgtool_image.IMAGE_MAGIC, 0, header_size, protected, image_size, 0, 1, 2, 3, 4, 0
    )
