"""The live feed: what changes in the database, sent to open pages as server-sent events.

One task per process (per event loop) looks for new rows of `devices.Change` every 50 ms, on one thread of its own, and
only while somebody listens. Each page has a set of what it must be told, not a queue of messages: the same change told
twice is one, and a page that does not read cannot make the set grow beyond a bound.
"""

import asyncio
import contextvars
import logging
import time
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import NamedTuple
from weakref import WeakKeyDictionary

import orjson
from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.sessions.backends.base import SessionBase
from django.db import connection, models
from django.http import HttpRequest, StreamingHttpResponse

from backend.accounts.permissions import Permission, allowed
from backend.devices.models import Change, Device

logger = logging.getLogger(__name__)

# seconds
TAIL_EVERY = 0.05
TAIL_AGAIN_AFTER_ERROR = 1.0
COMMENT_EVERY = 15.0
CHECK_EVERY = 30.0
# somebody who has not taken what waits for that long is cut off
STALLED_AFTER = 60.0
# rows read at once; changes waiting for one page
BATCH = 2000
MAX_PENDING = 512


class Message(NamedTuple):
    """One event: its name and the device it is about (None: not about one)."""

    kind: str
    device: str | None


HELLO = Message("hello", None)
RESYNC = Message("resync", None)
SERVER = Message(Change.Kind.SERVER.value, None)


def encoded(message: Message) -> bytes:
    """As it goes over the wire (HTML Living Standard, 9.2)."""
    data = orjson.dumps({"device": message.device} if message.device is not None else {})
    return b"event: %s\ndata: %s\n\n" % (message.kind.encode(), data)


class Listener:
    """One open page."""

    def __init__(
        self, *, session_key: str | None, devices: frozenset[str] | None, task: asyncio.Task[object] | None
    ) -> None:
        """`devices`: what it wants to hear of, None for all. `task`: what serves it."""
        self.session_key = session_key
        self.devices = devices
        self.task = task
        self.closed = False
        self.checked = self.taken = time.monotonic()
        self._pending: dict[Message, None] = {}
        self._something = asyncio.Event()

    def tell(self, messages: Iterable[Message]) -> None:
        """Remember those that it wants; too many become one `resync`."""
        if RESYNC in self._pending:
            return
        if not self._pending:
            self.taken = time.monotonic()
        for message in messages:
            if message.device is None or self.devices is None or message.device in self.devices:
                self._pending[message] = None
        if len(self._pending) > MAX_PENDING or RESYNC in self._pending:
            self._pending = {RESYNC: None}
        if self._pending:
            self._something.set()

    def close(self) -> None:
        """Let the stream end."""
        self.closed = True
        self._something.set()

    def stalled(self, now: float) -> bool:
        """Has it left alone what waits for it?"""
        return bool(self._pending) and now - self.taken > STALLED_AFTER

    async def take(self, *, patience: float) -> list[Message]:
        """What there is to tell, waiting up to `patience` seconds for it; [] when nothing came."""
        try:
            await asyncio.wait_for(self._something.wait(), patience)
        except TimeoutError:
            return []
        self._something.clear()
        messages, self._pending = list(self._pending), {}
        self.taken = time.monotonic()
        return messages


class Hub:
    """All listeners of one event loop, and the task that feeds them."""

    def __init__(self) -> None:
        """Nothing runs until somebody listens."""
        self.listeners: set[Listener] = set()
        self._task: asyncio.Task[None] | None = None
        self._executor: ThreadPoolExecutor | None = None
        self._started = asyncio.Event()
        self._names: dict[int, str] = {}
        self._last: int | None = None

    async def join(self, listener: Listener) -> None:
        """From the return on, nothing that changes escapes this listener."""
        self.listeners.add(listener)
        if self._task is None or self._task.done():
            self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="live")
            self._started = asyncio.Event()
            self._last = None
            self._names = {}
            # a context of its own: the first page's must not live on in here
            self._task = asyncio.create_task(self._run(), context=contextvars.Context())
        await self._started.wait()

    def leave(self, listener: Listener) -> None:
        """With the last listener the work ends."""
        self.listeners.discard(listener)
        if not self.listeners and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        executor, started = self._executor, self._started
        assert executor is not None
        loop = asyncio.get_running_loop()
        failing = False
        try:
            while True:
                try:
                    messages = await loop.run_in_executor(executor, self._read)
                    due = self._due()
                    ended = await loop.run_in_executor(executor, _ended, due) if due else set()
                except Exception as error:
                    # whatever the database says: the pages stay, and are told to look again when it is back
                    if not failing:
                        logger.warning("the live feed cannot read the database, and goes on trying: %s", error)
                    failing = True
                    started.set()
                    await asyncio.sleep(TAIL_AGAIN_AFTER_ERROR)
                    continue
                if failing:
                    logger.info("the live feed reads the database again")
                    failing = False
                    messages = [RESYNC]
                started.set()
                now = time.monotonic()
                for listener in list(self.listeners):
                    if listener.session_key in ended:
                        listener.close()
                    elif listener.stalled(now) and listener.task is not None:
                        listener.close()
                        listener.task.cancel()
                    elif messages:
                        listener.tell(messages)
                if len(messages) < BATCH:
                    await asyncio.sleep(TAIL_EVERY)
        finally:
            executor.submit(connection.close)
            executor.shutdown(wait=False)

    def _due(self) -> dict[str | None, list[Listener]]:
        """Sessions to look at again."""
        now = time.monotonic()
        due: dict[str | None, list[Listener]] = {}
        for listener in self.listeners:
            if now - listener.checked >= CHECK_EVERY:
                due.setdefault(listener.session_key, []).append(listener)
        return due

    def _read(self) -> list[Message]:
        """New changes as messages (on the thread of the executor)."""
        try:
            connection.close_if_unusable_or_obsolete()
            if self._last is None:
                self._last = Change.objects.aggregate(last=models.Max("id"))["last"] or 0
                return []
            rows = list(
                Change.objects.filter(id__gt=self._last).order_by("id").values_list("id", "kind", "device_id")[:BATCH]
            )
            if not rows:
                return []
            unknown = {device_id for _, _, device_id in rows if device_id is not None} - self._names.keys()
            if unknown:
                self._names.update(Device.objects.filter(id__in=unknown).values_list("id", "endpoint"))
            self._last = rows[-1][0]
        except Exception:
            connection.close()
            raise
        messages: dict[Message, None] = {}
        for _, kind, device_id in rows:
            if device_id is None:
                messages[Message(kind, None)] = None
            elif device_id in self._names:
                messages[Message(kind, self._names[device_id])] = None
        return list(messages)


def _ended(due: dict[str | None, list[Listener]]) -> set[str | None]:
    """Those sessions whose person may no longer look (on the thread of the executor)."""
    store: type[SessionBase] = import_module(settings.SESSION_ENGINE).SessionStore
    ended: set[str | None] = set()
    for session_key, listeners in due.items():
        request = HttpRequest()
        request.session = store(session_key)
        if not allowed(get_user(request), Permission.VIEW):
            ended.add(session_key)
        for listener in listeners:
            listener.checked = time.monotonic()
    return ended


_hubs: "WeakKeyDictionary[asyncio.AbstractEventLoop, Hub]" = WeakKeyDictionary()


def hub() -> Hub:
    """The running event loop's hub."""
    return _hubs.setdefault(asyncio.get_running_loop(), Hub())


async def _stream(session_key: str | None, devices: frozenset[str] | None) -> AsyncIterator[bytes]:
    here = hub()
    listener = Listener(session_key=session_key, devices=devices, task=asyncio.current_task())
    try:
        await here.join(listener)
        # a lost connection is tried again after a second, with a new hello
        yield b"retry: 1000\n" + encoded(HELLO)
        while not listener.closed:
            messages = await listener.take(patience=COMMENT_EVERY)
            if listener.closed:
                return
            yield b"".join(map(encoded, messages)) if messages else b": still here\n\n"
    finally:
        here.leave(listener)


def live_stream(*, session_key: str | None, devices: frozenset[str] | None) -> StreamingHttpResponse:
    """The answer that goes on until the page closes or the session ends. `devices`: None for all."""
    response = StreamingHttpResponse(_stream(session_key, devices), content_type="text/event-stream; charset=utf-8")
    response.headers["Cache-Control"] = "no-store"
    # compression would hold events back, in GZipMiddleware and in a proxy alike
    response.headers["Content-Encoding"] = "identity"
    response.headers["X-Accel-Buffering"] = "no"
    return response
