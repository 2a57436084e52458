"""A run is started by its worker or taken back from it, and never both."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from jobs.engine.workers.starts import SLOTS, StartTable, make_table

pytestmark = pytest.mark.once


@pytest.fixture
def both() -> Iterator[tuple[StartTable, StartTable]]:
    """The table as the scheduler has it, and as the worker opens it."""
    ours, memory, lock = make_table()
    theirs = StartTable(memory.fileno(), lock)
    yield ours, theirs
    theirs.close()
    ours.close()
    memory.close()


def test_a_run_that_was_offered_may_start_once(both: tuple[StartTable, StartTable]) -> None:
    ours, theirs = both
    ours.offer(3, 41)
    assert theirs.start(3, 41)
    assert not theirs.start(3, 41)


def test_a_run_that_has_started_cannot_be_taken_back(both: tuple[StartTable, StartTable]) -> None:
    ours, theirs = both
    ours.offer(3, 41)
    theirs.start(3, 41)
    assert not ours.take_back(3, 41)


def test_a_run_that_was_taken_back_does_not_start(both: tuple[StartTable, StartTable]) -> None:
    ours, theirs = both
    ours.offer(3, 41)
    assert ours.take_back(3, 41)
    assert not theirs.start(3, 41)


def test_a_run_that_was_taken_back_does_not_start_in_the_place_of_the_next(both: tuple[StartTable, StartTable]) -> None:
    ours, theirs = both
    ours.offer(SLOTS - 1, 41)
    ours.take_back(SLOTS - 1, 41)
    ours.offer(SLOTS - 1, 42)
    assert not theirs.start(SLOTS - 1, 41)
    assert theirs.start(SLOTS - 1, 42)


def test_nothing_is_taken_back_while_the_worker_is_just_starting_a_run(both: tuple[StartTable, StartTable]) -> None:
    ours, theirs = both
    with theirs.taking_back() as held, ours.taking_back() as certain:
        assert (held, certain) == (True, False)
    with ours.taking_back() as certain:
        assert certain


def test_of_two_that_reach_for_a_run_one_gets_it(both: tuple[StartTable, StartTable]) -> None:
    ours, theirs = both
    for run_id in range(1, SLOTS):
        ours.offer(run_id, run_id)
    started: list[int] = []
    worker = threading.Thread(target=lambda: started.extend(run_id for run_id in range(1, SLOTS) if theirs.start(run_id, run_id)))
    worker.start()
    taken: list[int] = []
    for run_id in reversed(range(1, SLOTS)):
        with ours.taking_back() as certain:
            if certain and ours.take_back(run_id, run_id):
                taken.append(run_id)
    worker.join(30)
    assert sorted([*started, *taken]) == list(range(1, SLOTS))
