"""Alerts, rules and channels over the API."""

from typing import Any

import pytest
from django.test import Client

from backend.accounts.models import Role
from backend.alerts.models import Alert, Channel, Delivery, Rule
from backend.api import alert_schemas as schemas
from tests.unit.alerts.rows import Play, at, rule, said
from tests.unit.api.builders import device, user

pytestmark = [pytest.mark.django_db, pytest.mark.database]

SECRET = "0123456789abcdef"
HOT = {"name": "Too hot", "kind": "threshold", "path": "/3303/*/5700", "limit": 30, "clear_limit": 28}


def as_(role: Role) -> Client:
    client = Client()
    client.force_login(user(role.value, role))
    return client


@pytest.fixture
def operator() -> Client:
    return as_(Role.OPERATOR)


def ask(client: Client, method: str, path: str, body: Any = None, *, expect: int = 200) -> Any:
    answer = getattr(client, method)(f"/api/v1{path}", body, content_type="application/json")
    assert answer.status_code == expect, answer.content
    return answer.json() if answer.content else None


def test_rules(operator: Client) -> None:
    made = ask(operator, "post", "/alerts/rules", HOT, expect=201)
    schemas.Rule.model_validate(made)
    assert made["condition"] == "/3303/*/5700 above 30, until it is 28"
    address = f"/alerts/rules/{made['id']}"
    assert ask(operator, "get", address) == made
    assert ask(operator, "get", "/alerts/rules")["items"] == [made]
    changed = ask(operator, "put", address, {"name": "Gone", "kind": "status", "status": "offline", "minutes": 5})
    assert (changed["condition"], changed["path"], changed["limit"], changed["comparison"]) == (
        "offline for 5 min", "", None, None,
    )  # fmt: skip
    ask(operator, "delete", address, expect=204)
    ask(operator, "get", address, expect=404)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": " "}, "A rule has a name"),
        ({"path": "/3303"}, "is no path of a resource"),
        ({"path": "/*/0/5700"}, "is no path of a resource"),
        ({"limit": None}, "The limit is a number"),
        ({"clear_limit": 31}, "choose a second value on the other side"),
        ({"scope": "endpoints"}, "Name 1 to 200 endpoints"),
        ({"scope": "profile", "profile": 99}, "Choose the profile"),
        ({"kind": "no_data"}, "The time in minutes is a whole number"),
        ({"kind": "status"}, "The status is one of offline, asleep, blocked"),
        ({"for_seconds": -1}, "The time in seconds"),
        ({"channels": [7]}, "channels that there are"),
    ],
)
def test_what_cannot_be(operator: Client, change: dict[str, Any], said: str) -> None:
    assert said in ask(operator, "post", "/alerts/rules", HOT | change, expect=400)["detail"]
    assert not Rule.objects.exists()


def test_a_name_once(operator: Client) -> None:
    ask(operator, "post", "/alerts/rules", HOT, expect=201)
    assert "already" in ask(operator, "post", "/alerts/rules", HOT, expect=400)["detail"]


def test_trying_a_rule(operator: Client) -> None:
    for n in range(4):
        said(device(f"d{n}"), [(0, 20.0), (10, 25.0 + 5 * n)])
    device("silent")
    found = ask(operator, "post", "/alerts/rules?test=true", HOT)
    assert found == {
        "devices": 5, "series": 4, "open": 2, "examples": ["d2", "d3"],
        "condition": "/3303/*/5700 above 30, until it is 28",
    }  # fmt: skip
    found = ask(
        operator, "post", "/alerts/rules?test=true", HOT | {"scope": "endpoints", "endpoints": ["D[0-1]", "d?"]}
    )
    assert found["devices"] == 4
    assert ask(operator, "post", "/alerts/rules?test=true", {"name": "x", "kind": "no_data", "path": "/3303/0/5700",
                                                        "minutes": 1})["open"] == 4  # fmt: skip
    assert not Rule.objects.exists()


def test_alerts(operator: Client) -> None:
    one, two = device("one"), device("two")
    rule()
    for each in (one, two):
        said(each, [(0, 35.0)])
    Play()(1, one, two)
    found = ask(operator, "get", "/alerts")
    schemas.Alerts.model_validate(found)
    assert ([item["device"] for item in found["items"]], found["open"]) == (["two", "one"], 2)
    assert ask(operator, "get", "/alerts?limit=1")["next"] == found["items"][0]["id"]
    assert [item["device"] for item in ask(operator, "get", "/alerts?device=one&state=open")["items"]] == ["one"]
    assert ask(operator, "get", "/alerts?severity=critical")["items"] == []
    ids = [item["id"] for item in found["items"]]
    body = {"alerts": [ids[0], 999], "note": "Olga drives there"}
    assert ask(operator, "post", "/alerts", body) == {"acknowledged": 1}
    assert ask(operator, "post", "/alerts", body) == {"acknowledged": 0}
    item = ask(operator, "get", "/alerts?state=acknowledged")["items"][0]
    assert (item["note"], item["acknowledged_by"], item["state"]) == ("Olga drives there", "operator", "acknowledged")
    said(two, [(10, 1.0)])
    Play()(11, two)
    assert [item["state"] for item in ask(operator, "get", "/alerts?state=cleared")["items"]] == ["cleared"]
    ask(operator, "get", "/alerts?colour=red", expect=400)
    ask(operator, "get", "/alerts?device=nobody", expect=404)


def test_channels_keep_their_secret() -> None:
    client = as_(Role.ADMINISTRATOR)
    hook = {"name": "hook", "kind": "webhook", "target": "https://hooks.example.org/T0/secret", "secret": SECRET}
    made = ask(client, "post", "/alerts/channels", hook, expect=201)
    schemas.Channel.model_validate(made)
    ask(client, "post", "/alerts/channels", {"name": "mail", "kind": "email", "target": "a@x.org b@x.org"}, expect=201)
    listed = ask(client, "get", "/alerts/channels")
    assert SECRET not in str(listed)
    assert [one["target"] for one in listed["items"]] == [hook["target"], "a@x.org\nb@x.org"]
    seen = ask(as_(Role.VIEWER), "get", "/alerts/channels")
    assert [one["target"] for one in seen["items"]] == ["https://hooks.example.org", "2 addresses"]
    address = f"/alerts/channels/{made['id']}"
    ask(client, "put", address, hook | {"secret": "", "name": "other"})
    assert Channel.objects.get(pk=made["id"]).secret == SECRET
    ask(client, "put", address, hook | {"kind": "email"}, expect=400)
    test = ask(client, "post", address, expect=201)
    assert ask(client, "get", f"{address}/deliveries")["items"] == [test]
    ask(client, "delete", address, expect=204)
    assert not Delivery.objects.exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"target": "ftp://x/"}, "http or https"),
        ({"target": "https://"}, "http or https"),
        ({"target": "https://u:p@x.org/"}, "leave them out"),
        ({"target": "http://x.org:99999/"}, "http or https"),
        ({"target": "https://x.org/a b"}, "http or https"),
        ({"secret": ""}, "openssl rand"),
        ({"secret": "short"}, "openssl rand"),
        ({"kind": "email", "target": "nobody"}, "no e-mail address"),
        ({"kind": "email", "target": "a@x.org\r\nBcc: b@x.org"}, "no e-mail address"),
        ({"name": ""}, "A channel has a name"),
    ],
)
def test_channels_that_cannot_be(change: dict[str, str], said: str) -> None:
    body = {"name": "hook", "kind": "webhook", "target": "https://x.org/", "secret": SECRET} | change
    assert said in ask(as_(Role.ADMINISTRATOR), "post", "/alerts/channels", body, expect=400)["detail"]


def test_who_may() -> None:
    viewer, operator = as_(Role.VIEWER), as_(Role.OPERATOR)
    ask(viewer, "post", "/alerts/rules", HOT, expect=403)
    ask(viewer, "post", "/alerts", {"alerts": [1]}, expect=403)
    ask(operator, "post", "/alerts/channels", {"name": "x", "kind": "email", "target": "a@x.org"}, expect=403)
    assert not Alert.objects.filter(opened_at__gt=at(0)).exists()
