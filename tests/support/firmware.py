"""Firmware updates through the API, and what the simulated devices say really happened to them."""

from typing import Any

from tests.support.images import plain_image, sha256
from tests.support.scene import DEVICE, Scene
from tests.support.stack import Stack
from tests.support.waiting import wait_for

ENDED = ("succeeded", "failed", "cancelled")
# devices that install in a moment and notice a dead server soon
QUICK = ("--install-seconds", "0.3", "--boot-seconds", "0.3", "--backoff", "0.2", "--backoff-max", "1")


class Firmware(Scene):
    """A scene with images and updates."""

    def __init__(self, stack: Stack, *, seconds: int = 2, stall: int = 3, install: int = 8, transfers: int = 2) -> None:
        """`stall`, `install`: seconds without progress, and for an installation; `transfers`: tries."""
        super().__init__(stack, seconds=seconds)
        stack.extra_env |= {
            "FLOWNEXUS_FIRMWARE_STALL_SECONDS": str(stall),
            "FLOWNEXUS_FIRMWARE_INSTALL_SECONDS": str(install),
            "FLOWNEXUS_FIRMWARE_TRANSFERS": str(transfers),
        }

    def upload(self, content: bytes, *, file_name: str = "app.bin", **fields: str) -> Any:
        """The API's answer to an image in the request's body."""
        person = self.control.person
        headers = {
            "X-CSRFToken": person.http.cookies["csrftoken"],
            "Referer": person.url,
            "Content-Type": "application/octet-stream",
        }
        return person.http.post(
            f"{person.url}/api/v1/firmware/images",
            params={"file_name": file_name, **fields},
            data=content,
            headers=headers,
            timeout=60,
        )

    def image(self, content: bytes, **fields: str) -> Any:
        """An image that is taken."""
        answer = self.upload(content, **fields)
        assert answer.status_code in {200, 201}, f"{answer.status_code} {answer.text}"
        return answer.json()

    def plain(self, version: str, *, size: int = 4096) -> Any:
        """An image that tells its version to simulated devices."""
        return self.image(plain_image(version, size=size), version=version)

    def ask(self, device: str, image: Any, *, hold_seconds: int = 0, **fields: Any) -> Any:
        """Asks for an update."""
        body = {"device": device, "image": image["id"], "hold_seconds": hold_seconds, **fields}
        answer = self.control.person.send("POST", "/firmware/updates", body)
        assert answer.status_code == 201, f"{answer.status_code} {answer.text}"
        return answer.json()["items"][0]

    def get(self, update: Any) -> Any:
        """The update as it is now."""
        return self.control.person.api(f"/firmware/updates/{update['id']}")

    def wait_for(self, update: Any, *, timeout: float = 60.0, **fields: Any) -> Any:
        """The update, once these fields are so; a tuple: one of them."""

        def matches(now: Any) -> bool:
            return all(
                now[key] in value if isinstance(value, tuple) else now[key] == value for key, value in fields.items()
            )

        def look() -> Any:
            now = self.get(update)
            assert now["state"] not in ENDED or matches(now), now
            return now if matches(now) else None

        return wait_for(look, timeout=timeout, what=lambda: f"{fields}: {self.get(update)}\n{self.stack.log_tails()}")

    def cancel(self, update: Any) -> None:
        """Takes it back."""
        answer = self.control.person.send("DELETE", f"/firmware/updates/{update['id']}")
        assert answer.status_code == 200, f"{answer.status_code} {answer.text}"

    def retry(self, update: Any) -> Any:
        """A new one in its place."""
        answer = self.control.person.send("POST", f"/firmware/updates/{update['id']}", {"action": "retry"})
        assert answer.status_code == 201, f"{answer.status_code} {answer.text}"
        return answer.json()

    def wait_end(self, update: Any, *, timeout: float = 60.0) -> Any:
        """The update, once it has ended."""
        return self.wait_for(update, timeout=timeout, state=ENDED)

    def succeeds(self, device: str, image: Any, **fields: Any) -> Any:
        """Asks, and it must succeed."""
        ended = self.wait_end(self.ask(device, image, **fields))
        assert ended["state"] == "succeeded", ended
        return ended

    def said(self, device: str = DEVICE, instance: int = 0) -> Any:
        """What the device says of its firmware, in a fresh report."""
        self.wait_fresh_report()
        return next(one for one in self.device(device)["firmware"] if one["instance"] == instance)


__all__ = ["DEVICE", "ENDED", "QUICK", "Firmware", "plain_image", "sha256"]
