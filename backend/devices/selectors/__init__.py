"""Reads of devices, their values and the pipeline; nothing here writes. One concept per file; import from here."""

from backend.devices.selectors.definition import Models, definition_get, definition_list, models_of, object_spec
from backend.devices.selectors.device import (
    DEVICE_ORDERS,
    DeviceFilter,
    device_choices,
    device_get,
    device_list,
    next_expected,
    observation_failures,
    observation_list,
    registration_of,
    status_counts,
)
from backend.devices.selectors.event import event_list
from backend.devices.selectors.pipeline import (
    SYNC_SILENT_AFTER,
    Gap,
    PipelineState,
    gap_list,
    pipeline_state,
)
from backend.devices.selectors.profile import (
    WantedView,
    profile_by_name,
    profile_get,
    profile_list,
    profile_patterns,
    rule_list,
    wanted_list,
)
from backend.devices.selectors.resource import (
    Names,
    ResourceView,
    device_contents,
    names_of,
    resource_list,
    time_of,
)
from backend.devices.selectors.words import words_match

__all__ = [
    "DEVICE_ORDERS",
    "SYNC_SILENT_AFTER",
    "DeviceFilter",
    "Gap",
    "Models",
    "Names",
    "PipelineState",
    "ResourceView",
    "WantedView",
    "definition_get",
    "definition_list",
    "device_choices",
    "device_contents",
    "device_get",
    "device_list",
    "event_list",
    "gap_list",
    "models_of",
    "names_of",
    "next_expected",
    "object_spec",
    "observation_failures",
    "observation_list",
    "pipeline_state",
    "profile_by_name",
    "profile_get",
    "profile_list",
    "profile_patterns",
    "registration_of",
    "resource_list",
    "rule_list",
    "status_counts",
    "time_of",
    "wanted_list",
    "words_match",
]
