"""Log messages of devices into the database, inside sync's transaction: a constant number of statements a batch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from django.db import transaction
from django.db.models import Q

from backend.devices.models import Device, Profile
from backend.logs import storage
from backend.logs.format import FormatError, LogEntry, LogMessage, parse, readable
from backend.logs.models import Boot, Loss, Module, Usage
from backend.logs.services.boots import BootState, Hole

# lines that may come at once, whatever the profile says; minutes' worth that may come at once
BURST_LINES = 2000
BURST_MINUTES = 10
# a line costs one for itself and one more for each so many bytes
COST_BYTES = 1024
# new boots are still noted when the allowance is used up, down to this
OVERDRAFT = -100
_BOOT_FIELDS = [
    "started",
    "last_sequence",
    "lost",
    "stretch_started",
    "stretch_uptime",
    "stretch_messages",
    "last_time",
]
# names of modules noted per device
MODULES = 200
# a device's own time of what could not be read is taken if it lies so far back at most (µs)
_PLAUSIBLE = 7 * 86_400_000_000


class Incoming(NamedTuple):
    """One value of 20/x/4014."""

    device_id: int
    data: bytes
    # µs since 1970: when we had it, and which time the device gave the value (None: none)
    received: int
    sent_time: int | None = None


@dataclass(frozen=True)
class Kept:
    """What became of a batch."""

    # stored, and not kept because of the limits
    lines: int = 0
    cut: int = 0
    # devices with anything new to show
    devices: set[int] = field(default_factory=set)


@dataclass(slots=True)
class _Account:
    """A device's limits and counts."""

    usage: Usage
    # lines a minute; None: as many as come
    rate: int | None
    tokens: float
    # names that are stored
    modules: set[str]
    touched: bool = False

    @property
    def dry(self) -> bool:
        """Is there less than a minute's worth? What is cut then stays cut: a storm is one loss a minute, not many."""
        return self.rate is not None and self.tokens < max(1, self.rate)

    def take(self, cost: int) -> bool:
        """May something of this cost be kept? Then it is paid."""
        if self.rate is None:
            return True
        if self.tokens < cost:
            # something larger than the whole bucket would never fit
            if self.tokens < _capacity(self.rate):
                return False
            cost = int(self.tokens)
        self.tokens -= cost
        return True


def _capacity(rate: int) -> int:
    return max(BURST_LINES, BURST_MINUTES * rate)


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


@dataclass(slots=True)
class _Batch:
    """What is to be written."""

    rows: list[storage.LineRow] = field(default_factory=list)
    cut: int = 0
    devices: set[int] = field(default_factory=set)


@transaction.atomic(savepoint=False)
def messages_store(items: Sequence[Incoming], *, at: datetime) -> Kept:
    """Stores log messages, in the order that they came in. In the caller's transaction if any; one writer at a time.

    Lines that are there already change nothing. What is no log message becomes one unread line.
    """
    if not items:
        return Kept()
    accounts = _accounts({item.device_id for item in items}, at)
    parsed: list[tuple[Incoming, LogMessage | FormatError]] = []
    for item in items:
        if item.device_id not in accounts:
            # deleted meanwhile
            continue
        try:
            parsed.append((item, parse(item.data)))
        except FormatError as error:
            parsed.append((item, error))
    boots = _boots(parsed, accounts, at)
    batch = _Batch()
    for item, message in parsed:
        account = accounts[item.device_id]
        if isinstance(message, FormatError):
            _unread(batch, account, item, item.data, f"No log message: {message}.")
            continue
        state = boots.get((item.device_id, message.boot_id))
        if state is None:
            _cut(batch, account, len(message.lines) or 1)
            continue
        fresh = _message(batch, account, state, item, message)
        if message.rest and (fresh or not message.lines):
            _unread(batch, account, item, message.rest, f"The rest of a log message: {message.problem}.")
    _write_boots(boots.values())
    if storage.lines_insert(batch.rows) != len(batch.rows):
        _recount(accounts.values())
    _write_losses(boots.values())
    _write_modules(batch.rows, accounts)
    _write_accounts(accounts.values(), at)
    return Kept(len(batch.rows), batch.cut, batch.devices)


# -- what is known


def _accounts(device_ids: set[int], at: datetime) -> dict[int, _Account]:
    rows = list(Device.objects.filter(id__in=device_ids).values_list("id", "profile_id"))
    profiles = {
        profile.pk: profile
        for profile in Profile.objects.filter(
            Q(is_default=True) | Q(pk__in={profile for _, profile in rows if profile is not None})
        )
    }
    default = next((profile for profile in profiles.values() if profile.is_default), None)
    usages = {usage.device_id: usage for usage in Usage.objects.filter(device_id__in=device_ids)}
    modules: dict[int, set[str]] = {}
    for device_id, name in Module.objects.filter(device_id__in=device_ids).values_list("device_id", "name"):
        modules.setdefault(device_id, set()).add(name)
    accounts = {}
    for device_id, profile_id in rows:
        profile = default if profile_id is None else profiles[profile_id]
        rate = profile.logs_per_minute if profile else None
        made = usages.get(device_id) or Usage(device_id=device_id, counted_at=at)
        tokens = 0.0
        if rate is not None:
            tokens = capacity = float(_capacity(rate))
            if made.allowance is not None:
                minutes = max(0.0, (at - made.counted_at).total_seconds() / 60)
                tokens = min(capacity, made.allowance + minutes * rate)
        accounts[device_id] = _Account(made, rate, tokens, modules.get(device_id, set()))
    return accounts


def _boots(
    parsed: Sequence[tuple[Incoming, LogMessage | FormatError]], accounts: dict[int, _Account], at: datetime
) -> dict[tuple[int, int], BootState]:
    """The boots of these messages with the holes that they may touch; new ones are stored."""
    # (device, boot id) → lowest and highest number of interest
    wanted: dict[tuple[int, int], tuple[int, int]] = {}
    for item, message in parsed:
        if isinstance(message, LogMessage):
            key = item.device_id, message.boot_id
            low, high = wanted.get(key, (message.first, message.first))
            wanted[key] = min(low, message.first), max(high, message.first + len(message.lines))
    if not wanted:
        return {}
    stored = Boot.objects.filter(
        device_id__in={device for device, _ in wanted}, boot_id__in={boot_id for _, boot_id in wanted}
    )
    boots = {(boot.device_id, boot.boot_id): BootState(boot) for boot in stored}
    boots = {key: state for key, state in boots.items() if key in wanted}
    ranges = [(state.boot.pk, wanted[key][0] - 1, wanted[key][1]) for key, state in boots.items()]
    if ranges:
        by_id = {state.boot.pk: state for state in boots.values()}
        for loss in storage.losses_near(ranges):
            by_id[loss.boot_id].load(loss)
    new = []
    for key in wanted:
        account = accounts[key[0]]
        if key in boots or (account.rate is not None and account.tokens < OVERDRAFT):
            continue
        account.tokens -= 1
        account.touched = True
        new.append(
            Boot(device_id=key[0], boot_id=key[1], started=0, stretch_started=0, stretch_uptime=0, first_received_at=at)
        )
    for boot in Boot.objects.bulk_create(new):
        boots[boot.device_id, boot.boot_id] = BootState(boot)
    return boots


# -- one message


def _cut(batch: _Batch, account: _Account, count: int) -> None:
    account.usage.cut += count
    account.touched = True
    batch.cut += count
    batch.devices.add(account.usage.device_id)


def _unread(batch: _Batch, account: _Account, item: Incoming, data: bytes, problem: str) -> None:
    """Bytes that are no log message, or the rest of one, as a line of its own."""
    text = _as_text(data)
    size = _size(text)
    if not account.take(1 + size // COST_BYTES):
        _cut(batch, account, 1)
        return
    sent = item.sent_time
    time = sent if sent is not None and item.received - _PLAUSIBLE <= sent <= item.received else item.received
    batch.rows.append((item.device_id, None, None, time, item.received, None, 0, "", text, problem))
    _count(batch, account, 1, size)


def _count(batch: _Batch, account: _Account, lines: int, size: int) -> None:
    account.usage.lines += lines
    account.usage.bytes += size
    account.touched = True
    batch.devices.add(account.usage.device_id)


def _as_text(data: bytes) -> str:
    """What is mostly text as text, the other as hex."""
    text = data.decode(errors="replace")
    plain = sum(character.isprintable() or character in "\t\r\n" for character in text) - text.count("\ufffd")
    return readable(data) if 4 * plain >= 3 * len(text) else data.hex()


def _message(batch: _Batch, account: _Account, state: BootState, item: Incoming, message: LogMessage) -> bool:
    """Stores a message's new lines; was any number in it new?"""
    boot = state.boot
    lines = message.lines
    first, behind = message.first, message.first + len(lines)
    uptime = max(message.uptime, lines[-1].uptime) if lines else message.uptime
    anchor = state.anchor(uptime=uptime, received=item.received)
    fresh = False
    dry = account.dry and state.cut_last
    if first <= boot.last_sequence:
        fresh = _into_holes(batch, account, state, item, message, anchor)
    elif first > boot.last_sequence + 1:
        at = lines[0].uptime if lines else uptime
        time = min(max(anchor + at * 1000, boot.last_time or anchor), item.received)
        state.append(
            Hole(boot.last_sequence + 1, first - 1, "", boot.last_time, time, boot.lost, max(boot.lost, message.lost))
        )
        boot.last_sequence = first - 1
        boot.last_time = time
        batch.devices.add(item.device_id)
        fresh = True
    boot.lost = max(boot.lost, message.lost)
    if behind - 1 > boot.last_sequence:
        fresh = True
        start = boot.last_sequence + 1 - first
        low = anchor if boot.last_time is None else boot.last_time
        since = boot.last_time
        kept = 0
        if not dry:
            kept = _lines(batch, account, state, item, lines, start, len(lines), first, anchor, low, None)
        boot.last_time = _time(lines[-1], anchor, low, None, item.received)
        if start + kept < len(lines):
            if kept:
                since = _time(lines[start + kept - 1], anchor, low, None, item.received)
            state.append(
                Hole(
                    first + start + kept,
                    behind - 1,
                    Loss.Reason.RATE.value,
                    since,
                    boot.last_time,
                    boot.lost,
                    boot.lost,
                )
            )
            _cut(batch, account, len(lines) - start - kept)
        boot.last_sequence = behind - 1
    return fresh


def _time(line: LogEntry, anchor: int, low: int, high: int | None, received: int) -> int:
    time = max(anchor + line.uptime * 1000, low)
    if high is not None:
        time = min(time, high)
    return min(time, received)


def _lines(
    batch: _Batch,
    account: _Account,
    state: BootState,
    item: Incoming,
    lines: Sequence[LogEntry],
    start: int,
    end: int,
    first: int,
    anchor: int,
    low: int,
    high: int | None,
) -> int:
    """Rows for lines[start:end], no time below `low` or above `high`, as many as the device may; how many these are."""
    size = kept = 0
    append = batch.rows.append
    device_id, _, received, _ = item
    boot = state.boot.pk
    limited = account.rate is not None
    top = received if high is None else min(received, high)
    for index in range(start, end):
        uptime, severity, module, text = lines[index]
        bytes_ = len(text) if text.isascii() else len(text.encode())
        if limited and not account.take(1 + bytes_ // COST_BYTES):
            break
        time = anchor + uptime * 1000
        if time < low:
            time = low
        if time > top:
            time = top
        append((device_id, boot, first + index, time, received, uptime, severity, module, text, ""))
        size += bytes_
        kept += 1
    if kept:
        _count(batch, account, kept, size)
    return kept


def _into_holes(
    batch: _Batch, account: _Account, state: BootState, item: Incoming, message: LogMessage, anchor: int
) -> bool:
    """Lines of numbers that were passed already: those that are lost so far are stored after all."""
    first, behind = message.first, message.first + len(message.lines)
    fresh = False
    index = state.hole_at(first)
    while index < len(state.holes):
        hole = state.holes[index]
        if hole.first >= behind and not (hole.first < first <= hole.last):
            break
        if hole.cut == Loss.Reason.SPACE.value:
            index += 1
            continue
        start, end = max(hole.first, first), min(hole.last + 1, behind)
        lost = max(hole.lost_before, message.lost)
        pieces = []
        if hole.first < start:
            until = message.lines[start - first].uptime if message.lines else message.uptime
            time = _time(LogEntry(until, 1, "", ""), anchor, hole.since or anchor, hole.time, item.received)
            after = hole.lost_after if hole.cut else lost
            pieces.append(Hole(hole.first, start - 1, hole.cut, hole.since, time, hole.lost_before, after))
        kept = 0
        low, high = anchor if hole.since is None else hole.since, hole.time
        if start < end:
            kept = _lines(
                batch, account, state, item, message.lines, start - first, end - first, first, anchor, low, high
            )
            fresh = True
        since = hole.since
        if kept:
            since = _time(message.lines[start + kept - 1 - first], anchor, low, high, item.received)
        if hole.cut:
            # it was counted when it was cut
            account.usage.cut -= kept
            rest = start + kept
        else:
            rest = end
            if start + kept < end:
                time = _time(message.lines[end - 1 - first], anchor, low, high, item.received)
                pieces.append(Hole(start + kept, end - 1, Loss.Reason.RATE.value, since, time, lost, lost))
                _cut(batch, account, end - start - kept)
        if rest <= hole.last:
            before = hole.lost_before if hole.cut else lost
            if rest > start or not message.lines:
                since = _since(message, first, rest, anchor, low, high, item.received, since)
            pieces.append(Hole(rest, hole.last, hole.cut, since, hole.time, before, hole.lost_after))
        if kept or len(pieces) != 1 or pieces[0] != hole:
            state.replace(index, pieces)
            batch.devices.add(item.device_id)
        index += len(pieces)
    return fresh


def _since(
    message: LogMessage, first: int, rest: int, anchor: int, low: int, high: int, received: int, since: int | None
) -> int | None:
    """The time of what stands before the number `rest`, as far as this message tells."""
    if not message.lines:
        return _time(LogEntry(message.uptime, 1, "", ""), anchor, low, high, received)
    index = rest - 1 - first
    return _time(message.lines[index], anchor, low, high, received) if 0 <= index < len(message.lines) else since


# -- writing


def _write_boots(states: Iterable[BootState]) -> None:
    boots = [state.boot for state in states if state.touched]
    if boots:
        Boot.objects.bulk_create(
            boots,
            update_conflicts=True,
            unique_fields=["device", "boot_id"],
            update_fields=_BOOT_FIELDS,
        )


def _write_losses(states: Iterable[BootState]) -> None:
    gone = [(state.boot.pk, first) for state in states for first in state.gone]
    if gone:
        storage.losses_delete(gone)
    new = [
        Loss(
            device_id=state.boot.device_id,
            boot_id=state.boot.pk,
            first=hole.first,
            last=hole.last,
            reason=hole.reason,
            since=hole.since,
            time=hole.time,
            lost_before=hole.lost_before,
            lost_after=hole.lost_after,
        )
        for state in states
        for hole in state.new.values()
    ]
    if new:
        Loss.objects.bulk_create(
            new,
            update_conflicts=True,
            unique_fields=["boot", "first"],
            update_fields=["last", "reason", "since", "time", "lost_before", "lost_after"],
        )


def _write_modules(rows: Sequence[storage.LineRow], accounts: dict[int, _Account]) -> None:
    new = []
    for device_id, name in dict.fromkeys((row[0], row[7]) for row in rows):
        known = accounts[device_id].modules
        if name and name not in known and len(known) < MODULES:
            known.add(name)
            new.append(Module(device_id=device_id, name=name))
    if new:
        Module.objects.bulk_create(new, ignore_conflicts=True)


def _write_accounts(accounts: Iterable[_Account], at: datetime) -> None:
    usages = []
    for account in accounts:
        if account.touched:
            account.usage.allowance = None if account.rate is None else account.tokens
            account.usage.counted_at = at
            usages.append(account.usage)
    if usages:
        Usage.objects.bulk_create(
            usages,
            update_conflicts=True,
            unique_fields=["device"],
            update_fields=["lines", "bytes", "cut", "allowance", "counted_at"],
        )


def _recount(accounts: Iterable[_Account]) -> None:
    """Counts what is there: lines were there although nothing said so."""
    for account in accounts:
        if account.touched:
            account.usage.lines, account.usage.bytes = storage.lines_counted(account.usage.device_id)
