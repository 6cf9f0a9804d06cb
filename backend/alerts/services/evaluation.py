"""Holding the rules against what devices say. Called by `sync`, between batches of events.

Every sample of a watched series is looked at once, in the order of its own time, so that a spike within a batch and an
hour that comes late in one Send are seen. How far that has come is in the database (`Cursor`), in the transaction that
opens and clears alerts: a crash repeats nothing and leaves nothing out.

Times that cannot be right mute nothing. A sample that is ahead of its receive time counts as of its receive time. One
that is later than all others of its series by the calendar, but far ahead (`AHEAD`), and one that is older than what
was looked at although nothing newer has come for long (`SILENT`: the clock was set back), are found by their receive
time. Any other sample that is older than what was looked at changes nothing.
"""

import logging
import threading
import time as clock
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F, Q
from django.db.models.functions import Greatest

from backend.alerts import storage, texts
from backend.alerts.judging import Compiled, Turn, Watch, compiled
from backend.alerts.models import Alert, Event, Kind, Pending, Rule
from backend.alerts.outbox import deliveries_make
from backend.alerts.storage import CursorRow, SampleRow
from backend.devices.models import Change, Device, LeshanServer, ServerInterval
from backend.lwm2m.times import datetime_of_us, us_of_datetime
from backend.telemetry.models import Series
from backend.telemetry.storage import changes_insert

logger = logging.getLogger(__name__)

# microseconds: a clock may be so far ahead and is still believed
AHEAD = 300_000_000
# for so long nothing newer must have come before older samples count as the present
SILENT = 3_600_000_000
# of a series that was not watched before, and of values that must have been bad for some time
LOOKBACK = 3_600_000_000
# a seq that no other of its moment exceeds
MOST_SEQ = 2**15 - 1
# devices in one transaction, and samples that are read at once
SLICE = 250
MOST_SAMPLES = 50_000
# after the event stream is back, what was said meanwhile arrives first
CATCH_UP = timedelta(minutes=2)
# how far back the devices are looked for that were heard since the last full look
MARGIN = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """What an evaluation brought. `more`: it ran out of time, call again soon."""

    opened: int = 0
    cleared: int = 0
    more: bool = False


@dataclass
class _State:
    """A watched series."""

    pk: int
    device_id: int
    path: str
    time: int
    seq: int
    received: int
    strange: int
    ahead: int
    heard: int
    changed: bool = False

    @property
    def row(self) -> CursorRow:
        return self.pk, self.time, self.seq, self.received, self.strange, self.ahead, self.heard

    def passed(self, time: int, seq: int, received: int) -> int:
        """A sample was looked at; as of when it counts."""
        self.changed = True
        counts = min(time, received)
        self.time, self.seq = max((self.time, self.seq), (counts, seq if counts == time else -1))
        self.received = max(self.received, received)
        self.ahead = max(self.ahead, time)
        self.heard = max(self.heard, received)
        return counts

    def passed_strange(self, time: int, received: int) -> int:
        """The same of a sample whose time cannot be right."""
        self.changed = True
        self.strange = max(self.strange, received)
        self.ahead = max(self.ahead, time)
        self.heard = max(self.heard, received)
        return received


@dataclass
class _Found:
    """Alerts that are to be written."""

    now: datetime
    devices: dict[int, Device]
    # (rule, device, path) → the alert that is open
    open: dict[tuple[int, int, str], Alert]
    opened: list[Alert] = field(default_factory=list)
    cleared: list[Alert] = field(default_factory=list)
    told: dict[int, Alert] = field(default_factory=dict)

    def open_one(
        self, rule: Rule, device_id: int, path: str, *, at: datetime, text: str, value: float | None = None
    ) -> None:
        alert = Alert(
            rule=rule, rule_name=rule.name, severity=rule.severity, kind=rule.kind, device=self.devices[device_id],
            path=path, opened_at=at, noticed_at=self.now, value=value, text=text, last_value=value,
            last_at=None if value is None else at,
        )  # fmt: skip
        self.open[rule.pk, device_id, path] = alert
        self.opened.append(alert)

    def clear_one(self, rule_id: int, device_id: int, path: str, *, at: datetime, text: str) -> None:
        alert = self.open.pop((rule_id, device_id, path))
        # a sample may be older than what opened the alert by another clock
        alert.cleared_at, alert.cleared_text = max(at, alert.opened_at), text
        self.cleared.append(alert)

    def last(self, rule_id: int, device_id: int, path: str, *, at: datetime, value: float) -> None:
        alert = self.open.get((rule_id, device_id, path))
        if alert is not None:
            alert.last_value, alert.last_at = value, at
            self.told[id(alert)] = alert

    def write(self, rules: dict[int, Compiled]) -> None:
        """Alerts, messages, and what tells the pages."""
        new = {id(one) for one in self.opened}
        Alert.objects.bulk_create(self.opened, batch_size=500)
        changed = {id(one): one for one in [*self.cleared, *self.told.values()] if id(one) not in new}
        storage.alerts_update(
            [
                (one.cleared_at, one.cleared_text, one.last_value, one.last_at, one.pk)
                for one in sorted(changed.values(), key=lambda one: one.pk)
            ]
        )
        channels = {pk: rule.channel_ids for pk, rule in rules.items()}
        deliveries_make(self._as_opened(), Event.OPENED, channels=channels, at=self.now)
        deliveries_make(self.cleared, Event.CLEARED, channels=channels, at=self.now)
        told = {alert.device_id for alert in (*self.opened, *self.cleared)}
        changes_insert([(device_id, Change.Kind.ALERTS.value) for device_id in sorted(told)], at=self.now)

    def _as_opened(self) -> list[Alert]:
        # one that is over already was not over when it opened
        return [one for one in self.opened if one.cleared_at is None] + [
            _before(one) for one in self.opened if one.cleared_at is not None
        ]


def _before(alert: Alert) -> Alert:
    copy = Alert(**{f.attname: getattr(alert, f.attname) for f in Alert._meta.concrete_fields})
    copy.device = alert.device
    copy.cleared_at, copy.cleared_text = None, ""
    return copy


@dataclass
class _Brought:
    opened: int = 0
    cleared: int = 0
    more: bool = False
    unfinished: set[int] = field(default_factory=set)


class Evaluator:
    """Knows what is left to do. One per process; the database keeps two of them apart."""

    def __init__(self) -> None:
        """Everything is to be looked at first."""
        self._lock = threading.Lock()
        # devices that wait for their turn
        self._left: set[int] = set()
        self._looked_at: datetime | None = None

    def evaluate(self, *, device_ids: Collection[int] | None, now: datetime, budget_seconds: float) -> Evaluated:
        """See `evaluate` of this package."""
        with self._lock:
            return self._evaluate(device_ids, now, clock.monotonic() + budget_seconds)

    def _evaluate(self, device_ids: Collection[int] | None, now: datetime, deadline: float) -> Evaluated:
        opened = cleared = 0
        if device_ids is None:
            opened, cleared = self._look_around(now)
        else:
            self._left.update(device_ids)
        _tell(now)
        rules = list(Rule.objects.filter(enabled=True).values_list("pk", "fresh"))
        if not rules:
            self._left.clear()
            return Evaluated(opened=opened, cleared=cleared)
        while self._left:
            part = sorted(self._left)[:SLICE]
            try:
                brought = _slice(part, now)
            except (OperationalError, InterfaceError):
                raise
            except Exception:
                # what one device says must stop neither the others' alerts nor `sync`
                logger.exception("the rules could not be held against what %d devices said", len(part))
                brought = _Brought()
                if len(part) > 1:
                    brought = self._one_by_one(part, now)
            self._left.difference_update(part)
            self._left |= brought.unfinished
            opened, cleared = opened + brought.opened, cleared + brought.cleared
            if clock.monotonic() > deadline:
                return Evaluated(opened=opened, cleared=cleared, more=True)
        fresh = any(one for _, one in rules)
        while fresh:
            brought = _apply(now)
            opened, cleared, fresh = opened + brought.opened, cleared + brought.cleared, brought.more
            if clock.monotonic() > deadline:
                break
        return Evaluated(opened=opened, cleared=cleared, more=fresh)

    @staticmethod
    def _one_by_one(device_ids: Sequence[int], now: datetime) -> _Brought:
        """All but those that cannot be."""
        whole = _Brought()
        for device_id in device_ids:
            try:
                brought = _slice([device_id], now)
            except (OperationalError, InterfaceError):
                raise
            except Exception:
                logger.exception("the rules could not be held against what device %d said", device_id)
                continue
            whole.opened += brought.opened
            whole.cleared += brought.cleared
            whole.unfinished |= brought.unfinished
        return whole

    def _look_around(self, now: datetime) -> tuple[int, int]:
        """What time alone brings, and the devices that were heard since this was done last."""
        heard = Device.objects.order_by()
        if self._looked_at is not None:
            heard = heard.filter(last_contact__gte=self._looked_at - MARGIN)
        if Rule.objects.filter(enabled=True).exists():
            self._left.update(heard.values_list("pk", flat=True))
        try:
            found = _timed(now)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            # nor must what time brings stop what devices say
            logger.exception("the rules could not be held against what time has brought")
            found = 0, 0
        self._looked_at = now
        return found


def _rules_locked() -> dict[int, Compiled]:
    """The rules that are on, kept from changing until the transaction ends."""
    rules = list(Rule.objects.select_for_update(no_key=True).filter(enabled=True).order_by("pk"))
    channels: dict[int, list[int]] = defaultdict(list)
    for rule_id, channel_id in Rule.channels.through.objects.values_list("rule_id", "channel_id"):
        channels[rule_id].append(channel_id)
    return {rule.pk: compiled(rule, channels[rule.pk]) for rule in rules}


def _open_alerts(where: Q) -> dict[tuple[int, int, str], Alert]:
    alerts = Alert.objects.filter(where, cleared_at=None, rule__isnull=False)
    return {(one.rule_id or 0, one.device_id, one.path): one for one in alerts}


def _devices(where: Q) -> dict[int, Device]:
    fields = ("endpoint", "profile", "status", "status_since", "server")
    return {one.pk: one for one in Device.objects.filter(where).only(*fields)}


def _watched(rules: Iterable[Compiled]) -> Q | None:
    """The series that any rule is about, a few more for those with `*`."""
    exact, wanted = set(), Q()
    for one in rules:
        if one.rule.path and "*" not in one.rule.path:
            exact.add(one.rule.path)
        elif one.rule.path:
            first, _, last = one.rule.path.partition("*")
            wanted |= Q(path__startswith=first, path__endswith=last.rpartition("*")[2])
    if exact:
        wanted |= Q(path__in=exact)
    return wanted or None


def _states(
    device_ids: Sequence[int], rules: Collection[Compiled], now: int, *, settled: Collection[Compiled] | None = None
) -> dict[int, _State]:
    """The watched series of these devices; those that were not watched before begin a little before their newest.

    `settled`: only series of these rules were watched until now. The others begin with what is there, as seen.
    """
    watched = _watched(rules)
    if watched is None:
        return {}
    names = ("time", "seq", "received", "strange", "ahead", "heard")
    rows = Series.objects.filter(watched, device__in=device_ids).values_list(
        "pk", "device_id", "path", *(f"alert_cursor__{name}" for name in names)
    )
    states, new = {}, []
    known: dict[str, bool] = {}
    for row in rows:
        path = row[2]
        if settled is not None and path not in known:
            known[path] = any(one.watches(path) for one in settled)
        if row[3] is None or not known.get(path, True):
            new.append(row)
        else:
            states[row[0]] = _State(*row)
    if new:
        newest = storage.samples_newest([row[0] for row in new], horizon=now + AHEAD)
        for pk, device_id, path, *_ in new:
            last, seq = newest.get(pk), -1
            if last is None:
                time, received, strange = now, 0, 0
            elif settled is None:
                time, received, strange = last[0] - LOOKBACK, last[1], now
            else:
                (time, received), strange, seq = last, now, MOST_SEQ
            counts = min(time, received or time)
            states[pk] = _State(pk, device_id, path, counts, seq, received, strange, time, received, changed=True)
        # the samples are read by the cursors
        storage.cursors_store([states[row[0]].row for row in new])
    return states


class _Judge:
    """The rules against the samples of some devices."""

    def __init__(
        self, rules: dict[int, Compiled], found: _Found, states: dict[int, _State], *, applying: bool = False
    ) -> None:
        self._found = found
        self.applying = applying
        self._by_path: dict[str, list[Compiled]] = {}
        self._rules = [one for one in rules.values() if one.rule.kind != Kind.STATUS]
        timed = [pk for pk, one in rules.items() if one.rule.for_seconds]
        rows = Pending.objects.filter(rule__in=timed, series__in=states) if timed and states else ()
        self._pending = {(one.rule_id, one.series_id): one for one in rows}
        self._since: dict[tuple[int, int], int | None] = {}

    def rules_of(self, state: _State) -> list[Compiled]:
        if state.path not in self._by_path:
            self._by_path[state.path] = [one for one in self._rules if one.watches(state.path)]
        device = self._found.devices[state.device_id]
        return [
            one
            for one in self._by_path[state.path]
            if one.covers(device.endpoint, device.profile_id) and self._applied(one.rule, device.pk)
        ]

    def _applied(self, rule: Rule, device_id: int) -> bool:
        """A fresh rule is first held against what is there (`_apply`)."""
        return self.applying or not rule.fresh or device_id <= rule.applied_to

    def samples(self, state: _State, rows: Iterator[SampleRow], *, strange: bool) -> None:
        """New samples of a series, in order."""
        rules = self.rules_of(state)
        watches = [self._watch(one, state) for one in rules]
        for _, time, seq, number, received in rows:
            counts = state.passed_strange(time, received) if strange else state.passed(time, seq, received)
            for one, watch in zip(rules, watches, strict=True):
                self._one(one, watch, state, counts, number)
        for one, watch in zip(rules, watches, strict=True):
            if one.rule.for_seconds:
                self._since[one.rule.pk, state.pk] = watch.since

    def _watch(self, one: Compiled, state: _State) -> Watch:
        is_open = (one.rule.pk, state.device_id, state.path) in self._found.open
        pending = self._pending.get((one.rule.pk, state.pk))
        since = self._since.get((one.rule.pk, state.pk), pending.since if pending else None)
        return Watch(open=is_open, since=None if is_open else since)

    def _one(self, one: Compiled, watch: Watch, state: _State, counts: int, number: float | None) -> None:
        rule, key = one.rule, (one.rule.pk, state.device_id, state.path)
        if one.threshold is None:
            if watch.open:
                watch.open = False
                self._found.clear_one(*key, at=_moment(counts), text=texts.no_data_cleared(state.path))
            return
        turn = one.threshold.step(watch, counts, number)
        if number is None:
            return
        if turn is Turn.OPENED:
            text = texts.threshold_opened(rule, state.path, number)
            self._found.open_one(
                rule, state.device_id, state.path, at=_moment(counts), text=text, value=number
            )  # fmt: skip
        elif turn is Turn.CLEARED:
            text = texts.threshold_cleared(rule, state.path, number)
            self._found.last(*key, at=_moment(counts), value=number)
            self._found.clear_one(*key, at=_moment(counts), text=text)
        elif watch.open:
            self._found.last(*key, at=_moment(counts), value=number)

    def write(self) -> None:
        """What waits for its time."""
        new, gone = [], []
        for (rule_id, series_id), since in self._since.items():
            present = self._pending.get((rule_id, series_id))
            if since is None and present is not None:
                gone.append(present.pk)
            elif since is not None and (present is None or present.since != since):
                new.append(Pending(rule_id=rule_id, series_id=series_id, since=since))
        if gone:
            Pending.objects.filter(pk__in=gone).delete()
        if new:
            Pending.objects.bulk_create(
                new, update_conflicts=True, unique_fields=["rule", "series"], update_fields=["since"], batch_size=500
            )


def _moment(microseconds: int) -> datetime:
    # a device may claim any time at all; that of a value never counts as later than its receive time
    return datetime_of_us(max(microseconds, 0))


def _slice(device_ids: Sequence[int], now: datetime) -> _Brought:
    """Everything that these devices said since they were looked at last. One transaction, few statements."""
    at = us_of_datetime(now)
    with transaction.atomic():
        rules = _rules_locked()
        found = _Found(now, _devices(Q(pk__in=device_ids)), _open_alerts(Q(device__in=device_ids)))
        begun = [one for one in rules.values() if not one.rule.fresh or one.rule.applied_to]
        states = _states(device_ids, begun, at)
        unfinished = _look(rules, found, states, at)
        _statuses(rules, found, found.devices.values())
        found.write(rules)
    return _Brought(len(found.opened), len(found.cleared), unfinished=unfinished)


def _look(rules: dict[int, Compiled], found: _Found, states: dict[int, _State], at: int) -> set[int]:
    """New samples; the devices that had too many for one transaction."""
    if not states:
        return set()
    judge = _Judge(rules, found, states)
    new = storage.samples_new(states, horizon=at + AHEAD, limit=MOST_SAMPLES)
    strange = storage.samples_strange(states, horizon=at + AHEAD, silent=at - SILENT, limit=MOST_SAMPLES)
    for rows, odd in ((new, False), (strange, True)):
        for series_id, group in groupby(rows, key=lambda row: row[0]):
            judge.samples(states[series_id], group, strange=odd)
    judge.write()
    for state in states.values():
        # nothing, or only times that cannot be right: what is older than that is not the present
        state.received = state.received or max(at, state.strange)
        state.heard = state.heard or at
    storage.cursors_store([one.row for one in states.values() if one.changed])
    rest = [rows[-1][0] for rows in (new, strange) if len(rows) == MOST_SAMPLES]
    return {one.device_id for one in states.values() if rest and one.pk >= min(rest)}


# -- what time brings


def _statuses(rules: dict[int, Compiled], found: _Found, devices: Iterable[Device]) -> None:
    """Rules on the status against what these devices are now."""
    wanted = [one for one in rules.values() if one.rule.kind == Kind.STATUS]
    if not wanted:
        return
    for device in devices:
        for one in wanted:
            rule, key = one.rule, (one.rule.pk, device.pk, "")
            if rule.fresh and device.pk > rule.applied_to:
                # its turn comes with `_apply`
                continue
            if device.status != rule.status:
                if key in found.open:
                    at = max(device.status_since or found.now, found.open[key].opened_at)
                    found.clear_one(*key, at=at, text=texts.status_cleared(device.status))
                continue
            begun = (device.status_since or found.now) + timedelta(minutes=rule.minutes or 0)
            if begun <= found.now and key not in found.open and one.covers(device.endpoint, device.profile_id):
                found.open_one(rule, device.pk, "", at=begun, text=texts.status_opened(rule))


class _Silence:
    """For how long a series has been silent, without the time in which nobody listened."""

    def __init__(self, now: datetime, longest: timedelta) -> None:
        self.now = us_of_datetime(now)
        self._up: dict[int | None, bool] = {
            server.pk: server.connected_since is not None and server.connected_since <= now - CATCH_UP
            for server in LeshanServer.objects.all()
        }
        self._down: dict[int | None, list[tuple[int, int]]] = defaultdict(list)
        down = ServerInterval.objects.filter(
            Q(ended_at=None) | Q(ended_at__gte=now - longest), state=ServerInterval.State.DOWN
        )
        for one in down.order_by("started_at"):
            end = us_of_datetime(min(one.ended_at or now, now))
            self._down[one.server_id].append((us_of_datetime(one.started_at), end))
        self._ends = {server: [end for _, end in parts] for server, parts in self._down.items()}

    def listening(self, server_id: int | None) -> bool:
        """Would we know if the device had said something?"""
        return self._up.get(server_id, True)

    def due(self, last: int, minutes: int, server_id: int | None) -> int | None:
        """When the silence since `last` had lasted that long; None: not yet."""
        due = last + minutes * 60_000_000
        parts = self._down.get(server_id, [])
        for start, end in parts[bisect_left(self._ends.get(server_id, []), last) :]:
            if start >= due:
                break
            due += end - max(start, last)
        return due if due <= self.now else None


def _timed(now: datetime, device_ids: Sequence[int] | None = None) -> tuple[int, int]:
    """No data, statuses, and alerts that no rule is behind any more. Of these devices, or of all."""
    with transaction.atomic():
        rules = _rules_locked()
        # a profile that is deleted takes its rules with it
        orphans = Alert.objects.filter(rule=None, cleared_at=None)
        orphans.update(cleared_at=Greatest(now, F("opened_at")), cleared_text=texts.RULE_DELETED, untold=True)
        if not rules:
            return 0, 0
        found = _timed_found(rules, now, device_ids)
        found.write(rules)
    return len(found.opened), len(found.cleared)


def _timed_found(rules: dict[int, Compiled], now: datetime, device_ids: Sequence[int] | None) -> _Found:
    of_devices = Q() if device_ids is None else Q(device__in=device_ids)
    opened = _open_alerts(of_devices)
    silent = [one for one in rules.values() if one.rule.kind == Kind.NO_DATA]
    quiet = _quiet(silent, now, of_devices)
    ids = {key[1] for key in opened} | {row[1] for row in quiet}
    statuses = [one.rule for one in rules.values() if one.rule.kind == Kind.STATUS]
    matter = Q(pk__in=ids)
    if statuses:
        soonest = min(rule.minutes or 0 for rule in statuses)
        long = Q(status_since=None) | Q(status_since__lte=now - timedelta(minutes=soonest))
        candidates = Q(status__in={rule.status for rule in statuses}) & long
        matter |= candidates if device_ids is None else candidates & Q(pk__in=device_ids)
    found = _Found(now, _devices(matter), opened)
    for key in list(opened):
        one = rules.get(key[0])
        device = found.devices.get(key[1])
        if one is None or device is None:
            continue
        path_fits = key[2] == "" if one.rule.kind == Kind.STATUS else one.watches(key[2])
        if not (path_fits and one.covers(device.endpoint, device.profile_id)):
            found.clear_one(*key, at=now, text=texts.NOT_COVERED)
    silence = _Silence(now, timedelta(minutes=max((one.rule.minutes or 0 for one in silent), default=0)) + SLACK)
    for _, device_id, path, last in quiet:
        device = found.devices[device_id]
        for one in silent:
            key = (one.rule.pk, device_id, path)
            if key in found.open or not one.watches(path) or not silence.listening(device.server_id):
                continue
            due = silence.due(last, one.rule.minutes or 0, device.server_id)
            if due is not None and one.covers(device.endpoint, device.profile_id):
                text = texts.no_data_opened(one.rule, path, _moment(last))
                found.open_one(one.rule, device_id, path, at=_moment(due), text=text)
    _statuses(rules, found, found.devices.values())
    return found


# intervals are looked for a little further back than the longest silence
SLACK = timedelta(days=30)


def _quiet(silent: Sequence[Compiled], now: datetime, of_devices: Q) -> list[tuple[int, int, str, int]]:
    """(series, device, path, last receive time) of watched series without news for the shortest of the times."""
    if not silent:
        return []
    watched = _watched(silent)
    assert watched is not None
    before = us_of_datetime(now) - min(one.rule.minutes or 0 for one in silent) * 60_000_000
    rows = Series.objects.filter(watched, of_devices, alert_cursor__heard__lte=before)
    return list(rows.values_list("pk", "device_id", "path", "alert_cursor__heard"))


# -- a rule that is new, or was changed


def _apply(now: datetime) -> _Brought:
    """Holds fresh rules against what is there, for the next devices. One transaction, few statements."""
    at = us_of_datetime(now)
    with transaction.atomic():
        rules = _rules_locked()
        fresh = {pk: one for pk, one in rules.items() if one.rule.fresh}
        if not fresh:
            return _Brought()
        after = min(one.rule.applied_to for one in fresh.values())
        ids = list(Device.objects.filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)[:SLICE])
        found = _Found(now, _devices(Q(pk__in=ids)), _open_alerts(Q(device__in=ids)))
        settled = [one for one in rules.values() if not one.rule.fresh]
        states = _states(ids, list(rules.values()), at, settled=settled)
        unfinished = _look(rules, found, states, at)
        _present(fresh, found, states, at)
        found.write(rules)
        if unfinished:
            # these had more than fits: once more, until all is seen
            return _Brought(len(found.opened), len(found.cleared), more=True)
        done = len(ids) < SLICE
        Rule.objects.filter(pk__in=fresh).update(fresh=not done, applied_to=0 if done else ids[-1])
        opened, cleared = _timed(now, ids)
    return _Brought(len(found.opened) + opened, len(found.cleared) + cleared, more=not done)


def _present(fresh: dict[int, Compiled], found: _Found, states: dict[int, _State], at: int) -> None:
    """What a fresh rule says of the newest values: no history is made up, and an alert of before may be over."""
    limits = {pk: one for pk, one in fresh.items() if one.threshold is not None}
    if not limits or not states:
        return
    Pending.objects.filter(rule__in=limits, series__in=states).delete()
    judge = _Judge(limits, found, {}, applying=True)
    waiting = []
    for series_id, group in _recent(limits.values(), states, at):
        state = states[series_id]
        values = [(min(row[1], row[4]), row[3]) for row in group]
        for one in judge.rules_of(state):
            assert one.threshold is not None
            watch, opening = Watch(), None
            for counts, number in values:
                if one.threshold.step(watch, counts, number) is Turn.OPENED:
                    opening = counts, number
            key = (one.rule.pk, state.device_id, state.path)
            if watch.open and key not in found.open and opening is not None and opening[1] is not None:
                text = texts.threshold_opened(one.rule, state.path, opening[1])
                found.open_one(
                    one.rule, state.device_id, state.path, at=_moment(opening[0]), text=text, value=opening[1]
                )  # fmt: skip
            elif not watch.open and key in found.open and watch.since is None:
                found.clear_one(*key, at=_moment(at), text=texts.RULE_CHANGED)
            if watch.since is not None:
                waiting.append(Pending(rule=one.rule, series_id=series_id, since=watch.since))
    Pending.objects.bulk_create(waiting, batch_size=500)


def _recent(
    limits: Collection[Compiled], states: dict[int, _State], at: int
) -> Iterator[tuple[int, Sequence[SampleRow]]]:
    """The newest samples of each series; where they may be bad by a rule with a duration, those before them, too."""
    held = [one for one in limits if one.rule.for_seconds and one.threshold is not None]
    lookback = max((one.rule.for_seconds for one in held), default=0) * 1_000_000 + LOOKBACK
    newest = storage.samples_recent(states, lookback=0, horizon=at + AHEAD, limit=20 * MOST_SAMPLES)
    for series_id, group in groupby(newest, key=lambda row: row[0]):
        rows: Sequence[SampleRow] = list(group)
        last = rows[-1][3]
        # a value that is good ends whatever was before it; for how long they were bad is read series by series
        if any(last is None or not (one.threshold and one.threshold.back(last)) for one in held):
            rows = storage.samples_recent([series_id], lookback=lookback, horizon=at + AHEAD, limit=20 * MOST_SAMPLES)
        yield series_id, rows


def _tell(now: datetime) -> None:
    """What pages changed of alerts is told to the other pages, by the one who writes the change feed."""
    if not Alert.objects.filter(untold=True).exists():
        return
    with transaction.atomic():
        rows = list(Alert.objects.select_for_update().filter(untold=True).order_by("pk").values_list("pk", "device_id"))
        Alert.objects.filter(pk__in=[pk for pk, _ in rows]).update(untold=False)
        told = sorted({device_id for _, device_id in rows})
        changes_insert([(device_id, Change.Kind.ALERTS.value) for device_id in told], at=now)


_evaluator = Evaluator()


def evaluate(*, device_ids: Collection[int] | None, now: datetime, budget_seconds: float) -> Evaluated:
    """Opens and clears alerts, with their messages.

    `device_ids`: the devices with new values or another status since the last call. None looks at everything: at the
    start, and every minute for what time alone brings (no data, a status that lasts). A call without news is for what
    pages did: rules that were made or changed, alerts that were acknowledged. Works in transactions of 250 devices
    until `budget_seconds` are over, at least one; what is left is done by the next calls (`more`).
    """
    return _evaluator.evaluate(device_ids=device_ids, now=now, budget_seconds=budget_seconds)


__all__ = ["Evaluated", "Evaluator", "evaluate"]
