"""Certificates are right, nothing is overwritten, and rows and files come together."""

import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store
from django.db import DatabaseError
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from backend.devices.models import Device
from backend.pki import ca, files, selectors, services
from backend.pki.errors import AlreadyThereError, BadNameError, NoAuthorityError
from backend.pki.models import Certificate, Credential

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def load(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(folder: Path) -> set[str]:
    """Everything below a folder but the lock."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")} - {".lock"}


def usage(certificate: x509.Certificate) -> list[x509.ObjectIdentifier]:
    return list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


# -- the CA and the server


def test_init_makes_a_ca_and_a_server_certificate(certs: Path) -> None:
    services.authority_create(hosts=["192.168.1.5", "Flow.Example", "2001:DB8::1"])

    authority, server = load(certs / "ca.pem"), load(certs / "server.pem")
    constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=True, path_length=0)
    key_usage = authority.extensions.get_extension_for_class(x509.KeyUsage)
    assert key_usage.critical
    assert key_usage.value.key_cert_sign
    assert not key_usage.value.digital_signature
    assert isinstance(authority.public_key(), ec.EllipticCurvePublicKey)

    assert usage(server) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert ca.certificate_hosts(server) == [
        "localhost", "flow.example", "127.0.0.1", "::1", "192.168.1.5", "2001:db8::1",
    ]  # fmt: skip
    server.verify_directly_issued_by(authority)
    subject_key = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    authority_key = server.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert authority_key.key_identifier == subject_key.digest
    assert server.not_valid_before_utc < timezone.now() - ca.BACKDATED + timezone.timedelta(minutes=1)
    assert server.not_valid_after_utc <= authority.not_valid_after_utc

    verifier = PolicyBuilder().store(Store([authority])).build_server_verifier(x509.DNSName("flow.example"))
    verifier.verify(server, [])


def test_init_keeps_keys_to_the_owner(certs: Path) -> None:
    services.authority_create()
    services.device_credentials_create(endpoints=["a"])
    services.device_credentials_create(endpoints=["b"], psk=True)
    folders = [certs, certs / "devices", certs / "devices" / "a", certs / "devices" / "b"]
    assert {mode(folder) for folder in folders} == {0o700}
    keys = ["ca.key.pem", "server.key.pem", "devices/a/key.pem", "devices/a/key.der", "devices/b/psk.key"]
    assert {mode(certs / key) for key in keys} == {0o600}


def test_init_leaves_rows(certs: Path) -> None:
    authority, server = services.authority_create()
    assert Certificate.objects.count() == 2
    assert authority.issuer_sha256 == authority.sha256 == server.issuer_sha256
    stored = Certificate.objects.get(kind=Certificate.Kind.SERVER)
    on_disk = load(certs / "server.pem")
    assert stored.sha256 == ca.fingerprint(on_disk)
    assert int(stored.serial_number, 16) == on_disk.serial_number
    assert stored.not_after == on_disk.not_valid_after_utc
    assert stored.pem.encode() == (certs / "server.pem").read_bytes()


def test_init_refuses_to_overwrite(certs: Path) -> None:
    services.authority_create()
    before = {name: (certs / name).read_bytes() for name in names(certs) if (certs / name).is_file()}
    with pytest.raises(AlreadyThereError, match=r"ca\.key\.pem is already there"):
        services.authority_create()
    assert before == {name: (certs / name).read_bytes() for name in names(certs) if (certs / name).is_file()}
    assert Certificate.objects.count() == 2


@pytest.mark.parametrize(
    "host", ["", "a b", "http://x", "x:8000", "-x.org", "x..y", "256.1.1.1", "*.example", "a" * 64]
)
def test_init_refuses_a_host_that_is_none(certs: Path, host: str) -> None:
    with pytest.raises(BadNameError, match="neither a host name nor an IP address"):
        services.authority_create(hosts=[host])
    assert not names(certs) - {"devices"}
    assert not Certificate.objects.exists()


def test_server_certificate_gets_more_names_and_keeps_its_key(certs: Path) -> None:
    services.authority_create(hosts=["one.example"])
    key, before = (certs / "server.key.pem").read_bytes(), load(certs / "server.pem")
    assert services.server_certificate_ensure(hosts=["one.example", "127.0.0.1"]) is None
    made = services.server_certificate_ensure(hosts=["two.example"])
    assert made is not None
    after = load(certs / "server.pem")
    assert {"one.example", "two.example", "localhost"} <= set(ca.certificate_hosts(after))
    assert (certs / "server.key.pem").read_bytes() == key
    assert after.public_key() == before.public_key()
    assert (certs / "server.der").read_bytes() == ca.certificate_der(after)
    assert Certificate.objects.filter(kind=Certificate.Kind.SERVER).count() == 2


def test_a_ca_whose_key_is_another_ones_is_refused(certs: Path, tmp_path: Path) -> None:
    services.authority_create()
    services.authority_create(directory=tmp_path / "other")
    (certs / "ca.key.pem").write_bytes((tmp_path / "other" / "ca.key.pem").read_bytes())
    with pytest.raises(NoAuthorityError, match="not the key of"):
        services.device_credentials_create(endpoints=["a"])


# -- devices


def test_device_gets_a_certificate_and_may_connect(certs: Path) -> None:
    services.authority_create()
    (made,) = services.device_credentials_create(endpoints=["sim-1"])
    assert made.folder == certs / "devices" / "sim-1"
    certificate = load(made.folder / "cert.pem")
    assert ca.common_name(certificate) == "sim-1"
    assert usage(certificate) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate.verify_directly_issued_by(load(made.folder / "ca.pem"))
    key = load_pem_private_key((made.folder / "key.pem").read_bytes(), None)
    assert key.public_key() == certificate.public_key()
    assert load_der_private_key((made.folder / "key.der").read_bytes(), None).public_key() == certificate.public_key()
    assert (made.folder / "cert.der").read_bytes() == ca.certificate_der(certificate)
    assert (made.folder / "ca.der").read_bytes() == (certs / "ca.der").read_bytes()

    device = Device.objects.get(endpoint="sim-1")
    assert device.status == "never_seen"
    assert device.credential.mode == Credential.Mode.X509
    assert [row.sha256 for row in device.certificates.all()] == [ca.fingerprint(certificate)]


def test_device_gets_a_pre_shared_key(certs: Path) -> None:
    (made,) = services.device_credentials_create(endpoints=["meter 7"], psk=True)
    assert names(made.folder) == {"psk.identity", "psk.key"}
    credential = Credential.objects.get(device__endpoint="meter 7")
    assert (made.folder / "psk.identity").read_text() == credential.psk_identity == "meter 7"
    assert (made.folder / "psk.key").read_text() == credential.psk_key
    assert len(bytes.fromhex(credential.psk_key)) == services.PSK_BYTES


@pytest.mark.parametrize(
    ("endpoint", "folder"),
    [
        ("urn:imei:1", "urn%3Aimei%3A1"),
        ('a/b "c" d', "a%2Fb%20%22c%22%20d"),
        ("...", "..."),
        ("é日", "%C3%A9%E6%97%A5"),
        ("-x", "-x"),
        ("%2E", "%252E"),
        ("日" * 28, "%E6%97%A5" * 28),
    ],
)
def test_folder_names(certs: Path, endpoint: str, folder: str) -> None:
    services.authority_create()
    (made,) = services.device_credentials_create(endpoints=[endpoint])
    assert made.folder == certs / "devices" / folder
    assert ca.common_name(load(made.folder / "cert.pem")) == endpoint


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        ("", "1 to 255 characters"),
        ("x" * 65, "at most 64"),
        ("x" * 256, "1 to 255 characters"),
        ("a\nb", "control characters"),
        (".", "part of an address"),
        ("..", "part of an address"),
        ("a\udcffb", "control characters or is not UTF-8"),
        ("日" * 40, "too long for a folder name"),
    ],
)
def test_names_that_cannot_be(certs: Path, endpoint: str, message: str) -> None:
    services.authority_create()
    with pytest.raises(BadNameError, match=message):
        services.device_credentials_create(endpoints=["fine", endpoint])
    assert not Device.objects.exists()
    assert not names(certs / "devices")


def test_64_characters_are_enough_for_any_script(certs: Path) -> None:
    services.authority_create()
    services.device_credentials_create(endpoints=["x" * 64, "é" * 42])
    assert Credential.objects.count() == 2


def test_psk_identity_is_bounded(certs: Path) -> None:
    with pytest.raises(BadNameError, match="at most 128"):
        services.device_credentials_create(endpoints=["x" * 129], psk=True)
    services.device_credentials_create(endpoints=["x" * 128], psk=True)


def test_device_refuses_to_overwrite_and_makes_nothing_then(certs: Path) -> None:
    services.authority_create()
    services.device_credentials_create(endpoints=["a"])
    before = (certs / "devices" / "a" / "key.pem").read_bytes()
    with pytest.raises(AlreadyThereError, match="'a' has a credential already"):
        services.device_credentials_create(endpoints=["b", "a"])
    with pytest.raises(AlreadyThereError):
        services.device_credentials_create(endpoints=["a"], psk=True)
    assert (certs / "devices" / "a" / "key.pem").read_bytes() == before
    assert list(Device.objects.values_list("endpoint", flat=True)) == ["a"]
    made = services.device_credentials_create(endpoints=["b", "a", "b"], keep_existing=True)
    assert [one.endpoint for one in made] == ["b"]


def test_a_credential_without_files_is_not_replaced(certs: Path) -> None:
    services.device_credentials_create(endpoints=["a"], psk=True)
    for file in (certs / "devices" / "a").iterdir():
        file.unlink()
    (certs / "devices" / "a").rmdir()
    with pytest.raises(AlreadyThereError, match="in the database"):
        services.device_credentials_create(endpoints=["a"], psk=True)


def test_device_needs_a_ca(certs: Path) -> None:
    with pytest.raises(NoAuthorityError, match="scripts/certs init"):
        services.device_credentials_create(endpoints=["a"])
    assert not Device.objects.exists()


def test_a_known_device_keeps_its_row(certs: Path) -> None:
    device = Device.objects.create(endpoint="a", model="M1")
    services.device_credentials_create(endpoints=["a"], psk=True)
    assert Credential.objects.get().device == device


# -- rows and files together


def fail(*args: object, **options: object) -> None:
    raise DatabaseError("the disk is full")


def test_no_file_without_a_row(certs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    services.authority_create()
    with monkeypatch.context() as patch:
        patch.setattr(Credential.objects, "bulk_create", fail)
        with pytest.raises(DatabaseError):
            services.device_credentials_create(endpoints=["a", "b"])
    assert not names(certs / "devices")
    assert not Device.objects.exists()


class Killed(BaseException):
    """As if the process had been killed here."""


def die(*args: object) -> None:
    raise Killed


def test_a_crash_after_the_commit_is_repaired(certs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for made in (
        lambda: services.authority_create(),
        lambda: services.device_credentials_create(endpoints=["a", "b"]),
        lambda: services.device_credentials_create(endpoints=["p"], psk=True),
        lambda: services.server_certificate_ensure(hosts=["new.example"]),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(files, "publish", die)
            with pytest.raises(Killed):
                made()
        # the next call of any kind finds it
        services.device_credentials_create(endpoints=[], keep_existing=True)
    assert {"ca.pem", "ca.key.pem", "server.pem", "server.key.pem"} <= names(certs)
    assert set((certs / "devices").iterdir()) == {certs / "devices" / name for name in "abp"}
    assert "new.example" in ca.certificate_hosts(load(certs / "server.pem"))
    assert not list(certs.rglob(f"{files.STAGING}*"))


def test_a_crash_amid_the_moving_is_repaired(certs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[Path] = []
    replace = Path.replace

    def die_at_third(self: Path, target: Path) -> Path:
        moved.append(self)
        if len(moved) == 3:
            raise Killed
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", die_at_third)
        with pytest.raises(Killed):
            services.authority_create()
    services.device_credentials_create(endpoints=["a"])
    assert load(certs / "server.pem").issuer == load(certs / "ca.pem").subject


def test_a_crash_before_the_commit_leaves_nothing(certs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    services.authority_create()
    with monkeypatch.context() as patch:
        patch.setattr(Credential.objects, "bulk_create", die)
        patch.setattr(files, "discard", lambda staging: None)
        with pytest.raises(Killed):
            services.device_credentials_create(endpoints=["a"])
    assert list((certs / "devices").glob(f"{files.STAGING}*"))
    (made,) = services.device_credentials_create(endpoints=["a"])
    assert set((certs / "devices").iterdir()) == {made.folder}
    assert Certificate.objects.filter(sha256=ca.fingerprint(load(made.folder / "cert.pem"))).exists()


# -- reads


def test_credential_list_is_what_leshan_must_know(
    certs: Path, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    services.authority_create()
    services.device_credentials_create(endpoints=["a", "b", "c"])
    services.device_credentials_create(endpoints=["p"], psk=True)
    Certificate.objects.filter(device__endpoint="b").update(revoked_at=timezone.now())
    Certificate.objects.filter(device__endpoint="c").update(not_after=timezone.now())
    with django_assert_num_queries(2):
        entries = list(selectors.credential_list())
    assert [entry.endpoint for entry in entries] == ["a", "b", "c", "p"]
    assert [len(entry.certificates) for entry in entries] == [1, 0, 0, 0]
    assert entries[3].mode == Credential.Mode.PSK
    assert entries[3].psk_identity == "p"
    assert entries[3].psk_key == Credential.objects.get(device__endpoint="p").psk_key
    assert [entry.endpoint for entry in selectors.credential_list(endpoints=["c", "nobody"])] == ["c"]
