"""Writes to devices, their registrations, observations and the servers they come through."""

from backend.devices.services.awake import (
    DEFAULT_AWAKE_SECONDS,
    awake_effective,
    awake_forget,
    awake_halve,
)
from backend.devices.services.bulk import rows_insert
from backend.devices.services.clock import clock_noted
from backend.devices.services.definitions import DefinitionError, definition_delete, definition_upload
from backend.devices.services.devices import device_provision, devices_ensure
from backend.devices.services.objectspecs import (
    DOUBTED,
    definitions_problems,
    objectspecs_doubt,
    objectspecs_drop,
    objectspecs_store,
)
from backend.devices.services.observations import (
    ObservationMark,
    device_observation_clear,
    device_observation_set,
    observation_ensure,
    observation_remove,
    observation_set_attributes,
    observation_set_failed,
    observations_set_active,
    observations_want,
)
from backend.devices.services.profiles import (
    ProfileError,
    ProfileKeeping,
    Rule,
    WantedPath,
    profile_assign,
    profile_create,
    profile_delete,
    profile_rules_set,
    profile_update,
    profiles_apply_rules,
)
from backend.devices.services.registrations import registration_end, registration_fill, registration_is_older
from backend.devices.services.servers import (
    raw_events_retention_step,
    server_connected,
    server_disconnected,
    server_ensure,
    server_heartbeat,
    server_problem,
    server_started,
    server_stopped,
)
from backend.devices.services.status import Sign, status_next
from backend.devices.services.wanted import observations_ask

__all__ = [
    "DEFAULT_AWAKE_SECONDS",
    "DOUBTED",
    "DefinitionError",
    "ObservationMark",
    "ProfileError",
    "ProfileKeeping",
    "Rule",
    "Sign",
    "WantedPath",
    "awake_effective",
    "awake_forget",
    "awake_halve",
    "clock_noted",
    "definition_delete",
    "definition_upload",
    "definitions_problems",
    "device_observation_clear",
    "device_observation_set",
    "device_provision",
    "devices_ensure",
    "objectspecs_doubt",
    "objectspecs_drop",
    "objectspecs_store",
    "observation_ensure",
    "observation_remove",
    "observation_set_attributes",
    "observation_set_failed",
    "observations_ask",
    "observations_set_active",
    "observations_want",
    "profile_assign",
    "profile_create",
    "profile_delete",
    "profile_rules_set",
    "profile_update",
    "profiles_apply_rules",
    "raw_events_retention_step",
    "registration_end",
    "registration_fill",
    "registration_is_older",
    "rows_insert",
    "server_connected",
    "server_disconnected",
    "server_ensure",
    "server_heartbeat",
    "server_problem",
    "server_started",
    "server_stopped",
    "status_next",
]
