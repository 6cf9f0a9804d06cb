"""Writes to what we know of a Leshan server: connected or not, since when, how far behind, what is wrong."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F

from backend.devices.models import Change, LeshanServer, RawEvent, ServerInterval

_State = ServerInterval.State
# raw messages deleted at once: they may be long
RAW_STEP = 100


def server_ensure(*, name: str, url: str) -> LeshanServer:
    """The server's row, made where it is new, with its address up to date."""
    server, _ = LeshanServer.objects.update_or_create(name=name, defaults={"url": url})
    return server


@transaction.atomic
def server_started(*, server: LeshanServer, at: datetime) -> None:
    """`sync` starts. An interval that says "up" was left by one that was killed: it ends when that was last alive."""
    server.refresh_from_db()
    open_one = server.intervals.filter(ended_at=None).first()
    if open_one is None:
        _open(server, _State.DOWN, at, "not connected yet")
    elif open_one.state == _State.UP:
        alive = [moment for moment in (server.sync_alive_at, server.heard_at) if moment is not None]
        ended = min(at, max([open_one.started_at, *alive]))
        _close(server, ended)
        _open(server, _State.DOWN, ended, "sync was not running")
    LeshanServer.objects.filter(pk=server.pk).update(
        connected_since=None, sync_started_at=at, sync_alive_at=at, error="", error_at=None
    )
    Change.objects.create(kind=Change.Kind.SERVER)


@transaction.atomic
def server_connected(*, server: LeshanServer, at: datetime, head: str = "") -> None:
    """The event stream is connected."""
    _switch(server, _State.UP, at, "")
    values: dict[str, Any] = {"connected_since": at, "heard_at": at, "error": "", "error_at": None}
    if head:
        values["head_event_id"] = head
    LeshanServer.objects.filter(pk=server.pk).update(**values)
    Change.objects.create(kind=Change.Kind.SERVER)


@transaction.atomic
def server_disconnected(*, server: LeshanServer, at: datetime, reason: str) -> None:
    """The event stream is down, or still cannot be had; `reason` for people. The same news twice changes nothing."""
    row = LeshanServer.objects.filter(pk=server.pk).values("connected_since", "error").get()
    switched = _switch(server, _State.DOWN, at, reason)
    if not switched and row["error"] == reason:
        return
    LeshanServer.objects.filter(pk=server.pk).update(
        connected_since=None, error=reason, error_at=at, errors=F("errors") + 1
    )
    Change.objects.create(kind=Change.Kind.SERVER)


@transaction.atomic
def server_problem(*, server: LeshanServer, at: datetime, text: str) -> None:
    """Something is wrong that is not the connection; "" when it is right again."""
    changed = LeshanServer.objects.filter(pk=server.pk).exclude(error=text)
    count = F("errors") + 1 if text else F("errors")
    if changed.update(error=text, error_at=at if text else None, errors=count):
        Change.objects.create(kind=Change.Kind.SERVER)


def server_heartbeat(*, server: LeshanServer, at: datetime, heard_at: datetime | None, head: str, idle: bool) -> None:
    """`sync` runs; `idle`: everything that the server has told of is stored."""
    values: dict[str, Any] = {"sync_alive_at": at}
    if heard_at is not None:
        values["heard_at"] = heard_at
    if head:
        values["head_event_id"] = head
    if idle:
        values["lag_ms"] = 0
    LeshanServer.objects.filter(pk=server.pk).update(**values)


@transaction.atomic
def server_stopped(*, server: LeshanServer, at: datetime) -> None:
    """`sync` ends in good order."""
    _switch(server, _State.DOWN, at, "sync was stopped")
    LeshanServer.objects.filter(pk=server.pk).update(connected_since=None, sync_alive_at=at)
    Change.objects.create(kind=Change.Kind.SERVER)


def raw_events_retention_step(*, now: datetime) -> bool:
    """Deletes some messages that were kept raw for longer than RAW_DAYS; is there more?"""
    old = RawEvent.objects.filter(received_at__lt=now - timedelta(days=settings.RAW_DAYS)).order_by("received_at")
    with transaction.atomic():
        ids = list(old.values_list("pk", flat=True)[:RAW_STEP])
        RawEvent.objects.filter(pk__in=ids).delete()
    return len(ids) == RAW_STEP


def _switch(server: LeshanServer, state: str, at: datetime, reason: str) -> bool:
    """Ends the open interval where it has another state and opens one; true where it did."""
    open_one = server.intervals.filter(ended_at=None).first()
    if open_one is not None and open_one.state == state:
        if reason and open_one.reason != reason:
            ServerInterval.objects.filter(pk=open_one.pk).update(reason=reason)
        return False
    _close(server, at)
    _open(server, state, at, reason)
    return True


def _close(server: LeshanServer, at: datetime) -> None:
    for interval in server.intervals.filter(ended_at=None):
        # a clock that was set back must not make an interval end before it began
        interval.ended_at = max(at, interval.started_at)
        interval.save(update_fields=["ended_at"])


def _open(server: LeshanServer, state: str, at: datetime, reason: str) -> None:
    ServerInterval.objects.create(server=server, state=state, started_at=at, reason=reason)
