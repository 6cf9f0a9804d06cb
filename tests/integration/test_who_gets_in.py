"""Only provisioned devices with their own identity get in; every refusal says which device and why."""

import contextlib
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.integration.conftest import NewStack
from tests.support.certificates import DAY, SERVER, Authority, Identity
from tests.support.coap import OpenSslClient, register_plain
from tests.support.processes import has_ipv6
from tests.support.stack import FLEET_JAR, JAVA, Stack
from tests.support.waiting import wait_for

HOSTS = ("127.0.0.1", "::1") if has_ipv6() else ("127.0.0.1",)
each_host = pytest.mark.parametrize("host", HOSTS)
RPK_CLIENT = Path(__file__).parents[1] / "support" / "RawPublicKeyClient.java"


@pytest.fixture(scope="module")
def gate(new_stack: NewStack) -> Stack:
    """Leshan with X.509, PSK and plain CoAP, and sync, with some devices provisioned."""
    stack = new_stack(coap=True, hosts=HOSTS)
    stack.provision("good-1", "good-2", "good-3", "fleet-1", "expired-1", "early-1", "foreign-1", "suspicious-1")
    stack.provision("psk-1", "psk-2", "psk-3", psk=True)
    stack.start_leshan()
    stack.start_sync()
    # coaps opens with the first credential
    wait_for(lambda: len(stack.leshan("GET", "/api/security/clients").json()) == 11, what="sync brings the credentials")
    return stack


@pytest.fixture(scope="module", autouse=True)
def wrong_key(gate: Stack) -> Iterator[OpenSslClient]:
    """A client with a wrong key, begun early: the server waits half a minute for the end of its handshake."""
    identity, _ = psk(gate, "psk-3")
    with OpenSslClient.with_psk(
        "127.0.0.1", gate.coaps_port, identity, "00" * 16, ca=gate.certs / "ca.pem", log=gate.folder / "wrong-psk.log"
    ) as client:
        yield client


@pytest.fixture(autouse=True)
def paced(gate: Stack) -> None:
    """Leshan tells of at most five refusals a second: each test begins when there is room for its own."""

    def recent() -> int:
        events = [event.data for event in gate.journal() if event.name == "REFUSED"]
        return sum(time.time() - data["time"] / 1000 < 1.1 for data in events)

    wait_for(lambda: recent() < 3, what="fewer refusals")


@contextlib.contextmanager
def openssl(
    stack: Stack, certificate: Path, key: Path, *, host: str = "127.0.0.1", ca: Path | None = None
) -> Iterator[OpenSslClient]:
    """An OpenSSL client with this certificate."""
    log = stack.folder / f"openssl-{len(list(stack.folder.iterdir()))}.log"
    with OpenSslClient.with_certificate(
        host, stack.coaps_port, certificate, key, ca=ca or stack.certs / "ca.pem", log=log
    ) as client:
        yield client


def devices_certificate(stack: Stack, endpoint: str) -> tuple[Path, Path]:
    """The files that `scripts/certs device` made."""
    folder = stack.device_folder(endpoint)
    return folder / "cert.pem", folder / "key.pem"


def refusal(stack: Stack, *, port: int | None = None, **facts: str) -> dict[str, Any]:
    """The REFUSED event of the client with this UDP port, or with these facts."""

    def matches(data: dict[str, Any]) -> bool:
        return (port is None or str(data["peer"]).endswith(f":{port}")) and all(
            data.get(name) == value for name, value in facts.items()
        )

    event: dict[str, Any] = stack.wait_events("REFUSED", matches)[0].data
    return event


def assert_refused(stack: Stack, which: str, why: str, *, by: str = "server", **facts: Any) -> dict[str, Any]:
    """A REFUSED event, a log line and a line of history say which device was refused and why."""
    event = refusal(stack, **facts)
    assert event["by"] == by
    assert re.search(why, event["reason"], re.IGNORECASE), event
    lines = wait_for(
        lambda: [
            line
            for line in stack.processes["leshan"].lines("refused")
            if which in line and re.search(why, line, re.IGNORECASE) and event["peer"] in line
        ],
        what=lambda: f"the log says that {which} is refused ({why}):\n{stack.processes['leshan'].tail()}",
    )
    assert all("Exception" not in line for line in lines)
    wait_for(
        lambda: [text for text in stack.device_events("refused") if re.search(why, text, re.IGNORECASE)],
        what=lambda: f"the history says so: {stack.device_events('refused')}",
    )
    return event


# -- in


@each_host
def test_right_certificate(gate: Stack, host: str) -> None:
    """The simulated device, over IPv4 and IPv6."""
    gate.start_fleet(name="right", count=1, endpoint="fleet-{n}", host=host)
    gate.wait_online("fleet-1")
    client = gate.leshan("GET", gate.client_path("fleet-1")).json()
    assert client["secure"] is True
    assert client["address"].startswith(f"[{host}]" if ":" in host else host) or ":" in host, client
    gate.wait_more_samples("fleet-1")
    gate.processes["right"].stop()


@each_host
def test_openssl_right_certificate(gate: Stack, host: str) -> None:
    """A client that shares no code with us verifies our chain, connects and registers."""
    with openssl(gate, *devices_certificate(gate, "good-1"), host=host) as client:
        assert client.connected(), client.story()
        assert "Cipher is ECDHE-ECDSA" in client.story()
        assert client.register("good-1") == "2.01"
        gate.wait_registered("good-1")
        gate.wait_online("good-1")
        assert gate.leshan("GET", gate.client_path("good-1")).json()["secure"] is True


def test_right_psk(gate: Stack) -> None:
    """The simulated device and OpenSSL with a pre-shared key."""
    gate.start_fleet(name="right-psk", count=1, endpoint="psk-{n}", mode="psk")
    gate.wait_online("psk-1")
    gate.processes["right-psk"].stop()
    identity, key = psk(gate, "psk-2")
    with OpenSslClient.with_psk(
        "127.0.0.1", gate.coaps_port, identity, key, ca=gate.certs / "ca.pem", log=gate.folder / "psk.log"
    ) as client:
        assert client.connected(), client.story()
        assert client.register("psk-2") == "2.01"
        gate.wait_online("psk-2")


def psk(stack: Stack, endpoint: str) -> tuple[str, str]:
    """Identity and key (hex) that `scripts/certs device --psk` made."""
    folder = stack.device_folder(endpoint)
    return (folder / "psk.identity").read_text().strip(), (folder / "psk.key").read_text().strip()


# -- out: certificates


def refused_certificate(gate: Stack, identity: Identity, which: str, why: str, **facts: str) -> None:
    """OpenSSL with this certificate is refused in the handshake."""
    certificate, key = identity.save(gate.folder / f"bad-{identity.sha256[:8]}")
    with openssl(gate, certificate, key) as client:
        assert not client.connected(), client.story()
        assert "alert" in client.story()
        event = assert_refused(gate, which, why, port=client.port, **facts)
    assert event["sha256"] == identity.sha256
    assert which in event["subject"]
    assert gate.leshan("GET", gate.client_path(which)).status_code == 400


def test_other_ca(gate: Stack) -> None:
    """A certificate of another CA."""
    identity = Authority.new().issue("foreign-1")
    refused_certificate(gate, identity, "foreign-1", r"not (issued|signed) by|another CA|CA that|trust|unknown CA")
    event = refusal(gate, sha256=identity.sha256)
    assert "A foreign CA" in event["issuer"]


def test_expired(gate: Stack) -> None:
    """A certificate that was good until yesterday."""
    identity = Authority.load(gate.certs).issue("expired-1", start=-30 * DAY, end=-DAY)
    refused_certificate(gate, identity, "expired-1", "expired")
    event = refusal(gate, sha256=identity.sha256)
    assert event["notAfter"]


def test_not_yet_valid(gate: Stack) -> None:
    """A certificate that begins tomorrow."""
    identity = Authority.load(gate.certs).issue("early-1", start=DAY, end=30 * DAY)
    refused_certificate(gate, identity, "early-1", "not (yet )?valid (yet|before|until)|not yet valid")
    event = refusal(gate, sha256=identity.sha256)
    assert event["notBefore"]


def test_server_certificate_as_clients(gate: Stack) -> None:
    """A certificate of our CA that is for servers."""
    identity = Authority.load(gate.certs).issue("suspicious-1", usage=SERVER)
    refused_certificate(gate, identity, "suspicious-1", "clientAuth|client auth|extended key usage|for servers")


def test_our_own_server_certificate(gate: Stack) -> None:
    """The very certificate that the server shows."""
    with openssl(gate, gate.certs / "server.pem", gate.certs / "server.key.pem") as client:
        assert not client.connected(), client.story()
        assert_refused(gate, "", "clientAuth|client auth|extended key usage|for servers", port=client.port)


def refused_registration(gate: Stack, files: tuple[Path, Path], endpoint: str, why: str) -> dict[str, Any]:
    """OpenSSL connects with this certificate (or not even that), and may not register under this name."""
    with openssl(gate, *files) as client:
        if client.connected():
            assert client.register(endpoint) == "4.03"
        return assert_refused(gate, endpoint, why, port=client.port)


def test_other_common_name(gate: Stack) -> None:
    """A good certificate, but the name of another device, which is provisioned too."""
    event = refused_registration(gate, devices_certificate(gate, "good-2"), "good-3", "good-2")
    assert event["endpoint"] == "good-3"
    assert "good-3" not in gate.registered()


def test_not_provisioned(gate: Stack) -> None:
    """A good certificate of our CA for a name that nobody has provisioned."""
    identity = Authority.load(gate.certs).issue("unknown-1")
    files = identity.save(gate.folder / "unknown-1")
    refused_registration(gate, files, "unknown-1", "not provisioned|no credential|unknown")
    assert "unknown-1" not in gate.registered()


def test_other_certificate_of_the_same_name(gate: Stack) -> None:
    """Certificates can be pinned: one of the same name that is not among them is refused."""
    authority = Authority.load(gate.certs)
    right, wrong = authority.issue("pinned-1"), authority.issue("pinned-1")
    answer = gate.leshan(
        "PUT",
        "/api/security/clients",
        json={"endpoint": "pinned-1", "tls": {"mode": "x509", "certificates": [right.sha256]}},
    )
    assert answer.status_code in {200, 204}, answer.text
    refused_certificate(gate, wrong, "pinned-1", "one of this endpoint's")
    with openssl(gate, *right.save(gate.folder / "pinned-1")) as client:
        assert client.connected(), client.story()
        assert client.register("pinned-1") == "2.01"


def test_no_certificate(gate: Stack) -> None:
    """A client without any."""
    log = gate.folder / "nothing.log"
    with OpenSslClient("127.0.0.1", gate.coaps_port, ca=gate.certs / "ca.pem", log=log) as client:
        assert not client.connected(), client.story()
        assert_refused(gate, "", "certificate", port=client.port)


def test_simulated_device_of_another_ca(gate: Stack) -> None:
    """The simulated device is refused as well, says why, and does not give up."""
    credentials = gate.folder / "foreign-devices"
    Authority.new().issue("foreign-1").save_device(credentials, "foreign-1", gate.certs / "ca.pem")
    log = gate.processes["leshan"]
    before = len(log.lines("refused .*foreign-1.*another CA"))
    fleet = gate.start_fleet(name="foreign", count=1, endpoint="foreign-{n}", credentials=credentials)
    fleet.wait_for_line("(?i)foreign-1.*refused|refused.*foreign-1")
    assert len(log.lines("refused .*foreign-1.*another CA")) > before
    assert fleet.returncode is None
    fleet.stop()
    assert "foreign-1" not in gate.registered()


def test_server_of_another_ca(gate: Stack) -> None:
    """A device that does not trust our certificate: the server says that it was the device that refused."""
    foreign = gate.folder / "foreign-ca.pem"
    foreign.write_bytes(Authority.new().identity.pem)
    with openssl(gate, *devices_certificate(gate, "good-1"), ca=foreign) as client:
        assert not client.connected(), client.story()
        assert "verify error" in client.story()
        assert_refused(gate, "", "server's certificate|our certificate|rejects", by="device", port=client.port)


# -- out: keys, plain CoAP, raw public keys


def write_psk(credentials: Path, endpoint: str, identity: str, key: str) -> None:
    """What a simulated device reads."""
    folder = credentials / endpoint
    folder.mkdir(parents=True)
    (folder / "psk.identity").write_text(identity)
    (folder / "psk.key").write_text(key)


def test_unknown_psk_identity(gate: Stack) -> None:
    """An identity that no device has; the simulated device stays out."""
    credentials = gate.folder / "unknown-psk"
    write_psk(credentials, "stranger-1", "who-am-i", "0f" * 16)
    fleet = gate.start_fleet(name="stranger", count=1, endpoint="stranger-{n}", mode="psk", credentials=credentials)
    event = assert_refused(gate, "who-am-i", "identity", identity="who-am-i")
    assert event["reason"]
    fleet.wait_for_line("(?i)stranger-1.*(refused|timeout|lost)|(refused|timeout|lost).*stranger-1")
    fleet.stop()
    assert "stranger-1" not in gate.registered()


def test_psk_of_another_device(gate: Stack) -> None:
    """A right key, but another device's name."""
    identity, key = psk(gate, "psk-1")
    with OpenSslClient.with_psk(
        "127.0.0.1", gate.coaps_port, identity, key, ca=gate.certs / "ca.pem", log=gate.folder / "other-psk.log"
    ) as client:
        assert client.connected(), client.story()
        assert client.register("psk-3") == "4.03"
        event = assert_refused(gate, "psk-3", "PSK identity belongs to another endpoint", port=client.port)
        assert event["identity"] == identity
    assert "psk-3" not in gate.registered()


@each_host
@pytest.mark.parametrize("endpoint", ["good-3", "nobody-1"])
def test_plain_coap(gate: Stack, host: str, endpoint: str) -> None:
    """Without DTLS neither a provisioned nor an unknown name gets in."""
    assert gate.coap_port is not None
    code, port = register_plain(endpoint, gate.coap_port, host=host)
    assert code == "4.03"
    event = assert_refused(gate, endpoint, "plain|not provisioned|without DTLS|DTLS", port=port)
    assert event["endpoint"] == endpoint
    assert endpoint not in gate.registered()


def test_simulated_device_over_plain_coap(gate: Stack) -> None:
    """The simulated device hears it as well."""
    fleet = gate.start_fleet(name="plain", count=1, endpoint="plain-{n}", mode="nosec")
    fleet.wait_for_line("(?i)plain-1.*refused|refused.*plain-1")
    fleet.stop()
    assert_refused(gate, "plain-1", "plain|not provisioned|without DTLS|DTLS", endpoint="plain-1")


@each_host
def test_raw_public_key(gate: Stack, host: str) -> None:
    """A raw public key is no identity here."""
    libraries = FLEET_JAR.parent / "lib" / "*"
    result = subprocess.run(
        [*JAVA, "-cp", str(libraries), str(RPK_CLIENT), host, str(gate.coaps_port)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    outcome = re.search(r"^outcome (\d+) (.*)$", result.stdout, re.MULTILINE)
    assert outcome is not None, result.stdout + result.stderr
    assert outcome[2].startswith("refused"), outcome[2]
    assert_refused(gate, "", "raw public key", port=int(outcome[1]))


def test_wrong_psk(gate: Stack, wrong_key: OpenSslClient) -> None:
    """A known identity with a wrong key: nobody can tell more than that the handshake was never finished."""
    identity, _ = psk(gate, "psk-3")
    event = assert_refused(gate, identity, "key", port=wrong_key.port)
    assert event["identity"] == identity
    assert "Verify return code: 0 (ok)" not in wrong_key.story()
    assert "psk-3" not in gate.registered()


# -- the laboratory


def test_lab(new_stack: NewStack) -> None:
    """`--lab` admits unknown names over plain CoAP and drops the token, and says so loudly."""
    stack = new_stack(lab=True)
    leshan = stack.start_leshan()
    assert leshan.lines(r"warn.*lab")
    assert stack.coap_port is not None
    code, _ = register_plain("anybody", stack.coap_port)
    assert code == "2.01"
    clients = requests.get(f"{stack.leshan_url}/api/clients", timeout=10)
    assert [client["endpoint"] for client in clients.json()] == ["anybody"]
