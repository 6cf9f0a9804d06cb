"""The pages of log lines: what the address says, what the browser is given, what a device's tab tells."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.http import QueryDict
from django.test import Client
from django.utils import timezone

from backend.commands.models import Command
from backend.devices.models import Device, Profile, RawEvent, Registration
from backend.logs.format import LogEntry, LogMessage, pack
from backend.logs.models import Boot, Line, Loss, Module, Usage
from backend.logs.services.ingest import Incoming, messages_store
from backend.lwm2m.times import us_of_datetime
from backend.ui.logs.address import address_of, moment_of
from backend.ui.logs.stream import PAGE, TEXT_SHOWN
from backend.ui.payloads import hex_dump, payload_dump
from tests.unit.api.builders import NOW, T0, device, leshan, resource, user

pytestmark = pytest.mark.django_db


def boot(of: Device, boot_id: int = 0x1A2B3C4D, started: int = T0 - 60_000_000) -> Boot:
    made, _ = Boot.objects.get_or_create(
        device=of,
        boot_id=boot_id,
        defaults={"started": started, "first_received_at": NOW, "stretch_started": started, "stretch_uptime": 0},
    )
    return made


def line(of: Device, text: str, *, time: int = T0, severity: int = 3, module: str = "app", sequence: int = 0) -> Line:
    run = boot(of) if severity else None
    if module:
        Module.objects.get_or_create(device=of, name=module)
    return Line.objects.create(
        device=of, boot=run, sequence=sequence if run else None, time=time, received=time + 1_000_000,
        uptime=(time - run.started) // 1000 if run else None, severity=severity, module=module, text=text,
        problem="" if severity else "No header",
    )  # fmt: skip


def lines_of(client: Client, query: str = "") -> dict[str, Any]:
    answer = client.get(f"/parts/logs/?{query}")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def texts(page: dict[str, Any]) -> list[str]:
    return [one["text"] for one in page["lines"]]


def stream_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script id="logs-data" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_the_address_says_what_is_shown() -> None:
    one, two = device("a/b c"), device("two")
    query = QueryDict(
        "device=a/b+c&device=two&device=nobody&severity=warning&module=net&module=net&search=+0xDE+&range=1h"
    )
    address = address_of(query)
    assert address.devices == [one.pk, two.pk]
    assert address.unknown == ["nobody"]
    assert (address.severity, address.modules, address.search, address.range) == (2, ["net"], " 0xDE ", "1h")
    start = address.filter.start
    assert start is not None
    assert abs(start - us_of_datetime(timezone.now() - timedelta(hours=1))) < 5_000_000
    assert address_of(QueryDict("q=boot")) == address_of(QueryDict("search=boot&q=other"))
    assert address_of(QueryDict("q=boot")).search == "boot"
    nonsense = address_of(QueryDict("severity=9&range=x&from=yesterday&at=%00&search=%00a&module="))
    assert nonsense == address_of(QueryDict("search=a"))


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-22T17:00:00Z", T0),
        ("2026-11-22T18:00:00+01:00", T0),
        ("2026-11-22T18:00:00 01:00", T0),
        ("2026-11-22 17:00", T0),
        ("2026-11-22T17:00:00.000001", T0 + 1),
        ("9999-12-31T23:59:59-23:00", None),
        ("", None),
        ("17:00", None),
    ],
)
def test_moments_in_addresses(text: str, time: int | None) -> None:
    assert moment_of(text) == time


def test_lines_come_oldest_first_with_cursors_both_ways(viewer: Client) -> None:
    dev = device()
    for number in range(PAGE + 20):
        line(dev, f"line {number}", time=T0 + number * 1000, sequence=number)
    newest = lines_of(viewer)
    assert texts(newest)[0] == "line 20"
    assert texts(newest)[-1] == f"line {PAGE + 19}"
    assert newest["newer"] is None
    rest = lines_of(viewer, f"before={newest['older']}")
    assert texts(rest) == [f"line {number}" for number in range(20)]
    assert rest["older"] is None
    again = lines_of(viewer, f"after={rest['newer']}")
    assert texts(again) == texts(newest)
    around = lines_of(viewer, "around=2026-11-22T17:00:00.100Z")
    assert "line 100" in texts(around)
    assert around["newer"] is not None
    assert texts(lines_of(viewer, "before=nonsense&after=1")) == texts(newest)


def test_a_line_with_all_there_is_to_know(viewer: Client) -> None:
    dev = device()
    line(dev, "hello", sequence=4)
    line(dev, "\\x09raw", severity=0, module="", time=T0 + 1)
    first, second = lines_of(viewer)["lines"]
    assert first == {
        "id": first["id"], "device": "dev-1", "time": T0, "received": T0 + 1_000_000, "uptime": 60_000,
        "boot": "1a2b3c4d", "sequence": 4, "severity": 3, "module": "app", "text": "hello",
    }  # fmt: skip
    assert (second["boot"], second["uptime"], second["severity"]) == (None, None, 0)
    assert second["problem"] == "No header"


def test_long_texts_come_on_demand(viewer: Client) -> None:
    made = line(device(), "x" * (TEXT_SHOWN + 7))
    (shown,) = lines_of(viewer)["lines"]
    assert len(shown["text"]) == TEXT_SHOWN
    assert shown["size"] == TEXT_SHOWN + 7
    assert viewer.get(f"/parts/logs/{made.pk}/").json() == {"text": made.text}
    assert viewer.get(f"/parts/logs/{made.pk + 1}/").status_code == 404


def test_filters_narrow_pages_and_news_alike(viewer: Client) -> None:
    one, two = device("one"), device("two")
    line(one, "100% of 0xDEADBEEF", severity=1, module="net")
    line(one, "under_score", severity=3, module="app", sequence=1)
    line(two, "Überlauf", severity=4, module="net")
    for query, wanted in (
        ("device=one", ["100% of 0xDEADBEEF", "under_score"]),
        ("device=one&device=two&module=net", ["100% of 0xDEADBEEF", "Überlauf"]),
        ("severity=error", ["100% of 0xDEADBEEF"]),
        ("search=0xdead", ["100% of 0xDEADBEEF"]),
        ("search=%25", ["100% of 0xDEADBEEF"]),
        ("search=r_s", ["under_score"]),
        ("search=%C3%9C", ["Überlauf"]),
        ("search=%C3%BC", []),
        ("device=nobody", []),
        ("from=2026-11-22T17:00:01Z", []),
        ("to=2026-11-22T17:00:00.000001Z&device=two", ["Überlauf"]),
    ):
        assert sorted(texts(lines_of(viewer, query))) == sorted(wanted), query
        assert sorted(texts(lines_of(viewer, f"{query}&since=0&floor=0"))) == sorted(wanted), query


def test_news_are_what_was_stored_since_whatever_their_time(viewer: Client) -> None:
    dev = device()
    line(dev, "first")
    last = lines_of(viewer)["last"]
    assert lines_of(viewer, f"since={last}&floor=0") == {"lines": [], "losses": [], "last": last, "more": False}
    line(dev, "an hour late", time=T0 - 3_600_000_000, sequence=1)
    made = line(dev, "now", time=T0 + 5, sequence=2)
    news = lines_of(viewer, f"since={last}&floor=0")
    assert texts(news) == ["an hour late", "now"]
    assert (news["last"], news["more"]) == (made.pk, False)
    # what does not fit is not looked at again
    assert lines_of(viewer, f"since={last}&floor=0&search=nothing") == {
        "lines": [], "losses": [], "last": made.pk, "more": False,
    }  # fmt: skip
    assert texts(lines_of(viewer, "since=x&floor=-")) == ["an hour late", "first", "now"]


def test_losses_stand_where_the_lines_would(viewer: Client) -> None:
    dev = device()
    line(dev, "before")
    loss = Loss.objects.create(
        device=dev, boot=boot(dev), first=1, last=17, reason="device", time=T0 + 9, lost_after=17
    )
    line(dev, "behind", time=T0 + 9, sequence=18)
    for page in (lines_of(viewer), lines_of(viewer, f"since=0&floor={T0}")):
        (found,) = page["losses"]
        assert found == {
            "id": loss.pk, "device": "dev-1", "time": T0 + 9, "boot": "1a2b3c4d", "first": 1, "last": 17,
            "reason": "device", "text": "17 lines given up by the device",
        }  # fmt: skip
    assert lines_of(viewer, f"since=0&floor={T0 + 10}")["losses"] == []


def test_the_page_brings_its_first_lines_along(viewer: Client) -> None:
    dev = device("<b>&</script>")
    line(dev, "</script><script>alert(1)</script>")
    page = viewer.get("/logs/?device=%3Cb%3E%26%3C/script%3E&device=nobody").text
    assert "alert(1)</script>" not in page
    stream = stream_of(page)
    assert texts(stream["first"]) == ["</script><script>alert(1)</script>"]
    assert stream["unknown"] == ["nobody"]
    assert 'data-live="/api/v1/live?device=%3Cb%3E%26%3C%2Fscript%3E"' in page
    assert "No line has come yet" not in page


def test_an_empty_page_teaches_how_to_get_lines(viewer: Client) -> None:
    device()
    page = viewer.get("/logs/").text
    assert "No line has come yet" in page
    assert "scripts/run --devices 3" in page
    assert "docs/device-logs.md" in page
    assert "No line has come from this device" in viewer.get("/devices/dev-1/?tab=logs").text


def test_choices_are_offered_as_one_types(viewer: Client) -> None:
    one, two = device("meter-1"), device("meter-2")
    line(one, "x", module="net_ctx")
    line(two, "x", module="app")
    assert viewer.get("/parts/logs/choices/?what=device&search=METER").json()["choices"] == ["meter-1", "meter-2"]
    assert viewer.get("/parts/logs/choices/?what=module").json()["choices"] == ["app", "net_ctx"]
    assert viewer.get("/parts/logs/choices/?what=module&device=meter-1").json()["choices"] == ["net_ctx"]
    assert viewer.get("/parts/logs/choices/?what=module&search=AP").json()["choices"] == ["app"]


def test_the_tab_says_what_a_device_costs_and_what_was_cut(viewer: Client) -> None:
    dev = device(profile=Profile.objects.create(name="chatty", logs_per_minute=1200, logs_days=None, logs_mib=8))
    line(dev, "x")
    Usage.objects.create(device=dev, lines=12_345, bytes=3 << 20, cut=17, counted_at=NOW)
    resource(dev, "/20/0/26241", "INTEGER", "2")
    for path in ("/devices/dev-1/?tab=logs", "/parts/devices/logs/dev-1/"):
        page = viewer.get(path).text
        for text in ("12,345", "3.0 MiB of 8 MiB", "17 lines", "1,200 lines a minute, for ever", "Warnings and errors"):
            assert text in page, text
    assert stream_of(viewer.get("/devices/dev-1/?tab=logs").text)["device"] == "dev-1"
    # looking is not operating
    assert "Set level" not in viewer.get("/devices/dev-1/?tab=logs").text


def test_the_level_is_set_by_an_ordinary_command(client: Client) -> None:
    dev = device(registered=True)
    Registration.objects.filter(device=dev).update(object_links=[{"url": "/20/3", "attributes": {}}])
    client.force_login(user("olga", "operator"))
    page = client.get("/devices/dev-1/?tab=logs").text
    form = page[page.index('class="logs-level"') :]
    fields = dict(
        re.findall(r'<input type="hidden" name="(kind|path|type)" value="([^"]*)"', form[: form.index("Read it")])
    )
    assert fields["path"] == "/20/3/26241"
    answer = client.post(
        "/commands/ask/dev-1/", {"kind": "write", "path": "/20/3/26241", "type": "INTEGER", "value": "4"}
    )
    assert answer.status_code == 302, answer.text
    command = Command.objects.get()
    assert (command.kind, command.path) == ("write", "/20/3/26241")
    assert command.arguments["node"]["value"] in {4, "4"}


def test_messages_that_nobody_understood_are_on_the_devices_page(viewer: Client) -> None:
    dev, server = device(), leshan()
    data = json.dumps({"ep": "dev-1", "path": "/dp", "hex": "deadbeef" + "41" * 16, "error": "unknown"}).encode()
    RawEvent.objects.create(
        server=server, device=dev, event_id="j-1", name="UNDECODED", data=data, size=len(data),
        error="SenML CBOR: a map has no value", received_at=NOW, decoded_at=NOW,
    )  # fmt: skip
    page = viewer.get("/devices/dev-1/?tab=connection").text
    for text in (
        "Messages not understood", "SenML CBOR: a map has no value", "Understood after all", "20 bytes from the device",
        "00000000  de ad be ef 41 41", "|....AAAAAAAAAAAA|",
    ):  # fmt: skip
        assert text in page, text


def test_a_payload_that_is_cut_gives_what_is_there() -> None:
    dump = payload_dump("UNDECODED", b'{"ep":"x","hex":"00ff4')
    assert dump is not None
    assert (dump.size, dump.whole) == (2, False)
    assert dump.lines == f"00000000  {'00 ff':<47}  |..|"
    assert payload_dump("SEND", b'{"hex":"00"}') is None
    assert payload_dump("UNDECODED", b"{\xff") is None
    assert hex_dump(b"") == ""


def test_what_devices_send_is_what_the_page_shows(viewer: Client) -> None:
    dev = device(profile=Profile.objects.create(name="default"))
    first = [LogEntry(1000, 3, "app", "Booting"), LogEntry(1500, 2, "modem", "weak")]
    messages = [
        (pack(LogMessage(boot_id=7, first=0, lost=0, uptime=2000, lines=first)), T0),
        (
            pack(LogMessage(boot_id=7, first=5, lost=3, uptime=9000, lines=[LogEntry(8000, 1, "os", "fault")])),
            T0 + 7_000_000,
        ),
        (b"\x09\x00", T0 + 8_000_000),
    ]
    messages_store([Incoming(dev.pk, data, received) for data, received in messages], at=NOW)
    page = lines_of(viewer)
    assert [(one["severity"], one["module"], one["boot"], one["sequence"]) for one in page["lines"]] == [
        (3, "app", "00000007", 0), (2, "modem", "00000007", 1), (1, "os", "00000007", 5), (0, "", None, None),
    ]  # fmt: skip
    assert [one["time"] for one in page["lines"]][:3] == [T0 - 1_000_000, T0 - 500_000, T0 + 6_000_000]
    assert page["lines"][-1]["problem"]
    assert [one["text"] for one in page["losses"]] == ["3 lines given up by the device"]
    assert lines_of(viewer, "since=0&floor=0")["lines"] == page["lines"]
    facts = viewer.get("/parts/devices/logs/dev-1/").text
    assert "600 lines a minute, 30 days" in facts
