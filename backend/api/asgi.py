"""What open pages cost: no thread each."""

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from asgiref.sync import ThreadSensitiveContext

LIVE_PATH = "/api/v1/live"

Application = Callable[[Any, Any, Any], Awaitable[None]]


def live_on_one_thread(application: Application, *, paths: frozenset[str]) -> Application:
    """Django gives every request a thread for its synchronous parts, for as long as the request lasts.

    An event stream lasts as long as its page is open, and needs the thread only to begin (middleware, session). So all
    streams, known by their `paths`, share one, and with it one database connection.
    """
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="live-begin")

    async def run(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] not in paths:
            await application(scope, receive, send)
            return
        async with ThreadSensitiveContext(executor=executor):
            await application(scope, receive, send)

    return run
