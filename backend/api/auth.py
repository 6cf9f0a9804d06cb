"""Who may call the API: people who are signed in, by the one permission check."""

from typing import Any

from django.http import HttpRequest
from ninja.errors import AuthorizationError, HttpError
from ninja.security import SessionAuth

from backend.accounts.models import User
from backend.accounts.permissions import Permission, allowed, refusal


class SessionWithRole(SessionAuth):
    """The browser's session: 401 without one, 403 with the needed role in words; writes need the CSRF token."""

    def __init__(self, permission: Permission) -> None:
        """`permission`: what the operation takes."""
        super().__init__()
        self.permission = permission

    def _get_key(self, request: HttpRequest) -> str | None:
        """As ninja does it, but with a refusal that says what to do."""
        try:
            return super()._get_key(request)
        except HttpError:
            raise HttpError(
                403, "The CSRF token is missing or wrong: send the cookie csrftoken's value in the header X-CSRFToken."
            ) from None

    def authenticate(self, request: HttpRequest, key: str | None) -> Any:
        """The person, or None without a session. Raises AuthorizationError."""
        user = request.user
        if not isinstance(user, User) or not user.is_active:
            return None
        if not allowed(user, self.permission):
            raise AuthorizationError(message=refusal(user, self.permission))
        return user


viewer = SessionWithRole(Permission.VIEW)
operator = SessionWithRole(Permission.OPERATE)
administrator = SessionWithRole(Permission.ADMINISTER)
