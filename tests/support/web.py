"""A person with a browser: signs in through the login page and keeps the session."""

import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import requests

from tests.support.events import Event, parse_stream, stream_chunks


class Person:
    """Someone who is signed in at the web app."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = requests.Session()

    def sign_in(self, name: str, password: str) -> "Person":
        """As by hand: the form with its hidden token, then the page that it leads to."""
        page = self.http.get(f"{self.url}/accounts/login/", timeout=20)
        assert page.status_code == 200
        token = re.search(r'name="csrfmiddlewaretoken"\s+value="([^"]+)"', page.text)
        assert token is not None, page.text
        answer = self.http.post(
            f"{self.url}/accounts/login/",
            data={"login": name, "password": password, "csrfmiddlewaretoken": token[1]},
            headers={"Referer": f"{self.url}/accounts/login/"},
            timeout=20,
        )
        assert answer.status_code == 200, f"{answer.status_code} {answer.url}"
        assert "sessionid" in self.http.cookies, f"not signed in: {answer.url}"
        return self

    def page(self, path: str) -> requests.Response:
        """A page."""
        return self.http.get(self.url + path, timeout=20)

    def api(self, path: str, **parameters: Any) -> Any:
        """The JSON under /api/v1; anything but 200 is an error."""
        answer = self.http.get(f"{self.url}/api/v1{path}", params=parameters, timeout=20)
        assert answer.status_code == 200, f"{answer.url}: {answer.status_code} {answer.text[:500]}"
        return answer.json()

    def send(self, method: str, path: str, body: Any = None) -> requests.Response:
        """A writing request to the API, with the session's CSRF token."""
        headers = {"X-CSRFToken": self.http.cookies["csrftoken"], "Referer": self.url}
        return self.http.request(method, f"{self.url}/api/v1{path}", json=body, headers=headers, timeout=20)

    def device(self, endpoint: str) -> Any:
        """One device."""
        return self.api(f"/devices/{quote(endpoint, safe='')}")

    def live(self, *, seconds: float = 40.0, **parameters: Any) -> Iterator[Event]:
        """The live feed; an AssertionError after so many seconds."""
        deadline = time.monotonic() + seconds
        with self.http.get(f"{self.url}/api/v1/live", params=parameters, stream=True, timeout=(10, 20)) as response:
            assert response.status_code == 200, response.text
            for event in parse_stream(stream_chunks(response)):
                yield event
                assert time.monotonic() < deadline, f"the live feed did not tell in {seconds:g} s"
