"""`manage.py administrator`: the first administrator, or a way back in."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import IntegrityError

from backend.accounts.services import administrator_ensure, administrator_reset


class Command(BaseCommand):
    """Prints one line, `administrator: NAME / PASSWORD`, where it made or reset one; else nothing."""

    help = (
        "Makes an administrator where there is no active one, and prints `administrator: NAME / PASSWORD` once. "
        "With --reset it gives NAME a new password, and the role, in any case."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Options."""
        parser.add_argument("--username", default="admin", metavar="NAME", help="who (default: admin)")
        parser.add_argument("--reset", action="store_true", help="a new password for NAME, and end its sessions")

    def handle(self, *, username: str, reset: bool, **_: Any) -> None:
        """Make or reset; CommandError on a name that cannot be had."""
        try:
            if reset:
                user, password = administrator_reset(username=username)
                username = user.username
            else:
                made = administrator_ensure(username=username)
                if made is None:
                    return
                password = made
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        except IntegrityError:
            # another process made the same name between our look and our write
            raise CommandError(f"a user {username!r} has just been made by another process: run this again") from None
        self.stdout.write(f"administrator: {username} / {password}")
        self.stdout.flush()
