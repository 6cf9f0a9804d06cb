"""What keeps Leshan from starting is said in one clear line."""

import contextlib
import socket
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from tests.integration.conftest import NewStack
from tests.support.certificates import DAY, SERVER, Authority
from tests.support.processes import free_port
from tests.support.stack import JAVA, SERVER_JAR, Stack, without

FLAGS = [
    "--data", "--coaps-port", "--coaps-host", "--coap-port", "--coap-host", "--http-host", "--http-port",
    "--token-file", "--cert", "--key", "--ca", "--models", "--journal-size", "--awake-seconds", "--lab", "--log-level",
]  # fmt: skip


@pytest.fixture(scope="module")
def startable(new_stack: NewStack) -> Stack:
    """A server that has a credential, so that it opens all its ports at once; not running."""
    stack = new_stack(coap=True)
    leshan = stack.start_leshan()
    answer = stack.leshan("PUT", "/api/security/clients", json={"endpoint": "one", "tls": {"mode": "x509"}})
    assert answer.status_code in {200, 204}
    assert leshan.stop(5) == 0
    return stack


def assert_does_not_start(stack: Stack, *extra: str, says: str, command: list[str] | None = None) -> None:
    """Ends soon with an error code and one line on stderr that names the thing."""
    result = subprocess.run(
        command or stack.leshan_command(*extra), capture_output=True, text=True, timeout=30, check=False, env=stack.env
    )
    assert result.returncode > 0, result
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert says in lines[0], lines[0]
    assert "ready:" not in result.stdout
    assert "\tat " not in result.stdout + result.stderr


def test_help(startable: Stack) -> None:
    """--help explains every flag."""
    result = subprocess.run(
        [*JAVA, "-jar", str(SERVER_JAR), "--help"], capture_output=True, text=True, timeout=30, check=False
    )
    assert result.returncode == 0
    for flag in FLAGS:
        assert flag in result.stdout, flag


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--nonsense"], "--nonsense"),
        (["--coaps-port", "many"], "--coaps-port"),
        (["--coaps-port", "70000"], "--coaps-port must be between 0 and 65535"),
        (["--journal-size", "-1"], "--journal-size"),
        (["--coaps-host", "no.such.host.invalid"], "no.such.host.invalid"),
        (["--log-level", "chatty"], "chatty"),
        (["stray"], "stray"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_flags(startable: Stack, flags: list[str], says: str) -> None:
    """Named in one line."""
    assert_does_not_start(startable, *flags, says=says)


@pytest.mark.parametrize("flag", ["--data", "--token-file"])
def test_missing_flags(startable: Stack, flag: str) -> None:
    """What is required is named."""
    assert_does_not_start(startable, command=without(startable.leshan_command(), flag), says=flag)


def test_lab_needs_a_token_beyond_loopback(startable: Stack) -> None:
    """Not even the laboratory is open to the network."""
    command = without(startable.leshan_command("--lab", "--http-host", "0.0.0.0"), "--token-file")
    assert_does_not_start(startable, command=command, says="--token-file")


def test_bad_files(startable: Stack, tmp_path: Path) -> None:
    """Missing, unreadable and mismatched keys and certificates."""
    missing = str(tmp_path / "missing.pem")
    for flag in ("--cert", "--key", "--ca", "--token-file"):
        assert_does_not_start(startable, flag, missing, says=missing)
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("-----BEGIN NOTHING-----\nAAAA\n-----END NOTHING-----\n")
    for flag in ("--cert", "--key", "--ca"):
        assert_does_not_start(startable, flag, str(garbage), says=str(garbage))
    empty = tmp_path / "empty.token"
    empty.touch()
    assert_does_not_start(startable, "--token-file", str(empty), says=str(empty))

    authority = Authority.load(startable.certs)
    certificate, key = authority.issue("localhost", usage=SERVER).save(tmp_path / "other")
    assert_does_not_start(startable, "--key", str(key), says=f"{key} is not the key of the certificate")
    assert_does_not_start(startable, "--cert", str(certificate), says="is not the key of the certificate")
    certificate, key = authority.issue("localhost", usage=SERVER, start=-9 * DAY, end=timedelta(seconds=-1)).save(
        tmp_path / "expired"
    )
    assert_does_not_start(startable, "--cert", str(certificate), "--key", str(key), says="expired")
    certificate, key = authority.issue("localhost").save(tmp_path / "clients")
    assert_does_not_start(startable, "--cert", str(certificate), "--key", str(key), says="serverAuth")


def test_busy_ports(startable: Stack) -> None:
    """Each of the three ports."""
    for flag, kind in (
        ("--http-port", socket.SOCK_STREAM),
        ("--coaps-port", socket.SOCK_DGRAM),
        ("--coap-port", socket.SOCK_DGRAM),
    ):
        port = free_port()
        with contextlib.closing(socket.socket(socket.AF_INET, kind)) as other:
            other.bind(("127.0.0.1", port))
            if kind == socket.SOCK_STREAM:
                other.listen()
            assert_does_not_start(startable, flag, str(port), says=str(port))


def test_data_folder_in_use(startable: Stack) -> None:
    """Two servers on one journal would destroy it."""
    startable.start_leshan()
    others = [text for flag in ("--http-port", "--coaps-port", "--coap-port") for text in (flag, str(free_port()))]
    assert_does_not_start(startable, *others, says=str(startable.journal_folder))
    assert startable.processes["leshan"].returncode is None
