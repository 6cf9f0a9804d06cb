"""Profiles, rules, object models and a device's Settings and Trace tabs, without a browser."""

import html
import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from backend.accounts.models import Role
from backend.devices.models import (
    Device,
    DeviceObservation,
    ObjectDefinition,
    ObjectSpec,
    Observation,
    Profile,
    ProfileRule,
)
from backend.devices.services import device_observation_set, profile_assign, profile_create
from backend.devices.services.profiles import WantedPath
from tests.unit.api.builders import device, specs, user

pytestmark = pytest.mark.django_db

DDF = b"""<?xml version="1.0" encoding="UTF-8"?>
<LWM2M><Object ObjectType="MODefinition">
<Name>Valve</Name><Description1>A valve of ours.</Description1><ObjectID>33001</ObjectID>
<ObjectURN>urn:oma:lwm2m:x:33001</ObjectURN><LWM2MVersion>1.0</LWM2MVersion><ObjectVersion>1.0</ObjectVersion>
<MultipleInstances>Multiple</MultipleInstances><Mandatory>Optional</Mandatory>
<Resources><Item ID="1"><Name>Opening</Name><Operations>RW</Operations><MultipleInstances>Single</MultipleInstances>
<Mandatory>Mandatory</Mandatory><Type>Integer</Type><RangeEnumeration>0..100</RangeEnumeration><Units>%</Units>
<Description>How far it is open.</Description></Item></Resources>
<Description2></Description2></Object></LWM2M>"""


@pytest.fixture
def operator(client: Client, db: None) -> Client:
    client.force_login(user("olga", Role.OPERATOR))
    return client


def words(content: str) -> str:
    """What a reader sees."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", content)).split())


def rows(prefix: str, *given: dict[str, Any]) -> dict[str, Any]:
    """A formset as a browser sends it."""
    data: dict[str, Any] = {f"{prefix}-TOTAL_FORMS": len(given), f"{prefix}-INITIAL_FORMS": 0}
    for index, row in enumerate(given):
        data |= {f"{prefix}-{index}-{name}": value for name, value in row.items()}
    return data


def test_a_profile_is_made_changed_and_deleted(administrator: Client) -> None:
    page = administrator.get("/settings/profiles/new/").text
    assert 'name="paths-0-path"' in page
    groups = re.findall(r"<fieldset><legend>(.*?)</legend>(.*?)</fieldset>", page, re.DOTALL)
    assert [(words(legend), re.findall(r'name="(\w+)"', fields)) for legend, fields in groups] == [
        ("Kept for (days)", ["samples_days", "minutes_days", "hours_days", "logs_days"]),
        ("Log limits", ["logs_per_minute", "logs_mib"]),
    ]
    answer = administrator.post(
        "/settings/profiles/new/",
        {"name": "Meters", "awake_seconds": "20", "composite": "on"}
        | rows("paths", {"path": "/3303/*/5700", "pmin": "1", "pmax": "60", "gt": "30.5"}, {"path": ""}),
    )
    assert answer.headers["Location"] == "/settings/profiles/"
    profile = Profile.objects.get(name="Meters")
    assert (profile.awake_seconds, profile.composite, profile.is_default) == (20, True, False)
    [path] = profile.observations.all()
    assert (path.path, path.attributes) == ("/3303/*/5700", {"pmin": 1, "pmax": 60, "gt": 30.5})
    page = administrator.get(f"/settings/profiles/{profile.pk}/").text
    assert 'value="/3303/*/5700"' in page
    assert 'value="30.5"' in page
    answer = administrator.post(
        f"/settings/profiles/{profile.pk}/",
        {"name": "All meters"} | rows("paths", {"path": "/3/0/9", "DELETE": "on"}, {"path": "/4/0/2"}),
    )
    assert answer.status_code == 302
    profile.refresh_from_db()
    assert (profile.name, profile.awake_seconds) == ("All meters", None)
    assert [one.path for one in profile.observations.all()] == ["/4/0/2"]
    assert administrator.post(f"/settings/profiles/{profile.pk}/delete/").status_code == 302
    assert not Profile.objects.filter(pk=profile.pk).exists()
    assert administrator.get(f"/settings/profiles/{profile.pk}/").status_code == 404


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"path": "/x"}, "is not a path such as /3/0/9"),
        ({"path": "/3/0/9", "pmin": "60", "pmax": "1"}, "swap them"),
        ({"path": "/3/0/9", "gt": "much"}, "'much' is not a number"),
    ],
)
def test_what_is_wrong_with_a_profile_is_said_and_what_was_typed_stays(
    administrator: Client, row: dict[str, str], said: str
) -> None:
    before = Profile.objects.count()
    answer = administrator.post("/settings/profiles/new/", {"name": "P"} | rows("paths", row))
    assert answer.status_code == 200
    assert said in html.unescape(answer.text)
    for typed in row.values():
        assert f'value="{typed}"' in answer.text
    assert Profile.objects.count() == before


def test_rules_give_devices_their_profile(administrator: Client) -> None:
    first, second = profile_create(name="First"), profile_create(name="Second")
    for number in range(3):
        device(f"meter-{number}", manufacturer="ACME")
    device("door-1")
    answer = administrator.post(
        "/settings/profiles/rules/",
        rows(
            "rules",
            {"manufacturer": "acme", "profile": second.pk, "ORDER": "2"},
            {"endpoint": "METER-0", "profile": first.pk, "ORDER": "1"},
            {"endpoint": "gone-*", "profile": first.pk, "ORDER": "3", "DELETE": "on"},
            {"endpoint": "", "profile": first.pk},
        ),
    )
    assert answer.status_code == 302
    assert [one.endpoint for one in ProfileRule.objects.all()] == ["METER-0", ""]
    got = {one.endpoint: one.profile for one in Device.objects.all()}
    assert (got["meter-0"], got["meter-1"]) == (first, second)
    page = words(administrator.get("/settings/profiles/").text)
    assert "1 device" in page
    assert "3 devices" in page


def test_a_rule_is_previewed(administrator: Client) -> None:
    for number in range(12):
        device(f"m.{number}", model="A")
    device("mx1", model="A")
    ask = "/parts/rules/?row=rules-4&rules-4-endpoint={}&rules-4-manufacturer=&rules-4-model={}"
    assert words(administrator.get(ask.format("m.1*", "a")).text) == "3 devices"
    assert words(administrator.get(ask.format("m.%3F", "")).text) == "10 devices"
    assert words(administrator.get(ask.format("", "")).text) == "\N{EN DASH}"


def test_rules_need_patterns_that_say_something(administrator: Client) -> None:
    profile = profile_create(name="P")
    answer = administrator.post("/settings/profiles/rules/", rows("rules", {"endpoint": "*", "profile": profile.pk}))
    assert answer.status_code == 200
    assert "A rule matches by endpoint, manufacturer or model" in answer.text


def test_a_definition_is_added_shown_and_deleted(administrator: Client) -> None:
    answer = administrator.post("/settings/models/upload/", {"file": SimpleUploadedFile("valve.xml", DDF)})
    assert "Valve (33001, version 1.0) was added" in words(answer.text)
    definition = ObjectDefinition.objects.get()
    assert definition.uploaded_by is not None
    page = words(administrator.get("/settings/models/33001/1.0/").text)
    for said in ("Valve /33001", "Opening", "RW", "0..100", "%", "How far it is open."):
        assert said in page
    ObjectDefinition.objects.update(problem="no such type")
    assert "Leshan refuses it: no such type" in words(administrator.get("/settings/models/").text)
    assert administrator.post("/settings/models/33001/1.0/delete/").status_code == 302
    assert not ObjectDefinition.objects.exists()
    assert administrator.post("/settings/models/33001/1.0/delete/").status_code == 404


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"not XML", "Line 1"),
        (DDF.replace(b"33001</ObjectID>", b"70000</ObjectID>"), "Line"),
        (b"<LWM2M></LWM2M>", "Object"),
        (b"x" * 600_000, "at most 512 kB"),
    ],
)
def test_a_file_of_no_use_is_refused_with_its_reason(administrator: Client, content: bytes, said: str) -> None:
    answer = administrator.post("/settings/models/upload/", {"file": SimpleUploadedFile("x.xml", content)})
    assert answer.status_code == 200
    assert re.search(rf'class="form-error"[^§]*{said}', answer.text)
    assert not ObjectDefinition.objects.exists()
    assert "required" in administrator.post("/settings/models/upload/").text


def test_known_objects_are_for_everybody_and_searched(viewer: Client) -> None:
    specs()
    page = viewer.get("/settings/models/").text
    assert "Add definition" not in page
    assert "Temperature 1.1" in page
    assert "Temperature" not in viewer.get("/settings/models/?search=device").text
    assert "Temperature" in viewer.get("/settings/models/?search=/3303").text
    assert "Sensor Value" in viewer.get("/settings/models/3303/1.0/").text
    assert viewer.get("/settings/models/3303/9.9/").status_code == 404
    ObjectSpec.objects.all().delete()
    assert "None yet" in viewer.get("/settings/models/").text


def test_wanted_and_real_stand_side_by_side(operator: Client) -> None:
    profile = profile_create(
        name="P",
        observations=[
            WantedPath(path="/3303/*/5700", attributes={"pmax": 60}),
            WantedPath(path="/3/0/9", attributes={}),
            WantedPath(path="/3304/*/5700", attributes={}),
        ],
        awake_seconds=20,
    )
    of = device(registered=True, awake_seconds=10)
    profile_assign(devices=of, profile=profile)
    now = timezone.now()
    for path, state, reason in (("/3303/0/5700", "active", ""), ("/3303/1/5700", "failed", "METHOD_NOT_ALLOWED(405)")):
        Observation.objects.create(
            device=of, path=path, state=state, reason=reason, changed_at=now, attributes={"pmax": 60},
            attributes_set={"pmax": 60} if state == "active" else {},
        )  # fmt: skip
    device_observation_set(device=of, path="/3/0/9", wanted=False, by=None)
    device_observation_set(device=of, path="/4/0/2", attributes={"pmin": 5}, by=None)
    page = operator.get("/devices/dev-1/?tab=settings").text
    text = words(page)
    for said in ("chosen by hand", "In use 10 s Profile 20 s Learned 10 s", "Method not allowed (4.05)", "pmin 5"):
        assert said in text
    assert "The device does not list this object." in text
    assert "Not wanted on this device." in text
    assert "profile /3303/*/5700" in text
    chosen = operator.get("/devices/dev-1/?tab=settings&path=/4/0/2").text
    assert 'value="/4/0/2"' in chosen
    assert re.search(r'name="pmin" value="5"', chosen)


def test_a_devices_own_observations(operator: Client) -> None:
    of = device()
    address = "/device-settings/observation/dev-1/"
    answer = operator.post(address, {"action": "observe", "path": "/3303/0/5700", "pmin": "1", "st": "0.5"})
    assert answer.headers["Location"] == "/devices/dev-1/?tab=settings"
    assert DeviceObservation.objects.get(device=of).attributes == {"pmin": 1, "st": 0.5}
    operator.post(address, {"action": "remove", "path": "/3303/0/5700"})
    assert DeviceObservation.objects.get(device=of).wanted is False
    operator.post(address, {"action": "clear", "path": "/3303/0/5700"})
    assert not DeviceObservation.objects.exists()
    for data, said in (
        ({"path": "3303"}, "path"),
        ({"path": "/3/0/9", "pmin": "9", "pmax": "2"}, "swap them"),
        ({"action": "remove", "path": "nonsense"}, "path"),
    ):
        answer = operator.post(address, {"action": "observe", **data})
        assert answer.status_code == 200
        assert re.search(rf'role="alert">[^<]*{said}', answer.text), answer.text[-3000:]
    assert not DeviceObservation.objects.exists()


def test_a_devices_profile_by_hand_and_back(operator: Client) -> None:
    profile = profile_create(name="By hand")
    of = device()
    operator.post("/device-settings/profile/dev-1/", {"profile": profile.pk})
    of.refresh_from_db()
    assert (of.profile, of.profile_by_hand) == (profile, True)
    operator.post("/device-settings/profile/dev-1/", {"profile": ""})
    of.refresh_from_db()
    assert (of.profile, of.profile_by_hand) == (None, True)
    operator.post("/device-settings/profile/dev-1/", {"rules": "1"})
    of.refresh_from_db()
    assert (of.profile, of.profile_by_hand) == (Profile.objects.get(is_default=True), False)
    assert "Choose one of the profiles." in operator.post("/device-settings/profile/dev-1/", {"profile": "77"}).text


def test_viewers_see_the_tab_but_change_nothing(viewer: Client) -> None:
    device()
    page = viewer.get("/devices/dev-1/?tab=settings")
    assert page.status_code == 200
    assert "<form" not in page.text.partition('id="device-settings"')[2].partition('id="legend"')[0]
    assert viewer.post("/device-settings/profile/dev-1/").status_code == 403


def test_the_trace_is_for_administrators(viewer: Client) -> None:
    device('a "b"/c')
    address = "/devices/a%20%22b%22%2Fc/"
    page = viewer.get(address)
    assert "tab=trace" not in page.text
    assert viewer.get(address + "?tab=trace").status_code == 403
    viewer.force_login(user("ada", Role.ADMINISTRATOR))
    page = viewer.get(address + "?tab=trace")
    assert "tab=trace" in page.text
    assert 'data-trace="/debug/trace/?ep=a+%22b%22%2Fc"' in page.text
