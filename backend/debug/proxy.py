"""Leshan's demo UI behind our login: a streaming reverse proxy for administrators.

All addresses in the demo UI are relative (`api/…`, `js/…`), so it works under any folder.
"""

import logging
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from backend.accounts.permissions import Permission, require
from backend.debug.leshan import LeshanError, leshan_open
from backend.debug.paths import PREFIX
from backend.debug.watch import while_allowed

logger = logging.getLogger(__name__)

LARGEST_BODY = 32 * 1024 * 1024
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
METHODS = SAFE | {"POST", "PUT", "DELETE", "PATCH"}
# everything else stays here: cookies, our session, the browser's own credentials, what is said hop by hop
REQUEST_HEADERS = (
    "Accept",
    "Content-Type",
    "If-Modified-Since",
    "If-None-Match",
    "Last-Event-ID",
    "Prefer",
    "Request-Id",
)
RESPONSE_HEADERS = ("Allow", "Content-Encoding", "Content-Language", "ETag", "Last-Modified", "Retry-After")


def text(status: int, said: str) -> HttpResponse:
    """An answer of our own: a sentence."""
    return HttpResponse(said + "\n", status=status, content_type="text/plain; charset=utf-8")


def foreign(request: HttpRequest) -> bool:
    """Does this request come from a page of another origin, or not say where from?

    The demo UI knows nothing of our CSRF token; the browser's own word stands in for it (Fetch Metadata; where that is
    missing, as on plain HTTP, the Origin that browsers send with every unsafe method).
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site != "same-origin"
    origin = request.headers.get("Origin")
    ours = f"{request.scheme}://{request.get_host()}"
    return origin != ours and origin not in settings.CSRF_TRUSTED_ORIGINS


def policy(request: HttpRequest) -> str:
    """What the demo UI needs (Vuetify makes a style element), and nothing but this folder of our server."""
    host = request.get_host()
    # a numeric IPv6 address cannot be written in a policy
    folder = "'self'" if host.startswith("[") else f"{request.scheme}://{host}{PREFIX}"
    return (
        f"default-src 'none'; script-src {folder}; style-src {folder} 'unsafe-inline'; img-src {folder} data:; "
        f"font-src {folder} data:; connect-src {folder}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def target(request: HttpRequest, rest: str) -> str:
    """Path and query for Leshan, byte for byte as the browser sent them: `%2F` in a name is no slash."""
    raw = getattr(request, "scope", {}).get("raw_path", b"").decode("latin-1")
    path = raw.removeprefix(PREFIX) if raw.startswith(PREFIX) else quote(rest)
    query = request.META.get("QUERY_STRING", "")
    return f"/{path}?{query}" if query else f"/{path}"


def _location(answer: httpx.Response) -> str | None:
    """Where a redirect leads, as an address under our prefix; None for one that leads out of Leshan."""
    here, there = urlsplit(settings.LESHAN_URL), urlsplit(str(answer.url.join(answer.headers["Location"])))
    if (here.scheme, here.netloc) != (there.scheme, there.netloc):
        return None
    return PREFIX + there.path.lstrip("/") + (f"?{there.query}" if there.query else "")


async def _body(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    except httpx.HTTPError as error:
        # the browser sees that the answer is cut off, and the demo UI opens its stream again
        logger.info("an answer of Leshan to the demo UI broke off: %s", error or type(error).__name__)
    finally:
        await answer.aclose()


def _headers(request: HttpRequest, answer: httpx.Response) -> dict[str, str]:
    headers = {name: answer.headers[name] for name in RESPONSE_HEADERS if name in answer.headers}
    headers["Content-Type"] = answer.headers.get("Content-Type", "application/octet-stream")
    headers["Content-Security-Policy"] = policy(request)
    cached = answer.headers.get("Cache-Control", "")
    headers["Cache-Control"] = cached if cached.startswith("private") else "no-store"
    # GZipMiddleware would make each chunk a gzip member of its own, of which browsers read the first only
    headers.setdefault("Content-Encoding", "identity")
    if headers["Content-Type"].startswith("text/event-stream"):
        headers["X-Accel-Buffering"] = "no"
    return headers


@csrf_exempt  # `foreign` asks for the same origin instead
@require(Permission.ADMINISTER)
async def proxy(request: HttpRequest, rest: str = "") -> HttpResponseBase:
    """One request of the demo UI, passed on to Leshan, and its answer as it comes."""
    method = request.method or ""
    if method not in METHODS:
        return text(405, "This method is not passed on to Leshan.")
    if method not in SAFE and foreign(request):
        return text(
            403,
            "This request does not come from a page of this server, so it is not passed on to Leshan. "
            "Use the demo UI in a browser, opened from Settings.",
        )
    content = request.read(LARGEST_BODY + 1)
    if len(content) > LARGEST_BODY:
        return text(413, f"More than {LARGEST_BODY // 1024 // 1024} MiB are not passed on to Leshan.")
    headers = {name: request.headers[name] for name in REQUEST_HEADERS if name in request.headers}
    stream = "text/event-stream" in headers.get("Accept", "")
    try:
        answer = await leshan_open(
            method=method, target=target(request, rest), headers=headers, content=content, stream=stream
        )
    except LeshanError as error:
        return text(502, str(error))
    passed = _headers(request, answer)
    if answer.is_redirect and "Location" in answer.headers:
        location = _location(answer)
        await answer.aclose()
        if location is None:
            return text(502, "Leshan answered with a redirect to another server, which is not followed.")
        passed["Location"] = location
        return HttpResponse(status=answer.status_code, headers=passed)
    if method == "HEAD" or answer.status_code in {204, 304}:
        await answer.aclose()
        return HttpResponse(status=answer.status_code, headers=passed)
    chunks: Any = while_allowed(_body(answer), session_key=request.session.session_key)
    if "Content-Length" in answer.headers:
        passed["Content-Length"] = answer.headers["Content-Length"]
    return StreamingHttpResponse(chunks, status=answer.status_code, headers=passed)
