"""Long downloads: sent piece by piece as they are made, under ASGI too, in constant memory, only so many at once."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Self

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.http import content_disposition_header

# seconds after which one that was refused may ask again
RETRY_SECONDS = 30
# seconds that a client may leave a piece untaken: one that stays, but reads nothing, would keep its place for ever
PATIENCE = 300.0

_lock = threading.Lock()
# a token of each that runs
_running: set[object] = set()


class TooManyDownloadsError(Exception):
    """As many as may run at once do; the message says what to do."""


class _Download(Iterator[bytes]):
    """Pieces with a place among those that may run at once: given up at the end, whichever end that is.

    Also when nobody ever asks for the first piece: then when the answer is forgotten.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        """Raises TooManyDownloadsError."""
        self._chunks = chunks
        self._token = object()
        most = settings.DOWNLOADS
        with _lock:
            free = len(_running) < most
            if free:
                _running.add(self._token)
        if not free:
            _close(chunks)
            raise TooManyDownloadsError(
                "1 download is running, and no more are allowed at once. Try again when it has ended."
                if most == 1
                else f"{most} downloads are running, and no more are allowed at once. "
                "Try again when one of them has ended."
            )

    def __next__(self) -> bytes:
        try:
            return next(self._chunks)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends what makes the pieces; then another download may begin. Does nothing when called again."""
        try:
            _close(self._chunks)
        finally:
            # without the lock: the collector of garbage may call this where it is held
            _running.discard(self._token)

    def __del__(self) -> None:
        self.close()


class _Streamed:
    """The same under ASGI: Django takes a whole synchronous iterator into memory before it sends the first byte.

    One thread for all pieces, so that they have one connection to the database.
    """

    def __init__(self, pieces: _Download) -> None:
        self._pieces = pieces
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="download")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._patience: asyncio.TimerHandle | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        self._loop = asyncio.get_running_loop()
        if self._patience is not None:
            self._patience.cancel()
        try:
            chunk = await self._loop.run_in_executor(self._executor, next, self._pieces, b"")
        except BaseException:
            self.close()
            raise
        if not chunk:
            self.close()
            raise StopAsyncIteration
        task = asyncio.current_task()
        assert task is not None
        # to Django, this is a client that has left
        self._patience = self._loop.call_later(PATIENCE, task.cancel)
        return chunk

    def close(self) -> None:
        """In the thread, as a piece may be in the making; nobody waits for it. Called from any thread, and again."""
        loop, patience = self._loop, self._patience
        if loop is not None and patience is not None:
            with suppress(RuntimeError):
                # the loop may have ended
                loop.call_soon_threadsafe(patience.cancel)
        try:
            self._executor.submit(_end, self._pieces)
        except RuntimeError:
            # it was closed before, or Python ends
            return
        self._executor.shutdown(wait=False)


def _close(chunks: Iterator[bytes]) -> None:
    close = getattr(chunks, "close", None)
    if close is not None:
        close()


def _end(pieces: _Download) -> None:
    try:
        pieces.close()
    finally:
        connections.close_all()


def downloads_running() -> int:
    """How many downloads run in this process."""
    return len(_running)


def download(
    request: HttpRequest, chunks: Iterator[bytes], *, content_type: str, file_name: str
) -> StreamingHttpResponse:
    """An answer that the browser keeps as a file. `chunks` may read the database while it is sent.

    Raises TooManyDownloadsError.
    """
    pieces = _Download(chunks)
    answer = StreamingHttpResponse(
        _Streamed(pieces) if isinstance(request, ASGIRequest) else pieces, content_type=content_type
    )
    # compressing while sending would hold back the pieces
    answer.headers["Content-Encoding"] = "identity"
    answer.headers["Content-Disposition"] = content_disposition_header(True, file_name) or "attachment"
    return answer
