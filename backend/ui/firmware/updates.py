"""One update for people: how far it is, what it waits for, how it ended and what to do."""

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from backend.firmware.endings import ENDINGS, WAITING, Ending
from backend.firmware.models import ENDED, FirmwareUpdate, Step, UpdateState
from backend.firmware.selectors.updates import Progress, update_progress, update_untold
from backend.ui.firmware.words import LWM2M_STATES, UPDATE_RESULTS, coded, size_text, span_text, speed_text
from backend.ui.legend import UPDATE_STATES, StateInfo
from backend.ui.markup import clock

TRANSFERRING = (Step.DELIVER, Step.FETCH)
CANCELLABLE = (UpdateState.PENDING, UpdateState.DOWNLOADING, UpdateState.DOWNLOADED)
# a device's way, as the bar of steps shows it
WAY = (
    UpdateState.PENDING,
    UpdateState.DOWNLOADING,
    UpdateState.DOWNLOADED,
    UpdateState.UPDATING,
    UpdateState.SUCCEEDED,
)


@dataclass(frozen=True)
class Transfer:
    """A transfer that runs."""

    progress: Progress

    @property
    def percent(self) -> int:
        """Whole percents of the bytes."""
        return self.progress.percent

    @property
    def text(self) -> str:
        """ "512 KiB of 1.0 MiB · 12 KiB/s · about 40 s left"."""
        now = self.progress
        parts = [f"{size_text(now.sent)} of {size_text(now.total)}"]
        if now.bytes_per_second:
            parts.append(speed_text(now.bytes_per_second))
        if now.seconds_left:
            parts.append(f"about {span_text(now.seconds_left)} left")
        return " · ".join(parts)


def transfer_of(update: FirmwareUpdate, now: datetime) -> Transfer | None:
    """The transfer of an update that is in one. `update`: with its image."""
    if update.state != UpdateState.DOWNLOADING or update.step not in TRANSFERRING:
        return None
    return Transfer(update_progress(update, now))


@dataclass(frozen=True)
class Stage:
    """One state of the way; `mark`: "done", "now" or "ahead"."""

    info: StateInfo
    mark: str


@dataclass(frozen=True)
class UpdateView:
    """One update as pages show it."""

    update: FirmwareUpdate
    info: StateInfo
    # what is going on, or how it ended
    text: SafeString
    transfer: Transfer | None
    ending: Ending | None

    @property
    def open(self) -> bool:
        """Has it not ended?"""
        return self.update.state not in ENDED

    @property
    def failed(self) -> bool:
        """Did it end badly?"""
        return self.update.state == UpdateState.FAILED

    @property
    def cancelling(self) -> bool:
        """Was it called back, and has not ended yet?"""
        return self.open and self.update.cancel_requested_at is not None

    @property
    def cancellable(self) -> bool:
        """May a person call it back now?"""
        return (self.update.state in CANCELLABLE or update_untold(self.update)) and not self.cancelling

    @property
    def retryable(self) -> bool:
        """May a person begin it again?"""
        ended_badly = self.update.state in {UpdateState.FAILED, UpdateState.CANCELLED}
        return ended_badly and self.update.retried_at is None and self.update.image.deleted_at is None

    @property
    def warning(self) -> bool:
        """It succeeded, but something about it should be looked at."""
        return self.update.state == UpdateState.SUCCEEDED and self.update.code.startswith("succeeded-")

    @property
    def version(self) -> str:
        """What it brings: the image's version, else the file's name."""
        return self.update.image.version or self.update.image.file_name

    @property
    def lwm2m_state(self) -> str:
        """State (5/x/3) as the device said last."""
        return coded(LWM2M_STATES, self.update.lwm2m_state)

    @property
    def update_result(self) -> str:
        """Update Result (5/x/5) as the device said last."""
        return coded(UPDATE_RESULTS, self.update.update_result)

    @property
    def took(self) -> str:
        """How long it took from the first request to the end, "" where it has not ended or never began."""
        if self.update.started_at is None or self.update.ended_at is None:
            return ""
        return span_text((self.update.ended_at - self.update.started_at).total_seconds())

    @property
    def stages(self) -> list[Stage]:
        """The way with the place where it is; only for what is open or went well."""
        at = WAY.index(UpdateState(self.update.state))
        whole = self.update.state == UpdateState.SUCCEEDED
        return [
            Stage(UPDATE_STATES[state], "done" if index < at or whole else "now" if index == at else "ahead")
            for index, state in enumerate(WAY)
        ]

    @property
    def on_the_way(self) -> bool:
        """Is there a way to show?"""
        return self.update.state in WAY


def _text(update: FirmwareUpdate, transfer: Transfer | None) -> SafeString:
    if update.state in ENDED:
        return format_html("{}", update.reason)
    if update.cancel_requested_at is not None:
        return SafeString("Being cancelled: the device is told to forget what it has received.")
    if transfer is not None:
        how = "Sending" if update.step == Step.DELIVER else "The device fetches it"
        return format_html("{}: {}", how, transfer.text)
    if update.code in WAITING:
        return format_html("{}", update.reason or f"{WAITING[update.code]}.")
    label = Step(update.step).label
    if update.code in ENDINGS:
        # a transfer has failed, and there is another try
        before = f"{ENDINGS[update.code].title}. {update.reason}".strip()
        if update.step == Step.PREPARE and update.deadline_at is not None:
            return format_html("{} Another transfer begins at {}.", before, clock(update.deadline_at))
        return format_html("{} {}.", before, label)
    if update.reason:
        return format_html("{}", update.reason)
    if update.step in {Step.INSTALL, Step.HOLD} and update.deadline_at is not None:
        until = "until" if update.step == Step.HOLD else "until at most"
        return format_html('{} <span class="muted">({} {})</span>', label, until, clock(update.deadline_at))
    return format_html("{}", label)


def update_view(update: FirmwareUpdate, now: datetime | None = None) -> UpdateView:
    """`update`: with device and image, else two queries more."""
    transfer = transfer_of(update, now or timezone.now())
    return UpdateView(
        update=update,
        info=UPDATE_STATES[update.state],
        text=_text(update, transfer),
        transfer=transfer,
        ending=ENDINGS.get(update.code) if update.state in ENDED else None,
    )
