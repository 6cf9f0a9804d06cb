"""Whatever devices upload is answered, and is either samples or kept raw in the journal; nobody else notices.

The corpus is made by hypothesis and sent to a running server by a device over plain CoAP.
"""

import itertools
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from tests.integration.conftest import NewStack
from tests.support.coap import OBSERVE, Answer, Message, ScriptedDevice
from tests.support.events import Event
from tests.support.stack import Stack
from tests.support.uploads import CBOR, OCTETS, SENML_CBOR, SENML_JSON, TEXT, TLV, Upload, senml_cbor, tlv, uploads
from tests.support.waiting import wait_for

EP, STEADY = "uploader-1", "steady-1"
MEBIBYTE = 1 << 20
corpus = settings(
    max_examples=120,
    derandomize=True,
    deadline=None,
    database=None,
    # a body is minimised by hand: each trial waits for the server
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


class Steady:
    """A device that Sends a counter, one value a tenth of a second, and notes how long each took."""

    def __init__(self, port: int) -> None:
        self._device = ScriptedDevice(STEADY, port)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.durations: list[float] = []
        self.failure: BaseException | None = None

    @contextmanager
    def reporting(self) -> Iterator["Steady"]:
        """While the block runs."""
        with self._device:
            self._thread.start()
            try:
                yield self
            finally:
                self._ended.set()
                self._thread.join(20)

    def _run(self) -> None:
        try:
            for count in itertools.count():
                begun = time.monotonic()
                self._device.send(f'[{{"n":"/3303/0/5700","v":{count}}}]')
                self.durations.append(time.monotonic() - begun)
                if self._ended.wait(0.1):
                    return
        except BaseException as error:  # told by the test, which is in another thread
            self.failure = error


@pytest.fixture(scope="module")
def server(new_stack: NewStack) -> Stack:
    """Leshan alone, with two devices that may use plain CoAP."""
    stack = new_stack(coap=True)
    stack.start_leshan()
    for endpoint in (EP, STEADY):
        credential = {"endpoint": endpoint, "tls": {"mode": "nosec"}}
        assert stack.leshan("PUT", "/api/security/clients", json=credential).status_code in {200, 204}
    return stack


def observed(request: Message) -> Answer:
    """Whatever is observed has no value yet."""
    return ("2.05", [(OBSERVE, b"")], b"") if request.code == "0.01" else ("4.04", (), b"")


@pytest.fixture(scope="module")
def steady(server: Stack) -> Iterator[Steady]:
    """The other device; when all is over it must have been served all the time."""
    assert server.coap_port is not None
    with Steady(server.coap_port).reporting() as other:
        yield other


@pytest.fixture(scope="module")
def device(server: Stack, steady: Steady) -> Iterator[ScriptedDevice]:
    """The device that uploads."""
    assert server.coap_port is not None
    with ScriptedDevice(EP, server.coap_port, observed) as one:
        yield one


def told(server: Stack, after: str) -> list[Event]:
    """What the journal says that the device has sent, since then."""
    names = {"SEND", "NOTIFICATION", "UNDECODED"}
    return [event for event in server.journal(after=after) if event.name in names and event.data["ep"] == EP]


def values(events: list[Event]) -> int:
    """How many values the events tell."""
    return sum(
        len(sample["nodes"]) for event in events if event.name != "UNDECODED" for sample in event.data["samples"]
    )


def assert_accounted(upload: Upload, events: list[Event]) -> None:
    """The body is told in samples, or kept raw with a reason, or both where a part of it is of no use."""
    kept = [event.data for event in events if event.name == "UNDECODED"]
    samples = [event for event in events if event.name != "UNDECODED"]
    assert samples or kept, upload
    assert len(kept) <= 1, upload
    assert len(samples) <= 1 or values(samples) > 20_000, upload
    for event in kept:
        assert event["hex"] == upload.body.hex(), upload
        assert event.get("contentFormat") == upload.format, event
        assert event["error"], event
        assert len(event["error"]) < 5000, event
        assert len(event["error"].splitlines()) == 1, event
    if upload.values is not None:
        assert not kept, f"{upload}: {kept}"
        assert values(samples) == upload.values, upload


def assert_decodable_later(server: Stack, event: Any) -> None:
    """What is kept can be given to `decode`, which understands it or says in one line why not."""
    if "contentFormat" not in event:
        return
    answer = server.leshan("POST", server.client_path(EP, "/decode"), json=event)
    if answer.status_code == 200:
        decoded = answer.json()
        assert decoded["errors"] or decoded["guessed"], decoded
    else:
        assert answer.status_code == 400, answer.text
        assert answer.text.startswith("Not decodable: "), answer.text
        assert len(answer.text.splitlines()) == 1, answer.text


@corpus
@given(upload=uploads)
@example(upload=Upload(SENML_JSON, b""))
@example(upload=Upload(SENML_JSON, b"[]", 0))
@example(upload=Upload(SENML_CBOR, b"\x80", 0))
@example(upload=Upload(SENML_JSON, b'[{"n":"/3303/0/5701","vs":"\\ud83d"}]'))
@example(upload=Upload(SENML_JSON, b'[{"n":"/3303/0/5700","v":1e999999999},{"n":"/3/0/9","v":80}]'))
@example(upload=Upload(SENML_JSON, b'[{"n":"/33999/0/0","v":1e-9999}]'))
@example(upload=Upload(SENML_CBOR, senml_cbor([{"n": "/3303/0/5700", "v": float("nan")}]), 1))
@example(upload=Upload(SENML_CBOR, senml_cbor([{"n": "/3303/0/5700", "v": 1}] * 3), 1))
def test_every_send_is_answered_and_accounted_for(server: Stack, device: ScriptedDevice, upload: Upload) -> None:
    """2.04, and either samples or UNDECODED with the whole body."""
    before = server.head()
    code = device.upload(upload.format, upload.body)
    assert code == "2.04", upload
    # the answer follows the commit: it is in the journal by now
    events = told(server, before)
    assert_accounted(upload, events)
    for event in events:
        if event.name == "UNDECODED":
            assert_decodable_later(server, event.data)


def _large() -> list[Upload]:
    series = b'[{"bn":"/3303/0/5700","bt":1700000000,"v":0.5}'
    count = 1
    parts = [series]
    size = len(series)
    while size < MEBIBYTE - 40:
        record = b',{"t":%d,"v":%d.5}' % (count, count)
        parts.append(record)
        size += len(record)
        count += 1
    return [
        Upload(SENML_JSON, b"".join([*parts, b"]"]), count),
        Upload(SENML_CBOR, b"\x9f" + b"\xa1\x02\x01" * (MEBIBYTE // 3 - 1) + b"\xff"),
        Upload(TLV, b"\x18\x00\x0f\xff\x00" * (MEBIBYTE // 5)),
    ]


@pytest.mark.parametrize("upload", _large(), ids=["series", "bare-records", "nested-tlv"])
def test_a_mebibyte_in_blocks(server: Stack, device: ScriptedDevice, upload: Upload) -> None:
    """Of the largest bodies nothing is lost either."""
    before = server.head()
    assert device.upload(upload.format, upload.body) == "2.04"
    assert_accounted(upload, told(server, before))


@pytest.fixture(scope="module")
def observations(server: Stack, device: ScriptedDevice) -> dict[str, Message]:
    """The requests that observe an instance, a resource and an object that no model knows."""
    paths = ("/3303/0", "/3303/0/5700", "/33999/0")
    for path in paths:
        # the empty value of some is of no use, which costs only the answer to this call
        assert server.leshan("POST", server.client_path(EP, f"{path}/observe")).status_code in {200, 500}
    return {path: next(request for request in device.requests if request.path == path) for path in paths}


_sequences = itertools.count(1)


@settings(corpus, max_examples=40)
@given(path=st.sampled_from(["/3303/0", "/3303/0/5700", "/33999/0"]), upload=uploads)
@example(path="/3303/0", upload=Upload(TLV, tlv(3, 5700, b"\x41\xac\x00\x00") + tlv(3, 5601, b"\x00")))
@example(path="/3303/0/5700", upload=Upload(TEXT, b"21.5", 1))
@example(path="/3303/0/5700", upload=Upload(CBOR, b"\xf9\x7e\x00", 1))
@example(path="/3303/0/5700", upload=Upload(OCTETS, b"\x01"))
@example(path="/33999/0", upload=Upload(TLV, tlv(3, 1, b"\x07")))
def test_every_notification_is_accounted_for(
    server: Stack, device: ScriptedDevice, observations: dict[str, Message], path: str, upload: Upload
) -> None:
    """Either samples or UNDECODED with the whole payload and the path."""
    upload = Upload(upload.format, upload.body[:1024])
    before = server.head()
    device.notify(observations[path], next(_sequences), upload.format, upload.body)

    def complete() -> list[Event] | None:
        events = told(server, before)
        # where both come UNDECODED is first
        undecoded = next((event.data for event in events if event.name == "UNDECODED"), None)
        partly = undecoded is not None and not_all_is_lost(server, undecoded)
        return events if len(events) > partly else None

    events = wait_for(complete, timeout=10, what=lambda: f"an event about {upload}\n{server.log_tails()}")
    assert_accounted(upload, events)
    for event in events:
        if event.name == "UNDECODED":
            assert event.data["received"] == "notification"
            assert event.data["path"] == path
            assert_decodable_later(server, event.data)


def not_all_is_lost(server: Stack, event: Any) -> bool:
    """Whether some values of it are understood, so that a second event tells them."""
    return "contentFormat" in event and server.leshan("POST", server.client_path(EP, "/decode"), json=event).ok


def test_the_server_is_well_and_the_other_was_undisturbed(
    server: Stack, device: ScriptedDevice, steady: Steady
) -> None:
    """After all that: every value of the other device came, none late; no thread is still busy with an upload."""
    assert steady.failure is None, steady.failure
    assert max(steady.durations) < 2, sorted(steady.durations)[-5:]
    sent = len(steady.durations)
    events = [event.data for event in server.journal() if event.name == "SEND" and event.data["ep"] == STEADY]
    counted = [float(event["val"]["/3303/0/5700"]["value"]) for event in events]
    assert counted[:sent] == [float(count) for count in range(sent)]
    assert server.leshan("GET", "/healthz").json()["status"] == "ok"
    assert device.upload(SENML_JSON, b'[{"n":"/3303/0/5700","v":1}]') == "2.04"

    process = server.processes["leshan"]
    os.kill(process.pid, signal.SIGQUIT)  # the JVM writes down what each thread does, and how full the heap is
    process.wait_for_line(r"(?s)Full thread dump.*Heap.*class space")
    dump = process.output().rpartition("Full thread dump")[2]
    assert "SampleDecoder" not in dump
    assert "SenmlReader" not in dump
    log = process.output()
    assert "OutOfMemoryError" not in log
    assert not re.findall(r"^.* ERROR .*$", log, re.MULTILINE)
