"""A one-time password must be changed before anything else."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.deprecation import MiddlewareMixin

from backend.accounts.models import User

# where somebody with a one-time password may go
OPEN = {"account_change_password", "account_logout"}


class MustChangePasswordMiddleware(MiddlewareMixin):
    """Sends people with a one-time password to the page where they choose their own.

    Views that opted out of LoginRequiredMiddleware (the login page, the API) check for themselves:
    `permissions.allowed` says no to everything.
    """

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        """None, or a redirect (for htmx one of the whole page)."""
        user = request.user
        if not isinstance(user, User) or not user.must_change_password:
            return None
        match = request.resolver_match
        if not getattr(view, "login_required", True) or (match is not None and match.view_name in OPEN):
            return None
        page = reverse("account_change_password")
        if request.headers.get("HX-Request"):
            return HttpResponse(headers={"HX-Redirect": page})
        return HttpResponseRedirect(page)
