"""One check: who may do what."""

import asyncio
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from backend.accounts.models import Role, User
from backend.accounts.permissions import Permission, allowed, refusal, require

TABLE = {
    Role.VIEWER: {Permission.VIEW},
    Role.OPERATOR: {Permission.VIEW, Permission.OPERATE},
    Role.ADMINISTRATOR: set(Permission),
}


def test_roles_and_permissions() -> None:
    for role in Role:
        for permission in Permission:
            user = User(username="x", role=role)
            assert allowed(user, permission) == (permission in TABLE[role])
            assert not allowed(User(username="x", role=role, is_active=False), permission)
            assert not allowed(User(username="x", role=role, must_change_password=True), permission)
    assert not any(allowed(AnonymousUser(), permission) for permission in Permission)
    # Django's own flags count for nothing
    flagged = User(username="x", role=Role.VIEWER, is_superuser=True, is_staff=True)
    assert not allowed(flagged, Permission.ADMINISTER)


def test_a_refusal_says_which_role_it_takes() -> None:
    said = refusal(User(username="x", role=Role.VIEWER), Permission.OPERATE)
    assert said == "This needs the role operator or administrator; yours is viewer. Ask an administrator."
    assert refusal(AnonymousUser(), Permission.VIEW) == "Sign in first."
    assert "deactivated" in refusal(User(is_active=False), Permission.VIEW)
    assert "one use" in refusal(User(must_change_password=True), Permission.VIEW)


@require(Permission.OPERATE)
def view(request: HttpRequest, word: str) -> HttpResponse:
    return HttpResponse(word)


@require(Permission.OPERATE)
async def async_view(request: HttpRequest, word: str) -> HttpResponse:
    return HttpResponse(word)


def ask(user: Any, *, by_async: bool) -> Any:
    request = RequestFactory().get("/some/where/?a=b")
    request.user = user

    async def auser() -> Any:
        return user

    request.auser = auser
    return asyncio.run(async_view(request, word="yes")) if by_async else view(request, word="yes")


@pytest.mark.parametrize("by_async", [False, True])
def test_the_decorator(by_async: bool) -> None:
    assert ask(User(username="x", role=Role.OPERATOR), by_async=by_async).content == b"yes"
    with pytest.raises(PermissionDenied, match="needs the role operator or administrator"):
        ask(User(username="x", role=Role.VIEWER), by_async=by_async)
    answer = ask(AnonymousUser(), by_async=by_async)
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/accounts/login/?next=/some/where/%3Fa%3Db"


def test_the_decorator_marks_the_view() -> None:
    assert view.required_permission == async_view.required_permission == Permission.OPERATE  # type: ignore[attr-defined]
