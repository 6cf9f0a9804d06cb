"""Reads of firmware images and signing keys."""

import re
from functools import lru_cache

from django.conf import settings
from django.db.models import Q, QuerySet

from backend.devices.models import Device
from backend.devices.patterns import pattern_regex
from backend.firmware.models import FirmwareImage, Signature, SigningKey

_LONGEST_SEARCH = 255


def image_list(*, search: str = "", deleted: bool = False) -> QuerySet[FirmwareImage]:
    """Images with their profile, key and person, newest first; deleted ones only where asked for.

    `search`: in file name, version, note, manufacturer and model, or how the SHA-256 begins.
    """
    images = FirmwareImage.objects.select_related("profile", "signed_by", "uploaded_by")
    if not deleted:
        images = images.filter(deleted_at=None)
    search = search.strip()
    if "\0" in search or len(search) > _LONGEST_SEARCH:
        return images.none()
    if search:
        fields = ("file_name", "version", "note", "manufacturer", "model")
        wanted = Q(sha256__istartswith=search)
        for field in fields:
            wanted |= Q(**{f"{field}__icontains": search})
        images = images.filter(wanted)
    return images


def image_get(*, id: int) -> FirmwareImage:
    """One image, a deleted one too. Raises FirmwareImage.DoesNotExist."""
    return image_list(deleted=True).get(pk=id)


def signing_key_list() -> QuerySet[SigningKey]:
    """The public keys that images may be signed with, by name."""
    return SigningKey.objects.select_related("added_by")


def signing_key_get(*, id: int) -> SigningKey:
    """One key. Raises SigningKey.DoesNotExist."""
    return signing_key_list().get(pk=id)


@lru_cache(maxsize=256)
def _matcher(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern_regex(pattern), re.IGNORECASE)


def image_usable(*, image: FirmwareImage) -> str:
    """Why nobody can be given this image at all, in a sentence; "" where it may. Nothing overrides this."""
    if image.deleted_at is not None:
        return f"The image {image} was deleted: upload its file again."
    if settings.FIRMWARE_SIGNED_ONLY and image.signature != Signature.VERIFIED:
        return (
            f"The image {image} is not signed by a registered key, and only those are taken here: "
            "sign it, or register its key."
        )
    return ""


def image_fits(*, image: FirmwareImage, device: Device) -> str:
    """Why the image is not for this device, in a sentence; "" where it fits.

    No query where `image.profile` is loaded (as `image_get` and `image_list` do).
    """
    refused = image_usable(image=image)
    if refused:
        return refused
    for what, pattern, says in (
        ("manufacturer", image.manufacturer, device.manufacturer),
        ("model", image.model, device.model),
    ):
        if not pattern or _matcher(pattern).fullmatch(says):
            continue
        if not says:
            return f"The image is for the {what} {pattern!r}, and the device has not named its {what} so far."
        return f"The image is for the {what} {pattern!r}; the device's is {says!r}."
    if image.profile_id is not None and image.profile_id != device.profile_id:
        assert image.profile is not None
        return f"The image is for devices with the profile {image.profile.name!r}, and this one has another."
    return ""


def images_for(*, device: Device) -> list[FirmwareImage]:
    """Those that fit the device, newest first; one query."""
    return [image for image in image_list() if not image_fits(image=image, device=device)]
