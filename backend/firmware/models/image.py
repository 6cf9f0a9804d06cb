"""Firmware images and the public keys that vouch for them. The bytes lie in files, once by hash."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from backend.devices.models import Profile


class ImageKind(models.TextChoices):
    """What we can read of an image."""

    MCUBOOT = "mcuboot", "MCUboot"
    OPAQUE = "opaque", "Other"


class Signature(models.TextChoices):
    """What an image's signature is worth here."""

    # by one of the keys that an administrator registered
    VERIFIED = "verified", "Signed"
    # signed, by a key that is not registered
    UNKNOWN = "unknown", "Signed by an unknown key"
    UNSIGNED = "unsigned", "Not signed"


class SigningKey(models.Model):
    """A public key that firmware images may be signed with."""

    name = models.CharField(max_length=64, unique=True)
    # SubjectPublicKeyInfo, PEM
    pem = models.TextField()
    # SHA-256 of the SubjectPublicKeyInfo's DER, lower-case hex; what MCUboot's key hash TLV holds is made from the same
    fingerprint = models.CharField(max_length=64, unique=True)
    # such as "ECDSA P-256", "Ed25519", "RSA 2048"
    kind = models.CharField(max_length=32)
    added_at = models.DateTimeField()
    added_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        """By name."""

        ordering = ["name"]

    def __str__(self) -> str:
        """The key's name."""
        return self.name


class FirmwareImage(models.Model):
    """One image. Its bytes are never changed: another content is another image."""

    sha256 = models.CharField(max_length=64, unique=True)
    # bytes
    size = models.PositiveBigIntegerField()
    # as it was uploaded, without folders
    file_name = models.CharField(max_length=255)
    kind = models.CharField(max_length=8, choices=ImageKind.choices)
    # from the MCUboot header, such as "1.2.3" or "1.2.3+4"; else as it was typed in, "" where it was not
    version = models.CharField(max_length=64, blank=True)
    # what the MCUboot header and TLVs say, for people: [["Header size", "32 bytes"], …]
    details = models.JSONField(default=list, blank=True)
    signature = models.CharField(max_length=10, choices=Signature.choices, default=Signature.UNSIGNED)
    signed_by = models.ForeignKey(SigningKey, on_delete=models.SET_NULL, null=True, blank=True, related_name="images")
    # which devices it is for: `*` and `?` as in file names, upper and lower case alike; "" is for all
    manufacturer = models.CharField(max_length=255, blank=True)
    model = models.CharField(max_length=255, blank=True)
    profile = models.ForeignKey(Profile, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    # of a device that lists several instances of object 5; null: the first
    object_instance = models.PositiveIntegerField(null=True, blank=True)
    note = models.CharField(max_length=200, blank=True)
    uploaded_at = models.DateTimeField(db_index=True)
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    # the file was deleted; the row stays, because updates tell of it
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        """Newest first."""

        ordering = ["-uploaded_at", "-id"]
        constraints = [
            models.CheckConstraint(condition=Q(size__gt=0), name="firmware_image_not_empty"),
            models.CheckConstraint(condition=Q(kind__in=ImageKind.values), name="firmware_image_kind_known"),
            models.CheckConstraint(condition=Q(signature__in=Signature.values), name="firmware_image_signature_known"),
        ]

    def __str__(self) -> str:
        """File name and version."""
        return f"{self.file_name} {self.version}".strip()
