"""Updates with the database: what is written, asked and told, and what a restart finds."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from backend.commands.models import Command, Kind, State
from backend.commands.services import command_cancel
from backend.devices.models import Change, Device, Registration
from backend.firmware import machine
from backend.firmware.models import Campaign, FirmwareUpdate, Step, UpdateLine, UpdateState
from backend.firmware.services.campaigns import (
    campaign_cancel,
    campaign_create,
    campaign_pause,
    campaign_resume,
    campaigns_step,
)
from backend.firmware.services.drive import (
    Progress,
    _columns,
    progress_store,
    updates_due,
    updates_open,
    updates_returned,
    updates_step,
    wished_paths,
)
from backend.firmware.services.updates import update_cancel, update_create
from tests.unit.firmware.rows import Hub, device, image, register

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def test_a_push_to_its_end() -> None:
    target, hub = device(), Hub()
    update = update_create(device=target, image=image(), by=None)
    hub.at = update.asked_at
    hub.run()
    update.refresh_from_db()
    assert (update.state, update.code) == (UpdateState.SUCCEEDED, "succeeded"), update.reason
    assert update.version_before == "1.0.0"
    assert update.version_after == "2.0.0"
    assert update.command_id is None
    assert update.look_at is None
    assert hub.units[target.pk].executes == 1
    assert hub.deeds == ["package"]
    package = Command.objects.get(kind=Kind.WRITE_PACKAGE)
    assert package.path == "/5/0/0"
    assert package.arguments["sha256"] == update.image.sha256
    assert package.arguments["size"] == update.image.size
    assert package.arguments["seconds"] >= update.image.size / 50
    assert set(Command.objects.values_list("note", flat=True)) == {f"Firmware update {update.pk}"}
    assert UpdateLine.objects.filter(update=update).count() >= 6
    assert Change.objects.filter(device_id=target.pk, kind=Change.Kind.FIRMWARE).exists()


def test_a_pull_to_its_end() -> None:
    target, hub = device(), Hub()
    update = update_create(device=target, image=image(), by=None, method="pull")
    hub.at = update.asked_at
    hub.run()
    update.refresh_from_db()
    assert update.code == "succeeded"
    assert hub.deeds == ["package", "grant", "revoke"]
    written = Command.objects.get(kind=Kind.WRITE, path="/5/0/1")
    assert written.arguments["node"]["value"] == "coaps://192.0.2.9:5684/fw/t"


def test_a_restart_at_any_moment_asks_nothing_twice() -> None:
    """Nothing is in memory: every look is one of a new process. Here each happens three times."""
    target, hub = device(), Hub()
    update = update_create(device=target, image=image(), by=None)
    hub.at = update.asked_at
    worst = 0

    def again() -> None:
        nonlocal worst
        for _ in range(2):
            updates_step(ids=[update.pk], world=hub.world, at=hub.at)
            worst = max(worst, Command.objects.filter(state__in=[State.QUEUED, State.SENT]).count())

    hub.after_step = again
    hub.run()
    update.refresh_from_db()
    assert update.code == "succeeded"
    assert worst == 1
    assert hub.units[target.pk].executes == 1
    assert hub.units[target.pk].pushes == 1
    assert Command.objects.filter(kind=Kind.EXECUTE).count() == 1


def test_what_is_decided_is_written_whole_or_not_at_all() -> None:
    target, hub = device(), Hub()
    update = update_create(device=target, image=image(), by=None)
    hub.at = update.asked_at

    class KilledError(Exception):
        pass

    killed = 0
    for _ in range(400):
        try:
            with transaction.atomic():
                before = Command.objects.count()
                hub.step()
                if Command.objects.count() > before and killed < 30 and (killed := killed + 1) % 2:
                    raise KilledError
        except KilledError:
            # the process came back
            continue
        if not FirmwareUpdate.objects.filter(ended_at=None).exists():
            break
        if not hub.commands():
            due = FirmwareUpdate.objects.get(pk=update.pk).look_at
            hub.at = max(hub.at + timedelta(seconds=0.25), due) if due else hub.at
    update.refresh_from_db()
    assert killed >= 6
    assert update.code == "succeeded"
    assert hub.units[target.pk].executes == 1
    assert hub.units[target.pk].pushes == 1


def test_many_updates_take_as_many_statements_as_few() -> None:
    counts: dict[int, list[int]] = {}
    for number in (3, 100):
        chosen = image()
        hub = Hub()
        updates = [update_create(device=device(), image=chosen, by=None) for _ in range(number)]
        hub.at = updates[-1].asked_at
        found: list[int] = []
        for _ in range(60):
            ids = updates_due(at=hub.at, limit=1000)
            if ids:
                with CaptureQueriesContext(connection) as queries:
                    deeds = updates_step(ids=ids, world=hub.world, at=hub.at)
                found.append(len(queries))
                hub.packages |= {deed.sha256 for deed in deeds}
                FirmwareUpdate.objects.filter(pk__in=[deed.update_id for deed in deeds]).update(look_at=hub.at)
            if not FirmwareUpdate.objects.filter(ended_at=None).exists():
                break
            if hub.commands():
                continue
            later = FirmwareUpdate.objects.filter(ended_at=None).order_by("look_at").first()
            assert later is not None
            assert later.look_at is not None
            hub.at = max(hub.at + timedelta(seconds=0.25), later.look_at)
        assert set(FirmwareUpdate.objects.filter(image=chosen).values_list("code", flat=True)) == {"succeeded"}
        counts[number] = found
    # a statement of many rows is split where it would have more parameters than the database takes
    assert max(counts[100]) <= max(counts[3]) + 2


def test_nothing_is_sent_to_a_device_that_is_away() -> None:
    target, hub = device(registered=False), Hub()
    update = update_create(device=target, image=image(), by=None)
    hub.at = update.asked_at
    hub.step()
    update.refresh_from_db()
    assert (update.state, update.step, update.code) == (UpdateState.PENDING, Step.WAIT, "waiting-device")
    assert update.look_at == update.give_up_at
    assert updates_due(at=hub.at + timedelta(days=1), limit=10) == []
    assert not Command.objects.exists()
    # a look that changes nothing writes nothing
    Change.objects.all().delete()
    hub.step([update.pk])
    assert not Change.objects.exists()
    register(target, at=hub.at)
    hub.step(updates_open(device_ids=[target.pk]))
    hub.run()
    update.refresh_from_db()
    assert update.code == "succeeded"


def test_one_update_of_a_device_at_a_time() -> None:
    target, hub = device(instances=(0, 1)), Hub()
    first = update_create(device=target, image=image(), by=None, object_instance=1)
    second = update_create(device=target, image=image(), by=None, object_instance=0)
    hub.at = second.asked_at
    most = 0

    def look() -> None:
        nonlocal most
        most = max(most, FirmwareUpdate.objects.filter(state__in=["downloading", "downloaded", "updating"]).count())

    hub.after_step = look
    hub.step()
    second.refresh_from_db()
    assert second.code == "waiting-other"
    assert str(first.pk) in second.reason
    hub.run()
    first.refresh_from_db()
    second.refresh_from_db()
    assert most == 1
    assert first.ended_at is not None
    assert second.started_at is not None
    assert first.ended_at <= second.started_at
    assert first.state == UpdateState.SUCCEEDED
    # both are the same device to these tests: it says that it runs that version
    assert second.code == "already-running"


def test_a_newer_wish_does_not_stop_one_that_is_under_way() -> None:
    target, hub = device(), Hub()
    first = update_create(device=target, image=image(), by=None)
    hub.at = first.asked_at
    hub.run(stop=lambda: FirmwareUpdate.objects.get(pk=first.pk).step == Step.DELIVER)
    second = update_create(device=target, image=image(), by=None, force=True)
    first.refresh_from_db()
    assert first.state == UpdateState.DOWNLOADING
    # its device goes: the newer one is what is wanted now, and only one may be pending
    Registration.objects.filter(device=target).update(ended_at=hub.at, end_reason="expired")
    hub.step([first.pk, second.pk])
    first.refresh_from_db()
    assert first.code == "superseded"
    register(target, at=hub.at)
    hub.step([second.pk])
    hub.run()
    second.refresh_from_db()
    assert second.code == "succeeded"


def test_a_transfer_is_cancelled() -> None:
    target, hub = device(), Hub()
    update = update_create(device=target, image=image(), by=None)
    hub.at = update.asked_at
    hub.run(stop=lambda: FirmwareUpdate.objects.get(pk=update.pk).step == Step.DELIVER)
    command = Command.objects.get(kind=Kind.WRITE_PACKAGE)
    Command.objects.filter(pk=command.pk).update(state=State.SENT, sent_at=hub.at, attempts=1)
    update_cancel(update_id=update.pk, by=None)
    hub.run()
    update.refresh_from_db()
    assert (update.state, update.code) == (UpdateState.CANCELLED, "cancelled")
    command.refresh_from_db()
    assert command.state == State.CANCELLED
    assert hub.units[target.pk].state == 0


def test_a_command_that_a_person_cancels_is_asked_again() -> None:
    target, hub = device(), Hub()
    update = update_create(device=target, image=image(), by=None)
    hub.at = update.asked_at
    hub.step()
    command_cancel(command_id=Command.objects.get().pk, by=None)
    hub.step([update.pk])
    hub.run()
    update.refresh_from_db()
    assert update.code == "succeeded"


def test_a_command_that_is_gone_is_asked_again() -> None:
    target, hub = device(), Hub()
    update = update_create(device=target, image=image(), by=None)
    hub.at = update.asked_at
    for _ in range(4):
        hub.step()
        Command.objects.filter(kind__in=[Kind.READ, Kind.WRITE_PACKAGE]).delete()
        FirmwareUpdate.objects.filter(ended_at=None).update(look_at=hub.at)
    hub.run()
    update.refresh_from_db()
    assert update.code == "succeeded"
    assert hub.units[target.pk].executes == 1


def test_progress_belongs_to_its_transfer() -> None:
    target, hub = device(), Hub()
    update = update_create(device=target, image=image(), by=None)
    hub.at = update.asked_at
    hub.run(stop=lambda: FirmwareUpdate.objects.get(pk=update.pk).step == Step.DELIVER)
    command = Command.objects.get(kind=Kind.WRITE_PACKAGE)
    Command.objects.filter(pk=command.pk).update(state=State.SENT, sent_at=hub.at, attempts=1)
    command.refresh_from_db()
    item = Progress(
        endpoint=target.endpoint,
        request_id=command.request_id,
        sha256=update.image.sha256,
        sent=4096,
        total=10_000,
        block=1024,
    )
    for other in (
        replace(item, request_id="1-other"),
        replace(item, request_id=""),
        replace(item, sha256="0" * 64),
        replace(item, endpoint="?"),
    ):
        assert progress_store(items=[other], at=hub.at) == []
    Change.objects.all().delete()
    assert progress_store(items=[item], at=hub.at) == [update.pk]
    update.refresh_from_db()
    assert (update.bytes_sent, update.block_size, update.progress_at) == (4096, 1024, hub.at)
    assert Change.objects.get().kind == Change.Kind.FIRMWARE
    # the same place once more is no progress
    later = hub.at + timedelta(seconds=100)
    progress_store(items=[item], at=later)
    update.refresh_from_db()
    assert update.progress_at == hub.at


def test_what_is_observed_for_an_update() -> None:
    target = device(instances=(0, 1))
    assert wished_paths(device_ids=[target.pk]) == {}
    update = update_create(device=target, image=image(), by=None, object_instance=1)
    assert wished_paths(device_ids=[target.pk]) == {target.pk: ["/5/1/3", "/5/1/5"]}
    update_cancel(update_id=update.pk, by=None)
    assert wished_paths(device_ids=[target.pk]) == {}


def test_a_device_that_comes_back_after_all_is_looked_at_anew_once() -> None:
    target, hub = device(), Hub()
    update = update_create(device=target, image=image(), by=None)
    hub.at = update.asked_at
    unit = hub.unit(target.pk)
    hub.run(stop=lambda: FirmwareUpdate.objects.get(pk=update.pk).step == Step.INSTALL)
    # as it was before the execute was answered
    Registration.objects.filter(device=target).update(ended_at=hub.at, end_reason="expired")
    hub.run()
    update.refresh_from_db()
    assert update.code == "not-back"
    register(target, at=hub.at)
    made = updates_returned(device_ids=[target.pk], at=hub.at)
    assert len(made) == 1
    assert updates_returned(device_ids=[target.pk], at=hub.at) == []
    hub.step(made)
    hub.run()
    again = FirmwareUpdate.objects.get(pk=made[0])
    assert again.retry_of_id == update.pk
    assert again.code == "already-running"
    assert unit.executes == 1
    update.refresh_from_db()
    assert update.retried_at is not None


def test_updates_that_have_begun_are_known_after_a_restart() -> None:
    hub = Hub()
    waiting = update_create(device=device(registered=False), image=image(), by=None)
    begun = update_create(device=device(), image=image(), by=None)
    hub.at = begun.asked_at
    hub.step()
    assert updates_open(device_ids=None) == [begun.pk]
    assert set(updates_open(device_ids=[waiting.device_id, begun.device_id])) == {waiting.pk, begun.pk}


def changes(target: Device) -> int:
    return Change.objects.filter(device_id=target.pk, kind=Change.Kind.FIRMWARE).count()


@pytest.mark.parametrize("how", ["cancelled", "superseded", "with its campaign"])
def test_pages_are_told_of_what_people_ended(how: str) -> None:
    target, hub, pictures = device(), Hub(), image()
    campaign = campaign_create(name="c", image=pictures, by=None, selection={})
    (update,) = campaign.updates.all()
    if how == "cancelled":
        update_cancel(update_id=update.pk, by=None)
    elif how == "superseded":
        update_create(device=target, image=pictures, by=None)
        FirmwareUpdate.objects.filter(ended_at=None).update(look_at=None)
    else:
        campaign_cancel(campaign_id=campaign.pk, by=None)
    # `sync` alone writes the feed
    assert not changes(target)
    hub.at = timezone.now()
    assert updates_due(at=hub.at, limit=10) == [update.pk]
    hub.step()
    assert changes(target) == 1
    assert update.pk not in updates_due(at=hub.at, limit=10)
    update.refresh_from_db()
    assert update.state == UpdateState.CANCELLED


def not_back(target: Device, campaign: Campaign) -> FirmwareUpdate:
    update: FirmwareUpdate = campaign.updates.get(device=target)
    at = timezone.now()
    FirmwareUpdate.objects.filter(pk=update.pk).update(
        state="failed", step=Step.DONE, code="not-back", reason="x.", ended_at=at, look_at=None
    )
    return update


@pytest.mark.parametrize("how", ["paused_at", "stopped_at"])
def test_a_device_that_comes_back_waits_for_its_campaign(how: str) -> None:
    target, other = device(), device()
    campaign = campaign_create(name="c", image=image(), by=None, selection={}, phases=[100])
    update = not_back(target, campaign)
    Campaign.objects.filter(pk=campaign.pk).update(**{how: timezone.now(), "stopped_reason": "so it was"})
    hub = Hub()
    (made,) = updates_returned(device_ids=[target.pk, other.pk], at=hub.at)
    hub.step([made])
    again = FirmwareUpdate.objects.get(pk=made)
    assert (again.retry_of_id, again.campaign_id, again.admitted_at) == (update.pk, campaign.pk, None)
    assert again.code == "waiting-turn"
    assert campaigns_step(at=hub.at) == set()
    campaign_resume(campaign_id=campaign.pk, by=None)
    assert made in campaigns_step(at=hub.at + timedelta(seconds=1))


def test_a_device_that_comes_back_after_its_campaign_was_cancelled() -> None:
    target = device()
    campaign = campaign_create(name="c", image=image(), by=None, selection={})
    not_back(target, campaign)
    Campaign.objects.filter(pk=campaign.pk).update(cancelled_at=timezone.now())
    assert updates_returned(device_ids=[target.pk], at=timezone.now()) == []


def test_what_was_let_in_while_the_campaign_was_paused_begins_when_it_goes_on() -> None:
    device()
    hub = Hub()
    campaign = campaign_create(name="c", image=image(), by=None, selection={})
    campaign_pause(campaign_id=campaign.pk, by=None)
    # as if it had been let in at the same moment
    campaign.updates.update(admitted_at=hub.at, look_at=hub.at)
    hub.step()
    update = campaign.updates.get()
    assert (update.step, update.code) == (Step.WAIT, "waiting-turn")
    assert not Command.objects.exists()
    campaign_resume(campaign_id=campaign.pk, by=None)
    hub.at = timezone.now()
    hub.step()
    update.refresh_from_db()
    assert update.step == Step.CHECK


@pytest.mark.parametrize("step", [Step.CHECK, Step.DELIVER, Step.VERIFY, Step.EXECUTE, Step.INSTALL, Step.HOLD])
def test_a_campaign_that_is_cancelled_in_every_step(step: Step) -> None:
    target, hub = device(), Hub()
    campaign = campaign_create(name="c", image=image(), by=None, selection={})
    hub.at = timezone.now()
    campaigns_step(at=hub.at)
    hub.run(stop=lambda: campaign.updates.get().step == step)
    campaign_cancel(campaign_id=campaign.pk, by=None)
    hub.at = max(hub.at, timezone.now())
    hub.run()
    update = campaign.updates.get()
    installs = step in (Step.INSTALL, Step.HOLD)
    assert update.code == ("succeeded" if installs else "cancelled-campaign"), update.reason
    assert hub.unit(target.pk).executes == installs
    assert hub.unit(target.pk).state == 0


def test_the_signature_policy_holds_for_forced_updates_too(settings: Settings) -> None:
    hub = Hub()
    update = update_create(device=device(), image=image(), by=None, force=True)
    settings.FIRMWARE_SIGNED_ONLY = True
    hub.at = update.asked_at
    hub.step()
    update.refresh_from_db()
    assert update.code == "not-signed"


def test_texts_that_no_database_keeps() -> None:
    now = timezone.now()
    columns = _columns(machine.Row(version_before="1\x00\ud800", step_since=now, give_up_at=now), None, 1)
    assert "1\ufffd?" in columns
