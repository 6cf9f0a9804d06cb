"""The threshold against a naive reading of what it means."""

import math

from hypothesis import given
from hypothesis import strategies as st

from backend.alerts.judging import Threshold, Turn, Watch, path_regex

values = st.one_of(st.integers(-10, 10).map(float), st.none(), st.sampled_from([math.nan, math.inf, -math.inf]))
steps = st.lists(st.tuples(st.integers(0, 5), values), max_size=60)


def naive(rule: Threshold, samples: list[tuple[int, float | None]]) -> list[tuple[int, Turn]]:
    """Looks back from every sample, over all numbers before it."""
    turns: list[tuple[int, Turn]] = []
    numbers = [(at, value) for at, value in samples if value is not None and math.isfinite(value)]
    begun = 0
    is_open = False
    for index, (at, value) in enumerate(numbers):
        bad = value > rule.limit if rule.above else value < rule.limit
        good = value <= rule.clear_limit if rule.above else value >= rule.clear_limit
        if is_open and good:
            turns.append((at, Turn.CLEARED))
            is_open, begun = False, index + 1
        elif not is_open and bad:
            run = index
            while run > begun and (
                numbers[run - 1][1] > rule.limit if rule.above else numbers[run - 1][1] < rule.limit
            ):
                run -= 1
            if at - numbers[run][0] >= rule.for_us:
                turns.append((at, Turn.OPENED))
                is_open = True
    return turns


@given(above=st.booleans(), limit=st.integers(-5, 5), width=st.integers(0, 5), held=st.integers(0, 8), moves=steps)
def test_hysteresis(above: bool, limit: int, width: int, held: int, moves: list[tuple[int, float | None]]) -> None:
    rule = Threshold(above, float(limit), float(limit - width if above else limit + width), held)
    at, samples = 0, []
    for pause, value in moves:
        at += pause
        samples.append((at, value))
    watch = Watch()
    turns = [(when, turn) for when, value in samples if (turn := rule.step(watch, when, value))]
    assert turns == naive(rule, samples)
    # they alternate, and end as the watch says
    assert [turn for _, turn in turns] == [Turn.OPENED, Turn.CLEARED] * (len(turns) // 2) + [Turn.OPENED] * watch.open


@given(st.lists(st.integers(0, 5), min_size=2, max_size=40), st.data())
def test_portions_do_not_matter(values: list[int], data: st.DataObject) -> None:
    rule = Threshold(True, 3.0, 1.0, 2)
    whole, parts = Watch(), Watch()
    cut = data.draw(st.integers(0, len(values)))
    first = [rule.step(whole, at, float(value)) for at, value in enumerate(values)]
    second = [rule.step(parts, at, float(value)) for at, value in enumerate(values[:cut])]
    parts = Watch(parts.open, parts.since)
    second += [rule.step(parts, at, float(value)) for at, value in enumerate(values[cut:], start=cut)]
    assert first == second


def test_a_clock_that_goes_back_begins_anew() -> None:
    rule = Threshold(True, 3.0, 3.0, 10)
    watch = Watch()
    assert [rule.step(watch, at, 5.0) for at in (100, 105, 50, 59, 60)] == [None] * 4 + [Turn.OPENED]


def test_paths() -> None:
    assert path_regex("/3303/*/5700").fullmatch("/3303/65534/5700")
    assert not path_regex("/3303/*/5700").fullmatch("/3303/1/2/5700")
    assert not path_regex("/3303/0/5700").fullmatch("/3303/0/57000")
