"""People and their roles."""

from collections.abc import Iterator
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.crypto import salted_hmac


class Role(models.TextChoices):
    """What a person may do: each role includes the ones before it."""

    VIEWER = "viewer", "Viewer"
    OPERATOR = "operator", "Operator"
    ADMINISTRATOR = "administrator", "Administrator"


class PeopleManager(UserManager["User"]):
    """Django's, but `createsuperuser` makes an administrator: roles are all that counts here."""

    use_in_migrations = False

    def create_superuser(
        self, username: str, email: str | None = None, password: str | None = None, **extra: Any
    ) -> "User":
        """An administrator."""
        return super().create_superuser(username, email, password, **{"role": Role.ADMINISTRATOR, **extra})


class User(AbstractUser):
    """A person who signs in. There is no open sign-up: administrators add people."""

    role = models.CharField(max_length=16, choices=Role.choices, default=Role.VIEWER)
    # set with a one-time password: the person must choose an own one before anything else
    must_change_password = models.BooleanField(default=False)
    # one more ends every session of this person, also where the password stays the same
    session_generation = models.PositiveIntegerField(default=0)

    objects: ClassVar[PeopleManager] = PeopleManager()

    # `createsuperuser` asks for name and password only
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta(AbstractUser.Meta):
        """Constraints and order."""

        ordering = ["username"]
        constraints = [
            models.CheckConstraint(condition=Q(role__in=Role.values), name="accounts_user_role_known"),
            models.UniqueConstraint(
                Lower("username"),
                name="accounts_user_name_once",
                violation_error_message="There is a user of this name already.",
            ),
        ]

    def get_session_auth_hash(self) -> str:
        """What a session must carry to be valid: changes with the password and with the generation."""
        return self._with_generation(super().get_session_auth_hash())

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        """The same under earlier secret keys."""
        return (self._with_generation(value) for value in super().get_session_auth_fallback_hash())

    def _with_generation(self, value: str) -> str:
        return salted_hmac("accounts.session", f"{value}:{self.session_generation}", algorithm="sha256").hexdigest()
