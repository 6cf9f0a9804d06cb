"""What the Logs tab of a device says beside the lines: what they cost, what was cut, the level on the device."""

from dataclasses import dataclass
from datetime import datetime

from backend.devices.models import Device, Resource
from backend.devices.selectors import registration_of, time_of
from backend.logs.selectors import UsageView, usage_of
from backend.lwm2m.objects import object_instances

EVENT_LOG_OBJECT = 20
# docs/device-logs.md: ours, from the private range
LEVEL_RESOURCE = 26241
LEVELS = (
    (0, "Nothing"),
    (1, "Errors"),
    (2, "Warnings and errors"),
    (3, "Infos and worse"),
    (4, "Everything"),
)
# what our Zephyr application starts with
USUAL_LEVEL = 3


@dataclass(frozen=True, kw_only=True)
class Level:
    """The severity up to which the device keeps lines; `value` None: it has not said."""

    path: str
    value: int | None
    at: datetime | None
    # does the registration list the object?
    listed: bool

    @property
    def text(self) -> str:
        """In words; "" where it is not known."""
        return dict(LEVELS).get(self.value, f"{self.value}") if self.value is not None else ""

    @property
    def chosen(self) -> int:
        """What a form begins with."""
        return USUAL_LEVEL if self.value is None else self.value


@dataclass(frozen=True, kw_only=True)
class DeviceLogs:
    """The facts of the tab."""

    usage: UsageView
    level: Level
    # of the profile: MiB, None where no profile says it; and all limits in words
    space_limit: int | None
    limits: str

    @property
    def any(self) -> bool:
        """Has a line ever come?"""
        return bool(self.usage.lines or self.usage.cut)

    @property
    def lines_text(self) -> str:
        """How many are kept."""
        return f"{self.usage.lines:,}"

    @property
    def cut_text(self) -> str:
        """How many came and were not kept."""
        return f"{self.usage.cut:,} line" + ("" if self.usage.cut == 1 else "s")

    @property
    def level_offered(self) -> bool:
        """Is there reason to believe that the device takes a level?"""
        return self.level.listed or self.level.value is not None or self.any


def level_of(device: Device) -> Level:
    """The level as the device has last said it."""
    known = Resource.objects.filter(device=device, object_id=EVENT_LOG_OBJECT, resource_id=LEVEL_RESOURCE)
    resource = known.order_by("object_instance_id").first()
    registration = registration_of(device)
    instances = object_instances(registration.object_links).get(EVENT_LOG_OBJECT, []) if registration else []
    instance = resource.object_instance_id if resource else min(instances, default=0)
    number = resource.number if resource else None
    return Level(
        path=f"/{EVENT_LOG_OBJECT}/{instance}/{LEVEL_RESOURCE}",
        value=None if number is None or not number.is_integer() else int(number),
        at=time_of(resource.time) if resource else None,
        listed=bool(instances),
    )


def _limits(device: Device) -> tuple[int | None, str]:
    profile = device.profile
    if profile is None:
        return None, "none: it has no profile"
    pace = profile.logs_per_minute
    parts = [
        "any number of lines" if pace is None else f"{pace:,} lines a minute",
        "for ever" if profile.logs_days is None else f"{profile.logs_days} days",
    ]
    return profile.logs_mib, ", ".join(parts)


def device_logs(device: Device) -> DeviceLogs:
    """What the tab says of this device."""
    space, limits = _limits(device)
    return DeviceLogs(usage=usage_of(device=device), level=level_of(device), space_limit=space, limits=limits)
