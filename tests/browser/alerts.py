"""What the stand-in for sync writes of alerts."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from backend.alerts.models import Alert, Rule
from backend.devices.models import Change, Device


def alert_rule(*, name: str) -> int:
    """A rule that is there already, on a path that no device of the tests has."""
    rule, _ = Rule.objects.get_or_create(
        name=name, defaults={"kind": "threshold", "path": "/3303/9/5700", "comparison": "above", "limit": 30.0,
                             "clear_limit": 28.0, "fresh": False},
    )  # fmt: skip
    return rule.pk


def alert_open(*, rule: int, endpoint: str, severity: str = "warning", minutes: int = 3) -> int:
    """An alert, as the evaluation opens it."""
    row, device = Rule.objects.get(pk=rule), Device.objects.get(endpoint=endpoint)
    now = timezone.now()
    alert = Alert.objects.create(
        rule=row, rule_name=row.name, severity=severity, kind="threshold", device=device, path="/3303/9/5700",
        opened_at=now - timedelta(minutes=minutes), noticed_at=now, value=31.5, last_value=32.0, last_at=now,
        text="/3303/9/5700 is 31.5: above 30.",
    )  # fmt: skip
    Change.objects.create(device_id=device.pk, kind=Change.Kind.ALERTS)
    return alert.pk


def alerts_clear() -> int:
    """All is well."""
    rows = Alert.objects.filter(cleared_at=None)
    devices = set(rows.values_list("device_id", flat=True))
    rows.update(cleared_at=timezone.now(), cleared_text="/3303/9/5700 is 27: no longer above 28.")
    for device_id in devices:
        Change.objects.create(device_id=device_id, kind=Change.Kind.ALERTS)
    return len(devices)


COMMANDS: dict[str, Any] = {"alert_rule": alert_rule, "alert_open": alert_open, "alerts_clear": alerts_clear}
