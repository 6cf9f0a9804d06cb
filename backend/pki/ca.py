"""The certificate authority: X.509 certificates made with `cryptography`. No database, no files.

P-256 keys and ECDSA with SHA-256 throughout: what constrained devices speak (LwM2M Transport 1.1, 5.2.8).
The CA signs end certificates directly: one certificate in each direction of a handshake.
"""

import datetime as dt
import ipaddress
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from backend.pki.errors import BadNameError, NoAuthorityError

# A device in the field outlives a server certificate, and the CA outlives both.
CA_DAYS = 20 * 365
SERVER_DAYS = 825
DEVICE_DAYS = 10 * 365
# A device whose clock is behind must not find a certificate "not yet valid".
BACKDATED = dt.timedelta(days=1)
# RFC 5280, appendix A.1: ub-common-name
COMMON_NAME_MAX = 64
ALWAYS_NAMED = ("localhost", "127.0.0.1", "::1")

HOST_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.IGNORECASE)

Host = str


@dataclass(frozen=True)
class Issued:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def sha256(self) -> str:
        """The certificate's fingerprint: SHA-256 of the DER, lower-case hex."""
        return fingerprint(self.certificate)


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the DER, lower-case hex."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def common_name(certificate: x509.Certificate) -> str:
    """The subject's CN."""
    with warnings.catch_warnings():
        # as in _common_name
        warnings.simplefilter("ignore")
        (name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(name.value)


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """PEM text."""
    return certificate.public_bytes(Encoding.PEM)


def certificate_der(certificate: x509.Certificate) -> bytes:
    """DER bytes."""
    return certificate.public_bytes(Encoding.DER)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """PKCS#8 in PEM, not encrypted: the file's mode protects it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def key_der(key: ec.EllipticCurvePrivateKey) -> bytes:
    """PKCS#8 in DER, not encrypted."""
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def authority_load(*, certificate: bytes, key: bytes) -> Issued:
    """The CA from its PEM texts. Raises NoAuthorityError where they are unreadable or do not belong together."""
    try:
        loaded = x509.load_pem_x509_certificate(certificate)
        private = load_pem_private_key(key, password=None)
    except (ValueError, TypeError) as error:
        raise NoAuthorityError(f"the CA's files cannot be read ({error}): restore them from a backup") from error
    if not isinstance(private, ec.EllipticCurvePrivateKey) or private.public_key() != loaded.public_key():
        raise NoAuthorityError("ca.key.pem is not the key of ca.pem: restore both from the same backup")
    return Issued(loaded, private)


def authority_create(*, now: dt.datetime) -> Issued:
    """A new self-signed CA. Its name carries a part of its key's hash: two CAs are told apart in every log line."""
    key = ec.generate_private_key(ec.SECP256R1())
    ski = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    name = x509.Name([_common_name(f"FlowNexus CA {ski.digest.hex()[:8]}")])
    builder = (
        _builder(subject=name, issuer=name, key=key.public_key(), now=now, days=CA_DAYS)
        # no CA below this one: a stolen device certificate can never sign another
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(sign_certificates=True), critical=True)
        .add_extension(ski, critical=False)
    )
    return Issued(builder.sign(key, hashes.SHA256()), key)


def server_certificate(
    authority: Issued, *, hosts: Iterable[Host], now: dt.datetime, key: ec.EllipticCurvePrivateKey | None = None
) -> Issued:
    """A certificate for the server side (EKU serverAuth) naming `hosts` and always localhost, 127.0.0.1 and ::1.

    `key` keeps an earlier certificate's key. Raises BadNameError on a host that is neither a DNS name nor an address.
    """
    names = host_list([*ALWAYS_NAMED, *hosts])
    return _end_certificate(
        authority,
        common_name="FlowNexus server",
        usage=ExtendedKeyUsageOID.SERVER_AUTH,
        days=SERVER_DAYS,
        now=now,
        names=x509.SubjectAlternativeName([_general_name(name) for name in names]),
        key=key,
    )


def device_certificate(authority: Issued, *, endpoint: str, now: dt.datetime) -> Issued:
    """A certificate for one device (EKU clientAuth); its CN is the endpoint name, which is what Leshan compares.

    Raises BadNameError where the name does not fit into a CN.
    """
    if len(endpoint) > COMMON_NAME_MAX:
        raise BadNameError(
            f"{endpoint!r} has {len(endpoint)} characters: an X.509 endpoint has at most {COMMON_NAME_MAX} "
            "(it is the certificate's common name); shorten it or use --psk"
        )
    return _end_certificate(
        authority, common_name=endpoint, usage=ExtendedKeyUsageOID.CLIENT_AUTH, days=DEVICE_DAYS, now=now
    )


def host_list(hosts: Iterable[Host]) -> list[Host]:
    """The hosts in canonical form (addresses normalised, names as lower-case A-labels), each once, in order.

    Raises BadNameError on anything that is neither a DNS name nor an IP address.
    """
    return list(dict.fromkeys(_canonical_host(host) for host in hosts))


def certificate_hosts(certificate: x509.Certificate) -> list[Host]:
    """The hosts that a server certificate names."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [
        *names.get_values_for_type(x509.DNSName),
        *(str(address) for address in names.get_values_for_type(x509.IPAddress)),
    ]


def _canonical_host(host: str) -> Host:
    text = host.strip()
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        pass
    try:
        name = text.rstrip(".").encode("idna").decode().lower()
    except UnicodeError:
        name = ""
    labels = name.split(".")
    # a last label of digits only is a mistyped address, never a name (RFC 3696, 2)
    if not name or len(name) > 253 or not all(map(HOST_LABEL.fullmatch, labels)) or labels[-1].isdigit():
        raise BadNameError(f"{host!r} is neither a host name nor an IP address: say it without scheme and port")
    return name


def _general_name(host: Host) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _common_name(text: str) -> x509.NameAttribute[str]:
    with warnings.catch_warnings():
        # The library counts bytes, the standard characters; callers have counted.
        warnings.simplefilter("ignore")
        return x509.NameAttribute(NameOID.COMMON_NAME, text, _validate=False)


def _builder(
    *, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: dt.datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + dt.timedelta(days=days))
    )


def _end_certificate(
    authority: Issued,
    *,
    common_name: str,
    usage: x509.ObjectIdentifier,
    days: int,
    now: dt.datetime,
    names: x509.SubjectAlternativeName | None = None,
    key: ec.EllipticCurvePrivateKey | None = None,
) -> Issued:
    ca = authority.certificate
    remaining = (ca.not_valid_after_utc - now).days
    if remaining <= 0:
        raise NoAuthorityError(f"the CA expired on {ca.not_valid_after_utc:%Y-%m-%d}: it cannot sign any more")
    key = key or ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(
            subject=x509.Name([_common_name(common_name)]),
            issuer=ca.subject,
            key=key.public_key(),
            now=now,
            # nothing outlives the CA that signed it
            days=min(days, remaining),
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
                ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
            ),
            critical=False,
        )
    )
    if names is not None:
        builder = builder.add_extension(names, critical=False)
    return Issued(builder.sign(authority.key, hashes.SHA256()), key)


def _key_usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def hosts_missing(certificate: x509.Certificate, hosts: Sequence[Host]) -> list[Host]:
    """Those of `hosts` that the certificate does not name. Raises BadNameError like `host_list`."""
    named = set(certificate_hosts(certificate))
    return [host for host in host_list(hosts) if host not in named]
