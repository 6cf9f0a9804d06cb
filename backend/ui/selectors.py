"""Reads that only pages need: what needs attention, pages of events, a device's key figures."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import BinaryField, Count, Max, Q, QuerySet
from django.db.models.functions import Substr
from django.utils import timezone

from backend.accounts.models import User
from backend.alerts.models import Alert
from backend.alerts.selectors import AlertCounts, alert_counts, alerts_open
from backend.commands.models import Command, State
from backend.commands.selectors import command_list
from backend.devices.models import (
    Device,
    DeviceEvent,
    DeviceObservation,
    Observation,
    RawEvent,
    Resource,
    Status,
    StreamGap,
)
from backend.devices.selectors import device_list, observation_failures
from backend.firmware.models import Campaign, FirmwareUpdate, UpdateState
from backend.firmware.selectors.campaigns import campaigns_stopped
from backend.pki.models import Certificate, Credential
from backend.telemetry.models import Series

# how far back "needs attention" looks
RECENT = timedelta(hours=24)
# of a raw event, at most so much is put on a page
DUMP_BYTES = 4096
BATTERY_PATH = "/3/0/9"
SIGNAL_PATH = "/4/0/2"


@dataclass(frozen=True, kw_only=True)
class Attention:
    """What somebody should look at; counts of the last 24 hours where things pass."""

    # the offline devices that were heard last the longest ago
    silent: list[Device]
    silent_count: int
    refused_count: int
    refused_latest: DeviceEvent | None
    failed_observations: int
    failed_devices: int
    raw_count: int
    raw_latest: datetime | None
    gap_count: int
    gap_latest: StreamGap | None
    # that failed or expired
    failed_commands: int
    failed_updates: int
    stopped_campaigns: list[Campaign]
    alerts: AlertCounts
    # those of them that matter most
    alerts_first: list[Alert]
    # and that wait, which is no reason for worry
    waiting_commands: int

    @property
    def empty(self) -> bool:
        """Is all well?"""
        return not (
            self.silent_count
            or self.refused_count
            or self.failed_devices
            or self.raw_count
            or self.gap_count
            or self.failed_commands
            or self.failed_updates
            or self.stopped_campaigns
            or self.alerts.open
        )


def attention(*, silent_count: int, silent_limit: int = 5) -> Attention:
    """What needs attention now. `silent_count`: from `status_counts`, which the page has anyway. Eleven queries."""
    since = timezone.now() - RECENT
    refused = DeviceEvent.objects.filter(kind=DeviceEvent.Kind.REFUSED, at__gte=since)
    refused_count = refused.count()
    counts = alert_counts()
    failed = observation_failures().aggregate(paths=Count("pk"), devices=Count("device", distinct=True))
    raw = RawEvent.objects.filter(received_at__gte=since).aggregate(number=Count("pk"), latest=Max("received_at"))
    gaps = list(StreamGap.objects.filter(recorded_at__gte=since).order_by("-recorded_at")[:100])
    silent = device_list(status=[Status.OFFLINE], order="last_contact")[:silent_limit] if silent_count else []
    return Attention(
        silent=list(silent),
        silent_count=silent_count,
        refused_count=refused_count,
        refused_latest=refused.order_by("-at", "-id").first() if refused_count else None,
        failed_observations=failed["paths"],
        failed_devices=failed["devices"],
        raw_count=raw["number"],
        raw_latest=raw["latest"],
        gap_count=len(gaps),
        gap_latest=gaps[0] if gaps else None,
        failed_commands=commands_failed().count(),
        failed_updates=updates_failed().count(),
        stopped_campaigns=campaigns_stopped(),
        alerts=counts,
        alerts_first=alerts_open(limit=3) if counts.open else [],
        waiting_commands=Command.objects.filter(state=State.QUEUED).count(),
    )


@dataclass(frozen=True)
class EventPage:
    """One page of events, newest first; `older` is where the next one begins."""

    events: list[DeviceEvent]
    older: str


def event_page(*, kind: str = "", before: str = "", limit: int = 100) -> EventPage:
    """Events of all devices. `before`: the `older` of the page before; nonsense counts as none."""
    events = DeviceEvent.objects.select_related("device").order_by("-at", "-id")
    if kind in DeviceEvent.Kind.values:
        events = events.filter(kind=kind)
    moment, _, identifier = before.rpartition("_")
    if moment and identifier.isdecimal():
        try:
            parsed = datetime.fromisoformat(moment)
            # OverflowError: the ends of the calendar, in a zone where they lie beyond them
            at = parsed.astimezone(UTC) if parsed.tzinfo is not None else None
        except (ValueError, OverflowError):
            at = None
        if at is not None:
            events = events.filter(Q(at__lt=at) | Q(at=at, pk__lt=int(identifier[:18])))
    page = list(events[: limit + 1])
    if len(page) <= limit:
        return EventPage(page, "")
    last = page[limit - 1]
    return EventPage(page[:limit], f"{last.at.isoformat()}_{last.pk}")


def raw_event_list(*, device: Device | None = None, limit: int = 100) -> list[RawEvent]:
    """The newest events that could not be understood, each with the beginning of its data as `head`.

    Not with all of it: a megabyte each would be a hundred for one page.
    """
    head = Substr("data", 1, DUMP_BYTES, output_field=BinaryField())
    events: QuerySet[RawEvent] = RawEvent.objects.defer("data").annotate(head=head).select_related("device", "server")
    if device is not None:
        events = events.filter(device=device)
    return list(events.order_by("-received_at", "-id")[:limit])


def devices_by_id(*, ids: list[int]) -> QuerySet[Device]:
    """These devices with profile and registration, for rows of a list that is on somebody's screen."""
    return Device.objects.select_related("profile", "registration").filter(pk__in=ids).order_by("endpoint")


def key_figures(*, device: Device) -> dict[str, Resource]:
    """Battery level and radio signal strength by path, where known."""
    found = Resource.objects.filter(device=device, path__in=[BATTERY_PATH, SIGNAL_PATH])
    return {resource.path: resource for resource in found}


def series_ids(*, device: Device) -> dict[str, int]:
    """The device's series by path."""
    return dict(Series.objects.filter(device=device).values_list("path", "pk"))


def credential_of(*, device: Device) -> Credential | None:
    """How the device proves who it is; None where it has no credential."""
    return Credential.objects.filter(device=device).first()


def certificate_list(*, device: Device) -> list[Certificate]:
    """The device's certificates, newest first."""
    return list(Certificate.objects.filter(device=device, kind=Certificate.Kind.DEVICE))


def observed_paths(*, device: Device) -> frozenset[str]:
    """The paths that the device tells of by itself now."""
    active = Observation.objects.filter(device=device, state=Observation.State.ACTIVE)
    return frozenset(active.values_list("path", flat=True))


def observation_of(*, device: Device, path: str) -> Observation | None:
    """How far the observation of exactly this path has come; None where it is not wanted."""
    return Observation.objects.filter(device=device, path=path).first()


def own_observation_of(*, device: Device, path: str) -> DeviceObservation | None:
    """What a person said of this path of this device; None where the profile alone decides."""
    return DeviceObservation.objects.filter(device=device, path=path).first()


def commands_failed() -> QuerySet[Command]:
    """Commands that failed or expired in the last 24 hours."""
    since = timezone.now() - RECENT
    return Command.objects.filter(state__in=[State.FAILED, State.EXPIRED], ended_at__gte=since)


def updates_failed() -> QuerySet[FirmwareUpdate]:
    """Firmware updates that failed in the last 24 hours and were not tried again."""
    since = timezone.now() - RECENT
    return FirmwareUpdate.objects.filter(state=UpdateState.FAILED, ended_at__gte=since, retried_at=None)


def commands_of_path(*, device: Device, path: str, limit: int = 8) -> list[Command]:
    """The last commands on this path of the device and below it, newest first."""
    commands = command_list(device=device).filter(Q(path=path) | Q(path__startswith=f"{path}/"))
    return list(commands[:limit])


def command_askers() -> list[User]:
    """People who have asked for commands, by name."""
    return list(User.objects.filter(pk__in=Command.objects.values("asked_by")).order_by("username"))
