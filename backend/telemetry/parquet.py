"""Samples as Parquet: Apache's own writer, a row group at a time.

The writer's library takes as much memory as all the rest of a process, and keeps it: the web app leaves the work to a
process that ends with the file.
"""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.conf import settings

from backend.telemetry.export import COLUMNS, PAGE, Selection, pages, series_named

# rows of a row group
GROUP = 20_000
_CHUNK = 1 << 18
_PROGRAM = "import django; django.setup(); from backend.telemetry.parquet import main; main()"


def parquet_chunks(ids: Sequence[int], selection: Selection) -> Iterator[bytes]:
    """The same columns; times are microseconds with the zone UTC. A row group is written when it is full."""
    # some 60 MiB that only those pay who ask for it
    import pyarrow as pa
    import pyarrow.parquet as pq

    moment = pa.timestamp("us", tz="UTC")
    types = [pa.string()] * 4 + [moment, moment, pa.float64(), pa.string()]
    schema = pa.schema(list(zip(COLUMNS, types, strict=True)))
    sink = _Sink()
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for rows in _groups(ids, selection):
            columns = [pa.array(column, type_) for column, type_ in zip(rows, types, strict=True)]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema), row_group_size=GROUP)
            yield from sink.taken()
    yield from sink.taken()


def _groups(ids: Sequence[int], selection: Selection) -> Iterator[list[list[Any]]]:
    """Columns of up to GROUP rows."""
    columns: list[list[Any]] = [[] for _ in COLUMNS]
    for one in series_named(ids):
        for page in pages(one.id, selection):
            times, _, numbers, texts, delays = (list(column) for column in zip(*page, strict=True))
            received = [
                time if delay is None else time + delay * 1000 for time, delay in zip(times, delays, strict=True)
            ]
            told = ([value] * len(page) for value in (one.device, one.path, one.name, one.unit))
            for column, values in zip(columns, (*told, times, received, numbers, texts), strict=True):
                column.extend(values)
            if len(columns[0]) + PAGE > GROUP:
                yield columns
                columns = [[] for _ in COLUMNS]
    if columns[0]:
        yield columns


class _Sink(io.RawIOBase):
    """Takes what the writer gives, until it is passed on."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._size += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._size

    def taken(self) -> Iterable[bytes]:
        pieces, self._pieces = self._pieces, []
        whole = b"".join(pieces)
        return [whole] if whole else []


def parquet_apart(ids: Sequence[int], selection: Selection) -> Iterator[bytes]:
    """The same from a process of its own, which ends when nobody reads on. Raises OSError where it failed midway."""
    job = json.dumps({"ids": list(ids), "start": selection.start, "end": selection.end}).encode()
    command = [sys.executable, "-c", _PROGRAM]
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": os.environ.get("DJANGO_SETTINGS_MODULE", "backend.config.settings")}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=settings.BASE_DIR, env=env
    ) as process:
        assert process.stdin is not None
        assert isinstance(process.stdout, io.BufferedReader)
        try:
            process.stdin.write(job)
            process.stdin.close()
            while chunk := process.stdout.read1(_CHUNK):
                yield chunk
            if process.wait():
                raise OSError(f"the export's process ended with {process.returncode}: see its words in the log")
        finally:
            process.kill()


def main() -> None:
    """In the process of its own: the file of the job on standard input, to standard output."""
    job = json.load(sys.stdin.buffer)
    try:
        for chunk in parquet_chunks(job["ids"], Selection(start=job["start"], end=job["end"])):
            sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # nobody reads on
        os._exit(0)
