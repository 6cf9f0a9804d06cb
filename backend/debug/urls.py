"""The addresses of what is streamed from Leshan."""

from django.urls import URLPattern, URLResolver, path, register_converter

from backend.debug.proxy import proxy
from backend.debug.trace import trace


class RestConverter:
    """Whatever follows: what is passed on is the raw path anyway."""

    regex = "(?s:.*)"

    def to_python(self, value: str) -> str:
        """As it is."""
        return value

    def to_url(self, value: str) -> str:
        """As it is; `reverse` quotes it."""
        return value


register_converter(RestConverter, "rest")

urlpatterns: list[URLPattern | URLResolver] = [
    path("leshan/<rest:rest>", proxy, name="debug-leshan"),
    path("trace/", trace, name="debug-trace"),
]
