"""Images come, change and go; whatever goes wrong, nothing is left behind."""

import fcntl
import hashlib
import os
import resource
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from backend.devices.models import Profile
from backend.firmware import storage
from backend.firmware.errors import FirmwareError, InUseError, NoRoomError, TooLargeError
from backend.firmware.models import (
    Campaign,
    FirmwareImage,
    FirmwareUpdate,
    ImageKind,
    Signature,
    SigningKey,
    Step,
    UpdateState,
)
from backend.firmware.selectors.images import image_fits, image_get, image_list, image_usable, images_for
from backend.firmware.services.images import image_add, image_delete, image_update
from backend.firmware.services.keys import signing_key_add, signing_key_delete
from tests.unit.api.builders import device
from tests.unit.firmware.signed import KINDS, key, private_pem, public_pem, signed

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def add(content: bytes = b"content", file_name: str = "app.bin", **said: object) -> FirmwareImage:
    image, _ = image_add(chunks=[content], file_name=file_name, by=None, **said)  # type: ignore[arg-type]
    return image


def litter(images: Path) -> list[str]:
    """What lies in the folder beside images and the lock."""
    known = set(FirmwareImage.objects.filter(deleted_at=None).values_list("sha256", flat=True)) | {".lock"}
    return sorted({one.name for one in images.iterdir()} - known) if images.exists() else []


def update(image: FirmwareImage, state: UpdateState) -> FirmwareUpdate:
    now = timezone.now()
    over = state in {UpdateState.SUCCEEDED, UpdateState.FAILED, UpdateState.CANCELLED}
    return FirmwareUpdate.objects.create(
        device=device(f"d-{FirmwareUpdate.objects.count()}"),
        image=image,
        state=state,
        step=Step.DONE if over else Step.WAIT,
        code="succeeded" if over else "",
        reason="It runs." if over else "",
        asked_at=now,
        step_since=now,
        give_up_at=now + timedelta(days=1),
        ended_at=now if over else None,
    )


# -- adding


def test_an_image_is_stored_once_under_its_hash(images: Path) -> None:
    content = b"firmware" * 1000
    image, made = image_add(
        chunks=[content[:10], b"", content[10:]],
        file_name=" app.bin ",
        version="1.0",
        manufacturer="Acme*",
        model="*",
        note="first",
        by=None,
    )
    assert made
    sha256 = hashlib.sha256(content).hexdigest()
    assert (image.sha256, image.size, image.file_name, image.kind) == (sha256, 8000, "app.bin", ImageKind.OPAQUE)
    assert (image.version, image.manufacturer, image.model, image.note) == ("1.0", "Acme*", "", "first")
    assert storage.image_path(sha256).read_bytes() == content
    assert storage.image_path(sha256).stat().st_mode & 0o777 == 0o600
    assert images.stat().st_mode & 0o777 == 0o700
    again, made = image_add(chunks=[content], file_name="other.bin", version="2.0", by=None)
    assert (again.pk, made, again.file_name, again.version) == (image.pk, False, "app.bin", "1.0")
    assert litter(images) == []


def test_an_mcuboot_image_tells_its_version(tmp_path: Path) -> None:
    content = signed(tmp_path, key())
    image = add(content)
    assert (image.kind, image.version, image.signature) == (ImageKind.MCUBOOT, "1.2.3+4", Signature.UNKNOWN)
    assert image.details[0] == ["Version", "1.2.3+4"]
    with pytest.raises(FirmwareError, match=r"says that it is version 1\.2\.3\+4, not 9"):
        add(signed(tmp_path, key()), version="9")
    assert add(signed(tmp_path, key(), version="2.0.0"), version="v2.0.0+0").version == "2.0.0"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "no name"),
        ("   ", "no name"),
        ("../../etc/passwd", "holds a path"),
        ("/etc/passwd", "holds a path"),
        ("C:\\app.bin", "holds a path"),
        ("..", "holds a path"),
        ("a\0b", "control character"),
        ("a\nb", "control character"),
        ("a\ud800", "control character"),
        ("n" * 256, "has 256 characters: 255 at most"),
    ],
)
def test_a_name_that_cannot_be_is_refused_before_any_byte(images: Path, name: str, says: str) -> None:
    def never() -> Iterator[bytes]:
        raise AssertionError
        yield b""

    with pytest.raises(FirmwareError, match=says):
        image_add(chunks=never(), file_name=name, by=None)
    assert litter(images) == []


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"version": "v" * 65}, "65 characters: 64 at most"),
        ({"version": "1\0"}, "control character"),
        ({"manufacturer": "m" * 256}, "255 at most"),
        ({"note": "n" * 201}, "200 at most"),
        ({"object_instance": 65535}, "0 to 65534"),
        ({"object_instance": -1}, "0 to 65534"),
    ],
)
def test_what_people_say_has_bounds(images: Path, said: dict[str, object], says: str) -> None:
    with pytest.raises(FirmwareError, match=says):
        add(**said)  # type: ignore[arg-type]
    assert litter(images) == []


def test_an_empty_file(images: Path) -> None:
    with pytest.raises(FirmwareError, match="The file is empty"):
        add(b"")
    assert (litter(images), FirmwareImage.objects.count()) == ([], 0)


def test_three_bytes_are_an_image() -> None:
    assert add(b"abc").size == 3


def test_a_damaged_image_leaves_nothing(images: Path, tmp_path: Path) -> None:
    content = bytearray(signed(tmp_path, key()))
    content[700] ^= 0xFF
    with pytest.raises(FirmwareError, match="damaged"):
        add(bytes(content))
    assert (litter(images), FirmwareImage.objects.count()) == ([], 0)


def test_the_limit_holds_while_it_streams(images: Path, settings: Settings) -> None:
    settings.FIRMWARE_LIMIT_MIB = 1
    asked = 0

    def endless() -> Iterator[bytes]:
        nonlocal asked
        while True:
            asked += 1
            yield b"x" * 65536

    with pytest.raises(TooLargeError, match="larger than 1 MiB, which is the limit"):
        image_add(chunks=endless(), file_name="app.bin", by=None)
    assert asked == 17
    assert litter(images) == []
    assert add(b"x" * 1024 * 1024).size == 1024 * 1024


def test_an_upload_that_breaks_off(images: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x" * 100_000
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        image_add(chunks=broken(), file_name="app.bin", by=None)
    assert (litter(images), FirmwareImage.objects.count()) == ([], 0)


def test_no_room_on_the_disk(images: Path) -> None:
    """The kernel refuses to make files larger than 100 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    writing = storage.incoming(storage.limit_bytes())
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with writing, pytest.raises(NoRoomError, match="There is no room for the image in"):
            writing.write(b"x" * 300_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert litter(images) == []


def test_a_folder_that_cannot_be_written(images: Path) -> None:
    images.write_text("a file where the folder should be")
    with pytest.raises(NoRoomError, match="cannot be written to"):
        add()


def test_a_row_that_cannot_be_made_leaves_no_file(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("no row today")

    monkeypatch.setattr(FirmwareImage, "save", refuse)
    with pytest.raises(RuntimeError):
        add()
    assert litter(images) == []


def test_an_upload_of_what_is_there_never_takes_the_file_away(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = add()
    monkeypatch.setattr(storage.Incoming, "keep", lambda self: (_ for _ in ()).throw(OSError("broken")))
    with pytest.raises(OSError, match="broken"):
        add()
    assert storage.image_path(image.sha256).read_bytes() == b"content"
    assert litter(images) == []


def test_litter_of_a_killed_process_goes_with_the_next_upload(images: Path) -> None:
    add(b"first")
    (images / f"{storage.TEMPORARY}killed").write_bytes(b"half")
    # killed between the file and its row
    (images / ("ab" * 32)).write_bytes(b"no row")
    (images / f"{storage.KEEPING}{'ab' * 32}").touch()
    # killed between the row and the last step
    (images / f"{storage.KEEPING}{hashlib.sha256(b'first').hexdigest()}").touch()
    # an upload that is still running
    running = images / f"{storage.TEMPORARY}running"
    with running.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        add(b"second")
        assert litter(images) == [running.name]
    # what nobody knows why it is there is left alone
    (images / ("cd" * 32)).write_bytes(b"somebody's")
    add(b"third")
    assert litter(images) == ["cd" * 32]
    assert storage.image_path(hashlib.sha256(b"first").hexdigest()).read_bytes() == b"first"


def test_a_file_that_was_lost_comes_back_with_the_next_upload() -> None:
    image = add()
    storage.image_path(image.sha256).unlink()
    assert add().pk == image.pk
    assert storage.image_path(image.sha256).read_bytes() == b"content"


@pytest.mark.django_db(transaction=True)
def test_the_same_content_from_two_people_at_once(images: Path) -> None:
    together = threading.Barrier(2, timeout=20)
    results: list[tuple[int, bool]] = []

    def chunks() -> Iterator[bytes]:
        yield b"the same "
        together.wait()
        yield b"content"

    def run() -> None:
        try:
            image, made = image_add(chunks=chunks(), file_name="app.bin", by=None)
            results.append((image.pk, made))
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sorted(made for _, made in results) == [False, True]
    assert len({pk for pk, _ in results}) == 1
    assert litter(images) == []


# -- signatures and the policy


@pytest.mark.parametrize("kind", KINDS)
def test_keys_come_and_go(tmp_path: Path, kind: str) -> None:
    by = key(kind)
    image = add(signed(tmp_path, by))
    assert image.signature == Signature.UNKNOWN
    made = signing_key_add(name=" release ", pem=public_pem(by), by=None)
    assert (made.name, made.kind, len(made.fingerprint)) == ("release", kind, 64)
    image.refresh_from_db()
    assert (image.signature, image.signed_by) == (Signature.VERIFIED, made)
    assert ["Signed by", "release"] in image.details
    later = add(signed(tmp_path, by, version="2.0.0"))
    assert (later.signature, later.signed_by) == (Signature.VERIFIED, made)
    signing_key_delete(key=made, by=None)
    for one in (image, later):
        one.refresh_from_db()
        assert (one.signature, one.signed_by) == (Signature.UNKNOWN, None)
        assert ["Signed by", "release"] not in one.details


def test_a_key_that_an_image_falsely_names_vouches_for_nothing(tmp_path: Path) -> None:
    by = key()
    content = bytearray(signed(tmp_path, by))
    content[-5] ^= 1
    image = add(bytes(content))
    signing_key_add(name="release", pem=public_pem(by), by=None)
    image.refresh_from_db()
    assert image.signature == Signature.UNKNOWN
    assert any("not by that key" in text for _, text in image.details)
    with pytest.raises(FirmwareError, match="not by that key"):
        add(bytes(content[:-5]) + b"\0" + bytes(content[-4:]))


def test_a_key_goes_whose_images_have_lost_their_files(tmp_path: Path) -> None:
    by = key()
    made = signing_key_add(name="release", pem=public_pem(by), by=None)
    image = add(signed(tmp_path, by))
    storage.image_path(image.sha256).unlink()
    signing_key_delete(key=made, by=None)
    image.refresh_from_db()
    assert (image.signature, image.signed_by) == (Signature.UNKNOWN, None)


def test_only_signed_images(tmp_path: Path, settings: Settings, images: Path) -> None:
    by = key()
    before = add(b"opaque")
    signing_key_add(name="release", pem=public_pem(by), by=None)
    settings.FIRMWARE_SIGNED_ONLY = True
    for content, why in (
        (b"another opaque", "no MCUboot image"),
        (signed(tmp_path, None), "it is not signed"),
        (signed(tmp_path, key()), "a key that is not registered"),
        (signed(tmp_path, key("Ed25519"), encrypted=True), "it is encrypted"),
    ):
        with pytest.raises(FirmwareError, match=why):
            add(content)
    assert litter(images) == []
    assert image_usable(image=add(signed(tmp_path, by))) == ""
    # what was here before the setting was made
    assert "not signed by a registered key" in image_usable(image=before)


@pytest.mark.parametrize("as_bytes", [True, False])
def test_a_private_key_is_refused_loudly(as_bytes: bool) -> None:
    pem = private_pem(key())
    with pytest.raises(FirmwareError, match="PRIVATE key") as refused:
        signing_key_add(name="release", pem=pem.encode() if as_bytes else pem, by=None)
    assert "It was not stored" in str(refused.value)
    assert pem.splitlines()[1] not in str(refused.value)
    assert SigningKey.objects.count() == 0


@pytest.mark.parametrize(
    ("pem", "says"),
    [
        ("", "no public key"),
        ("nonsense", "no public key"),
        (b"\x30\x82\xff", "no PEM file"),
        ("-----BEGIN CERTIFICATE-----\n", "This is a certificate"),
        ("x" * 20_000, "more than one"),
        (public_pem(key()) * 2, "more than one"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "cannot be read"),
    ],
)
def test_what_is_no_public_key(pem: str | bytes, says: str) -> None:
    with pytest.raises(FirmwareError, match=says):
        signing_key_add(name="release", pem=pem, by=None)


def test_a_key_that_mcuboot_does_not_know() -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    public = ec.generate_private_key(ec.SECP521R1()).public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(FirmwareError, match="MCUboot knows keys of"):
        signing_key_add(name="release", pem=pem, by=None)


def test_names_and_keys_are_there_once() -> None:
    pem = public_pem(key())
    signing_key_add(name="release", pem=pem, by=None)
    with pytest.raises(FirmwareError, match="registered already, as 'release'"):
        signing_key_add(name="other", pem=pem, by=None)
    with pytest.raises(FirmwareError, match="Another key has the name 'release'"):
        signing_key_add(name="release", pem=public_pem(key()), by=None)
    for name in ("", "n" * 65, "a\nb", "a\0"):
        with pytest.raises(FirmwareError, match="name"):
            signing_key_add(name=name, pem=public_pem(key()), by=None)


# -- changing, deleting


def test_what_people_say_can_change(tmp_path: Path) -> None:
    image = add(version="1")
    profile = Profile.objects.create(name="meters")
    image_update(image=image, by=None, version="2", model="M?", profile=profile, object_instance=1, note="now")
    image.refresh_from_db()
    assert (image.version, image.model, image.profile, image.object_instance, image.note) == (
        "2", "M?", profile, 1, "now",
    )  # fmt: skip
    image_update(image=image, by=None, profile=None)
    image.refresh_from_db()
    assert (image.version, image.profile) == ("2", None)
    mcuboot = add(signed(tmp_path, None))
    with pytest.raises(FirmwareError, match="stands in the image's own header"):
        image_update(image=mcuboot, by=None, version="2")
    image_update(image=mcuboot, by=None, version="1.2.3+4", note="the same is no change")


def test_an_image_that_nothing_tells_of_goes_altogether(images: Path) -> None:
    image = add()
    image_delete(image=image, by=None)
    assert FirmwareImage.objects.count() == 0
    assert not storage.image_path(image.sha256).exists()
    with pytest.raises(FirmwareImage.DoesNotExist):
        image_delete(image=image, by=None)


@pytest.mark.parametrize("state", [UpdateState.PENDING, UpdateState.DOWNLOADING, UpdateState.UPDATING])
def test_an_image_that_an_update_needs_stays(state: UpdateState) -> None:
    image = add()
    update(image, state)
    with pytest.raises(InUseError, match="one update that has not ended"):
        image_delete(image=image, by=None)
    assert storage.image_path(image.sha256).exists()


def test_an_image_that_a_standing_campaign_needs_stays() -> None:
    image = add()
    campaign = Campaign.objects.create(name="all", image=image, standing=True, created_at=timezone.now())
    with pytest.raises(InUseError, match="the campaign 'all'"):
        image_delete(image=image, by=None)
    Campaign.objects.filter(pk=campaign.pk).update(cancelled_at=timezone.now())
    image_delete(image=image, by=None)
    assert image_get(id=image.pk).deleted_at is not None


def test_updates_go_on_telling_of_a_deleted_image_that_can_come_back() -> None:
    image = add(version="1")
    update(image, UpdateState.SUCCEEDED)
    image_delete(image=image, by=None)
    image = image_get(id=image.pk)
    assert image.deleted_at is not None
    assert not storage.image_path(image.sha256).exists()
    assert "was deleted" in image_usable(image=image)
    assert list(image_list()) == []
    assert list(image_list(deleted=True)) == [image]
    with pytest.raises(FirmwareError, match="was deleted"):
        image_update(image=image, by=None, note="x")
    again, made = image_add(chunks=[b"content"], file_name="again.bin", version="2", by=None)
    assert (again.pk, made, again.deleted_at, again.version, again.file_name) == (
        image.pk,
        True,
        None,
        "2",
        "again.bin",
    )
    assert storage.image_path(image.sha256).exists()


# -- reads


def test_which_devices_an_image_is_for(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    profile = Profile.objects.create(name="meters")
    mine = device("mine", manufacturer="ACME Ltd", model="M1 [a]", profile=profile)
    unknown = device("unknown", profile=None)
    everybody, by_maker = add(b"1"), add(b"2", manufacturer="acme*", model="m? [[]a]")
    by_model, by_profile = add(b"3", model="m? [a]"), add(b"4", profile=profile)
    assert image_fits(image=everybody, device=unknown) == ""
    assert "the device's is 'M1 [a]'" in image_fits(image=by_maker, device=mine)
    assert "has not named its manufacturer" in image_fits(image=by_maker, device=unknown)
    assert image_fits(image=by_model, device=mine) == ""
    assert "profile 'meters'" in image_fits(image=by_profile, device=unknown)
    with django_assert_num_queries(1):
        assert images_for(device=mine) == [by_profile, by_model, everybody]
    with django_assert_num_queries(1):
        assert images_for(device=unknown) == [everybody]


def test_finding_images(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    first, second = add(b"1", "zephyr.bin", version="1.5"), add(b"2", "modem.bin", note="for the LAB")
    with django_assert_num_queries(1):
        assert [(one.pk, one.profile, one.uploaded_by) for one in image_list()] == [
            (second.pk, None, None), (first.pk, None, None),
        ]  # fmt: skip
    assert list(image_list(search="ZEPHYR")) == [first]
    assert list(image_list(search="lab")) == [second]
    assert list(image_list(search=first.sha256[:8].upper())) == [first]
    assert list(image_list(search="100%")) == []
    assert list(image_list(search="a\0")) == []
    assert list(image_list(search="x" * 300)) == []


def test_a_large_image_costs_no_memory(tmp_path: Path) -> None:
    """A process of its own adds a signed image of 64 MiB; its peak is compared with that for a small one."""
    program = """
        import os, resource, sys
        from pathlib import Path
        os.environ.update(FLOWNEXUS_DATA=sys.argv[1], DJANGO_SETTINGS_MODULE="backend.config.settings")
        import django
        django.setup()
        from backend.firmware.imaging import image_inspect
        from backend.firmware.models import SigningKey
        from backend.firmware.storage import chunks_of, incoming
        key = SigningKey(name="k", pem=Path(sys.argv[2]).read_text())
        for file in map(Path, sys.argv[3:]):
            with incoming(64 * 1024 * 1024) as upload:
                for chunk in chunks_of(file):
                    upload.write(chunk)
                assert image_inspect(upload.path, keys=[key]).signature == "verified"
                upload.keep()
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    """
    by = key()
    (tmp_path / "key.pem").write_text(public_pem(by))
    (tmp_path / "small").write_bytes(signed(tmp_path, by, size=1000))
    (tmp_path / "large").write_bytes(signed(tmp_path, by, size=64 * 1024 * 1024 - 1024))
    arguments = [tmp_path / "data", tmp_path / "key.pem", tmp_path / "small", tmp_path / "large"]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    small, large = (int(line) for line in done.stdout.split())
    assert large - small < 8 * 1024
