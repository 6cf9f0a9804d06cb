"""CoAP response codes for people."""

import re

# RFC 7252, 12.1.2; RFC 7959, 6 (2.31, 4.08); RFC 8132, 6 (4.09, 4.22)
RESPONSES = {
    "2.01": "Created",
    "2.02": "Deleted",
    "2.03": "Valid",
    "2.04": "Changed",
    "2.05": "Content",
    "2.31": "Continue",
    "4.00": "Bad request",
    "4.01": "Unauthorized",
    "4.02": "Bad option",
    "4.03": "Forbidden",
    "4.04": "Not found",
    "4.05": "Method not allowed",
    "4.06": "Not acceptable",
    "4.08": "Request entity incomplete",
    "4.09": "Conflict",
    "4.12": "Precondition failed",
    "4.13": "Request entity too large",
    "4.15": "Unsupported content-format",
    "4.22": "Unprocessable entity",
    "5.00": "Internal server error",
    "5.01": "Not implemented",
    "5.02": "Bad gateway",
    "5.03": "Service unavailable",
    "5.04": "Gateway timeout",
    "5.05": "Proxying not supported",
}
# as Leshan writes a code in an answer (its own name for it, three digits), and in its journal ("4.05")
_CODE = re.compile(r"[A-Z_]+\(([2-5])(\d\d)\)|([2-5])\.(\d\d)", re.ASCII)


def code_words(code: str) -> str:
    """`"METHOD_NOT_ALLOWED(405)"`, `"4.05"` → `"Method not allowed (4.05)"`; no code, or an unknown one, as it came."""
    match = _CODE.fullmatch(code)
    number = ".".join(filter(None, match.groups())) if match else ""
    return f"{RESPONSES[number]} ({number})" if number in RESPONSES else code
