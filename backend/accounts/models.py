"""People and their roles."""

from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import Q


class Role(models.TextChoices):
    """What a person may do: each role includes the ones before it."""

    VIEWER = "viewer", "Viewer"
    OPERATOR = "operator", "Operator"
    ADMINISTRATOR = "administrator", "Administrator"


class User(AbstractUser):
    """A person who signs in. There is no open sign-up: administrators add people."""

    role = models.CharField(max_length=16, choices=Role.choices, default=Role.VIEWER)
    # set with a one-time password: the person must choose an own one before anything else
    must_change_password = models.BooleanField(default=False)

    # an administrator made on the command line is one here too
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta(AbstractUser.Meta):
        """Constraints and order."""

        ordering = ["username"]
        constraints = [
            models.CheckConstraint(condition=Q(role__in=Role.values), name="accounts_user_role_known"),
        ]
