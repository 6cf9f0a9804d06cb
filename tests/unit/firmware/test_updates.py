"""What people ask of updates, and what they are told of them."""

from datetime import timedelta

import pytest
from django.utils import timezone

from backend.accounts.models import Role, User
from backend.commands.models import Command, Kind, State
from backend.firmware.errors import FirmwareError
from backend.firmware.models import Campaign, FirmwareUpdate, Step, UpdateLine, UpdateState
from backend.firmware.selectors.updates import (
    update_get,
    update_lines,
    update_list,
    update_progress,
    update_waiting_text,
)
from backend.firmware.services.updates import update_cancel, update_create, update_retry
from tests.unit.firmware.rows import Hub, device, image

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def eve() -> User:
    return User.objects.create(username="eve", role=Role.OPERATOR)


def ended(update: FirmwareUpdate, state: str = "failed", code: str = "not-back") -> FirmwareUpdate:
    at = timezone.now()
    FirmwareUpdate.objects.filter(pk=update.pk).update(
        state=state, step=Step.DONE, code=code, reason="x.", ended_at=at, look_at=None
    )
    update.refresh_from_db()
    return update


def test_an_update_may_begin_at_once() -> None:
    person = eve()
    update = update_create(device=device(), image=image(), by=person, hold_seconds=5, method="pull")
    assert (update.state, update.step, update.object_instance) == ("pending", "wait", 0)
    assert update.admitted_at == update.asked_at == update.look_at
    assert update.give_up_at > update.asked_at + timedelta(days=1)
    assert (update.asked_by, update.hold_seconds, update.method) == (person, 5, "pull")


def test_a_campaigns_update_waits_to_be_admitted() -> None:
    pictures = image()
    campaign = Campaign.objects.create(name="c", image=pictures, phases=[100], created_at=timezone.now())
    target = device()
    update = update_create(device=target, image=pictures, by=None, campaign=campaign, phase=2)
    assert update.admitted_at is None
    assert update.look_at is None
    assert update.phase == 2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"method": "carrier pigeon"}, "no method"),
        ({"hold_seconds": -1}, "hold time"),
        ({"hold_seconds": 90_000}, "hold time"),
        ({"object_instance": 3}, "choose one of /5/0, /5/1"),
    ],
)
def test_what_cannot_be_asked(values: dict[str, object], message: str) -> None:
    with pytest.raises(FirmwareError, match=message):
        update_create(device=device(instances=(0, 1)), image=image(), by=None, **values)  # type: ignore[arg-type]
    assert not FirmwareUpdate.objects.exists()


def test_images_and_devices_that_do_not_fit() -> None:
    with pytest.raises(FirmwareError, match="no firmware object"):
        update_create(device=device(instances=()), image=image(), by=None)
    with pytest.raises(FirmwareError, match="deleted"):
        update_create(device=device(), image=image(deleted_at=timezone.now()), by=None, force=True)
    other = image(model="thing-*")
    with pytest.raises(FirmwareError, match="thing"):
        update_create(device=device(model="other"), image=other, by=None)
    assert update_create(device=device(model="other"), image=other, by=None, force=True).force
    # one that has never registered may list anything
    assert update_create(device=device(registered=False), image=image(), by=None).object_instance == 0


def test_the_instance_is_the_images_else_the_devices_first() -> None:
    target = device(instances=(1, 2))
    assert update_create(device=target, image=image(), by=None).object_instance == 1
    assert update_create(device=target, image=image(object_instance=2), by=None).object_instance == 2
    with pytest.raises(FirmwareError):
        update_create(device=target, image=image(object_instance=7), by=None)


def test_a_newer_wish_takes_the_place_of_one_that_waits() -> None:
    target, hub = device(), Hub()
    first = update_create(device=target, image=image(), by=None)
    hub.at = first.asked_at
    hub.step()
    read = Command.objects.get(kind=Kind.READ)
    second = update_create(device=target, image=image(), by=eve())
    first.refresh_from_db()
    assert (first.state, first.code) == ("cancelled", "superseded")
    read.refresh_from_db()
    assert read.state == State.CANCELLED
    hub.run()
    second.refresh_from_db()
    assert second.code == "succeeded"


def test_cancelling() -> None:
    person = eve()
    waiting = update_create(device=device(registered=False), image=image(), by=person)
    update_cancel(update_id=waiting.pk, by=person)
    waiting.refresh_from_db()
    assert (waiting.state, waiting.code, waiting.cancelled_by) == ("cancelled", "cancelled", person)
    assert "by eve" in waiting.reason
    with pytest.raises(FirmwareError, match="ended already"):
        update_cancel(update_id=waiting.pk, by=person)
    installing = update_create(device=device(), image=image(), by=None)
    FirmwareUpdate.objects.filter(pk=installing.pk).update(state="updating", step="install")
    with pytest.raises(FirmwareError, match="installs the firmware already"):
        update_cancel(update_id=installing.pk, by=person)
    with pytest.raises(FirmwareUpdate.DoesNotExist):
        update_cancel(update_id=10**9, by=person)


def test_another_try() -> None:
    person = eve()
    update = update_create(device=device(), image=image(), by=None, method="push", hold_seconds=7)
    with pytest.raises(FirmwareError, match="pending"):
        update_retry(update_id=update.pk, by=person)
    ended(update)
    made = update_retry(update_id=update.pk, by=person)
    update.refresh_from_db()
    assert update.retried_at is not None
    assert (made.retry_of_id, made.method, made.hold_seconds, made.asked_by) == (update.pk, "push", 7, person)
    assert made.admitted_at is not None
    with pytest.raises(FirmwareError, match="retried already"):
        update_retry(update_id=update.pk, by=person)
    ended(made, "succeeded", "succeeded")
    with pytest.raises(FirmwareError, match="succeeded"):
        update_retry(update_id=made.pk, by=person)


def test_another_try_within_its_campaign() -> None:
    pictures = image()
    campaign = Campaign.objects.create(name="c", image=pictures, phases=[100], created_at=timezone.now())
    update = ended(update_create(device=device(), image=pictures, by=None, campaign=campaign))
    made = update_retry(update_id=update.pk, by=None)
    assert made.campaign_id == campaign.pk
    Campaign.objects.filter(pk=campaign.pk).update(cancelled_at=timezone.now())
    again = update_retry(update_id=ended(made).pk, by=None)
    assert again.campaign_id is None


def test_lists() -> None:
    one = update_create(device=device("alpha"), image=image(version="9.9"), by=None)
    two = update_create(device=device("beta"), image=image(), by=None)
    assert list(update_list()) == [two, one]
    assert list(update_list(device=one.device)) == [one]
    assert list(update_list(image=two.image)) == [two]
    assert list(update_list(search="alp 9.9")) == [one]
    assert list(update_list(search="alp beta")) == []
    assert list(update_list(search="\0")) == []
    assert list(update_list(states=["failed"])) == []
    with pytest.raises(ValueError, match="no state"):
        update_list(states=["nonsense"])
    assert update_get(id=one.pk) == one
    UpdateLine.objects.create(update=one, at=timezone.now(), text="a")
    assert [line.text for line in update_lines(update=one)] == ["a"]


def test_how_far_it_is() -> None:
    update = update_create(device=device(), image=image(size=1000), by=None)
    at = timezone.now()
    progress = update_progress(update, at)
    assert (progress.percent, progress.sent, progress.total) == (0, 0, 1000)
    update.state, update.step = UpdateState.DOWNLOADING, Step.DELIVER
    update.bytes_sent, update.transfer_at = 400, at - timedelta(seconds=40)
    update.progress_at = at - timedelta(seconds=20)
    progress = update_progress(update, at)
    assert progress.percent == 40
    assert progress.bytes_per_second == 20.0
    assert progress.seconds_left == 10.0
    update.state, update.executes = UpdateState.UPDATING, 1
    assert update_progress(update, at).percent == 100


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"code": "waiting-device", "reason": "The device is away."}, "The device is away."),
        ({"code": "waiting-turn"}, "Waits until its campaign lets it begin."),
        ({"state": "downloading", "step": "deliver"}, "Sending the package."),
        ({"state": "downloading", "step": "prepare", "code": "transfer-stalled"}, "Transfer stalled. Another transfer"),
        (
            {"state": "downloading", "step": "verify", "code": "refused", "reason": "4.05."},
            "Refused by the device: 4.05. ",
        ),
        ({"state": "updating", "step": "hold"}, "Seeing whether the new firmware stays, until"),
        ({"state": "updating", "step": "install"}, "it must be done by"),
        ({"state": "downloading", "cancel_requested_at": timezone.now()}, "being cancelled"),
        ({"state": "succeeded"}, ""),
    ],
)
def test_what_it_waits_for(values: dict[str, object], text: str) -> None:
    update = FirmwareUpdate(**{"step": "wait", "deadline_at": timezone.now(), **values})
    said = update_waiting_text(update)
    assert text in said
    assert bool(said) is bool(text)


def test_a_retry_waits_for_a_campaign_that_is_stopped() -> None:
    target, pictures, at = device(), image(), timezone.now()
    campaign = Campaign.objects.create(
        name="c", image=pictures, phases=[100], created_at=at, stopped_at=at, stopped_reason="x."
    )
    update = ended(update_create(device=target, image=pictures, by=None, campaign=campaign))
    again = update_retry(update_id=update.pk, by=None)
    assert (again.campaign, again.admitted_at) == (campaign, None)
    Campaign.objects.update(stopped_at=None, stopped_reason="")
    assert update_retry(update_id=ended(again).pk, by=None).admitted_at is not None


def test_a_superseded_update_that_is_retried_takes_its_place_back() -> None:
    target = device(registered=False)
    first = update_create(device=target, image=image(), by=None)
    second = update_create(device=target, image=image(), by=None)
    again = update_retry(update_id=first.pk, by=None)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.code, second.code) == ("superseded", "superseded")
    assert (again.image, again.retry_of) == (first.image, first)
    assert list(update_list(states=["pending"])) == [again]


def test_an_update_whose_sleeping_device_was_not_told_to_install_can_be_cancelled() -> None:
    hub, update = Hub(), update_create(device=device(), image=image(), by=None)
    hub.at = update.asked_at

    def told() -> bool:
        update.refresh_from_db()
        return update.state == UpdateState.UPDATING

    hub.run(stop=told)
    assert update.step == Step.EXECUTE
    assert update_cancel(update_id=update.pk, by=None).cancel_requested_at is not None
    hub.run()
    update.refresh_from_db()
    assert update.code == "cancelled"
    assert hub.unit(update.device_id).executes == 0
