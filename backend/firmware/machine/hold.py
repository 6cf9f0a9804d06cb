"""The new firmware runs: does it stay?"""

from datetime import timedelta

from backend.firmware.endings import RESULT_CODES
from backend.firmware.machine.constants import RENEWALS, SUCCESS
from backend.firmware.machine.figures import install_time
from backend.firmware.machine.leaving import Leaves
from backend.firmware.machine.vocabulary import Seen, Session
from backend.firmware.models import Step
from backend.firmware.versions import version_same


class Holds(Leaves):
    """The last step."""

    @property
    def anew(self) -> bool:
        """Is the present registration another one than that of the execute?"""
        return self.session is not None and self.session.id != self.row.registration_before

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
        assert row.deadline_at is not None
        if session.queue_mode and session.registered_at >= row.deadline_at:
            # some register whenever they wake up: that is no restart
            self.line("The device has registered once more after the hold time")
            return self.read_version()
        row.polls += 1
        self.line("The device has registered once more within the hold time")
        row.deadline_at = min(session.registered_at, self.now) + timedelta(seconds=row.hold_seconds)
        return self.read_version()

    def held(self, version: str, *, final: bool) -> bool:
        row, image = self.row, self.v.image
        old = version_same(version, row.version_before) and not version_same(version, image.version)
        was_new = bool(row.version_after) and not version_same(row.version_after, version)
        # gone before it could be asked what it runs, and back with the old version: that is no success either
        unseen = row.polls > 0 and not row.version_after
        row.version_after = version or row.version_after
        if old and (was_new or unseen):
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
