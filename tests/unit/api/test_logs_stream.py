"""A download of log lines is sent while it is made."""

import asyncio
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.test import AsyncClient

from backend.devices.models import Device
from tests.unit.api.builders import user
from tests.unit.logs.rows import T0, numbered, store

pytestmark = pytest.mark.django_db(transaction=True)


def test_in_pieces_under_asgi() -> None:
    made = Device.objects.create(endpoint="a")
    store(made, *(numbered(start, start + 99) for start in range(0, 1500, 100)), received=T0)
    viewer = user("viewer")

    async def read() -> list[bytes]:
        client = AsyncClient()
        await client.aforce_login(viewer)
        answer: Any = await client.get("/api/v1/logs/download")
        assert answer.is_async
        parts = [piece async for piece in answer.streaming_content]
        await sync_to_async(connections.close_all)()
        return parts

    parts = asyncio.run(read())
    assert len(parts) == 3
    assert len(b"".join(parts).splitlines()) == 1500
