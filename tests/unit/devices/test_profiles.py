"""Profiles, rules, and who gets what; object definitions."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from backend.devices.models import Device, ObjectDefinition, ObjectSpec, Profile
from backend.devices.services import (
    DOUBTED,
    DefinitionError,
    ProfileError,
    Rule,
    WantedPath,
    definition_delete,
    definition_upload,
    objectspecs_drop,
    profile_assign,
    profile_create,
    profile_delete,
    profile_rules_set,
    profile_update,
    profiles_apply_rules,
)
from tests.unit.lwm2m.test_ddf import GOOD

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def profile_of(endpoint: str) -> str | None:
    profile = Device.objects.select_related("profile").get(endpoint=endpoint).profile
    return profile.name if profile else None


def test_there_is_one_default() -> None:
    profile_create(name=" New  one ", is_default=True)
    assert list(Profile.objects.filter(is_default=True).values_list("name", flat=True)) == ["New one"]
    with pytest.raises(ProfileError, match="already"):
        profile_create(name="New one", is_default=True)
    assert Profile.objects.filter(is_default=True).count() == 1


def test_a_change_is_whole_or_nothing() -> None:
    profile = profile_create(name="a", observations=[WantedPath(path="/3/0/9", attributes={"pmin": 1, "gt": None})])
    assert profile.observations.get().attributes == {"pmin": 1}
    profile_update(profile=profile, name="b", observations=None, awake_seconds=20, composite=True, is_default=False)
    assert profile.observations.count() == 1
    with pytest.raises(ProfileError, match="epmin"):
        profile_update(
            profile=profile,
            name="c",
            observations=[WantedPath(path="/3/0/9", attributes={"epmin": 1})],
            awake_seconds=None,
            composite=False,
            is_default=False,
        )
    stored = Profile.objects.get(pk=profile.pk)
    assert (stored.name, stored.awake_seconds, stored.composite) == ("b", 20, True)


@pytest.mark.parametrize("path", ["", "3", "/", "/*", "/3/0/*", "/3/*/x", "/70000", "/3/0/0/0/0", "/*/0"])
def test_what_is_no_pattern(path: str) -> None:
    with pytest.raises(ProfileError, match="is not a path"):
        profile_create(name="a", observations=[WantedPath(path=path, attributes={})])


def test_the_first_rule_that_matches_wins() -> None:
    lamps, rest = profile_create(name="lamps"), profile_create(name="rest")
    default = Profile.objects.get(is_default=True)
    for endpoint, model in (("lamp-1", "LX"), ("LAMP.2", "lx"), ("lampXX", ""), ("pump [1]", "P"), ("\u00dcber", "P")):
        Device.objects.create(endpoint=endpoint, model=model)
    profile_rules_set(
        rules=[
            Rule(profile_id=lamps.pk, endpoint="lamp?[12]*"),
            Rule(profile_id=lamps.pk, endpoint="LAMP*", model="lx"),
            Rule(profile_id=rest.pk, endpoint="pump [1]"),
            Rule(profile_id=rest.pk, endpoint="\u00fcber"),
        ]
    )
    assert profile_of("lamp-1") == "lamps"
    assert profile_of("LAMP.2") == "lamps"
    assert profile_of("lampXX") == default.name
    # no more than the two signs have a meaning
    assert profile_of("pump [1]") == "rest"
    assert profile_of("\u00dcber") == "rest"
    profile_delete(profile=lamps)
    assert profile_of("lamp-1") == default.name


def test_rules_of_one_profile_keep_their_place() -> None:
    one, two = profile_create(name="one"), profile_create(name="two")
    profile_rules_set(
        rules=[
            Rule(profile_id=one.pk, model="a"),
            Rule(profile_id=two.pk, model="b"),
            Rule(profile_id=one.pk, model="c"),
        ]
    )
    made = profile_rules_set(rules=[Rule(profile_id=one.pk, model="d")], profile=one)
    assert [(rule.profile.name, rule.model) for rule in made] == [("one", "d"), ("two", "b")]
    with pytest.raises(ProfileError, match="a rule matches by"):
        profile_rules_set(rules=[Rule(profile_id=one.pk, endpoint="*")])
    with pytest.raises(ProfileError, match="no profile"):
        profile_rules_set(rules=[Rule(profile_id=two.pk + 999, model="x")])


def test_a_persons_choice_stays_until_it_is_taken_back() -> None:
    mine, theirs = profile_create(name="mine"), profile_create(name="theirs")
    device = Device.objects.create(endpoint="d", model="m")
    assert profile_assign(devices=device, profile=mine) == 1
    profile_rules_set(rules=[Rule(profile_id=theirs.pk, model="m")])
    assert profile_of("d") == "mine"
    assert profile_assign(devices=[device], profile=None) == 1
    assert profiles_apply_rules(device_ids=[device.pk]) == 0
    assert profile_of("d") is None
    assert profile_assign(devices=Device.objects.filter(model="m"), profile=None, by_hand=False) == 1
    assert profile_of("d") == "theirs"
    with pytest.raises(ProfileError):
        profile_assign(devices=device, profile=mine, by_hand=False)


def test_any_number_of_devices_takes_the_same_queries() -> None:
    profile = profile_create(name="p")
    counts = []
    for number in (5, 3000):
        Device.objects.all().delete()
        Device.objects.bulk_create([Device(endpoint=f"d-{one}", profile=None) for one in range(number)])
        with CaptureQueriesContext(connection) as queries:
            profile_rules_set(rules=[Rule(profile_id=profile.pk, endpoint="d-*")])
            assert profile_assign(devices=Device.objects.all(), profile=None) == number
            assert profile_assign(devices=Device.objects.all(), profile=None, by_hand=False) == number
        assert Device.objects.filter(profile=profile).count() == number
        counts.append(len(queries))
        profile_rules_set(rules=[])
    assert counts[0] == counts[1]


def test_definitions() -> None:
    made = definition_upload(xml=b"\xef\xbb\xbf" + GOOD.encode(), by=None)
    spec = ObjectSpec.objects.get(object_id=33999, version="1.2")
    assert spec.name == made.name == "Pump"
    again = definition_upload(xml=GOOD.replace("Pump", "Fan").encode(), by=None)
    assert again.pk == made.pk
    assert again.sha256 != made.sha256
    assert ObjectSpec.objects.get(object_id=33999).name == "Fan"
    with pytest.raises(DefinitionError, match="Line"):
        definition_upload(xml=GOOD.replace("RW", "X").encode(), by=None)
    with pytest.raises(DefinitionError, match="UTF-8"):
        definition_upload(xml=GOOD.replace("utf-8", "iso-8859-1").encode("latin-1"), by=None)
    definition_delete(object_id=33999, version="1.2")
    # known until Leshan was asked; then what it told of stays, and what it did not goes
    assert ObjectSpec.objects.get(object_id=33999).fetched_at == DOUBTED
    assert objectspecs_drop(object_ids=[1]) == 0
    assert objectspecs_drop(object_ids=[33999]) == 1
    with pytest.raises(ObjectDefinition.DoesNotExist):
        definition_delete(object_id=33999, version="1.2")
