"""States and severities of alerts and messages in words, colours and shapes."""

from backend.alerts.models import Alert, Delivery, DeliveryState, Severity
from backend.ui.legend import StateInfo

# key in the address → what it means. The shapes are in icons.svg
ALERT_STATES: dict[str, StateInfo] = {
    info.key: info
    for info in (
        StateInfo(
            "open",
            "Open",
            "offline",
            "It is wrong now, and nobody has said that they have seen it.",
            "Look at the device; acknowledge the alert so that others know that somebody takes care.",
        ),
        StateInfo(
            "acknowledged",
            "Acknowledged",
            "half",
            "It is still wrong; somebody has seen it and takes care.",
            "Nothing more to do here: it clears by itself when all is well again.",
        ),
        StateInfo(
            "cleared",
            "Cleared",
            "online",
            "It was wrong and is over. The reason stands beside it.",
            "Nothing to do. An alert that comes and goes wants hysteresis: a second value at which it is over.",
        ),
    )
}
DELIVERY_STATES = {
    DeliveryState.WAITING.value: StateInfo("queued", "Waiting", "clock", "", ""),
    DeliveryState.SENT.value: StateInfo("succeeded", "Sent", "online", "", ""),
    DeliveryState.FAILED.value: StateInfo("failed", "Given up", "offline", "", ""),
}


def state_of(alert: Alert) -> StateInfo:
    """What an alert is now."""
    if alert.cleared_at is not None:
        return ALERT_STATES["cleared"]
    return ALERT_STATES["open" if alert.acknowledged_at is None else "acknowledged"]


def delivery_state(delivery: Delivery) -> StateInfo:
    """How far a message has come."""
    return DELIVERY_STATES[delivery.state]


SEVERITIES = [(one.value, one.label) for one in (Severity.CRITICAL, Severity.WARNING)]
