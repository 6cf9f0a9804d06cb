"""Acting on devices: what is asked, who may ask, what the pages say of it."""

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backend.accounts.models import Role
from backend.commands.models import Command, CommandBatch, State
from backend.devices.models import Device, DeviceObservation, ObjectSpec, Status
from backend.ui.panel import panel_of
from backend.ui.values import values_page
from tests.unit.api.builders import NOW, device, resource, specs, user

pytestmark = pytest.mark.django_db

NODE = {"kind": "singleResource", "id": 9, "type": "INTEGER", "value": "87"}
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def operator(client: Client) -> Client:
    """A browser in which an operator is signed in."""
    client.force_login(user("olga", Role.OPERATOR))
    return client


def server_model() -> None:
    spec = {
        "id": 1, "name": "LwM2M Server", "version": "1.0", "instancetype": "multiple",
        "resourcedefs": [
            {"id": 1, "name": "Lifetime", "type": "integer", "operations": "RW", "range": "1..86400",
             "instancetype": "single", "mandatory": True, "units": "s"},
            {"id": 6, "name": "Storing", "type": "boolean", "operations": "RW", "instancetype": "single"},
            {"id": 8, "name": "Update", "type": "none", "operations": "E", "instancetype": "single"},
        ],
    }  # fmt: skip
    ObjectSpec.objects.create(object_id=1, version="1.0", name="LwM2M Server", spec=spec, fetched_at=NOW)


def test_the_tree_holds_what_is_listed_and_what_the_model_has(operator: Client) -> None:
    specs()
    server_model()
    dev = device(registered=True)
    dev.registration.object_links = [*dev.registration.object_links, {"url": "/1/0", "attributes": {}}, {"url": "/40"}]
    dev.registration.save()
    resource(dev, "/33000/0/7", "STRING", "x")
    groups = {group.path: group for group in values_page(device=Device.objects.get()).groups}
    assert list(groups) == ["/1/0", "/3/0", "/40", "/3303/0", "/33000/0"]
    assert [row.id for row in groups["/1/0"].rows] == [1]
    assert [row.id for row in groups["/1/0"].more] == [6, 8]
    assert groups["/3303/0"].version == "1.1"
    assert groups["/40"].instance is None
    page = operator.get("/devices/dev-1/?at=/1/0/1").text
    assert "2 more in the model" in page
    assert 'aria-label="Lifetime /1/0/1"' in page
    assert 'max="86400"' in page


def test_a_write_is_checked_queued_and_told(operator: Client) -> None:
    server_model()
    dev = device(registered=True)
    form = {"kind": "write", "path": "/1/0/1", "type": "INTEGER", "value": "600"}
    said = operator.post("/commands/ask/dev-1/", form, **HTMX)
    assert said.status_code == 200
    assert said.headers["HX-Trigger"] == "fn:commands"
    command = Command.objects.get()
    assert command.arguments["node"]["value"] == "600"
    assert "goes out at its turn" in said.text
    assert f"/commands/{command.pk}/cancel/" in said.text
    refused = operator.post("/commands/ask/dev-1/", {**form, "value": "0"}, **HTMX)
    assert "1..86400" in refused.text
    assert 'role="alert"' in refused.text
    assert Command.objects.count() == 1
    # without script: a page that says it, and one that shows it
    assert operator.post("/commands/ask/dev-1/", {**form, "value": "0"}).status_code == 400
    assert operator.post("/commands/ask/dev-1/", form).headers["Location"] == "/devices/dev-1/?at=%2F1%2F0%2F1"
    assert dev.commands.count() == 2


def test_several_values_and_a_switch_that_is_off(operator: Client) -> None:
    server_model()
    dev = device(registered=True)
    operator.post("/commands/ask/dev-1/", {"kind": "write", "path": "/1/0/6", "type": "BOOLEAN"}, **HTMX)
    many = {"kind": "write", "path": "/33000/0/4", "type": "INTEGER", "multiple": "1"}
    operator.post("/commands/ask/dev-1/", {**many, "number": ["0", "3", ""], "value": ["5", "7", ""]}, **HTMX)
    twice = operator.post("/commands/ask/dev-1/", {**many, "number": ["0", "0"], "value": ["5", "7"]}, **HTMX)
    assert "twice" in twice.text
    second, first = dev.commands.all()
    assert first.arguments["node"]["value"] is False
    assert second.arguments["node"]["values"] == {"0": "5", "3": "7"}


def test_observing_with_attributes_is_a_wish_and_a_command(operator: Client) -> None:
    specs()
    dev = device(registered=True)
    form = {"kind": "observe", "path": "/3303/0/5700", "pmin": "5", "pmax": "60", "gt": "", "lt": "", "st": "0.5"}
    operator.post("/commands/ask/dev-1/", form, **HTMX)
    assert DeviceObservation.objects.get().attributes == {"pmin": 5, "pmax": 60, "st": 0.5}
    assert dev.commands.get().kind == "observe"
    bad = operator.post("/commands/ask/dev-1/", {**form, "pmax": "1"}, **HTMX)
    assert "shorter than pmin" in bad.text
    operator.post("/commands/profile/dev-1/", {"path": "/3303/0/5700"}, **HTMX)
    assert not DeviceObservation.objects.exists()


def test_a_refused_observe_leaves_no_wish(operator: Client) -> None:
    """The attributes are kept only together with the command."""
    server_model()
    dev = device(registered=True)
    form = {"kind": "observe", "path": "/1/0/8", "pmin": "5", "pmax": "", "gt": "", "lt": "", "st": ""}
    refused = operator.post("/commands/ask/dev-1/", form, **HTMX)
    assert "cannot be read or observed" in refused.text
    assert not DeviceObservation.objects.exists()
    assert not dev.commands.exists()


def test_an_objects_menu_is_fetched_when_it_opens(operator: Client) -> None:
    server_model()
    device(registered=True)
    page = operator.get("/devices/dev-1/").text
    assert "Delete instance" not in page
    menu = operator.get("/parts/devices/menu/dev-1/", {"at": "/1/0"}).text
    assert "Delete instance" in menu
    assert "Discover" in menu
    assert "Delete instance" not in operator.get("/parts/devices/menu/dev-1/", {"at": "/1"}).text


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (Status.ASLEEP, "goes out when the device wakes, expected by"),
        (Status.OFFLINE, "goes out when the device registers again"),
        (Status.NEVER_SEEN, "connects for the first time"),
        (Status.BLOCKED, "it is blocked"),
    ],
)
def test_what_a_command_waits_for(operator: Client, status: str, said: str) -> None:
    device(registered=True)
    Device.objects.update(status=status)
    answer = operator.post("/commands/ask/dev-1/", {"kind": "read", "path": "/3/0/9"}, **HTMX)
    assert said in answer.text


def made(dev: Device, state: str = State.QUEUED, **fields: object) -> Command:
    now = timezone.now()
    if state not in {State.QUEUED, State.SENT}:
        fields = {"ended_at": now, "reason": "because", **fields}
    values = {"kind": "read", "path": "/3/0/9", "asked_at": now, "expires_at": now + timedelta(hours=1)}
    return Command.objects.create(device=dev, state=state, **{**values, **fields})


def test_the_log_is_filtered_by_its_address(operator: Client) -> None:
    one, other = device("one"), device("other")
    made(one, State.FAILED, reason="4.04 Not Found")
    made(one, path="/1/0/1")
    made(
        other,
        State.SUCCEEDED,
        answer={"content": {"kind": "singleResource", "id": 9, "type": "INTEGER", "value": "87"}},
    )
    assert operator.get("/commands/").text.count("command-row") == 3
    assert "4.04 Not Found" in operator.get("/commands/?state=failed").text
    assert operator.get("/commands/?path=/1").text.count("command-row") == 1
    assert operator.get("/commands/?kind=nonsense&by=nobody&page=99").text.count("command-row") == 3
    page = operator.get("/devices/other/?tab=commands").text
    assert page.count("command-row") == 1
    assert "87" in page
    overview = operator.get("/").text
    assert "/commands/?state=failed" in overview


def test_a_devices_answer_is_said_in_words(viewer: Client) -> None:
    dev = device()
    made(dev, State.SUCCEEDED, status="CHANGED(204)", answer={"status": "CHANGED(204)", "success": True})
    made(dev, State.FAILED, status="METHOD_NOT_ALLOWED(405)", reason="The device refuses.")
    made(dev)
    for path in ("/commands/", "/devices/dev-1/?tab=commands"):
        page = viewer.get(path).text
        assert "<dt>Status</dt><dd>Method not allowed (4.05)</dd>" in page
        assert "<dt>Status</dt><dd>Changed (2.04)</dd>" in page
        assert "<dt>Status</dt><dd>\N{EN DASH}</dd>" in page
        # the answer as it came is shown where somebody asks for it
        assert page.count("CHANGED(204)") == 1
        assert "METHOD_NOT_ALLOWED" not in page


def test_cancel_and_repeat(operator: Client) -> None:
    command = made(device())
    assert "cancelled by olga" in operator.post(f"/commands/{command.pk}/cancel/", **HTMX).text
    assert "Already ended" in operator.post(f"/commands/{command.pk}/cancel/", **HTMX).text
    assert "Queued" in operator.post(f"/commands/{command.pk}/repeat/", **HTMX).text
    assert Command.objects.filter(state=State.QUEUED).count() == 1
    assert operator.post("/commands/999/cancel/").status_code == 404


def test_one_click(operator: Client) -> None:
    device(registered=True)
    operator.post("/commands/act/dev-1/", {"action": "lifetime", "value": "600"}, **HTMX)
    assert Command.objects.get().path == "/1/0/1"
    assert "whole number" in operator.post("/commands/act/dev-1/", {"action": "lifetime", "value": "x"}, **HTMX).text
    assert "there is no action" in operator.post("/commands/act/dev-1/", {"action": "x"}, **HTMX).text.lower()


def test_many_devices_are_asked_after_a_question(operator: Client) -> None:
    server_model()
    for number in range(7):
        device(f"a-{number}", status="online" if number else "offline")
    page = operator.get("/commands/new/?all=1&status=online").text
    assert "Command for 6 devices" in page
    form = {"all": "1", "status": "online", "kind": "write", "path": "/1/0/1", "type": "INTEGER", "value": "60"}
    question = operator.post("/commands/new/", form).text
    assert "Write /1/0/1 on 6 devices?" in question
    assert not Command.objects.exists()
    done = operator.post("/commands/new/", {**form, "confirmed": "1"})
    batch = CommandBatch.objects.get()
    assert done.headers["Location"] == f"/commands/batches/{batch.pk}/"
    assert batch.commands.count() == 6
    assert "0 of 6 ended" in operator.get(done.headers["Location"]).text
    operator.post(f"/commands/batches/{batch.pk}/cancel/")
    assert "6 of 6 ended" in operator.get(f"/parts/batches/{batch.pk}/").text
    wrong = operator.post("/commands/new/", {**form, "value": "0", "confirmed": "1"})
    assert "1..86400" in wrong.text
    nobody = operator.post("/commands/new/", {"kind": "read", "path": "/3/0/9", "confirmed": "1"})
    assert "No device is chosen" in nobody.text


def test_viewers_look_and_do_not_act(viewer: Client) -> None:
    dev = device(registered=True)
    specs()
    command = made(dev)
    now = timezone.now()
    batch = CommandBatch.objects.create(kind="read", path="/3/0/9", asked_at=now)
    posts = [
        "/commands/ask/dev-1/", "/commands/act/dev-1/", "/commands/profile/dev-1/", "/commands/new/",
        f"/commands/{command.pk}/cancel/", f"/commands/{command.pk}/repeat/", f"/commands/batches/{batch.pk}/cancel/",
    ]  # fmt: skip
    for path in posts:
        answer = viewer.post(path, {"kind": "read", "path": "/3/0/9"})
        assert answer.status_code == 403, path
        assert "This needs the role operator or administrator" in answer.text
    for path in (
        "/devices/dev-1/?at=/3/0/9",
        "/devices/dev-1/?tab=commands",
        "/commands/",
        f"/commands/batches/{batch.pk}/",
    ):
        page = viewer.get(path).text
        assert "hx-post" not in page, path
    assert Command.objects.count() == 1


def test_a_panel_asks_little_of_the_database(operator: Client) -> None:
    specs()
    dev = device(registered=True)
    for number in range(300):
        resource(dev, f"/3303/{number}/5700", "FLOAT", "1.5")
    with CaptureQueriesContext(connection) as captured:
        assert operator.get("/devices/dev-1/").status_code == 200
    assert len(captured) <= 13, json.dumps([one["sql"][:90] for one in captured], indent=1)
    with CaptureQueriesContext(connection) as captured:
        panel_of(device=Device.objects.select_related("registration").get(pk=dev.pk), path="/3303/0/5700")
    assert len(captured) <= 8
