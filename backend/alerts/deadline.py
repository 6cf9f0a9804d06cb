"""One deadline for a whole exchange: timeouts of sockets begin anew with every byte that comes."""

import smtplib
import socket
import threading
import time
from contextlib import suppress
from typing import Any, Self

import requests
from django.core.mail.backends.smtp import EmailBackend
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError


class Deadline:
    """Connections made with `connect` are cut when the time is over, whatever is going on with them.

    Looking up a name is not cut: the resolver has timeouts of its own.
    """

    def __init__(self, seconds: float) -> None:
        """The time runs from `with` on."""
        self.seconds = seconds
        self._ends = 0.0
        self._lock = threading.Lock()
        # of this thread's connections: a second handle each, as TLS takes the first one away
        self._handles: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self.over = False

    def __enter__(self) -> Self:
        self._ends = time.monotonic() + self.seconds
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()
        for handle in self._handles:
            handle.close()

    def _cut(self) -> None:
        with self._lock:
            self.over = True
            for handle in self._handles:
                # the other side may have been faster
                with suppress(OSError):
                    handle.shutdown(socket.SHUT_RDWR)

    def connect(self, host: str, port: int) -> socket.socket:
        """As socket.create_connection: a name's addresses one after the other, within the time. Raises OSError."""
        refused: OSError = OSError("the name has no address")
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for number, (family, kind, protocol, _, address) in enumerate(found):
            left = self._ends - time.monotonic()
            if left <= 0 or self.over:
                raise TimeoutError("timed out")
            made = None
            try:
                made = socket.socket(family, kind, protocol)
                # one that does not answer leaves time for the others
                made.settimeout(left / (len(found) - number))
                made.connect(address)
                self._watch(made)
            except OSError as error:
                if made is not None:
                    made.close()
                refused = error
            else:
                made.settimeout(left)
                return made
        raise refused

    def _watch(self, connected: socket.socket) -> None:
        with self._lock:
            if self.over:
                raise TimeoutError("timed out")
            self._handles.append(connected.dup())


class _Adapter(HTTPAdapter):
    """Makes its connections within a deadline."""

    def __init__(self, deadline: Deadline) -> None:
        super().__init__()

        def connect(connection: HTTPConnection) -> socket.socket:
            try:
                made = deadline.connect(connection.host.strip("[]"), connection.port or connection.default_port)
            except socket.gaierror as error:
                raise NameResolutionError(connection.host, connection, error) from error
            except TimeoutError as error:
                raise ConnectTimeoutError(connection, "timed out") from error
            except OSError as error:
                raise NewConnectionError(connection, str(error)) from error
            for option in connection.socket_options or ():
                made.setsockopt(*option)
            return made

        class Plain(HTTPConnection):
            _new_conn = connect

        class Encrypted(HTTPSConnection):
            _new_conn = connect

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class EncryptedPool(HTTPSConnectionPool):
            ConnectionCls = Encrypted

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": EncryptedPool}


class HttpSession(requests.Session):
    """Within a deadline, with nothing from the machine's files and variables; follows no redirect."""

    def __init__(self, deadline: Deadline) -> None:
        """Connections are made when something is asked."""
        super().__init__()
        # no proxies, no passwords from files of the machine: what is sent is what is said here
        self.trust_env = False
        self.mount("http://", _Adapter(deadline))
        self.mount("https://", _Adapter(deadline))

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """None: even where it follows no redirect, requests reads the whole body of one."""
        return None


class MailConnection(EmailBackend):
    """Django's own, within a deadline."""

    def __init__(self, deadline: Deadline) -> None:
        """Connects when something is sent."""
        super().__init__()

        class Plain(smtplib.SMTP):
            def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
                made = deadline.connect(host, port)
                made.settimeout(timeout)
                return made

        class Encrypted(smtplib.SMTP_SSL, Plain):
            """Wraps what Plain connects."""

        self._class = Encrypted if self.use_ssl else Plain

    @property
    def connection_class(self) -> Any:
        """What the messages go through."""
        return self._class
