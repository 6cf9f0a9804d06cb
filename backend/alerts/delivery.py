"""Sending messages: a thread with a database connection of its own, started and stopped by `sync`.

A message is claimed for a while, sent outside of any transaction, and then written down as sent or due again. So a
crash in between sends it once more, with the same key. What one channel refuses holds up no other: its other messages
wait until it is tried again.
"""

import hashlib
import hmac
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import make_msgid
from urllib.parse import urlsplit

import orjson
import requests
from django.conf import settings
from django.core.mail import EmailMessage
from django.db import DatabaseError, connection, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from backend.alerts.deadline import Deadline, HttpSession, MailConnection
from backend.alerts.models import Channel, ChannelKind, Delivery, DeliveryAttempt, DeliveryState, Event

logger = logging.getLogger(__name__)

# seconds between attempts; the last one for ever, until GIVE_UP
PAUSES = (10, 30, 60, 120, 300, 600, 1200, 1800, 3600)
GIVE_UP = timedelta(hours=24)
GIVEN_UP = "Given up after 24 hours."
# seconds for all of an exchange: with a webhook up to the end of the answer's headers, with a mail server (which may
# take its time for each of its answers) up to the end; less than LEASE
TIMEOUT = 10.0
MAIL_TIMEOUT = 60.0
# a message that was claimed and not written down is sent again
LEASE = timedelta(seconds=90)
# how often is looked for messages, and after an error of the database
EVERY = 1.0
AFTER_ERROR = 5.0
# messages of one e-mail
TOGETHER = 50
LONGEST_RESULT = 500


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt."""

    succeeded: bool
    text: str
    seconds: float


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """The value of X-FlowNexus-Signature: HMAC-SHA256 of `timestamp.body`, as docs/alerts.md tells receivers."""
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


def pause_after(attempts: int) -> timedelta:
    """How long to wait after the attempt with this number, from 1."""
    return timedelta(seconds=PAUSES[min(attempts, len(PAUSES)) - 1])


# -- webhooks


def webhook_send(channel: Channel, delivery: Delivery) -> tuple[bool, str]:
    """POSTs the message. Any answer 2xx is a success; redirects are not followed."""
    if urlsplit(channel.target).scheme not in {"http", "https"}:
        return False, "The address is neither http nor https."
    body = delivery.body.encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "FlowNexus",
        "Idempotency-Key": str(delivery.key),
        "X-FlowNexus-Event": delivery.event,
        "X-FlowNexus-Signature": signature(channel.secret, int(time.time()), body),
    }
    with Deadline(TIMEOUT) as deadline, HttpSession(deadline) as session:
        try:
            answer = session.post(
                channel.target,
                data=body,
                headers=headers,
                timeout=TIMEOUT,
                allow_redirects=False,
                stream=True,
                verify=settings.ALERTS_CA_FILE or True,
            )
        except (requests.RequestException, ValueError, OSError) as error:
            return False, f"No answer within {TIMEOUT:g} s." if deadline.over else _why(error)
        with answer:
            if deadline.over:
                # headers that were cut look like headers that ended
                return False, f"No answer within {TIMEOUT:g} s."
            status = f"{answer.status_code} {answer.reason or ''}".strip()
            if 200 <= answer.status_code < 300:
                return True, f"The receiver answered {status}."
            if 300 <= answer.status_code < 400:
                return False, f"The receiver answered {status}: redirects are not followed, give its final address."
            return False, f"The receiver answered {status}."


def _why(error: Exception) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return "The receiver's certificate is not trusted (FLOWNEXUS_ALERTS_CA names your own CA)."
    if isinstance(error, requests.exceptions.Timeout):
        return f"No answer within {TIMEOUT:g} s."
    if isinstance(error, requests.exceptions.ConnectionError):
        text = str(error)
        if "NameResolution" in text or "getaddrinfo" in text or "Name or service" in text:
            return "The receiver's name is not known."
        if "refused" in text:
            return "The connection was refused: nothing listens there."
        return "The connection failed or was cut."
    return f"It could not be sent ({type(error).__name__})."


# -- e-mail


def _line(text: str) -> str:
    """For a header or one line: no line breaks, whatever a device is called."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())


def subject_of(messages: Sequence[dict[str, object]]) -> str:
    """One line that says it all."""
    if messages[0]["type"] == Event.TEST.value:
        return "[FlowNexus] Test"
    if len(messages) > 1:
        return f"[FlowNexus] {len(messages)} alerts"
    alert = messages[0]["alert"]
    assert isinstance(alert, dict)
    word = "over" if messages[0]["type"] == Event.CLEARED.value else alert["severity"]
    return _line(f"[FlowNexus] {word}: {alert['rule']} · {alert['device']}")[:200]


def text_of(messages: Sequence[dict[str, object]]) -> str:
    """The mail's text."""
    parts = []
    for message in messages:
        alert = message.get("alert")
        if not isinstance(alert, dict):
            parts.append("This is a test: messages of FlowNexus arrive.")
            continue
        over = message["type"] == Event.CLEARED.value
        lines = [
            f"{'Over' if over else str(alert['severity']).capitalize()}: {_line(alert['rule'])}",
            f"Device: {_line(alert['device'])}",
            _line(alert["cleared_text"] if over else alert["text"]),
            f"Since {alert['opened_at']}" + (f", until {alert['cleared_at']}" if over else ""),
        ]
        origins = settings.CSRF_TRUSTED_ORIGINS
        if origins:
            lines.append(f"{origins[0]}/alerts/{alert['id']}/")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def email_send(channel: Channel, deliveries: Sequence[Delivery]) -> tuple[bool, str]:
    """One mail with all these messages."""
    if not settings.EMAIL_CONFIGURED:
        return False, "E-mail is not set up: set FLOWNEXUS_EMAIL_HOST and start again."
    messages = [orjson.loads(one.body) for one in deliveries]
    headers = {"X-FlowNexus-Deliveries": " ".join(str(one.key) for one in deliveries)}
    domain = settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].strip(" >") or "localhost"
    headers["Message-ID"] = make_msgid(deliveries[0].key.hex, domain)
    to = channel.target.split("\n")
    with Deadline(MAIL_TIMEOUT) as deadline:
        mail = EmailMessage(
            subject_of(messages), text_of(messages), to=to, headers=headers, connection=MailConnection(deadline)
        )
        return _mail_send(mail, deadline)


def _mail_send(mail: EmailMessage, deadline: Deadline) -> tuple[bool, str]:
    try:
        mail.send()
    except (OSError, ValueError) as error:
        if deadline.over:
            return False, f"The mail server took longer than {deadline.seconds:g} s."
        # smtplib's errors are OSErrors
        detail = _line(str(error))
        for address in mail.to:
            # everybody may read what came of a message, but not where it goes
            detail = detail.replace(address, "…")
        detail = detail[:200]
        return False, f"The mail server did not take it: {detail or type(error).__name__}."
    return True, "The mail server took it."


# -- the outbox


def claim(now: datetime, resting: Sequence[int] = ()) -> list[Delivery]:
    """The next messages to send, of one channel: one for a webhook, several for an e-mail. [] when nothing is due.

    `resting`: channels that are left alone. What an alert's end says waits until its beginning was told.
    """
    before = Delivery.objects.filter(
        alert=OuterRef("alert"), channel=OuterRef("channel"), pk__lt=OuterRef("pk"), state=DeliveryState.WAITING
    )
    with transaction.atomic():
        due = (
            Delivery.objects.select_for_update(skip_locked=True, of=("self",))
            .filter(Q(leased_until=None) | Q(leased_until__lt=now), state=DeliveryState.WAITING, due_at__lte=now)
            .exclude(channel__in=resting)
            .exclude(Exists(before), alert__isnull=False)
            .select_related("channel")
            .order_by("due_at", "pk")
        )
        first = due.first()
        if first is None:
            return []
        chosen = [first]
        if first.channel.kind == ChannelKind.EMAIL and first.event != Event.TEST:
            same = due.filter(channel=first.channel, attempts=first.attempts, event=first.event)
            chosen = list(same[:TOGETHER]) or chosen
        Delivery.objects.filter(pk__in=[one.pk for one in chosen]).update(leased_until=now + LEASE)
    return chosen


def send(deliveries: Sequence[Delivery]) -> Outcome:
    """Tries once; never raises on what the other side does."""
    begun = time.monotonic()
    channel = deliveries[0].channel
    try:
        if channel.kind == ChannelKind.EMAIL:
            succeeded, text = email_send(channel, deliveries)
        else:
            succeeded, text = webhook_send(channel, deliveries[0])
    except Exception as error:
        logger.exception("a message could not be sent")
        succeeded, text = False, f"It could not be sent ({type(error).__name__}): see the log of sync."
    return Outcome(succeeded, text[:LONGEST_RESULT], time.monotonic() - begun)


def record(deliveries: Sequence[Delivery], outcome: Outcome, *, at: datetime) -> None:
    """Writes the attempt down, and what follows from it."""
    ids = [one.pk for one in deliveries]
    with transaction.atomic():
        # the channel may have been deleted meanwhile, and the messages with it
        rows = list(Delivery.objects.select_for_update().filter(pk__in=ids, state=DeliveryState.WAITING))
        for row in rows:
            row.attempts += 1
            row.leased_until = None
            row.result = outcome.text
            if outcome.succeeded:
                row.state, row.ended_at = DeliveryState.SENT, at
            elif at - row.created_at >= GIVE_UP:
                row.state, row.ended_at = DeliveryState.FAILED, at
                row.result = f"{GIVEN_UP} {outcome.text}"
            else:
                row.due_at = min(at + pause_after(row.attempts), max(at, row.created_at + GIVE_UP))
        Delivery.objects.bulk_update(rows, ["attempts", "leased_until", "result", "state", "ended_at", "due_at"])
        DeliveryAttempt.objects.bulk_create(
            DeliveryAttempt(
                delivery=row, at=at, seconds=outcome.seconds, succeeded=outcome.succeeded, text=outcome.text
            )
            for row in rows
        )
        if not outcome.succeeded:
            # those that wait behind it for as long, too: one at a time they would outlive any dead channel
            behind = Delivery.objects.filter(
                Q(leased_until=None) | Q(leased_until__lt=at),
                channel=deliveries[0].channel_id,
                state=DeliveryState.WAITING,
                created_at__lte=at - GIVE_UP,
            )
            behind.update(state=DeliveryState.FAILED, ended_at=at, result=f"{GIVEN_UP} {outcome.text}")
    if not outcome.succeeded:
        logger.warning("%s: %d messages not sent: %s", deliveries[0].channel.name, len(rows), outcome.text)


class Deliverer:
    """The thread. `now` and `every` are for tests."""

    def __init__(self, *, now: Callable[[], datetime] = timezone.now, every: float = EVERY) -> None:
        """Nothing runs until `start`."""
        self._now = now
        self._every = every
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        # channel id → when it is tried again, and how often it has failed in a row
        self._resting: dict[int, tuple[datetime, int]] = {}

    def start(self) -> None:
        """Begins to send."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="alert-delivery", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = TIMEOUT + 2) -> None:
        """Ends after the message that is under way, or does not wait longer for it than `timeout` seconds.

        What is cut off then is sent again at the next start, with the same key.
        """
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                pause = self._every
                try:
                    if self.step():
                        continue
                except DatabaseError as error:
                    logger.warning("messages wait: the database does not answer (%s)", error)
                    connection.close()
                    pause = AFTER_ERROR
                except Exception:
                    logger.exception("messages wait")
                    connection.close()
                    pause = AFTER_ERROR
                self._stopping.wait(pause)
        finally:
            connection.close()

    def step(self) -> bool:
        """Sends what is due next; False when nothing is."""
        now = self._now()
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
        deliveries = claim(now, [pk for pk, (until, _) in self._resting.items() if until > now])
        if not deliveries:
            return False
        outcome = send(deliveries)
        record(deliveries, outcome, at=self._now())
        channel = deliveries[0].channel_id
        if outcome.succeeded:
            if self._resting.pop(channel, None):
                # it is back: the others need not wait for their own time
                waiting = Delivery.objects.filter(channel=channel, state=DeliveryState.WAITING, due_at__gt=now)
                waiting.update(due_at=now)
        else:
            failures = self._resting.get(channel, (now, 0))[1] + 1
            self._resting[channel] = (self._now() + min(pause_after(failures), timedelta(minutes=5)), failures)
        return True
