"""A device's plan as the requests that carry it out: pure."""

from collections import deque

from backend.sync.plan import DevicePlan
from backend.sync.queries import DeviceRecord
from backend.sync.work import (
    Cancel,
    CancelComposite,
    Job,
    Observe,
    ObserveComposite,
    Read,
    SetAttributes,
    Step,
)


def device_job(record: DeviceRecord, plan: DevicePlan, *, journaled: bool) -> Job:
    """What to ask of the device; `journaled`: Leshan is our own server."""
    endpoint, registration_id = record.endpoint, record.facts.registration_id
    steps: deque[Step] = deque()
    if plan.identify:
        steps.append(Read(endpoint, "/3/0"))
    steps.extend(CancelComposite(endpoint, paths) for paths in plan.cancel_composites)
    steps.extend(ObserveComposite(endpoint, paths, registration_id, journaled) for paths in plan.composites)
    steps.extend(
        Observe(endpoint, path, registration_id, journaled, attributes) for path, attributes in plan.observe.items()
    )
    steps.extend(Cancel(endpoint, path) for path in plan.cancel)
    steps.extend(SetAttributes(endpoint, path, attributes) for path, attributes in plan.attributes.items())
    steps.extend(Read(endpoint, path) for path in plan.read)
    return Job(endpoint, steps, endpoint=endpoint, queue_mode=record.queue_mode)
