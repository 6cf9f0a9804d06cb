"""Streams that end when the person signs out or loses the role."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from importlib import import_module

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.sessions.backends.base import SessionBase
from django.db import DatabaseError, connection
from django.http import HttpRequest

from backend.accounts.permissions import Permission, allowed

logger = logging.getLogger(__name__)

# seconds
CHECK_EVERY = 10.0


def _allowed(session_key: str | None) -> bool:
    try:
        connection.close_if_unusable_or_obsolete()
        store: type[SessionBase] = import_module(settings.SESSION_ENGINE).SessionStore
        request = HttpRequest()
        request.session = store(session_key)
        return allowed(get_user(request), Permission.ADMINISTER)
    except DatabaseError as error:
        # who cannot be asked about is not let on; the page opens its stream again by itself
        logger.warning("a stream from Leshan ends, for the database does not say who reads it: %s", error)
        connection.close()
        return False


async def while_allowed(chunks: AsyncIterator[bytes], *, session_key: str | None) -> AsyncIterator[bytes]:
    """The chunks as they come, until the session no longer is an administrator's. `chunks` is closed in any case."""
    end = b""
    waiting: asyncio.Future[bytes] | None = None
    checked = time.monotonic()
    try:
        while True:
            if waiting is None:
                waiting = asyncio.ensure_future(anext(chunks, end))
            left = checked + CHECK_EVERY - time.monotonic()
            done, _ = await asyncio.wait({waiting}, timeout=max(0.0, left))
            if time.monotonic() - checked >= CHECK_EVERY:
                if not await sync_to_async(_allowed)(session_key):
                    return
                checked = time.monotonic()
            if done:
                chunk, waiting = waiting.result(), None
                if chunk == end:
                    return
                yield chunk
    finally:
        if waiting is not None:
            waiting.cancel()
            await asyncio.wait({waiting})
        if hasattr(chunks, "aclose"):
            await chunks.aclose()
