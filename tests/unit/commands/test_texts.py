"""One line for people."""

from typing import Any

import pytest
from django.utils import timezone

from backend.commands.actions import ACTIONS, ActionError, action_get, arguments_at
from backend.commands.models import Command, Kind, State
from backend.commands.services.check import arguments_check
from backend.commands.texts import answer_summary, command_summary
from backend.lwm2m.nodes import nothing_known


@pytest.mark.parametrize(
    ("kind", "path", "arguments", "says"),
    [
        ("read", "/3/0", {}, "Read /3/0"),
        (
            "write",
            "/1/0/1",
            {"mode": "update", "node": {"kind": "singleResource", "id": 1, "type": "INTEGER", "value": "300"}},
            "Write /1/0/1 (update): 300",
        ),
        (
            "write",
            "/1/0",
            {"node": {"id": 0, "resources": [{"id": n, "type": "INTEGER", "value": str(n)} for n in range(5)]}},
            "Write /1/0: 0: 0, 1: 1, 2: 2, … 5 values in all",
        ),
        (
            "write_attributes",
            "/3/0",
            {"attributes": {"pmin": 1, "gt": None}},
            "Write attributes /3/0: pmin=1, gt unset",
        ),
        ("execute", "/3/0/4", {"arguments": "0='a'"}, "Execute /3/0/4: 0='a'"),
        ("create", "/9", {"node": {"resources": []}}, "Create /9: 0 resources, the device chooses the number"),
        ("read_composite", "", {"paths": ["/3", "/4"]}, "Read composite /3, /4"),
        (
            "write_composite",
            "",
            {"nodes": {"/1/0/1": {"type": "STRING", "value": "x" * 99}}},
            f"Write composite: /1/0/1: {'x' * 59}…",
        ),
    ],
)
def test_what_was_asked(kind: str, path: str, arguments: Any, says: str) -> None:
    assert command_summary(Command(kind=kind, path=path, arguments=arguments)) == says


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"state": State.QUEUED, "reason": "waits"}, "waits"),
        ({"state": State.SUCCEEDED, "status": "CHANGED(204)", "answer": {"status": "CHANGED(204)"}}, "Changed (2.04)"),
        ({"state": State.SUCCEEDED, "status": "CHANGED(204)"}, "Changed (2.04)"),
        (
            {"state": State.SUCCEEDED, "status": "CONTENT(205)", "answer": {"cut": 900}},
            "Content (2.05), 900 characters",
        ),
        (
            {
                "state": State.SUCCEEDED,
                "path": "/3/0/9",
                "answer": {"content": {"kind": "singleResource", "id": 9, "type": "INTEGER", "value": "61"}},
            },
            "61",
        ),
        (
            {
                "state": State.SUCCEEDED,
                "answer": {"content": {"/3/0/9": {"id": 9, "type": "INTEGER", "value": "61"}, "/4/0/1": None}},
            },
            "/3/0/9: 61",
        ),
        ({"state": State.SUCCEEDED, "answer": {"objectLinks": [{}]}}, "1 link"),
        ({"state": State.SUCCEEDED, "answer": {"location": "/9/1"}}, "created /9/1"),
        (
            {"state": State.SUCCEEDED, "path": "/3/0/9", "answer": {"content": {"odd": 1}}},
            "/3/0/9: a node without a value",
        ),
    ],
)
def test_what_came_of_it(fields: dict[str, Any], says: str) -> None:
    assert answer_summary(Command(kind=Kind.READ, **fields)) == says


def test_every_action_is_a_command_that_can_be_asked() -> None:
    typed = {"lifetime": "300", "mute": "true"}
    for key, action in ACTIONS.items():
        arguments = action.arguments(typed.get(key, ""))
        checked = arguments_check(
            kind=action.kind,
            path=action.path,
            arguments=arguments,
            content_format="",
            definitions=nothing_known,
            force=False,
        )
        assert checked.items() >= ({} if action.kind == Kind.EXECUTE else {"mode": "replace"}).items()
        if not action.input:
            with pytest.raises(ActionError):
                action.arguments("x")
    for bad in ("", "0", "x", "-5", "99999999999999999999"):
        with pytest.raises(ActionError):
            action_get(key="lifetime").arguments(bad)
    with pytest.raises(ActionError):
        action_get(key="mute").arguments("maybe")
    with pytest.raises(ActionError, match="use one of"):
        action_get(key="dance")


def test_a_clock_is_set_to_the_time_of_sending() -> None:
    arguments = action_get(key="clock").arguments("")
    at = timezone.now()
    assert arguments_at(arguments, at=at)["node"]["value"] == int(at.timestamp()) * 1000
    plain = {"node": {"value": 1}}
    assert arguments_at(plain, at=at) == plain
