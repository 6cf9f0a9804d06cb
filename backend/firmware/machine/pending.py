"""Before the transfer: wait, check, reset."""

from datetime import timedelta

from backend.commands.models import Kind
from backend.firmware.machine.constants import IDLE, PACKAGE, RESETS, UPDATING, URI
from backend.firmware.machine.figures import install_time, moment_text
from backend.firmware.machine.verify import Verifies
from backend.firmware.machine.vocabulary import Seen
from backend.firmware.models import Step, UpdateState
from backend.firmware.versions import version_same


class Pends(Verifies):
    """Until the device is there and has forgotten what was before."""

    def wait(self) -> bool:
        row, v = self.row, self.v
        if row.admitted_at is None:
            self.say("waiting-turn", "Waits until its campaign lets it begin.")
            return self.rest()
        if v.image.deleted:
            return self.end("image-deleted")
        if self.now >= row.give_up_at:
            return self.end("given-up", row.reason, since=moment_text(row.give_up_at))
        if v.campaign_held and row.started_at is None:
            self.say("waiting-turn", "Waits until its campaign goes on, which is paused or stopped.")
            return self.rest_for(60)
        if v.ahead:
            self.say("waiting-other", v.ahead)
            return self.rest(min(row.give_up_at, self.now + timedelta(minutes=1)))
        session = self.session
        if session is None:
            since = f"is away since {moment_text(v.away_since)}" if v.away_since else "has not registered so far"
            self.say("waiting-device", f"The device {since}; the update goes on when it registers.")
            return self.rest(row.give_up_at)
        if session.instances is None:
            return self.end("no-firmware-object")
        if session.instances and row.object_instance not in session.instances:
            listed = ", ".join(f"/5/{number}" for number in session.instances)
            return self.end("no-firmware-object", f"It lists {listed}.")
        if v.barred:
            return self.end("not-signed")
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
