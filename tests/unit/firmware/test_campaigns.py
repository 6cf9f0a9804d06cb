"""Campaigns in the database: made, moved on, stopped, taken back. The devices' updates are played by hand."""

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from time import process_time
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from backend.devices.models import Change, Device, Profile, Status
from backend.firmware.errors import FirmwareError
from backend.firmware.models import Campaign, FirmwareImage, FirmwareUpdate, Step, UpdateLine, UpdateState
from backend.firmware.rollout import RolloutStatus
from backend.firmware.selectors.campaigns import (
    campaign_failures,
    campaign_get,
    campaign_list,
    campaign_preview,
    campaign_status,
    campaign_updates,
    campaigns_stopped,
    selection_check,
    selection_devices,
)
from backend.firmware.services.campaigns import (
    campaign_advance,
    campaign_cancel,
    campaign_create,
    campaign_pause,
    campaign_resume,
    campaign_retry_failed,
    campaigns_step,
)
from backend.firmware.services.updates import update_create
from tests.unit.api.builders import user

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def image(**fields: Any) -> FirmwareImage:
    number = FirmwareImage.objects.count()
    values = {"sha256": f"{number:064x}", "size": 1000, "file_name": f"app{number}.bin", "kind": "opaque"}
    return FirmwareImage.objects.create(**{**values, "version": "2.0", "uploaded_at": timezone.now(), **fields})


def devices(number: int, prefix: str = "dev", **fields: Any) -> list[Device]:
    values = {"status": Status.ONLINE, **fields}
    return Device.objects.bulk_create([Device(endpoint=f"{prefix}-{one:05}", **values) for one in range(number)])


def campaign(of: FirmwareImage | None = None, **fields: Any) -> Campaign:
    values: dict[str, Any] = {"name": "Roll", "image": of or image(), "by": None, "selection": {}}
    return campaign_create(**{**values, **fields})


def step(seconds: float = 0) -> set[int]:
    return campaigns_step(at=timezone.now() + timedelta(seconds=seconds))


def play(ids: Iterable[int], state: UpdateState = UpdateState.SUCCEEDED, code: str = "succeeded") -> None:
    """As the state machine would: these updates end so."""
    now = timezone.now()
    FirmwareUpdate.objects.filter(pk__in=list(ids), ended_at=None).update(
        state=state, step=Step.DONE, code=code, reason="so it was", started_at=now, ended_at=now, look_at=None
    )


def fail(ids: Iterable[int]) -> None:
    play(ids, UpdateState.FAILED, "integrity")


def begin(ids: Iterable[int], state: UpdateState = UpdateState.DOWNLOADING) -> None:
    FirmwareUpdate.objects.filter(pk__in=list(ids)).update(state=state, step=Step.DELIVER, started_at=timezone.now())


def fresh(one: Campaign) -> Campaign:
    return campaign_get(id=one.pk)


def status(one: Campaign) -> RolloutStatus:
    return campaign_status(campaign=fresh(one)).status


# -- making one


def test_devices_come_into_phases() -> None:
    devices(90)
    devices(10, "away", status=Status.OFFLINE)
    made = campaign(phases=[5, 25, 100], hold_seconds=7, method="pull")
    rows = list(made.updates.order_by("id"))
    assert [sum(row.phase == number for row in rows) for number in range(3)] == [5, 20, 75]
    assert {row.state for row in rows} == {UpdateState.PENDING}
    assert {(row.method, row.hold_seconds, row.code, row.admitted_at) for row in rows} == {
        ("pull", 7, "waiting-turn", None)
    }
    # what is away proves nothing: it comes last
    assert {row.phase for row in made.updates.filter(device__endpoint__startswith="away")} == {2}
    # the order is not that of the endpoints
    first = set(made.updates.filter(phase=0).values_list("device__endpoint", flat=True))
    assert first != {f"dev-{one:05}" for one in range(5)}
    view = campaign_status(campaign=made)
    assert (view.status, view.total, view.percent) == (RolloutStatus.RUNNING, 100, 0)
    assert [(phase.total, phase.needed, phase.begun) for phase in view.phases] == [
        (5, 5, True),
        (20, 18, False),
        (75, 68, False),
    ]


def test_devices_that_the_image_does_not_fit_are_left_out() -> None:
    devices(3, "a", model="A")
    devices(2, "b", model="B")
    preview = campaign_preview(image=image(model="A"), devices=Device.objects.all())
    assert (preview.chosen, preview.devices, preview.away, preview.superseded) == (5, 3, 0, 0)
    made = campaign(image(model="A"))
    assert made.updates.count() == 3
    (left,) = campaign_status(campaign=fresh(made)).left_out
    assert left.devices == 2
    assert "'B'" in left.why
    assert left.examples == ["b-00000", "b-00001"]
    with pytest.raises(FirmwareError, match="fits none of the chosen devices"):
        campaign(image(model="C"))
    assert campaign(image(model="C"), force=True).updates.count() == 5


def test_what_waits_for_the_same_instance_is_superseded() -> None:
    one, two = devices(2)
    by_hand = update_create(device=one, image=image(), by=None)
    other_instance = FirmwareUpdate.objects.get(
        pk=update_create(device=two, image=image(), by=None, object_instance=1).pk
    )
    older = campaign(selection={"endpoints": [two.endpoint]})
    made = campaign()
    assert made.updates.count() == 2
    by_hand.refresh_from_db()
    other_instance.refresh_from_db()
    row = older.updates.get()
    for gone in (by_hand, row):
        assert (gone.state, gone.code) == (UpdateState.CANCELLED, "superseded")
        assert gone.reason
        assert gone.lines.exists()
    assert other_instance.state == UpdateState.PENDING
    assert status(older) == RolloutStatus.FINISHED


def test_an_update_under_way_is_left_to_end() -> None:
    (one,) = devices(1)
    running = update_create(device=one, image=image(), by=None)
    begin([running.pk])
    made = campaign()
    # its device is busy
    assert step() == set()
    play([running.pk])
    assert step() == {made.updates.get().pk}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "  "}, "name has 1 to 100"),
        ({"name": "x" * 101}, "name has 1 to 100"),
        ({"name": "a\0b"}, "name has"),
        ({"phases": [50]}, "phases"),
        ({"concurrency": 0}, "at once"),
        ({"success_threshold": 101}, "0 to 100"),
        ({"error_threshold": -1}, "0 to 100"),
        ({"hold_seconds": -1}, "hold"),
        ({"start_at": datetime(2026, 11, 23)}, "time zone"),
        ({"window_from": time(2)}, "both, or neither"),
        ({"window_from": time(2), "window_to": time(2)}, "begins when it ends"),
        ({"window_from": time(2, tzinfo=UTC), "window_to": time(3, tzinfo=UTC)}, "leave the offset out"),
        ({"zone": "Mars/Olympus"}, "no time zone 'Mars/Olympus'"),
        ({"zone": "../../etc/passwd"}, "no time zone"),
        ({"zone": ""}, "no time zone"),
        ({"zone": "Europe"}, "no time zone"),
        ({"method": "carrier pigeon"}, "no method"),
        ({"object_instance": -1}, "object instance"),
        ({"selection": {"endpoints": []}}, "no device was named"),
        ({"selection": {"endpoints": ["dev-00000", "x", "y"]}}, r"no device 'x' \(and 1 more"),
        ({"selection": {"endpoints": ["dev-00000"], "model": ""}}, "not by both"),
        ({"selection": {"color": "red"}}, "cannot be chosen by 'color'"),
        ({"selection": {"status": ["happy"]}}, "no status 'happy'"),
        ({"selection": {"profile": "nobody"}}, "no profile 'nobody'"),
        ({"selection": {"profile": 999}}, "no profile 999"),
        ({"selection": {"model": "of nobody"}}, "No device was chosen"),
        ({"selection": {"search": "\0"}}, "No device was chosen"),
    ],
)
def test_what_is_no_campaign(fields: dict[str, Any], message: str) -> None:
    devices(1)
    with pytest.raises(FirmwareError, match=message) as error:
        campaign(**fields)
    assert "\n" not in str(error.value)
    assert not Campaign.objects.exists()


def test_a_deleted_image_is_none() -> None:
    devices(1)
    with pytest.raises(FirmwareError, match="was deleted"):
        campaign(image(deleted_at=timezone.now()), force=True)


def test_selections() -> None:
    lamps = Profile.objects.create(name="Lamps")
    devices(2, "lamp", profile=lamps, model="L")
    devices(1, "none", profile=None)
    devices(1, "away", status=Status.OFFLINE)

    def found(**selection: Any) -> list[str]:
        kept = selection_check(selection=selection)
        return sorted(selection_devices(selection=kept).values_list("endpoint", flat=True))

    assert found(profile="Lamps") == found(profile=lamps.pk) == found(profile=lamps) == ["lamp-00000", "lamp-00001"]
    assert found(profile=None) == ["none-00000"]
    assert found(model="L", search="00001") == ["lamp-00001"]
    assert found(status=["offline"]) == ["away-00000"]
    assert found(endpoints=["none-00000", "none-00000"]) == ["none-00000"]
    assert len(found()) == 4
    assert selection_check(selection={"profile": "Lamps"}) == {"profile": lamps.pk}


def test_ten_thousand_devices_take_the_same_few_queries() -> None:
    by = user("eve")
    counts, seconds = [], []
    for number in (20, 10_000):
        devices(number, f"m{number}", model="A")
        fields = {"selection": {"search": f"m{number}-"}, "by": by, "of": image(model="A")}
        with CaptureQueriesContext(connection) as made:
            start = process_time()
            one = campaign(**fields)
            seconds.append(process_time() - start)
        with CaptureQueriesContext(connection) as stepped:
            assert len(step()) == (2 if number == 20 else 20)
        with CaptureQueriesContext(connection) as idle:
            start = process_time()
            assert step() == set()
            seconds.append(process_time() - start)
        with CaptureQueriesContext(connection) as viewed:
            campaign_status(campaign=fresh(one))
            campaign_list()
        fail(one.updates.values_list("pk", flat=True))
        with CaptureQueriesContext(connection) as retried:
            start = process_time()
            assert campaign_retry_failed(campaign_id=one.pk, by=by) == number
            seconds.append(process_time() - start)
        with CaptureQueriesContext(connection) as cancelled:
            start = process_time()
            campaign_cancel(campaign_id=one.pk, by=by)
            seconds.append(process_time() - start)
        counts.append([len(one) for one in (stepped, idle, viewed)])
        # ids go in parts of some thousands
        assert len(made) < 25
        assert len(retried) < 25
        assert len(cancelled) < 60
    assert counts[0] == counts[1]
    # of the processor, and generous: the machine may be slow
    assert max(seconds) < 4, seconds


# -- the step


def test_phase_by_phase_to_the_end() -> None:
    devices(20)
    made = campaign(phases=[10, 50, 100], concurrency=5)
    first = step()
    assert len(first) == 2
    assert set(made.updates.filter(admitted_at__isnull=False).values_list("pk", flat=True)) == first
    assert FirmwareUpdate.objects.filter(pk__in=first, look_at__isnull=False).count() == 2
    begin(first)
    assert step() == set()
    play(first)
    second = step()
    assert len(second) == 5
    begin(second)
    assert step() == set()
    play(list(second)[:3])
    assert len(step()) == 3
    seen = 0
    while status(made) == RolloutStatus.RUNNING:
        under_way = set(made.updates.filter(admitted_at__isnull=False, ended_at=None).values_list("pk", flat=True))
        assert len(under_way) <= 5
        play(under_way)
        step()
        seen += 1
        assert seen < 20
    view = campaign_status(campaign=fresh(made))
    assert (view.status, view.percent, view.counts[UpdateState.SUCCEEDED]) == (RolloutStatus.FINISHED, 100, 20)
    assert view.ended_at is not None
    assert fresh(made).phase == 2


def test_two_of_five_fail_and_the_rest_is_not_touched() -> None:
    devices(100)
    made = campaign(phases=[5, 25, 50, 100], error_threshold=10)
    first = sorted(step())
    assert len(first) == 5
    begin(first)
    fail(first[:2])
    assert step() == set()
    assert status(made) == RolloutStatus.STOPPED
    now = fresh(made)
    assert now.stopped_at is not None
    assert "2 of the 2 updates that ended failed" in now.stopped_reason
    assert campaign_status(campaign=now).waits == now.stopped_reason
    assert Change.objects.filter(device_id=None, kind=Change.Kind.FIRMWARE).exists()
    assert [one.pk for one in campaigns_stopped()] == [made.pk]
    # what began goes on
    play(first[2:])
    assert step() == set()
    assert made.updates.filter(state=UpdateState.PENDING, admitted_at=None).count() == 95
    (group,) = campaign_failures(campaign=now)
    assert (group.code, group.devices) == ("integrity", 2)
    assert group.title
    assert group.remedy

    assert campaign_retry_failed(campaign_id=made.pk, by=None) == 2
    assert step() == set(), "still stopped"
    campaign_resume(campaign_id=made.pk, by=None)
    again = step()
    retried = list(made.updates.filter(retry_of__isnull=False).order_by("pk"))
    assert again == {row.pk for row in retried}
    assert [row.retry_of_id for row in retried] == first[:2] or [row.retry_of_id for row in retried] == first[1::-1]
    assert {row.phase for row in retried} == {0}
    for row in retried:
        assert row.retry_of is not None
        assert row.retry_of.device_id == row.device_id
        assert row.retry_of.retried_at is not None
    for _ in range(20):
        play(made.updates.filter(admitted_at__isnull=False, ended_at=None).values_list("pk", flat=True))
        step()
    view = campaign_status(campaign=fresh(made))
    assert view.status == RolloutStatus.FINISHED
    assert (view.total, view.counts[UpdateState.SUCCEEDED], view.counts[UpdateState.FAILED]) == (100, 100, 0)
    assert not campaigns_stopped()


def test_resumed_without_a_retry_the_failures_are_seen() -> None:
    devices(20)
    made = campaign(phases=[10, 100])
    fail(step())
    step()
    assert status(made) == RolloutStatus.STOPPED
    campaign_resume(campaign_id=made.pk, by=None)
    assert len(step()) == 18
    assert status(made) == RolloutStatus.RUNNING
    assert campaign_status(campaign=fresh(made)).counts[UpdateState.FAILED] == 2


@pytest.mark.parametrize("retried_first", [False, True])
def test_a_stop_that_nobody_has_noted_yet_can_be_lifted(retried_first: bool) -> None:
    """The page tells of it at once; `sync` notes it at its next step."""
    devices(20)
    made = campaign(phases=[10, 100])
    fail(step())
    assert status(made) == RolloutStatus.STOPPED
    assert fresh(made).stopped_at is None
    if retried_first:
        assert campaign_retry_failed(campaign_id=made.pk, by=None) == 2
        step()
        assert status(made) == RolloutStatus.STOPPED
    campaign_resume(campaign_id=made.pk, by=None)
    assert status(made) == RolloutStatus.RUNNING
    assert step()


def test_devices_that_are_away_hold_no_place() -> None:
    Device.objects.bulk_create(
        [Device(endpoint=f"{state.value}-{one}", status=state) for state in Status for one in range(3)]
    )
    made = campaign(phases=[100], concurrency=4)
    admitted = step()
    rows = FirmwareUpdate.objects.filter(pk__in=admitted)
    assert {row.device.status for row in rows.select_related("device")} == {Status.ONLINE}
    assert len(admitted) == 3
    assert campaign_status(campaign=made).away == 12
    # one comes back, then two at once: one place is left
    Device.objects.filter(endpoint="offline-0").update(status=Status.ONLINE)
    assert len(step()) == 1
    Device.objects.filter(endpoint__startswith="asleep").update(status=Status.ONLINE)
    assert step() == set()
    # one goes before anything was asked of it: another one gets its place
    gone = rows.first()
    assert gone is not None
    Device.objects.filter(pk=gone.device_id).update(status=Status.OFFLINE)
    assert len(step()) == 1
    gone.refresh_from_db()
    assert gone.admitted_at is None
    # one that installs is away for a moment, and keeps its place
    begun = made.updates.filter(admitted_at__isnull=False).first()
    assert begun is not None
    begin([begun.pk], UpdateState.UPDATING)
    Device.objects.filter(pk=begun.device_id).update(status=Status.OFFLINE)
    assert step() == set()
    # one that was under way and waits for its device holds none, and keeps its turn
    FirmwareUpdate.objects.filter(pk=begun.pk).update(state=UpdateState.PENDING, step=Step.WAIT)
    assert len(step()) == 1
    begun.refresh_from_db()
    assert begun.admitted_at is not None


def test_given_up_when_the_device_never_comes(settings: Settings) -> None:
    devices(2)
    devices(1, "away", status=Status.OFFLINE)
    made = campaign(phases=[50, 100])
    play(step())
    play(step())
    assert status(made) == RolloutStatus.RUNNING
    assert "away or asleep" in campaign_status(campaign=fresh(made)).waits
    day = 86_400
    step((settings.FIRMWARE_GIVE_UP_DAYS - 1) * day)
    assert status(made) == RolloutStatus.RUNNING
    step((settings.FIRMWARE_GIVE_UP_DAYS + 1) * day)
    row = made.updates.get(device__endpoint="away-00000")
    assert (row.state, row.code) == (UpdateState.FAILED, "given-up")
    assert UpdateLine.objects.filter(update=row).exists()
    # that is no failure of the image
    assert status(made) == RolloutStatus.FINISHED
    assert fresh(made).stopped_at is None


def test_start_and_window() -> None:
    devices(4)
    at = datetime(2026, 11, 22, 12, tzinfo=UTC)
    made = campaign(
        phases=[50, 100],
        start_at=at,
        window_from=time(22),
        window_to=time(4),
        zone="Europe/Vienna",
    )
    assert campaigns_step(at=at - timedelta(seconds=1)) == set()
    view = campaign_status(campaign=made, at=at - timedelta(seconds=1))
    assert (view.status, view.until) == (RolloutStatus.SCHEDULED, at)
    assert campaigns_step(at=at) == set()
    view = campaign_status(campaign=made, at=at)
    assert (view.status, view.until) == (RolloutStatus.WAITING, datetime(2026, 11, 22, 21, tzinfo=UTC))
    first = campaigns_step(at=datetime(2026, 11, 23, 2, 59, 59, tzinfo=UTC))
    assert len(first) == 2
    play(first)
    # the second phase waits for the next night
    assert campaigns_step(at=datetime(2026, 11, 23, 3, tzinfo=UTC)) == set()
    assert fresh(made).phase == 1
    assert len(campaigns_step(at=datetime(2026, 11, 23, 21, tzinfo=UTC))) == 2


def test_a_standing_campaign_takes_up_what_comes() -> None:
    devices(1, "first", model="A")
    made = campaign(selection={"model": "A"}, standing=True, phases=[100])
    play(step())
    view = campaign_status(campaign=fresh(made))
    assert (view.status, view.total) == (RolloutStatus.WAITING, 1)
    devices(2, "later", model="A")
    devices(1, "other", model="B")
    assert len(step(60)) == 2
    assert made.updates.count() == 3
    # each once
    play(made.updates.values_list("pk", flat=True))
    assert step(120) == set()
    # a newer campaign's word goes before it
    devices(1, "newest", model="A")
    newer = campaign(selection={"endpoints": ["newest-00000"]})
    play(step(180))
    assert newer.updates.filter(state=UpdateState.SUCCEEDED).count() == 1
    assert step(240) == set()
    assert made.updates.count() == 3
    # not while it is paused, and never after it was cancelled
    campaign_pause(campaign_id=made.pk, by=None)
    devices(1, "paused", model="A")
    assert step(300) == set()
    campaign_resume(campaign_id=made.pk, by=None)
    assert len(step(360)) == 1
    campaign_cancel(campaign_id=made.pk, by=None)
    devices(1, "cancelled", model="A")
    assert step(420) == set()


def test_a_standing_campaign_may_begin_with_nobody() -> None:
    made = campaign(selection={"endpoints": ["to-come"]}, standing=True)
    assert step() == set()
    assert status(made) == RolloutStatus.WAITING
    devices(1, "to")
    Device.objects.update(endpoint="to-come")
    assert len(step(31)) == 1


# -- what people do


def test_pause_and_resume() -> None:
    devices(10)
    made = campaign(phases=[100], concurrency=4)
    admitted = sorted(step())
    begin(admitted[:1])
    paused = campaign_pause(campaign_id=made.pk, by=None)
    assert paused.paused_at is not None
    # what began goes on, what was only let in waits again
    assert list(made.updates.filter(admitted_at__isnull=False).values_list("pk", flat=True)) == admitted[:1]
    assert step() == set()
    assert status(made) == RolloutStatus.PAUSED
    assert campaign_pause(campaign_id=made.pk, by=None).paused_at == fresh(made).paused_at
    # nobody is given up meanwhile
    assert step(86_400 * 400) == set()
    assert made.updates.filter(ended_at__isnull=False).count() == 0
    resumed = campaign_resume(campaign_id=made.pk, by=None)
    assert resumed.resumed_at is None, "there was no stop: failures so far still count"
    assert len(step()) == 3
    with pytest.raises(FirmwareError, match="not paused"):
        campaign_resume(campaign_id=made.pk, by=None)


def test_the_next_phase_by_hand() -> None:
    devices(10)
    made = campaign(phases=[20, 100])
    first = step()
    assert len(first) == 2
    assert campaign_advance(campaign_id=made.pk, by=None).phase == 1
    assert len(step()) == 8
    with pytest.raises(FirmwareError, match="last phase"):
        campaign_advance(campaign_id=made.pk, by=None)


def test_cancel() -> None:
    eve = user("eve")
    devices(10)
    made = campaign(phases=[100], concurrency=4)
    one, two, three, four = sorted(step())
    begin([one])
    begin([two], UpdateState.UPDATING)
    FirmwareUpdate.objects.filter(pk=three).update(transfers=1)
    campaign_cancel(campaign_id=made.pk, by=eve)
    rows = {row.pk: row for row in made.updates.all()}
    # taken back by the machine: the device has something of the package
    for pk in (one, three):
        assert (rows[pk].cancel_requested_at is not None, rows[pk].cancelled_by_id) == (True, eve.pk)
        assert rows[pk].ended_at is None
        assert rows[pk].look_at is not None
    # it installs: left to finish
    assert rows[two].cancel_requested_at is None
    assert rows[two].state == UpdateState.UPDATING
    others = [row for pk, row in rows.items() if pk not in {one, two, three}]
    assert {(row.state, row.code, row.cancelled_by_id) for row in others} == {
        (UpdateState.CANCELLED, "cancelled-campaign", eve.pk)
    }
    assert "cancelled by eve" in rows[four].reason
    assert status(made) == RolloutStatus.CANCELLED
    assert step() == set()
    for refused in (campaign_cancel, campaign_pause, campaign_resume, campaign_advance, campaign_retry_failed):
        with pytest.raises(FirmwareError, match="was cancelled"):
            refused(campaign_id=made.pk, by=eve)


def test_there_is_nothing_left_to_cancel_or_retry() -> None:
    devices(1)
    made = campaign()
    play(step())
    with pytest.raises(FirmwareError, match="nothing left to cancel"):
        campaign_cancel(campaign_id=made.pk, by=None)
    with pytest.raises(FirmwareError, match="none of the campaign's devices failed"):
        campaign_retry_failed(campaign_id=made.pk, by=None)
    for service in (campaign_cancel, campaign_pause, campaign_resume, campaign_advance, campaign_retry_failed):
        with pytest.raises(Campaign.DoesNotExist):
            service(campaign_id=made.pk + 1000, by=None)


def test_retry_leaves_devices_with_a_newer_update() -> None:
    one, two = devices(2)
    made = campaign(phases=[100])
    fail(step())
    newer = update_create(device=one, image=image(), by=None)
    assert campaign_retry_failed(campaign_id=made.pk, by=None) == 1
    assert made.updates.get(retry_of__isnull=False).device == two
    newer.refresh_from_db()
    assert newer.state == UpdateState.PENDING
    assert campaign_status(campaign=fresh(made)).total == 2


def test_cancelled_between_look_and_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """The web cancels while `sync` is about to let updates begin: it looks again with the campaign held."""
    from backend.firmware.services import campaigns

    devices(5)
    made = campaign(phases=[100])
    real = campaigns._go_on

    def late(campaign_id: int, at: datetime) -> set[int]:
        campaign_cancel(campaign_id=campaign_id, by=None)
        return real(campaign_id, at)

    monkeypatch.setattr(campaigns, "_go_on", late)
    assert step() == set()
    assert set(made.updates.values_list("state", flat=True)) == {UpdateState.CANCELLED}

    def gone(campaign_id: int, at: datetime) -> set[int]:
        Campaign.objects.filter(pk=campaign_id).delete()
        return real(campaign_id, at)

    campaign(phases=[100])
    monkeypatch.setattr(campaigns, "_go_on", gone)
    assert step() == set()


def test_a_campaign_has_each_device_once() -> None:
    devices(1)
    made = campaign()
    row = made.updates.get()
    row.pk, row.object_instance = None, 1
    with pytest.raises(IntegrityError), transaction.atomic():
        row.save()


# -- reading


def test_lists() -> None:
    devices(3)
    older = campaign(name="Older pumps", of=image(version="7.7"))
    newer = campaign(name="Newer", of=image())
    assert [view.campaign.pk for view in campaign_list()] == [newer.pk, older.pk]
    assert [view.campaign.pk for view in campaign_list(search="pumps 7.7")] == [older.pk]
    assert [view.campaign.pk for view in campaign_list(before=newer.pk)] == [older.pk]
    assert len(campaign_list(limit=1)) == 1
    assert campaign_list(search="\0") == []
    fail(list(newer.updates.values_list("pk", flat=True)[:1]))
    assert campaign_updates(campaign=newer, states=["failed"], code="integrity", phase=0).count() <= 1
    assert campaign_updates(campaign=newer).count() == 3
    with pytest.raises(ValueError, match="no state 'x'"):
        campaign_updates(campaign=newer, states=["x"])


def test_time_left() -> None:
    devices(10)
    made = campaign(phases=[100], concurrency=2)
    assert campaign_status(campaign=made).seconds_left is None
    play(step())
    now = timezone.now()
    made.updates.filter(state=UpdateState.SUCCEEDED).update(started_at=now - timedelta(seconds=30), ended_at=now)
    assert campaign_status(campaign=fresh(made)).seconds_left == pytest.approx(30 * 8 / 2, abs=1)


def test_pages_are_told_of_what_people_did_to_campaigns() -> None:
    devices(2)
    made = campaign(concurrency=1)
    step()

    def told() -> bool:
        Change.objects.all().delete()
        step()
        return Change.objects.filter(device_id=None, kind=Change.Kind.FIRMWARE).exists()

    assert not told()
    for action in (campaign_pause, campaign_resume, campaign_cancel):
        action(campaign_id=made.pk, by=None)
        assert told(), action
        assert not told(), action
