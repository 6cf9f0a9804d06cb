"""What stands for the boot loader on native_sim: swaps as asked, takes back what was not confirmed, starts slot 0."""

import hashlib
import importlib.util
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from imgtool.image import Image, VerifyResult
from imgtool.version import decode_version

from tests.support.waiting import wait_for

ZEPHYR = Path(__file__).resolve().parents[3] / "zephyr"
SCRIPT = ZEPHYR / "native_sim_boot.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("native_sim_boot", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


boot = load()


def make_image(program: bytes, version: str = "1.0.0", key: ec.EllipticCurvePrivateKey | None = None) -> bytes:
    """An MCUboot image as imgtool makes it."""
    major, minor, revision, build = map(int, re.findall(r"\d+", version + "+0")[:4])
    header = boot.HEADER.pack(boot.HEADER_MAGIC, 0, 64, 0, len(program), 0, major, minor, revision, build, 0)
    signed = header.ljust(64, b"\0") + program
    digest = hashlib.sha256(signed).digest()
    tlvs = boot.TLV.pack(boot.TLV_SHA256, len(digest)) + digest
    if key is not None:
        signature = key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
        tlvs += boot.TLV.pack(boot.TLV_ECDSA, len(signature)) + signature
    return bytes(signed + boot.TLV_INFO.pack(boot.TLV_INFO_MAGIC, boot.TLV_INFO.size + len(tlvs)) + tlvs)


@pytest.fixture
def flash(tmp_path: Path) -> Path:
    """A blank flash with 1.0.0 in slot 0."""
    path = tmp_path / "device.flash"
    source = tmp_path / "first.bin"
    source.write_bytes(make_image(b"first"))
    assert boot.install(path, source).version == "1.0.0"
    return path


def write(path: Path, offset: int, octets: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(octets)


def read(path: Path, offset: int, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(size)


def request_upgrade(path: Path, image: bytes, *, permanent: bool = False) -> None:
    """What the application does: the image in slot 1, and MCUboot's boot_set_pending()."""
    write(path, boot.SLOT_1, image)
    write(path, boot.SLOT_1 + boot.MAGIC, boot.TRAILER_MAGIC)
    if permanent:
        write(path, boot.SLOT_1 + boot.IMAGE_OK, boot.FLAG_SET)


def confirm(path: Path) -> None:
    """boot_write_img_confirmed()"""
    write(path, boot.SLOT_0 + boot.IMAGE_OK, boot.FLAG_SET)


def test_numbers_are_those_of_the_devicetree_and_the_program() -> None:
    overlay = (ZEPHYR / "snippets/ota/boards/native_sim.overlay").read_text()
    slots = re.findall(r"slot(\d)_partition: .*\n.*\n\s*reg = <(\w+) (\w+)>", overlay)
    assert [(n, int(start, 16), int(size, 16)) for n, start, size in slots] == [
        ("0", boot.SLOT_0, boot.SLOT_SIZE),
        ("1", boot.SLOT_1, boot.SLOT_SIZE),
    ]
    assert {int(size) * 1024 for size in re.findall(r"DT_SIZE_K\((\d+)\)", overlay)} == {boot.FLASH_SIZE}
    assert f"#define RESET_STATUS {boot.RESET_STATUS}\n" in (ZEPHYR / "src/native_sim_reset.c").read_text()


@pytest.mark.parametrize(
    ("slot_0", "slot_1", "expected"),
    [
        # magic, image ok, copy done
        ((False, False, False), (False, False, False), "NONE"),
        ((False, False, False), (True, False, False), "TEST"),
        ((True, True, True), (True, False, False), "TEST"),
        ((True, False, True), (True, False, False), "TEST"),
        ((False, False, False), (True, True, False), "PERMANENT"),
        ((True, False, True), (False, False, False), "REVERT"),
        ((True, True, True), (False, False, False), "NONE"),
        # as boot_write_img_confirmed() leaves it on an image that was never swapped
        ((True, False, False), (False, False, False), "NONE"),
    ],
)
def test_swap_table(slot_0: tuple[bool, bool, bool], slot_1: tuple[bool, bool, bool], expected: str) -> None:
    assert boot.requested_swap(boot.Trailer(*slot_0), boot.Trailer(*slot_1)) is boot.Swap[expected]


def test_nothing_asked_nothing_done(flash: Path) -> None:
    before = flash.read_bytes()
    image, done = boot.boot(flash)
    assert (image.version, done) == ("1.0.0", "nothing to swap")
    assert flash.read_bytes() == before


def test_confirmed_image_stays_and_slots_are_exchanged_byte_for_byte(flash: Path) -> None:
    old = read(flash, boot.SLOT_0, 1000)
    new = make_image(os.urandom(100_001), "1.1.0+7")
    request_upgrade(flash, new)
    image, done = boot.boot(flash)
    assert image.version == "1.1.0+7"
    assert image.size == len(new)
    assert "on trial" in done
    assert read(flash, boot.SLOT_0, len(new)) == new
    assert read(flash, boot.SLOT_1, 1000) == old
    with flash.open("rb") as file:
        assert boot.is_on_trial(file)
        assert boot.read_trailer(file, boot.SLOT_0) == boot.Trailer(magic=True, image_ok=False, copy_done=True)
        assert boot.read_trailer(file, boot.SLOT_1) == boot.Trailer(magic=False, image_ok=False, copy_done=False)
    confirm(flash)
    assert [boot.boot(flash)[0].version for _ in range(3)] == ["1.1.0+7"] * 3


def test_unconfirmed_image_is_taken_back_once(flash: Path) -> None:
    old = read(flash, boot.SLOT_0, 1000)
    request_upgrade(flash, make_image(b"second", "2.0.0"))
    assert boot.boot(flash)[0].version == "2.0.0"
    image, done = boot.boot(flash)
    assert image.version == "1.0.0"
    assert "never confirmed" in done
    assert read(flash, boot.SLOT_0, 1000) == old
    assert boot.boot(flash) == (image, "nothing to swap")
    # and the next update starts from there
    request_upgrade(flash, make_image(b"third", "3.0.0"))
    assert boot.boot(flash)[0].version == "3.0.0"


def test_permanent_request_needs_no_confirmation(flash: Path) -> None:
    request_upgrade(flash, make_image(b"second", "2.0.0"), permanent=True)
    assert [boot.boot(flash)[0].version for _ in range(2)] == ["2.0.0"] * 2


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda image: b"\0" * 200, "there is no MCUboot image"),
        (lambda image: image[:70] + b"X" + image[71:], "its SHA-256 is wrong"),
        (lambda image: image[:-40], "it is incomplete|its list of|its SHA-256"),
        (lambda image: image[:12] + b"\xff\xff\xff\x7f" + image[16:], "the sizes in its header are wrong"),
    ],
)
def test_what_cannot_be_started_is_refused_and_erased(flash: Path, damage: object, reason: str) -> None:
    assert callable(damage)
    request_upgrade(flash, damage(make_image(b"second" * 100, "2.0.0")))
    image, done = boot.boot(flash)
    assert image.version == "1.0.0"
    assert re.search(reason, done)
    assert read(flash, boot.SLOT_1, boot.SLOT_SIZE) == boot.ERASED * boot.SLOT_SIZE
    assert boot.boot(flash) == (image, "nothing to swap")


@pytest.mark.parametrize("private", [True, False])
def test_signatures(flash: Path, tmp_path: Path, private: bool) -> None:
    ours, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    pem = tmp_path / "key.pem"
    if private:
        form = serialization.PrivateFormat.PKCS8
        pem.write_bytes(ours.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    else:
        form_public = serialization.PublicFormat.SubjectPublicKeyInfo
        pem.write_bytes(ours.public_key().public_bytes(serialization.Encoding.PEM, form_public))
    write(flash, boot.SLOT_0, make_image(b"first", "1.0.0", ours))
    for key in (other, None):
        request_upgrade(flash, make_image(b"second", "2.0.0", key))
        image, done = boot.boot(flash, [pem])
        assert image.version == "1.0.0"
        assert "not signed" in done
    request_upgrade(flash, make_image(b"second", "2.0.0", ours))
    assert boot.boot(flash, [pem])[0].version == "2.0.0"


def test_images_are_those_of_imgtool(flash: Path, tmp_path: Path) -> None:
    """Header, hash and list as imgtool writes them: the same file, read by both."""
    path = tmp_path / "signed.bin"
    image = Image(version=decode_version("1.2.3+4"), header_size=32, pad_header=True, align=8, slot_size=boot.SLOT_SIZE)
    image.payload = bytearray(32) + os.urandom(5000)
    image.create(None, "hash", None)
    image.save(str(path))
    assert Image.verify(str(path), None)[0] is VerifyResult.OK
    write(flash, boot.SLOT_1, path.read_bytes())
    with flash.open("rb") as file:
        found = boot.read_image(file, boot.SLOT_1)
    assert (found.version, found.program, found.size) == ("1.2.3+4", 5000, path.stat().st_size)


def test_flash_that_is_none_of_ours_is_left_alone(tmp_path: Path) -> None:
    source = tmp_path / "first.bin"
    source.write_bytes(make_image(b"first"))
    path = tmp_path / "flash"
    path.write_bytes(b"something else")
    with pytest.raises(boot.BootError, match="is not a flash"):
        boot.install(path, source)
    assert path.read_bytes() == b"something else"


def test_install_keeps_what_is_there_and_leaves_nothing_of_a_bad_image(flash: Path, tmp_path: Path) -> None:
    source = tmp_path / "other.bin"
    source.write_bytes(make_image(b"other", "9.0.0"))
    assert boot.install(flash, source) is None
    assert boot.boot(flash)[0].version == "1.0.0"
    source.write_bytes(b"no image")
    blank = tmp_path / "blank.flash"
    with pytest.raises(boot.BootError, match="no image to start"):
        boot.install(blank, source)
    assert set(blank.read_bytes()) == {0xFF}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["blank.flash", "device.flash", "first.bin", "other.bin"]


def script(*lines: str) -> bytes:
    """A program for an image: gets --flash=FILE as its first argument."""
    head = ["#!/bin/sh", 'flash="${1#--flash=}"', 'echo "args: $*" >> "$flash.log"']
    return "\n".join([*head, *lines, ""]).encode()


def supervise(flash: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), "--flash", str(flash), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Path]:
    """A flash whose program counts its starts, then ends with what is in the file `flash.status`, or 75."""
    source = tmp_path / "app.bin"
    source.write_bytes(make_image(script('echo old >> "$flash.starts"', 'exit "$(cat "$flash.status")"')))
    path = tmp_path / "flash"
    boot.install(path, source)
    yield path
    assert not path.with_name("flash.program").exists()
    assert not path.with_name("flash.new").exists()


def starts(flash: Path) -> list[str]:
    return flash.with_name("flash.starts").read_text().split()


def test_program_of_slot_0_is_started_with_its_arguments_and_ends_with_its_status(device: Path) -> None:
    device.with_name("flash.status").write_text("3")
    ended = supervise(device, "--", "--certs=a b", "--server=coaps://x")
    assert ended.returncode == 3
    assert "it is not MCUboot" in ended.stdout
    assert "signatures are not verified" in ended.stdout
    assert starts(device) == ["old"]
    assert device.with_name("flash.log").read_text() == f"args: --flash={device} --certs=a b --server=coaps://x\n"


@pytest.mark.parametrize(
    "new",
    [
        script('echo new >> "$flash.starts"', "exit 75"),
        script('echo new >> "$flash.starts"', "exit 1"),
        script('echo new >> "$flash.starts"', "kill -SEGV $$"),
        b"\x7fELF, but no program",
    ],
    ids=["reset", "failure", "crash", "no program"],
)
def test_image_that_ends_unconfirmed_is_rolled_back(device: Path, new: bytes) -> None:
    device.with_name("flash.status").write_text("0")
    request_upgrade(device, make_image(new, "2.0.0"))
    ended = supervise(device)
    assert ended.returncode == 0
    assert starts(device) == (["new", "old"] if new.startswith(b"#!") else ["old"])
    assert "slots swapped, 2.0.0 is on trial" in ended.stdout
    assert "swapped back to 1.0.0" in ended.stdout


def test_image_that_confirms_itself_is_started_again(device: Path) -> None:
    """The program writes its image-ok flag, as the application does after its registration, and resets twice."""
    confirm_itself = (
        f"printf '\\001' | dd of=\"$flash\" bs=1 seek={boot.SLOT_0 + boot.IMAGE_OK} conv=notrunc 2>/dev/null"
    )
    again = '[ "$(wc -l < "$flash.starts")" -lt 3 ] && exit 75; exit 0'
    program = script('echo new >> "$flash.starts"', confirm_itself, again)
    request_upgrade(device, make_image(program, "2.0.0"))
    ended = supervise(device)
    assert ended.returncode == 0, ended.stderr
    assert starts(device) == ["new"] * 3
    assert "swapped back" not in ended.stdout


def test_termination_ends_the_program(device: Path, tmp_path: Path) -> None:
    source = tmp_path / "long.bin"
    source.write_bytes(make_image(script('echo $$ > "$flash.pid"', "exec sleep 600"), "4.0.0"))
    path = tmp_path / "long.flash"
    command = [sys.executable, str(SCRIPT), "--flash", str(path), "--image", str(source)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        pid_file = tmp_path / "long.flash.pid"
        wait_for(lambda: pid_file.exists() and pid_file.read_text().strip(), what="the program's start")
        pid = int(pid_file.read_text())
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not (tmp_path / "long.flash.program").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--flash {tmp}/none", "none: No such file"),
        ("--flash {tmp}/new --image {tmp}/missing", "missing: No such file"),
        ("--flash {tmp}/flash --key {tmp}/flash.status", "is not a key in PEM"),
    ],
)
def test_mistakes_give_one_line(device: Path, tmp_path: Path, arguments: str, message: str) -> None:
    device.with_name("flash.status").write_text("0")
    ended = subprocess.run(
        [sys.executable, str(SCRIPT), *shlex.split(arguments.format(tmp=tmp_path))],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert message in ended.stderr
    assert ended.stderr.count("\n") == 1
