"""Messages: made with the alert, sent once, signed, tried again, given up."""

import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from email import message_from_string, policy
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from backend.alerts import delivery
from backend.alerts.delivery import Deliverer, pause_after
from backend.alerts.models import Alert, Channel, Delivery, DeliveryAttempt
from backend.alerts.services import Evaluator, channel_create, channel_delete, channel_test, retention_step
from backend.devices.models import Device
from tests.support.threads import in_threads, threads
from tests.support.waiting import wait_for
from tests.unit.alerts.rows import Play, at, rule, said
from tests.unit.alerts.sinks import Hook, Mailbox, dripping, hook, mail_server
from tests.unit.api.builders import device

pytestmark = [pytest.mark.django_db, pytest.mark.database]

__all__ = ["threads"]

SECRET = "0123456789abcdef"


class Clock:
    def __init__(self) -> None:
        self.now = at(100)

    def __call__(self) -> Any:
        return self.now


@pytest.fixture
def sink() -> Iterator[Hook]:
    with hook() as running:
        yield running


@pytest.fixture
def box(settings: Settings) -> Iterator[Mailbox]:
    with mail_server() as running:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_CONFIGURED = True
        settings.EMAIL_HOST = "127.0.0.1"
        settings.EMAIL_PORT = running.port
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        settings.EMAIL_HOST_USER = ""
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def deliverer(clock: Clock) -> Deliverer:
    return Deliverer(now=clock)


def webhook(url: str, name: str = "hook") -> Channel:
    return channel_create(name=name, kind="webhook", target=url, secret=SECRET, by=None)


def email(name: str = "mail", target: str = "a@example.org, b@example.org") -> Channel:
    return channel_create(name=name, kind="email", target=target, by=None)


def alert(*channels: Channel, value: float = 35.0, endpoint: str = "dev-1") -> Alert:
    one = device(endpoint)
    made = rule(f"Too hot {endpoint}", channels=[one.pk for one in channels], scope="endpoints", endpoints=[endpoint])
    said(one, [(0, value)])
    Play()(1, one)
    return Alert.objects.get(rule=made)


def all_sent(deliverer: Deliverer) -> int:
    count = 0
    while deliverer.step():
        count += 1
    return count


def test_a_webhook(deliverer: Deliverer, sink: Hook) -> None:
    made = alert(webhook(sink.url))
    said(made.device, [(10, 20.0)])
    Play()(11, made.device)
    assert all_sent(deliverer) == 2
    (path, headers, body), (_, _, second) = sink.requests
    message = json.loads(body)
    key = str(Delivery.objects.get(event="alert.opened").key)
    assert path == "/hook"
    assert (headers["Idempotency-Key"], headers["X-FlowNexus-Event"]) == (key, "alert.opened")
    assert headers["Content-Type"] == "application/json"
    assert message == {
        "id": key,
        "type": "alert.opened",
        "at": at(1).isoformat(timespec="milliseconds"),
        "alert": {
            "id": made.pk,
            "rule": "Too hot dev-1",
            "severity": "warning",
            "kind": "threshold",
            "device": "dev-1",
            "path": "/3303/0/5700",
            "text": "/3303/0/5700 is 35: above 30.",
            "value": 35.0,
            "opened_at": at(0).isoformat(timespec="milliseconds"),
            "cleared_at": None,
            "cleared_text": "",
        },
    }
    assert json.loads(second)["type"] == "alert.cleared"
    assert json.loads(second)["alert"]["cleared_text"].endswith("no longer above 30.")
    parts = dict(part.split("=", 1) for part in headers["X-FlowNexus-Signature"].split(","))
    wanted = hmac.new(SECRET.encode(), parts["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(parts["v1"], wanted)
    assert set(Delivery.objects.values_list("state", "attempts")) == {("sent", 1)}
    assert DeliveryAttempt.objects.first().text == "The receiver answered 204 No Content."


def test_a_receiver_that_fails_twice(deliverer: Deliverer, clock: Clock, sink: Hook) -> None:
    made = alert(webhook(sink.url))
    said(made.device, [(10, 20.0)])
    Play()(11, made.device)
    sink.answers = [(500, {}), (503, {})]
    assert all_sent(deliverer) == 1
    opened = Delivery.objects.get(event="alert.opened")
    assert (opened.state, opened.attempts, opened.due_at) == ("waiting", 1, clock.now + timedelta(seconds=10))
    assert opened.result == "The receiver answered 500 Internal Server Error."
    clock.now += timedelta(seconds=9)
    assert all_sent(deliverer) == 0
    clock.now += timedelta(seconds=2)
    assert all_sent(deliverer) == 1
    # the end is not told before the beginning
    assert {json.loads(body)["type"] for _, _, body in sink.requests} == {"alert.opened"}
    clock.now += timedelta(seconds=31)
    assert all_sent(deliverer) == 2
    assert [json.loads(body)["type"] for _, _, body in sink.requests] == ["alert.opened"] * 3 + ["alert.cleared"]
    assert len({headers["Idempotency-Key"] for _, headers, _ in sink.requests[:3]}) == 1
    assert [one.succeeded for one in opened.tries.all()] == [False, False, True]


def test_given_up_after_a_day(deliverer: Deliverer, clock: Clock, sink: Hook) -> None:
    sink.answers = [(500, {})] * 1000
    alert(webhook(sink.url))
    one = Delivery.objects.get()
    begun = one.created_at
    while one.state == "waiting":
        clock.now = max(clock.now, one.due_at) + timedelta(minutes=5)
        deliverer.step()
        one.refresh_from_db()
    assert one.state == "failed"
    assert one.result == "Given up after 24 hours. The receiver answered 500 Internal Server Error."
    assert timedelta(hours=24) <= one.ended_at - begun < timedelta(hours=25)
    assert 20 < one.tries.count() < 60
    assert [pause_after(n) for n in range(2, 50)] == sorted(pause_after(n) for n in range(2, 50))


def test_what_waits_behind_a_dead_channel_is_given_up_with_it(deliverer: Deliverer, clock: Clock, sink: Hook) -> None:
    sink.answers = [(500, {})] * 1000
    channel = webhook(sink.url)
    for n in range(5):
        alert(channel, endpoint=f"d{n}")
    all_sent(deliverer)
    clock.now += timedelta(hours=23)
    all_sent(deliverer)
    assert Delivery.objects.filter(state="waiting").count() == 5
    clock.now += timedelta(hours=2)
    channel_test(channel=channel)
    all_sent(deliverer)
    # one attempt for all of them; what is newer goes on
    assert set(Delivery.objects.exclude(event="test").values_list("state", "result")) == {
        ("failed", "Given up after 24 hours. The receiver answered 500 Internal Server Error.")
    }
    assert Delivery.objects.get(event="test").state == "waiting"


def test_one_that_is_dead_holds_up_no_other(deliverer: Deliverer, clock: Clock, sink: Hook) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        dead = webhook(f"http://127.0.0.1:{closed.getsockname()[1]}/", "dead")
        good = webhook(sink.url, "good")
        for n in range(5):
            alert(dead, good, endpoint=f"d{n}")
        assert all_sent(deliverer) == 6
        assert Delivery.objects.filter(channel=good, state="sent").count() == 5
        tried = Delivery.objects.filter(channel=dead, attempts__gt=0)
        assert [one.result for one in tried] == ["The connection was refused: nothing listens there."]
    Channel.objects.filter(pk=dead.pk).update(target=sink.url)
    clock.now += timedelta(seconds=11)
    assert all_sent(deliverer) == 5
    assert not Delivery.objects.filter(state="waiting").exists()


def test_redirects_are_not_followed(deliverer: Deliverer, sink: Hook) -> None:
    sink.answers = [(307, {"Location": sink.url + "/elsewhere"})]
    alert(webhook(sink.url))
    all_sent(deliverer)
    assert len(sink.requests) == 1
    assert "redirects are not followed" in Delivery.objects.get().result


def test_no_answer(deliverer: Deliverer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        alert(webhook(f"http://127.0.0.1:{silent.getsockname()[1]}/"))
        all_sent(deliverer)
    assert Delivery.objects.get().result == "No answer within 0.1 s."


def held() -> tuple[int, int]:
    """Open files and threads of this process."""
    return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()


@pytest.mark.parametrize(
    ("first", "drop"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"."),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["status", "headers", "interim"],
)
def test_a_receiver_that_drips(monkeypatch: pytest.MonkeyPatch, first: bytes, drop: bytes) -> None:
    monkeypatch.setattr(delivery, "TIMEOUT", 0.3)
    before = held()
    with dripping(first or b"HTTP/1.1 20", drop, last=b"\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n") as server:
        channel = Channel(name="slow", kind="webhook", target=f"http://127.0.0.1:{server.port}/", secret=SECRET)
        outcome = delivery.send([Delivery(channel=channel, event="test", body="{}")])
        assert server.left.wait(10)
    assert (outcome.succeeded, outcome.text) == (False, "No answer within 0.3 s.")
    assert 0.3 <= outcome.seconds < 2
    assert held() == before


def test_nothing_is_left_of_an_exchange(sink: Hook) -> None:
    channel = Channel(name="quick", kind="webhook", target=sink.url, secret=SECRET)
    message = Delivery(channel=channel, event="test", body="{}")
    threads = threading.active_count()
    assert delivery.send([message]).succeeded
    # the handler of the sink ends a little later
    wait_for(lambda: threading.active_count() == threads, what="the end of the sink's thread")
    before = held()
    for _ in range(3):
        assert delivery.send([message]).succeeded
    wait_for(lambda: held() == before, what="what an exchange took to be given back")


@pytest.mark.parametrize("status", [b"200 OK", b"302 Found\r\nLocation: /elsewhere"])
def test_the_body_of_an_answer_is_not_read(monkeypatch: pytest.MonkeyPatch, status: bytes) -> None:
    monkeypatch.setattr(delivery, "TIMEOUT", 2.0)
    with dripping(b"HTTP/1.1 " + status + b"\r\n\r\n", b"." * 1000) as server:
        channel = Channel(name="long", kind="webhook", target=f"http://127.0.0.1:{server.port}/", secret=SECRET)
        outcome = delivery.send([Delivery(channel=channel, event="test", body="{}")])
        assert server.left.wait(10)
    assert outcome.text.startswith(f"The receiver answered {status.decode().splitlines()[0]}")
    assert outcome.seconds < 1


@pytest.mark.parametrize("target", ["file:///etc/hosts", "gopher://x/", "ftp://x/"])
def test_nothing_but_http(deliverer: Deliverer, target: str) -> None:
    alert(Channel.objects.create(name="odd", kind="webhook", target=target, secret=SECRET))
    all_sent(deliverer)
    assert Delivery.objects.get().result == "The address is neither http nor https."


def test_an_email(deliverer: Deliverer, box: Mailbox, settings: Settings) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://flow.example"]
    made = alert(email(), endpoint="two\nlines")
    assert all_sent(deliverer) == 1
    ((to, data),) = box.mails
    mail = message_from_string(data, policy=policy.default)
    assert to == ["a@example.org", "b@example.org"]
    assert mail["Subject"].strip() == "[FlowNexus] warning: Too hot two lines · two lines"
    assert mail["X-FlowNexus-Deliveries"] == str(Delivery.objects.get().key)
    text = mail.get_content()
    assert "/3303/0/5700 is 35: above 30." in text
    assert f"https://flow.example/alerts/{made.pk}/" in text
    assert Delivery.objects.get().state == "sent"


def test_many_alerts_are_one_email(deliverer: Deliverer, box: Mailbox) -> None:
    channel = email()
    for n in range(30):
        alert(channel, endpoint=f"d{n}")
    assert all_sent(deliverer) == 1
    mail = message_from_string(box.mails[0][1], policy=policy.default)
    assert mail["Subject"] == "[FlowNexus] 30 alerts"
    assert all(f"Device: d{n}" in mail.get_content() for n in range(30))
    assert Delivery.objects.filter(state="sent").count() == 30


def test_a_mail_server_that_refuses(deliverer: Deliverer, clock: Clock, box: Mailbox) -> None:
    box.refusals = ["451 try later"]
    alert(email())
    all_sent(deliverer)
    assert "try later" in Delivery.objects.get().result
    clock.now += timedelta(seconds=11)
    assert all_sent(deliverer) == 1
    assert len(box.mails) == 1


def test_a_mail_server_that_drips(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "MAIL_TIMEOUT", 0.3)
    before = held()
    with dripping(b"", b".", last=b"\r\n") as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_CONFIGURED = True
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        channel = Channel(name="slow", kind="email", target="a@example.org")
        outcome = delivery.send([Delivery(channel=channel, event="test", body='{"type": "test"}')])
        assert server.left.wait(10)
    assert (outcome.succeeded, outcome.text) == (False, "The mail server took longer than 0.3 s.")
    assert outcome.seconds < 2
    assert held() == before


def test_addresses_are_not_told_to_everybody(deliverer: Deliverer, box: Mailbox) -> None:
    box.refusals = ["550 nobody here is called b@example.org"]
    alert(email())
    all_sent(deliverer)
    result = Delivery.objects.get().result
    assert "nobody here" in result
    assert "example.org" not in result


def test_email_that_is_not_set_up(deliverer: Deliverer, settings: Settings) -> None:
    settings.EMAIL_CONFIGURED = False
    alert(email())
    all_sent(deliverer)
    assert Delivery.objects.get().result.startswith("E-mail is not set up: set FLOWNEXUS_EMAIL_HOST")


def test_a_test_message(deliverer: Deliverer, clock: Clock, sink: Hook, box: Mailbox) -> None:
    clock.now = timezone.now() + timedelta(seconds=1)
    channel_test(channel=webhook(sink.url))
    channel_test(channel=email())
    assert all_sent(deliverer) == 2
    assert json.loads(sink.requests[0][2])["type"] == "test"
    assert "Subject: [FlowNexus] Test" in box.mails[0][1]


def test_a_crash_between_sending_and_writing_down(
    deliverer: Deliverer, clock: Clock, sink: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    alert(webhook(sink.url))
    monkeypatch.setattr(delivery, "record", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        deliverer.step()
    monkeypatch.undo()
    # another process: it is leased, and then sent again with the same key
    other = Deliverer(now=clock)
    assert all_sent(other) == 0
    clock.now += timedelta(seconds=91)
    assert all_sent(other) == 1
    assert len({headers["Idempotency-Key"] for _, headers, _ in sink.requests}) == 1
    assert Delivery.objects.get().state == "sent"


def test_a_channel_that_is_deleted_meanwhile(clock: Clock, sink: Hook) -> None:
    channel = webhook(sink.url)
    alert(channel)
    claimed = delivery.claim(clock.now)
    channel_delete(channel=channel, by=None)
    outcome = delivery.send(claimed)
    delivery.record(claimed, outcome, at=clock.now)
    assert outcome.succeeded
    assert not DeliveryAttempt.objects.exists()


def test_two_claim_different_messages(clock: Clock, sink: Hook) -> None:
    channel = webhook(sink.url)
    for n in range(3):
        alert(channel, endpoint=f"d{n}")
    claimed = [delivery.claim(clock.now) for _ in range(4)]
    assert len({one.pk for part in claimed for one in part}) == 3
    assert claimed[3] == []


def test_a_rule_without_channels_tells_nobody() -> None:
    alert()
    assert not Delivery.objects.exists()


def test_old_ones_go(deliverer: Deliverer, sink: Hook, settings: Settings) -> None:
    settings.ALERTS_DAYS = 30
    made = alert(webhook(sink.url))
    all_sent(deliverer)
    assert retention_step(now=at(86400 * 29)) is False
    assert Delivery.objects.count() == 1
    retention_step(now=at(86400 * 31))
    # the alert is still there, the message is not
    assert Alert.objects.filter(pk=made.pk).exists()
    assert not Delivery.objects.exists()
    Alert.objects.update(cleared_at=at(0), cleared_text="over")
    retention_step(now=at(86400 * 31))
    assert not Alert.objects.exists()


@pytest.mark.usefixtures("threads")
def test_the_thread(sink: Hook) -> None:
    def work() -> bool:
        alert(webhook(sink.url))
        running = Deliverer(every=0.01)
        running.start()
        try:
            wait_for(lambda: sink.requests, what="a request")
            wait_for(lambda: Delivery.objects.filter(state="sent").exists(), what="the note that it was sent")
        finally:
            running.stop()
        return len(sink.requests) == 1

    assert in_threads(work) == [True]


@pytest.mark.usefixtures("threads")
def test_two_deliverers_send_each_message_once(sink: Hook) -> None:
    def prepare() -> None:
        channel = webhook(sink.url)
        for n in range(6):
            alert(channel, endpoint=f"d{n}")

    def work() -> int:
        return all_sent(Deliverer(now=lambda: at(100)))

    assert in_threads(prepare) == [None]
    assert sum(in_threads(work, work)) == 6
    assert len({headers["Idempotency-Key"] for _, headers, _ in sink.requests}) == len(sink.requests) == 6


@pytest.mark.usefixtures("threads")
def test_two_evaluations_at_once(sink: Hook) -> None:
    def prepare() -> int:
        channel = webhook(sink.url)
        rule("Too hot", channels=[channel.pk])
        for n in range(30):
            said(device(f"d{n}"), [(0, 20.0)])
        Play()(1, everything=True)
        for one in Device.objects.all():
            said(one, [(10, 35.0), (11, 20.0), (12, 36.0)])
        return channel.pk

    def work() -> tuple[int, int]:
        done = Evaluator().evaluate(device_ids=None, now=at(13), budget_seconds=60)
        return done.opened, done.cleared

    def count() -> tuple[int, int, int]:
        open_now = Alert.objects.filter(cleared_at=None).count()
        return Alert.objects.count(), open_now, Delivery.objects.count()

    in_threads(prepare)
    results = in_threads(work, work, work)
    assert sorted(results) == [(0, 0), (0, 0), (60, 30)]
    assert in_threads(count) == [(60, 30, 90)]
