"""What the API answers about log lines."""

import json
from typing import Any, cast

import pytest
from django.test import Client

from backend.api import log_schemas as schemas
from backend.devices.models import Device
from backend.logs.selectors import LineFilter, stream_iter
from backend.logs.text import pieces
from tests.unit.api.builders import user
from tests.unit.logs.rows import SECOND, T0, numbered, store

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture
def api(client: Client) -> Client:
    client.force_login(user("viewer"))
    made = Device.objects.create(endpoint="a/b c")
    Device.objects.create(endpoint="quiet")
    store(made, numbered(0, 9), numbered(20, 29, lost=10), b"unread", received=T0 + SECOND)
    return client


def get(api: Client, path: str, *, expect: int = 200, **query: Any) -> Any:
    answer = api.get(f"/api/v1{path}", query_params=query)
    assert answer.status_code == expect, answer.content
    return json.loads(answer.content)


def test_lines(api: Client) -> None:
    found = get(api, "/logs", limit=12)
    shaped = schemas.Lines.model_validate(found)
    assert [line.sequence for line in shaped.items] == [None, *range(29, 19, -1), 9]
    assert (shaped.items[0].severity, shaped.items[1].severity) == ("unread", "info")
    assert shaped.items[0].problem
    assert shaped.newest
    assert [(loss.first, loss.lost, loss.reason) for loss in shaped.losses] == [(10, 10, "device")]
    rest = get(api, "/logs", before=found["older"])
    assert [line["sequence"] for line in rest["items"]] == list(range(8, -1, -1))
    assert rest["older"] is None
    assert get(api, "/logs", after=found["newer"])["items"] == []


def test_filters(api: Client) -> None:
    def count(**query: Any) -> int:
        return len(get(api, "/logs", **query)["items"])

    assert count(device="a/b c") == count(device=["quiet", "a/b c"]) == 21
    assert count(device="quiet") == 0
    assert count(severity="error") == 1
    assert count(severity="info", module="main") == 20
    assert count(search="LINE 2") == 11
    assert count(search="%") == 0
    first = get(api, "/logs")["items"][-1]["time"]
    assert count(start=first, end=T0 / 1000 + 930) == 2
    assert count(around=first, limit=2) == 1


def test_modules(api: Client) -> None:
    assert get(api, "/logs/modules") == {"items": ["main"]}
    assert get(api, "/logs/modules", device="quiet") == {"items": []}
    get(api, "/logs/modules", device="nobody", expect=404)


@pytest.mark.parametrize(
    ("query", "expect"),
    [
        ({"device": "nobody"}, 404),
        ({"severity": "loud"}, 422),
        ({"search": "x" * 201}, 422),
        ({"search": "a\0"}, 400),
        ({"module": "a\0"}, 400),
        ({"limit": 0}, 422),
        ({"limit": 1001}, 422),
        ({"before": "x"}, 400),
        ({"after": "1"}, 400),
        ({"before": "1.2", "after": "1.2"}, 400),
        ({"around": 5, "after": "1.2"}, 400),
        ({"start": 5, "end": 4}, 400),
        ({"start": "soon"}, 422),
        ({"devices": "a"}, 400),
    ],
)
def test_what_is_refused(api: Client, query: dict[str, Any], expect: int) -> None:
    found = get(api, "/logs", expect=expect, **query)
    assert set(found) == {"detail"}
    assert "\n" not in found["detail"]


@pytest.mark.parametrize("format_", ["text", "ndjson"])
def test_download(api: Client, format_: str) -> None:
    answer = api.get("/api/v1/logs/download", query_params={"format": format_})
    assert answer.status_code == 200
    assert "attachment" in answer.headers["Content-Disposition"]
    expected = b"".join(pieces(stream_iter(filter=LineFilter()), format_=format_))
    assert b"".join(cast(Any, answer).streaming_content) == expected
    assert len(expected.splitlines()) == 22
    assert api.get("/api/v1/logs/download", query_params={"search": "\0"}).status_code == 400
