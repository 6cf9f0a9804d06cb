"""The live feed's inside: what a page is told, bounds, errors, ends. Without a database."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

import pytest

from backend.api import live
from backend.api.live import HELLO, MAX_PENDING, RESYNC, SERVER, Hub, Listener, Message, encoded

DEADLINE = 10


class Scripted(Hub):
    """A hub that reads from a list of answers in place of the database."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[list[Message] | Exception] = []
        self.reads = 0

    def _read(self) -> list[Message]:
        self.reads += 1
        answer = self.answers.pop(0) if self.answers else []
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "TAIL_EVERY", 0.005)
    monkeypatch.setattr(live, "TAIL_AGAIN_AFTER_ERROR", 0.005)
    monkeypatch.setattr(live, "COMMENT_EVERY", 0.02)


def listener(*devices: str, session_key: str = "s") -> Listener:
    return Listener(session_key=session_key, devices=frozenset(devices) or None, task=asyncio.current_task())


def values(name: str) -> Message:
    return Message("values", name)


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(DEADLINE):
            await work()

    asyncio.run(bounded())


def test_on_the_wire() -> None:
    assert encoded(HELLO) == b"event: hello\ndata: {}\n\n"
    assert encoded(values('a "b"\nμ')) == 'event: values\ndata: {"device":"a \\"b\\"\\nμ"}\n\n'.encode()


def test_a_page_hears_of_its_devices_and_of_the_server() -> None:
    async def work() -> None:
        one, everything = listener("a"), listener()
        said = [values("a"), values("b"), SERVER, values("a")]
        one.tell(said)
        everything.tell(said)
        assert await one.take(patience=1) == [values("a"), SERVER]
        assert await everything.take(patience=1) == [values("a"), values("b"), SERVER]
        one.tell([values("b")])
        assert await one.take(patience=0.01) == []

    run(work)


def test_a_slow_page_is_told_to_look_again() -> None:
    async def work() -> None:
        page = listener()
        for number in range(MAX_PENDING):
            page.tell([values(f"d{number}"), values("same")][: 2 if number else 1])
        assert len(page._pending) <= MAX_PENDING + 1
        for number in range(100_000):
            page.tell([values(f"e{number}")])
        assert await page.take(patience=1) == [RESYNC]
        page.tell([values("a")])
        assert await page.take(patience=1) == [values("a")]

    run(work)


def test_one_task_and_one_thread_for_all_and_none_for_nobody() -> None:
    async def work() -> None:
        before = threading.active_count()
        hub = Scripted()
        pages = [listener() for _ in range(50)]
        for page in pages:
            await hub.join(page)
        assert threading.active_count() == before + 1
        hub.answers.append([values("a")])
        assert [await page.take(patience=5) for page in pages] == [[values("a")]] * 50
        for page in pages:
            hub.leave(page)
        while threading.active_count() > before:
            await asyncio.sleep(0.005)
        # and it begins anew for the next one
        again = listener()
        await hub.join(again)
        hub.answers.append([SERVER])
        assert await again.take(patience=5) == [SERVER]
        hub.leave(again)
        while threading.active_count() > before:
            await asyncio.sleep(0.005)

    run(work)


def test_errors_of_the_database_do_not_end_the_feed() -> None:
    async def work() -> None:
        hub = Scripted()
        hub.answers = [RuntimeError("gone")] * 3
        page = listener()
        # no waiting for a database that is not there
        await hub.join(page)
        assert await page.take(patience=5) == [RESYNC]
        hub.answers = [RuntimeError("gone again"), [values("lost among the errors")]]
        assert await page.take(patience=5) == [RESYNC]
        hub.answers = [[values("a")]]
        assert await page.take(patience=5) == [values("a")]
        hub.leave(page)

    run(work)


def test_sessions_are_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[set[str | None]] = []

    def ended(due: dict[str | None, list[Listener]]) -> set[str | None]:
        asked.append(set(due))
        for pages in due.values():
            for page in pages:
                page.checked = time.monotonic()
        return {"out"}

    monkeypatch.setattr(live, "_ended", ended)
    monkeypatch.setattr(live, "CHECK_EVERY", 0.02)

    async def work() -> None:
        hub = Scripted()
        stays, goes = listener(session_key="in"), listener(session_key="out")
        await hub.join(stays)
        await hub.join(goes)
        while not goes.closed:
            await asyncio.sleep(0.005)
        assert await goes.take(patience=5) == []
        assert not stays.closed
        assert {"in", "out"} in asked or {"in"} in asked
        hub.leave(stays)
        hub.leave(goes)

    run(work)


def test_who_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "STALLED_AFTER", 0.05)

    async def work() -> None:
        hub = Scripted()
        reads, never = asyncio.Event(), asyncio.Event()

        async def page(does: asyncio.Event) -> None:
            mine = listener()
            await hub.join(mine)
            try:
                while not mine.closed:
                    await mine.take(patience=1)
                    await does.wait()
            finally:
                hub.leave(mine)

        reads.set()
        good, bad = asyncio.create_task(page(reads)), asyncio.create_task(page(never))
        while not bad.done():
            hub.answers.append([SERVER])
            await asyncio.sleep(0.005)
        assert bad.cancelled()
        assert not good.done()
        good.cancel()
        await asyncio.wait([good])

    run(work)
