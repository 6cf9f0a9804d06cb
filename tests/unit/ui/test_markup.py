"""Small pieces of HTML, and the words in them."""

from datetime import UTC, datetime, timedelta

import pytest

from backend.ui.markup import distance

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1, "just now"),
        (12, "12 s ago"),
        (-180, "in 3 min"),
        (47 * 3600, "47 h ago"),
        (400 * 86400, "400 days ago"),
        # clocks of devices: 1970 and 2038
        (56.9 * 31_557_600, "56 years ago"),
        (-11.2 * 31_557_600, "in 11 years"),
    ],
)
def test_distance_is_told_in_one_unit(seconds: float, text: str) -> None:
    assert distance(NOW - timedelta(seconds=seconds), NOW) == text
