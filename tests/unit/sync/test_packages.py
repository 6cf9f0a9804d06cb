"""The requests about packages and grants, and what is told of them."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import responses
from pytest_django import Settings

from backend.config.leshan import Token
from backend.sync.client import LeshanClient
from backend.sync.exceptions import UnavailableError, UnreachableError
from backend.sync.packages import STOCK, DropPackage, GivePackage, Grant, ListPackages, Revoke
from backend.sync.work import GrantDone, PackageDone, PackagesListed

URL = "http://127.0.0.1:8080"
BYTES = b"firmware" * 100
HASH = hashlib.sha256(BYTES).hexdigest()
PACKAGE = f"{URL}/api/packages/{HASH}"
GRANT = f"{URL}/api/clients/a/grants/{HASH}"


@pytest.fixture
def leshan() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


@pytest.fixture
def client() -> LeshanClient:
    return LeshanClient(URL, Token())


@pytest.fixture(autouse=True)
def images(tmp_path: Path, settings: Settings) -> Path:
    settings.IMAGES_DIR = tmp_path
    (tmp_path / HASH).write_bytes(BYTES)
    return tmp_path


def test_a_package_goes_over_once(leshan: responses.RequestsMock, client: LeshanClient) -> None:
    leshan.get(PACKAGE, status=404, body="no package")
    leshan.put(PACKAGE, status=201)
    leshan.get(PACKAGE, json={"sha256": HASH, "size": len(BYTES)})
    assert GivePackage(HASH).run(client) == PackageDone(HASH)
    assert leshan.calls[1].request.body == BYTES
    assert GivePackage(HASH).run(client) == PackageDone(HASH)
    assert len(leshan.calls) == 3


def test_why_a_package_is_not_taken(leshan: responses.RequestsMock, client: LeshanClient, images: Path) -> None:
    leshan.get(PACKAGE, status=404, body="no package")
    leshan.put(PACKAGE, status=413, body="the package is larger than 256 MiB: raise --package-limit")
    done = GivePackage(HASH).run(client)
    assert done == PackageDone(HASH, "the package is larger than 256 MiB: raise --package-limit")
    (images / HASH).unlink()
    done = GivePackage(HASH).run(client)
    assert isinstance(done, PackageDone)
    assert "cannot be read: No such file" in done.error


def test_a_stock_server_says_so(leshan: responses.RequestsMock, client: LeshanClient) -> None:
    leshan.get(PACKAGE, status=404, body="<html>")
    leshan.put(PACKAGE, status=404, body="<html>")
    leshan.put(GRANT, status=404, body="<html>")
    leshan.get(f"{URL}/api/packages", status=404, body="<html>")
    assert GivePackage(HASH).run(client) == PackageDone(HASH, STOCK)
    assert Grant(1, "a", HASH).run(client) == GrantDone(1, HASH, error=STOCK)
    assert ListPackages().run(client) == PackagesListed(frozenset())


def test_what_cannot_be_now_is_tried_again(leshan: responses.RequestsMock, client: LeshanClient) -> None:
    leshan.get(PACKAGE, status=503, body="the disk takes nothing")
    with pytest.raises(UnavailableError):
        GivePackage(HASH).run(client)
    leshan.put(GRANT, body=UnreachableError("away"))
    with pytest.raises(UnavailableError):
        Grant(1, "a", HASH).run(client)


def test_grants(leshan: responses.RequestsMock, client: LeshanClient) -> None:
    step = Grant(1, "a", HASH)
    leshan.put(GRANT, json={"uri": "coaps://h:1/fw/t", "sha256": HASH, "size": 1})
    leshan.put(GRANT, status=404, body=f"no package {HASH}")
    leshan.put(GRANT, status=400, body="No registered client with id 'a'")
    assert step.run(client) == GrantDone(1, HASH, "coaps://h:1/fw/t")
    assert step.run(client) == GrantDone(1, HASH, missing=True)
    assert step.run(client) == GrantDone(1, HASH)
    assert step.failed(ValueError("odd")) == GrantDone(1, HASH, error="odd")


def test_taking_back(leshan: responses.RequestsMock, client: LeshanClient) -> None:
    leshan.delete(GRANT, status=204)
    leshan.delete(PACKAGE, status=404)
    leshan.get(f"{URL}/api/packages", json=[{"sha256": HASH, "size": 1}])
    assert Revoke("a", HASH).run(client) is None
    assert DropPackage(HASH).run(client) is None
    assert ListPackages().run(client) == PackagesListed(frozenset({HASH}))
