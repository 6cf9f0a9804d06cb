"""Reads of alerts, rules, channels and messages."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from django.db.models import Count, Exists, F, IntegerField, Max, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from backend.alerts.judging import compiled
from backend.alerts.models import Alert, Channel, ChannelKind, Delivery, DeliveryState, Kind, Rule, Scope
from backend.devices.models import Device
from backend.devices.selectors import words_match
from backend.telemetry.models import Sample, Series

STATES = ("open", "acknowledged", "cleared")


def alert_list(
    *,
    state: str = "",
    severity: str = "",
    rule: int | None = None,
    device: Device | None = None,
    search: str = "",
    before: int | None = None,
) -> QuerySet[Alert]:
    """Alerts with device, rule and people, newest first.

    `state`: open (and nobody has acknowledged it), acknowledged (and still there), cleared, active (the first two);
    "" for all. `search`: words in endpoint, rule or text. `before`: an id.
    """
    alerts = Alert.objects.select_related("device", "rule", "acknowledged_by").order_by("-id")
    if state in {"open", "active", "acknowledged"}:
        alerts = alerts.filter(cleared_at=None)
        if state != "active":
            alerts = alerts.filter(acknowledged_at__isnull=state == "open")
    elif state == "cleared":
        alerts = alerts.filter(cleared_at__isnull=False)
    if severity:
        alerts = alerts.filter(severity=severity)
    if rule is not None:
        alerts = alerts.filter(rule=rule)
    if device is not None:
        alerts = alerts.filter(device=device)
    if "\0" in search:
        return alerts.none()
    alerts = alerts.filter(words_match(search, "device__endpoint", "rule_name", "text"))
    return alerts if before is None else alerts.filter(pk__lt=before)


@dataclass(frozen=True, kw_only=True)
class AlertCounts:
    """Alerts that are open now."""

    # nobody has acknowledged them
    open: int
    critical: int
    acknowledged: int


def alert_counts(*, device: Device | None = None) -> AlertCounts:
    """How many alerts there are now. One query by an index of the open ones."""
    alerts = Alert.objects.filter(cleared_at=None)
    if device is not None:
        alerts = alerts.filter(device=device)
    counted = alerts.order_by().aggregate(
        open=Count("pk", filter=Q(acknowledged_at=None)),
        critical=Count("pk", filter=Q(acknowledged_at=None, severity="critical")),
        acknowledged=Count("pk", filter=Q(acknowledged_at__isnull=False)),
    )
    return AlertCounts(**counted)


def alerts_open(*, device: Device | None = None, limit: int = 10) -> list[Alert]:
    """What is wrong now, what nobody has acknowledged and what is critical first."""
    alerts = Alert.objects.filter(cleared_at=None).select_related("device", "rule", "acknowledged_by")
    if device is not None:
        alerts = alerts.filter(device=device)
    # "critical" comes before "warning" in the alphabet, too
    return list(alerts.order_by(F("acknowledged_at").asc(nulls_first=True), "severity", "-id")[:limit])


def alert_get(*, id: int) -> Alert:
    """One alert with device, rule and people. Raises Alert.DoesNotExist."""
    return alert_list().get(pk=id)


def alerts_between(
    *, device_ids: Collection[int], start: datetime, end: datetime, limit: int = 500
) -> list[tuple[datetime, Alert, bool]]:
    """Openings and clearings from `start` up to `end`, oldest first: (when, alert with device, is it an opening)."""
    alerts = Alert.objects.filter(device__in=device_ids).select_related("device").order_by("-opened_at", "-id")
    opened = alerts.filter(opened_at__gte=start, opened_at__lt=end)[:limit]
    cleared = alerts.filter(cleared_at__gte=start, cleared_at__lt=end).order_by("-cleared_at", "-id")[:limit]
    found = [(one.opened_at, one, True) for one in opened]
    found += [(one.cleared_at, one, False) for one in cleared if one.cleared_at is not None]
    return sorted(found, key=lambda row: (row[0], row[1].pk, not row[2]))[-limit:]


# -- rules


def rule_list() -> QuerySet[Rule]:
    """Rules by name with `open_count`, `open_unseen` and `last_opened`."""

    def count(**where: None) -> Coalesce:
        alerts = Alert.objects.filter(rule=OuterRef("pk"), cleared_at=None, **where)
        counted = alerts.order_by().values("rule").annotate(n=Count("pk"))
        return Coalesce(Subquery(counted.values("n"), output_field=IntegerField()), 0)

    last = Alert.objects.filter(rule=OuterRef("pk")).order_by().values("rule").annotate(at=Max("opened_at"))
    return (
        Rule.objects.select_related("profile", "created_by")
        .prefetch_related("channels")
        .annotate(open_count=count(), open_unseen=count(acknowledged_at=None), last_opened=Subquery(last.values("at")))
    )


def rule_get(*, id: int) -> Rule:
    """One of them. Raises Rule.DoesNotExist."""
    return rule_list().get(pk=id)


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a rule would do now."""

    devices: int
    series: int
    # how many alerts would be open, and some of their devices
    open: int
    examples: list[str] = field(default_factory=list)


def rule_preview(*, rule: Rule, now: datetime) -> Preview:
    """What a rule that need not be stored would do. How long a value has been bad is not looked at."""
    one = compiled(rule)
    devices = {
        pk: (endpoint, status, since)
        for pk, endpoint, profile_id, status, since in _scope(rule).values_list(
            "pk", "endpoint", "profile_id", "status", "status_since"
        )
        if one.covers(endpoint, profile_id)
    }
    if rule.kind == Kind.STATUS:
        bad = sorted(
            endpoint
            for endpoint, status, since in devices.values()
            if status == rule.status and (since is None or (now - since).total_seconds() >= (rule.minutes or 0) * 60)
        )
        return Preview(devices=len(devices), series=0, open=len(bad), examples=bad[:5])
    paths = Q(path=rule.path)
    if "*" in rule.path:
        paths = Q(path__startswith=rule.path.partition("*")[0], path__endswith=rule.path.rpartition("*")[2])
    newest = Sample.objects.filter(series=OuterRef("pk")).order_by("-time", "-seq")
    series = Series.objects.filter(paths).annotate(
        last_number=Subquery(newest.values("number")[:1]),
        last_time=Subquery(newest.values("time")[:1]),
        last_delay=Subquery(newest.values("delay")[:1]),
    )
    count, bad = 0, []
    at = int(now.timestamp() * 1_000_000)
    rows = series.values_list("device_id", "path", "last_number", "last_time", "last_delay")
    for device_id, path, value, time, delay in rows.iterator(chunk_size=2000):
        if device_id not in devices or not one.watches(path):
            continue
        count += 1
        if one.threshold is not None:
            wrong = value is not None and one.threshold.beyond(value)
        else:
            wrong = time is not None and at - (time + (delay or 0) * 1000) >= (rule.minutes or 0) * 60_000_000
        if wrong:
            bad.append(devices[device_id][0])
    return Preview(devices=len(devices), series=count, open=len(bad), examples=sorted(set(bad))[:5])


def _scope(rule: Rule) -> QuerySet[Device]:
    devices = Device.objects.order_by()
    return devices.filter(profile=rule.profile_id) if rule.scope == Scope.PROFILE else devices


# -- channels and messages


def channel_list() -> QuerySet[Channel]:
    """Channels by name with `rule_count`, `waiting` and `failing` (a message waits after a failed attempt)."""
    waiting = Delivery.objects.filter(channel=OuterRef("pk"), state=DeliveryState.WAITING)
    counted = waiting.order_by().values("channel").annotate(n=Count("pk"))
    return Channel.objects.annotate(
        rule_count=Count("rules", distinct=True),
        waiting=Coalesce(Subquery(counted.values("n"), output_field=IntegerField()), 0),
        failing=Exists(waiting.filter(attempts__gt=0)),
    )


def channel_get(*, id: int) -> Channel:
    """One of them. Raises Channel.DoesNotExist."""
    return channel_list().get(pk=id)


def channel_hint(channel: Channel) -> str:
    """Where it leads, for those who need not know the address: a webhook's may be a secret itself."""
    if channel.kind == ChannelKind.WEBHOOK:
        parts = urlsplit(channel.target)
        return f"{parts.scheme}://{parts.hostname}"
    count = len(channel.target.split("\n"))
    return f"{count} address{'' if count == 1 else 'es'}"


def delivery_list(
    *, channel: Channel | None = None, rule: Rule | None = None, alert: Alert | None = None, limit: int = 50
) -> Sequence[Delivery]:
    """Messages with channel, alert and all their attempts, newest first. Two queries."""
    deliveries = Delivery.objects.select_related("channel", "alert__device").prefetch_related("tries")
    if channel is not None:
        deliveries = deliveries.filter(channel=channel)
    if rule is not None:
        deliveries = deliveries.filter(alert__rule=rule)
    if alert is not None:
        deliveries = deliveries.filter(alert=alert)
    return list(deliveries.order_by("-id")[:limit])
