"""Messages about alerts: made in the transaction that changed the alert, sent by the deliverer afterwards."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from backend.alerts.models import Alert, Channel, Delivery, Event


def body_of(event: Event, key: uuid.UUID, at: datetime, alert: Alert | None) -> str:
    """The message (docs/alerts.md)."""
    message: dict[str, Any] = {"id": str(key), "type": event.value, "at": at.isoformat(timespec="milliseconds")}
    if alert is not None:
        message["alert"] = {
            "id": alert.pk,
            "rule": alert.rule_name,
            "severity": alert.severity,
            "kind": alert.kind,
            "device": alert.device.endpoint,
            "path": alert.path,
            "text": alert.text,
            "value": alert.value,
            "opened_at": alert.opened_at.isoformat(timespec="milliseconds"),
            "cleared_at": alert.cleared_at.isoformat(timespec="milliseconds") if alert.cleared_at else None,
            "cleared_text": alert.cleared_text,
        }
    return orjson.dumps(message).decode()


def deliveries_make(
    alerts: Sequence[Alert], event: Event, *, channels: Mapping[int, Collection[int]], at: datetime
) -> int:
    """A message for each alert (with its device at hand) and each channel of its rule; how many.

    `channels`: rule id → channel ids.
    """
    made = []
    for alert in alerts:
        for channel_id in channels.get(alert.rule_id or 0, ()):
            key = uuid.uuid4()
            body = body_of(event, key, at, alert)
            made.append(
                Delivery(channel_id=channel_id, alert=alert, event=event, key=key, body=body, created_at=at, due_at=at)
            )
    Delivery.objects.bulk_create(made, batch_size=500)
    return len(made)


def test_make(channel: Channel, *, at: datetime) -> Delivery:
    """A message that only tells that messages arrive."""
    key = uuid.uuid4()
    return Delivery.objects.create(
        channel=channel, event=Event.TEST, key=key, body=body_of(Event.TEST, key, at, None), created_at=at, due_at=at
    )
