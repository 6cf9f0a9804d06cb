"""Endpoint names in addresses."""


class EndpointConverter:
    """Any text, slashes and line breaks included: Django's own `path` stops at a line break."""

    regex = "(?s:.+)"

    def to_python(self, value: str) -> str:
        """As it is."""
        return value

    def to_url(self, value: str) -> str:
        """As it is; `reverse` quotes it."""
        return value
