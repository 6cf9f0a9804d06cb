"""Which devices' clocks are set where they are wrong."""

import pytest
from django.db.models import F

from backend.devices.models import Profile, Registration
from backend.sync.queries import clocks_to_set
from tests.unit.api.builders import device

pytestmark = [pytest.mark.django_db, pytest.mark.database]

ENDPOINTS = ["bare", "yes", "no"]


@pytest.fixture(autouse=True)
def devices() -> None:
    """One without a profile, one whose profile wants its clock set, one whose profile does not."""
    Profile.objects.all().delete()
    for name, profile in (
        ("bare", None),
        ("yes", Profile.objects.create(name="yes", set_clock=True)),
        ("no", Profile.objects.create(name="no", set_clock=False)),
    ):
        one = device(name, registered=True, profile=profile)
        Registration.objects.filter(device=one).update(queue_mode=name == "bare")


def test_a_device_without_a_profile_is_as_the_default_profile_says() -> None:
    Profile.objects.filter(name="yes").update(is_default=True)
    assert clocks_to_set(endpoints=ENDPOINTS) == {"bare": True, "yes": False}
    Profile.objects.update(is_default=False)
    Profile.objects.filter(name="no").update(is_default=True)
    assert clocks_to_set(endpoints=ENDPOINTS) == {"yes": False}


def test_without_a_default_profile_clocks_are_set() -> None:
    assert clocks_to_set(endpoints=ENDPOINTS) == {"bare": True, "yes": False}


def test_only_those_that_are_asked_about_and_registered() -> None:
    assert clocks_to_set(endpoints=["no", "nobody"]) == {}
    Registration.objects.update(ended_at=F("registered_at"), end_reason="expired")
    assert clocks_to_set(endpoints=ENDPOINTS) == {}
