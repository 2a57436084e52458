"""The threads of sync functions: few are woken for quick runs, and none of those has to wait for one that is not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from apscheduler.schedulers.background import BackgroundScheduler

from jobs.engine.execute import Run
from jobs.engine.executors.threads import QUICK_SECONDS, ThreadExecutor
from jobs.engine.statements import FinishedRun
from jobs.registry import job, unregister
from tests.jobs.engine.manual_scheduler import START
from tests.support.waiting import wait_until

RELEASED = threading.Event()
Ended = list[tuple[Run, FinishedRun]]


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
def lane(held: None, ended: Ended) -> Iterator[ThreadExecutor]:
    """A lane of four threads that has lately seen quick runs."""
    executor = ThreadExecutor(4, lambda: datetime.now(UTC), lambda run, outcome: ended.append((run, outcome)))
    executor.start(BackgroundScheduler(), "default")
    executor._typical_seconds = QUICK_SECONDS / 10
    yield executor
    RELEASED.set()
    executor.shutdown()


@pytest.fixture
def ended() -> Ended:
    """The runs that the lane has reported."""
    return []


NUMBERS = count(1)


def runs(function: str, number: int) -> list[Run]:
    return [Run(next(NUMBERS), "job", START, function, {}) for _ in range(number)]


def threads_of(lane: ThreadExecutor, handed: list[Run]) -> None:
    for run in handed:
        lane.hand_over(run)


def test_quick_runs_all_end(lane: ThreadExecutor, ended: Ended) -> None:
    handed = runs("tests_nothing", 500)
    threads_of(lane, handed)
    wait_until(lambda: len(ended) == 500)
    assert {run.id for run, _outcome in ended} == {run.id for run in handed}
    assert not lane.backlog
    assert not lane.handed


def test_quick_runs_do_not_wait_for_a_thread_each(lane: ThreadExecutor) -> None:
    calls = _count(lane)
    threads_of(lane, runs("tests_nothing", 500))
    assert 0 < len(calls) < 100
    lane._typical_seconds = 10 * QUICK_SECONDS
    calls.clear()
    threads_of(lane, runs("tests_held", 8))
    assert len(calls) == 8


def _count(lane: ThreadExecutor) -> list[Any]:
    """Where the calls of a lane's threads are noted."""
    calls: list[Any] = []
    put = lane._calls.put

    class Noted:
        empty = lane._calls.empty
        get = lane._calls.get

        @staticmethod
        def put(call: Any) -> None:
            calls.append(call)
            put(call)

    lane._calls = Noted()  # type: ignore[assignment]  # a SimpleQueue cannot be patched
    return calls


def test_a_quick_lane_with_a_run_that_takes_long_goes_on(lane: ThreadExecutor, ended: Ended) -> None:
    """The thread that is awake is held; the next look at the lane wakes another one for those behind it."""
    threads_of(lane, runs("tests_held", 1))
    wait_until(lambda: not lane.backlog)
    threads_of(lane, runs("tests_held", 1) + runs("tests_nothing", 50))

    def looked() -> bool:
        lane.check()
        return len(ended) == 50

    wait_until(looked)
    assert len(lane.handed) == 2
    RELEASED.set()
    wait_until(lambda: len(ended) == 52)


def test_a_lane_with_slow_runs_is_as_wide_as_its_threads(lane: ThreadExecutor, ended: Ended) -> None:
    lane._typical_seconds = 10 * QUICK_SECONDS
    threads_of(lane, runs("tests_held", 6))
    wait_until(lambda: sum(run.started_at is not None for run in list(lane.handed.values())) == 4)
    assert lane.backlog
    RELEASED.set()
    wait_until(lambda: len(ended) == 6)


def test_a_lane_that_runs_ahead_of_its_threads_keeps_nothing_besides(lane: ThreadExecutor) -> None:
    assert lane.room(START, left_over=False).soon == 0
    lane._typical_seconds = 1.0
    assert lane.room(START, left_over=False).soon == 4
