"""Reads of people."""

from django.db.models import QuerySet

from backend.accounts.models import Role, User


def user_list() -> QuerySet[User]:
    """Everybody, by name."""
    return User.objects.order_by("username")


def user_get(*, pk: int) -> User:
    """One person. Raises User.DoesNotExist."""
    return User.objects.get(pk=pk)


def administrator_count() -> int:
    """How many active administrators there are; with one, it cannot be deactivated or lose the role."""
    return User.objects.filter(role=Role.ADMINISTRATOR, is_active=True).count()
