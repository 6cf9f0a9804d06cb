"""What a firmware update does next (docs/firmware.md): pure rules, no database and no clock.

`decide` takes everything that is known and says what to write and what to ask. It is called again with every piece of
news; whatever it needs to remember is in the row, so that any process may be restarted at any time.

Three rules stand above all others. What a device says in answer to a read that was asked *after* something happened
decides; what it notified only makes us ask. The package is executed only when State 2 was read in the present
registration, and a second time only when State 2 was read a minute or more after the first. No timer runs while the
LwM2M server is away.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from backend.commands.models import Kind, State
from backend.commands.services.outcomes import PACKAGE_MISSING
from backend.firmware.endings import ENDINGS, RESULT_CODES, ending_reason
from backend.firmware.models import ENDED, Step, UpdateState
from backend.firmware.versions import version_same

# LwM2M Core 1.1, E.6
PACKAGE, URI, EXECUTE, STATE, RESULT, PKG_VERSION, PROTOCOLS, METHODS = 0, 1, 2, 3, 5, 7, 8, 9
IDLE, DOWNLOADING, DOWNLOADED, UPDATING = 0, 1, 2, 3
SUCCESS = 1
COAP, COAPS = 0, 1
VERSION = "/3/0/3"

# bytes a second: a transfer slower than that on average is not waited for
SLOWEST = 50
# beside what the speed says
TRANSFER_SLACK = timedelta(minutes=5)
# bytes a second at which a device copies an image while it installs it
INSTALL_SPEED = 10 * 1024
# a device that is still in State 2 this long after the execute did not take it
EXECUTE_TIME = timedelta(seconds=60)
EXECUTES = 3
# a device that has just registered may tell its Result a little later
SETTLE = timedelta(seconds=15)
# registrations within the hold time that begin it anew
RENEWALS = 5
# reads without an answer in one step
SILENT = 3
# writes that reset, in one step
RESETS = 4
UNDO_TRIES = 2
# seconds after which one that waits for a sleeping device is looked at, although its waking up is told
ASLEEP = 300
MAX_EXPIRY = timedelta(days=29)
DAY = timedelta(days=1)


@dataclass(slots=True)
class Row:
    """What is kept of an update, by the names of its columns."""

    id: int = 0
    object_instance: int = 0
    method: str = "auto"
    method_used: str = ""
    force: bool = False
    hold_seconds: int = 60
    state: str = UpdateState.PENDING
    step: str = Step.WAIT
    code: str = ""
    reason: str = ""
    lwm2m_state: int | None = None
    update_result: int | None = None
    stale_result: int | None = None
    version_before: str = ""
    version_after: str = ""
    admitted_at: datetime | None = None
    started_at: datetime | None = None
    step_since: datetime = datetime.min
    deadline_at: datetime | None = None
    look_at: datetime | None = None
    give_up_at: datetime = datetime.max
    ended_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    transfers: int = 0
    executes: int = 0
    resets: int = 0
    polls: int = 0
    executed_at: datetime | None = None
    registration_before: str = ""
    registration_after: str = ""
    package_uri: str = ""
    bytes_sent: int = 0
    progress_at: datetime | None = None
    transfer_at: datetime | None = None
    block_size: int | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """What the machine needs to know of the image."""

    sha256: str
    # bytes
    size: int
    # "" where nobody knows it
    version: str = ""
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """A registration that lasts."""

    id: str
    registered_at: datetime
    queue_mode: bool = False
    asleep: bool = False
    secure: bool = True
    # of object 5; None: the device does not list it. Empty: listed without instances
    instances: tuple[int, ...] | None = (0,)


@dataclass(frozen=True, slots=True)
class Said:
    """A current value, as the device told it last."""

    value: str
    received: datetime


@dataclass(frozen=True, slots=True)
class Asked:
    """The command that the step waits for."""

    kind: str
    path: str
    state: str
    asked_at: datetime
    reason: str = ""
    status: str = ""
    # Leshan's word of the device's answer; None: there was none
    answer: Mapping[str, Any] | None = None
    sent_at: datetime | None = None
    ended_at: datetime | None = None
    attempts: int = 0
    cancelling: bool = False

    @property
    def open(self) -> bool:
        """Has it not ended?"""
        return self.state in (State.QUEUED, State.SENT)

    @property
    def never_sent(self) -> bool:
        """Is it certain that nothing of it ever left?"""
        return self.attempts == 0


@dataclass(frozen=True, slots=True)
class Limits:
    """Settings."""

    stall: timedelta
    install: timedelta
    transfers: int


@dataclass(frozen=True, slots=True)
class View:
    """Everything that is known at `now`."""

    now: datetime
    row: Row
    image: Image
    limits: Limits
    # the device's registration while it lasts, and since when it has none
    session: Session | None = None
    away_since: datetime | None = None
    # path → value
    said: Mapping[str, Said] = field(default_factory=dict)
    ask: Asked | None = None
    # the LwM2M server: reachable, since when, does it have the package, the granted URI, why it refuses
    connected: bool = True
    connected_since: datetime | None = None
    package: bool = False
    uri: str = ""
    refused: str = ""
    # another update of the device that comes first, in words
    ahead: str = ""
    # a newer update of the same firmware instance waits
    newer: bool = False
    # why the image is not for the device, in words; and whether the device has said too little of itself to know
    misfit: str = ""
    unnamed: bool = False
    # the campaign was cancelled
    campaign_cancelled: bool = False
    # who cancelled, such as "eve"
    cancelled_by: str = ""


@dataclass(frozen=True, slots=True)
class Asking:
    """A command to be queued."""

    kind: Kind
    path: str
    arguments: Mapping[str, Any]
    expires_in: timedelta


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done, in this order: cancel the command, write the row and lines, queue the new command."""

    row: Row
    lines: tuple[str, ...] = ()
    # cancel the command of the view
    cancel: bool = False
    # the step no longer waits for the command of the view
    detach: bool = False
    asking: Asking | None = None
    # "", "package", "grant"
    deed: str = ""
    revoke: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of reading the firmware object. `state` None: it does not say; `why`: in words."""

    state: int | None = None
    result: int = 0
    # the device refused to tell
    refused: bool = False
    missing: bool = False
    why: str = ""
    # did the question leave at all?
    sent: bool = True
    # when it was asked
    at: datetime = datetime.min


def values_of(answer: Mapping[str, Any] | None) -> dict[int, str]:
    """Resource id → value as text, from an answer with one resource or a whole instance; others are left out."""
    content = (answer or {}).get("content")
    if not isinstance(content, Mapping):
        return {}
    nodes = content.get("resources") if content.get("kind") == "instance" else [content]
    found: dict[int, str] = {}
    for node in nodes if isinstance(nodes, list) else []:
        if isinstance(node, Mapping) and isinstance(node.get("id"), int) and node.get("value") is not None:
            found[node["id"]] = str(node["value"])
    return found


def number_of(text: str | None) -> int | None:
    """`"2"` → 2; None for what is no small number."""
    if text is None:
        return None
    try:
        number = int(text)
    except ValueError:
        return None
    return number if 0 <= number < 1000 else None


def slowest_time(size: int) -> timedelta:
    """How long a transfer of that many bytes may take while nothing is known of its speed."""
    return min(timedelta(seconds=size / SLOWEST) + TRANSFER_SLACK, MAX_EXPIRY - DAY)


def install_time(size: int, limits: Limits) -> timedelta:
    """How long an installation may take, from the execute on."""
    return limits.install + timedelta(seconds=size / INSTALL_SPEED)


def execute_time(limits: Limits) -> timedelta:
    """How long after the execute a device that is still in State 2 has not taken it."""
    return min(EXECUTE_TIME, limits.install / 2)


def rate(sent: int, begun: datetime | None, moved: datetime | None) -> float | None:
    """Bytes a second of a transfer, on average; None before there is anything to measure."""
    if begun is None or moved is None or not sent:
        return None
    seconds = (moved - begun).total_seconds()
    return sent / seconds if seconds >= 1.0 else None


def decide(view: View) -> Decision:
    """The next decision; the row in it is a copy. Pure."""
    return _Run(view).run()


class _Run:
    """One call of `decide`. A step's method returns True to go on with the next step, False to rest."""

    def __init__(self, view: View) -> None:
        self.v = view
        self.now = view.now
        self.row = replace(view.row)
        self.ask = view.ask
        self.session = view.session
        self.lines: list[str] = []
        self.cancelled = False
        self.asking: Asking | None = None
        self.deed = ""
        self.revoke = False

    def run(self) -> Decision:
        steps = {
            Step.WAIT: self.wait,
            Step.CHECK: self.check,
            Step.RESET: self.reset,
            Step.PREPARE: self.prepare,
            Step.DELIVER: self.deliver,
            Step.FETCH: self.fetch,
            Step.VERIFY: self.verify,
            Step.EXECUTE: self.execute,
            Step.INSTALL: self.install,
            Step.HOLD: self.hold,
            Step.UNDO: self.undo,
        }
        if self.row.state not in ENDED:
            self.wants_back()
            # a bound, not a rule: no way through the steps is that long
            for _ in range(20):
                if self.row.state in ENDED or not steps[Step(self.row.step)]():
                    break
        detach = self.v.ask is not None and self.ask is None
        return Decision(self.row, tuple(self.lines), self.cancelled, detach, self.asking, self.deed, self.revoke)

    # -- moving

    def goto(self, step: Step, state: UpdateState | None = None) -> bool:
        row = self.row
        row.step = step
        row.step_since = self.now
        row.polls = 0
        row.deadline_at = None
        row.look_at = None
        if state is not None:
            row.state = state
        return True

    def rest(self, until: datetime | None = None) -> bool:
        self.row.look_at = until
        return False

    def rest_for(self, seconds: float) -> bool:
        return self.rest(self.now + timedelta(seconds=seconds))

    def say(self, code: str, reason: str) -> None:
        self.row.code, self.row.reason = code, reason

    def quiet(self) -> None:
        self.say("", "")

    def line(self, text: str) -> None:
        self.lines.append(text)

    def drop(self) -> None:
        """The step's command is no longer waited for; one that has not ended is cancelled."""
        if self.ask is not None and self.ask.open and not self.ask.cancelling:
            self.cancelled = True
        self.ask = None

    def queue(self, kind: Kind, path: str, arguments: Mapping[str, Any], expires_in: timedelta) -> bool:
        self.asking = Asking(kind, path, arguments, min(expires_in, MAX_EXPIRY))
        # its end is told at once; this is for an end that nobody told
        self.rest_for(60)
        if self.row.started_at is None:
            self.row.started_at = self.now
        return False

    def end(self, code: str, detail: str = "", **facts: Any) -> bool:
        row, image = self.row, self.v.image
        self.drop()
        if row.package_uri:
            self.revoke = True
        row.state, row.step, row.code = ENDINGS[code].state, Step.DONE, code
        row.reason = ending_reason(
            code,
            **{
                "detail": _sentence(detail),
                "version": f", version {row.version_after}" if row.version_after else "",
                "before": row.version_before or "an unknown version",
                "after": row.version_after or row.version_before or "an unknown version",
                "wanted": image.version or "unknown",
                "size": f"{image.size:,}",
                "sent": f"{row.bytes_sent:,}",
                "stall": round(self.v.limits.stall.total_seconds()),
                "hold": row.hold_seconds,
                "tries": _tries(row.transfers),
                "executes": _times(row.executes),
                "state": row.lwm2m_state,
                "result": row.update_result,
                "instance": row.object_instance,
                "by": f" by {self.v.cancelled_by}" if self.v.cancelled_by else "",
            }
            | facts,
        )
        row.ended_at = row.step_since = self.now
        row.deadline_at = row.look_at = None
        self.line(f"{ENDINGS[code].state.label}: {ENDINGS[code].title}")
        return False

    # -- time

    def grace(self, moment: datetime) -> datetime:
        """No deadline strikes before the LwM2M server was there for a while: nothing was heard before."""
        since = self.v.connected_since
        return moment if since is None else max(moment, since + self.v.limits.stall)

    def over(self, deadline: datetime | None) -> bool:
        return deadline is not None and self.v.connected and self.now >= self.grace(deadline)

    def pausing(self) -> bool:
        """Is there a time before which nothing shall be asked?"""
        return self.row.look_at is not None and self.now < self.row.look_at

    def offline(self) -> bool:
        """The LwM2M server is away: everything stays as it is."""
        if self.v.connected:
            return False
        if not self.pausing():
            self.rest_for(10)
        return True

    # -- asking the device

    @property
    def instance(self) -> str:
        return f"/5/{self.row.object_instance}"

    def path(self, resource: int) -> str:
        return f"{self.instance}/{resource}"

    def said(self, resource: int) -> Said | None:
        return self.v.said.get(self.path(resource))

    def read(self, path: str) -> bool:
        return self.queue(Kind.READ, path, {}, self.patience(max(self.v.limits.stall, timedelta(minutes=1))))

    def patience(self, awake: timedelta) -> timedelta:
        """When a command expires: soon for a device that always listens, not before it wakes up for a sleeper."""
        return MAX_EXPIRY if self.session is not None and self.session.queue_mode else awake

    def write_text(self, resource: int, text: str, expires_in: timedelta) -> bool:
        node = {"id": resource, "type": "OPAQUE" if resource == PACKAGE else "STRING", "value": text}
        return self.queue(Kind.WRITE, self.path(resource), {"node": node}, expires_in)

    def asked_in_vain(self) -> bool:
        """It was sent before the present registration: the answer will not come, and a retry would wait long."""
        ask, session = self.ask, self.session
        return (
            ask is not None
            and session is not None
            and ask.open
            and ask.sent_at is not None
            and ask.sent_at < session.registered_at
            and not ask.cancelling
        )

    def waiting_for_answer(self) -> bool:
        """The command has not ended: rest. One that was asked in vain is asked again, once in this registration."""
        assert self.ask is not None
        if self.asked_in_vain() and self.ask.kind == Kind.READ:
            path = self.ask.path
            self.drop()
            return self.read(path)
        if self.session is not None and self.session.asleep:
            self.say("waiting-awake", "The device sleeps: it is asked when it wakes up.")
            return self.rest_for(ASLEEP)
        if self.row.code == "waiting-awake":
            self.quiet()
        return self.rest_for(60)

    def take_firmware(self) -> Seen | None:
        """What the ended read under /5/x says; None where another read was queued to know it."""
        ask = self.ask
        assert ask is not None
        self.ask = None
        row = self.row
        refused = ask.state == State.FAILED and ask.answer is not None
        values = values_of(ask.answer) if ask.state == State.SUCCEEDED else {}
        told = ask.state == State.SUCCEEDED or refused
        if ask.path == self.instance:
            state = number_of(values.get(STATE))
            if state is not None:
                row.lwm2m_state, row.update_result = state, number_of(values.get(RESULT)) or 0
                return Seen(state, row.update_result, at=ask.asked_at)
            if told:
                # it does not tell all of it at once: one by one
                self.read(self.path(STATE))
                return None
        elif ask.path == self.path(STATE):
            state = number_of(values.get(STATE))
            if state is not None:
                row.lwm2m_state = state
                self.read(self.path(RESULT))
                return None
            if told:
                why = ask.reason or "Its answer holds no State."
                return Seen(refused=True, missing=ask.status.startswith("NOT_FOUND"), why=why)
        elif ask.path == self.path(RESULT) and told and row.lwm2m_state is not None:
            row.update_result = number_of(values.get(RESULT)) or 0
            return Seen(row.lwm2m_state, row.update_result, at=ask.asked_at)
        return Seen(why=ask.reason, sent=not ask.never_sent)

    def take_version(self) -> str | None:
        """The running firmware's version from the ended read, "" where the device does not tell; None: asks on."""
        ask = self.ask
        assert ask is not None
        self.ask = None
        values = values_of(ask.answer) if ask.state == State.SUCCEEDED else {}
        text = next(iter(values.values()), "")
        if not text and ask.path == VERSION and ask.answer is not None:
            # optional in object 3: the firmware object may tell
            self.read(self.path(PKG_VERSION))
            return None
        return text[:255]

    def read_version(self) -> bool:
        """Asks what runs: object 3 tells of the device itself, other firmware instances tell of themselves."""
        return self.read(VERSION if self.row.object_instance == 0 else self.path(PKG_VERSION))

    @property
    def version_asked(self) -> bool:
        return self.ask is not None and self.ask.path in (VERSION, self.path(PKG_VERSION))

    def silent(self, seen: Seen) -> bool:
        """The read came to nothing: later again, a few times. True when that is enough."""
        self.row.polls += seen.sent
        if self.row.polls >= SILENT:
            return True
        self.rest_for(5 * 2**self.row.polls)
        return False

    def hinted(self) -> bool:
        """Did the device notify another State or Result than we know, in this step?"""
        row = self.row
        for resource, known in ((STATE, row.lwm2m_state), (RESULT, row.update_result)):
            said = self.said(resource)
            if said is not None and said.received > row.step_since and number_of(said.value) not in (None, known):
                return True
        return False

    def fresh(self, result: int) -> bool:
        """Is that Result of this update, and a failure?"""
        return result in RESULT_CODES and result != self.row.stale_result

    def forget_stale(self) -> None:
        """A device that says another Result during the transfer has forgotten the old one after all."""
        row, said = self.row, self.said(RESULT)
        if row.stale_result is None or said is None or row.transfer_at is None or said.received <= row.transfer_at:
            return
        if number_of(said.value) not in (None, row.stale_result):
            row.stale_result = None

    # -- away, cancelled

    def away(self) -> bool:
        """Before the execute, a device that is gone is waited for."""
        ask = self.ask
        if ask is not None and ask.kind == Kind.WRITE_PACKAGE and ask.never_sent:
            self.row.transfers = max(0, self.row.transfers - 1)
        self.drop()
        if self.v.newer and self.row.state != UpdateState.PENDING:
            return self.end("superseded")
        self.line("The device is gone; the update waits for it")
        return self.goto(Step.WAIT, UpdateState.PENDING)

    def wants_back(self) -> None:
        """A person cancels it."""
        row = self.row
        if row.cancel_requested_at is None or row.step == Step.UNDO or row.state == UpdateState.UPDATING:
            return
        if row.state == UpdateState.PENDING and not row.transfers:
            self.cancel_ended("")
            return
        self.line("Cancelled: the device is told to forget the package")
        if self.ask is not None and self.ask.open and self.ask.kind == Kind.WRITE_PACKAGE:
            # its end is waited for: a reset would not outlive the next block
            if not self.ask.cancelling:
                self.cancelled = True
        else:
            self.drop()
        self.goto(Step.UNDO)

    def cancel_ended(self, detail: str) -> bool:
        return self.end("cancelled-campaign" if self.v.campaign_cancelled else "cancelled", detail)

    def undo(self) -> bool:
        row, ask = self.row, self.ask
        if row.package_uri:
            self.revoke = True
        if self.session is None or self.session.asleep:
            return self.cancel_ended("The device is not reachable: it may still hold the package, uninstalled.")
        if self.offline():
            return False
        if ask is not None and ask.open:
            if self.now < row.step_since + timedelta(seconds=30 * (row.polls + 1)):
                return self.rest_for(5)
            self.drop()
        elif ask is not None:
            self.ask = None
            if ask.kind == Kind.WRITE and ask.state == State.SUCCEEDED:
                return self.cancel_ended("The device has forgotten the package.")
        if row.polls >= UNDO_TRIES:
            return self.cancel_ended("The device could not be told to forget the package; it stays uninstalled.")
        row.polls += 1
        row.resets += 1
        return self.write_text(URI if row.polls == 1 else PACKAGE, "", timedelta(minutes=1))

    # -- pending

    def wait(self) -> bool:
        row, v = self.row, self.v
        if row.admitted_at is None:
            self.say("waiting-turn", "Waits until its campaign lets it begin.")
            return self.rest()
        if v.image.deleted:
            return self.end("image-deleted")
        if self.now >= row.give_up_at:
            return self.end("given-up", row.reason, since=_moment(row.give_up_at))
        if v.ahead:
            self.say("waiting-other", v.ahead)
            return self.rest(min(row.give_up_at, self.now + timedelta(minutes=1)))
        session = self.session
        if session is None:
            since = f"is away since {_moment(v.away_since)}" if v.away_since else "has not registered so far"
            self.say("waiting-device", f"The device {since}; the update goes on when it registers.")
            return self.rest(row.give_up_at)
        if session.instances is None:
            return self.end("no-firmware-object")
        if session.instances and row.object_instance not in session.instances:
            listed = ", ".join(f"/5/{number}" for number in session.instances)
            return self.end("no-firmware-object", f"It lists {listed}.")
        if v.misfit and not row.force:
            named = session.registered_at + timedelta(minutes=2)
            if v.unnamed and self.now < named:
                self.say("waiting-identity", "Waits until the device has said what it is (manufacturer, model).")
                return self.rest(named)
            return self.end("not-compatible", v.misfit)
        if not v.connected:
            self.say("waiting-server", "The LwM2M server cannot be reached; the update goes on when it is back.")
            return self.rest_for(30)
        if row.transfers:
            # it was under way already: what has the device of it?
            self.line("The device is back")
            self.say("connection-lost", "")
            return self.goto(Step.VERIFY, UpdateState.DOWNLOADING)
        self.quiet()
        return self.goto(Step.CHECK)

    def check(self) -> bool:
        row = self.row
        if self.session is None:
            return self.away()
        if self.offline():
            return False
        if self.ask is None:
            if self.pausing():
                return False
            return self.read_version() if row.polls == 0 else self.read(self.instance)
        if self.ask.open:
            return self.waiting_for_answer()
        if self.version_asked:
            version = self.take_version()
            if version is None:
                return False
            row.version_before = version
            row.polls = max(1, row.polls)
            return self.read(self.instance)
        seen = self.take_firmware()
        return False if seen is None else self.checked(seen)

    def checked(self, seen: Seen) -> bool:
        row, image = self.row, self.v.image
        if seen.refused:
            return self.end("no-firmware-object" if seen.missing else "unreadable", seen.why)
        if seen.state is None:
            return self.end("unreadable", seen.why) if self.silent(seen) else False
        if seen.state == UPDATING:
            return self.busy()
        if version_same(row.version_before, image.version) and not row.force:
            row.version_after = row.version_before
            return self.end("already-running")
        self.quiet()
        if seen.state != IDLE or seen.result:
            self.line(f"An earlier update left State {seen.state}, Update Result {seen.result}: resetting it")
            return self.goto(Step.RESET)
        return self.begin()

    def busy(self) -> bool:
        """The device installs something else."""
        row = self.row
        row.deadline_at = row.deadline_at or self.now + install_time(self.v.image.size, self.v.limits)
        if self.over(row.deadline_at):
            return self.end("device-busy")
        self.say("waiting-install", "The device installs something else (State 3); the update waits until it is done.")
        return self.poll(15, 60)

    def poll(self, first: float, most: float) -> bool:
        """Rests until the next look, longer each time."""
        seconds = min(most, first * 2 ** min(self.row.polls, 10))
        self.row.polls += 1
        until = self.now + timedelta(seconds=seconds)
        deadline = self.row.deadline_at
        return self.rest(until if deadline is None else min(until, max(self.grace(deadline), self.now)))

    def reset(self) -> bool:
        row = self.row
        if self.session is None:
            return self.away()
        if self.offline():
            return False
        if self.ask is None:
            if self.pausing():
                return False
            # by the URI first, which every device has that can pull; then by the package
            resource = URI if row.resets % 2 == 0 else PACKAGE
            row.resets += 1
            return self.write_text(resource, "", timedelta(minutes=10))
        if self.ask.open:
            return self.waiting_for_answer()
        if self.ask.kind == Kind.WRITE:
            self.ask = None
            return self.read(self.instance)
        seen = self.take_firmware()
        if seen is None:
            return False
        if seen.refused:
            return self.end("unreadable", seen.why)
        row.polls += 1
        if seen.state == UPDATING:
            return self.goto(Step.CHECK) if row.state == UpdateState.PENDING else self.went_on()
        if seen.state == IDLE and (not seen.result or row.polls >= 2):
            row.stale_result = seen.result or None
            if seen.result:
                self.line(f"The device keeps the old Update Result {seen.result}: it says nothing of this update")
            return self.begin()
        if row.polls >= RESETS:
            return self.end("unreadable", seen.why) if seen.state is None else self.end("not-reset")
        return self.rest_for(0 if row.polls < 2 else 10)

    # -- the package

    def begin(self) -> bool:
        """The method is chosen and the transfer prepared."""
        method, problem = self.choose()
        if problem:
            return self.end("no-method", problem)
        self.row.method_used = method
        return self.goto(Step.PREPARE, UpdateState.DOWNLOADING)

    def choose(self) -> tuple[str, str]:
        """`push` or `pull`, and why neither."""
        row = self.row
        said = self.said(METHODS)
        can = number_of(said.value) if said is not None else None
        pushes, pulls = can in (None, 1, 2), can in (0, 2, None)
        fits = self.pull_fits()
        if row.method == "push":
            return "push", "" if pushes else "The device says that it can only pull, and the update says push."
        if row.method == "pull":
            if not pulls:
                return "pull", "The device says that it only takes push, and the update says pull."
            return "pull", "" if fits else self.no_protocol()
        if can == 0:
            return "pull", "" if fits else self.no_protocol()
        # push needs no second connection; where two of them came to nothing, the other way may do
        if can == 2 and fits and row.transfers >= 2:
            return "pull", ""
        return "push", ""

    def pull_fits(self) -> bool:
        """Does the device list the protocol that its registration runs on? One that lists none: it may."""
        wanted = COAPS if self.session is None or self.session.secure else COAP
        listed = [said.value for path, said in self.v.said.items() if path.startswith(self.path(PROTOCOLS) + "/")]
        return not listed or str(wanted) in listed

    def no_protocol(self) -> str:
        name = "CoAPs (1)" if self.session is None or self.session.secure else "CoAP (0)"
        return f"To pull, it would have to list {name} in 5/x/8."

    def prepare(self) -> bool:
        row, v = self.row, self.v
        if self.session is None:
            return self.away()
        if v.image.deleted:
            return self.end("image-deleted")
        if self.offline():
            return False
        if row.deadline_at is not None and self.now < row.deadline_at:
            return self.rest(row.deadline_at)
        if v.refused:
            return self.end("package-refused", v.refused)
        if row.transfers and (row.lwm2m_state or row.update_result not in (None, 0, row.stale_result)):
            return self.goto(Step.RESET)
        if not v.package:
            return self.give("package")
        if row.method_used == "pull":
            if not v.uri:
                return self.give("grant")
            row.package_uri = v.uri
        return self.transfer()

    def give(self, deed: str) -> bool:
        self.deed = deed
        if self.row.code != "waiting-package" and not self.row.transfers:
            self.say("waiting-package", "The LwM2M server is given the package.")
        return self.rest_for(15)

    def transfer(self) -> bool:
        row, image, session = self.row, self.v.image, self.session
        assert session is not None
        self.quiet()
        row.transfers += 1
        row.transfer_at, row.progress_at = self.now, None
        row.bytes_sent, row.block_size = 0, None
        row.lwm2m_state = row.update_result = None
        row.registration_before = session.id
        longest = slowest_time(image.size)
        pull = row.method_used == "pull"
        self.goto(Step.FETCH if pull else Step.DELIVER, UpdateState.DOWNLOADING)
        row.deadline_at = self.now + longest
        attempt = f" (transfer {row.transfers} of at most {self.v.limits.transfers})" if row.transfers > 1 else ""
        if pull:
            self.line(f"The device is told to fetch {image.size:,} bytes{attempt}")
            return self.write_text(URI, row.package_uri, self.patience(DAY))
        self.line(f"Sending {image.size:,} bytes{attempt}")
        # the server's own limit comes after ours, which may be extended
        seconds = round(min(4 * longest, MAX_EXPIRY).total_seconds())
        arguments = {"sha256": image.sha256, "size": image.size, "seconds": seconds}
        return self.queue(Kind.WRITE_PACKAGE, self.path(PACKAGE), arguments, self.patience(DAY))

    def uncount(self) -> None:
        """The transfer never was one."""
        self.row.transfers = max(0, self.row.transfers - 1)

    def server_was_away(self) -> bool:
        since, begun = self.v.connected_since, self.row.transfer_at
        return since is not None and begun is not None and since > begun

    def extend(self) -> None:
        """The deadline from the measured speed: three times what is left, while the speed is not below the slowest."""
        row = self.row
        measured = rate(row.bytes_sent, row.transfer_at, row.progress_at)
        if measured is None or measured < SLOWEST or row.deadline_at is None or row.progress_at is None:
            return
        left = max(0, self.v.image.size - row.bytes_sent)
        wanted = row.progress_at + timedelta(seconds=3 * left / measured) + TRANSFER_SLACK
        row.deadline_at = max(row.deadline_at, wanted)

    def moved_at(self) -> datetime:
        """When something of the transfer moved last."""
        begun = self.row.transfer_at or self.row.step_since
        return begun if self.row.progress_at is None else max(begun, self.row.progress_at)

    def late(self) -> str:
        """The code of what is wrong with the transfer's pace, or ""."""
        self.forget_stale()
        if self.over(self.moved_at() + self.v.limits.stall):
            return "transfer-stalled"
        return "transfer-timeout" if self.over(self.row.deadline_at) else ""

    def rest_transfer(self) -> bool:
        stalled = self.grace(self.moved_at() + self.v.limits.stall)
        deadline = self.row.deadline_at
        return self.rest(stalled if deadline is None else min(stalled, self.grace(deadline)))

    def deliver(self) -> bool:
        row, ask = self.row, self.ask
        if ask is None:
            self.say("not-downloaded", "Its request is gone from the list of commands.")
            return self.goto(Step.VERIFY)
        if not ask.open:
            return self.delivered(ask)
        if self.session is None:
            return self.away()
        if self.offline():
            return False
        if ask.cancelling:
            if self.now < row.step_since + timedelta(minutes=1):
                return self.rest_for(5)
            self.drop()
            return self.goto(Step.VERIFY)
        if self.session.id != row.registration_before:
            self.line("The device has registered anew in the middle of the transfer")
            return self.stop_transfer("connection-lost", "It registered anew in the middle.")
        if ask.sent_at is None:
            if self.session.asleep:
                self.say("waiting-awake", "The device sleeps: the transfer begins when it wakes up.")
                return self.rest_for(ASLEEP)
            return self.rest_for(30)
        if row.code == "waiting-awake":
            self.quiet()
        if row.transfer_at is None or row.transfer_at < ask.sent_at:
            row.transfer_at = ask.sent_at
            row.deadline_at = ask.sent_at + slowest_time(self.v.image.size)
        self.extend()
        late = self.late()
        if late:
            self.line(f"{ENDINGS[late].title} at {row.bytes_sent:,} of {self.v.image.size:,} bytes")
            return self.stop_transfer(late, "")
        return self.rest_transfer()

    def stop_transfer(self, code: str, reason: str) -> bool:
        """The request is taken back; what the device has of it is asked when that is done."""
        self.say(code, reason)
        self.cancelled = True
        self.row.step_since = self.now
        return self.rest_for(5)

    def delivered(self, ask: Asked) -> bool:
        row = self.row
        self.ask = None
        if ask.state == State.SUCCEEDED:
            row.bytes_sent = self.v.image.size
            self.line("The device has acknowledged the whole package")
            self.quiet()
            return self.goto(Step.VERIFY)
        if ask.status == PACKAGE_MISSING:
            self.uncount()
            self.goto(Step.PREPARE)
            row.deadline_at = self.now + timedelta(seconds=5)
            return True
        if ask.never_sent:
            self.uncount()
            row.transfer_at = None
        if ask.answer is not None:
            self.say("refused", ask.reason)
        elif row.code not in ENDINGS:
            self.say("connection-lost", ask.reason)
        self.line(f"The transfer ended after {row.bytes_sent:,} of {self.v.image.size:,} bytes: {ask.reason}")
        return self.goto(Step.VERIFY)

    def fetch(self) -> bool:
        row, session = self.row, self.session
        if session is None:
            return self.away()
        if self.offline():
            return False
        ask = self.ask
        if ask is not None and not ask.open:
            self.ask = None
            if ask.state != State.SUCCEEDED:
                if ask.never_sent:
                    self.uncount()
                    row.transfer_at = None
                self.say("refused" if ask.answer is not None else "connection-lost", ask.reason)
                self.line(f"The device did not take the URI: {ask.reason}")
                return self.goto(Step.VERIFY)
            self.line("The device has the URI and fetches the package")
            row.step_since = self.now
            ask = None
        if session.id != row.registration_before:
            self.drop()
            self.line("The device has registered anew in the middle of the transfer")
            self.say("connection-lost", "It registered anew in the middle.")
            return self.goto(Step.VERIFY)
        if ask is not None and ask.sent_at is None:
            return self.waiting_for_answer()
        if ask is not None and ask.sent_at is not None and (row.transfer_at is None or row.transfer_at < ask.sent_at):
            row.transfer_at = ask.sent_at
            row.deadline_at = ask.sent_at + slowest_time(self.v.image.size)
        self.extend()
        late = self.late()
        if late:
            self.drop()
            self.line(f"{ENDINGS[late].title} at {row.bytes_sent:,} of {self.v.image.size:,} bytes")
            self.say(late, "")
            return self.goto(Step.VERIFY)
        if ask is not None:
            return self.rest_for(30)
        whole = row.bytes_sent >= self.v.image.size
        # it says when it is done; where that gets lost it is asked, while nothing moves
        quiet = timedelta(seconds=5 if whole else 30)
        look = max(row.step_since, self.moved_at()) + quiet
        if self.hinted() or self.now >= look:
            return self.goto(Step.VERIFY)
        return self.rest(look)

    def verify(self) -> bool:
        row = self.row
        if self.session is None:
            return self.away()
        if self.offline():
            return False
        if self.ask is None:
            return False if self.pausing() else self.read(self.instance)
        if self.ask.open:
            return self.waiting_for_answer()
        seen = self.take_firmware()
        if seen is None:
            return False
        if seen.state is None:
            if seen.refused or self.silent(seen):
                return self.again("unreadable" if seen.refused else row.code or "connection-lost", seen.why)
            return False
        if row.code == "waiting-awake":
            self.quiet()
        return self.verified(seen)

    def verified(self, seen: Seen) -> bool:
        row, session = self.row, self.session
        assert session is not None
        pull = row.method_used == "pull"
        clean = row.code == ""
        if self.fresh(seen.result):
            code = RESULT_CODES[seen.result]
            if code == "connection-lost" or (code == "integrity" and row.transfers < 2):
                return self.again(code, f"The device says so itself (Update Result {seen.result}).")
            return self.end(code)
        if seen.state == DOWNLOADED:
            self.quiet()
            row.bytes_sent = self.v.image.size
            self.line("The device has the whole package and finds it good")
            self.goto(Step.EXECUTE, UpdateState.DOWNLOADED)
            row.registration_before = session.id
            # a moment in which it can still be cancelled, and is seen
            return self.rest(self.now)
        if seen.state == UPDATING:
            return self.went_on()
        if pull and seen.state == DOWNLOADING and row.code not in ("transfer-stalled", "transfer-timeout"):
            # also in another registration: the download is a connection of its own
            row.registration_before = session.id
            self.quiet()
            return self.fetch_on()
        waits = self.v.limits.stall if seen.state == DOWNLOADING else timedelta(seconds=15)
        if clean and self.now < row.step_since + waits:
            return self.poll(2, 15)
        if pull and clean and row.progress_at is not None and self.now < self.moved_at() + self.v.limits.stall:
            return self.fetch_on()
        return self.again(row.code or "not-downloaded", row.reason)

    def fetch_on(self) -> bool:
        """The device still fetches."""
        deadline = self.row.deadline_at
        self.goto(Step.FETCH)
        begun = self.row.transfer_at or self.now
        self.row.deadline_at = deadline or begun + slowest_time(self.v.image.size)
        return True

    def went_on(self) -> bool:
        """The device installs it without being told, or our execute was taken after all."""
        self.line("The device installs the package already")
        self.row.executed_at = self.row.executed_at or self.now
        self.row.registration_before = self.session.id if self.session else self.row.registration_before
        return self.start_install()

    def again(self, code: str, detail: str) -> bool:
        """Another transfer, after a pause, or the end."""
        row = self.row
        if self.server_was_away():
            # that was not the device's fault
            self.uncount()
            row.transfer_at = None
        elif row.update_result and row.update_result == row.stale_result:
            detail = f"Its Update Result is {row.update_result}, as it was before. {detail}"
        if row.transfers >= self.v.limits.transfers:
            return self.end(code if code in ENDINGS else "not-downloaded", detail)
        method, problem = self.choose()
        if not problem:
            row.method_used = method
        pause = min(300, 10 * 3 ** max(0, row.transfers - 1))
        self.line(f"{ENDINGS[code].title}: another transfer in {pause} seconds")
        self.goto(Step.PREPARE, UpdateState.DOWNLOADING)
        self.say(code, detail)
        row.deadline_at = self.now + timedelta(seconds=pause)
        return True

    # -- installing

    def execute(self) -> bool:
        row, ask, session = self.row, self.ask, self.session
        if ask is None:
            if row.state == UpdateState.UPDATING:
                # its command is gone from the list: the device decides
                return self.start_install()
            if session is None:
                return self.away()
            if self.offline() or self.pausing():
                return False
            if session.id != row.registration_before:
                self.say("connection-lost", "It registered anew before the package was installed.")
                return self.goto(Step.VERIFY, UpdateState.DOWNLOADING)
            if row.look_at is None:
                # decided just now: it is written first, and goes out with the next look
                return self.rest(self.now)
            return self.start_execute()
        if not ask.open:
            return self.executed(ask)
        if ask.sent_at is not None and ask.state == State.SENT:
            row.executed_at = ask.sent_at
            gone = session is None or session.id != row.registration_before
            if gone or self.over(ask.sent_at + 2 * EXECUTE_TIME):
                # this may be the restart that belongs to it: whatever comes of the answer, the State decides
                self.drop()
                return self.start_install()
            return self.rest_for(30)
        if ask.cancelling:
            return self.rest_for(5)
        if session is None or session.id != row.registration_before:
            # it has not left, and what was proved of State 2 no longer holds
            self.cancelled = True
            return self.rest_for(5)
        if session.asleep:
            self.say("waiting-awake", "The device sleeps: it is told to install the package when it wakes up.")
            return self.rest_for(ASLEEP)
        return self.rest_for(30)

    def start_execute(self) -> bool:
        row = self.row
        self.quiet()
        self.goto(Step.EXECUTE, UpdateState.UPDATING)
        row.executes += 1
        row.executed_at = self.now
        self.line(
            "The device is told to install the package" + (f" ({_times(row.executes)} now)" if row.executes > 1 else "")
        )
        return self.queue(Kind.EXECUTE, self.path(EXECUTE), {}, self.patience(DAY))

    def executed(self, ask: Asked) -> bool:
        row = self.row
        self.ask = None
        if ask.never_sent:
            row.executes = max(0, row.executes - 1)
            row.executed_at = None
            if self.session is None:
                row.state = UpdateState.DOWNLOADED
                return self.away()
            self.say("connection-lost", ask.reason)
            return self.goto(Step.VERIFY, UpdateState.DOWNLOADING)
        row.executed_at = ask.sent_at or row.executed_at
        if ask.state == State.SUCCEEDED:
            self.quiet()
            self.line("The device has taken the request to install")
        elif ask.answer is not None:
            self.say("refused", ask.reason)
            self.line(f"The device refuses to install it now: {ask.reason}")
        else:
            self.quiet()
            self.line("No answer to the request to install: the device's State decides")
        return self.start_install()

    def start_install(self) -> bool:
        row = self.row
        row.executed_at = row.executed_at or self.now
        self.goto(Step.INSTALL, UpdateState.UPDATING)
        row.deadline_at = row.executed_at + install_time(self.v.image.size, self.v.limits)
        row.registration_after = ""
        return True

    def install(self) -> bool:
        row, session = self.row, self.session
        if self.offline():
            return False
        if session is None:
            self.drop()
            if self.over(row.deadline_at):
                return self.not_back()
            assert row.deadline_at is not None
            return self.rest(self.grace(row.deadline_at))
        if session.id not in (row.registration_before, row.registration_after):
            row.registration_after = session.id
            self.line("The device has registered again")
            self.drop()
            row.polls = 0
            return self.read(self.instance)
        if self.ask is not None and self.ask.open:
            if self.unanswered(row.deadline_at):
                return self.install_over()
            return self.waiting_for_answer()
        if self.ask is not None:
            if self.version_asked:
                version = self.take_version()
                return False if version is None else self.changed(version)
            seen = self.take_firmware()
            return False if seen is None else self.installed(seen)
        if row.polls == 0 and row.look_at is None:
            # most are done, or gone, a moment later
            return self.poll(3, 60)
        if self.pausing() and not (self.hinted() and row.polls < 30):
            return False
        # also at the deadline: what it says last decides
        row.step_since = self.now
        return self.read(self.instance)

    def unanswered(self, deadline: datetime | None) -> bool:
        """Is the deadline over, and the last question, asked of a device that is awake, without an answer since?"""
        ask, session = self.ask, self.session
        if ask is None or deadline is None or (session is not None and session.asleep):
            return False
        return self.over(max(deadline, (ask.sent_at or ask.asked_at) + self.v.limits.stall))

    @property
    def anew(self) -> bool:
        """Is the present registration another one than that of the execute?"""
        return self.session is not None and self.session.id != self.row.registration_before

    def installed(self, seen: Seen) -> bool:
        row = self.row
        assert row.executed_at is not None
        if seen.state is None:
            if self.over(row.deadline_at):
                return self.install_over()
            return self.poll(5, 60)
        if self.fresh(seen.result):
            return self.end(RESULT_CODES[seen.result])
        if seen.state == IDLE and seen.result in RESULT_CODES:
            # as before the update, but State has moved since: the version decides whether it is meant
            return self.read_version()
        if seen.state == IDLE and seen.result == SUCCESS:
            self.line("The device reports success (Update Result 1)")
            return self.start_hold()
        proved = seen.at >= row.executed_at + execute_time(self.v.limits)
        if seen.state == DOWNLOADED and proved:
            if row.executes >= EXECUTES:
                return self.end("not-started", row.reason)
            self.line("The device is still in State 2: the request to install was not taken")
            assert self.session is not None
            row.registration_before = self.session.id
            return self.goto(Step.EXECUTE, UpdateState.DOWNLOADED)
        if seen.state == IDLE and (self.anew or proved):
            return self.read_version()
        if self.over(row.deadline_at):
            return self.install_over()
        if seen.state == UPDATING:
            if row.code == "refused":
                # it was refused because the device was at it already
                self.quiet()
            return self.poll(5, 60)
        self.poll(5, 60)
        soonest = row.executed_at + execute_time(self.v.limits)
        if row.look_at is not None and self.now < soonest < row.look_at:
            row.look_at = soonest
        return False

    def changed(self, version: str) -> bool:
        """State 0 and no Result: what does the version say?"""
        row, image = self.row, self.v.image
        row.version_after = version
        known = image.version
        if known and version_same(version, known) and not (row.force and version_same(version, row.version_before)):
            self.line(f"The device runs version {version}")
            return self.start_hold()
        if row.update_result in RESULT_CODES:
            return self.end(RESULT_CODES[row.update_result])
        settled = self.session is not None and self.now >= self.session.registered_at + SETTLE
        if not (self.anew and settled) and not self.over(row.deadline_at):
            # its Result may come a moment after its registration
            row.version_after = ""
            return self.poll(5, 60)
        if not version or version_same(version, row.version_before):
            return self.end("no-change")
        if known:
            return self.end("other-version")
        self.line(f"The device runs version {version}")
        return self.start_hold()

    def install_over(self) -> bool:
        """The deadline: by what was seen last."""
        row = self.row
        if row.lwm2m_state == UPDATING:
            return self.end("stuck-updating", since=_moment(row.executed_at))
        if row.lwm2m_state == DOWNLOADED and row.executes:
            return self.end("not-started", row.reason)
        if row.lwm2m_state == IDLE and self.session is not None and self.session.id == row.registration_before:
            return self.end("no-change")
        return self.not_back()

    def not_back(self) -> bool:
        if self.session is not None:
            return self.end("not-back", "It is registered, but does not answer.")
        since = self.v.away_since
        return self.end("not-back", f"It has had no registration since {_moment(since)}." if since else "")

    # -- holding

    def start_hold(self) -> bool:
        row, session = self.row, self.session
        assert session is not None
        begun = max(session.registered_at, row.executed_at or self.now) if self.anew else self.now
        self.goto(Step.HOLD)
        row.registration_after = session.id
        row.version_after = ""
        row.deadline_at = min(begun, self.now) + timedelta(seconds=row.hold_seconds)
        self.quiet()
        self.line(f"The device must stay for {row.hold_seconds} seconds")
        return True

    def hold(self) -> bool:
        row, session = self.row, self.session
        if self.offline():
            return False
        assert row.deadline_at is not None
        assert row.executed_at is not None
        latest = max(row.deadline_at, row.executed_at + install_time(self.v.image.size, self.v.limits))
        if session is None:
            self.drop()
            if self.over(latest):
                return self.not_back()
            return self.rest(self.grace(latest))
        if session.id != row.registration_after:
            return self.renewed(session)
        if self.ask is not None and self.ask.open:
            return self.not_back() if self.unanswered(latest) else self.waiting_for_answer()
        if self.ask is None:
            if self.pausing():
                return False
            return self.read_version()
        final = self.ask.asked_at >= row.deadline_at
        if self.version_asked:
            version = self.take_version()
            return False if version is None else self.held(version, final=final)
        seen = self.take_firmware()
        if seen is None:
            return False
        if seen.state is None and not seen.refused:
            # it told its version a moment ago
            return self.not_back() if self.over(latest) else self.rest_for(15)
        return self.finish(seen)

    def renewed(self, session: Session) -> bool:
        """Another registration within the hold time: the old firmware again, or one more start of the new one."""
        row = self.row
        self.drop()
        row.registration_after = session.id
        row.polls += 1
        self.line("The device has registered once more within the hold time")
        row.deadline_at = min(session.registered_at, self.now) + timedelta(seconds=row.hold_seconds)
        return self.read_version()

    def held(self, version: str, *, final: bool) -> bool:
        row, image = self.row, self.v.image
        old = version_same(version, row.version_before) and not version_same(version, image.version)
        was_new = bool(row.version_after) and not version_same(row.version_after, version)
        row.version_after = version or row.version_after
        if old and was_new:
            return self.end("rolled-back")
        if row.polls > RENEWALS:
            return self.end("unstable", renewals=row.polls)
        if final:
            return self.read(self.instance)
        return self.rest(row.deadline_at)

    def finish(self, seen: Seen) -> bool:
        row, image = self.row, self.v.image
        if seen.state is not None and self.fresh(seen.result):
            return self.end(RESULT_CODES[seen.result])
        reported = row.update_result == SUCCESS
        got, wanted, before = row.version_after, image.version, row.version_before
        if not got or version_same(got, wanted):
            return self.end("succeeded")
        unchanged = version_same(got, before)
        if not wanted:
            return self.end("succeeded" if reported or not unchanged else "no-change")
        if unchanged:
            # an old success that the device did not forget is none
            return self.end("succeeded-version-unchanged" if reported and row.stale_result != SUCCESS else "no-change")
        return self.end("succeeded-other-version" if reported else "other-version")


def _moment(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment is not None else "some time"


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _tries(count: int) -> str:
    return f"It was tried {_times(count)}." if count else ""


def _sentence(text: str) -> str:
    text = text.strip()
    return text if not text or text[-1] in ".!?" else text + "."
