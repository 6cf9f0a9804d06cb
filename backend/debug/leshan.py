"""Async HTTP to Leshan: one client per event loop, with the bearer token, without cookies and without redirects."""

import asyncio
from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from weakref import WeakKeyDictionary

import httpx
from django.conf import settings

from backend.config.leshan import Token

CONNECT_SECONDS = 3.05
# a request to a device may take its own time; an idle event stream says something every 5 s
ANSWER_SECONDS = 180.0
SILENCE_SECONDS = 30.0

_clients: "WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient]" = WeakKeyDictionary()


class LeshanError(Exception):
    """Leshan cannot be asked; one sentence that says why and what to do."""


def _client() -> httpx.AsyncClient:
    """The running event loop's client: connections cannot be shared between loops."""
    loop = asyncio.get_running_loop()
    if loop not in _clients:
        _clients[loop] = httpx.AsyncClient(
            # what Leshan is told for one person must not reach it with the request of another
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
            # a proxy for the outer world is none for our own server
            trust_env=False,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=8),
        )
    return _clients[loop]


def _reason(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.ConnectTimeout):
        return "no connection in time"
    if isinstance(error, httpx.ConnectError):
        return "nobody listens there"
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    return str(error) or type(error).__name__


async def leshan_open(
    *, method: str, target: str, headers: Mapping[str, str], content: bytes = b"", stream: bool = False
) -> httpx.Response:
    """Sends a request; the answer's body is still to be read, and the answer to be closed (`aclose`).

    `target` is the path and query as they go over the wire, from the slash on. `stream`: an event stream is asked for.
    A token that has been renewed in its file meanwhile is read again. Raises LeshanError.
    """
    token = Token(text=settings.LESHAN_TOKEN, file=settings.LESHAN_TOKEN_FILE)
    client = _client()
    url = settings.LESHAN_URL
    read = SILENCE_SECONDS if stream else ANSWER_SECONDS
    sent = {**headers, "Accept-Encoding": "identity", "User-Agent": "FlowNexus"}
    if token.value():
        sent["Authorization"] = f"Bearer {token.value()}"
    try:
        request = client.build_request(
            method,
            url + target,
            headers=sent,
            content=content or None,
            timeout=httpx.Timeout(CONNECT_SECONDS, read=read, write=read),
        )
        answer = await client.send(request, stream=True)
    except (httpx.InvalidURL, UnicodeError) as error:
        # UnicodeError: a header that is not ASCII
        raise LeshanError(f"This cannot be asked for: {error}") from None
    except httpx.HTTPError as error:
        raise LeshanError(
            f"Leshan cannot be reached at {url} ({_reason(error)}). Is it running? scripts/run starts it; "
            "its log says why it stopped."
        ) from None
    if answer.status_code == 401:
        await answer.aclose()
        raise LeshanError(
            f"Leshan at {url} does not accept our token ({token.source}). "
            "Both must use the same file: see docs/settings.md."
        )
    return answer
