"""What a device's code is called."""

import pytest

from backend.lwm2m.codes import RESPONSES, code_words


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("METHOD_NOT_ALLOWED(405)", "Method not allowed (4.05)"),
        ("CHANGED(204)", "Changed (2.04)"),
        ("4.05", "Method not allowed (4.05)"),
        ("CONTENT(205)", "Content (2.05)"),
        ("INTERNAL_SERVER_ERROR(500)", "Internal server error (5.00)"),
        # the number counts, whatever Leshan calls it
        ("UNSUPPORTED_CONTENT_FORMAT(415)", "Unsupported content-format (4.15)"),
    ],
)
def test_a_code_in_words(code: str, said: str) -> None:
    assert code_words(code) == said


@pytest.mark.parametrize(
    "code", ["", "TEAPOT(418)", "PACKAGE-MISSING", "no status", "NOT_FOUND(404) ", "(404)", "404", "4.18"]
)
def test_what_is_not_known_stays_as_it_came(code: str) -> None:
    assert code_words(code) == code


def test_every_code_is_its_own() -> None:
    for number, name in RESPONSES.items():
        assert code_words(f"X({number.replace('.', '')})") == f"{name} ({number})"
