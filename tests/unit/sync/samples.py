"""Events as our server and a stock one write them."""

import json
from typing import Any

REGISTRATION: dict[str, Any] = {
    "endpoint": "sim-1",
    "registrationId": "first",
    "registrationDate": 1_795_368_844_253,
    "lastUpdate": 1_795_368_844_253,
    "address": "127.0.0.1:60800",
    "lwM2mVersion": "1.1",
    "lifetime": 300,
    "bindingMode": "U",
    "rootPath": "/",
    "objectLinks": [
        {"url": "/", "attributes": {"rt": '"oma.lwm2m"'}},
        {"url": "/1/0", "attributes": {}},
        {"url": "/3/0", "attributes": {}},
        {"url": "/3303", "attributes": {"ver": "1.1"}},
        {"url": "/3303/0", "attributes": {}},
    ],
    "secure": True,
    "additionalRegistrationAttributes": {},
    "queuemode": False,
    "availableInstances": {"1": [0], "3": [0], "3303": [0]},
}
# microseconds: when REGISTRATION came
REGISTERED_AT = 1_795_368_844_253_000


def event(id_: str, name: str, body: Any) -> bytes:
    """One SSE event; without id where `id_` is empty."""
    first = f"id: {id_}\n" if id_ else ""
    return f"{first}event: {name}\ndata: {json.dumps(body, ensure_ascii=False)}\n\n".encode()


def node(id_: int, type_: Any, value: Any) -> dict[str, Any]:
    """A resource."""
    return {"kind": "singleResource", "id": id_, "type": type_, "value": value}


def notification(
    id_: str,
    endpoint: str,
    value: float,
    *,
    path: str = "/3303/0/5700",
    time: int = 1_795_368_850_000,
    own: float | None = None,
) -> bytes:
    """A value of one resource, received at `time` (ms), with the device's own time in `own`."""
    single = node(5700, "FLOAT", repr(value))
    body = {
        "ep": endpoint,
        "kind": "single",
        "res": path,
        "val": single,
        "time": time,
        "observe": 1,
        "samples": [{"time": own, "nodes": {path: single}}],
    }
    return event(id_, "NOTIFICATION", body)
