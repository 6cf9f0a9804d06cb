"""Ways out of any step: the device is gone, or a person takes the update back."""

from datetime import timedelta

from backend.commands.models import Kind, State
from backend.firmware.machine.asks import Asks
from backend.firmware.machine.constants import PACKAGE, UNDO_TRIES, URI
from backend.firmware.machine.figures import moment_text
from backend.firmware.models import Step, UpdateState


class Leaves(Asks):
    """The device is away, the update is cancelled."""

    def away(self) -> bool:
        """Before the execute, a device that is gone is waited for."""
        ask = self.ask
        if ask is not None and self.row.step in (Step.DELIVER, Step.FETCH) and ask.never_sent:
            self.row.transfers = max(0, self.row.transfers - 1)
        self.drop()
        if self.v.newer and self.row.state != UpdateState.PENDING:
            return self.end("superseded")
        self.line("The device is gone; the update waits for it")
        return self.goto(Step.WAIT, UpdateState.PENDING)

    def wants_back(self) -> None:
        """A person cancels it, or its campaign: also where it could not be taken back at that moment, but can now."""
        row = self.row
        wanted = row.cancel_requested_at is not None or self.v.campaign_cancelled
        if not wanted or row.step == Step.UNDO:
            return
        if row.state == UpdateState.UPDATING:
            ask = self.ask
            if row.step == Step.EXECUTE and ask is not None and ask.open and ask.never_sent and not ask.cancelling:
                # the device sleeps and has not been told: it need not be
                self.cancelled = True
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

    def gives_up(self) -> None:
        """Past its last moment nothing more is begun; what moves goes on, and what installs."""
        row, ask = self.row, self.ask
        unsent = ask is not None and ask.open and ask.sent_at is None
        moves = row.step in (Step.DELIVER, Step.FETCH) and not unsent
        if row.state == UpdateState.UPDATING or row.step in (Step.WAIT, Step.UNDO) or moves:
            return
        if self.over(row.give_up_at):
            self.end("given-up", row.reason, since=moment_text(row.give_up_at))

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

    def not_back(self, said: str = "") -> bool:
        if self.session is not None:
            return self.end("not-back", said or "It is registered, but does not answer.")
        since = self.v.away_since
        return self.end("not-back", f"It has had no registration since {moment_text(since)}." if since else "")
