"""What devices send that is no plain value: log messages, unknown types, a wrong clock, what is read later."""

from typing import Any

import pytest
from django.db import connection

from backend.devices.models import Change, Device, DeviceEvent, RawEvent, Resource
from backend.logs.format import LogEntry, LogMessage, pack
from backend.logs.models import Line
from backend.sync.events import ReadDone, Reading, Redecoded
from backend.sync.exceptions import AnswerTimeoutError
from backend.sync.ingest import Ingest
from backend.sync.redecode import DecodeAgain, Redecoding
from backend.sync.work import DefinitionsDone
from backend.telemetry.buckets import HOUR
from backend.telemetry.models import Level, Rollup, Sample, StaleHour
from backend.telemetry.services import rollups_step
from tests.unit.sync.conftest import RECEIVED, Store
from tests.unit.sync.samples import event, node, notification

pytestmark = [pytest.mark.django_db, pytest.mark.database]

DEVICE_MS = 1_795_368_850_000
LINES = [LogEntry(1000, 3, "main", "up"), LogEntry(1500, 1, "sensor", "no answer")]
MESSAGE = pack(LogMessage(boot_id=7, first=0, lost=0, uptime=2000, lines=LINES))


def send(id_: str, nodes: dict[str, Any], *, time: int | None = None, **more: Any) -> bytes:
    samples = [{"time": time, "nodes": nodes}]
    return event(id_, "SEND", {"ep": "sim-1", "val": {}, "time": DEVICE_MS, "samples": samples} | more)


def log_message(id_: str) -> bytes:
    return send(id_, {"/20/0/4014": node(4014, "OPAQUE", MESSAGE.hex())})


def test_a_log_message_becomes_lines_and_no_sample(store: Store) -> None:
    store(log_message("j-1"), notification("j-2", "sim-1", 1.0))
    assert list(Line.objects.order_by("sequence").values_list("sequence", "module", "text")) == [
        (0, "main", "up"),
        (1, "sensor", "no answer"),
    ]
    assert list(Resource.objects.values_list("path", flat=True)) == ["/3303/0/5700"]
    assert Sample.objects.count() == 1
    assert Change.objects.filter(kind=Change.Kind.LOGS, device_id=Device.objects.get().pk).count() == 1
    # the device had no 2.04 and sends it again
    store(log_message("j-3"))
    assert Line.objects.count() == 2


def test_a_log_message_that_was_read_counts_the_same(store: Store, ingest: Ingest) -> None:
    store(log_message("j-1"))
    reading = ("/20/0/4014", "OPAQUE", None, MESSAGE.hex(), None)
    ingest.store([ReadDone("sim-1", "/20/0", [reading], [], received=RECEIVED)], received=RECEIVED)
    assert Line.objects.count() == 2
    assert not Resource.objects.exists()


def test_an_opaque_4014_elsewhere_is_a_value(store: Store) -> None:
    store(send("j-1", {"/33000/0/4014": node(4014, "OPAQUE", "00ff")}))
    assert Resource.objects.get().value == "00ff"
    assert not Line.objects.exists()


def test_what_has_no_known_type_is_shown_but_is_no_sample(store: Store) -> None:
    nodes = {"/33999/0/1": node(1, "OPAQUE", "2a"), "/3303/0/5700": node(5700, "FLOAT", "21.5")}
    store(send("j-1", nodes, guessed=["/33999/0/1"]))
    assert dict(Resource.objects.values_list("path", "value")) == {"/33999/0/1": "2a", "/3303/0/5700": "21.5"}
    assert list(Sample.objects.values_list("series__path", flat=True)) == ["/3303/0/5700"]


def test_what_was_kept_raw_lands_at_its_own_time_once(store: Store, ingest: Ingest) -> None:
    undecoded = {"ep": "sim-1", "format": "TLV", "contentFormat": 11542, "hex": "c1012a", "error": "no model"}
    store(
        send("j-1", {"/33999/0/1": node(1, "OPAQUE", "2a")}, guessed=["/33999/0/1"]),
        event("j-2", "UNDECODED", undecoded | {"path": "/33999/0", "time": DEVICE_MS}),
    )
    raw = RawEvent.objects.get()
    item = Redecoded(raw.pk, "sim-1", [("/33999/0/1", "INTEGER", 42.0, None, None)], DEVICE_MS * 1000, whole=True)
    for _ in range(2):
        ingest.store([item], received=RECEIVED)
    assert list(Sample.objects.values_list("series__path", "time", "number")) == [
        ("/33999/0/1", DEVICE_MS * 1000, 42.0)
    ]
    assert Resource.objects.get().value == "42"
    raw.refresh_from_db()
    assert raw.decoded_at is not None
    assert DeviceEvent.objects.filter(kind=DeviceEvent.Kind.DECODED).count() == 1


def test_a_part_that_can_be_read_leaves_the_rest_raw(store: Store, ingest: Ingest) -> None:
    store(event("j-1", "UNDECODED", {"ep": "sim-1", "format": "x", "hex": "00", "error": "no", "time": DEVICE_MS}))
    Device.objects.get_or_create(endpoint="sim-1")
    RawEvent.objects.update(device=Device.objects.get())
    raw = RawEvent.objects.get()
    item = Redecoded(raw.pk, "sim-1", [("/1/0/1", "INTEGER", 1.0, None, None)], DEVICE_MS * 1000, whole=False)
    ingest.store([item], received=RECEIVED)
    raw.refresh_from_db()
    assert raw.decoded_at is None
    assert Sample.objects.count() == 1


def test_a_text_with_nul_that_is_read_later(store: Store, ingest: Ingest) -> None:
    undecoded = {"ep": "sim-1", "format": "TLV", "contentFormat": 11542, "hex": "00", "error": "no model"}
    store(
        send("j-1", {"/33999/0/1": node(1, "OPAQUE", "2a")}, guessed=["/33999/0/1"]),
        event("j-2", "UNDECODED", undecoded | {"path": "/33999/0", "time": DEVICE_MS}),
    )
    raw = RawEvent.objects.get()
    item = Redecoded(raw.pk, "sim-1", [("/33999/0/1", "STRING", None, "a\0b", None)], DEVICE_MS * 1000, whole=True)
    assert ingest.store([item], received=RECEIVED).errors == 0
    kept = "a\0b" if connection.vendor == "sqlite" else "a\ufffdb"
    assert Sample.objects.get().text == Resource.objects.get().value == kept
    raw.refresh_from_db()
    assert raw.decoded_at is not None


def test_a_part_that_was_read_before_is_no_news(store: Store, ingest: Ingest) -> None:
    """The rest of the message comes to nothing each time that it is tried, at every start."""
    store(
        event("j-1", "UNDECODED", {"ep": "sim-1", "format": "x", "hex": "00", "error": "no", "time": DEVICE_MS}),
        send("j-2", {"/3303/0/5700": node(5700, "FLOAT", "21.5")}),
    )
    RawEvent.objects.update(device=Device.objects.get())
    raw, at = RawEvent.objects.get(), DEVICE_MS * 1000
    old: Reading = ("/3303/0/5700", "FLOAT", 21.5, None, None)
    for _ in range(2):
        ingest.store([Redecoded(raw.pk, "sim-1", [old], at, whole=False)], received=RECEIVED)
    assert not DeviceEvent.objects.filter(kind=DeviceEvent.Kind.DECODED).exists()
    assert Sample.objects.count() == 1
    # one more than before
    more: list[Reading] = [old, ("/3303/1/5700", "FLOAT", 22.5, None, None)]
    for _ in range(2):
        ingest.store([Redecoded(raw.pk, "sim-1", more, at, whole=False)], received=RECEIVED)
    event_ = DeviceEvent.objects.get(kind=DeviceEvent.Kind.DECODED)
    assert event_.text == "A part of a message is understood now: 1 value"
    assert Sample.objects.count() == 2


def test_a_part_whose_samples_are_gone_is_not_added_to_the_rollups_again(store: Store, ingest: Ingest) -> None:
    store(
        event("j-1", "UNDECODED", {"ep": "sim-1", "format": "x", "hex": "00", "error": "no", "time": DEVICE_MS}),
        send("j-2", {"/3303/0/5700": node(5700, "FLOAT", "21.5")}),
    )
    RawEvent.objects.update(device=Device.objects.get())
    rollups_step(now=DEVICE_MS * 1000 + 2 * HOUR, budget=10)
    ingest.rolled_up(None)
    # as its retention leaves it
    Sample.objects.all().delete()
    Rollup.objects.filter(level=Level.HOUR).update(kept_since=None)
    old: Reading = ("/3303/0/5700", "FLOAT", 21.5, None, None)
    raw = RawEvent.objects.get()
    ingest.store([Redecoded(raw.pk, "sim-1", [old], DEVICE_MS * 1000, whole=False)], received=RECEIVED)
    assert not Sample.objects.exists()
    assert not StaleHour.objects.exists()


def test_messages_are_tried_again_after_every_start() -> None:
    asked: list[int] = []

    class Rows:
        def __call__(self, action: object) -> list[object]:
            asked.append(1)
            return []

    made = Redecoding(retry=Rows(), submit=lambda _: None, server_id=1)
    made.definitions(DefinitionsDone({}, frozenset(), error="Leshan is away"))
    assert len(asked) == 0
    made.definitions(DefinitionsDone({}, frozenset()))
    made.definitions(DefinitionsDone({}, frozenset()))
    assert len(asked) == 1
    made.definitions(DefinitionsDone({}, frozenset({33999})))
    assert len(asked) == 2


def test_a_message_that_takes_too_long_holds_up_no_other() -> None:
    class Slow:
        def decode(self, endpoint: str, message: object) -> None:
            raise AnswerTimeoutError("30 s")

    assert DecodeAgain(1, "sim-1", b'{"time": 1, "hex": "00"}').run(Slow()) is None  # type: ignore[arg-type]


def test_the_time_that_a_device_says_is_compared_with_ours(store: Store) -> None:
    stored = store(send("j-1", {"/3/0/13": node(13, "TIME", 60_000)}))
    assert stored.clocks == {"sim-1": pytest.approx(60 - DEVICE_MS / 1000)}
    # one that was collected earlier says nothing about now
    assert store(send("j-2", {"/3/0/13": node(13, "TIME", 60_000)}, time=DEVICE_MS - 5000)).clocks == {}
    # as of one that waited for two hours until we took it
    late = store(send("j-3", {"/3/0/13": node(13, "TIME", 60_000)}), received=DEVICE_MS * 1000 + 2 * HOUR)
    assert late.clocks == {}


def test_hours_are_marked_once_and_again_when_they_are_summed_up(store: Store, ingest: Ingest) -> None:
    stored = store(notification("j-1", "sim-1", 1.0))
    assert stored.told == {Device.objects.get().pk}
    mark = StaleHour.objects.get()
    assert mark.hour == DEVICE_MS * 1000 // HOUR
    StaleHour.objects.all().delete()
    store(notification("j-2", "sim-1", 2.0, time=DEVICE_MS + 1))
    assert not StaleHour.objects.exists(), "a known mark is not written again"
    ingest.rolled_up({(mark.series_id, mark.hour)})
    store(notification("j-3", "sim-1", 3.0, time=DEVICE_MS + 2))
    assert StaleHour.objects.count() == 1
