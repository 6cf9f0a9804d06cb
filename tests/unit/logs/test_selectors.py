"""Pages, downloads and figures of log lines."""

from datetime import timedelta
from io import StringIO

import orjson
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from backend.devices.models import Device
from backend.devices.selectors import time_of
from backend.logs import selectors
from backend.logs.models import Severity
from backend.logs.selectors import (
    Cursor,
    LineFilter,
    LineView,
    LossView,
    UsageView,
    lines_iter,
    lines_page,
    modules_list,
    stream_iter,
    usage_of,
)
from backend.logs.text import pieces, plain
from tests.unit.logs.rows import SECOND, T0, message, numbered, store

pytestmark = [pytest.mark.django_db, pytest.mark.database]

ALL = LineFilter()


@pytest.fixture
def device() -> Device:
    made = Device.objects.create(endpoint="a")
    # 0 … 9, 20 … 29 and 40 … 49, at 10 ms each, given up 10 and missing 10
    for first, lost in ((0, 0), (20, 10), (40, 10)):
        store(made, numbered(first, first + 9, lost=lost), received=T0 + (first + 9) * 10_000)
    return made


def numbers(lines: list[LineView]) -> list[int | None]:
    return [line.sequence for line in lines]


def test_pages_downwards(device: Device) -> None:
    page = lines_page(filter=ALL, limit=15)
    assert numbers(page.lines) == [*range(49, 39, -1), *range(29, 24, -1)]
    assert page.newest
    assert page.newer == page.lines[0].cursor
    assert [(loss.first, loss.count, loss.reason) for loss in page.losses] == [(30, 10, "missing")]
    page = lines_page(filter=ALL, before=page.older, limit=15)
    assert numbers(page.lines) == [*range(24, 19, -1), *range(9, -1, -1)]
    assert [(loss.first, loss.count, loss.reason, loss.given_up) for loss in page.losses] == [(10, 10, "device", 10)]
    assert page.older is None
    assert not page.newest


def test_a_page_upwards(device: Device) -> None:
    page = lines_page(filter=ALL, after=Cursor(T0 + 90_000, 2**62), limit=15)
    assert numbers(page.lines) == [*range(44, 39, -1), *range(29, 19, -1)]
    assert {loss.first for loss in page.losses} == {10, 30}
    assert not page.newest
    page = lines_page(filter=ALL, after=page.newer, limit=15)
    assert numbers(page.lines) == [*range(49, 44, -1)]
    assert page.newest
    again = lines_page(filter=ALL, after=page.newer, limit=15)
    assert (again.lines, again.newer, again.newest) == ([], page.newer, True)


def test_a_page_around_a_moment(device: Device) -> None:
    page = lines_page(filter=ALL, around=T0 + 250_000, limit=6)
    assert numbers(page.lines) == [27, 26, 25, 24, 23, 22]
    assert page.older == page.lines[-1].cursor
    assert page.newer == page.lines[0].cursor
    assert not page.newest
    late = lines_page(filter=ALL, around=T0 + 60 * SECOND, limit=6)
    assert numbers(late.lines) == [49, 48, 47]
    assert late.newest


def test_without_any_line() -> None:
    page = lines_page(filter=ALL)
    assert (page.lines, page.losses, page.older, page.newer, page.newest) == ([], [], None, None, True)
    assert lines_page(filter=ALL, around=T0).lines == []
    assert not [*lines_iter(filter=ALL), *stream_iter(filter=ALL), *modules_list()]


def test_each_loss_is_on_one_page(device: Device) -> None:
    for limit in range(1, 12):
        seen: list[int] = []
        before = None
        while True:
            page = lines_page(filter=ALL, before=before, limit=limit)
            seen += [loss.first for loss in page.losses]
            before = page.older
            if before is None:
                break
        assert seen == [30, 10]


def test_too_many_losses_for_a_page(device: Device) -> None:
    page = lines_page(filter=LineFilter(severity=3), limit=30)
    assert (len(page.losses), page.more_losses) == (2, 0)
    for number in range(60, 100, 2):
        store(device, numbered(number, number), received=T0 + number * 10_000)
    page = lines_page(filter=LineFilter(modules=["none"]), limit=5)
    assert (page.lines, len(page.losses), page.more_losses) == ([], 5, 17)


def test_a_long_download_holds_no_query_open(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(60, 100, 2):
        # all of them stand at one time
        store(device, numbered(number, number), received=T0 + 600_000)
    whole = list(stream_iter(filter=ALL))
    monkeypatch.setattr(selectors, "PORTION", 3)
    with CaptureQueriesContext(connection) as queries:
        assert list(stream_iter(filter=ALL)) == whole
    found = [one for one in queries.captured_queries if 'FROM "logs_loss"' in one["sql"]]
    assert len(found) == 8
    assert all("LIMIT 3" in one["sql"] for one in found)


def test_no_losses_in_a_search(device: Device) -> None:
    assert lines_page(filter=LineFilter(search="line")).losses == []
    assert all(isinstance(one, LineView) for one in stream_iter(filter=LineFilter(search="line")))


def test_everything_about_a_line(device: Device) -> None:
    store(device, b"\x07\xff\x00", received=T0 + SECOND)
    unread, line = lines_page(filter=ALL, limit=2).lines
    assert (line.device, line.time, line.uptime, line.boot_id, line.severity) == (
        "a",
        time_of(T0 + 490_000),
        490,
        1,
        Severity.INFO,
    )
    assert (unread.severity, unread.boot_id, unread.sequence, unread.uptime) == (Severity.UNREAD, None, None, None)
    assert unread.problem.startswith("No log message")
    assert lines_page(filter=LineFilter(severity=1), limit=5).lines == [unread]


def test_a_loss_in_words(device: Device) -> None:
    store(device, numbered(60, 61, lost=14), received=T0 + SECOND)
    words = [loss.text for loss in lines_page(filter=ALL).losses]
    assert words == [
        "10 lines lost: 4 given up by the device, 6 never arrived",
        "10 lines never arrived",
        "10 lines given up by the device",
    ]


def test_the_whole_stream(device: Device) -> None:
    kinds = [one.first if isinstance(one, LossView) else one.sequence for one in stream_iter(filter=ALL)]
    assert kinds == [*range(10), 10, *range(20, 30), 30, *range(40, 50)]
    text = b"".join(pieces(stream_iter(filter=ALL), format_="text")).decode().splitlines()
    assert text[9] == "2026-01-01T00:00:00.090Z a INFO    main: line 9"
    assert text[10] == "2026-01-01T00:00:00.200Z a --- 10 lines given up by the device ---"
    objects = [orjson.loads(line) for line in b"".join(pieces(stream_iter(filter=ALL), format_="ndjson")).splitlines()]
    assert (objects[9]["text"], objects[10]["lost"], objects[10]["reason"]) == ("line 9", 10, "device")


def test_text_of_lines_is_one_line_each(device: Device) -> None:
    store(device, message(50, ["a\nb\r\x1b[31m\tc\u2028d"]), received=T0 + SECOND)
    assert plain(lines_page(filter=ALL, limit=1).lines[0]).endswith("main: a\\nb\\r\\x1b[31m\tc\\u2028d")


def test_modules_and_usage(device: Device) -> None:
    other = Device.objects.create(endpoint="b")
    assert modules_list() == modules_list(devices=[device.pk]) == ["main"]
    assert modules_list(devices=[other.pk]) == []
    assert usage_of(device=device).lines == 30
    assert usage_of(device=other) == UsageView(lines=0, bytes=0, cut=0)


def printed(*arguments: str) -> list[str]:
    out = StringIO()
    call_command("logs", *arguments, stdout=out)
    return out.getvalue().splitlines()


def test_the_command(device: Device) -> None:
    assert len(printed()) == 32
    assert len(printed("--lines", "0")) == 32
    assert printed("--lines", "2", "--device", "a", "--severity", "info", "--module", "main") == [
        "2026-01-01T00:00:00.480Z a INFO    main: line 48",
        "2026-01-01T00:00:00.490Z a INFO    main: line 49",
    ]
    assert orjson.loads(printed("--search", "LINE 2", "--json", "--lines", "1")[0])["sequence"] == 29
    start = time_of(T0 + 100_000).isoformat()
    assert len(printed("--start", start, "--end", (time_of(T0) + timedelta(seconds=0.25)).isoformat())) == 6


@pytest.mark.parametrize(
    "arguments",
    [("--device", "x"), ("--lines", "-1"), ("--search", "x" * 201), ("--follow", "--end", "2026-01-01")],
)
def test_what_the_command_refuses(device: Device, arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        printed(*arguments)


def test_the_command_refuses_what_is_no_time(device: Device) -> None:
    with pytest.raises(CommandError, match="is no time"):
        printed("--start", "yesterday")
