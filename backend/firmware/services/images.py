"""Firmware images come, change and go."""

import logging
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Required, TypedDict, Unpack

from django.conf import settings
from django.db import transaction
from django.db.models import ProtectedError
from django.utils import timezone

from backend.accounts.models import User
from backend.devices.models import Profile
from backend.firmware.errors import FirmwareError, InUseError
from backend.firmware.imaging import Inspection, image_inspect
from backend.firmware.models import OPEN, Campaign, FirmwareImage, FirmwareUpdate, ImageKind, Signature, SigningKey
from backend.firmware.storage import (
    Incoming,
    file_delete,
    image_path,
    incoming,
    kept,
    limit_bytes,
    locked,
    undone,
    unfinished,
)
from backend.firmware.versions import version_same

logger = logging.getLogger(__name__)

_MOST_INSTANCE = 65534
_UNCHANGED: Any = object()


@dataclass(frozen=True, kw_only=True)
class _Words:
    """What people say of an image, checked."""

    file_name: str
    version: str
    manufacturer: str
    model: str
    profile: Profile | None
    object_instance: int | None
    note: str


def _text(text: str, what: str, longest: int) -> str:
    text = text.strip()
    if len(text) > longest:
        raise FirmwareError(f"The {what} has {len(text)} characters: {longest} at most.")
    # control characters, and half characters that no database keeps
    if any(unicodedata.category(one) in {"Cc", "Cs"} for one in text):
        raise FirmwareError(f"The {what} holds a control character, such as NUL or a line break: leave it out.")
    return text


def _file_name(name: str) -> str:
    name = _text(name, "file's name", 255)
    if not name:
        raise FirmwareError("The file has no name: give it one, such as zephyr.signed.bin.")
    if "/" in name or "\\" in name or name in {".", ".."}:
        raise FirmwareError(f"The file's name {name!r} holds a path: give the name alone, without folders.")
    return name


def _pattern(text: str, what: str) -> str:
    text = _text(text, what, 255)
    # it matches everything, as the empty one does
    return "" if not text.strip("*") else text


def _instance(number: int | None) -> int | None:
    if number is not None and not 0 <= number <= _MOST_INSTANCE:
        raise FirmwareError(f"The object instance {number} does not exist: 0 to {_MOST_INSTANCE}.")
    return number


class ImageWords(TypedDict, total=False):
    """What people say of an image when they upload it. `version` is for images that do not tell theirs."""

    file_name: Required[str]
    version: str
    manufacturer: str
    model: str
    profile: Profile | None
    object_instance: int | None
    note: str


def image_check(**said: Unpack[ImageWords]) -> _Words:
    """What is said of an image, before its bytes come. Raises FirmwareError."""
    return _Words(
        file_name=_file_name(said["file_name"]),
        version=_text(said.get("version", ""), "version", 64),
        manufacturer=_pattern(said.get("manufacturer", ""), "pattern for the manufacturer"),
        model=_pattern(said.get("model", ""), "pattern for the model"),
        profile=said.get("profile"),
        object_instance=_instance(said.get("object_instance")),
        note=_text(said.get("note", ""), "note", 200),
    )


def image_add(*, chunks: Iterable[bytes], by: User | None, **said: Unpack[ImageWords]) -> tuple[FirmwareImage, bool]:
    """Stores an image while its bytes come in; whether it is new.

    A content that is here already is the image that is here, as it is; one that was deleted comes back with what is
    said now. Raises FirmwareError; then nothing is left behind.
    """
    words = image_check(**said)
    with incoming(limit_bytes()) as upload:
        for chunk in chunks:
            upload.write(chunk)
        return _store(upload, words, by)


def image_store(*, upload: Incoming, by: User | None, **said: Unpack[ImageWords]) -> tuple[FirmwareImage, bool]:
    """As `image_add`, for bytes that an upload handler has written (backend.firmware.uploads)."""
    with upload:
        return _store(upload, image_check(**said), by)


def _keys() -> list[SigningKey]:
    return list(SigningKey.objects.order_by("pk"))


def _policy(found: Inspection) -> None:
    if not settings.FIRMWARE_SIGNED_ONLY or found.signature == Signature.VERIFIED:
        return
    if found.kind != ImageKind.MCUBOOT:
        why = "it is no MCUboot image, so nobody has signed it"
    elif found.problem:
        why = "it is encrypted, so its signature cannot be checked"
    elif found.signature == Signature.UNSIGNED:
        why = "it is not signed"
    else:
        why = "it is signed with a key that is not registered"
    raise FirmwareError(
        f"Only images that are signed with a registered key are taken here, and {why}: "
        "sign it with imgtool, or have an administrator register its public key."
    )


def _store(upload: Incoming, words: _Words, by: User | None) -> tuple[FirmwareImage, bool]:
    if not upload.size:
        raise FirmwareError("The file is empty: upload the image that the build made, such as zephyr.signed.bin.")
    keys = _keys()
    found = image_inspect(upload.path, keys=keys)
    _policy(found)
    if found.kind == ImageKind.MCUBOOT and words.version and not version_same(words.version, found.version):
        raise FirmwareError(
            f"The image's header says that it is version {found.version}, not {words.version}: "
            "leave the version out, or build it with the right one."
        )
    sha256 = upload.sha256
    with locked():
        _tidy()
        try:
            with transaction.atomic():
                image, made = _row(sha256, upload.size, words, found, by)
                upload.keep()
        except BaseException:
            undone(sha256)
            raise
        kept(sha256)
    # a key that came or went meanwhile has judged the images that it could see
    if [key.pk for key in keys] != [key.pk for key in _keys()]:
        images_judge(images=[image], keys=_keys())
        image.refresh_from_db()
    return image, made


def _row(sha256: str, size: int, words: _Words, found: Inspection, by: User | None) -> tuple[FirmwareImage, bool]:
    image = FirmwareImage.objects.select_for_update().filter(sha256=sha256).first()
    if image is not None and image.deleted_at is None:
        return image, False
    signature, signed_by = found.signature, found.signed_by
    if signed_by is not None and not SigningKey.objects.select_for_update().filter(pk=signed_by.pk).exists():
        signature, signed_by = Signature.UNKNOWN, None
    profile = words.profile
    if profile is not None and not Profile.objects.select_for_update().filter(pk=profile.pk).exists():
        raise FirmwareError("The profile that the image is for was deleted meanwhile: choose another.")
    image = image or FirmwareImage(sha256=sha256)
    image.size = size
    image.file_name = words.file_name
    image.kind = found.kind
    image.version = found.version if found.kind == ImageKind.MCUBOOT else words.version
    image.details = [list(line) for line in found.details]
    image.signature = signature
    image.signed_by = signed_by
    image.manufacturer = words.manufacturer
    image.model = words.model
    image.profile = profile
    image.object_instance = words.object_instance
    image.note = words.note
    image.uploaded_at = timezone.now()
    image.uploaded_by = by
    image.deleted_at = None
    image.save()
    return image, True


def _tidy() -> None:
    """Ends what a crash interrupted between a file and its row."""
    for sha256 in unfinished():
        if FirmwareImage.objects.filter(sha256=sha256, deleted_at=None).exists():
            kept(sha256)
        else:
            undone(sha256)


@transaction.atomic
def image_update(
    *,
    image: FirmwareImage,
    by: User | None,
    version: str = _UNCHANGED,
    manufacturer: str = _UNCHANGED,
    model: str = _UNCHANGED,
    profile: Profile | None = _UNCHANGED,
    object_instance: int | None = _UNCHANGED,
    note: str = _UNCHANGED,
) -> FirmwareImage:
    """Changes what is given of what people say of an image. Raises FirmwareError."""
    image = FirmwareImage.objects.select_for_update().get(pk=image.pk)
    if image.deleted_at is not None:
        raise FirmwareError(f"The image {image} was deleted: upload its file again.")
    changed: dict[str, Any] = {}
    if version is not _UNCHANGED:
        version = _text(version, "version", 64)
        if image.kind == ImageKind.MCUBOOT and not version_same(version, image.version):
            raise FirmwareError(
                f"The version {image.version} stands in the image's own header: build another image to change it."
            )
        changed["version"] = image.version if image.kind == ImageKind.MCUBOOT else version
    if manufacturer is not _UNCHANGED:
        changed["manufacturer"] = _pattern(manufacturer, "pattern for the manufacturer")
    if model is not _UNCHANGED:
        changed["model"] = _pattern(model, "pattern for the model")
    if profile is not _UNCHANGED:
        changed["profile"] = profile
    if object_instance is not _UNCHANGED:
        changed["object_instance"] = _instance(object_instance)
    if note is not _UNCHANGED:
        changed["note"] = _text(note, "note", 200)
    for name, value in changed.items():
        setattr(image, name, value)
    if changed:
        image.save(update_fields=list(changed))
        logger.info("image %s changed by %s: %s", image.pk, by or "the command line", ", ".join(changed))
    return image


def image_delete(*, image: FirmwareImage, by: User | None) -> None:
    """Deletes the file, and the row unless updates or campaigns tell of it. Raises InUseError, DoesNotExist."""
    with locked():
        with transaction.atomic():
            row = FirmwareImage.objects.select_for_update().get(pk=image.pk)
            waiting = FirmwareUpdate.objects.filter(image=row, state__in=OPEN).count()
            if waiting:
                many = "one update that has" if waiting == 1 else f"{waiting} updates that have"
                raise InUseError(f"The image {row} is needed by {many} not ended: cancel first.")
            campaign = Campaign.objects.filter(image=row, standing=True, cancelled_at=None).first()
            if campaign is not None:
                raise InUseError(
                    f"The image {row} is what the campaign {campaign.name!r} gives to new devices: cancel that first."
                )
            try:
                with transaction.atomic():
                    FirmwareImage.objects.filter(pk=row.pk).delete()
            except ProtectedError:
                FirmwareImage.objects.filter(pk=row.pk, deleted_at=None).update(deleted_at=timezone.now())
        file_delete(row.sha256)
    logger.info("image %s (%s) deleted by %s", row.pk, row, by or "the command line")


# -- keys come and go


def images_judge(*, images: Iterable[FirmwareImage], keys: Sequence[SigningKey]) -> int:
    """Says anew whose signature these images bear; how many changed. Reads their files.

    One that names a registered key and is not by it counts as signed by an unknown one, and says so.
    """
    changed = 0
    for image in images:
        signature, signed_by, details = image.signature, None, list(image.details)
        try:
            found = image_inspect(image_path(image.sha256), keys=keys)
        except FirmwareError as error:
            signature = Signature.UNKNOWN
            details = [line for line in details if line[0] not in {"Signed by", "Note"}] + [["Note", str(error)]]
        except OSError as error:
            # nobody can say any more
            logger.warning("the file of image %s cannot be read: %s", image.pk, error.strerror)
            signature = Signature.UNKNOWN if image.signature == Signature.VERIFIED else Signature(image.signature)
            details = [line for line in details if line[0] != "Signed by"]
        else:
            signature, signed_by = found.signature, found.signed_by
            details = [list(line) for line in found.details]
        if (image.signature, image.signed_by, image.details) == (signature, signed_by, details):
            continue
        changed += FirmwareImage.objects.filter(pk=image.pk).update(
            signature=signature, signed_by=signed_by, details=details
        )
    return changed
