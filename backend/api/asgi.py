"""What open pages cost: no thread each. And how much anybody may send."""

import json
from collections.abc import Awaitable, Callable, Mapping
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


# what is read on and thrown away, so that a browser gets to hear the answer: several times what is taken
_DRAINED = 4


def bodies_bounded(application: Application, *, usual: int, larger: Mapping[str, tuple[int, str]]) -> Application:
    """Answers 413 to what has more than `usual` bytes. `larger`: path → bytes for that one, and what to do about more.

    Django has no limit of its own here: it takes a whole body to disk before it looks at who sends it.
    """

    async def run(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
            return
        most, advice = larger.get(scope["path"], (usual, "send less at a time."))
        sentence = f"The body is larger than {most // (1024 * 1024)} MiB, which is more than is taken here: {advice}"
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if announced.isdigit() and int(announced) > most:
            await _too_large(scope, receive, send, sentence, most * _DRAINED)
            return
        received = 0
        over = ended = False

        async def counted() -> Any:
            nonlocal received, over, ended
            message = await receive()
            received += len(message.get("body", b""))
            ended = not message.get("more_body", False)
            if received > most:
                over = True
                # Django stops reading, and answers nothing
                return {"type": "http.disconnect"}
            return message

        await application(scope, counted, send)
        if over:
            # who waited for more of a body that has ended would wait until the other side goes away
            await _too_large(scope, receive, send, sentence, 0 if ended else most * _DRAINED)

    return run


async def _too_large(scope: Any, receive: Any, send: Any, sentence: str, drained: int) -> None:
    left = drained
    while left > 0:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        left -= len(message.get("body", b""))
        if not message.get("more_body", False):
            break
    as_json = scope["path"].startswith("/api/")
    body = json.dumps({"detail": sentence}).encode() if as_json else sentence.encode()
    kind = b"application/json" if as_json else b"text/plain; charset=utf-8"
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
