"""From typed items to the database: one batch, one transaction, the last event id with its data.

Nothing is stored twice (events that are behind the stored id are skipped) and nothing stops the stream: an item that
cannot be stored is found by halving the batch and kept raw with its error, the rest is stored.
"""

import logging
import re
import time as clock
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F

from backend.devices.models import (
    Change,
    Device,
    DeviceEvent,
    LeshanServer,
    Observation,
    RawEvent,
    Registration,
    Resource,
    Status,
    StreamGap,
)
from backend.devices.services import (
    Sign,
    devices_ensure,
    observation_set_attributes,
    observation_set_failed,
    observations_set_active,
    registration_end,
    registration_fill,
    registration_is_older,
    status_next,
)
from backend.devices.services.registrations import FIELDS as REGISTRATION_FIELDS
from backend.logs.services import Incoming, messages_store
from backend.lwm2m.paths import resource_ids
from backend.lwm2m.registrations import RegistrationInfo
from backend.lwm2m.times import datetime_of_us, us_of_datetime
from backend.lwm2m.values import canonical_text
from backend.sync import queries, texts
from backend.sync.answers import AnswerEffects, Answers
from backend.sync.events import (
    AttributesDone,
    Clients,
    Deregistered,
    Event,
    Gap,
    Idle,
    Ignored,
    ObservationLost,
    ObserveFailed,
    Poisoned,
    Presence,
    ReadDone,
    Reading,
    Redecoded,
    Refused,
    Registered,
    Responded,
    Storable,
    Undecoded,
    Unknown,
    Updated,
    Values,
)
from backend.telemetry.services import SeriesKey, series_ensure
from backend.telemetry.storage import (
    ChangeRow,
    Marks,
    ResourceRow,
    SampleBuffer,
    changes_insert,
    contacts_update,
    resources_upsert,
    samples_insert,
)

log = logging.getLogger(__name__)

# raw bytes kept of an event that could not be stored: a Send of 1 MiB is twice that in hex
KEEP_LIMIT = 4 * 1024 * 1024
# object 3 resources that are copied to the device, for fast lists
IDENTITY = {"/3/0/0": "manufacturer", "/3/0/1": "model", "/3/0/2": "serial_number", "/3/0/3": "firmware_version"}

FIRMWARE = "/5/"
CLOCK = "/3/0/13"
# what a device said of its time longer ago (a backlog, a message that is read later) says nothing of now; microseconds
CLOCK_FRESH = 3_600_000_000
# LogData of the Event Log object (docs/device-logs.md): log messages, no samples
LOG_PATH = re.compile(r"/20/\d+/4014", re.ASCII)

# items that tell something of a device that is there already
_OF_DEVICES = (
    Presence | ObservationLost | Undecoded | Responded | ReadDone | ObserveFailed | AttributesDone | Refused | Redecoded
)

# (age, reading, receive time) of the newest value of a path within a batch
_Current = tuple[int, Reading, int]
# device id → path → series id
_SeriesIds = dict[int, dict[str, int]]


def sequence_of(event_id: str) -> tuple[str, int] | None:
    """`<journal>-<sequence>` in its parts; None for an id of another shape."""
    journal, dash, digits = event_id.rpartition("-")
    return (journal, int(digits)) if dash and digits.isdecimal() else None


@dataclass(slots=True)
class Stored:
    """What a batch brought, for what has to be done next."""

    events: int = 0
    values: int = 0
    errors: int = 0
    last_event_id: str = ""
    # endpoint → registration id of devices that registered or changed their registration
    registered: dict[str, str] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    # endpoints that showed that they are awake
    signs: set[str] = field(default_factory=set)
    asleep: set[str] = field(default_factory=set)
    # endpoints whose observations must be looked at again
    lost: set[str] = field(default_factory=set)
    gap: bool = False
    # the server's list and later events told different things of a registration: ask again
    unsure: bool = False
    # what answers to commands brought
    answers: AnswerEffects = field(default_factory=AnswerEffects)
    # ids of devices that are new, or say other things of themselves (manufacturer, model)
    identified: set[int] = field(default_factory=set)
    # ids of devices that said something of their firmware update (object 5)
    firmware: set[int] = field(default_factory=set)
    # ids of devices of which there are new values, or whose status has changed
    told: set[int] = field(default_factory=set)
    # endpoint → seconds that its clock is ahead of ours, where it said the time
    clocks: dict[str, float] = field(default_factory=dict)
    # endpoint → id of the devices in `registered` and `ended`
    device_ids: dict[str, int] = field(default_factory=dict)

    def add(self, other: "Stored") -> None:
        """Joins the outcome of a later part."""
        self.events += other.events
        self.values += other.values
        self.errors += other.errors
        self.last_event_id = other.last_event_id or self.last_event_id
        for endpoint in other.registered:
            self.ended.discard(endpoint)
        self.ended |= other.ended
        self.registered = {ep: rid for ep, rid in self.registered.items() if ep not in other.ended} | other.registered
        self.signs |= other.signs
        self.asleep = (self.asleep - other.signs) | other.asleep
        self.lost |= other.lost
        self.gap = self.gap or other.gap
        self.unsure = self.unsure or other.unsure
        self.answers.add(other.answers)
        self.identified |= other.identified
        self.firmware |= other.firmware
        self.told |= other.told
        self.clocks |= other.clocks
        self.device_ids |= other.device_ids


@dataclass(slots=True)
class _Work:
    """One device in a batch."""

    device: Device
    registration: Registration | None
    contact: int = 0
    # nothing but the time of contact changes with another message; see _sign
    online: bool = False
    touched: bool = False
    new_values: bool = False
    status_changed: bool = False
    registration_changed: bool = False
    identity: dict[str, str] = field(default_factory=dict)
    current: dict[str, _Current] = field(default_factory=dict)
    # path → series id, as far as known; shared by batches
    series: dict[str, int] = field(default_factory=dict)


class Ingest:
    """Stores batches of items of one server. Used by one thread."""

    def __init__(self, server_id: int) -> None:
        """`server_id`: the LeshanServer row whose stream this is."""
        self._server_id = server_id
        self._series: _SeriesIds = {}
        self._marks = Marks()
        # time.monotonic() of the last news about an endpoint's registration; guards against old snapshots
        self._heard: dict[str, float] = {}

    def store(self, items: Sequence[Storable], *, received: int, bisect_unavailable: bool = False) -> Stored:
        """Stores a batch that was received at `received` (microseconds since 1970).

        Raises OperationalError or InterfaceError where the database is not available: nothing is stored then, and
        the same call may be made again. `bisect_unavailable` is for when the database answers and these errors come
        all the same: then they are treated as the fault of an item, too.
        """
        try:
            return self._store(items, received)
        except (OperationalError, InterfaceError):
            self._forget()
            if not bisect_unavailable:
                raise
        except Exception:
            # a row that we remembered may have been deleted meanwhile: look again before blaming an item
            self._forget()
            log.debug("a batch of %d items failed", len(items), exc_info=True)
        return self._isolate(items, received, bisect_unavailable)

    def _isolate(self, items: Sequence[Storable], received: int, bisect_unavailable: bool) -> Stored:
        """Halves the batch until the item is found that cannot be stored."""
        try:
            return self._store(items, received)
        except (OperationalError, InterfaceError) as error:
            self._forget()
            if not bisect_unavailable:
                raise
            failure: Exception = error
        except Exception as error:
            self._forget()
            failure = error
        if len(items) > 1:
            middle = len(items) // 2
            stored = self._isolate(items[:middle], received, bisect_unavailable)
            stored.add(self._isolate(items[middle:], received, bisect_unavailable))
            return stored
        return self._store([self._poisoned(items[0], failure)], received)

    @staticmethod
    def _poisoned(item: Storable, failure: Exception) -> Poisoned:
        error = f"{type(failure).__name__}: {failure}"[:1000].replace("\x00", "\ufffd")
        event_id, name, data, size = "", type(item).__name__, b"", 0
        if isinstance(item, Event | Poisoned):
            event_id, name, data = item.id, item.name, item.data[:KEEP_LIMIT]
            size = item.size if isinstance(item, Poisoned) else len(item.data)
        log.error("an event could not be stored and is kept raw: %s %s: %s", name, event_id, error)
        return Poisoned(event_id, name, data, size, error)

    def rolled_up(self, hours: Collection[tuple[int, int]] | None) -> None:
        """The marks of these (series id, hour) are no longer in the database; None: nobody knows which are."""
        if hours is None:
            self._marks.clear()
        else:
            self._marks.forget(hours)

    def _forget(self) -> None:
        self._series.clear()
        self._marks.clear()

    def _store(self, items: Sequence[Storable], received: int) -> Stored:
        try:
            with transaction.atomic():
                batch = _Batch(self._server_id, self._series, self._heard, received, self._marks)
                stored = batch.run(items)
        except BaseException:
            self._marks.rolled_back()
            raise
        self._marks.committed()
        return stored


class _Batch:
    """The work of one transaction."""

    def __init__(
        self, server_id: int, series: _SeriesIds, heard: dict[str, float], received: int, marks: Marks
    ) -> None:
        self._server_id = server_id
        self._marks = marks
        self._series = series
        self._heard = heard
        self._received = received
        self._now = datetime_of_us(received)
        self._result = Stored()
        self._works: dict[str, _Work] = {}
        self._registrations: dict[int, Registration] = {}
        self._events: list[DeviceEvent] = []
        self._raw: list[RawEvent] = []
        self._gaps: list[StreamGap] = []
        self._samples = SampleBuffer()
        self._log_messages: list[Incoming] = []
        self._answers = Answers([], self._now)
        # ids of devices of whose commands there is news
        self._commanded: set[int] = set()
        # samples of series that are not known yet: key, time, number, text, delay
        self._unplaced: list[tuple[SeriesKey, int, float | None, str | None, int | None]] = []
        self._newest = 0
        self._server_changed = False
        self._nul_refused = connection.vendor == "postgresql"

    def run(self, items: Sequence[Storable]) -> Stored:
        row = (
            LeshanServer.objects.select_for_update()
            .filter(pk=self._server_id)
            .values("last_event_id", "last_event_at", "head_event_id")
            .get()
        )
        self._last_at: datetime | None = row["last_event_at"]
        fresh, last_id, head = self._fresh(items, row["last_event_id"])
        self._load(fresh)
        position = 0
        while position < len(fresh):
            # nearly all items are of one kind: the short way for it
            position = self._values(fresh, position)
            if position < len(fresh):
                self._take(fresh[position])
                position += 1
        head = _newer(_newer(row["head_event_id"], head), last_id)
        self._write(last_id, head, moved=last_id != row["last_event_id"] or head != row["head_event_id"])
        self._result.last_event_id = last_id
        return self._result

    @staticmethod
    def _fresh(items: Sequence[Storable], last_id: str) -> tuple[list[Storable], str, str]:
        """Without what is stored already; the id of the last event, and the newest one that the server told of."""
        fresh: list[Storable] = []
        head = ""
        place = sequence_of(last_id)
        prefix = f"{place[0]}-" if place else ""
        length = len(prefix)
        if place is not None:
            # nearly always: values only, and each id the next one after what is stored
            ids = [item.id for item in items if type(item) is Values]
            if len(ids) == len(items) and ids == [f"{prefix}{place[1] + count}" for count in range(1, len(ids) + 1)]:
                return list(items), ids[-1] if ids else last_id, head
        for item in items:
            if type(item) is Values:
                # what follows does the same for every kind of item
                digits = item.id[length:]
                if place is not None and digits.isdecimal() and item.id.startswith(prefix):
                    sequence = int(digits)
                    if sequence > place[1]:
                        place, last_id = (place[0], sequence), item.id
                        fresh.append(item)
                    continue
            elif isinstance(item, Idle):
                head = item.last if sequence_of(item.last) else head
                continue
            if isinstance(item, Event | Poisoned) and item.id:
                here = sequence_of(item.id)
                if isinstance(item, Gap):
                    # a gap may lead back (the server has lost events that we have), but it is told only once
                    if item.id == last_id:
                        continue
                elif here and place and here[0] == place[0] and here[1] <= place[1]:
                    continue
                place, last_id = here, item.id
                prefix = f"{here[0]}-" if here else ""
                length = len(prefix)
            fresh.append(item)
        return fresh, last_id, head

    # -- what is there

    def _load(self, items: Sequence[Storable]) -> None:
        """Devices and, where needed, registrations of all items, in a few queries."""
        endpoints: set[str] = set()
        create = {item.endpoint for item in items if type(item) is Values}
        lifecycle: set[str] = set()
        responses: list[Responded] = []
        for item in items:
            if type(item) is Values:
                continue
            if isinstance(item, Responded):
                responses.append(item)
            if isinstance(item, Registered | Updated):
                create.add(item.registration.endpoint)
                lifecycle.add(item.registration.endpoint)
            elif isinstance(item, Deregistered):
                endpoints.add(item.registration.endpoint)
                lifecycle.add(item.registration.endpoint)
            elif isinstance(item, Clients):
                names = {info.endpoint for info in item.registrations}
                ours = Registration.objects.filter(ended_at=None, device__server_id=self._server_id)
                endpoints |= names | set(ours.values_list("device__endpoint", flat=True))
                create |= names
                lifecycle |= endpoints
            elif isinstance(item, _OF_DEVICES):
                endpoints.add(item.endpoint)
        if responses:
            self._answers = Answers(responses, self._now)
        endpoints |= create
        endpoints.discard("")
        if not endpoints:
            return
        devices = devices_ensure(endpoints=endpoints, create=create)
        wanted = [
            device.pk
            for endpoint, device in devices.items()
            if endpoint in lifecycle or device.status in {Status.OFFLINE, Status.ASLEEP}
        ]
        registrations = {row.device_id: row for row in Registration.objects.filter(device_id__in=wanted)}
        for endpoint, device in devices.items():
            ids = self._series.setdefault(device.pk, {})
            self._works[endpoint] = _Work(device, registrations.get(device.pk), series=ids)

    # -- item by item

    def _take(self, item: Storable) -> None:
        if isinstance(item, ReadDone):
            self._read(item)
        elif isinstance(item, ObserveFailed):
            self._observe_failed(item)
        elif isinstance(item, AttributesDone):
            self._attributes(item)
        elif isinstance(item, Clients):
            self._clients(item)
            return
        elif isinstance(item, Redecoded):
            self._redecoded(item)
        elif isinstance(item, Poisoned):
            self._result.events += 1
            self._keep(item.id, item.name, item.data, item.size, item.error)
        elif isinstance(item, Responded):
            self._responded(item)
        elif isinstance(item, Registered):
            self._register(item.registration, item.time or us_of_datetime(item.registration.registered_at))
        elif isinstance(item, Updated):
            self._update(item.registration, item.time or us_of_datetime(item.registration.last_update))
        elif isinstance(item, Deregistered):
            self._deregister(item.registration, item.reason, item.time or self._received)
        elif isinstance(item, Presence):
            self._presence(item)
        elif isinstance(item, Gap):
            self._gap(item)
        elif isinstance(item, ObservationLost):
            self._observation_lost(item)
        elif isinstance(item, Undecoded):
            self._undecoded(item)
        elif isinstance(item, Refused):
            self._refused(item)
        elif isinstance(item, Unknown):
            self._keep(item.id, item.name, item.data, len(item.data), f"unknown event {item.name!r}")
        if isinstance(item, Event):
            self._result.events += not isinstance(item, Ignored)
            if item.time is not None and item.time > self._newest:
                self._newest = item.time

    def _values(self, items: Sequence[Storable], start: int) -> int:
        """The hot loop, a microsecond a value: takes items from `start` on as long as they are values.

        Gives back where the first of another kind is.
        """
        works = self._works
        plain, timed = self._samples.plain, self._samples.timed
        nul_refused, newest, count = self._nul_refused, self._newest, 0
        end = start
        for end in range(start, len(items)):
            item = items[end]
            if type(item) is not Values:
                break
            work = works[item.endpoint]
            at = item.time
            if at is None:
                at = self._received
            elif at > newest:
                newest = at
            if work.online:
                # it was online before: there is nothing to decide
                if at > work.contact:
                    work.contact = at
            else:
                self._sign(work, Sign.MESSAGE, at, own_time=item.time is not None)
            readings = item.readings
            if nul_refused or item.problems:
                readings = self._mended(item, work)
            if not readings:
                continue
            count += len(readings)
            current, ids = work.current, work.series
            for reading in readings:
                path, _, number, text, own = reading
                if text is not None and (path in item.guessed or LOG_PATH.fullmatch(path)):
                    if self._log(work, reading, at):
                        continue
                    if path in item.guessed:
                        self._show(work, reading, at)
                        work.new_values = True
                        continue
                age = at if own is None or own > at else own
                shown = current.get(path)
                if shown is None or shown[0] <= age:
                    current[path] = (age, reading, at)
                    work.new_values = True
                series_id = ids.get(path)
                # what _sample does, without the calls: nearly all values go one of the first two ways
                if text is not None or number is None or series_id is None:
                    self._sample(work, path, at, number, text, own)
                elif own is None:
                    plain += (series_id, at, number)
                else:
                    timed += (series_id, own, number, (at - own) // 1000)
        else:
            end = len(items)
        self._newest = newest
        self._result.events += end - start
        self._result.values += count
        return end

    def _mended(self, item: Values, work: _Work) -> list[Reading]:
        """The values as this database can hold them; a message with problems is kept raw as well."""
        readings, problems = item.readings, item.problems
        if self._nul_refused:
            readings, problems = _without_nul(readings, problems)
        if problems:
            self._keep(item.id, item.name, item.data, len(item.data), "; ".join(problems[:20]), work.device)
        return readings

    def _log(self, work: _Work, reading: Reading, at: int) -> bool:
        """Takes a log message out of the values; false where it is none."""
        path, type_, _, text, own = reading
        if type_ != "OPAQUE" or text is None or not LOG_PATH.fullmatch(path):
            return False
        if text:
            self._log_messages.append(Incoming(work.device.pk, bytes.fromhex(text), at, own))
        return True

    @staticmethod
    def _show(work: _Work, reading: Reading, at: int) -> None:
        """Makes it the current value, where there is no newer one in the batch."""
        own = reading[4]
        age = at if own is None or own > at else own
        newest = work.current.get(reading[0])
        if newest is None or newest[0] <= age:
            work.current[reading[0]] = (age, reading, at)

    def _redecoded(self, item: Redecoded) -> None:
        """A message that was kept raw: its values land at their time, as if they had been understood at once."""
        work = self._works.get(item.endpoint)
        raw = RawEvent.objects.filter(pk=item.raw_id, decoded_at=None)
        if work is None or not raw.exists():
            return
        if item.whole:
            raw.update(decoded_at=self._now)
        at = item.received
        readings = _without_nul(item.readings, [])[0] if self._nul_refused else item.readings
        values = [reading for reading in readings if not self._log(work, reading, at)]
        known = queries.samples_known(
            device_id=work.device.pk, keys={(path, at if own is None else own) for path, _, _, _, own in values}
        )
        new = 0
        for reading in values:
            path, _, number, text, own = reading
            time = at if own is None else own
            self._show(work, reading, at)
            if (path, time) in known.summed_up and not item.whole:
                # a part of the message comes each time that it is tried: it would be added to the rollups each time
                continue
            new += (path, time) not in known.kept
            self._sample(work, path, at, number, text, own)
        work.new_values = work.new_values or bool(values)
        self._result.values += new
        if item.whole or new:
            work.status_changed = True
            text = texts.decoded(new, whole=item.whole)
            detail = {"message": item.raw_id, "values": new}
            self._note(DeviceEvent.Kind.DECODED, self._received, text, detail, work.device)

    def _sample(self, work: _Work, path: str, at: int, number: float | None, text: str | None, own: int | None) -> None:
        """Puts a sample where its series is known, else aside until all new series are made in one go."""
        time, delay = (at, None) if own is None else (own, (at - own) // 1000)
        series_id = work.series.get(path)
        if series_id is None:
            self._unplaced.append(((work.device.pk, path), time, number, text, delay))
        else:
            self._samples.add(series_id, time, number, text, delay)

    def _read(self, item: ReadDone) -> None:
        """An answer tells the current value; it is a sample, too, where no event will tell it and it is news."""
        work = self._works.get(item.endpoint)
        if work is None:
            return
        device_id = work.device.pk
        self._sign(work, Sign.MESSAGE, item.received, own_time=True)
        known: dict[str, str] = {}
        readings, problems = item.readings, item.problems
        if self._nul_refused:
            readings, problems = _without_nul(readings, problems)
        if item.marks:
            observations_set_active(
                device_id=device_id, marks=item.marks, registration_id=item.registration_id, at=self._now
            )
            work.status_changed = True
        if item.sampled:
            paths = [reading[0] for reading in readings]
            stored = Resource.objects.filter(device_id=device_id, path__in=paths)
            known = dict(stored.values_list("path", "value"))
        for reading in readings:
            path, type_, number, text, _ = reading
            if self._log(work, reading, item.received):
                continue
            work.new_values = True
            before = work.current.get(path)
            old = known.get(path) if before is None else canonical_text(*before[1][1:4])
            if item.sampled and old != canonical_text(type_, number, text):
                self._sample(work, path, item.received, number, text, None)
            if before is None or before[0] <= item.received:
                work.current[path] = (item.received, reading, item.received)
        if problems:
            log.warning("%s %s: %s", item.endpoint, item.path, "; ".join(problems[:5]))
            self._result.errors += 1

    def _responded(self, item: Responded) -> None:
        """How a request ended: a command's, or one that somebody else made."""
        work = self._works.get(item.endpoint)
        if work is None:
            return
        at = item.time or self._received
        taken = self._answers.take(item)
        if taken is not None:
            self._commanded.add(work.device.pk)
        if item.record.outcome == "answered":
            self._sign(work, Sign.MESSAGE, at, own_time=item.time is not None)
        elif item.record.outcome == "timeout":
            # what it said before is no sign that it listens now; what it says after is
            self._result.signs.discard(item.endpoint)
            work.online = False
        readings, problems = item.readings, item.problems
        if self._nul_refused:
            readings, problems = _without_nul(readings, problems)
        if problems:
            self._keep(item.id, item.name, item.data, len(item.data), "; ".join(problems[:20]), work.device)
        sampled = taken is not None and self._answers.sampled(taken[0])
        guessed = (item.record.response or {}).get("guessed") or ()
        for reading in readings:
            path, type_, number, text, _ = reading
            if self._log(work, reading, at):
                continue
            work.new_values = True
            before = work.current.get(path)
            if sampled and type_ != "OPAQUE" and path not in guessed:
                self._sample(work, path, at, number, text, None)
            if before is None or before[0] <= at:
                work.current[path] = (at, reading, at)
        self._result.values += len(readings)

    def _attributes(self, item: AttributesDone) -> None:
        work = self._works.get(item.endpoint)
        if work is None:
            return
        observation_set_attributes(
            device_id=work.device.pk, path=item.path, attributes=item.attributes, note=item.note, at=self._now
        )
        work.status_changed = True

    def _observe_failed(self, item: ObserveFailed) -> None:
        work = self._works.get(item.endpoint)
        if work is None:
            return
        observation_set_failed(
            device_id=work.device.pk,
            path=item.path,
            registration_id=item.registration_id,
            reason=item.reason,
            at=self._now,
        )
        work.status_changed = True

    def _sign(self, work: _Work, sign: Sign, at: int, *, own_time: bool = True) -> None:
        """Takes a sign of life (or of its end) into the device's status and last contact."""
        work.touched = True
        device = work.device
        work.online = sign is Sign.MESSAGE and device.status == Status.ONLINE
        if sign is not Sign.GONE and sign is not Sign.ASLEEP and at > work.contact:
            work.contact = at
        late = False
        if sign is Sign.MESSAGE:
            if device.status == Status.ONLINE:
                self._result.signs.add(device.endpoint)
                return
            if device.status in {Status.OFFLINE, Status.ASLEEP} and device.status_since is not None:
                # a message may be told later than the end of the registration that it came in
                ended = work.registration is not None and work.registration.ended_at is not None
                late = at <= us_of_datetime(device.status_since) or (ended and not own_time)
        status = status_next(status=device.status, sign=sign, late=late)
        if status == Status.ONLINE:
            self._result.signs.add(device.endpoint)
            self._result.asleep.discard(device.endpoint)
        if status != device.status:
            device.status = status
            device.status_since = datetime_of_us(at)
            work.status_changed = True

    def _work_of(self, info: RegistrationInfo) -> _Work:
        work = self._works[info.endpoint]
        self._heard[info.endpoint] = clock.monotonic()
        return work

    def _register(self, info: RegistrationInfo, at: int) -> None:
        work = self._work_of(info)
        if registration_is_older(stored=work.registration, info=info):
            self._note(DeviceEvent.Kind.REGISTERED, at, texts.registered(info), _facts(info), work.device)
            return
        before = work.registration
        same = before is not None and before.registration_id == info.registration_id and before.ended_at is None
        self._adopt(work, info)
        self._sign(work, Sign.REGISTERED, at)
        if not same:
            self._note(DeviceEvent.Kind.REGISTERED, at, texts.registered(info), _facts(info), work.device)
        self._result.registered[info.endpoint] = info.registration_id
        self._result.ended.discard(info.endpoint)

    def _update(self, info: RegistrationInfo, at: int) -> None:
        work = self._work_of(info)
        if registration_is_older(stored=work.registration, info=info):
            return
        known = work.registration is not None and work.registration.ended_at is None
        changed = self._adopt(work, info)
        self._sign(work, Sign.REGISTERED, at)
        if changed:
            self._note(DeviceEvent.Kind.UPDATED, at, texts.updated(info, changed), _facts(info), work.device)
        if not known or "objects" in changed:
            self._result.registered[info.endpoint] = info.registration_id
            self._result.ended.discard(info.endpoint)

    def _adopt(self, work: _Work, info: RegistrationInfo) -> list[str]:
        """Makes the registration the device's current one; the words for what changed in it."""
        if work.registration is None:
            work.registration = Registration(device=work.device)
            self._result.identified.add(work.device.pk)
        changed = registration_fill(registration=work.registration, info=info)
        work.registration_changed = True
        work.status_changed = work.status_changed or bool(changed)
        if work.device.server_id != self._server_id:
            Device.objects.filter(pk=work.device.pk).update(server_id=self._server_id)
            work.device.server_id = self._server_id
        return changed

    def _deregister(self, info: RegistrationInfo, reason: str, at: int) -> None:
        work = self._works.get(info.endpoint)
        if work is None:
            return
        self._heard[info.endpoint] = clock.monotonic()
        reason = reason or "deregistered"
        kind = texts.END_KINDS.get(reason, DeviceEvent.Kind.DEREGISTERED)
        self._note(kind, at, texts.ended(info, reason), {**_facts(info), "reason": reason}, work.device)
        stored = work.registration
        if stored is not None and stored.registration_id != info.registration_id:
            if registration_is_older(stored=stored, info=info) or stored.registered_at == info.registered_at:
                return
            stored = None
        if stored is None:
            self._adopt(work, info)
            stored = work.registration
            assert stored is not None
        registration_end(registration=stored, at=datetime_of_us(at), reason=reason)
        work.registration_changed = True
        work.status_changed = True
        if reason != "replaced":
            self._sign(work, Sign.GONE, at)
            if reason == "deregistered":
                work.contact = max(work.contact, at)
        self._result.registered.pop(info.endpoint, None)
        self._result.signs.discard(info.endpoint)
        self._result.ended.add(info.endpoint)

    def _presence(self, item: Presence) -> None:
        work = self._works.get(item.endpoint)
        if work is None:
            return
        at = item.time or self._received
        if item.awake:
            self._sign(work, Sign.AWAKE, at)
        else:
            self._sign(work, Sign.ASLEEP, at)
            self._result.signs.discard(item.endpoint)
            self._result.asleep.add(item.endpoint)

    def _gap(self, item: Gap) -> None:
        self._gaps.append(
            StreamGap(
                server_id=self._server_id,
                journal=item.journal,
                first_sequence=item.first,
                last_sequence=item.last,
                reason=item.reason,
                since=datetime_of_us(self._newest) if self._newest else self._last_at,
                recorded_at=self._now,
            )
        )
        log.warning("events are lost for ever: %s", texts.gap(item))
        self._result.gap = True
        self._server_changed = True

    def _observation_lost(self, item: ObservationLost) -> None:
        work = self._works.get(item.endpoint)
        if work is None:
            return
        at = item.time or self._received
        self._sign(work, Sign.MESSAGE, at, own_time=item.time is not None)
        text = texts.observation_lost(item)
        detail = {"path": ", ".join(item.paths), "code": item.code}
        self._note(DeviceEvent.Kind.OBSERVATION_LOST, at, text, detail, work.device)
        for row in Observation.objects.filter(device=work.device, path__in=item.paths):
            observation_set_failed(
                device_id=work.device.pk,
                path=row.path,
                registration_id=row.registration_id,
                reason=text,
                at=datetime_of_us(at),
            )
            work.status_changed = True
            self._result.lost.add(item.endpoint)

    def _undecoded(self, item: Undecoded) -> None:
        work = self._works.get(item.endpoint)
        at = item.time or self._received
        device = None if work is None else work.device
        if work is not None:
            self._sign(work, Sign.MESSAGE, at, own_time=item.time is not None)
        detail = {"path": item.path, "format": item.format, "error": item.error, "bytes": len(item.hex) // 2}
        self._note(DeviceEvent.Kind.UNDECODED, at, texts.undecoded(item), detail, device)
        self._keep(item.id, item.name, item.data, len(item.data), f"undecoded: {item.error}", device)

    def _refused(self, item: Refused) -> None:
        work = self._works.get(item.endpoint)
        at = item.time or self._received
        device = None if work is None else work.device
        self._note(DeviceEvent.Kind.REFUSED, at, texts.refused(item), item.detail, device)
        if work is not None:
            # a device's page must show the refusal, but its status is not changed by what a stranger may have tried
            work.status_changed = True

    def _clients(self, item: Clients) -> None:
        """Repairs registrations by what the server has: adds unseen ones, ends vanished ones."""
        at = self._received
        present: dict[str, RegistrationInfo] = {}
        for info in item.registrations:
            present[info.endpoint] = info
            if self._heard.get(info.endpoint, 0.0) > item.asked:
                # an event told more since; the list is older, or the event was, and only told late
                told = self._works[info.endpoint].registration
                if told is None or told.ended_at is not None or told.registration_id != info.registration_id:
                    self._result.unsure = True
                continue
            work = self._works[info.endpoint]
            stored = work.registration
            if registration_is_older(stored=stored, info=info):
                continue
            same = stored is not None and stored.registration_id == info.registration_id
            if same and stored is not None and stored.ended_at is not None and stored.end_reason != "vanished":
                continue
            known = same and stored is not None and stored.ended_at is None
            self._adopt(work, info)
            work.touched = True
            if not known:
                self._note(DeviceEvent.Kind.REGISTERED, at, texts.registered(info), _facts(info), work.device)
            work.contact = max(work.contact, us_of_datetime(info.last_update))
            if info.sleeping:
                self._set_status(work, status_next(status=Status.ONLINE, sign=Sign.ASLEEP), at)
                self._result.asleep.add(info.endpoint)
            elif not known or work.device.status != Status.ASLEEP or info.sleeping is False:
                self._set_status(work, status_next(status=work.device.status, sign=Sign.REGISTERED), at)
            self._result.registered[info.endpoint] = info.registration_id
        for endpoint, work in self._works.items():
            stored = work.registration
            if endpoint in present or stored is None or stored.ended_at is not None:
                continue
            if work.device.server_id != self._server_id:
                continue
            if self._heard.get(endpoint, 0.0) > item.asked:
                self._result.unsure = True
                continue
            registration_end(registration=stored, at=datetime_of_us(at), reason="vanished")
            work.registration_changed = True
            self._note(
                DeviceEvent.Kind.VANISHED,
                at,
                texts.vanished(),
                {"registration": stored.registration_id},
                work.device,
            )
            work.touched = True
            self._set_status(work, status_next(status=work.device.status, sign=Sign.GONE), at)
            self._result.ended.add(endpoint)

    def _set_status(self, work: _Work, status: Status, at: int) -> None:
        if work.device.status in {status, Status.BLOCKED}:
            return
        work.device.status = status
        work.device.status_since = datetime_of_us(at)
        work.status_changed = True

    # -- records

    def _note(self, kind: DeviceEvent.Kind, at: int, text: str, detail: dict[str, Any], device: Device | None) -> None:
        self._events.append(DeviceEvent(device=device, kind=kind, at=datetime_of_us(at), text=text, detail=detail))

    def _keep(self, event_id: str, name: str, data: bytes, size: int, error: str, device: Device | None = None) -> None:
        """Keeps an event raw."""
        self._raw.append(
            RawEvent(
                server_id=self._server_id,
                device=device,
                event_id=event_id,
                name=name[:64],
                data=data[:KEEP_LIMIT],
                size=size,
                error=error.replace("\x00", "\ufffd"),
                received_at=self._now,
            )
        )
        self._result.errors += 1

    # -- and all of it to the database

    def _write(self, last_id: str, head: str, *, moved: bool) -> None:
        self._write_values()
        changes: list[ChangeRow] = []
        self._answers.settle()
        self._result.answers = self._answers.effects
        changes += [(device_id, Change.Kind.COMMANDS) for device_id in sorted(self._commanded)]
        contacts = []
        registrations = []
        for endpoint, work in self._works.items():
            device = work.device
            if endpoint in self._result.registered or endpoint in self._result.ended:
                self._result.device_ids[endpoint] = device.pk
            if work.touched:
                contact = datetime_of_us(work.contact) if work.contact else None
                if contact is None or (device.last_contact is not None and device.last_contact > contact):
                    contact = device.last_contact
                contacts.append((contact, device.status, device.status_since, device.pk))
            if work.registration_changed and work.registration is not None:
                registrations.append(work.registration)
            if work.identity:
                # what is current now: the news may be older than what is stored
                current = Resource.objects.filter(device_id=device.pk, path__in=IDENTITY).order_by()
                columns = {IDENTITY[path]: value[:255] for path, value in current.values_list("path", "value")}
                Device.objects.filter(pk=device.pk).update(**columns)
                work.status_changed = True
                self._result.identified.add(device.pk)
            if work.new_values:
                changes.append((device.pk, Change.Kind.VALUES))
            if work.status_changed:
                changes.append((device.pk, Change.Kind.STATUS))
            if work.new_values or work.status_changed:
                self._result.told.add(device.pk)
        if self._log_messages:
            kept = messages_store(self._log_messages, at=self._now)
            changes += [(device_id, Change.Kind.LOGS) for device_id in sorted(kept.devices)]
        contacts_update(contacts)
        Registration.objects.bulk_create(
            registrations, update_conflicts=True, unique_fields=["device"], update_fields=REGISTRATION_FIELDS
        )
        DeviceEvent.objects.bulk_create(self._events)
        RawEvent.objects.bulk_create(self._raw, ignore_conflicts=True)
        StreamGap.objects.bulk_create(self._gaps)
        if any(event.device_id is None for event in self._events) or self._raw:
            self._server_changed = True
        if self._server_changed:
            changes.append((None, Change.Kind.SERVER))
        changes_insert(changes, at=self._now)
        self._write_server(last_id, head, moved=moved)

    def _write_values(self) -> None:
        if self._unplaced:
            for (device_id, path), pk in series_ensure(keys={sample[0] for sample in self._unplaced}).items():
                self._series.setdefault(device_id, {})[path] = pk
            for (device_id, path), time, number, text, delay in self._unplaced:
                self._samples.add(self._series[device_id][path], time, number, text, delay)
        samples_insert(self._samples, self._marks)
        resources: list[ResourceRow] = []
        for work in self._works.values():
            for path, (_, (_, type_, number, text, own), received) in work.current.items():
                value = canonical_text(type_, number, text)
                time = received if own is None else own
                resources.append(
                    (work.device.pk, path, *resource_ids(path), type_, value, number, time, received, own is not None)
                )
                if path.startswith(FIRMWARE):
                    self._result.firmware.add(work.device.pk)
                elif (
                    path == CLOCK
                    and type_ == "TIME"
                    and own is None
                    and number is not None
                    and self._received - received < CLOCK_FRESH
                ):
                    self._result.clocks[work.device.endpoint] = number / 1000 - received / 1_000_000
                column = IDENTITY.get(path)
                if column is not None and getattr(work.device, column) != value[:255]:
                    work.identity[column] = value[:255]
        # in one order always, so that two writers could never wait for each other
        resources.sort()
        resources_upsert(resources)

    def _write_server(self, last_id: str, head: str, *, moved: bool) -> None:
        result = self._result
        if not (moved or result.events or result.values or result.errors):
            return
        values: dict[str, Any] = {
            "events_stored": F("events_stored") + result.events,
            "values_stored": F("values_stored") + result.values,
            "errors": F("errors") + result.errors,
        }
        if moved:
            values |= {"last_event_id": last_id, "head_event_id": head}
        if self._newest:
            values["last_event_at"] = datetime_of_us(self._newest)
            values["lag_ms"] = max(0, min(2**31 - 1, round(clock.time() * 1000) - self._newest // 1000))
        elif result.events:
            values["last_event_at"] = self._now
            values["lag_ms"] = 0
        LeshanServer.objects.filter(pk=self._server_id).update(**values)


def _without_nul(readings: list[Reading], problems: list[str]) -> tuple[list[Reading], list[str]]:
    """For PostgreSQL, which holds no NUL in a text: a replacement character in its place, and a problem that says so.

    One such text must cost neither the other values of its message nor itself; the message is kept raw.
    """
    found = [path for path, _, _, text, _ in readings if text is not None and "\x00" in text]
    if not found:
        return readings, problems
    cleaned = [
        (path, type_, number, None if text is None else text.replace("\x00", "\ufffd"), time)
        for path, type_, number, text, time in readings
    ]
    said = f"{', '.join(found[:5])}: NUL characters, which PostgreSQL cannot hold, are stored as U+FFFD"
    return cleaned, [*problems, said]


def _newer(head: str, candidate: str) -> str:
    """The later one of two event ids; of different journals, the second."""
    place, other = sequence_of(head), sequence_of(candidate)
    if other is None:
        return head
    return head if place is not None and place[0] == other[0] and place[1] > other[1] else candidate


def _facts(info: RegistrationInfo) -> dict[str, Any]:
    return {
        "registration": info.registration_id,
        "address": info.address,
        "lifetime": info.lifetime,
        "binding": info.binding_mode,
        "version": info.lwm2m_version,
        "secure": info.secure,
    }
