"""A few bytes of CoAP (RFC 7252) for clients that are not ours: over plain UDP, and over DTLS by OpenSSL."""

import contextlib
import itertools
import secrets
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.processes import free_port
from tests.support.waiting import wait_for

OBSERVE, LOCATION_PATH, URI_PATH, CONTENT_FORMAT, URI_QUERY, BLOCK1 = 6, 8, 11, 12, 15, 27
TEXT, LINK_FORMAT, SENML_JSON = 0, 40, 110
CON, ACK = 0, 2
METHODS = {1: "GET", 2: "POST", 3: "PUT", 4: "DELETE", 5: "FETCH", 7: "IPATCH"}
Options = Sequence[tuple[int, bytes]]
BLOCK_BYTES, BLOCK_EXPONENT = 1024, 6


def uint(number: int) -> bytes:
    """A number as the value of an option (RFC 7252, 3.2)."""
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


@dataclass(frozen=True)
class Message:
    """A CoAP message; `code` is "0.02" for POST, "2.05" for Content."""

    type: int
    code: str
    id: int
    token: bytes
    options: Options = ()
    payload: bytes = b""

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """The message in a datagram (RFC 7252, 3)."""
        token_length = raw[0] & 15
        at = 4 + token_length
        options, number, payload = [], 0, b""
        while at < len(raw):
            if raw[at] == 0xFF:
                payload = raw[at + 1 :]
                break
            sizes = []
            nibbles, at = (raw[at] >> 4, raw[at] & 15), at + 1
            for nibble in nibbles:
                extra = {13: 1, 14: 2}.get(nibble, 0)
                more = int.from_bytes(raw[at : at + extra], "big")
                sizes.append(nibble if extra == 0 else more + (13 if extra == 1 else 269))
                at += extra
            number += sizes[0]
            options.append((number, raw[at : at + sizes[1]]))
            at += sizes[1]
        code = f"{raw[1] >> 5}.{raw[1] & 31:02}"
        return cls(raw[0] >> 4 & 3, code, int.from_bytes(raw[2:4], "big"), raw[4 : 4 + token_length], options, payload)

    def encode(self) -> bytes:
        """The datagram."""
        kind, detail = self.code.split(".")
        raw = bytes([0x40 | self.type << 4 | len(self.token), int(kind) << 5 | int(detail)])
        raw += self.id.to_bytes(2, "big") + self.token
        last = 0
        for number, value in sorted(self.options, key=lambda option: option[0]):
            raw += _option(number - last, value)
            last = number
        return raw + (b"\xff" + self.payload if self.payload else b"")

    @property
    def path(self) -> str:
        """`/3/0/9`."""
        return "/" + "/".join(value.decode() for number, value in self.options if number == URI_PATH)


def _request(code: str, options: Options, payload: bytes, token: bytes | None = None) -> Message:
    """A confirmable request."""
    return Message(CON, code, secrets.randbelow(0x10000), token or secrets.token_bytes(8), options, payload)


def _option(delta: int, value: bytes) -> bytes:
    def nibble(number: int) -> tuple[int, bytes]:
        if number < 13:
            return number, b""
        if number < 269:
            return 13, bytes([number - 13])
        return 14, (number - 269).to_bytes(2, "big")

    high, more_delta = nibble(delta)
    low, more_length = nibble(len(value))
    return bytes([high << 4 | low]) + more_delta + more_length + value


def register_message(
    endpoint: str, token: bytes | None = None, *, lifetime: int = 300, objects: str = "</3/0>,</3303/0>"
) -> Message:
    """A confirmable LwM2M 1.1 Register (LwM2M Core 1.1, 6.2.1)."""
    queries = (f"ep={endpoint}", f"lt={lifetime}", "lwm2m=1.1", "b=U")
    options = [
        (URI_PATH, b"rd"),
        (CONTENT_FORMAT, bytes([LINK_FORMAT])),
        *((URI_QUERY, text.encode()) for text in queries),
    ]
    return _request("0.02", options, objects.encode(), token)


def response_code(received: bytes, token: bytes) -> str | None:
    """The code ("2.01") of the response with this token in the received bytes."""
    at = received.find(token)
    return f"{received[at - 3] >> 5}.{received[at - 3] & 31:02}" if at >= 4 else None


def register_plain(endpoint: str, port: int, *, host: str = "127.0.0.1") -> tuple[str, int]:
    """Registers over plain CoAP; returns the response's code and the port that it was sent from."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.closing(socket.socket(family, socket.SOCK_DGRAM)) as udp:
        udp.settimeout(10)
        udp.connect((host, port))
        udp.send(register_message(endpoint).encode())
        port_here: int = udp.getsockname()[1]
        return Message.parse(udp.recv(2048)).code, port_here


Answer = tuple[str, Options, bytes]


def no_such_thing(request: Message) -> Answer:
    """A device that has nothing."""
    return "4.04", (), b""


class ScriptedDevice:
    """A LwM2M client over plain CoAP; `answer` says to each request: code, options, payload."""

    def __init__(
        self,
        endpoint: str,
        server_port: int,
        answer: Callable[[Message], Answer] = no_such_thing,
        *,
        lifetime: int = 300,
    ) -> None:
        self.endpoint = endpoint
        self.requests: list[Message] = []
        self._answer = answer
        self._lifetime = lifetime
        self._ids = itertools.count(secrets.randbelow(0x10000))
        self._responses: dict[bytes, Message] = {}
        self._answered = threading.Condition()
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.settimeout(0.1)
        self._udp.connect(("127.0.0.1", server_port))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        """Registers."""
        self._thread.start()
        response = self.ask(register_message(self.endpoint, lifetime=self._lifetime))
        assert response.code == "2.01", f"{self.endpoint}: {response}"
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        """Is gone, without a word."""
        self._ended.set()
        self._thread.join(10)
        self._udp.close()

    def ask(self, request: Message) -> Message:
        """Sends a request; returns the response. Loopback loses nothing: there are no retransmissions."""
        # a message id that comes again within minutes would be taken for a repetition (RFC 7252, 4.5)
        request = replace(request, id=next(self._ids) % 0x10000)
        self._udp.send(request.encode())
        with self._answered:
            there = self._answered.wait_for(lambda: request.token in self._responses, timeout=10)
            assert there, f"{self.endpoint}: no answer to {request}"
            return self._responses.pop(request.token)

    def send(self, records: str) -> None:
        """A LwM2M Send of SenML JSON (LwM2M Core 1.1, 6.4.6)."""
        options = [(URI_PATH, b"dp"), (CONTENT_FORMAT, bytes([SENML_JSON]))]
        response = self.ask(_request("0.02", options, records.encode()))
        assert response.code == "2.04", f"{self.endpoint}: {response}"

    def send_series(self, path: str, *, start: int, count: int = 60) -> None:
        """A Send of so many numbers, one a second from `start` (seconds since 1970) on: some 8 kB in the journal."""
        more = "".join(f',{{"t":{second},"v":{second}.5}}' for second in range(1, count))
        self.send(f'[{{"bn":"{path}","bt":{start},"v":0.5}}{more}]')

    def upload(self, content_format: int | None, payload: bytes) -> str:
        """A Send of anything, block by block (RFC 7959) where it is long; returns the code of the last answer."""
        options = [(URI_PATH, b"dp")]
        if content_format is not None:
            options.append((CONTENT_FORMAT, uint(content_format)))
        if len(payload) <= BLOCK_BYTES:
            return self.ask(_request("0.02", options, payload)).code
        for number, start in enumerate(range(0, len(payload), BLOCK_BYTES)):
            more = start + BLOCK_BYTES < len(payload)
            block = uint(number << 4 | more << 3 | BLOCK_EXPONENT)
            request = _request("0.02", [*options, (BLOCK1, block)], payload[start : start + BLOCK_BYTES])
            code = self.ask(request).code
            if code != "2.31":
                break
        return code

    def notify(self, observation: Message, sequence: int, content_format: int | None, payload: bytes) -> None:
        """A confirmable notification of anything that fits into a datagram (RFC 7641, 4.2); its ACK is not awaited."""
        options = [(OBSERVE, uint(sequence))]
        if content_format is not None:
            options.append((CONTENT_FORMAT, uint(content_format)))
        message = Message(CON, "2.05", next(self._ids) % 0x10000, observation.token, options, payload)
        self._udp.send(message.encode())

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                message = Message.parse(self._udp.recv(4096))
            except (TimeoutError, ConnectionRefusedError):
                continue
            if message.code == "0.00":
                continue
            if not message.code.startswith("0."):
                with self._answered:
                    self._responses[message.token] = message
                    self._answered.notify_all()
                if message.type == CON:
                    self._udp.send(Message(ACK, "0.00", message.id, b"").encode())
                continue
            self.requests.append(message)
            code, options, payload = self._answer(message)
            kind = ACK if message.type == CON else 1
            self._udp.send(Message(kind, code, message.id, message.token, options, payload).encode())


class OpenSslClient:
    """One `openssl s_client -dtls1_2`: a DTLS client that shares no code with the server.

    The server's chain is verified against `ca`; a failure ends the handshake. It sends from `port`, which is free for
    this client only, so that the server's words about it can be found.
    """

    def __init__(self, host: str, server_port: int, *arguments: str, ca: Path, log: Path) -> None:
        self._log = log
        self.port = free_port()
        literal = f"[{host}]" if ":" in host else host
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [
                    "openssl", "s_client", "-dtls1_2", "-timeout", "-nocommands",
                    "-bind", f"{literal}:{self.port}", "-connect", f"{literal}:{server_port}",
                    "-CAfile", str(ca), "-verify_return_error", *arguments,
                ],
                stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT,
            )  # fmt: skip

    @classmethod
    def with_certificate(
        cls, host: str, server_port: int, certificate: Path, key: Path, *, ca: Path, log: Path
    ) -> Self:
        """With an X.509 identity."""
        return cls(host, server_port, "-cert", str(certificate), "-key", str(key), ca=ca, log=log)

    @classmethod
    def with_psk(cls, host: str, server_port: int, identity: str, key: str, *, ca: Path, log: Path) -> Self:
        """With a pre-shared key (hex)."""
        suite = ("-cipher", "PSK-AES128-CCM8:@SECLEVEL=0")
        return cls(host, server_port, "-psk_identity", identity, "-psk", key, *suite, ca=ca, log=log)

    def __enter__(self) -> Self:
        """The client ends with the block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        """Ends it, friendly first."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(3)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)

    def received(self) -> bytes:
        """All that it has printed: the handshake's story and what the server sent."""
        return self._log.read_bytes()

    def story(self) -> str:
        """The same, as text."""
        return self.received().decode(errors="replace")

    def connected(self, timeout: float = 15.0) -> bool:
        """Did the handshake succeed? Waits until that is known: s_client prints the session or ends."""

        wait_for(
            lambda: b"Verify return code" in self.received() or self._process.poll() is not None,
            timeout=timeout,
            what=lambda: f"the handshake's end:\n{self.story()}",
        )
        return b"Verify return code: 0 (ok)" in self.received() and b":error:" not in self.received()

    def register(self, endpoint: str, timeout: float = 15.0) -> str:
        """Sends a Register through the association; returns the response's code."""
        token = secrets.token_bytes(8)
        assert self._process.stdin is not None
        self._process.stdin.write(register_message(endpoint, token).encode())
        self._process.stdin.flush()
        return wait_for(
            lambda: response_code(self.received(), token),
            timeout=timeout,
            what=lambda: f"an answer to the registration:\n{self.story()}",
        )
