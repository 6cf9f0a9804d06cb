"""docker-compose.yml and the Dockerfile, as far as they can be checked without a Docker engine."""

import importlib.machinery
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
OURS = {"setup", "leshan", "sync", "web"}

pytestmark = pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose is not installed")


def compose(**variables: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables}
    # an .env file of this checkout must not decide
    example = ["--env-file", str(ROOT / ".env.example")]
    command = ["docker-compose", *example, "-f", str(ROOT / "docker-compose.yml"), "config"]
    return subprocess.run(command, env=env, text=True, capture_output=True)


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    done = compose(POSTGRES_PASSWORD="secret", FLOWNEXUS_HOST="flow.example")
    assert done.returncode == 0, done.stderr
    loaded: dict[str, Any] = yaml.safe_load(done.stdout)
    return loaded


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """scripts/run as a module."""
    sys.path.insert(0, str(ROOT / "scripts"))
    loader = importlib.machinery.SourceFileLoader("scripts_run", str(ROOT / "scripts" / "run"))
    spec = importlib.util.spec_from_loader("scripts_run", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    # dataclasses look their module up
    sys.modules["scripts_run"] = module
    loader.exec_module(module)
    return module


def flags(command: list[str]) -> set[str]:
    """The names of the options in a command line."""
    return {part.partition("=")[0] for part in command if part.startswith("--")}


def port(said: str | dict[str, Any]) -> tuple[str, int, int, str]:
    """Host address, host port, container port, protocol: docker-compose 1 says some as text."""
    if isinstance(said, dict):
        return said.get("host_ip", ""), int(said["published"]), int(said["target"]), said["protocol"]
    match = re.fullmatch(r"(?:([\d.]+):)?(\d+):(\d+)/(\w+)", said)
    assert match is not None, said
    return match[1] or "", int(match[2]), int(match[3]), match[4]


def test_a_password_must_be_given() -> None:
    done = compose()
    assert done.returncode != 0
    assert "write it into .env" in done.stderr


def test_every_service_is_there_and_watched(config: dict[str, Any]) -> None:
    assert set(config["services"]) == OURS | {"database"}
    for name, service in config["services"].items():
        assert ("healthcheck" in service) == (name != "setup"), name
    order = {
        (name, other, wait["condition"])
        for name, service in config["services"].items()
        for other, wait in service.get("depends_on", {}).items()
    }
    prepared = {(name, "setup", "service_completed_successfully") for name in ("leshan", "sync", "web")}
    assert order == {("setup", "database", "service_healthy")} | prepared


def test_only_devices_reach_the_host_from_outside(config: dict[str, Any]) -> None:
    ports = {(name, *port(each)) for name, service in config["services"].items() for each in service.get("ports", [])}
    assert ports == {("leshan", "", 5684, 5684, "udp"), ("web", "127.0.0.1", 8000, 8000, "tcp")}


def test_commands_are_those_of_scripts_run(config: dict[str, Any], run: ModuleType, tmp_path: Path) -> None:
    place = run.Place(
        given=None, data=tmp_path, certs=tmp_path / "certs", env={},
        web_host="0.0.0.0", web_port=8000, leshan_port=8080, coaps_port=5684, coap_port=None,
    )  # fmt: skip
    services = config["services"]
    leshan = run.leshan_program(place, hosts=["localhost"], lab=False)
    assert flags(services["leshan"]["command"]) == flags(leshan.command)
    assert services["sync"]["command"][1:] == [Path(run.sync_program(place).command[1]).name, "sync"]
    web = run.web_program(place).command
    assert flags(services["web"]["command"]) == flags(web)
    assert [part for part in services["web"]["command"] if "--" not in part] == ["python", *web[1:4]]
    assert services["setup"]["command"] == ["python", "scripts/prepare", "--host", "flow.example"]


def test_images_run_as_somebody_else_than_root() -> None:
    text = (ROOT / "Dockerfile").read_text()
    stages = dict(re.findall(r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM |\Z)", text, re.MULTILINE | re.DOTALL))
    for stage in ("leshan", "app"):
        assert re.search(r"^USER flownexus$", stages[stage], re.MULTILINE), stage


def test_the_java_options_are_those_of_scripts_run(run: ModuleType) -> None:
    text = (ROOT / "Dockerfile").read_text()
    options = ", ".join(f'"{option}"' for option in run.JAVA_OPTIONS)
    assert f'ENTRYPOINT ["java", {options}, "-jar"' in text
