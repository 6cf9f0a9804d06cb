"""`manage.py logs`: log lines of devices on the terminal."""

import sys
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from backend.devices.models import Device
from backend.devices.selectors import device_get
from backend.logs.filters import MAX_SEARCH, LineFilter
from backend.logs.models import Severity
from backend.logs.selectors import LineView, LossView, lines_page, lines_since, losses_list, stream_iter
from backend.logs.text import as_json, plain
from backend.lwm2m.times import us_of_text

# seconds between two looks for new lines
FOLLOW_EVERY = 0.5
SEVERITIES = ["error", "warning", "info", "debug"]


def _moment(text: str) -> int:
    try:
        return us_of_text(text)
    except ValueError:
        raise CommandError(f"{text!r} is no time: use one such as 2026-11-22T17:00:00Z") from None


class Command(BaseCommand):
    """Oldest line first."""

    help = "Prints log lines of devices: the last ones, or all of a stretch of time; --follow goes on."

    def add_arguments(self, parser: CommandParser) -> None:
        """As the parameters of GET /api/v1/logs."""
        parser.add_argument("--device", action="append", default=[], metavar="ENDPOINT", help="may be repeated")
        parser.add_argument("--severity", choices=SEVERITIES, help="this and worse ones")
        parser.add_argument("--module", action="append", default=[], metavar="NAME", help="may be repeated")
        parser.add_argument("--search", default="", metavar="TEXT", help="a piece of the text")
        parser.add_argument("--start", type=_moment, metavar="TIME", help="from here on; ISO 8601, UTC without a zone")
        parser.add_argument("--end", type=_moment, metavar="TIME", help="up to here")
        parser.add_argument("--lines", type=int, default=100, metavar="N", help="the newest N (100); 0: all")
        parser.add_argument("--json", action="store_true", help="a JSON object a line")
        parser.add_argument("--follow", action="store_true", help="then print what comes, until interrupted")

    def handle(self, *args: Any, **options: Any) -> None:
        """Prints."""
        if not 0 <= options["lines"] <= 10_000:
            raise CommandError("--lines takes 0 (all) to 10000")
        if len(options["search"]) > MAX_SEARCH:
            raise CommandError(f"--search takes {MAX_SEARCH} characters at most")
        if options["follow"] and options["end"] is not None:
            raise CommandError("--follow goes on for ever: leave out --end")
        wanted = LineFilter(
            devices=self._devices(options["device"]) if options["device"] else None,
            severity=Severity[options["severity"].upper()] if options["severity"] else None,
            modules=options["module"],
            search=options["search"],
            start=options["start"],
            end=options["end"],
        )
        try:
            last = lines_since(filter=wanted, since=None).last
            self._print_stored(wanted, options["lines"], as_json_=options["json"])
            if options["follow"]:
                self._follow(wanted, last, as_json_=options["json"])
        except BrokenPipeError:
            # nobody reads any more: no complaint at exit either
            sys.stdout = None
        except KeyboardInterrupt:
            pass

    def _devices(self, endpoints: list[str]) -> list[int]:
        found = []
        for endpoint in endpoints:
            try:
                found.append(device_get(endpoint=endpoint).pk)
            except Device.DoesNotExist:
                raise CommandError(f"there is no device {endpoint!r}") from None
        return found

    def _print_stored(self, wanted: LineFilter, count: int, *, as_json_: bool) -> None:
        if count == 0:
            for view in stream_iter(filter=wanted):
                self._print(view, as_json_=as_json_)
            return
        page = lines_page(filter=wanted, limit=count)
        views: list[LineView | LossView] = [*page.losses, *page.lines]
        # at one time, what is lost stands before the line that follows it
        for view in sorted(views, key=lambda one: (one.time_us, isinstance(one, LineView), one.id)):
            self._print(view, as_json_=as_json_)

    def _follow(self, wanted: LineFilter, last: int, *, as_json_: bool) -> None:
        told = {(loss.id, loss.last) for loss in losses_list(filter=wanted, low=0)}
        while True:
            news = lines_since(filter=wanted, since=last)
            last = news.last
            views: list[LineView | LossView] = list(news.lines)
            for loss in losses_list(filter=wanted, low=0):
                if (loss.id, loss.last) not in told:
                    told.add((loss.id, loss.last))
                    views.append(loss)
            for view in sorted(views, key=lambda one: (one.time_us, isinstance(one, LineView), one.id)):
                self._print(view, as_json_=as_json_)
            if not news.more:
                time.sleep(FOLLOW_EVERY)

    def _print(self, view: LineView | LossView, *, as_json_: bool) -> None:
        self.stdout.write(as_json(view).decode() if as_json_ else plain(view))
        self.stdout.flush()
