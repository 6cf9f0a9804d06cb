"""Times in words."""

import pytest

from backend.lwm2m.times import us_of_text

FIVE = 1_795_366_800_000_000


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T17:00:00Z",
        "2026-11-22T17:00:00",
        " 2026-11-22 17:00 ",
        "2026-11-22T18:00:00+01:00",
        # a plus that nobody encoded
        "2026-11-22T18:00:00 01:00",
        "2026-11-22T18:00:00 0100",
    ],
)
def test_a_time_is_read_in_utc_where_it_names_no_zone(text: str) -> None:
    assert us_of_text(text) == FIVE


def test_it_is_exact() -> None:
    assert us_of_text("2026-11-22T17:00:00.000001Z") == FIVE + 1
    assert us_of_text("1969-12-31T23:59:59Z") == -1_000_000
    assert us_of_text("0001-01-01T00:00:00+14:00") < us_of_text("0001-01-01T00:00:00Z")


@pytest.mark.parametrize("text", ["", "yesterday", "17:00", "2026-13-01", "2026-11-22T25:00", "1795366800"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        us_of_text(text)
