"""One concept per file; import them from here."""

from backend.devices.models.change import Change
from backend.devices.models.device import Device, Registration, Status
from backend.devices.models.event import DeviceEvent
from backend.devices.models.objectspec import ObjectSpec
from backend.devices.models.observation import Observation
from backend.devices.models.profile import Profile, ProfileObservation, default_profile_id
from backend.devices.models.resource import Resource, ValueType
from backend.devices.models.server import LeshanServer, RawEvent, ServerInterval, StreamGap

__all__ = [
    "Change",
    "Device",
    "DeviceEvent",
    "LeshanServer",
    "ObjectSpec",
    "Observation",
    "Profile",
    "ProfileObservation",
    "RawEvent",
    "Registration",
    "Resource",
    "ServerInterval",
    "Status",
    "StreamGap",
    "ValueType",
    "default_profile_id",
]
