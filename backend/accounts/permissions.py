"""The one permission check: every view and every API operation asks `allowed`."""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from functools import wraps
from typing import Any, TypeVar, cast

from asgiref.sync import iscoroutinefunction
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from backend.accounts.models import Role, User


class Permission(StrEnum):
    """What can be allowed; each includes the ones before it."""

    VIEW = "view"
    OPERATE = "operate"
    ADMINISTER = "administer"


ROLES: dict[Permission, tuple[Role, ...]] = {
    Permission.VIEW: (Role.VIEWER, Role.OPERATOR, Role.ADMINISTRATOR),
    Permission.OPERATE: (Role.OPERATOR, Role.ADMINISTRATOR),
    Permission.ADMINISTER: (Role.ADMINISTRATOR,),
}

AnyUser = AbstractBaseUser | AnonymousUser
View = TypeVar("View", bound=Callable[..., Any])


def allowed(user: AnyUser, permission: Permission) -> bool:
    """May this person do that?

    Nobody may who is not signed in, is deactivated, or still has a one-time password to change.
    """
    return (
        isinstance(user, User) and user.is_active and not user.must_change_password and user.role in ROLES[permission]
    )


def refusal(user: AnyUser, permission: Permission) -> str:
    """Why `allowed` said no, in one sentence for people."""
    if not isinstance(user, User):
        return "Sign in first."
    if not user.is_active:
        return "This account is deactivated: ask an administrator."
    if user.must_change_password:
        return "Your password was for one use: choose your own first."
    needed = " or ".join(role.label.lower() for role in ROLES[permission])
    mine = Role(user.role).label.lower()
    return f"This needs the role {needed}; yours is {mine}. Ask an administrator."


def _refuse(request: HttpRequest, user: AnyUser, permission: Permission) -> HttpResponseBase | None:
    if allowed(user, permission):
        return None
    # a deactivated person's session does not reach this point as a user: the backend gives an anonymous one
    if not user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    raise PermissionDenied(refusal(user, permission))


def require(permission: Permission) -> Callable[[View], View]:
    """Decorate a view, sync or async: the anonymous go to the login page, the others get 403 and the role it takes.

    The 403 page's `exception` is the sentence of `refusal`. The view is marked with `required_permission`.
    """

    def decorate(view: View) -> View:
        if iscoroutinefunction(view):

            @wraps(view)
            async def checked_async(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
                refused = _refuse(request, await request.auser(), permission)
                return refused or await cast(Awaitable[HttpResponseBase], view(request, *args, **kwargs))

            checked: Callable[..., Any] = checked_async
        else:

            @wraps(view)
            def checked_sync(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
                refused = _refuse(request, request.user, permission)
                return refused or cast(HttpResponseBase, view(request, *args, **kwargs))

            checked = checked_sync
        checked.required_permission = permission  # type: ignore[attr-defined]
        return cast(View, checked)

    return decorate
