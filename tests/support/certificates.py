"""Certificates that `scripts/certs` would never issue, for clients that must not get in."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

DAY = timedelta(days=1)
CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
SERVER = ExtendedKeyUsageOID.SERVER_AUTH


@dataclass(frozen=True)
class Identity:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        """The certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The private key as PKCS#8 PEM."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def sha256(self) -> str:
        """The fingerprint, lower-case hex."""
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    def save(self, folder: Path) -> tuple[Path, Path]:
        """Writes `cert.pem` and `key.pem` into the folder; returns their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        certificate, key = folder / "cert.pem", folder / "key.pem"
        certificate.write_bytes(self.pem)
        key.write_bytes(self.key_pem)
        return certificate, key

    def save_device(self, devices: Path, endpoint: str, ca: Path) -> Path:
        """Writes what a simulated device reads: `devices/<percent-encoded endpoint>/{cert,key,ca}.pem`."""
        folder = devices / quote(endpoint, safe="")
        self.save(folder)
        (folder / "ca.pem").write_bytes(ca.read_bytes())
        return folder


class Authority:
    """A CA: a new one, or one read from the files of the PKI."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity

    @classmethod
    def new(cls, name: str = "A foreign CA") -> "Authority":
        """Makes one."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        certificate = (
            _builder(subject, subject, key, now - DAY, now + 365 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(certificates=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(Identity(certificate, key))

    @classmethod
    def load(cls, certs: Path) -> "Authority":
        """Reads `ca.pem` and `ca.key.pem`."""
        key = serialization.load_pem_private_key((certs / "ca.key.pem").read_bytes(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return cls(Identity(x509.load_pem_x509_certificate((certs / "ca.pem").read_bytes()), key))

    def issue(
        self,
        common_name: str,
        *,
        usage: ObjectIdentifier = CLIENT,
        start: timedelta = -DAY,
        end: timedelta = 30 * DAY,
    ) -> Identity:
        """A leaf certificate; `start` and `end` are relative to now."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = self.identity.certificate
        now = datetime.now(UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        certificate = (
            _builder(subject, issuer.subject, key, now + start, now + end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.identity.key.public_key()), critical=False
            )
            .sign(self.identity.key, hashes.SHA256())
        )
        return Identity(certificate, key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=certificates,
        encipher_only=False,
        decipher_only=False,
    )
