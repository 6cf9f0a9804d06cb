"""The administrator at the JSON API of a FlowNexus that is being measured."""

from __future__ import annotations

from typing import Any

from _setup import SetupError

from bench_lib.running import Running


class Api:
    """The administrator's session."""

    def __init__(self, product: Running) -> None:
        self.url = f"{product.url}api/v1"
        self.http = product.signed_in()
        self.http.headers.update({"X-CSRFToken": self.http.cookies["csrftoken"], "Referer": product.url})

    def post(self, path: str, body: dict[str, object]) -> dict[str, Any]:
        """The answer's JSON. Raises SetupError where it is refused."""
        return self._said(f"POST {path}", self.http.post(self.url + path, json=body, timeout=60))

    def get(self, path: str) -> dict[str, Any]:
        """The answer's JSON. Raises SetupError where it is refused."""
        return self._said(f"GET {path}", self.http.get(self.url + path, timeout=60))

    @staticmethod
    def _said(what: str, answer: Any) -> dict[str, Any]:
        if answer.status_code >= 300:
            raise SetupError(f"{what}: HTTP {answer.status_code} {answer.text[:300]}")
        found: dict[str, Any] = answer.json()
        return found
