"""The device's side of the log format, in C: its own tests under sanitizers, and its messages read by ours."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from backend.logs.format import LogEntry, LogMessage, parse, readable

ROOT = Path(__file__).resolve().parents[3]
ZEPHYR = ROOT / "zephyr"
SOURCES = ("tests/host/test_logs.c", "src/log_ring.c", "src/log_message.c")
CHECKS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Werror")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C tests, compiled for this machine."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler (gcc); scripts/test installs one or says so")
    path = tmp_path_factory.mktemp("c") / "test_logs"
    command = [compiler, "-std=c99", "-g", "-O1", *CHECKS, *WARNINGS, f"-I{ZEPHYR / 'src'}"]
    command += [*(str(ZEPHYR / source) for source in SOURCES), "-o", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return path


def test_ring_and_messages_against_a_model(program: Path) -> None:
    done = subprocess.run([program], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "701 random runs\n"


def test_the_example_of_the_documentation(program: Path) -> None:
    text = (ROOT / "docs" / "device-logs.md").read_text()
    example = re.search(r"### Example\n.*?\n((?: {4}[0-9a-f ]+\n)+)", text, re.DOTALL)
    assert example is not None
    assert subprocess.check_output([program, "golden"], timeout=60).hex() == re.sub(r"\s", "", example[1])


@pytest.mark.parametrize("seed", range(1, 21))
def test_messages_are_read_as_they_were_meant(program: Path, seed: int) -> None:
    done = subprocess.run([program, "sample", str(seed)], capture_output=True, check=True, timeout=60)
    header, *lines = done.stderr.decode().splitlines()
    first, lost, uptime, count = map(int, header.split())
    message = parse(done.stdout)
    entries = [line.split(" ") for line in lines]
    expected = [
        LogEntry(int(time), int(severity), bytes.fromhex(module).decode(), readable(bytes.fromhex(words)))
        for time, severity, module, words in entries
    ]
    assert len(expected) == count
    cut = message.lines[-1:] if count == 1 and message.lines[0].text != expected[0].text else []
    if cut:
        # a text that is longer than the message is cut between two characters
        assert expected[0].text.startswith(cut[0].text)
        expected = [expected[0]._replace(text=cut[0].text)]
    assert message == LogMessage(0x1A2B3C4D, first, lost, uptime, expected)
