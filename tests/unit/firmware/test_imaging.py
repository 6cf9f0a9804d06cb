"""What is read of an image: by real signatures, and of what is damaged or odd."""

import hashlib
import struct
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from imgtool.version import decode_version

from backend.firmware.errors import FirmwareError
from backend.firmware.imaging import DamagedError, Inspection, image_inspect, key_kind, public_key
from backend.firmware.models import ImageKind, Signature, SigningKey
from tests.unit.firmware.signed import HEADER, KINDS, header, imgtool_says, key, public_pem, signed


def row(of: Any, name: str = "release") -> SigningKey:
    """Not stored."""
    pem = public_pem(of)
    return SigningKey(name=name, pem=pem, kind=key_kind(public_key(pem)), added_at=timezone.now())


REGISTERED = row(key("Ed25519"))


def inspect(folder: Path, content: bytes, *keys: SigningKey) -> Inspection:
    file = folder / "image"
    file.write_bytes(content)
    return image_inspect(file, keys=keys)


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_signed_by_a_registered_key(tmp_path: Path, kind: str) -> None:
    by = key(kind)
    mine = row(by)
    content = signed(tmp_path, by)
    found = inspect(tmp_path, content, row(key(), "another"), mine)
    assert (found.kind, found.version, found.problem) == (ImageKind.MCUBOOT, "1.2.3+4", "")
    assert (found.signature, found.signed_by) == (Signature.VERIFIED, mine)
    assert mine.kind == kind
    assert imgtool_says(content, tmp_path, by) == "OK"
    details = dict(found.details)
    assert details["Header"] == "512 bytes"
    assert details["Program"] == "20,000 bytes"
    assert details["Signed by"] == "release"
    assert len(details["Hash (SHA-384)" if kind == "ECDSA P-384" else "Hash (SHA-256)"]) in {64, 96}


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_signed_by_somebody_else(tmp_path: Path, kind: str) -> None:
    other = key(kind)
    content = signed(tmp_path, key(kind))
    found = inspect(tmp_path, content, row(other))
    assert (found.signature, found.signed_by) == (Signature.UNKNOWN, None)
    assert imgtool_says(content, tmp_path, other) == "INVALID_SIGNATURE"
    assert inspect(tmp_path, content).signature == Signature.UNKNOWN


def test_an_image_that_nobody_signed(tmp_path: Path) -> None:
    found = inspect(tmp_path, signed(tmp_path, None, version="2.0.0"), row(key()))
    assert (found.version, found.signature, found.signed_by) == ("2.0.0", Signature.UNSIGNED, None)


def test_the_key_itself_instead_of_its_hash(tmp_path: Path) -> None:
    by = key()
    assert inspect(tmp_path, signed(tmp_path, by, full_key=True), row(by)).signature == Signature.VERIFIED


def test_a_signature_of_the_image_itself(tmp_path: Path) -> None:
    by = key("Ed25519")
    content = bytearray(signed(tmp_path, by, pure=True))
    assert inspect(tmp_path, bytes(content), row(by)).signature == Signature.VERIFIED
    assert imgtool_says(bytes(content), tmp_path, by) == "OK"


def test_what_protected_tlvs_say(tmp_path: Path) -> None:
    by = key()
    needs = {"images": [1], "versions": [decode_version("3.4.5")]}
    found = inspect(tmp_path, signed(tmp_path, by, security_counter=7, dependencies=needs), row(by))
    details = dict(found.details)
    assert found.signature == Signature.VERIFIED
    assert details["Security counter"] == "7"
    assert details["Needs"] == "image 1 in version 3.4.5"


def test_an_image_that_fills_its_slot(tmp_path: Path) -> None:
    by = key()
    content = signed(tmp_path, by, pad=True, slot_size=0x10000)
    found = inspect(tmp_path, content, row(by))
    assert len(content) == 0x10000
    assert found.signature == Signature.VERIFIED
    assert "--pad" in dict(found.details)["Behind the image"]


def test_an_encrypted_image_is_judged_by_the_device(tmp_path: Path) -> None:
    by = key("Ed25519")
    found = inspect(tmp_path, signed(tmp_path, by, encrypted=True), row(by))
    assert (found.kind, found.signature, found.signed_by) == (ImageKind.MCUBOOT, Signature.UNKNOWN, None)
    assert "encrypted" in found.problem
    assert dict(found.details)["Note"] == found.problem


@pytest.mark.parametrize("place", [33, HEADER, HEADER + 10_000, HEADER + 19_999])
def test_a_flipped_byte(tmp_path: Path, place: int) -> None:
    by = key()
    content = bytearray(signed(tmp_path, by))
    content[place] ^= 1
    with pytest.raises(DamagedError, match="its hash is not that of its content"):
        inspect(tmp_path, bytes(content), row(by))
    assert imgtool_says(bytes(content), tmp_path, by) == "INVALID_HASH"


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_byte_in_the_signature(tmp_path: Path, kind: str) -> None:
    by = key(kind)
    content = bytearray(signed(tmp_path, by))
    content[-5] ^= 1
    with pytest.raises(DamagedError, match="signed with the key 'release', and the signature is not by that key"):
        inspect(tmp_path, bytes(content), row(by))
    # nobody here can tell
    assert inspect(tmp_path, bytes(content)).signature == Signature.UNKNOWN


def test_a_flipped_byte_under_a_signature_of_the_image_itself(tmp_path: Path) -> None:
    by = key("Ed25519")
    content = bytearray(signed(tmp_path, by, pure=True))
    content[HEADER + 5] ^= 1
    with pytest.raises(DamagedError):
        inspect(tmp_path, bytes(content), row(by))


def test_a_forged_key_hash_is_no_signature(tmp_path: Path) -> None:
    """Signed by a stranger, with the registered key's hash in it."""
    mine, stranger = key(), key()
    good, forged = signed(tmp_path, mine), bytearray(signed(tmp_path, stranger))
    place = good.index(b"\x01\x00\x20\x00", HEADER + 20_000)
    forged[place + 4 : place + 36] = good[place + 4 : place + 36]
    with pytest.raises(DamagedError, match="not by that key"):
        inspect(tmp_path, bytes(forged), row(mine))


def test_every_cut_is_refused(tmp_path: Path) -> None:
    by = key()
    mine = row(by)
    content = signed(tmp_path, by, size=300, security_counter=1)
    assert inspect(tmp_path, content, mine).signature == Signature.VERIFIED
    for length in range(4, len(content)):
        with pytest.raises(DamagedError) as refused:
            inspect(tmp_path, content[:length], mine)
        assert str(refused.value).endswith(".")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (header()[:4], "it has 4 bytes, and its header alone 32"),
        (header(), "hash and signature begin at byte 1,512, and it has 32 bytes"),
        (header(header_size=0xFFFF), "begin at byte 66,535"),
        (header(image_size=0xFFFFFFFF), "begin at byte 4,294,967,807"),
        (header(header_size=0), "header is damaged"),
        (header(header_size=32, image_size=0), "hash and signature are missing"),
        (header(header_size=32, image_size=0) + b"\x07\x69\x04\x00", "holds no hash"),
        (header(header_size=32, image_size=0) + b"\x07\x69\x00\x00", "TLVs"),
        (header(header_size=32, image_size=0) + b"\x07\x69\x08\x00\x10\x00\x20\x00", "says that it has 32 bytes"),
        (header(header_size=32, image_size=0) + b"\x07\x69\x06\x00\x10\x00", "TLVs are damaged"),
        (header(header_size=32, image_size=0) + b"\xff\xff\xff\xff", "is something else"),
        (header(header_size=32, image_size=0, protected=8) + b"\x07\x69\x04\x00", "which its header names"),
        (header(header_size=32, image_size=0, protected=4) + b"\x08\x69\x08\x00\x50\x00\x00\x00", "its header says 4"),
    ],
)
def test_odd_ones(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(DamagedError) as refused:
        inspect(tmp_path, content)
    assert says in str(refused.value)


@pytest.mark.parametrize("content", [b"\x3d\xb8\xf3", b"abc", b"\0" * 100, b"version:1.0\nrest"])
def test_what_is_no_mcuboot_image_is_taken_as_it_is(tmp_path: Path, content: bytes) -> None:
    found = inspect(tmp_path, content)
    assert (found.kind, found.version, found.details, found.signature) == (
        ImageKind.OPAQUE, "", [], Signature.UNSIGNED,
    )  # fmt: skip


@pytest.mark.parametrize(("content", "what"), [(b"\x7fELF\1\1", "ELF"), (b":020000040800F2\n", "Intel HEX")])
def test_files_that_devices_do_not_take_are_said(tmp_path: Path, content: bytes, what: str) -> None:
    assert what in inspect(tmp_path, content).problem


def test_an_image_full_of_tlvs(tmp_path: Path) -> None:
    content = header(header_size=32, image_size=0)
    many = 16_000
    digest = hashlib.sha256(content).digest()
    area = b"\x10\x00\x20\x00" + digest + b"\xa0\x00\x00\x00" * many
    found = inspect(tmp_path, content + struct.pack("<HH", 0x6907, 4 + len(area) & 0xFFFF) + area)
    assert len(found.details) < 100
    assert ("More TLVs", "15,937") in found.details
    area = b"\x10\x00\x20\x00" + digest + b"\x24\x00\x00\x00" * 17
    with pytest.raises(DamagedError, match="more than 16 signatures"):
        inspect(tmp_path, content + struct.pack("<HH", 0x6907, 4 + len(area)) + area)


@settings(max_examples=300, deadline=None)
@given(
    header_size=st.integers(0, 80),
    image_size=st.one_of(st.integers(0, 80), st.integers(2**31, 2**32 - 1)),
    protected=st.integers(0, 40),
    area=st.binary(max_size=120),
    magic=st.sampled_from([0x6907, 0x6908]),
    length=st.integers(0, 130),
)
def test_whatever_it_says_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory,
    header_size: int,
    image_size: int,
    protected: int,
    area: bytes,
    magic: int,
    length: int,
) -> None:
    content = header(header_size=header_size, image_size=image_size, protected=protected)
    content += b"\0" * max(0, header_size + min(image_size, 80) - len(content))
    with suppress(DamagedError):
        inspect(tmp_path_factory.getbasetemp(), content + struct.pack("<HH", magic, length) + area, REGISTERED)


def test_no_image_is_held_in_memory(tmp_path: Path) -> None:
    by = key()
    content = signed(tmp_path, by, size=8 * 1024 * 1024)
    file = tmp_path / "image"
    file.write_bytes(content)
    del content
    mine = row(by)
    tracemalloc.start()
    try:
        assert image_inspect(file, keys=[mine]).signature == Signature.VERIFIED
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * 1024 * 1024


def test_all_refusals_are_of_one_kind() -> None:
    assert issubclass(DamagedError, FirmwareError)
