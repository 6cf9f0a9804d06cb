"""Has the device the whole package? If not, another transfer."""

from datetime import timedelta

from backend.firmware.endings import ENDINGS, RESULT_CODES
from backend.firmware.machine.constants import DOWNLOADED, DOWNLOADING, IDLE, SUCCESS, UPDATING
from backend.firmware.machine.figures import slowest_time
from backend.firmware.machine.transfer import Transfers
from backend.firmware.machine.vocabulary import Seen
from backend.firmware.models import Step, UpdateState


class Verifies(Transfers):
    """From the last byte to State 2, or back to prepare."""

    def verify(self) -> bool:
        row = self.row
        if self.session is None:
            return self.away()
        if self.offline():
            return False
        if self.ask is None:
            return False if self.pausing() else self.ask_again()
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
        if self.session.id != row.registration_before:
            # it may have restarted since it was asked: only what it says now proves anything
            return self.ask_again()
        return self.verified(seen)

    def ask_again(self) -> bool:
        """Asks what the device has; the answer counts in this registration."""
        assert self.session is not None
        self.row.registration_before = self.session.id
        return self.read(self.instance)

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
        if seen.state == UPDATING or (seen.state == IDLE and seen.result == SUCCESS != row.stale_result):
            return self.went_on()
        if pull and seen.state == DOWNLOADING and row.code not in ("transfer-stalled", "transfer-timeout"):
            # also in another registration: the download is a connection of its own
            row.registration_before = session.id
            self.quiet()
            return self.fetch_on(seen)
        waits = self.v.limits.stall if seen.state == DOWNLOADING else timedelta(seconds=15)
        if clean and self.now < row.step_since + waits:
            return self.poll(2, 15)
        if pull and clean and row.progress_at is not None and self.now < self.moved_at() + self.v.limits.stall:
            return self.fetch_on(seen)
        return self.again(row.code or "not-downloaded", row.reason)

    def fetch_on(self, seen: Seen) -> bool:
        """The device still fetches."""
        self.goto(Step.FETCH)
        # what it notified since it was asked is newer than its answer
        self.row.step_since = seen.at
        self.row.deadline_at = (self.row.transfer_at or self.now) + slowest_time(self.v.image.size)
        return True

    def went_on(self) -> bool:
        """The device installs it, or has installed it, without being told; or our execute was taken after all."""
        self.line("The device installs the package without being told")
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
