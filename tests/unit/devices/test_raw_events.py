from datetime import UTC, datetime, timedelta

import pytest
from pytest_django import Settings

from backend.devices.models import LeshanServer, RawEvent
from backend.devices.services import raw_events_retention_step
from backend.devices.services import servers as module

pytestmark = [pytest.mark.django_db, pytest.mark.database]

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def test_old_ones_go_a_few_at_a_time(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.RAW_DAYS = 10
    monkeypatch.setattr(module, "RAW_STEP", 2)
    server = LeshanServer.objects.create(name="default", url="http://127.0.0.1:1")
    for days in (1, 9, 11, 12, 30):
        RawEvent.objects.create(
            server=server, name="SEND", data=b"", size=0, error="no", received_at=NOW - timedelta(days=days)
        )
    assert raw_events_retention_step(now=NOW)
    assert RawEvent.objects.count() == 3
    assert not raw_events_retention_step(now=NOW)
    assert RawEvent.objects.count() == 2
