"""The API itself: how it answers errors, and what all its operations share."""

import logging
from typing import Annotated, Any

import orjson
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import register_converter
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.parser import Parser
from ninja.renderers import BaseRenderer
from pydantic import Field

from backend.accounts.models import User
from backend.api import schemas
from backend.api.auth import viewer
from backend.config.streaming import RETRY_SECONDS, TooManyDownloadsError
from backend.devices.models import Device
from backend.devices.selectors import device_get

logger = logging.getLogger(__name__)


class TextConverter:
    """Any text in an address, slashes and line breaks included."""

    regex = "(?s:.+)"

    def to_python(self, value: str) -> str:
        """As it is."""
        return value

    def to_url(self, value: str) -> str:
        """As it is; `reverse` quotes it."""
        return value


register_converter(TextConverter, "text")


class OrjsonRenderer(BaseRenderer):
    """JSON by orjson: fast, and never NaN (null instead)."""

    media_type = "application/json"

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> bytes:
        """UTF-8 bytes."""
        return orjson.dumps(data, option=orjson.OPT_NON_STR_KEYS)


class OrjsonParser(Parser):
    """Bodies by orjson: what is no JSON, or no text, is refused."""

    def parse_body(self, request: HttpRequest) -> Any:
        """The body as Python values. Raises ValueError."""
        return orjson.loads(request.body)


api = NinjaAPI(
    title="FlowNexus",
    version="1",
    description="Devices, what they say, what they are asked. Sign in on the web page; the session is the credential.",
    # no page with scripts from elsewhere; the description itself is at openapi.json
    docs_url=None,
    openapi_url=None,
    urls_namespace="api",
    auth=viewer,
    renderer=OrjsonRenderer(),
    parser=OrjsonParser(),
)


# -- errors: JSON with one sentence


def problem(request: HttpRequest, status: int, detail: str) -> HttpResponse:
    """An error answer."""
    return api.create_response(request, {"detail": detail}, status=status)


@api.exception_handler(AuthenticationError)
def _unauthenticated(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    return problem(request, 401, "Sign in first: this takes the session of somebody who is signed in.")


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    sentences = []
    for one in error.errors:
        name = next((str(part) for part in reversed(one["loc"]) if isinstance(part, str)), "")
        message = str(one["msg"]).removeprefix("Value error, ").removeprefix("Input ")
        sentences.append(f"{name}: {message[:1].lower()}{message[1:]}")
    return problem(request, 422, "; ".join(sentences))


@api.exception_handler(HttpError)
def _refused(request: HttpRequest, error: HttpError) -> HttpResponse:
    if isinstance(error.__cause__, orjson.JSONDecodeError):
        return problem(request, 400, f"The body is no JSON: {error.__cause__.msg} in line {error.__cause__.lineno}.")
    return problem(request, error.status_code, str(error))


@api.exception_handler(RequestDataTooBig)
def _too_big(request: HttpRequest, error: RequestDataTooBig) -> HttpResponse:
    return problem(request, 413, f"The body is too large: {settings.DATA_UPLOAD_MAX_MEMORY_SIZE:,} bytes are taken.")


@api.exception_handler(Http404)
def _missing(request: HttpRequest, error: Http404) -> HttpResponse:
    return problem(request, 404, str(error) or "There is nothing at this address.")


@api.exception_handler(TooManyDownloadsError)
def _busy(request: HttpRequest, error: TooManyDownloadsError) -> HttpResponse:
    if request.get_preferred_type(["application/json", "text/html"]) == "text/html":
        # a link on a page was followed
        answer = render(request, "503.html", {"detail": str(error)}, status=503)
    else:
        answer = problem(request, 503, str(error))
    answer.headers["Retry-After"] = str(RETRY_SECONDS)
    return answer


@api.exception_handler(DatabaseError)
def _database(request: HttpRequest, error: DatabaseError) -> HttpResponse:
    logger.error("database error at %s: %s", request.path, error)
    return problem(request, 503, "The database does not answer at the moment: try again.")


@api.exception_handler(Exception)
def _unexpected(request: HttpRequest, error: Exception) -> HttpResponse:
    logger.error("error at %s", request.path, exc_info=error)
    return problem(request, 500, "Something went wrong in the server; its log says what.")


# -- what operations share


def device_or_404(endpoint: str) -> Device:
    """The device. Raises Http404."""
    try:
        return device_get(endpoint=endpoint)
    except Device.DoesNotExist:
        raise Http404(f"There is no device {endpoint!r}.") from None


Endpoint = Annotated[str, Field(min_length=1, max_length=255, description="the endpoint name")]
ERRORS = {(400, 401, 403, 404, 422, 503): schemas.Error}


def person(request: HttpRequest) -> User:
    """Who asks: the operation's auth has seen to it that this is somebody who may."""
    assert isinstance(request.user, User)
    return request.user
