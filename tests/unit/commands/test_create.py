import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from backend.commands.models import Command, Kind, State
from backend.commands.services import CommandError, command_create, commands_create
from backend.devices.models import Device, DeviceObservation, Profile, ProfileObservation, Registration
from tests.unit.api.builders import NOW, device, specs, user

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def test_a_write_takes_its_type_from_the_model() -> None:
    specs()
    made = command_create(
        device=device(registered=True),
        kind="execute",
        path="/3/0/4",
        by=user("eve"),
        arguments={"arguments": "0='a',1"},
    )
    assert made.state == State.QUEUED
    assert made.arguments == {"arguments": "0='a',1"}
    assert made.request_id == f"{made.pk}-{made.nonce}"


def test_many_devices_take_the_same_few_queries() -> None:
    specs()
    by = user("eve")

    def devices(number: int) -> None:
        made = Device.objects.bulk_create([Device(endpoint=f"m{number}-{one:05}") for one in range(number)])
        Registration.objects.bulk_create(
            [
                Registration(
                    device=one,
                    registration_id=f"r{one.pk}",
                    registered_at=NOW,
                    last_update=NOW,
                    lifetime=300,
                    address="x",
                    lwm2m_version="1.1",
                    object_links=[{"url": "/3303/0", "attributes": {"ver": ("1.0", "1.1")[one.pk % 2]}}],
                )
                for one in made
            ]
        )

    counts = []
    for number in (3, 2000):
        devices(number)
        for kind in (Kind.READ, Kind.OBSERVE):
            with CaptureQueriesContext(connection) as queries:
                batch = commands_create(
                    devices=Device.objects.filter(endpoint__startswith=f"m{number}-"),
                    kind=kind,
                    path="/3303/0/5601",
                    by=by,
                )
            counts.append(len(queries))
            assert Command.objects.filter(batch=batch).count() == number
            endpoints = list(batch.commands.order_by("id").values_list("device__endpoint", flat=True))
            assert endpoints == sorted(endpoints)
    assert counts[:2] == counts[2:]
    assert DeviceObservation.objects.filter(wanted=True).count() == 2003


def test_nobody_is_asked_where_it_fits_one_of_them_not() -> None:
    specs()
    one, two = device("one", registered=True), device("two", registered=True)
    with pytest.raises(CommandError, match="cannot be executed"):
        commands_create(devices=[one, two], kind="execute", path="/3303/0/5700", by=None)
    assert not Command.objects.exists()
    batch = commands_create(devices=[one, two], kind="execute", path="/3303/0/5700", by=None, force=True)
    assert batch.commands.count() == 2


def test_observe_goes_with_the_desired_state() -> None:
    profile = Profile.objects.create(name="p")
    ProfileObservation.objects.create(profile=profile, path="/3303/*/5700", pmin=5)
    one = device("one", profile=profile)
    command_create(device=one, kind="observe", path="/3303/0/5700", by=None)
    assert not one.own_observations.exists()
    command_create(device=one, kind="cancel_observe", path="/3303/0/5700", by=None)
    assert one.own_observations.get().wanted is False
    command_create(device=one, kind="observe", path="/3303/0/5700", by=None)
    assert not one.own_observations.exists()
    command_create(device=one, kind="observe_composite", arguments={"paths": ["/3/0/9", "/3/0/10"]}, by=None)
    assert one.own_observations.filter(wanted=True).count() == 2


@pytest.mark.parametrize(
    ("kind", "path", "arguments"),
    [
        ("write", "/0/0/5", {"node": {"type": "OPAQUE", "value": "00112233"}}),
        ("create", "/21", {"node": {"resources": []}}),
        ("write_composite", "", {"nodes": {"/1/0/1": {"value": 300}, "/0/0/5": {"type": "OPAQUE", "value": "00"}}}),
    ],
)
def test_keys_do_not_get_into_the_log(kind: str, path: str, arguments: dict[str, object]) -> None:
    with pytest.raises(CommandError, match="bootstrap"):
        command_create(device=device(), kind=kind, path=path, arguments=arguments, by=None, force=True)
    assert not Command.objects.exists()


HASH = "0f" * 32


def test_people_send_packages_by_updates_only() -> None:
    one = device(registered=True)
    with pytest.raises(CommandError, match="firmware updates"):
        command_create(device=one, kind="write_package", path="/5/0/0", arguments={"sha256": HASH}, by=None)
    with pytest.raises(CommandError, match="firmware updates"):
        commands_create(devices=[one], kind="write_package", path="/5/0/0", by=None)
    with pytest.raises(CommandError) as error:
        command_create(device=one, kind="nonsense", path="/5/0/0", by=None)
    assert "write_package" not in str(error.value)
