"""`manage.py export`: samples into a file."""

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from backend.lwm2m.times import us_of_text
from backend.telemetry.export import CSV, FORMATS, ExportError, Selection, export_chunks


class Command(BaseCommand):
    """A mistake is one line on stderr and exit code 1."""

    help = "Writes samples as CSV or Parquet, series by series in the order of time."

    def add_arguments(self, parser: CommandParser) -> None:
        """What, from when to when, where to."""
        parser.add_argument("output", metavar="FILE", help="- for standard output")
        parser.add_argument("--format", choices=sorted(FORMATS), help="by default what FILE ends with, else csv")
        parser.add_argument("--series", action="append", default=[], metavar="ENDPOINT/PATH", help="repeatable")
        parser.add_argument("--device", action="append", default=[], metavar="ENDPOINT", help="repeatable")
        parser.add_argument("--path", action="append", default=[], metavar="PATH", help="repeatable")
        parser.add_argument("--from", dest="start", metavar="TIME", help="ISO 8601, UTC where it names no zone")
        parser.add_argument("--to", dest="end", metavar="TIME", help="up to, without it")

    def handle(self, *args: Any, **options: Any) -> None:
        """Writes the file; one that was begun is removed where it cannot be finished."""
        output: str = options["output"]
        suffix = Path(output).suffix.removeprefix(".")
        format_ = options["format"] or (suffix if suffix in FORMATS else CSV)
        try:
            selection = Selection(
                series=options["series"],
                devices=options["device"],
                paths=options["path"],
                start=_moment(options["start"]),
                end=_moment(options["end"]),
            )
            chunks = export_chunks(selection, format_=format_)
            if output == "-":
                for chunk in chunks:
                    sys.stdout.buffer.write(chunk)
                sys.stdout.buffer.flush()
                return
            file = Path(output)
            partial = file.with_name(file.name + ".part")
            try:
                with partial.open("wb") as out:
                    for chunk in chunks:
                        out.write(chunk)
                partial.replace(file)
            finally:
                partial.unlink(missing_ok=True)
        except ExportError as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"{output}: {error.strerror or error}") from None


def _moment(text: str | None) -> int | None:
    """Microseconds since 1970. Raises ExportError."""
    if text is None:
        return None
    try:
        return us_of_text(text)
    except ValueError:
        raise ExportError(f"{text[:40]!r} is no time: write it as 2026-11-22T17:00:00Z") from None
