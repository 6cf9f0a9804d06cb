"""Writes to people: who there is, what they may do, and their passwords."""

import logging
import secrets

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from backend.accounts.models import Role, User

logger = logging.getLogger(__name__)

# no characters that are taken for others when read aloud or typed from paper
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


class LastAdministratorError(Exception):
    """The change would leave nobody who may administer."""

    def __init__(self) -> None:
        """One sentence that says what to do."""
        super().__init__("This is the last active administrator: make somebody else one first.")


def password_generate() -> str:
    """A random password of 16 characters in groups of four (79 bits)."""
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(4)) for _ in range(4))


def _administrators_lock() -> list[int]:
    """Ids of the active administrators, locked until the transaction ends, so that two changes cannot pass each other.

    On PostgreSQL by row locks, always taken in the order of the ids; on SQLite every transaction is the only writer.
    """
    administrators = User.objects.select_for_update().filter(role=Role.ADMINISTRATOR, is_active=True)
    return [user.pk for user in administrators.order_by("pk")]


def _user_lock(user: User) -> User:
    return User.objects.select_for_update().get(pk=user.pk)


def _copy(source: User, target: User, *fields: str) -> None:
    """Let the caller's object show what is now stored."""
    for field in fields:
        setattr(target, field, getattr(source, field))


def user_create(*, username: str, email: str = "", role: Role | str, by: User | None) -> tuple[User, str]:
    """Add a person with a one-time password, which is returned beside the user and stored nowhere in clear.

    Raises django ValidationError (a message per field) on a name that is malformed or taken (in any case of letters),
    a malformed address, or an unknown role.
    """
    password = password_generate()
    user = User(username=username.strip(), email=email.strip(), role=role, must_change_password=True)
    user.set_password(password)
    user.full_clean()
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError:
        # somebody else was a moment faster
        raise ValidationError({"username": "There is a user of this name already."}) from None
    logger.info("user %s added as %s by %s", user.username, user.role, by or "the command line")
    return user, password


@transaction.atomic
def user_set_role(*, user: User, role: Role | str, by: User | None) -> None:
    """Give a person another role. Raises LastAdministratorError; ValidationError on an unknown role."""
    if role not in Role.values:
        raise ValidationError({"role": f"There is no role {role!r}: choose one of {', '.join(Role.values)}."})
    administrators = _administrators_lock()
    if role != Role.ADMINISTRATOR and administrators == [user.pk]:
        raise LastAdministratorError
    stored = _user_lock(user)
    stored.role = role
    stored.save(update_fields=["role"])
    _copy(stored, user, "role")
    logger.info("user %s made %s by %s", stored.username, role, by or "the command line")


@transaction.atomic
def user_set_active(*, user: User, active: bool, by: User | None) -> None:
    """Let a person in, or shut them out and end their sessions for good. Raises LastAdministratorError."""
    administrators = _administrators_lock()
    if not active and administrators == [user.pk]:
        raise LastAdministratorError
    stored = _user_lock(user)
    if stored.is_active != active:
        stored.is_active = active
        stored.session_generation += 1
        stored.save(update_fields=["is_active", "session_generation"])
        logger.info(
            "user %s %s by %s", stored.username, "activated" if active else "deactivated", by or "the command line"
        )
    _copy(stored, user, "is_active", "session_generation")


@transaction.atomic
def user_reset_password(*, user: User, by: User | None) -> str:
    """A new one-time password, returned; every session of this person ends."""
    stored = _user_lock(user)
    password = password_generate()
    stored.set_password(password)
    stored.must_change_password = True
    stored.session_generation += 1
    stored.save(update_fields=["password", "must_change_password", "session_generation"])
    _copy(stored, user, "password", "must_change_password", "session_generation")
    logger.info("user %s got a one-time password from %s", stored.username, by or "the command line")
    return password


@transaction.atomic
def user_set_own_password(*, user: User, password: str) -> None:
    """The person chose a password (already validated); a one-time password is done with. Other sessions end."""
    stored = _user_lock(user)
    stored.set_password(password)
    stored.must_change_password = False
    stored.save(update_fields=["password", "must_change_password"])
    _copy(stored, user, "password", "must_change_password")


@transaction.atomic
def administrator_ensure(*, username: str) -> str | None:
    """Make the first administrator and return the password; None where there is an active one already.

    The password is random and the person's own: nothing forces its change. Raises ValidationError where the name
    cannot be had.
    """
    if _administrators_lock():
        return None
    user = User.objects.select_for_update().filter(username__iexact=username).first()
    if user is not None:
        raise ValidationError(
            f"There is no active administrator, but a user {user.username!r}: choose another --username, or make this "
            f"one the administrator with --reset."
        )
    password = password_generate()
    user = User(username=username, role=Role.ADMINISTRATOR)
    user.set_password(password)
    user.full_clean()
    user.save()
    logger.info("administrator %s made", username)
    return password


@transaction.atomic
def administrator_reset(*, username: str) -> tuple[User, str]:
    """Make this person an active administrator with a new random password, whatever they were; sessions end."""
    password = password_generate()
    user = User.objects.select_for_update().filter(username__iexact=username).first() or User(username=username)
    user.role = Role.ADMINISTRATOR
    user.is_active = True
    user.must_change_password = False
    user.session_generation += 1
    user.set_password(password)
    user.full_clean()
    user.save()
    logger.info("administrator %s reset", user.username)
    return user, password
