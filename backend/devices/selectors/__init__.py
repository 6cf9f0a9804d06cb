"""Reads of devices, their values and the pipeline; nothing here writes. One concept per file; import from here."""

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
from backend.devices.selectors.resource import Names, ResourceView, resource_list, time_of

__all__ = [
    "DEVICE_ORDERS",
    "SYNC_SILENT_AFTER",
    "DeviceFilter",
    "Gap",
    "Names",
    "PipelineState",
    "ResourceView",
    "device_choices",
    "device_get",
    "device_list",
    "event_list",
    "gap_list",
    "next_expected",
    "observation_failures",
    "observation_list",
    "pipeline_state",
    "registration_of",
    "resource_list",
    "status_counts",
    "time_of",
]
