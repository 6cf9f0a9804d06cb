"""Rules against what devices say: late, early, twice, with clocks that are wrong."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from backend.alerts import storage
from backend.alerts.models import Alert, Cursor, Delivery, Pending, Rule
from backend.alerts.services import RuleFields, evaluation, rule_delete, rule_enable, rule_fields, rule_update
from backend.alerts.storage import SampleRow
from backend.devices.models import Change, Device, LeshanServer, Profile, ServerInterval
from backend.telemetry.models import Sample, Series, StaleHour
from backend.telemetry.storage import ChangeRow, changes_insert
from tests.unit.alerts.rows import TEMPERATURE, Play, alerts, at, open_alerts, rule, said, seconds_of
from tests.unit.api.builders import NOW, device

pytestmark = [pytest.mark.django_db, pytest.mark.database]

LONG_AGO = datetime(2019, 6, 1, tzinfo=UTC)
FAR_AHEAD = datetime(2038, 1, 19, tzinfo=UTC)


@pytest.fixture
def play() -> Play:
    return Play()


def test_a_value_opens_and_another_clears(play: Play) -> None:
    one = device()
    rule(clear_limit=28.0)
    said(one, [(0, 25.0)])
    assert play(1, one).opened == 0
    said(one, [(10, 31.5)])
    assert play(11, one).opened == 1
    (alert,) = open_alerts()
    assert alert.text == "/3303/0/5700 is 31.5: above 30."
    assert (alert.value, seconds_of(alert.opened_at), seconds_of(alert.noticed_at)) == (31.5, 10, 11)
    assert (alert.device, alert.path, alert.rule_name, alert.severity) == (one, TEMPERATURE, "Too hot", "warning")
    assert list(Change.objects.values_list("kind", "device_id")) == [("alerts", one.pk)]
    # below the limit, but not below the second value
    said(one, [(20, 29.0)])
    assert play(21, one).cleared == 0
    alert.refresh_from_db()
    assert (alert.last_value, seconds_of(alert.last_at)) == (29.0, 20)
    said(one, [(30, 28.0)])
    assert play(31, one).cleared == 1
    alert.refresh_from_db()
    assert (seconds_of(alert.cleared_at), alert.cleared_text) == (30, "/3303/0/5700 is 28: no longer above 28.")
    assert Change.objects.count() == 2


def test_nothing_is_looked_at_twice(play: Play) -> None:
    one = device()
    rule()
    said(one, [(0, 31.0), (1, 20.0)])
    play(2, one)
    play(3, one)
    Play()(4, one, everything=True)
    assert len(alerts()) <= 1
    said(one, [(10, 31.0), (11, 20.0)])
    before = len(alerts())
    play(12, one)
    for n in range(3):
        play(13 + n, one)
        Play()(13 + n, everything=True)
    assert len(alerts()) == before + 1


def test_two_values_of_one_moment_are_both_seen(play: Play) -> None:
    one = device()
    rule()
    said(one, [(0, 20.0)])
    play(1, one)
    said(one, [(10, 25.0)])
    play(10, one)
    said(one, [(10, 35.0)])
    assert play(11, one).opened == 1


def test_a_spike_in_an_hour_that_comes_late_is_seen(play: Play) -> None:
    one = device()
    rule()
    said(one, [(0, 20.0)])
    play(1, one)
    said(one, [(60 * n, 35.0 if n == 20 else 21.0) for n in range(1, 61)], received=3605)
    done = play(3606, one)
    assert (done.opened, done.cleared) == (1, 1)
    (alert,) = alerts()
    assert (seconds_of(alert.opened_at), seconds_of(alert.cleared_at)) == (1200, 1260)
    assert seconds_of(alert.noticed_at) == 3606


def test_an_older_value_that_comes_late_changes_nothing(play: Play) -> None:
    one = device()
    rule()
    said(one, [(0, 20.0), (600, 21.0)])
    play(601, one)
    said(one, [(300, 99.0)], received=602)
    play(603, one)
    play(604, everything=True)
    assert alerts() == []
    # and does not clear either
    said(one, [(700, 40.0)])
    play(701, one)
    said(one, [(650, 10.0)], received=702)
    play(703, one)
    assert len(open_alerts()) == 1


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "hot"])
def test_what_is_no_number_opens_nothing_and_counts_as_data(play: Play, text: str) -> None:
    one = device()
    rule("Too cold", comparison="below", limit=0.0)
    rule("Silent", kind="no_data", minutes=10)
    said(one, [(0, 5.0)])
    play(1, one)
    said(one, [(500, text)])
    play(501, one)
    assert play(700, everything=True).opened == 0
    assert play(1101, everything=True).opened == 1
    said(one, [(1200, text)])
    play(1201, one)
    (alert,) = alerts()
    assert alert.cleared_text == f"Data came again on {TEMPERATURE}."


def test_held_for_some_time(play: Play) -> None:
    one = device()
    rule(for_seconds=300)
    said(one, [(0, 31.0)])
    play(1, one)
    said(one, [(200, 32.0), (250, 29.0), (260, 33.0)])
    play(261, one)
    assert Pending.objects.get().since == evaluation.us_of_datetime(at(260))
    said(one, [(559, 33.0)])
    play(559, one)
    assert alerts() == []
    said(one, [(560, 33.5)])
    play(561, one)
    (alert,) = open_alerts()
    assert alert.text == "/3303/0/5700 is 33.5: above 30 for 5 min."
    assert not Pending.objects.exists()


def test_a_clock_far_ahead_mutes_nothing(play: Play) -> None:
    one = device()
    rule()
    said(one, [(0, 20.0)])
    play(1, one)
    said(one, [(0, 40.0)], base=FAR_AHEAD, received=10)
    assert play(11, one).opened == 1
    (alert,) = alerts()
    # as of its receive time
    assert seconds_of(alert.opened_at) == 10
    said(one, [(10, 41.0), (20, 20.0)], base=FAR_AHEAD, received=30)
    assert play(31, one).cleared == 1
    # an even later calendar, then an earlier one, then the right one
    said(one, [(0, 50.0)], base=FAR_AHEAD + timedelta(days=9000), received=40)
    assert play(41, one).opened == 1
    said(one, [(5, 20.0)], base=FAR_AHEAD - timedelta(days=900), received=50)
    assert play(51, one).cleared == 1
    said(one, [(60, 45.0)])
    assert play(61, one).opened == 1
    play(62, everything=True)
    assert len(alerts()) == 3


def test_a_first_value_far_ahead(play: Play) -> None:
    one = device()
    rule()
    play(0)
    said(one, [(0, 40.0)], base=FAR_AHEAD, received=1)
    assert play(2, one).opened == 1


def test_a_clock_a_little_ahead_mutes_nothing_and_repeats_nothing(play: Play) -> None:
    one = device()
    rule()
    said(one, [(0, 20.0)])
    play(1, one)
    for n in range(1, 6):
        said(one, [(60 * n + 100, 20.0 + n)], received=60 * n)
        play(60 * n + 1, one)
    said(one, [(500, 40.0), (505, 20.0)], received=400)
    play(401, one)
    play(402, one)
    assert len(alerts()) == 1
    # set right: its time is before what it said last
    said(one, [(410, 35.0)], received=410)
    assert play(411, one).opened == 1
    for n in range(420, 800, 60):
        play(n, one)
    assert len(alerts()) == 2


def test_a_clock_that_was_set_back_mutes_nothing_for_long(play: Play) -> None:
    one = device()
    rule()
    said(one, [(0, 20.0)])
    play(1, one)
    # as an upload of old values: nothing of the present
    said(one, [(0, 40.0)], base=LONG_AGO, received=600)
    assert play(601, one).opened == 0
    # nothing newer for more than an hour: that is its present
    said(one, [(60, 41.0)], base=LONG_AGO, received=3700)
    assert play(3701, one).opened == 1
    said(one, [(120, 21.0)], base=LONG_AGO, received=3760)
    assert play(3761, one).cleared == 1
    # the marks of old hours go: nothing depends on them that was looked at
    StaleHour.objects.all().delete()
    said(one, [(180, 42.0)], base=LONG_AGO, received=3820)
    assert play(3821, one).opened == 1
    said(one, [(3900, 20.0)])
    assert play(3901, one).cleared == 1
    said(one, [(240, 43.0)], base=LONG_AGO, received=3910)
    assert play(3911, one).opened == 0


def test_a_device_without_a_clock(play: Play) -> None:
    one = device()
    rule()
    said(one, [(0, 20.0)], base=datetime(1970, 1, 1, tzinfo=UTC), received=0)
    play(1, one)
    said(one, [(60, 33.0)], base=datetime(1970, 1, 1, tzinfo=UTC), received=60)
    assert play(61, one).opened == 1


def test_a_new_rule_with_a_duration_sees_all_devices_and_reads_what_it_needs(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "MOST_SAMPLES", 2)
    bad, good = [device(f"bad-{n}") for n in range(3)], [device(f"good-{n}") for n in range(3)]
    for one in bad:
        said(one, [(n, 35.0) for n in range(30)])
    for one in good:
        said(one, [(n, 35.0 if n < 29 else 20.0) for n in range(30)])
    read: list[int] = []
    real = storage.samples_recent

    def recent(series_ids: list[int], **more: int) -> list[SampleRow]:
        rows = real(series_ids, **more)
        read.append(len(rows))
        return rows

    monkeypatch.setattr(storage, "samples_recent", recent)
    rule(for_seconds=10)
    for n in range(10):
        play.evaluator.evaluate(device_ids=set(), now=at(31 + n), budget_seconds=9)
    assert {one.device for one in open_alerts()} == set(bad)
    assert read == [6, 30, 30, 30]


def test_a_new_rule_looks_at_what_is_there_and_makes_up_no_history(play: Play) -> None:
    devices = [device(f"d{n}") for n in range(4)]
    said(devices[0], [(n, 40.0 if n % 2 else 10.0) for n in range(100)])
    said(devices[1], [(0, 10.0), (50, 35.0)])
    said(devices[2], [(0, 99.0), (50, 29.0)])
    rule()
    assert play(100).opened == 2
    assert {(one.device.endpoint, one.value) for one in open_alerts()} == {("d0", 40.0), ("d1", 35.0)}
    assert not Rule.objects.get().fresh
    said(devices[2], [(101, 31.0)])
    assert play(102, devices[2]).opened == 1


def test_a_rule_that_was_off_for_long_makes_up_no_history(play: Play) -> None:
    one = device()
    made = rule()
    said(one, [(0, 20.0)])
    play(1, one)
    rule_enable(rule=made, enabled=False, by=None)
    play(2, one)
    said(one, [(n, 40.0 if n % 200 else 10.0) for n in range(100, 1001)])
    play(1002, one)
    rule_enable(rule=made, enabled=True, by=None)
    play(1003, one)
    assert alerts() == []
    said(one, [(1010, 40.0)])
    assert play(1011, one).opened == 1


def test_a_changed_limit(play: Play) -> None:
    one = device()
    made = rule()
    said(one, [(0, 35.0)])
    play(1, one)
    fields = rule_fields(made)
    rule_update(rule=made, fields=RuleFields(**{**vars(fields), "limit": 40.0, "clear_limit": 34.0}), by=None)
    assert play(2).cleared == 1
    assert alerts()[0].cleared_text.startswith("The rule was changed")
    rule_update(rule=made, fields=fields, by=None)
    assert play(3).opened == 1
    rule_update(rule=made, fields=RuleFields(**{**vars(fields), "path": "/3303/1/5700"}), by=None)
    assert open_alerts() == []
    play(4)
    assert Change.objects.filter(kind="alerts").count() == 4


def test_off_and_deleted(play: Play) -> None:
    one = device()
    made = rule()
    said(one, [(0, 35.0)])
    play(1, one)
    rule_enable(rule=made, enabled=False, by=None)
    (alert,) = alerts()
    assert alert.cleared_text == "The rule was switched off."
    rule_enable(rule=made, enabled=True, by=None)
    assert play(2).opened == 1
    rule_delete(rule=made, by=None)
    assert [one.rule_id for one in alerts()] == [None, None]
    assert [one.cleared_text for one in alerts()][1] == "The rule was deleted."
    assert open_alerts() == []


def test_a_profile_that_goes_takes_its_rules_and_ends_their_alerts(play: Play) -> None:
    profile = Profile.objects.create(name="meters")
    one = device("m", profile=profile)
    device("other")
    rule(scope="profile", profile=profile.pk)
    said(one, [(0, 35.0)])
    assert play(1, one).opened == 1
    profile.delete()
    play(2, everything=True)
    assert open_alerts() == []
    assert not Rule.objects.exists()


def test_which_devices(play: Play) -> None:
    named = [device(endpoint) for endpoint in ("meter-1", "METER-2", "pump", "pump-2", "a*b")]
    rule("pattern", scope="endpoints", endpoints=["meter-?", "pump"])
    for one in named:
        said(one, [(0, 35.0)])
    play(1)
    assert sorted(one.device.endpoint for one in open_alerts()) == ["METER-2", "meter-1", "pump"]
    Device.objects.filter(endpoint="pump").update(endpoint="valve")
    play(2, everything=True)
    assert [one.cleared_text for one in alerts() if one.cleared_at] == [
        "The rule is no longer about this device and path."
    ]


def test_every_instance(play: Play) -> None:
    one = device()
    rule(path="/3303/*/5700")
    for path in ("/3303/0/5700", "/3303/17/5700", "/3303/0/5701", "/3303/1/5700/2", "/33030/0/5700"):
        said(one, [(0, 35.0)], path=path)
    play(1, one)
    assert sorted(one.path for one in open_alerts()) == ["/3303/0/5700", "/3303/17/5700"]
    said(one, [(5, 35.0)], path="/3303/5/5700")
    assert play(6, one).opened == 1


def test_a_new_series_with_an_hour_at_once(play: Play) -> None:
    rule()
    play(0)
    one = device()
    said(one, [(-60 * n, 35.0 if n == 30 else 20.0) for n in range(50)], received=1)
    done = play(2, one)
    assert (done.opened, done.cleared) == (1, 1)


def test_no_data(play: Play) -> None:
    one, two = device("one"), device("two")
    rule("Silent", kind="no_data", minutes=60)
    said(one, [(0, 1.0)])
    said(two, [(0, 1.0)])
    play(1, one, two)
    play(3599, everything=True)
    assert alerts() == []
    said(two, [(3000, 1.0)])
    play(3599, two)
    assert play(3601, everything=True).opened == 1
    assert play(3700, everything=True).opened == 0
    (alert,) = open_alerts()
    assert (alert.device, seconds_of(alert.opened_at)) == (one, 3600)
    assert alert.text == ("No data on /3303/0/5700 for 1 h. The last value came at 2026-11-22 17:00:00 UTC.")
    said(one, [(60 * n, 1.0) for n in range(1, 60)], received=4000)
    assert play(4001, one).cleared == 1


def test_no_data_is_known_at_once_by_a_new_rule(play: Play) -> None:
    one = device()
    said(one, [(0, 1.0)])
    rule("Silent", kind="no_data", minutes=10)
    assert play(3600).opened == 1


def test_our_own_absence_is_not_the_devices(play: Play) -> None:
    server = LeshanServer.objects.create(name="default", url="http://x", connected_since=at(-9999))
    one = device(server=server)
    rule("Silent", kind="no_data", minutes=30)
    said(one, [(0, 1.0)])
    play(1, one)
    down = ServerInterval.objects.create(server=server, state="down", started_at=at(600))
    LeshanServer.objects.update(connected_since=None)
    assert play(7200, everything=True).opened == 0
    down.ended_at = at(7200)
    down.save()
    LeshanServer.objects.update(connected_since=at(7200))
    # 10 minutes of silence before, and none that counts since
    assert play(7210, everything=True).opened == 0
    assert play(7200 + 1190, everything=True).opened == 0
    assert play(7200 + 1201, everything=True).opened == 1
    assert seconds_of(alerts()[0].opened_at) == 7200 + 1200


def test_status(play: Play) -> None:
    one = device(status="offline", status_since=at(0))
    two = device("two", status="asleep", status_since=at(0))
    rule("Offline", kind="status", status="offline", minutes=30, severity="critical")
    rule("Blocked", kind="status", status="blocked")
    play(1, one, two)
    play(1700, everything=True)
    assert alerts() == []
    assert play(1801, everything=True).opened == 1
    (alert,) = alerts()
    assert (alert.text, alert.path, alert.severity) == ("The device has been offline for 30 min.", "", "critical")
    assert seconds_of(alert.opened_at) == 1800
    Device.objects.filter(pk=one.pk).update(status="online", status_since=at(1900))
    assert play(1901, one).cleared == 1
    alert.refresh_from_db()
    assert (alert.cleared_text, seconds_of(alert.cleared_at)) == ("The device is online now.", 1900)
    Device.objects.filter(pk=two.pk).update(status="blocked", status_since=at(1950))
    assert play(1951, two).opened == 1
    assert open_alerts()[0].text == "The device is blocked."


def test_the_rest_comes_later(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "SLICE", 3)
    devices = [device(f"d{n}") for n in range(8)]
    for one in devices:
        said(one, [(0, 20.0)])
    rule()
    play(1)
    for one in devices:
        said(one, [(10, 35.0)])
    ids = {one.pk for one in devices}
    done = play.evaluator.evaluate(device_ids=ids, now=at(11), budget_seconds=0)
    assert (done.opened, done.more) == (3, True)
    # a crash: another process begins with everything
    other = Play()
    assert other(12, everything=True).opened == 5
    assert play.evaluator.evaluate(device_ids=set(), now=at(12), budget_seconds=9).opened == 0
    made = rule("Second", limit=10.0)
    done = play.evaluator.evaluate(device_ids=set(), now=at(13), budget_seconds=0)
    assert (done.opened, done.more) == (3, True)
    # what is said meanwhile is not forgotten: neither by those that had their turn, nor by the others
    said(devices[0], [(14, 5.0)])
    said(devices[7], [(14, 5.0)])
    play(15, *devices)
    assert open_alerts()[-1].rule_id == made.pk
    assert {one.device.endpoint for one in open_alerts() if one.rule == made} == {f"d{n}" for n in range(1, 7)}


def test_a_backlog_larger_than_a_transaction(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "MOST_SAMPLES", 10)
    one, two = device("one"), device("two")
    rule()
    for each in (one, two):
        said(each, [(0, 20.0)])
    play(1, one, two)
    for each in (one, two):
        said(each, [(10 + n, 35.0 if n == 23 else 20.0) for n in range(25)], received=60)
    done = play(61, one, two)
    assert (done.opened, done.cleared) == (2, 2)


def test_a_constant_number_of_queries(play: Play) -> None:
    rule()
    rule("Long", for_seconds=60, limit=25.0)
    rule("Silent", kind="no_data", minutes=60)
    rule("Offline", kind="status", status="offline", minutes=5)
    devices = [device(f"d{n}") for n in range(40)]
    for one in devices:
        said(one, [(0, 20.0)])
    play(1, *devices, everything=True)

    def queries(*asked: Device, seconds: float) -> int:
        for one in asked:
            said(one, [(seconds, 35.0)])
        with CaptureQueriesContext(
            connection,
        ) as captured:
            play(seconds + 1, *asked)
        return len(captured)

    assert queries(devices[0], seconds=10) >= queries(*devices[1:], seconds=20)
    with CaptureQueriesContext(connection) as captured:
        play(30)
    assert len(captured) <= 3


def test_a_crash_takes_back_all_of_it(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    one = device()
    rule()
    said(one, [(0, 20.0)])
    play(1, one)
    before = list(Cursor.objects.values())
    said(one, [(10, 35.0)])

    def gone(*_: object, **__: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(evaluation, "changes_insert", gone)
    with pytest.raises(OperationalError):
        play(11, one)
    assert alerts() == []
    assert list(Cursor.objects.values()) == before
    assert not Delivery.objects.exists()
    monkeypatch.undo()
    assert play(12).opened == 1


def test_one_open_alert_at_a_time() -> None:
    one = device()
    made = rule()
    fields = {
        "rule": made,
        "rule_name": "x",
        "severity": "warning",
        "kind": "threshold",
        "device": one,
        "path": "/1/0/1",
        "opened_at": NOW,
        "noticed_at": NOW,
        "text": "x",
    }
    Alert.objects.create(**fields)
    with pytest.raises(IntegrityError), transaction.atomic():
        Alert.objects.create(**fields)
    Alert.objects.create(**fields, cleared_at=NOW, cleared_text="over")


@pytest.mark.parametrize("time", [-(2**62), -1, 2**62])
def test_times_beyond_the_calendar(play: Play, time: int) -> None:
    one = device()
    rule()
    said(one, [(0, 20.0)], path="/1/0/1")
    play(1, one)
    series = Series.objects.create(device=one, path=TEMPERATURE)
    StaleHour.objects.create(series=series, hour=time // 3_600_000_000)
    delay = (evaluation.us_of_datetime(at(5)) - time) // 1000
    Sample.objects.create(series=series, time=time, number=40.0, delay=delay)
    assert play(6, one).opened == 1
    play(7, everything=True)


def test_what_cannot_be_judged_stops_nobody_else(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = device("one"), device("two")
    rule()
    for each in (one, two):
        said(each, [(0, 20.0)])
    play(1, one, two)
    for each in (one, two):
        said(each, [(10, 35.0)])
    real = evaluation.texts.threshold_opened
    asked: list[str] = []

    def odd(*arguments: object) -> str:
        asked.append("")
        if len(asked) in {1, 2}:
            raise ValueError("odd")
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(evaluation.texts, "threshold_opened", odd)
    assert play(11, one, two).opened == 1
    assert [alert.device for alert in open_alerts()] == [two]


def test_what_the_database_refuses_of_one_stops_nobody_else(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = device("one"), device("two")
    rule()
    for each in (one, two):
        said(each, [(0, 20.0)])
    play(1, one, two)
    for each in (one, two):
        said(each, [(10, 35.0)])

    def refused(rows: list[ChangeRow], *, at: datetime) -> None:
        if any(device_id == one.pk for device_id, _ in rows):
            raise IntegrityError("its device was deleted")
        changes_insert(rows, at=at)

    monkeypatch.setattr(evaluation, "changes_insert", refused)
    assert play(11, one, two).opened == 1
    assert [alert.device for alert in open_alerts()] == [two]


def test_a_lost_connection_loses_nobody(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    one = device()
    rule()
    said(one, [(0, 20.0)])
    play(1, one)
    said(one, [(10, 35.0)])

    def gone(*_: object, **__: object) -> None:
        raise InterfaceError("connection already closed")

    monkeypatch.setattr(evaluation, "changes_insert", gone)
    with pytest.raises(InterfaceError):
        play(11, one)
    monkeypatch.undo()
    assert play(12).opened == 1


def test_what_time_brings_and_cannot_be_judged_stops_no_values(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    one = device()
    rule()
    said(one, [(0, 20.0)])
    play(1, one)
    said(one, [(10, 35.0)])

    def odd(*_: object, **__: object) -> None:
        raise ValueError("odd")

    monkeypatch.setattr(evaluation, "_timed_found", odd)
    play(11, one)
    play(12, everything=True)
    assert len(open_alerts()) == 1
    said(one, [(20, 5.0)])
    Device.objects.update(last_contact=at(20))
    assert play(70, everything=True).cleared == 1
