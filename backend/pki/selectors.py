"""Reads: what has been issued, and what Leshan has to know to let devices in."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.db.models import QuerySet
from django.utils import timezone

from backend.pki.models import Certificate, Credential


@dataclass(frozen=True)
class CredentialEntry:
    """How one device proves who it is, as Leshan is told."""

    endpoint: str
    mode: Credential.Mode
    # PSK only; the key in hex
    psk_identity: str
    psk_key: str
    # X.509 only: SHA-256 (hex) of the certificates that the device may use; others of the same name are refused
    certificates: tuple[str, ...]


def certificate_list(*, kind: Certificate.Kind | None = None) -> QuerySet[Certificate]:
    """Issued certificates, newest first."""
    certificates = Certificate.objects.select_related("device")
    return certificates.filter(kind=kind) if kind else certificates


def credential_list(*, endpoints: Iterable[str] | None = None) -> Iterator[CredentialEntry]:
    """The credentials of all devices (or of `endpoints`) that may connect, by endpoint; two queries in all.

    A certificate counts while it is neither revoked nor expired.
    """
    credentials = Credential.objects.select_related("device").order_by("device__endpoint")
    certificates = Certificate.objects.filter(
        kind=Certificate.Kind.DEVICE, device__isnull=False, revoked_at__isnull=True, not_after__gt=timezone.now()
    ).order_by("id")
    if endpoints is not None:
        names = list(endpoints)
        credentials = credentials.filter(device__endpoint__in=names)
        certificates = certificates.filter(device__endpoint__in=names)
    by_device: dict[int, list[str]] = {}
    for device_id, sha256 in certificates.values_list("device_id", "sha256"):
        by_device.setdefault(device_id, []).append(sha256)
    for credential in credentials:
        yield CredentialEntry(
            endpoint=credential.device.endpoint,
            mode=Credential.Mode(credential.mode),
            psk_identity=credential.psk_identity or "",
            psk_key=credential.psk_key,
            certificates=tuple(by_device.get(credential.device_id, ())),
        )
