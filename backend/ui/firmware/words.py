"""Sizes, speeds, times and object 5 in plain words."""

from collections.abc import Mapping

# State, 5/x/3 (LwM2M core 1.1, E.6)
LWM2M_STATES: Mapping[int, str] = {0: "Idle", 1: "Downloading", 2: "Downloaded", 3: "Updating"}
# Update Result, 5/x/5; 10 and 11 since version 1.1 of the object
UPDATE_RESULTS: Mapping[int, str] = {
    0: "None yet",
    1: "Updated",
    2: "Not enough flash memory",
    3: "Out of memory while downloading",
    4: "Connection lost while downloading",
    5: "Integrity check failed",
    6: "Unsupported package type",
    7: "Invalid URI",
    8: "Update failed",
    9: "Unsupported protocol",
    10: "Cancelled",
    11: "Deferred",
}
# Firmware Update Protocol Support, 5/x/8
PROTOCOLS: Mapping[int, str] = {0: "CoAP", 1: "CoAPS", 2: "HTTP", 3: "HTTPS", 4: "CoAP over TCP", 5: "CoAP over TLS"}
# Firmware Update Delivery Method, 5/x/9
DELIVERY: Mapping[int, str] = {0: "pull only", 1: "push only", 2: "push and pull"}

_UNITS = ("KiB", "MiB", "GiB")


def size_text(size: float) -> str:
    """Bytes as people say them: "512 B", "1.5 MiB"."""
    if size < 1024:
        return f"{size:.0f} B"
    value = float(size)
    for unit in _UNITS:
        value /= 1024
        # 1023.95 KiB would be shown as 1024.0
        if value < 1023.95 or unit == _UNITS[-1]:
            return f"{value:.0f} {unit}" if value >= 99.95 else f"{value:.1f} {unit}"
    raise AssertionError("the last unit has no end")


def span_text(seconds: float) -> str:
    """A length of time in one or two units: "40 s", "12 min", "3 h 20 min", "2 days"."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes and hours < 10 else f"{hours} h"
    days = round(seconds / 86400)
    return f"{days} day{'s' if days != 1 else ''}"


def speed_text(bytes_per_second: float) -> str:
    """A speed: "12.3 KiB/s"."""
    return f"{size_text(bytes_per_second)}/s"


def coded(words: Mapping[int, str], code: int | None) -> str:
    """A number of the standard with its word: "2 · Downloaded"; "" where it is not known."""
    if code is None:
        return ""
    return f"{code} · {words.get(code, 'not in the standard')}"
