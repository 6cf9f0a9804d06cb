"""What an image says of itself: MCUboot's header and TLVs, its hash, and whose signature it bears.

Keys, magic numbers and TLV types are imgtool's. Its `Image.verify` is not used: it takes the image into memory three
times over. Hashes are taken while the file streams by instead, and signatures are checked on them; one that covers the
image itself (pure Ed25519) is checked on a mapping of the file.
"""

import hashlib
import mmap
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from imgtool import image as mcuboot
from imgtool import keys as mcuboot_keys

from backend.firmware.errors import FirmwareError
from backend.firmware.models import ImageKind, Signature, SigningKey
from backend.firmware.storage import chunks_of

# struct image_header and struct image_tlv_info of MCUboot's image.h: magic, load address, header size, protected TLVs'
# size, image size, flags, version (major, minor, revision, build), padding
_HEADER = struct.Struct("<IIHHIIBBHII")
_TLV_INFO = struct.Struct("<HH")
_MAGIC = struct.pack("<I", mcuboot.IMAGE_MAGIC)

_TYPES: Mapping[str, int] = mcuboot.TLV_VALUES
_NAMES = {number: name for name, number in _TYPES.items()}
_HASHES = {_TYPES[name]: name.lower() for name in ("SHA256", "SHA384", "SHA512") if name in _TYPES}
_SIGNATURES = {
    _TYPES["RSA2048"]: "RSA 2048",
    _TYPES["RSA3072"]: "RSA 3072",
    _TYPES["ECDSASIG"]: "ECDSA",
    _TYPES["ED25519"]: "Ed25519",
}
_ENCRYPTED = mcuboot.IMAGE_F["ENCRYPTED_AES128"] | mcuboot.IMAGE_F["ENCRYPTED_AES256"]
# a key hash has the length of the image's hash
_BY_LENGTH = {32: "sha256", 48: "sha384", 64: "sha512"}

# an image has one or two of these
_MOST_SIGNATURES = 16
# what people are shown of an image that has thousands of TLVs
_MOST_LINES = 64

# beginnings of files that devices do not take, and what they should have been
_MISTAKEN = {
    b"\x7fELF": "an ELF file, which debuggers take",
    b":0": "an Intel HEX file, which programmers take",
    b"PK\x03\x04": "a ZIP archive",
}


class DamagedError(FirmwareError):
    """An MCUboot image that no boot loader would start."""


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What was found."""

    kind: ImageKind
    # "" for opaque images
    version: str
    # for people: what, and what it is
    details: list[tuple[str, str]]
    signature: Signature
    # with VERIFIED only
    signed_by: SigningKey | None
    # a doubt that does not keep the image from being used, in a sentence; also in `details`
    problem: str


@dataclass(frozen=True)
class _Key:
    """A registered key and imgtool's idea of it."""

    row: SigningKey
    public: Any
    # its type of signature TLV
    tlv: int
    # as it stands in the image, or what the key hash in the image is made from
    octets: bytes


@dataclass
class _Image:
    """The parts of an MCUboot image."""

    path: Path
    size: int
    version: str
    header_size: int
    image_size: int
    load_address: int
    flags: int
    # bytes from the beginning that hash and signature cover
    covered: int = 0
    end: int = 0
    # protected first
    tlvs: list[tuple[int, bytes]] = field(default_factory=list)

    def values(self, name: str) -> list[bytes]:
        """All TLVs of that imgtool name."""
        return [value for number, value in self.tlvs if number == _TYPES.get(name)]


def image_inspect(path: Path, *, keys: Sequence[SigningKey]) -> Inspection:
    """Reads the file. Raises DamagedError for an MCUboot image that is cut short, altered or falsely signed."""
    size = path.stat().st_size
    with path.open("rb") as file:
        begin = file.read(_HEADER.size)
    if not begin.startswith(_MAGIC):
        problem = next(
            (
                f"This is {what}: devices take the binary, with Zephyr zephyr.signed.bin."
                for magic, what in _MISTAKEN.items()
                if begin.startswith(magic)
            ),
            "",
        )
        details = [("Note", problem)] if problem else []
        return Inspection(
            kind=ImageKind.OPAQUE,
            version="",
            details=details,
            signature=Signature.UNSIGNED,
            signed_by=None,
            problem=problem,
        )
    found = _parse(path, size, begin)
    encrypted = bool(found.flags & _ENCRYPTED)
    signed_by: SigningKey | None = None
    if encrypted:
        # hash and signature are those of the plain text, which only the device can make
        signed = any(number in _SIGNATURES for number, _ in found.tlvs)
        signature = Signature.UNKNOWN if signed else Signature.UNSIGNED
        problem = "The image is encrypted: its hash and signature can only be checked by the device."
    else:
        digests = _digests(found)
        _hash_check(found, digests)
        signature, signed_by = _signature_check(found, digests, keys)
        problem = ""
    return Inspection(
        kind=ImageKind.MCUBOOT,
        version=found.version,
        details=_details(found, signature, signed_by, problem),
        signature=signature,
        signed_by=signed_by,
        problem=problem,
    )


# -- the parts


def _cut(what: str) -> DamagedError:
    return DamagedError(f"The MCUboot image is cut short: {what}. Upload the whole file, as imgtool signed it.")


def _parse(path: Path, size: int, begin: bytes) -> _Image:
    if len(begin) < _HEADER.size:
        raise _cut(f"it has {size} bytes, and its header alone {_HEADER.size}")
    _, load, header_size, protected, image_size, flags, major, minor, revision, build, _ = _HEADER.unpack(begin)
    version = f"{major}.{minor}.{revision}" + (f"+{build}" if build else "")
    found = _Image(path, size, version, header_size, image_size, load, flags)
    if header_size < _HEADER.size:
        raise DamagedError(
            f"The MCUboot image's header is damaged: it says that it has {header_size} bytes, and none has less than "
            f"{_HEADER.size}. Sign the image again with imgtool."
        )
    end = header_size + image_size
    if end > size:
        raise _cut(f"its header says that hash and signature begin at byte {end:,}, and it has {size:,} bytes")
    with path.open("rb") as file:
        file.seek(end)
        magic, length = _tlv_info(file.read(_TLV_INFO.size), size)
        if magic == mcuboot.TLV_PROT_INFO_MAGIC:
            if length != protected:
                raise DamagedError(
                    f"The MCUboot image is damaged: its protected TLVs have {length} bytes, and its header says "
                    f"{protected}. Sign it again with imgtool."
                )
            _tlvs_read(found, file.read(max(0, length - _TLV_INFO.size)), length)
            end += length
            magic, length = _tlv_info(file.read(_TLV_INFO.size), size)
        elif protected:
            raise DamagedError(
                "The MCUboot image is damaged: its protected TLVs, which its header names, are missing. "
                "Sign it again with imgtool."
            )
        if magic != mcuboot.TLV_INFO_MAGIC:
            raise DamagedError(
                f"The MCUboot image is damaged: at byte {end:,}, where its hash should begin, is something else. "
                "Sign it again with imgtool."
            )
        _tlvs_read(found, file.read(max(0, length - _TLV_INFO.size)), length)
    if sum(number in _SIGNATURES for number, _ in found.tlvs) > _MOST_SIGNATURES:
        raise DamagedError(
            f"The MCUboot image has more than {_MOST_SIGNATURES} signatures: sign it again with imgtool."
        )
    found.covered = end
    found.end = end + length
    return found


def _tlv_info(octets: bytes, size: int) -> tuple[int, int]:
    if len(octets) < _TLV_INFO.size:
        raise _cut(f"its hash and signature are missing behind byte {size:,}")
    magic, length = _TLV_INFO.unpack(octets)
    return magic, length


def _tlvs_read(found: _Image, area: bytes, length: int) -> None:
    """The TLVs in `area`, which should have `length` bytes less its own header."""
    if len(area) != length - _TLV_INFO.size:
        raise _cut("its TLVs (hash, signature) are not all there")
    place = 0
    while place < len(area):
        head = area[place : place + _TLV_INFO.size]
        if len(head) < _TLV_INFO.size:
            raise DamagedError("The MCUboot image's TLVs are damaged: sign it again with imgtool.")
        number, many = _TLV_INFO.unpack(head)
        place += _TLV_INFO.size
        value = area[place : place + many]
        if len(value) < many:
            raise DamagedError(
                f"The MCUboot image's TLVs are damaged: {_name(number)} says that it has {many} bytes, and "
                f"{len(value)} are left. Sign it again with imgtool."
            )
        found.tlvs.append((number, value))
        place += many


def _name(number: int) -> str:
    return _NAMES.get(number, f"0x{number:04x}")


# -- hash and signature


def _digests(found: _Image) -> dict[str, bytes]:
    """The hashes of the covered part that any of its TLVs may stand on, in one pass."""
    wanted = {_HASHES[number] for number, _ in found.tlvs if number in _HASHES} | {"sha256"}
    if found.values("ECDSASIG"):
        wanted.add("sha384")
    running = {name: hashlib.new(name) for name in wanted}
    for chunk in chunks_of(found.path, end=found.covered):
        for one in running.values():
            one.update(chunk)
    return {name: one.digest() for name, one in running.items()}


def _hash_check(found: _Image, digests: Mapping[str, bytes]) -> None:
    hashes = [(_HASHES[number], value) for number, value in found.tlvs if number in _HASHES]
    if not hashes and not found.values("SIG_PURE"):
        raise DamagedError("The MCUboot image holds no hash, so no boot loader takes it: sign it again with imgtool.")
    for name, value in hashes:
        if value != digests[name]:
            raise DamagedError(
                "The MCUboot image is damaged: its hash is not that of its content. Upload it again, "
                "or build and sign it again."
            )


def public_key(pem: str) -> Any:
    """imgtool's key of a public key in PEM. Raises ValueError for what MCUboot does not know."""
    key = serialization.load_pem_public_key(pem.encode())
    if isinstance(key, rsa.RSAPublicKey) and key.key_size in mcuboot_keys.RSA_KEY_SIZES:
        return mcuboot_keys.RSAPublic(key)
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp256r1":
        return mcuboot_keys.ECDSA256P1Public(key)
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp384r1":
        return mcuboot_keys.ECDSA384P1Public(key)
    if isinstance(key, ed25519.Ed25519PublicKey):
        return mcuboot_keys.Ed25519Public(key)
    raise ValueError("MCUboot knows keys of RSA 2048 and 3072, ECDSA P-256 and P-384, and Ed25519")


def key_kind(public: Any) -> str:
    """Such as "ECDSA P-256", of what `public_key` gave."""
    if isinstance(public, mcuboot_keys.RSAPublic):
        return f"RSA {public.key_size()}"
    if isinstance(public, mcuboot_keys.Ed25519Public):
        return "Ed25519"
    return "ECDSA P-256" if isinstance(public, mcuboot_keys.ECDSA256P1Public) else "ECDSA P-384"


def _registered(keys: Sequence[SigningKey]) -> list[_Key]:
    found = []
    for row in keys:
        public = public_key(row.pem)
        found.append(_Key(row, public, _TYPES[public.sig_tlv()], public.get_public_bytes()))
    return found


def _signature_check(
    found: _Image, digests: Mapping[str, bytes], keys: Sequence[SigningKey]
) -> tuple[Signature, SigningKey | None]:
    """Whose signature it is. Raises DamagedError where it names a registered key and is not by that.

    An image may have several; one that verifies is enough, as it is to a boot loader that knows that key.
    """
    registered = _registered(keys)
    signed = False
    # by what the image names, if it does; the TLV with the key, or its hash, precedes the signature
    named: bytes | None = None
    false: SigningKey | None = None
    for number, value in found.tlvs:
        if number in {_TYPES["KEYHASH"], _TYPES.get("PUBKEY")}:
            named = value
        elif number in _SIGNATURES:
            signed = True
            for key in registered:
                if key.tlv != number or (named is not None and not _is_named(key, named)):
                    continue
                if _verifies(found, digests, key, value):
                    return Signature.VERIFIED, key.row
                if named is not None:
                    false = key.row
            named = None
    if false is not None:
        raise DamagedError(
            f"The image says that it is signed with the key {false.name!r}, and the signature is not by that key: "
            "it was altered, or signed by somebody else. Sign it again."
        )
    return (Signature.UNKNOWN if signed else Signature.UNSIGNED), None


def _is_named(key: _Key, named: bytes) -> bool:
    algorithm = _BY_LENGTH.get(len(named))
    if named == key.octets:
        return True
    return algorithm is not None and hashlib.new(algorithm, key.octets).digest() == named


def _verifies(found: _Image, digests: Mapping[str, bytes], key: _Key, signature: bytes) -> bool:
    public = key.public
    try:
        if isinstance(public, mcuboot_keys.RSAPublic):
            padding = PSS(mgf=MGF1(SHA256()), salt_length=32)
            public.key.verify(signature, digests["sha256"], padding, Prehashed(SHA256()))
        elif isinstance(public, mcuboot_keys.Ed25519Public):
            _ed25519_verify(found, digests, public, signature)
        else:
            # some were padded with zeros to one length
            exact = signature[: signature[1] + 2] if len(signature) > 1 else signature
            small = isinstance(public, mcuboot_keys.ECDSA256P1Public)
            algorithm = ec.ECDSA(Prehashed(SHA256() if small else SHA384()))
            public.key.verify(exact, digests["sha256" if small else "sha384"], algorithm)
    except InvalidSignature:
        return False
    return True


def _ed25519_verify(found: _Image, digests: Mapping[str, bytes], public: Any, signature: bytes) -> None:
    """Of the hash that the image holds, or of the image itself where it says so. Raises InvalidSignature."""
    if not found.values("SIG_PURE"):
        name = next(_HASHES[number] for number, _ in found.tlvs if number in _HASHES)
        public.verify_digest(signature, digests[name])
        return
    with (
        found.path.open("rb") as file,
        mmap.mmap(file.fileno(), found.covered, access=mmap.ACCESS_READ) as mapped,
        memoryview(mapped) as octets,
    ):
        public.verify_digest(signature, octets)


# -- for people


def _details(found: _Image, signature: Signature, signed_by: SigningKey | None, problem: str) -> list[tuple[str, str]]:
    lines = [
        ("Version", found.version),
        ("Header", f"{found.header_size:,} bytes"),
        ("Program", f"{found.image_size:,} bytes"),
    ]
    if found.load_address:
        lines.append(("Load address", f"0x{found.load_address:08x}"))
    flags = [name for name, bit in mcuboot.IMAGE_F.items() if found.flags & bit]
    if flags:
        lines.append(("Flags", ", ".join(flags)))
    lines += [_tlv_line(number, value) for number, value in found.tlvs[:_MOST_LINES]]
    if len(found.tlvs) > _MOST_LINES:
        lines.append(("More TLVs", f"{len(found.tlvs) - _MOST_LINES:,}"))
    if signature == Signature.VERIFIED and signed_by is not None:
        lines.append(("Signed by", signed_by.name))
    behind = found.size - found.end
    if behind:
        lines.append(("Behind the image", f"{behind:,} bytes, as imgtool's --pad adds for a whole slot"))
    if problem:
        lines.append(("Note", problem))
    return lines


def _tlv_line(number: int, value: bytes) -> tuple[str, str]:
    if number in _HASHES:
        return f"Hash (SHA-{_HASHES[number][3:]})", value.hex()
    if number in _SIGNATURES:
        return "Signature", f"{_SIGNATURES[number]}, {len(value)} bytes"
    name = _NAMES.get(number, "")
    if name == "KEYHASH":
        return "Key hash", value.hex()
    if name == "PUBKEY":
        return "Public key", f"{len(value)} bytes"
    if name == "SIG_PURE":
        return "Signature covers", "the image itself, not its hash"
    if name == "SEC_CNT" and len(value) == 4:
        return "Security counter", str(int.from_bytes(value, "little"))
    if name == "DEPENDENCY" and len(value) == 12:
        image, major, minor, revision, build = struct.unpack("<B3xBBHI", value)
        return "Needs", f"image {image} in version {major}.{minor}.{revision}" + (f"+{build}" if build else "")
    if name in {"UUID_VID", "UUID_CID"}:
        return ("Vendor id" if name == "UUID_VID" else "Class id"), value.hex()
    return f"TLV {_name(number)}", f"{len(value)} bytes"
