"""What `sync` does with `Marks` between its batches, with answers of the database that get lost on the way."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from django.db import OperationalError, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.telemetry.models import StaleHour
from backend.telemetry.services import rollups_step
from backend.telemetry.storage import HOUR, SampleBuffer, samples_insert
from tests.unit.telemetry.naive import MINUTE, Model
from tests.unit.telemetry.test_rollups import T0, model

pytestmark = [pytest.mark.django_db, pytest.mark.database]

# the hours before and after T0; the one before is over since two minutes
NOW = T0 + 2 * MINUTE
# how a transaction ends: as it should; undone; done, but whoever asked for it is told otherwise
DONE, UNDONE, UNKNOWN = "done", "undone", "unknown"
outcomes = st.sampled_from([DONE, UNDONE, UNKNOWN])
batches = st.lists(
    st.tuples(st.sampled_from([-2 * HOUR, -HOUR, 0]), st.integers(0, 5), st.integers(0, 2)), min_size=1, max_size=4
)
operations = st.lists(
    st.tuples(st.just("store"), outcomes, batches)
    | st.tuples(st.just("roll"), outcomes, st.sampled_from([0.0, 1.0]))
    | st.tuples(st.just("clear"), outcomes, st.just(0)),
    max_size=8,
)


@contextmanager
def ending(outcome: str) -> Iterator[None]:
    """A transaction that ends so."""
    with transaction.atomic():
        yield
        if outcome == UNDONE:
            raise OperationalError
    if outcome == UNKNOWN:
        raise OperationalError


def store(one: Model, rows: Sequence[tuple[int, float]], outcome: str) -> None:
    """As the ingest does: after an error, the same batch once more."""
    buffer = SampleBuffer()
    for time, number in rows:
        buffer.add(one.series.pk, time, number, None, None)
    try:
        with ending(outcome):
            samples_insert(buffer, one.marks)
    except OperationalError:
        one.marks.rolled_back()
        one.marks.clear()
        store(one, rows, DONE)
        return
    one.marks.committed()
    one.present |= {(time, number, None) for time, number in rows}


def roll(one: Model, budget: float, outcome: str, now: int) -> bool:
    """As the upkeep does: after an error nothing is known of the marks. Is there more?"""
    try:
        with ending(outcome):
            step = rollups_step(now=now, budget=budget)
    except OperationalError:
        one.marks.clear()
        return True
    one.marks.forget(step.done)
    return step.more


@settings(deadline=None, max_examples=25, derandomize=True, suppress_health_check=list(HealthCheck))
@given(operations=operations)
def test_no_mark_is_lost_whatever_becomes_of_a_transaction(
    db: None, operations: Sequence[tuple[str, str, object]]
) -> None:
    with transaction.atomic():
        one = model()
        for what, outcome, how in operations:
            if what == "store":
                assert isinstance(how, list)
                store(one, [(T0 + hour + place * MINUTE, float(value)) for hour, place, value in how], outcome)
            elif what == "roll":
                assert isinstance(how, float)
                roll(one, how, outcome, NOW)
            else:
                one.marks.clear()
            # what is believed to be marked is, and every hour says what its samples say, or is marked
            assert one.marks.known <= set(StaleHour.objects.values_list("series_id", "hour"))
            assert not one.marks.fresh
            one.check_present()
            one.check_rollups()
        for _ in itertools.takewhile(bool, iter(lambda: roll(one, 1.0, DONE, NOW + HOUR), None)):
            pass
        assert not StaleHour.objects.exists()
        assert not one.marks.known
        one.check_rollups()
        transaction.set_rollback(True)


def test_an_hour_that_was_summed_up_unnoticed_is_marked_again_by_its_next_sample() -> None:
    one = model()
    hour = T0 // HOUR - 1
    store(one, [(T0 - HOUR, 1.0)], DONE)
    assert one.marks.known == {(one.series.pk, hour)}
    # the step's COMMIT arrived, its answer did not
    assert roll(one, 1.0, UNKNOWN, NOW)
    assert not StaleHour.objects.exists()
    store(one, [(T0 - 1, 2.0)], DONE)
    assert StaleHour.objects.get().hour == hour
    assert not roll(one, 1.0, DONE, NOW)
    one.check_rollups()
