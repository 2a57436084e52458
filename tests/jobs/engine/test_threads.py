"""The threads of sync functions: few are woken for quick runs, and none of those has to wait for one that is not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from apscheduler.schedulers.background import BackgroundScheduler

from jobs.engine.executors.threads import QUICK_SECONDS, ThreadExecutor
from jobs.engine.run import ClaimedRun
from jobs.engine.statements import FinishedRun
from jobs.registry import job, unregister
from tests.jobs.engine.manual_scheduler import START
from tests.support.waiting import wait_until

RELEASED = threading.Event()
Ended = list[tuple[ClaimedRun, FinishedRun]]


@pytest.fixture
def held() -> Iterator[None]:
    """A job function that takes until the test lets it end."""
    RELEASED.clear()

    @job("tests_held")
    def held() -> None:
        RELEASED.wait(20)

    yield
    RELEASED.set()
    unregister("tests_held")


@pytest.fixture
def pool(held: None, ended: Ended) -> Iterator[ThreadExecutor]:
    """A pool of four threads that has lately seen quick runs."""
    executor = ThreadExecutor(4, lambda: datetime.now(UTC), lambda run, outcome: ended.append((run, outcome)))
    executor.start(BackgroundScheduler(), "default")
    executor._typical_seconds = QUICK_SECONDS / 10
    yield executor
    RELEASED.set()
    executor.shutdown()


@pytest.fixture
def ended() -> Ended:
    """The runs that the pool has reported."""
    return []


NUMBERS = count(1)


def runs(function: str, number: int) -> list[ClaimedRun]:
    return [ClaimedRun(next(NUMBERS), "job", START, function, {}) for _ in range(number)]


def threads_of(pool: ThreadExecutor, handed: list[ClaimedRun]) -> None:
    for run in handed:
        pool.submit(run)


def test_quick_runs_all_end(pool: ThreadExecutor, ended: Ended) -> None:
    handed = runs("tests_nothing", 500)
    threads_of(pool, handed)
    wait_until(lambda: len(ended) == 500)
    assert {run.id for run, _outcome in ended} == {run.id for run in handed}
    assert not pool.backlog
    assert not pool.in_flight


def test_quick_runs_do_not_wait_for_a_thread_each(pool: ThreadExecutor) -> None:
    calls = _count(pool)
    threads_of(pool, runs("tests_nothing", 500))
    assert 0 < len(calls) < 100
    pool._typical_seconds = 10 * QUICK_SECONDS
    calls.clear()
    threads_of(pool, runs("tests_held", 8))
    assert len(calls) == 8


def _count(pool: ThreadExecutor) -> list[Any]:
    """Where the calls of a pool's threads are noted."""
    calls: list[Any] = []
    put = pool._calls.put

    class Noted:
        empty = pool._calls.empty
        get = pool._calls.get

        @staticmethod
        def put(call: Any) -> None:
            calls.append(call)
            put(call)

    pool._calls = Noted()  # type: ignore[assignment]  # a SimpleQueue cannot be patched
    return calls


def test_a_quick_lane_with_a_run_that_takes_long_goes_on(pool: ThreadExecutor, ended: Ended) -> None:
    """The thread that is awake is held; the next look at the pool wakes another one for those behind it."""
    threads_of(pool, runs("tests_held", 1))
    wait_until(lambda: not pool.backlog)
    threads_of(pool, runs("tests_held", 1) + runs("tests_nothing", 50))

    def looked() -> bool:
        pool.check()
        return len(ended) == 50

    wait_until(looked)
    assert len(pool.in_flight) == 2
    RELEASED.set()
    wait_until(lambda: len(ended) == 52)


def test_a_lane_with_slow_runs_is_as_wide_as_its_threads(pool: ThreadExecutor, ended: Ended) -> None:
    pool._typical_seconds = 10 * QUICK_SECONDS
    threads_of(pool, runs("tests_held", 6))
    wait_until(lambda: sum(run.started_at is not None for run in list(pool.in_flight.values())) == 4)
    assert pool.backlog
    RELEASED.set()
    wait_until(lambda: len(ended) == 6)


def test_a_lane_that_runs_ahead_of_its_threads_keeps_nothing_besides(pool: ThreadExecutor) -> None:
    assert pool.capacity(START, left_over=False).buffered == 0
    pool._typical_seconds = 1.0
    assert pool.capacity(START, left_over=False).buffered == 4
