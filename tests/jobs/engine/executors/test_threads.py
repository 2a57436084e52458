"""The threads of sync functions: short runs share wake-ups, and do not wait for a long run."""

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
    """A job function that ends when the test releases it."""
    RELEASED.clear()

    @job("tests_held")
    def held() -> None:
        RELEASED.wait(20)

    yield
    RELEASED.set()
    unregister("tests_held")


@pytest.fixture
def pool(held: None, ended: Ended) -> Iterator[ThreadExecutor]:
    """A pool of four threads whose recent runs were short."""
    executor = ThreadExecutor(4, lambda: datetime.now(UTC), ended.extend)
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


def submit(pool: ThreadExecutor, submitted: list[ClaimedRun]) -> None:
    for run in submitted:
        pool.submit(run)


def test_all_short_runs_end(pool: ThreadExecutor, ended: Ended) -> None:
    submitted = runs("tests_nothing", 500)
    submit(pool, submitted)
    wait_until(lambda: len(ended) == 500)
    assert {run.id for run, _outcome in ended} == {run.id for run in submitted}
    assert not pool.backlog
    assert not pool.in_flight


def test_short_runs_share_wake_ups_and_long_ones_do_not(pool: ThreadExecutor) -> None:
    calls = _record_calls(pool)
    submit(pool, runs("tests_nothing", 500))
    assert 0 < len(calls) < 100
    pool._typical_seconds = 10 * QUICK_SECONDS
    calls.clear()
    submit(pool, runs("tests_held", 8))
    assert len(calls) == 8


def _record_calls(pool: ThreadExecutor) -> list[Any]:
    """A list of the calls to a pool's threads from now on."""
    calls: list[Any] = []
    put = pool._calls.put

    class Recorded:
        empty = pool._calls.empty
        get = pool._calls.get

        @staticmethod
        def put(call: Any) -> None:
            calls.append(call)
            put(call)

    pool._calls = Recorded()  # type: ignore[assignment]  # a SimpleQueue cannot be patched
    return calls


def test_short_runs_behind_a_long_one_go_on(pool: ThreadExecutor, ended: Ended) -> None:
    """The long run holds the thread that is awake; the next `check` wakes another thread."""
    submit(pool, runs("tests_held", 1))
    wait_until(lambda: not pool.backlog)
    submit(pool, runs("tests_held", 1) + runs("tests_nothing", 50))

    def all_ended() -> bool:
        pool.check()
        return len(ended) == 50

    wait_until(all_ended)
    assert len(pool.in_flight) == 2
    RELEASED.set()
    wait_until(lambda: len(ended) == 52)


def test_long_runs_use_all_threads(pool: ThreadExecutor, ended: Ended) -> None:
    pool._typical_seconds = 10 * QUICK_SECONDS
    submit(pool, runs("tests_held", 6))
    wait_until(lambda: sum(run.started_at is not None for run in list(pool.in_flight.values())) == 4)
    assert pool.backlog
    RELEASED.set()
    wait_until(lambda: len(ended) == 6)


def test_a_pool_that_looks_ahead_buffers_no_runs(pool: ThreadExecutor) -> None:
    assert pool.capacity(START, left_over=False).buffered == 0
    pool._typical_seconds = 1.0
    assert pool.capacity(START, left_over=False).buffered == 4
