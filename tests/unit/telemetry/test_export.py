import csv
import io
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command

from backend.devices.models import Device
from backend.telemetry import export as module
from backend.telemetry import parquet
from backend.telemetry.export import ExportError, Selection, export_chunks, export_name
from backend.telemetry.models import Sample, Series

pytestmark = [pytest.mark.django_db, pytest.mark.database]

AT = 1_795_368_850_000_000
TEMPERATURE, TEXT = "/3303/0/5700", "/33030/0/1"


@pytest.fixture
def samples() -> None:
    for endpoint in ("b/1", "a,\n2"):
        device = Device.objects.create(endpoint=endpoint)
        one = Series.objects.create(device=device, path=TEMPERATURE)
        Sample.objects.bulk_create(Sample(series=one, time=AT + number, number=number / 4) for number in range(25))
        two = Series.objects.create(device=device, path=TEXT)
        Sample.objects.bulk_create(
            [
                Sample(series=two, time=AT, seq=0, text="NaN"),
                Sample(series=two, time=AT, seq=1, number=float(2**60), text=str(2**60 + 1), delay=1500),
                Sample(series=two, time=-1, text='a "word"\n, é', delay=-2),
            ]
        )


def rows(selection: Selection, format_: str = "csv") -> list[dict[str, Any]]:
    data = b"".join(export_chunks(selection, format_=format_))
    if format_ == "parquet":
        found: list[dict[str, Any]] = pq.read_table(io.BytesIO(data)).to_pylist()
        return found
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


@pytest.mark.usefixtures("samples")
@pytest.mark.parametrize("page", [1, 2, 7, 25, 5000])
def test_every_sample_is_in_it_once_and_in_order(monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    monkeypatch.setattr(module, "PAGE", page)
    monkeypatch.setattr(parquet, "PAGE", page)
    monkeypatch.setattr(parquet, "GROUP", 2 * page)
    found = rows(Selection())
    assert [(row["device"], row["path"]) for row in found] == [
        (device, path)
        for device in ("a,\n2", "b/1")
        for path, count in ((TEMPERATURE, 25), (TEXT, 3))
        for _ in range(count)
    ]
    assert [float(row["value"]) for row in found[28:53]] == [number / 4 for number in range(25)]
    assert found[28]["time"] == "2026-11-22T17:34:10.000000Z" == found[28]["received"]
    word, nan, big = found[53:]
    assert (word["time"], word["received"], word["text"]) == (
        "1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.997999Z", 'a "word"\n, é',
    )  # fmt: skip
    assert (nan["value"], nan["text"]) == ("", "NaN")
    assert (float(big["value"]), big["text"]) == (2.0**60, str(2**60 + 1))
    table = rows(Selection(), "parquet")
    assert [(row["device"], row["path"], row["text"] or "") for row in table] == [
        (row["device"], row["path"], row["text"]) for row in found
    ]
    assert [row["value"] for row in table] == [float(row["value"]) if row["value"] else None for row in found]
    assert table[28]["time"] == datetime(2026, 11, 22, 17, 34, 10, tzinfo=UTC)
    assert math.isclose((table[-1]["received"] - table[-1]["time"]).total_seconds(), 1.5)


@pytest.mark.usefixtures("samples")
def test_a_choice() -> None:
    assert len(rows(Selection(devices=["b/1"]))) == 28
    assert len(rows(Selection(paths=[TEXT]))) == 6
    assert len(rows(Selection(devices=["b/1"], paths=[TEXT]))) == 3
    assert len(rows(Selection(series=["b/1" + TEMPERATURE]))) == 25
    assert len(rows(Selection(series=["b/1" + TEMPERATURE], paths=[TEXT], devices=["b/1"]))) == 28
    assert len(rows(Selection(series=["b/1" + TEMPERATURE], start=AT + 5, end=AT + 9))) == 4
    assert rows(Selection(start=AT + 100)) == []
    assert rows(Selection(start=AT + 100), "parquet") == []


@pytest.mark.usefixtures("samples")
@pytest.mark.parametrize(
    "selection", [Selection(devices=["nobody"]), Selection(series=["b/1/1/2/3"]), Selection(series=["x" + TEXT])]
)
def test_what_is_not_there_is_said_before_the_first_byte(selection: Selection) -> None:
    with pytest.raises(ExportError, match=r"there is no (device|series)"):
        export_chunks(selection, format_="csv")


@pytest.mark.parametrize("bad", ["", "sim-1", "/3303/0/5700", "sim-1/3303/0", "sim-1/3303/0/x"])
def test_what_is_no_series(bad: str) -> None:
    with pytest.raises(ExportError, match="is no series"):
        export_chunks(Selection(series=[bad]), format_="csv")


@pytest.mark.parametrize(
    "selection", [Selection(devices=["a\0"]), Selection(paths=["/3\0"]), Selection(series=["a\0" + TEMPERATURE])]
)
def test_what_no_database_can_look_for(selection: Selection) -> None:
    with pytest.raises(ExportError, match="NUL"):
        export_chunks(selection, format_="csv")


def test_names_of_files() -> None:
    at = datetime(2026, 11, 22, 17, 34, tzinfo=UTC)
    assert export_name(Selection(), format_="csv", at=at) == "flownexus-all-20261122-1734.csv"
    assert export_name(Selection(devices=["a/../b"]), format_="parquet", at=at).startswith("flownexus-a-..-b-")
    assert "2-devices" in export_name(Selection(devices=["a"], series=["b" + TEXT]), format_="csv", at=at)


@pytest.mark.usefixtures("samples")
def test_the_command_writes_the_whole_file_or_none(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    file = tmp_path / "out.parquet"
    call_command("export", str(file), "--device", "b/1", "--from", "2026-11-22T00:00:00")
    assert pq.read_table(file).num_rows == 27
    call_command("export", "-", "--series", "b/1/3303/0/5700", "--to", "1999-01-01")
    assert capsysbinary.readouterr().out == b"device,path,name,unit,time,received,value,text\r\n"
    before = sorted(tmp_path.iterdir())
    for arguments in (["--device", "nobody"], ["--from", "soon"], ["--series", "x"]):
        with pytest.raises(CommandError):
            call_command("export", str(tmp_path / "other.csv"), *arguments)
    with pytest.raises(CommandError, match="No such file"):
        call_command("export", str(tmp_path / "no" / "folder.csv"))
    assert sorted(tmp_path.iterdir()) == before
