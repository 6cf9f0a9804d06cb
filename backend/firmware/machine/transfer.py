"""The package gets to the device: prepare, deliver or fetch."""

from datetime import datetime, timedelta

from backend.commands.models import Kind, State
from backend.commands.services.outcomes import PACKAGE_MISSING
from backend.firmware.endings import ENDINGS
from backend.firmware.machine.constants import (
    ASLEEP,
    COAP,
    COAPS,
    DAY,
    MAX_EXPIRY,
    METHODS,
    PACKAGE,
    PROTOCOLS,
    SLOWEST,
    TRANSFER_SLACK,
    URI,
)
from backend.firmware.machine.figures import number_of, rate, slowest_time
from backend.firmware.machine.install import Installs
from backend.firmware.machine.vocabulary import Asked
from backend.firmware.models import Step, UpdateState


class Transfers(Installs):
    """From the choice of the method to the last byte."""

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
        if v.barred:
            return self.end("not-signed")
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
        """Asks the LwM2M server for it; once more only after a while, however often it says that it cannot yet."""
        asked = {"package": 1, "grant": 2}[deed]
        if self.pausing() and self.row.polls == asked:
            return False
        self.row.polls = asked
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

    def due(self) -> datetime:
        """When the transfer stalls, or its time is over, if nothing moves."""
        stalled = self.grace(self.moved_at() + self.v.limits.stall)
        deadline = self.row.deadline_at
        return stalled if deadline is None else min(stalled, self.grace(deadline))

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
        if not self.same_registration(ask):
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
        return self.rest(self.due())

    def same_registration(self, ask: Asked | None) -> bool:
        """Does the transfer belong to the present registration? One that had not left when it began does."""
        row, session = self.row, self.session
        assert session is not None
        if ask is not None and ask.open and (ask.sent_at is None or ask.sent_at >= session.registered_at):
            row.registration_before = session.id
        return session.id == row.registration_before

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
            # it may have told the outcome before its answer was read
            row.step_since = ask.sent_at or self.now
            ask = None
        if not self.same_registration(ask):
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
        return self.rest(min(look, self.due()))
