"""Writes to devices, their registrations, observations and the servers they come through."""

from backend.devices.services.devices import device_provision, devices_ensure
from backend.devices.services.objectspecs import objectspecs_store
from backend.devices.services.observations import (
    observation_set_active,
    observation_set_failed,
    observations_want,
)
from backend.devices.services.registrations import registration_end, registration_fill, registration_is_older
from backend.devices.services.servers import (
    server_connected,
    server_disconnected,
    server_ensure,
    server_heartbeat,
    server_problem,
    server_started,
    server_stopped,
)
from backend.devices.services.status import Sign, status_next

__all__ = [
    "Sign",
    "device_provision",
    "devices_ensure",
    "objectspecs_store",
    "observation_set_active",
    "observation_set_failed",
    "observations_want",
    "registration_end",
    "registration_fill",
    "registration_is_older",
    "server_connected",
    "server_disconnected",
    "server_ensure",
    "server_heartbeat",
    "server_problem",
    "server_started",
    "server_stopped",
    "status_next",
]
