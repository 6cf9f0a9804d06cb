"""The pages of alerts: what they show, what they change, what they say when something is wrong."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from backend.accounts.models import Role
from backend.alerts.models import Alert, Channel, Delivery, Rule
from backend.alerts.services import alerts_acknowledge, channel_create
from tests.unit.alerts.rows import Play, rule, said
from tests.unit.api.builders import device, user

pytestmark = pytest.mark.django_db

HTMX = {"HTTP_HX_REQUEST": "true"}
SECRET = "0123456789abcdef"
FORM = {
    "name": "Too hot",
    "severity": "critical",
    "enabled": "on",
    "scope": "all",
    "kind": "threshold",
    "path": "/3303/0/5700",
    "comparison": "above",
    "limit": "30",
    "status": "offline",
}


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(user("olga", Role.OPERATOR))
    return client


def found(count: int = 1, **fields: Any) -> list[Alert]:
    """So many devices with an open alert."""
    rule(**fields)
    for n in range(count):
        said(device(f"d{n}"), [(0, 35.0)])
    Play()(1)
    return list(Alert.objects.order_by("id"))


def test_an_empty_page_teaches(viewer: Client) -> None:
    text = viewer.get("/alerts/").text
    assert "No rule yet. A rule says when you want to know" in text
    assert "New rule" not in text
    rule()
    assert "Nothing is wrong: no alert is open." in viewer.get("/alerts/").text


def test_the_list(operator: Client) -> None:
    first, second = found(2)
    alerts_acknowledge(alert_ids=[second.pk], note="On my way", by=user("nils", Role.OPERATOR))
    page = operator.get("/alerts/").text
    assert page.index("/devices/d0/") < page.index("/devices/d1/")
    assert "/3303/0/5700 is 35: above 30." in page
    assert "nils takes care: On my way" in page
    assert page.count('name="id" value="') == 2  # the box and the button of the one that is open
    assert "/devices/d1/" not in operator.get("/alerts/?state=open&severity=warning").text.split("<main")[1]
    assert "No alert fits." in operator.get("/alerts/?search=nothing").text
    assert operator.get(f"/alerts/?rule={first.rule_id}&device=d0").text.count("alert-row") == 1
    for nonsense in ("state=x", "severity=x", "rule=x", "rule=" + "9" * 30, "device=%00", "page=-1", "search=%00"):
        assert operator.get(f"/alerts/?{nonsense}").status_code == 200
        assert operator.get(f"/parts/alerts/?{nonsense}").status_code == 200


def test_the_navigation_counts(viewer: Client) -> None:
    assert "nav-count" not in viewer.get("/devices/").text
    first, _ = found(2)
    assert 'data-cell="n">2<span class="visually-hidden"> open</span>' in viewer.get("/devices/").text
    alerts_acknowledge(alert_ids=[first.pk], by=user("nils", Role.OPERATOR))
    assert ">1<span" in viewer.get("/parts/alerts/count/").text


def test_acknowledging(operator: Client) -> None:
    first, second, third = found(3)
    answer = operator.post("/alerts/acknowledge/", {"id": [first.pk, second.pk], "note": "Seen"}, **HTMX)
    assert "2 alerts acknowledged." in answer.text
    assert answer.headers["HX-Trigger"] == "fn:alerts"
    assert "Somebody was faster" in operator.post("/alerts/acknowledge/", {"id": first.pk}, **HTMX).text
    assert "Choose the alerts" in operator.post("/alerts/acknowledge/", {}, **HTMX).text
    answer = operator.post("/alerts/acknowledge/", {"id": third.pk, "back": "/alerts/?state=all"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/alerts/?state=all")
    for elsewhere in ("https://x.org/", "//x.org/"):
        answer = operator.post("/alerts/acknowledge/", {"id": third.pk, "back": elsewhere})
        assert answer.headers["Location"] == "/alerts/"
    answer = operator.post("/alerts/acknowledge/", {"id": third.pk, "note": "x" * 501}, **HTMX)
    assert "at most 500" in answer.text
    assert set(Alert.objects.values_list("note", "acknowledged_by__username")) == {("Seen", "olga"), ("", "olga")}


def test_one_alert(operator: Client) -> None:
    (one,) = found()
    page = operator.get(f"/alerts/{one.pk}/").text
    assert "Nobody was told: the rule has no channel." in page
    assert "/explore/?s=d0%2F3303%2F0%2F5700&amp;at=" in page
    assert "/logs/?device=d0&amp;at=" in page
    assert operator.get(f"/parts/alerts/{one.pk}/").status_code == 200
    assert operator.get("/alerts/999/").status_code == 404
    Rule.objects.all().delete()
    assert "deleted" in operator.get(f"/alerts/{one.pk}/").text


def test_a_device_shows_its_alerts(viewer: Client) -> None:
    found(2)
    page = viewer.get("/devices/d0/").text
    assert "Open alerts" in page
    assert page.count("is 35: above 30.") == 1
    assert "Open alerts" not in viewer.get(f"/parts/devices/alerts/{device('quiet').endpoint}/").text


def test_the_overview(viewer: Client) -> None:
    found(3, severity="critical")
    page = viewer.get("/").text
    assert "<b>3</b> open alerts</a>" in page
    assert "3 critical" in page
    assert 'id="alert-acknowledged"' in viewer.get("/statuses/").text


def test_a_rule(operator: Client) -> None:
    assert "Say what should be watched" in operator.get("/alerts/rules/new/").text
    answer = operator.post("/alerts/rules/new/", FORM)
    made = Rule.objects.get()
    assert answer.headers["Location"] == f"/alerts/rules/{made.pk}/"
    assert (made.limit, made.clear_limit, made.severity, made.created_by.username) == (30.0, 30.0, "critical", "olga")
    page = operator.get(f"/alerts/rules/{made.pk}/").text
    assert "Critical: /3303/0/5700 above 30" in page
    assert "This rule has found nothing so far." in page
    assert "never yet" in operator.get("/alerts/rules/").text
    page = operator.get(f"/alerts/rules/{made.pk}/edit/").text
    assert 'value="/3303/0/5700"' in page
    assert 'value="30.0"' in page
    operator.post(f"/alerts/rules/{made.pk}/edit/", FORM | {"kind": "status", "minutes": "5", "name": "Gone"})
    made.refresh_from_db()
    assert (made.name, made.kind, made.path, made.minutes, made.fresh) == ("Gone", "status", "", 5, True)
    operator.post(f"/alerts/rules/{made.pk}/off/")
    assert not Rule.objects.get().enabled
    assert operator.post(f"/alerts/rules/{made.pk}/explode/").status_code == 404
    assert operator.post(f"/alerts/rules/{made.pk}/delete/").headers["Location"] == "/alerts/rules/"
    assert operator.get(f"/alerts/rules/{made.pk}/").status_code == 404


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"limit": ""}, "The limit is a number."),
        ({"limit": "warm"}, "Nothing was saved"),
        ({"limit": "nan"}, "Nothing was saved"),
        ({"clear_limit": "40"}, "choose a second value"),
        ({"path": "3303"}, "is no path of a resource"),
        ({"scope": "endpoints"}, "Name 1 to 200 endpoints"),
        ({"scope": "profile"}, "Choose the profile"),
        ({"name": ""}, "A rule has a name"),
        ({"kind": "no_data"}, "The time in minutes"),
        ({"kind": "odd"}, "Nothing was saved"),
    ],
)
def test_a_rule_that_cannot_be(operator: Client, change: dict[str, str], said: str) -> None:
    answer = operator.post("/alerts/rules/new/", FORM | change)
    assert (answer.status_code, said in answer.text) == (400, True)
    assert not Rule.objects.exists()
    assert operator.post("/parts/alerts/rules/preview/", FORM | change, **HTMX).status_code == 200


def test_the_preview(operator: Client) -> None:
    for n in range(3):
        said(device(f"d{n}"), [(0, 20.0 + 10 * n)])
    device("silent")
    text = operator.post("/parts/alerts/rules/preview/", FORM | {"name": ""}, **HTMX).text
    assert '<span class="big-number num">1</span> alert would be open now' in text
    assert "It matches 4 devices, 3 series. d2" in text
    text = operator.post("/parts/alerts/rules/preview/", FORM | {"path": "/9/9/9"}, **HTMX).text
    assert "None of these devices has sent /9/9/9 yet." in text
    assert "No data on" not in text
    begun = operator.get("/alerts/rules/new/?path=/3303/0/5700&device=d1").text
    assert 'value="/3303/0/5700"' in begun
    assert ">\nd1</textarea>" in begun


def test_channels(administrator: Client) -> None:
    page = administrator.get("/alerts/channels/").text
    assert "E-mail is not set up" in page
    assert "No channel yet" in page
    hook = {"name": "hook", "kind": "webhook", "target": "https://x.org/", "secret": SECRET}
    administrator.post("/alerts/channels/", hook)
    made = Channel.objects.get()
    address = f"/alerts/channels/{made.pk}/"
    page = administrator.get(address).text
    assert SECRET not in page
    assert "Nothing was sent yet" in page
    administrator.post(address, hook | {"secret": "", "name": "other"})
    made.refresh_from_db()
    assert (made.name, made.secret) == ("other", SECRET)
    answer = administrator.post(f"{address}test/", **HTMX)
    assert "A test is on its way" in answer.text
    assert Delivery.objects.get().event == "test"
    assert "Test" in administrator.get(f"/parts/alerts/channels/{made.pk}/").text
    answer = administrator.post(address, hook | {"secret": "short"})
    assert (answer.status_code, "openssl rand" in answer.text, 'value="short"' in answer.text) == (400, True, False)
    assert administrator.post("/alerts/channels/", hook | {"target": ""}).status_code == 400
    assert administrator.post("/alerts/channels/", hook | {"name": "other"}).status_code == 400
    assert administrator.post(f"{address}delete/").headers["Location"] == "/alerts/channels/"
    assert administrator.get(address).status_code == 404


def test_a_rule_chooses_channels(operator: Client) -> None:
    channel = channel_create(name="On call", kind="email", target="a@example.org", by=None)
    assert "On call" in operator.get("/alerts/rules/new/").text
    operator.post("/alerts/rules/new/", FORM | {"channels": str(channel.pk)})
    one = device()
    said(one, [(0, 35.0)])
    Play()(1)
    page = operator.get(f"/alerts/rules/{Rule.objects.get().pk}/").text
    assert "to On call" in page
    assert "a@example.org" not in page
    assert "Waiting" in operator.get(f"/alerts/{Alert.objects.get().pk}/").text


def test_names_that_are_no_html(operator: Client) -> None:
    nasty = "<script>alert(1)</script>"
    rule(nasty)
    said(device(nasty), [(0, 35.0)])
    Play()(1)
    one = Alert.objects.get()
    for path in ("/alerts/", f"/alerts/{one.pk}/", "/alerts/rules/", f"/alerts/rules/{one.rule_id}/", "/"):
        assert nasty not in operator.get(path).text


def test_the_same_queries_for_any_number(operator: Client) -> None:
    found(1)

    def queries(path: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert operator.get(path).status_code == 200
        return len(captured)

    before = [queries(path) for path in ("/alerts/", "/alerts/rules/", "/")]
    for n in range(1, 30):
        said(device(f"more-{n}"), [(0, 35.0)])
        rule(f"rule {n}")
    Play()(2, everything=True)
    assert [queries(path) for path in ("/alerts/", "/alerts/rules/", "/")] <= before
