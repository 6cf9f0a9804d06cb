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
from tests.support.stack import Stack

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


def without(command: list[str], flag: str) -> list[str]:
    """The command line without a flag and its value."""
    at = command.index(flag)
    return command[:at] + command[at + 2 :]


def test_help(startable: Stack) -> None:
    """--help explains every flag."""
    result = subprocess.run(
        [*startable.leshan_command()[:7], "--help"], capture_output=True, text=True, timeout=30, check=False
    )
    assert result.returncode == 0
    for flag in FLAGS:
        assert flag in result.stdout, flag


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--nonsense"], "--nonsense"),
        (["--coaps-port", "many"], "--coaps-port"),
        (["--coaps-port", "70000"], "70000"),
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


def replaced(command: list[str], flag: str, value: Path) -> list[str]:
    """The command line with another value of a flag."""
    return [*without(command, flag), flag, str(value)]


def test_bad_files(startable: Stack, tmp_path: Path) -> None:
    """Missing, unreadable and mismatched keys and certificates."""
    command = startable.leshan_command()
    missing = tmp_path / "missing.pem"
    for flag in ("--cert", "--key", "--ca", "--token-file"):
        assert_does_not_start(startable, command=replaced(command, flag, missing), says=str(missing))
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("-----BEGIN NOTHING-----\nAAAA\n-----END NOTHING-----\n")
    for flag in ("--cert", "--key", "--ca"):
        assert_does_not_start(startable, command=replaced(command, flag, garbage), says=str(garbage))
    empty = tmp_path / "empty.token"
    empty.touch()
    assert_does_not_start(startable, command=replaced(command, "--token-file", empty), says=str(empty))

    authority = Authority.load(startable.certs)
    certificate, key = authority.issue("localhost", usage=SERVER).save(tmp_path / "other")
    assert_does_not_start(startable, command=replaced(command, "--key", key), says=str(key))
    assert_does_not_start(startable, command=replaced(command, "--cert", certificate), says="match")
    certificate, key = authority.issue("localhost", usage=SERVER, start=-9 * DAY, end=timedelta(seconds=-1)).save(
        tmp_path / "expired"
    )
    expired = replaced(replaced(command, "--cert", certificate), "--key", key)
    assert_does_not_start(startable, command=expired, says="expired")


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
    command = startable.leshan_command()
    for flag in ("--http-port", "--coaps-port", "--coap-port"):
        command = [*without(command, flag), flag, str(free_port())]
    assert_does_not_start(startable, command=command, says=str(startable.journal_folder))
    assert startable.processes["leshan"].returncode is None
