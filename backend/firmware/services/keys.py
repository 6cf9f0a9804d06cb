"""Public keys that firmware images may be signed with."""

import hashlib
import logging
import unicodedata

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from backend.accounts.models import User
from backend.firmware.errors import FirmwareError
from backend.firmware.imaging import key_kind, public_key
from backend.firmware.models import FirmwareImage, ImageKind, Signature, SigningKey
from backend.firmware.services.images import images_judge

logger = logging.getLogger(__name__)

_LONGEST_NAME = 64
_LONGEST_PEM = 16_384
_EXPORT = "export the public one with `imgtool getpub -k key.pem -e pem`"


def signing_key_add(*, name: str, pem: bytes | str, by: User | None) -> SigningKey:
    """Registers a public key (PEM) and looks at the images again that were signed by an unknown one.

    Raises FirmwareError; nothing of a private key is kept, or repeated in the message.
    """
    name = name.strip()
    if not name:
        raise FirmwareError("The key has no name: give it one, such as the product's or the team's.")
    if len(name) > _LONGEST_NAME or any(unicodedata.category(one) in {"Cc", "Cs"} for one in name):
        raise FirmwareError(f"The key's name has at most {_LONGEST_NAME} characters, and no line breaks among them.")
    text = _text(pem)
    try:
        public = public_key(text)
    except (ValueError, UnsupportedAlgorithm) as error:
        why = str(error) if str(error).startswith("MCUboot knows") else "it cannot be read"
        raise FirmwareError(f"This is no public key that images can be signed with ({why}): {_EXPORT}.") from None
    der = public.key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    fingerprint = hashlib.sha256(der).hexdigest()
    try:
        with transaction.atomic():
            key = SigningKey.objects.create(
                name=name,
                pem=public.get_public_pem().decode(),
                fingerprint=fingerprint,
                kind=key_kind(public),
                added_at=timezone.now(),
                added_by=by,
            )
    except IntegrityError:
        there = SigningKey.objects.filter(Q(fingerprint=fingerprint) | Q(name=name)).first()
        if there is not None and there.fingerprint == fingerprint:
            raise FirmwareError(f"This key is registered already, as {there.name!r}.") from None
        raise FirmwareError(f"Another key has the name {name!r}: choose another name.") from None
    logger.info("signing key %s (%s) added by %s", key.pk, key.name, by or "the command line")
    images = FirmwareImage.objects.filter(kind=ImageKind.MCUBOOT, signature=Signature.UNKNOWN, deleted_at=None)
    images_judge(images=images, keys=list(SigningKey.objects.order_by("pk")))
    return key


def _text(pem: bytes | str) -> str:
    try:
        text = pem.decode("ascii") if isinstance(pem, bytes) else pem
        text.encode("ascii")
    except UnicodeError:
        raise FirmwareError(f"This is no PEM file, which is text: {_EXPORT}.") from None
    if "PRIVATE KEY" in text:
        raise FirmwareError(
            "This is a PRIVATE key: whoever has it can sign firmware, and it must never leave the place where images "
            f"are signed. It was not stored. Instead, {_EXPORT}. "
            "If others could see what you sent, use a new key."
        )
    if "CERTIFICATE" in text:
        raise FirmwareError(
            "This is a certificate: take the public key out of it with `openssl x509 -in cert.pem -pubkey -noout`."
        )
    if len(text) > _LONGEST_PEM or text.count("-----BEGIN") > 1:
        raise FirmwareError("This is more than one public key: register each by itself.")
    return text


def signing_key_delete(*, key: SigningKey, by: User | None) -> None:
    """Removes a key; images that it vouched for are judged by those that are left. Raises SigningKey.DoesNotExist."""
    with transaction.atomic():
        row = SigningKey.objects.select_for_update().get(pk=key.pk)
        ids = list(FirmwareImage.objects.filter(signed_by=row).values_list("pk", flat=True))
        # at once, whatever reading the files takes, and also for those that have no file any more
        FirmwareImage.objects.filter(signed_by=row).update(signature=Signature.UNKNOWN, signed_by=None)
        row.delete()
    logger.info("signing key %s (%s) deleted by %s", key.pk, row.name, by or "the command line")
    images_judge(images=FirmwareImage.objects.filter(pk__in=ids), keys=list(SigningKey.objects.order_by("pk")))
