"""Every address of the product, asked by everybody: a new view without a check fails here."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from backend.accounts.models import Role, User
from backend.accounts.permissions import ROLES, Permission
from backend.api.auth import SessionWithRole
from backend.api.operations import api
from tests.unit.api.builders import device, samples, series, user

pytestmark = pytest.mark.django_db

# what anybody may see, signed in or not
PUBLIC = {"account_login", "account_logout", "account_inactive"}
# what everybody who is signed in may do for themselves
OWN = {"account_change_password"}
# what takes more than a look
ADMINISTER = {
    "people", "person-add", "person-role", "person-active", "person-password",
    "settings", "settings-profiles", "profile-new", "profile-edit", "profile-delete", "profile-rules", "part-rule",
    "settings-storage",
    "alert-channels", "alert-channel", "alert-channel-act", "part-alert-channel",
    "model-upload", "model-delete", "debug-leshan", "debug-trace", "signing-keys", "signing-key-delete",
}  # fmt: skip
OPERATE = {
    "part-object-menu",
    "device-profile", "device-observation", "observation-clear",
    "command-new", "command-ask", "command-act", "command-repeat", "command-cancel", "batch-cancel", "part-bulk-input",
    "alert-acknowledge", "alert-rule-new", "alert-rule-edit", "alert-rule-act", "part-alert-preview",
    "campaign-new", "campaign-act", "part-campaign-preview", "image-upload", "image-save", "image-delete",
    "update-new", "update-cancel", "update-retry", "dashboard-new", "dashboard-act",
}  # fmt: skip

CONVERTED = re.compile(r"<(?:(\w+):)?(\w+)>")


class Address(NamedTuple):
    """One route and a path that leads to it."""

    route: str
    name: str
    path: str
    view: Any


def walk(patterns: list[URLPattern | URLResolver], prefix: str = "") -> Iterator[Address]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from walk(pattern.url_patterns, route)
            continue

        def filled(match: re.Match[str]) -> str:
            return {"int": "1", "path": "dev-1", "endpoint": "dev-1", "text": "dev-1", None: "x"}.get(match[1], "dev-1")

        yield Address(route, pattern.name or "", "/" + CONVERTED.sub(filled, route), pattern.callback)


ADDRESSES = list(walk(get_resolver().url_patterns))
PAGES = [one for one in ADDRESSES if not one.route.startswith("api/")]
API = [one for one in ADDRESSES if one.route.startswith("api/")]


def needed(address: Address) -> Permission:
    if address.name in ADMINISTER:
        return Permission.ADMINISTER
    return Permission.OPERATE if address.name in OPERATE else Permission.VIEW


@pytest.fixture
def people() -> dict[Role, User]:
    samples(series(device()), [(0, 1.0, None)])
    return {role: user(role.value, role) for role in Role}


def as_(person: User | None) -> Client:
    # as a browser does with every form; what is passed on to Leshan asks for it
    client = Client(raise_request_exception=True, headers={"Origin": "http://testserver"})
    if person is not None:
        client.force_login(person)
    return client


def test_there_is_something_to_walk() -> None:
    assert len(API) > 8
    assert len(PAGES) > 5


def test_every_operation_asks_the_one_check() -> None:
    operations = [
        operation
        for bound in api._get_bound_routers()
        for view in bound.path_operations.values()
        for operation in view.operations
    ]
    assert len(operations) >= len(API) - 1
    for operation in operations:
        assert operation.auth_callbacks, operation.path
        assert all(isinstance(one, SessionWithRole) for one in operation.auth_callbacks), operation.path


@pytest.mark.parametrize("address", API, ids=lambda one: one.route)
def test_the_api(address: Address, people: dict[Role, User]) -> None:
    for method in ("get", "post", "put", "patch", "delete"):
        answer = getattr(as_(None), method)(address.path)
        # nothing but the methods that there are is told to strangers
        assert answer.status_code in {401, 405}, (method, answer.status_code)
        assert answer.headers["Content-Type"].startswith("application/json")
        assert answer.json()["detail"]
    assert as_(None).get(address.path).status_code == 401
    for role, person in people.items():
        answer = as_(person).get(address.path)
        assert answer.status_code not in {301, 302, 401, 403, 500}, (role, answer.status_code)
        person.must_change_password = True
        person.save()
        assert as_(person).get(address.path).status_code == 403
        person.is_active = False
        person.save()
        assert as_(person).get(address.path).status_code == 401


@pytest.mark.parametrize("address", PAGES, ids=lambda one: one.route)
def test_the_pages(address: Address, people: dict[Role, User]) -> None:
    if address.name in PUBLIC:
        assert as_(None).get(address.path).status_code in {200, 302}
        return
    for method in ("get", "post"):
        answer = getattr(as_(None), method)(address.path)
        assert answer.status_code == 302, (method, answer.status_code)
        assert answer.headers["Location"].startswith("/accounts/login/?next=")
    if address.name in OWN:
        for person in people.values():
            assert as_(person).get(address.path).status_code == 200
        return
    assert getattr(address.view, "required_permission", None) == needed(address), (
        f"{address.route}: decorate the view with @require, and name it in this test where it takes more than VIEW"
    )
    for role, person in people.items():
        for method in ("get", "post"):
            answer = getattr(as_(person), method)(address.path)
            if role not in ROLES[needed(address)]:
                assert answer.status_code == 403, (role, method)
                assert b"administrator" in answer.content
            else:
                assert answer.status_code not in {401, 403, 500}, (role, method)
                if answer.status_code == 302:
                    assert not answer.headers["Location"].startswith("/accounts/login/")
