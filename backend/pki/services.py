"""Writes: the CA, the server's certificate, and devices' credentials. Rows and files come together or not at all."""

import contextlib
import datetime as dt
import secrets
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from backend.accounts.models import User
from backend.devices.services import device_provision
from backend.pki import ca, files
from backend.pki.errors import AlreadyThereError, BadNameError, NoAuthorityError, PkiError
from backend.pki.models import Certificate, Credential

ENDPOINT_MAX = 255
# 128 bits: what TLS_PSK_WITH_AES_128_CCM_8 uses, and Zephyr's default LWM2M_SECURITY_KEY_SIZE
PSK_BYTES = 16
# LwM2M Core 1.1, E.1.1: an identity of up to 128 bytes must be supported
PSK_IDENTITY_MAX = 128
# a server certificate with less time left than this is issued anew when it is looked after
SERVER_RENEWED = dt.timedelta(days=30)


@dataclass(frozen=True)
class DeviceCredential:
    """What was made for one device and where it lies."""

    endpoint: str
    mode: Credential.Mode
    folder: Path


def authority_create(
    *, hosts: Iterable[str] = (), directory: Path | None = None, by: User | None = None
) -> tuple[Certificate, Certificate]:
    """A new CA and a server certificate for localhost and `hosts`; returns their rows.

    `directory` is settings.CERTS_DIR unless given. Raises AlreadyThereError where there is a CA or a server
    certificate, BadNameError on a host that is none, PkiError where files cannot be written.
    """
    directory = directory or settings.CERTS_DIR
    now = _now()
    with _opened(directory):
        for name in ("ca.key.pem", "ca.pem", "server.key.pem", "server.pem"):
            if (directory / name).exists():
                raise AlreadyThereError(
                    f"{directory / name} is already there and nothing is overwritten: "
                    "issue devices with it, or move the folder aside for a new CA (every device then needs new files)"
                )
        authority = ca.authority_create(now=now)
        server = ca.server_certificate(authority, hosts=hosts, now=now)
        staged = files.stage(
            directory,
            {
                "ca.pem": ca.certificate_pem(authority.certificate),
                "ca.der": ca.certificate_der(authority.certificate),
                "ca.key.pem": ca.key_pem(authority.key),
                "server.key.pem": ca.key_pem(server.key),
                **_server_files(server),
            },
        )
        with _published(staged):
            rows = (
                _row(authority, kind=Certificate.Kind.CA, issuer=authority, by=by),
                _row(server, kind=Certificate.Kind.SERVER, issuer=authority, by=by),
            )
            for row in rows:
                row.save(force_insert=True)
    return rows


def server_certificate_ensure(
    *, hosts: Sequence[str], directory: Path | None = None, by: User | None = None
) -> Certificate | None:
    """Sees to it that the server certificate names all `hosts` and is valid for a while.

    Where it is so already: None. Else a new certificate of the same key, with the old names and the new ones, takes its
    place, and its row is returned. Raises NoAuthorityError without a CA, BadNameError on a host that is none.
    """
    directory = directory or settings.CERTS_DIR
    with _opened(directory):
        authority = _authority(directory)
        current = x509.load_pem_x509_certificate(_read(directory / "server.pem"))
        now = _now()
        if not ca.hosts_missing(current, hosts) and current.not_valid_after_utc - now > SERVER_RENEWED:
            return None
        key = load_pem_private_key(_read(directory / "server.key.pem"), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise PkiError(f"{directory / 'server.key.pem'} holds no elliptic curve key: restore it from a backup")
        server = ca.server_certificate(authority, hosts=[*ca.certificate_hosts(current), *hosts], now=now, key=key)
        with _published(files.stage(directory, _server_files(server))):
            row = _row(server, kind=Certificate.Kind.SERVER, issuer=authority, by=by)
            row.save(force_insert=True)
    return row


def device_credentials_create(
    *,
    endpoints: Iterable[str],
    psk: bool = False,
    keep_existing: bool = False,
    directory: Path | None = None,
    by: User | None = None,
) -> list[DeviceCredential]:
    """Lets devices connect: a certificate and key (or an identity and a pre-shared key) each, and the device's row.

    All of them or none. With `keep_existing`, devices that have a credential are passed over; else they raise
    AlreadyThereError. Also raises NoAuthorityError without a CA (X.509 only) and BadNameError on unusable names.
    """
    directory = directory or settings.CERTS_DIR
    wanted = list(dict.fromkeys(endpoints))
    for endpoint in wanted:
        _check_endpoint(endpoint)
    now = _now()
    with _opened(directory):
        existing = {endpoint: reason for endpoint in wanted if (reason := _existing(directory, endpoint))}
        if existing and not keep_existing:
            raise AlreadyThereError(_existing_text(existing))
        todo = [endpoint for endpoint in wanted if endpoint not in existing]
        if not todo:
            return []
        made = (
            {endpoint: _psk(endpoint) for endpoint in todo}
            if psk
            else _device_certificates(_authority(directory), endpoints=todo, now=now, by=by)
        )
        staged = files.stage(
            directory / "devices",
            {
                f"{files.folder_name(endpoint)}/{name}": content
                for endpoint, one in made.items()
                for name, content in one.files.items()
            },
        )
        with _published(staged):
            certificates = []
            credentials = []
            for endpoint, one in made.items():
                device = device_provision(endpoint=endpoint)
                one.credential.device = device
                credentials.append(one.credential)
                if one.certificate is not None:
                    one.certificate.device = device
                    certificates.append(one.certificate)
            Certificate.objects.bulk_create(certificates)
            Credential.objects.bulk_create(credentials)
    return [
        DeviceCredential(endpoint, Credential.Mode(one.credential.mode), files.device_folder(directory, endpoint))
        for endpoint, one in made.items()
    ]


@dataclass(frozen=True)
class _Made:
    """Rows (not yet saved) and files of one device."""

    credential: Credential
    certificate: Certificate | None
    files: files.Files


def _device_certificates(
    authority: ca.Issued, *, endpoints: Iterable[str], now: dt.datetime, by: User | None
) -> dict[str, _Made]:
    anchor = {
        "ca.pem": ca.certificate_pem(authority.certificate),
        "ca.der": ca.certificate_der(authority.certificate),
    }
    made = {}
    for endpoint in endpoints:
        issued = ca.device_certificate(authority, endpoint=endpoint, now=now)
        made[endpoint] = _Made(
            Credential(mode=Credential.Mode.X509),
            _row(issued, kind=Certificate.Kind.DEVICE, issuer=authority, by=by),
            {
                "cert.pem": ca.certificate_pem(issued.certificate),
                "cert.der": ca.certificate_der(issued.certificate),
                "key.pem": ca.key_pem(issued.key),
                "key.der": ca.key_der(issued.key),
                **anchor,
            },
        )
    return made


def _psk(endpoint: str) -> _Made:
    identity = endpoint.encode()
    if len(identity) > PSK_IDENTITY_MAX:
        raise BadNameError(
            f"{endpoint!r} has {len(identity)} bytes: a PSK identity has at most {PSK_IDENTITY_MAX}; shorten it"
        )
    key = secrets.token_hex(PSK_BYTES)
    return _Made(
        Credential(mode=Credential.Mode.PSK, psk_identity=endpoint, psk_key=key),
        None,
        # no line ends: some tools take every byte of such a file
        {"psk.identity": identity, "psk.key": key.encode()},
    )


def _check_endpoint(endpoint: str) -> None:
    if not endpoint or len(endpoint) > ENDPOINT_MAX:
        raise BadNameError(f"{endpoint!r}: an endpoint name has 1 to {ENDPOINT_MAX} characters")
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in endpoint):
        raise BadNameError(f"{endpoint!r} holds control characters or is not UTF-8: use printable ones")
    if endpoint in {".", ".."}:
        raise BadNameError(f"{endpoint!r} cannot be part of an address: choose another name")
    files.folder_name(endpoint)


def _existing(directory: Path, endpoint: str) -> str:
    """What is there already for a device: in words, or empty."""
    folder = files.device_folder(directory, endpoint)
    if folder.exists():
        return str(folder)
    if Credential.objects.filter(device__endpoint=endpoint).exists():
        return "its credential in the database"
    return ""


def _existing_text(existing: dict[str, str]) -> str:
    endpoint, reason = next(iter(existing.items()))
    others = f" (and {len(existing) - 1} more)" if len(existing) > 1 else ""
    return (
        f"{endpoint!r}{others} has a credential already ({reason}) and nothing is overwritten: "
        "use it, or say --keep to pass over those"
    )


def _authority(directory: Path) -> ca.Issued:
    try:
        certificate, key = (directory / "ca.pem").read_bytes(), (directory / "ca.key.pem").read_bytes()
    except FileNotFoundError:
        raise NoAuthorityError(f"there is no CA in {directory}: make one with `scripts/certs init`") from None
    except OSError as error:
        raise NoAuthorityError(f"the CA in {directory} cannot be read: {error.strerror}") from error
    return ca.authority_load(certificate=certificate, key=key)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise PkiError(f"{file} cannot be read ({error.strerror}): restore it from a backup") from error


def _server_files(server: ca.Issued) -> dict[str, bytes]:
    return {
        "server.pem": ca.certificate_pem(server.certificate),
        "server.der": ca.certificate_der(server.certificate),
    }


def _row(issued: ca.Issued, *, kind: Certificate.Kind, issuer: ca.Issued, by: User | None) -> Certificate:
    certificate = issued.certificate
    return Certificate(
        kind=kind,
        common_name=ca.common_name(certificate),
        serial_number=f"{certificate.serial_number:x}",
        sha256=issued.sha256,
        issuer_sha256=issuer.sha256,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        pem=ca.certificate_pem(certificate).decode(),
        issued_by=by,
    )


def _now() -> dt.datetime:
    # certificates know whole seconds only
    return timezone.now().replace(microsecond=0)


@contextlib.contextmanager
def _opened(directory: Path) -> Iterator[None]:
    """The folder for us alone, with what a crash left in it brought in line with the database first."""
    with files.opened(directory):
        files.recover(directory, _authority_files_known)
        files.recover(directory / "devices", _device_folder_known)
        yield


@contextlib.contextmanager
def _published(staged: Path) -> Iterator[None]:
    """The block writes the rows; its commit decides about the staged files."""
    try:
        with transaction.atomic():
            yield
    except BaseException:
        files.discard(staged)
        raise
    files.publish(staged)


def _authority_files_known(entry: Path) -> bool:
    # server.pem is the last of the files to be moved, so it is still there as long as any is
    return _certificate_known(entry.parent / "server.pem")


def _device_folder_known(entry: Path) -> bool:
    if (entry / "psk.key").is_file():
        try:
            identity, key = (entry / "psk.identity").read_text(), (entry / "psk.key").read_text()
        except (OSError, UnicodeError):
            return False
        return Credential.objects.filter(psk_identity=identity, psk_key=key).exists()
    return _certificate_known(entry / "cert.pem")


def _certificate_known(file: Path) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
    except (OSError, ValueError):
        return False
    return Certificate.objects.filter(sha256=ca.fingerprint(certificate)).exists()
