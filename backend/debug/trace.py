"""The CoAP messages of one device, live, as server-sent events."""

from collections.abc import AsyncIterator
from urllib.parse import quote

import httpx
import orjson
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from backend.accounts.permissions import Permission, require
from backend.debug.leshan import LeshanError, leshan_open
from backend.debug.proxy import text
from backend.debug.watch import while_allowed
from backend.devices.models import Device

ALIVE = b": still here\n\n"
# one message with its payload in three notations is far below
LARGEST_EVENT = 4 * 1024 * 1024


def event(name: str, data: object) -> bytes:
    """As it goes over the wire (HTML Living Standard, 9.2)."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), orjson.dumps(data))


class TraceFilter:
    """Cuts Leshan's event stream into events and lets only those of CoAP messages pass."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self._rest = b""

    def feed(self, chunk: bytes) -> bytes:
        """What of the complete events so far may pass; other events and comments become a sign of life."""
        # Leshan ends lines with LF; CRLF and CR are as good in an event stream
        self._rest = (self._rest + chunk).replace(b"\r\n", b"\n")
        *blocks, self._rest = self._rest.split(b"\n\n")
        if len(self._rest) > LARGEST_EVENT:
            self._rest = b""
        passed = [block + b"\n\n" for block in blocks if b"event: COAPLOG" in block.split(b"\n")]
        return b"".join(passed) or (ALIVE if blocks else b"")


async def _trace(endpoint: str) -> AsyncIterator[bytes]:
    try:
        answer = await leshan_open(
            method="GET",
            target=f"/api/event?ep={quote(endpoint, safe='')}",
            headers={"Accept": "text/event-stream"},
            stream=True,
        )
    except LeshanError as error:
        yield event("lost", {"reason": str(error)})
        return
    try:
        if answer.status_code != 200:
            yield event("lost", {"reason": f"Leshan does not give its events: it answers {answer.status_code}."})
            return
        yield event("hello", {})
        passing = TraceFilter()
        async for chunk in answer.aiter_raw():
            if passed := passing.feed(chunk):
                yield passed
        yield event("lost", {"reason": "Leshan has ended the stream: it is being stopped or restarted."})
    except httpx.HTTPError:
        yield event("lost", {"reason": "The connection to Leshan broke."})
    finally:
        await answer.aclose()


@require(Permission.ADMINISTER)
@require_safe
async def trace(request: HttpRequest) -> HttpResponseBase:
    """`?ep=ENDPOINT`: `hello`, then a COAPLOG event per CoAP message; `lost` with the reason where that ends."""
    endpoint = request.GET.get("ep", "")
    if not await Device.objects.filter(endpoint=endpoint).aexists():
        return text(404, f"There is no device with the endpoint name “{endpoint}”.")
    response = StreamingHttpResponse(
        while_allowed(_trace(endpoint), session_key=request.session.session_key),
        content_type="text/event-stream; charset=utf-8",
    )
    response.headers["Cache-Control"] = "no-store"
    # compression would hold messages back, in GZipMiddleware and in a proxy alike
    response.headers["Content-Encoding"] = "identity"
    response.headers["X-Accel-Buffering"] = "no"
    return response
