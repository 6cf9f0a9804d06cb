"""What every step stands on: moving from step to step, the end, and time."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from backend.commands.models import Kind
from backend.firmware.endings import ENDINGS, ending_reason
from backend.firmware.machine.constants import MAX_EXPIRY
from backend.firmware.machine.figures import sentence, times_text, tries_text
from backend.firmware.machine.vocabulary import Asking, View
from backend.firmware.models import Step, UpdateState


class Base:
    """One decision in the making. A step's method returns True to go on with the next step, False to rest."""

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
        asleep = self.session is not None and self.session.asleep
        if asleep and self.row.code != "waiting-awake":
            self.say("waiting-awake", "The device sleeps: it is asked when it wakes up.")
        elif not asleep and self.row.code == "waiting-awake":
            self.quiet()
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
                "detail": sentence(detail),
                "version": f", version {row.version_after}" if row.version_after else "",
                "before": row.version_before or "an unknown version",
                "after": row.version_after or row.version_before or "an unknown version",
                "wanted": image.version or "unknown",
                "size": f"{image.size:,}",
                "sent": f"{row.bytes_sent:,}",
                "stall": round(self.v.limits.stall.total_seconds()),
                "hold": row.hold_seconds,
                "tries": tries_text(row.transfers),
                "executes": times_text(row.executes),
                "state": row.lwm2m_state,
                "result": row.update_result,
                "instance": row.object_instance,
                "by": f" by {self.v.cancelled_by}" if self.v.cancelled_by else "",
            }
            | facts,
        )
        row.ended_at = row.step_since = self.now
        row.deadline_at = row.look_at = None
        label, title = ENDINGS[code].state.label, ENDINGS[code].title
        self.line(title if title.startswith(label) else f"{label}: {title}")
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

    def poll(self, first: float, most: float) -> bool:
        """Rests until the next look, longer each time."""
        seconds = min(most, first * 2 ** min(self.row.polls, 10))
        self.row.polls += 1
        until = self.now + timedelta(seconds=seconds)
        deadline = self.row.deadline_at
        return self.rest(until if deadline is None else min(until, max(self.grace(deadline), self.now)))
