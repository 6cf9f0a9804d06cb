"""The device is told to install the package, and does: execute and install."""

from backend.commands.models import Kind, State
from backend.firmware.endings import RESULT_CODES
from backend.firmware.machine.constants import (
    ASLEEP,
    DAY,
    DOWNLOADED,
    EXECUTE,
    EXECUTE_TIME,
    EXECUTES,
    IDLE,
    SETTLE,
    SUCCESS,
    UPDATING,
)
from backend.firmware.machine.figures import execute_time, install_time, moment_text, times_text
from backend.firmware.machine.hold import Holds
from backend.firmware.machine.vocabulary import Asked, Seen
from backend.firmware.models import Step, UpdateState
from backend.firmware.versions import version_same


class Installs(Holds):
    """From State 2 to the new firmware."""

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
            "The device is told to install the package"
            + (f" ({times_text(row.executes)} now)" if row.executes > 1 else "")
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
            return self.install_over(f"It is registered and says State {seen.state}, Update Result {seen.result}.")
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

    def install_over(self, said: str = "") -> bool:
        """The deadline: by what was seen last; `said`: just now, in words."""
        row = self.row
        if row.lwm2m_state == UPDATING:
            return self.end("stuck-updating", since=moment_text(row.executed_at))
        if row.lwm2m_state == DOWNLOADED and row.executes:
            return self.end("not-started", row.reason)
        if row.lwm2m_state == IDLE and self.session is not None and self.session.id == row.registration_before:
            return self.end("no-change")
        return self.not_back(said)
