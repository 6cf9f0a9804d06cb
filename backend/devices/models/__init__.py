"""One concept per file; import them from here."""

from backend.devices.models.change import Change
from backend.devices.models.device import Device, Registration, Status
from backend.devices.models.event import DeviceEvent
from backend.devices.models.objectspec import ObjectDefinition, ObjectSpec
from backend.devices.models.observation import DeviceObservation, Observation
from backend.devices.models.profile import Profile, ProfileObservation, ProfileRule, default_profile_id
from backend.devices.models.resource import Resource, ValueType
from backend.devices.models.server import LeshanServer, RawEvent, ServerInterval, StreamGap

__all__ = [
    "Change",
    "Device",
    "DeviceEvent",
    "DeviceObservation",
    "LeshanServer",
    "ObjectDefinition",
    "ObjectSpec",
    "Observation",
    "Profile",
    "ProfileObservation",
    "ProfileRule",
    "RawEvent",
    "Registration",
    "Resource",
    "ServerInterval",
    "Status",
    "StreamGap",
    "ValueType",
    "default_profile_id",
]
