"""Alerts, the rules that open them, and where messages about them go."""

from typing import Annotated, Any

from django.conf import settings
from django.http import Http404, HttpRequest
from django.utils import timezone
from ninja import Status
from ninja.errors import HttpError
from ninja.params.functions import Body, Query

from backend.accounts.permissions import Permission, allowed
from backend.alerts import texts
from backend.alerts.errors import AlertError
from backend.alerts.models import Alert, Channel, Delivery, Kind, Rule, Severity
from backend.alerts.selectors import (
    alert_counts,
    alert_list,
    channel_get,
    channel_hint,
    channel_list,
    delivery_list,
    rule_get,
    rule_list,
    rule_preview,
)
from backend.alerts.services import (
    RuleFields,
    alerts_acknowledge,
    channel_create,
    channel_delete,
    channel_test,
    channel_update,
    rule_create,
    rule_delete,
    rule_update,
)
from backend.alerts.services.rules import rule_check
from backend.api import alert_schemas as schemas
from backend.api.auth import administrator, operator
from backend.api.base import ERRORS, Endpoint, api, device_or_404, person
from backend.api.parameters import LIMIT, strict

MAX_PAGE = 500


def _alert(alert: Alert) -> dict[str, Any]:
    """As schemas.Alert; with device and people at hand."""
    state = "cleared" if alert.cleared_at else "acknowledged" if alert.acknowledged_at else "open"
    names = ("rule_name", "severity", "kind", "path", "text", "value", "last_value", "last_at", "opened_at",
             "noticed_at", "cleared_at", "cleared_text", "acknowledged_at", "note")  # fmt: skip
    return {name: getattr(alert, name) for name in names} | {
        "id": alert.pk,
        "rule": alert.rule_id,
        "device": alert.device.endpoint,
        "state": state,
        "acknowledged_by": alert.acknowledged_by.username if alert.acknowledged_by else None,
    }


def _rule(rule: Rule) -> dict[str, Any]:
    """As schemas.Rule; one of `rule_list`."""
    names = ("name", "kind", "enabled", "severity", "scope", "endpoints", "path", "limit", "clear_limit",
             "for_seconds", "minutes", "last_opened", "created_at", "changed_at")  # fmt: skip
    return {name: getattr(rule, name) for name in names} | {
        "id": rule.pk,
        "profile": rule.profile_id,
        "comparison": rule.comparison if rule.kind == Kind.THRESHOLD else None,
        "status": rule.status or None,
        "channels": [one.pk for one in rule.channels.all()],
        "condition": texts.condition(rule),
        "open": rule.open_count,  # type: ignore[attr-defined]
    }


def _channel(channel: Channel, request: HttpRequest) -> dict[str, Any]:
    """As schemas.Channel; one of `channel_list`. Addresses are for administrators: a webhook's may be a secret."""
    return {
        "id": channel.pk,
        "name": channel.name,
        "kind": channel.kind,
        "target": channel.target if allowed(request.user, Permission.ADMINISTER) else channel_hint(channel),
        "rules": channel.rule_count,  # type: ignore[attr-defined]
        "waiting": channel.waiting,  # type: ignore[attr-defined]
        "failing": channel.failing,  # type: ignore[attr-defined]
    }


def _delivery(delivery: Delivery) -> dict[str, Any]:
    """As schemas.Delivery; with its attempts at hand."""
    names = ("event", "state", "created_at", "due_at", "ended_at", "result")
    return {name: getattr(delivery, name) for name in names} | {
        "id": delivery.pk,
        "key": str(delivery.key),
        "channel": delivery.channel_id,
        "alert": delivery.alert_id,
        "attempts": [
            {"at": one.at, "seconds": one.seconds, "succeeded": one.succeeded, "text": one.text}
            for one in delivery.tries.all()
        ],
    }


# -- alerts


@api.get("/alerts", response={200: schemas.Alerts, **ERRORS}, summary="Alerts", tags=["alerts"])
@strict("state", "severity", "rule", "device", "search", "before", "limit")
def alerts(
    request: HttpRequest,
    state: Annotated[schemas.AlertState | None, Query(description="all where it is left out")] = None,
    severity: Annotated[Severity | None, Query()] = None,
    rule: Annotated[int | None, Query(ge=1, le=LIMIT)] = None,
    device: Annotated[Endpoint | None, Query()] = None,
    search: Annotated[str, Query(max_length=255, description="words in endpoint, rule or text")] = "",
    before: Annotated[int | None, Query(ge=1, le=LIMIT, description="the `next` of an earlier answer")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
) -> dict[str, Any]:
    """A portion of the alerts, newest first."""
    found = alert_list(
        state=state or "",
        severity=severity or "",
        rule=rule,
        device=None if device is None else device_or_404(device),
        search=search,
        before=before,
    )
    page = list(found[: limit + 1])
    return {
        "items": [_alert(one) for one in page[:limit]],
        "next": page[limit - 1].pk if len(page) > limit else None,
        "open": alert_counts().open,
    }


@api.post(
    "/alerts",
    auth=operator,
    response={200: schemas.Acknowledged, **ERRORS},
    summary="Acknowledge alerts",
    tags=["alerts"],
)
@strict()
def acknowledge(request: HttpRequest, asked: Annotated[schemas.Acknowledge, Body()]) -> dict[str, Any]:
    """Those that nobody has acknowledged yet; whoever was first stays."""
    try:
        return {"acknowledged": alerts_acknowledge(alert_ids=asked.alerts, note=asked.note, by=person(request))}
    except AlertError as error:
        raise HttpError(400, str(error)) from None


# -- rules


def _fields(asked: schemas.RuleAsk) -> RuleFields:
    return RuleFields(**(asked.model_dump() | {"status": asked.status or ""}))


def _rule_or_404(rule_id: int) -> Rule:
    try:
        return rule_get(id=min(rule_id, LIMIT))
    except Rule.DoesNotExist:
        raise Http404(f"There is no rule {rule_id}.") from None


@api.get("/alerts/rules", response={200: schemas.Rules, **ERRORS}, summary="Alert rules", tags=["alerts"])
@strict()
def rules(request: HttpRequest) -> dict[str, Any]:
    """All of them, by name."""
    return {"items": [_rule(one) for one in rule_list()]}


@api.post(
    "/alerts/rules",
    auth=operator,
    response={200: schemas.RuleTest, 201: schemas.Rule, **ERRORS},
    summary="Make a rule, or try one",
    tags=["alerts"],
)
@strict("test")
def rule_make(
    request: HttpRequest,
    asked: Annotated[schemas.RuleAsk, Body()],
    test: Annotated[bool, Query(description="store nothing, tell what it would find now")] = False,
) -> Status[dict[str, Any]]:
    """It is held against what is there at once. A test does not count for how long a value has been so."""
    try:
        if test:
            tried = rule_check(_fields(asked))
            found = vars(rule_preview(rule=tried, now=timezone.now()))
            return Status(200, found | {"condition": texts.condition(tried)})
        made = rule_create(fields=_fields(asked), by=person(request))
    except AlertError as error:
        raise HttpError(400, str(error)) from None
    return Status(201, _rule(rule_get(id=made.pk)))


@api.get("/alerts/rules/{int:rule_id}", response={200: schemas.Rule, **ERRORS}, summary="One rule", tags=["alerts"])
@strict()
def rule(request: HttpRequest, rule_id: int) -> dict[str, Any]:
    """With how many alerts it has open."""
    return _rule(_rule_or_404(rule_id))


@api.put(
    "/alerts/rules/{int:rule_id}",
    auth=operator,
    response={200: schemas.Rule, **ERRORS},
    summary="Change a rule",
    tags=["alerts"],
)
@strict()
def rule_set(request: HttpRequest, rule_id: int, asked: Annotated[schemas.RuleAsk, Body()]) -> dict[str, Any]:
    """Makes it say exactly this; what is left out has its default."""
    try:
        rule_update(rule=_rule_or_404(rule_id), fields=_fields(asked), by=person(request))
    except AlertError as error:
        raise HttpError(400, str(error)) from None
    return _rule(_rule_or_404(rule_id))


@api.delete(
    "/alerts/rules/{int:rule_id}",
    auth=operator,
    response={204: None, **ERRORS},
    summary="Delete a rule",
    tags=["alerts"],
)
@strict()
def rule_remove(request: HttpRequest, rule_id: int) -> Status[None]:
    """Its open alerts are cleared; all are kept."""
    rule_delete(rule=_rule_or_404(rule_id), by=person(request))
    return Status(204, None)


# -- channels


def _channel_or_404(channel_id: int) -> Channel:
    try:
        return channel_get(id=min(channel_id, LIMIT))
    except Channel.DoesNotExist:
        raise Http404(f"There is no channel {channel_id}.") from None


@api.get(
    "/alerts/channels",
    response={200: schemas.Channels, **ERRORS},
    summary="Where messages go",
    tags=["alerts"],
)
@strict()
def channels(request: HttpRequest) -> dict[str, Any]:
    """All of them, by name, without their secrets."""
    return {"items": [_channel(one, request) for one in channel_list()], "email_configured": settings.EMAIL_CONFIGURED}


@api.post(
    "/alerts/channels",
    auth=administrator,
    response={201: schemas.Channel, **ERRORS},
    summary="Add a channel",
    tags=["alerts"],
)
@strict()
def channel_make(request: HttpRequest, asked: Annotated[schemas.ChannelAsk, Body()]) -> Status[dict[str, Any]]:
    """E-mail addresses, or a webhook with a secret."""
    try:
        made = channel_create(**asked.model_dump(), by=person(request))
    except AlertError as error:
        raise HttpError(400, str(error)) from None
    return Status(201, _channel(channel_get(id=made.pk), request))


@api.get(
    "/alerts/channels/{int:channel_id}",
    response={200: schemas.Channel, **ERRORS},
    summary="One channel",
    tags=["alerts"],
)
@strict()
def channel(request: HttpRequest, channel_id: int) -> dict[str, Any]:
    """Without its secret."""
    return _channel(_channel_or_404(channel_id), request)


@api.put(
    "/alerts/channels/{int:channel_id}",
    auth=administrator,
    response={200: schemas.Channel, **ERRORS},
    summary="Change a channel",
    tags=["alerts"],
)
@strict()
def channel_set(request: HttpRequest, channel_id: int, asked: Annotated[schemas.ChannelAsk, Body()]) -> dict[str, Any]:
    """An empty secret leaves the present one; the kind cannot be changed."""
    present = _channel_or_404(channel_id)
    if asked.kind != present.kind:
        raise HttpError(400, "The kind of a channel cannot be changed: add another channel.")
    try:
        channel_update(
            channel=present, name=asked.name, target=asked.target, secret=asked.secret, by=person(request)
        )  # fmt: skip
    except AlertError as error:
        raise HttpError(400, str(error)) from None
    return _channel(_channel_or_404(channel_id), request)


@api.delete(
    "/alerts/channels/{int:channel_id}",
    auth=administrator,
    response={204: None, **ERRORS},
    summary="Delete a channel",
    tags=["alerts"],
)
@strict()
def channel_remove(request: HttpRequest, channel_id: int) -> Status[None]:
    """With its messages; rules go on without it."""
    channel_delete(channel=_channel_or_404(channel_id), by=person(request))
    return Status(204, None)


@api.post(
    "/alerts/channels/{int:channel_id}",
    auth=administrator,
    response={201: schemas.Delivery, **ERRORS},
    summary="Send a test",
    tags=["alerts"],
)
@strict()
def channel_try(request: HttpRequest, channel_id: int) -> Status[dict[str, Any]]:
    """The message goes out as all others do; its attempts are in the list of deliveries."""
    return Status(201, _delivery(channel_test(channel=_channel_or_404(channel_id))))


@api.get(
    "/alerts/channels/{int:channel_id}/deliveries",
    response={200: schemas.Deliveries, **ERRORS},
    summary="Messages to a channel",
    tags=["alerts"],
)
@strict("limit")
def deliveries(
    request: HttpRequest, channel_id: int, limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50
) -> dict[str, Any]:
    """With every attempt, newest first."""
    found = delivery_list(channel=_channel_or_404(channel_id), limit=limit)
    return {"items": [_delivery(one) for one in found]}
