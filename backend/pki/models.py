"""Issued certificates and the credentials that devices connect with."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from backend.devices.models import Device


class Certificate(models.Model):
    """A certificate that our CA has issued, the CA's own included. Rows are kept for ever."""

    class Kind(models.TextChoices):
        """What it is for."""

        CA = "ca", "Certificate authority"
        SERVER = "server", "Server"
        DEVICE = "device", "Device"

    kind = models.CharField(max_length=8, choices=Kind.choices)
    device = models.ForeignKey(Device, on_delete=models.SET_NULL, null=True, blank=True, related_name="certificates")
    common_name = models.CharField(max_length=64)
    # lower-case hex
    serial_number = models.CharField(max_length=40)
    sha256 = models.CharField(max_length=64, unique=True)
    issuer_sha256 = models.CharField(max_length=64)
    not_before = models.DateTimeField()
    not_after = models.DateTimeField(db_index=True)
    pem = models.TextField()
    issued_at = models.DateTimeField(auto_now_add=True)
    issued_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        """A serial number once per issuer (RFC 5280, 4.1.2.2)."""

        ordering = ["-issued_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["issuer_sha256", "serial_number"], name="pki_certificate_serial_once"),
        ]

    def __str__(self) -> str:
        """Kind and common name."""
        return f"{self.kind} {self.common_name}"


class Credential(models.Model):
    """How one device proves who it is: this row is what lets it connect. `sync` brings Leshan to it."""

    class Mode(models.TextChoices):
        """DTLS modes (LwM2M Transport 1.1, 5.2)."""

        X509 = "x509", "X.509"
        PSK = "psk", "PSK"

    device = models.OneToOneField(Device, on_delete=models.CASCADE, related_name="credential")
    mode = models.CharField(max_length=8, choices=Mode.choices)
    psk_identity = models.CharField(max_length=128, null=True, blank=True, unique=True)
    # hex
    psk_key = models.CharField(max_length=128, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        """PSK has identity and key, X.509 has neither."""

        constraints = [
            models.CheckConstraint(
                condition=(Q(mode="psk") & Q(psk_identity__isnull=False) & ~Q(psk_key=""))
                | (Q(mode="x509") & Q(psk_identity__isnull=True) & Q(psk_key="")),
                name="pki_credential_complete",
            ),
        ]

    def __str__(self) -> str:
        """Device and mode."""
        return f"{self.device_id} {self.mode}"
