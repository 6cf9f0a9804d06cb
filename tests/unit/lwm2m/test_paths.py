import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.lwm2m.paths import Path, PathError, path_ids, resource_ids, series_readings

ids = st.integers(0, 65535)


@given(st.lists(ids, min_size=1, max_size=4))
def test_a_path_reads_back_as_itself(parts: list[int]) -> None:
    text = "".join(f"/{part}" for part in parts)
    path = Path.parse(text)
    assert str(path) == text
    assert Path.parse(str(path)) == path
    assert [part for part in path_ids(text) if part is not None] == parts


@given(st.text())
def test_any_text_is_a_path_or_a_path_error(text: str) -> None:
    with contextlib.suppress(PathError):
        assert str(Path.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "/", "3/0", "/3/", "/03/0", "/3//0", "/65536", "/-1", "/3/0/9/1/2", "/3/x", "/٣/0", "/3/0/9\n"]
)
def test_what_is_no_path(text: str) -> None:
    with pytest.raises(PathError):
        Path.parse(text)


def test_only_resources_have_resource_ids() -> None:
    assert resource_ids("/3303/0/5700") == (3303, 0, 5700, None)
    assert resource_ids("/3/0/6/1") == (3, 0, 6, 1)
    with pytest.raises(PathError, match="names no resource"):
        resource_ids("/3303/0")


def test_ids_without_a_hole() -> None:
    with pytest.raises(PathError):
        Path(3, None, 9)
    with pytest.raises(PathError):
        Path(70000)
    assert Path(3, 0, 9).starts_with(Path(3, 0))
    assert not Path(3, 1, 9).starts_with(Path(3, 0))
    assert not Path(3).starts_with(Path(3, 0))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sim-1/3303/0/5700", [("sim-1", "/3303/0/5700")]),
        ("meter/3/0/6/0", [("meter", "/3/0/6/0"), ("meter/3", "/0/6/0")]),
        ("a//b/3/0/9", [("a//b", "/3/0/9")]),
        ("/1/3/0/9", [("/1", "/3/0/9")]),
        ("1/3/0/6/0", [("1", "/3/0/6/0"), ("1/3", "/0/6/0")]),
        ("line\nbreak/3/0/9", [("line\nbreak", "/3/0/9")]),
        *(
            (text, [])
            for text in ("", "/3/0/9", "3/0/9", "sim-1", "sim-1/3/0", "sim-1/3/0/x", "sim-1/99999/0/1", "sim-1/03/0/9")
        ),
        *((text, []) for text in ("a\0/3/0/9", "a\ud800/3/0/9", "sim-1/3/0/9/", "sim-1/\u0663/0/9")),
    ],
)
def test_what_the_name_of_a_series_may_mean(text: str, expected: list[tuple[str, str]]) -> None:
    assert series_readings(text) == expected
