"""What people want observed, and awake windows."""

import pytest

from backend.devices.models import Device, DeviceObservation, Profile
from backend.devices.services import (
    awake_effective,
    awake_forget,
    awake_halve,
    device_observation_clear,
    device_observation_set,
    device_provision,
)

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def test_a_persons_word_is_a_new_row_each_time() -> None:
    device = device_provision(endpoint="a")
    first = device_observation_set(device=device, path="/3/0/9", attributes={"pmin": 1, "gt": None}, by=None)
    second = device_observation_set(device=device, path="/3/0/9", wanted=False, by=None)
    row = DeviceObservation.objects.get()
    assert (row.wanted, row.attributes) == (False, {"pmin": 1})
    assert second.pk != first.pk
    assert device_observation_clear(device=device, path="/3/0/9")
    assert not device_observation_clear(device=device, path="/3/0/9")
    with pytest.raises(ValueError, match="not an LwM2M path"):
        device_observation_set(device=device, path="3/0", by=None)
    with pytest.raises(ValueError, match="pmax"):
        device_observation_set(device=device, path="/3/0/9", attributes={"pmin": 60, "pmax": 1}, by=None)
    assert DeviceObservation.objects.count() == 0


def test_the_awake_window_is_halved_down_to_two_seconds() -> None:
    profile = Profile.objects.create(name="Sleepers", awake_seconds=9)
    device = device_provision(endpoint="a")
    Device.objects.filter(pk=device.pk).update(profile=profile)
    device = Device.objects.select_related("profile").get()
    assert [awake_halve(device=device) for _ in range(4)] == [4, 2, None, None]
    assert Device.objects.get().awake_seconds == 2
    assert awake_forget(endpoints=["a", "b"]) == ["a"]
    assert Device.objects.get().awake_seconds is None


def test_the_shorter_window_counts() -> None:
    assert awake_effective(profile=20, learned=5) == 5
    assert awake_effective(profile=3, learned=5) == 3
    assert awake_effective(profile=None, learned=5) == 5
    assert awake_effective(profile=None, learned=None) is None
