"""Plays a device, the LwM2M server and the dispatcher of commands around the machine, with a clock of its own."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from backend.commands.models import Kind, State
from backend.firmware import machine
from backend.firmware.machine import Asked, Decision, Image, Limits, Row, Said, Session, View, decide
from backend.firmware.models import ENDED, Step, UpdateState

T0 = datetime(2026, 1, 1, tzinfo=UTC)
SIZE = 100_000
LIMITS = Limits(stall=timedelta(seconds=180), install=timedelta(seconds=900), transfers=3)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


@dataclass
class Board:
    """A device's firmware object, as the facts sheet says that real ones behave."""

    state: int = 0
    result: int = 0
    version: str = "1.0.0"
    new_version: str = "2.0.0"
    method: int | None = 2
    protocols: tuple[int, ...] = (0, 1)
    instance: int = 0
    # bytes a second
    speed: float = 10_000
    install_seconds: float = 10
    boot_seconds: float = 5
    # Update Results of the transfers, 0: good
    transfer_results: list[int] = field(default_factory=list)
    # a push stops for ever after so many bytes, as often as listed
    stops: list[int] = field(default_factory=list)
    # the connection is gone for so many seconds at so many bytes
    lost: list[tuple[int, float]] = field(default_factory=list)
    forgets_on_boot: bool = True
    # of the execute: "", "mute", "lost", "refused", "nothing", "hang", "early"
    executes: list[str] = field(default_factory=list)
    install_result: int = 1
    install_state: int = 0
    takes_version: bool = True
    reboots: bool = True
    never_back: bool = False
    rollback_after: float | None = None
    restarts_after: list[float] = field(default_factory=list)
    keeps_result: bool = False
    ignores_reset: bool = False
    reads: str = "instance"
    tells_version: bool = True
    notifies: bool = True

    installs: int = 0
    got: int = 0
    executed: list[str] = field(default_factory=list)


class Play:
    """One update of one board until it ends."""

    def __init__(
        self,
        board: Board | None = None,
        *,
        row: Row | None = None,
        image: Image | None = None,
        limits: Limits = LIMITS,
        queue_mode: bool = False,
        registered: bool = True,
        secure: bool = True,
    ) -> None:
        self.board = board or Board()
        self.now = T0
        self.row = row or Row(
            id=1, admitted_at=T0, step_since=T0, look_at=T0, give_up_at=T0 + timedelta(days=30), hold_seconds=60
        )
        self.image = image or Image("ab" * 32, SIZE, "2.0.0")
        self.limits = limits
        self.queue_mode, self.secure = queue_mode, secure
        self.sessions = 0
        self.session: Session | None = None
        self.away_since: datetime | None = None
        self.said: dict[str, Said] = {}
        self.ask: Asked | None = None
        self.not_before = T0
        self.connected = True
        self.connected_since = T0 - timedelta(days=1)
        self.package = False
        self.uri = ""
        self.view_more: dict[str, Any] = {}
        # (kind, path) of everything that was queued, with times
        self.asked: list[tuple[datetime, str, str]] = []
        self.lines: list[str] = []
        self.states: list[str] = []
        self.revoked = False
        self.deeds: list[str] = []
        self._events: list[tuple[datetime, int, Callable[[], None]]] = []
        self._count = 0
        # a transfer is under way
        self._transfer = 0
        self.before_step: Callable[[Play], None] = lambda play: None
        self.serial = 0
        if registered:
            self.register()

    # -- time

    def at(self, moment: datetime | float, action: Callable[[], None]) -> None:
        when = self.now + seconds(moment) if isinstance(moment, int | float) else moment
        self._count += 1
        heapq.heappush(self._events, (when, self._count, action))

    def run(self, *, until: float = 40 * 86400.0, stop: Callable[[], bool] = lambda: False) -> "Play":
        end = T0 + seconds(until)
        for _ in range(100_000):
            self.step()
            if self.row.state in ENDED or stop():
                return self
            moments = [self._events[0][0]] if self._events else []
            if self.row.look_at is not None:
                moments.append(max(self.row.look_at, self.now + seconds(0.25)))
            if not moments:
                raise AssertionError(f"nothing will ever happen: {self.row}")
            self.now = max(self.now, min(moments))
            if self.now > end:
                return self
            while self._events and self._events[0][0] <= self.now:
                heapq.heappop(self._events)[2]()
        raise AssertionError(f"it goes on for ever: {self.row}")

    # -- the machine

    def view(self) -> View:
        more = dict(self.view_more)
        return View(
            now=self.now,
            row=replace(self.row),
            image=self.image,
            limits=self.limits,
            session=self.session,
            away_since=self.away_since,
            said=dict(self.said),
            ask=self.ask,
            connected=self.connected,
            connected_since=self.connected_since,
            package=self.package,
            uri=self.uri,
            **more,
        )

    def step(self) -> Decision:
        self.before_step(self)
        decision = decide(self.view())
        if decision.cancel:
            assert self.ask is not None
            self._cancel()
        if decision.detach:
            self.ask = None
            self.serial += 1
        self.row = decision.row
        self.lines += decision.lines
        if not self.states or self.states[-1] != self.row.state:
            self.states.append(self.row.state)
        self.revoked = self.revoked or decision.revoke
        if decision.deed:
            self.deeds.append(decision.deed)
            self.at(0.1, lambda: self._deed(decision.deed))
        if decision.asking is not None:
            assert self.ask is None or decision.detach
            asking = decision.asking
            self.ask = Asked(asking.kind, asking.path, State.QUEUED, self.now)
            self.serial += 1
            self.arguments = asking.arguments
            self.asked.append((self.now, str(asking.kind), asking.path))
            self.not_before = self.now
            serial = self.serial
            self.at(asking.expires_in.total_seconds(), lambda: self._expire(serial))
            self.at(0.05, lambda: self._send(serial))
        return decision

    def _deed(self, deed: str) -> None:
        if deed == "package":
            self.package = True
        else:
            self.uri = "coaps://192.0.2.1:5684/fw/token"
        self.row.look_at = self.now

    def count(self, kind: str, path: str = "") -> int:
        return sum(1 for _, one, where in self.asked if one == kind and (not path or where == path))

    # -- the dispatcher

    def _cancel(self) -> None:
        assert self.ask is not None
        if self.ask.state == State.QUEUED:
            self._settle(State.CANCELLED, reason="cancelled")
            return
        self.ask = replace(self.ask, cancelling=True)
        serial = self.serial
        self._transfer += 1
        self.at(0.2, lambda: self._settle(State.CANCELLED, reason="cancelled after it was sent", serial=serial))

    def _expire(self, serial: int) -> None:
        if serial == self.serial and self.ask is not None and self.ask.state == State.QUEUED:
            self._settle(State.EXPIRED, reason="no answer in time")

    def _send(self, serial: int) -> None:
        ask = self.ask
        if serial != self.serial or ask is None or ask.state != State.QUEUED or not self.connected:
            return
        if self.session is None or self.session.asleep or self.now < self.not_before:
            if self.session is not None and not self.session.asleep:
                self.at(self.not_before, lambda: self._send(serial))
            return
        self.ask = replace(ask, state=State.SENT, sent_at=self.now, attempts=ask.attempts + 1)
        self.at(0.1, lambda: self._arrives(serial))

    def _arrives(self, serial: int) -> None:
        if serial != self.serial or self.ask is None or self.ask.state != State.SENT:
            return
        if self.session is None:
            self.at(0.1, lambda: self._silent(serial))
            return
        self.device(self.ask.kind, self.ask.path, serial)

    def _silent(self, serial: int) -> None:
        ask = self.ask
        if serial != self.serial or ask is None or ask.state != State.SENT:
            return
        if ask.kind in (Kind.EXECUTE, Kind.WRITE_PACKAGE):
            self._settle(State.FAILED, reason="the device did not answer: unknown whether the device did it")
            return
        if ask.cancelling:
            self._settle(State.CANCELLED, reason="cancelled")
            return
        self.ask = replace(ask, state=State.QUEUED)
        self.not_before = self.now + seconds(min(300, 5 * 2**ask.attempts))
        self.at(self.not_before, lambda: self._send(serial))

    def _settle(
        self, state: str, *, reason: str = "", answer: Any = None, status: str = "", serial: int | None = None
    ) -> None:
        if serial is not None and serial != self.serial:
            return
        if self.ask is None or not self.ask.open:
            return
        self.ask = replace(self.ask, state=state, reason=reason, answer=answer, status=status, ended_at=self.now)

    def answer(self, serial: int, content: Any = None) -> None:
        self._settle(State.SUCCEEDED, answer={"success": True, "content": content}, serial=serial)

    def refuse(self, serial: int, status: str = "METHOD_NOT_ALLOWED(405)") -> None:
        self._settle(
            State.FAILED,
            reason=f"The device refuses: {status}",
            answer={"success": False, "status": status},
            status=status,
            serial=serial,
        )

    # -- the device

    def register(self, *, asleep: bool = False) -> None:
        self.sessions += 1
        self.session = Session(
            id=f"r{self.sessions}",
            registered_at=self.now,
            queue_mode=self.queue_mode,
            asleep=asleep,
            secure=self.secure,
            instances=tuple(sorted({0, self.board.instance})),
        )
        self.away_since = None
        self._send(self.serial)

    def leave(self) -> None:
        self.session = None
        self.away_since = self.now
        # what is in flight ends with the registration
        serial = self.serial
        self._transfer += 1
        self.at(0.1, lambda: self._silent(serial))

    def sleep(self) -> None:
        assert self.session is not None
        self.session = replace(self.session, asleep=True)

    def wake(self) -> None:
        assert self.session is not None
        self.session = replace(self.session, asleep=False)
        self._send(self.serial)

    def notify(self, state: int | None = None, result: int | None = None) -> None:
        board = self.board
        board.state = board.state if state is None else state
        board.result = board.result if result is None else result
        if not board.notifies or self.session is None:
            return
        for resource, value in ((3, board.state), (5, board.result)):
            path = f"/5/{board.instance}/{resource}"
            if path not in self.said or self.said[path].value != str(value):
                self.said[path] = Said(str(value), self.now)

    def device(self, kind: str, path: str, serial: int) -> None:
        board = self.board
        base = f"/5/{board.instance}"
        if kind == Kind.READ:
            self._read(path, serial)
        elif kind == Kind.WRITE and path in (f"{base}/1", f"{base}/0"):
            text = self.arguments["node"]["value"]
            if board.state == 3 or (path == f"{base}/0" and board.method == 0):
                self.refuse(serial)
            elif not text:
                self._transfer += 1
                if not board.ignores_reset:
                    board.state = 0
                    board.result = board.result if board.keeps_result else 0
                self.answer(serial)
            else:
                assert path == f"{base}/1"
                self.answer(serial)
                self.notify(state=1, result=0)
                self._begin(serial=None)
        elif kind == Kind.WRITE_PACKAGE:
            if board.state == 2:
                self.refuse(serial, "BAD_REQUEST(400)")
                return
            self.notify(state=1, result=0)
            self._begin(serial=serial)
        elif kind == Kind.EXECUTE:
            self._execute(serial)
        else:
            raise AssertionError(f"{kind} {path}")

    def _read(self, path: str, serial: int) -> None:
        board = self.board
        base = f"/5/{board.instance}"
        values = {3: board.state, 5: board.result, 7: board.version}
        if board.method is not None:
            values[9] = board.method
        if path == base and board.reads == "instance":
            for resource, value in values.items():
                self.said[f"{base}/{resource}"] = Said(str(value), self.now)
            for number, protocol in enumerate(board.protocols):
                self.said[f"{base}/8/{number}"] = Said(str(protocol), self.now)
            nodes = [
                {"kind": "singleResource", "id": resource, "value": str(value)} for resource, value in values.items()
            ]
            self.answer(serial, {"kind": "instance", "id": board.instance, "resources": nodes})
        elif path in (f"{base}/3", f"{base}/5", f"{base}/7") and board.reads != "none":
            resource = int(path.rsplit("/", 1)[1])
            self.answer(serial, {"kind": "singleResource", "id": resource, "value": str(values[resource])})
        elif path == "/3/0/3" and board.tells_version:
            self.answer(serial, {"kind": "singleResource", "id": 3, "value": board.version})
        else:
            self.refuse(serial)

    def _begin(self, serial: int | None) -> None:
        """A transfer: block after block, told twice a second at most."""
        board = self.board
        self._transfer += 1
        number = self._transfer
        stop = board.stops.pop(0) if board.stops else None
        lost = board.lost.pop(0) if board.lost else None
        result = board.transfer_results.pop(0) if board.transfer_results else 0
        board.got = 0

        def block() -> None:
            if number != self._transfer or self.session is None:
                return
            if stop is not None and board.got >= stop:
                return
            if lost is not None and board.got >= lost[0]:
                self.lose(lost[1])
                return
            board.got = min(self.image.size, board.got + int(board.speed / 2) + 1)
            self.progress(board.got)
            if board.got < self.image.size:
                self.at(0.5, block)
                return
            self.at(0.2, done)

        def done() -> None:
            if number != self._transfer or self.session is None:
                return
            if serial is not None:
                self.answer(serial)
            self.notify(state=0 if result else 2, result=result)

        self.at(0.5, block)

    def lose(self, gone: float) -> None:
        board = self.board
        self.leave()
        if board.forgets_on_boot:
            board.state, board.result = 0, 0
        self.at(gone, self.register)

    def progress(self, sent: int) -> None:
        if self.row.step in (Step.DELIVER, Step.FETCH, Step.VERIFY) and self.row.state == UpdateState.DOWNLOADING:
            if sent > self.row.bytes_sent:
                self.row.progress_at = self.now
            self.row.bytes_sent = sent

    def _execute(self, serial: int) -> None:
        board = self.board
        how = board.executes.pop(0) if board.executes else ""
        if board.state != 2 or how == "refused":
            self.refuse(serial)
            return
        if how == "lost":
            self.at(30, lambda: self._silent(serial))
            return
        if how == "mute":
            self.at(30, lambda: self._silent(serial))
        else:
            self.answer(serial)
        board.executed.append(how)
        if how == "nothing":
            return
        board.installs += 1
        self.notify(state=3)
        if how != "hang":
            self.at(board.install_seconds, self._installed)

    def _installed(self) -> None:
        board = self.board
        if board.install_result != 1 and board.install_result != 0:
            self.notify(state=board.install_state, result=board.install_result)
            return
        old = board.version
        if board.takes_version:
            board.version = board.new_version
        if not board.reboots:
            self.notify(state=0, result=board.install_result)
            return
        self.leave()
        board.state, board.result = 0, board.install_result

        def back() -> None:
            self.register()
            if board.rollback_after is not None:
                self.at(board.rollback_after, lambda: rolled(old))
            for later in board.restarts_after:
                self.at(later, lambda: (self.leave(), self.at(1, self.register)))  # type: ignore[func-returns-value]

        def rolled(version: str) -> None:
            self.leave()
            board.version = version
            self.at(board.boot_seconds, self.register)

        if not board.never_back:
            self.at(board.boot_seconds, back)


def ended(play: Play) -> str:
    assert play.row.state in ENDED, (play.row.state, play.row.step, play.row.reason, play.lines[-5:])
    assert play.row.reason
    assert play.row.ended_at == play.now
    return play.row.code


__all__ = ["LIMITS", "SIZE", "T0", "Board", "Play", "ended", "machine", "seconds"]
