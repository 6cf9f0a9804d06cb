"""Asking the device, and what its answers say."""

from datetime import datetime, timedelta

from backend.commands.models import Kind, State
from backend.firmware.endings import RESULT_CODES
from backend.firmware.machine.base import Base
from backend.firmware.machine.constants import ASLEEP, MAX_EXPIRY, PACKAGE, PKG_VERSION, RESULT, SILENT, STATE, VERSION
from backend.firmware.machine.figures import number_of, values_of
from backend.firmware.machine.vocabulary import Said, Seen


class Asks(Base):
    """Asks the device; nothing here knows the steps."""

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

    def unanswered(self, deadline: datetime | None) -> bool:
        """Is the deadline over, and the last question, asked of a device that is awake, without an answer since?"""
        ask, session = self.ask, self.session
        if ask is None or deadline is None or (session is not None and session.asleep):
            return False
        return self.over(max(deadline, (ask.sent_at or ask.asked_at) + self.v.limits.stall))
