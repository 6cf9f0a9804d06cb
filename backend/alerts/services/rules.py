"""Rules: made, changed, switched off."""

import logging
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils import timezone

from backend.accounts.models import User
from backend.alerts import texts
from backend.alerts.errors import AlertError
from backend.alerts.models import (
    STATUSES,
    Alert,
    Channel,
    Comparison,
    Event,
    Kind,
    Pending,
    Rule,
    Scope,
    Severity,
)
from backend.alerts.outbox import deliveries_make
from backend.alerts.services.channels import name_check
from backend.devices.models import Profile
from backend.lwm2m.paths import PathError, resource_ids

logger = logging.getLogger(__name__)

LONGEST_NAME = 100
MOST_ENDPOINTS = 200
LONGEST_ENDPOINT = 255
# seconds: a week; minutes: a year
MOST_FOR = 604_800
MOST_MINUTES = 527_040
MOST_CHANNELS = 20


@dataclass(frozen=True, kw_only=True)
class RuleFields:
    """What a rule says. What its kind does not need is left out."""

    name: str
    kind: str
    enabled: bool = True
    severity: str = Severity.WARNING.value
    scope: str = Scope.ALL.value
    # id
    profile: int | None = None
    # names, and patterns with `*` and `?`
    endpoints: Sequence[str] = ()
    path: str = ""
    comparison: str = Comparison.ABOVE.value
    limit: float | None = None
    # None: the limit
    clear_limit: float | None = None
    for_seconds: int = 0
    minutes: int | None = None
    status: str = ""
    # ids
    channels: Sequence[int] = field(default=())


def rule_fields(rule: Rule) -> RuleFields:
    """What a stored rule says."""
    return RuleFields(
        name=rule.name, kind=rule.kind, enabled=rule.enabled, severity=rule.severity, scope=rule.scope,
        profile=rule.profile_id, endpoints=tuple(rule.endpoints), path=rule.path,
        comparison=rule.comparison or Comparison.ABOVE.value, limit=rule.limit, clear_limit=rule.clear_limit,
        for_seconds=rule.for_seconds, minutes=rule.minutes, status=rule.status,
        channels=tuple(rule.channels.values_list("pk", flat=True)),
    )  # fmt: skip


def path_check(pattern: str) -> str:
    """The path of a series, `*` as instance or resource instance allowed. Raises AlertError."""
    pattern = pattern.strip()
    parts = pattern.split("/")
    concrete = [
        "0" if part == "*" and place in {2, 4} else part for place, part in enumerate(parts)
    ]  # "", object, instance, resource, resource instance
    try:
        resource_ids("/".join(concrete))
    except PathError:
        raise AlertError(
            f"{pattern[:64]!r} is no path of a resource: write /3303/0/5700, or /3303/*/5700 for every instance."
        ) from None
    return pattern


def _number(value: float | None, what: str) -> float:
    if value is None or isinstance(value, bool) or not math.isfinite(value):
        raise AlertError(f"{what} is a number.")
    return float(value)


def _whole(value: int | None, least: int, most: int, what: str) -> int:
    if value is None or isinstance(value, bool) or not least <= value <= most:
        raise AlertError(f"{what} is a whole number from {least} to {most}.")
    return value


def _one_of(value: str, known: Sequence[str], what: str) -> str:
    if value not in known:
        raise AlertError(f"{what} is one of {', '.join(known)}.")
    return value


def _endpoints(given: Sequence[str]) -> list[str]:
    found = list(dict.fromkeys(one for one in given if one))
    if not 1 <= len(found) <= MOST_ENDPOINTS:
        raise AlertError(f"Name 1 to {MOST_ENDPOINTS} endpoints or patterns, or choose all devices or a profile.")
    for one in found:
        if len(one) > LONGEST_ENDPOINT or "\0" in one:
            raise AlertError(f"{one[:40]!r} is no endpoint name: it has at most {LONGEST_ENDPOINT} characters.")
    return found


def rule_check(fields: RuleFields) -> Rule:
    """The rule as it would be stored, with nothing that its kind does not need. Raises AlertError."""
    rule = Rule(
        name=name_check(fields.name, longest=LONGEST_NAME, what="rule"),
        enabled=fields.enabled,
        severity=_one_of(fields.severity, Severity.values, "The severity"),
        scope=_one_of(fields.scope, Scope.values, "The scope"),
        kind=_one_of(fields.kind, Kind.values, "The kind"),
    )
    if rule.scope == Scope.PROFILE:
        if fields.profile is None or not Profile.objects.filter(pk=fields.profile).exists():
            raise AlertError("Choose the profile whose devices the rule is about.")
        rule.profile_id = fields.profile
    elif rule.scope == Scope.ENDPOINTS:
        rule.endpoints = _endpoints(fields.endpoints)
    if rule.kind == Kind.STATUS:
        rule.status = _one_of(fields.status, [one.value for one in STATUSES], "The status")
        rule.minutes = _whole(0 if fields.minutes is None else fields.minutes, 0, MOST_MINUTES, "The time in minutes")
        return rule
    rule.path = path_check(fields.path)
    if rule.kind == Kind.NO_DATA:
        rule.minutes = _whole(fields.minutes, 1, MOST_MINUTES, "The time in minutes")
        return rule
    rule.comparison = _one_of(fields.comparison, Comparison.values, "The comparison")
    rule.limit = _number(fields.limit, "The limit")
    rule.clear_limit = rule.limit if fields.clear_limit is None else _number(fields.clear_limit, "The second value")
    above = rule.comparison == Comparison.ABOVE
    if (rule.clear_limit > rule.limit) if above else (rule.clear_limit < rule.limit):
        side = "above" if above else "below"
        raise AlertError(
            f"An alert that opens {side} {texts.number(rule.limit)} cannot be over only at "
            f"{texts.number(rule.clear_limit)}: choose a second value on the other side of the limit."
        )
    rule.for_seconds = _whole(fields.for_seconds, 0, MOST_FOR, "The time in seconds")
    return rule


def _channels(ids: Sequence[int]) -> list[Channel]:
    found = list(Channel.objects.filter(pk__in=set(ids)))
    if len(found) != len(set(ids)) or len(found) > MOST_CHANNELS:
        raise AlertError(f"Choose at most {MOST_CHANNELS} channels that there are.")
    return found


def _store(rule: Rule, channels: list[Channel]) -> Rule:
    try:
        with transaction.atomic():
            rule.save()
            rule.channels.set(channels)
    except IntegrityError:
        if rule.profile_id is None or Profile.objects.filter(pk=rule.profile_id).exists():
            raise AlertError(f"There is a rule {rule.name!r} already: choose another name.") from None
        raise AlertError("This profile was deleted meanwhile: choose another one.") from None
    return rule


def rule_create(*, fields: RuleFields, by: User | None) -> Rule:
    """A new rule; `sync` holds it against what is there at once. Raises AlertError."""
    rule = rule_check(fields)
    rule.created_by = by
    _store(rule, _channels(fields.channels))
    logger.info("rule %s (%s) made by %s", rule.pk, rule.name, by or "the command line")
    return rule


def rule_update(*, rule: Rule, fields: RuleFields, by: User | None) -> Rule:
    """Makes the rule say this. Open alerts stay as far as the new rule would open them, too.

    Raises AlertError, and Rule.DoesNotExist.
    """
    made = rule_check(fields)
    channels = _channels(fields.channels)
    with transaction.atomic():
        row = Rule.objects.select_for_update().get(pk=rule.pk)
        if not made.enabled:
            _clear(row, texts.RULE_DISABLED, timezone.now())
        elif (row.kind, row.path, row.comparison, row.status) != (made.kind, made.path, made.comparison, made.status):
            _clear(row, texts.RULE_CHANGED, timezone.now())
        names = ("name", "enabled", "severity", "scope", "profile_id", "endpoints", "kind", "path", "comparison",
                 "limit", "clear_limit", "for_seconds", "minutes", "status")  # fmt: skip
        for name in names:
            setattr(row, name, getattr(made, name))
        row.fresh, row.applied_to = True, 0
        _store(row, channels)
    logger.info("rule %s (%s) changed by %s", row.pk, row.name, by or "the command line")
    return row


def rule_enable(*, rule: Rule, enabled: bool, by: User | None) -> Rule:
    """Switches it on or off; off clears its alerts. Raises Rule.DoesNotExist."""
    with transaction.atomic():
        row = Rule.objects.select_for_update().get(pk=rule.pk)
        if row.enabled != enabled:
            if not enabled:
                _clear(row, texts.RULE_DISABLED, timezone.now())
            row.enabled, row.fresh, row.applied_to = enabled, True, 0
            row.save()
            logger.info("rule %s (%s) %s by %s", row.pk, row.name, "on" if enabled else "off", by or "the command line")
    return row


def rule_delete(*, rule: Rule, by: User | None) -> None:
    """Removes it; its alerts are cleared and kept. Raises Rule.DoesNotExist."""
    with transaction.atomic():
        row = Rule.objects.select_for_update().get(pk=rule.pk)
        _clear(row, texts.RULE_DELETED, timezone.now())
        row.delete()
    logger.info("rule %s (%s) deleted by %s", rule.pk, row.name, by or "the command line")


def _clear(rule: Rule, text: str, now: datetime) -> None:
    """Ends all of the rule's alerts; `sync` tells the pages."""
    Pending.objects.filter(rule=rule).delete()
    alerts = list(Alert.objects.filter(rule=rule, cleared_at=None).select_related("device"))
    for alert in alerts:
        alert.cleared_at, alert.cleared_text, alert.untold = max(now, alert.opened_at), text, True
    Alert.objects.bulk_update(alerts, ["cleared_at", "cleared_text", "untold"], batch_size=500)
    channels: dict[int, list[int]] = defaultdict(list)
    channels[rule.pk] = list(rule.channels.values_list("pk", flat=True))
    deliveries_make(alerts, Event.CLEARED, channels=channels, at=now)
