"""Where messages go."""

import logging
import re
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.utils import timezone

from backend.accounts.models import User
from backend.alerts.errors import AlertError
from backend.alerts.models import Channel, ChannelKind, Delivery
from backend.alerts.outbox import test_make

logger = logging.getLogger(__name__)

LONGEST_NAME = 64
LONGEST_URL = 2000
MOST_ADDRESSES = 50
SHORTEST_SECRET = 16
LONGEST_SECRET = 255


def name_check(name: str, *, longest: int, what: str) -> str:
    """A name without line breaks and surplus spaces. Raises AlertError."""
    name = " ".join(name.split())
    if not 1 <= len(name) <= longest or not name.isprintable():
        raise AlertError(f"A {what} has a name of 1 to {longest} characters.")
    return name


def _addresses(text: str) -> str:
    found = [one for one in re.split(r"[\s,;]+", text) if one]
    if not found or len(found) > MOST_ADDRESSES:
        raise AlertError(f"An e-mail channel has 1 to {MOST_ADDRESSES} addresses, one a line.")
    for one in found:
        try:
            validate_email(one)
        except ValidationError:
            raise AlertError(f"{one[:100]!r} is no e-mail address.") from None
    return "\n".join(dict.fromkeys(found))


def _url(text: str) -> str:
    text = text.strip()
    try:
        parts = urlsplit(text)
        # reading the port is what checks it
        fits = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits or not text.isprintable() or any(one.isspace() for one in text) or len(text) > LONGEST_URL:
        raise AlertError("A webhook has an address such as https://example.org/hook: http or https, with a host.")
    if parts.username or parts.password:
        raise AlertError("The address holds a user name or password: leave them out, the signature says who we are.")
    return text


def _secret(text: str) -> str:
    if not SHORTEST_SECRET <= len(text) <= LONGEST_SECRET or not (text.isascii() and text.isprintable()):
        raise AlertError(
            f"A webhook has a secret of {SHORTEST_SECRET} to {LONGEST_SECRET} plain characters, such as `openssl rand "
            "-hex 32` makes; the receiver checks the signature with it."
        )
    return text


def _store(channel: Channel) -> Channel:
    try:
        with transaction.atomic():
            channel.save()
    except IntegrityError:
        raise AlertError(f"There is a channel {channel.name!r} already: choose another name.") from None
    return channel


def _target(kind: str, target: str) -> str:
    if kind not in ChannelKind.values:
        raise AlertError(f"A channel is one of {', '.join(ChannelKind.values)}.")
    return _addresses(target) if kind == ChannelKind.EMAIL else _url(target)


def channel_create(*, name: str, kind: str, target: str, secret: str = "", by: User | None) -> Channel:
    """Somewhere to send messages to: `target` is addresses, or a URL with a `secret`. Raises AlertError."""
    channel = Channel(
        name=name_check(name, longest=LONGEST_NAME, what="channel"),
        kind=kind,
        target=_target(kind, target),
        secret=_secret(secret) if kind == ChannelKind.WEBHOOK else "",
    )
    _store(channel)
    logger.info("channel %s (%s) made by %s", channel.pk, channel.name, by or "the command line")
    return channel


def channel_update(*, channel: Channel, name: str, target: str, secret: str = "", by: User | None) -> Channel:
    """Changes it; without a `secret` the present one stays. Raises AlertError, and Channel.DoesNotExist."""
    with transaction.atomic():
        row = Channel.objects.select_for_update().get(pk=channel.pk)
        row.name = name_check(name, longest=LONGEST_NAME, what="channel")
        target = _target(row.kind, target)
        if secret and row.kind == ChannelKind.WEBHOOK:
            row.secret = _secret(secret)
        row.target = target
        _store(row)
    logger.info("channel %s (%s) changed by %s", row.pk, row.name, by or "the command line")
    return row


def channel_delete(*, channel: Channel, by: User | None) -> None:
    """Removes it with its messages; rules go on without it. Raises Channel.DoesNotExist."""
    with transaction.atomic():
        row = Channel.objects.select_for_update().get(pk=channel.pk)
        row.delete()
    logger.info("channel %s (%s) deleted by %s", channel.pk, row.name, by or "the command line")


def channel_test(*, channel: Channel) -> Delivery:
    """Asks for a test message; it is sent as all others, by `sync`."""
    return test_make(channel, at=timezone.now())
