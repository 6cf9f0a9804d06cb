"""How django-allauth is used here: login by name, no sign-up, our own password service."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from backend.accounts.models import User
from backend.accounts.services import user_set_own_password


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Administrators add people; nobody signs up."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    def clean_password(self, password: str, user: User | None = None) -> str:
        """The validators of the settings; a one-time password may not be kept. Raises ValidationError."""
        password = super().clean_password(password, user)
        if user is not None and user.pk and user.must_change_password and user.check_password(password):
            raise ValidationError("This is the one-time password: choose another one.")
        return password

    def set_password(self, user: User, password: str) -> None:
        """A password that the person chose."""
        user_set_own_password(user=user, password=password)

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        """Where to go after a password was changed: the start, not the same form again."""
        return str(self.get_login_redirect_url(request))

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """No mail leaves this system: there is no mail server to rely on, and no page that asks for one."""
