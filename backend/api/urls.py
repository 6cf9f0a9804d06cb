"""The API's addresses. Its operations check the session themselves, so that the answer is JSON and not a login page."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import URLPattern, URLResolver

# each adds its operations, in this order: `rest` takes every address that is left
# isort: off
from backend.api import (  # noqa: F401
    operations,
    charts,
    commands,
    profiles,
    definitions,
    firmware_images,
    firmware_updates,
    alerts,
    exports,
    dashboards,
    logs,
    rest,
)

# isort: on
from backend.api.base import api, problem

View = Callable[..., Any]


def _json_errors(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    if response.status_code != 405:
        return response
    methods = response.headers["Allow"]
    refused = problem(request, 405, f"{request.method} is not possible here: use {methods}.")
    refused.headers["Allow"] = methods
    return refused


def _wrapped(view: View) -> View:
    if iscoroutinefunction(view):

        @wraps(view)
        async def run_async(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            return _json_errors(request, await view(request, *args, **kwargs))

        return login_not_required(run_async)

    @wraps(view)
    def run(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return _json_errors(request, view(request, *args, **kwargs))

    return login_not_required(run)


def _opened(patterns: list[URLResolver | URLPattern]) -> list[URLPattern | URLResolver]:
    for pattern in patterns:
        assert isinstance(pattern, URLPattern)
        pattern.callback = _wrapped(pattern.callback)
    return list(patterns)


_patterns, app_name, _namespace = api.urls
urlpatterns = _opened(_patterns)
