"""Async functions on an event loop: stopping runs, and replacing a blocked loop."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from jobs.engine.executors import LoopExecutor
from jobs.engine.executors.base import LOOP_SLOTS, STOP_GRACE
from jobs.engine.executors.event_loop import BLOCKED_AFTER, PING_SECONDS
from jobs.engine.run import ClaimedRun, Outcome
from jobs.models import Status
from tests.jobs.engine.manual_scheduler import START
from tests.support.waiting import wait_until

RunOf = Callable[..., ClaimedRun]
pytestmark = pytest.mark.once


@pytest.fixture
def executor(outcomes: list[Outcome]) -> Iterator[LoopExecutor]:
    executor = LoopExecutor(LOOP_SLOTS, lambda: datetime.now(UTC), outcomes.extend)
    executor.open()
    yield executor
    executor.shutdown()


async def wait_for_ever() -> None:
    await asyncio.Event().wait()


def statuses(outcomes: list[Outcome]) -> dict[int, str]:
    return {outcome.run.id: outcome.finished.status for outcome in outcomes}


def has_started(run: ClaimedRun) -> bool:
    return run.started_at is not None


def test_many_runs_are_in_progress_at_the_same_time(executor: LoopExecutor, outcomes: list[Outcome], run_of: RunOf) -> None:
    barrier = asyncio.Barrier(100)

    async def meet() -> None:
        await barrier.wait()

    runs = [run_of(meet) for _ in range(100)]
    for run in runs:
        executor.submit(run)
    wait_until(lambda: len(outcomes) == 100)
    assert statuses(outcomes) == {run.id: "succeeded" for run in runs}
    assert executor.in_flight == {}


def test_a_run_of_an_unknown_function_fails(executor: LoopExecutor, outcomes: list[Outcome]) -> None:
    executor.submit(ClaimedRun(0, "job", START, "tests_unknown", {}))
    wait_until(lambda: outcomes)
    assert statuses(outcomes) == {0: "failed"}


def test_each_run_has_a_context_of_its_own(executor: LoopExecutor, outcomes: list[Outcome], run_of: RunOf) -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)

    async def increment() -> int:
        variable.set(variable.get() + 1)
        await asyncio.sleep(0)
        return variable.get()

    for _ in range(3):
        executor.submit(run_of(increment))
    wait_until(lambda: len(outcomes) == 3)
    assert {outcome.finished.result for outcome in outcomes} == {"1"}


def test_a_cancelled_run_ends_at_its_next_await(executor: LoopExecutor, outcomes: list[Outcome], run_of: RunOf) -> None:
    cancelled, other = run_of(wait_for_ever), run_of(wait_for_ever)
    for run in (cancelled, other):
        executor.submit(run)
    wait_until(lambda: has_started(cancelled))
    executor.stop(cancelled.id, Status.CANCELLED)
    wait_until(lambda: outcomes)
    assert statuses(outcomes) == {cancelled.id: "cancelled"}
    assert list(executor.in_flight) == [other.id]


def test_a_run_is_stopped_at_its_time_limit_and_not_before(executor: LoopExecutor, outcomes: list[Outcome], run_of: RunOf) -> None:
    run = run_of(wait_for_ever, timeout_seconds=60)
    executor.submit(run)
    wait_until(lambda: has_started(run))
    executor.check()
    assert run.stop_reason is None
    run.started_monotonic = time.monotonic() - 61
    executor.check()
    wait_until(lambda: outcomes)
    assert statuses(outcomes) == {run.id: "timed_out"}


def test_a_run_that_ignores_its_cancellation_is_given_up_after_five_seconds(executor: LoopExecutor, outcomes: list[Outcome], run_of: RunOf) -> None:
    released, ended = asyncio.Event(), threading.Event()

    async def ignore_cancellation() -> None:
        while not released.is_set():
            with suppress(asyncio.CancelledError):
                await released.wait()
        ended.set()

    run = run_of(ignore_cancellation)
    executor.submit(run)
    wait_until(lambda: has_started(run))
    executor.stop(run.id, Status.CANCELLED)
    executor.check()
    assert outcomes == []
    run.stop_requested_monotonic -= STOP_GRACE + 0.1
    executor.check()
    assert statuses(outcomes) == {run.id: "cancelled"}
    executor._loop.call(released.set)
    assert ended.wait(10)
    assert len(outcomes) == 1


def test_a_run_that_may_not_start_any_more_is_dropped(executor: LoopExecutor, outcomes: list[Outcome], run_of: RunOf) -> None:
    dropped, started = run_of(asyncio.Event().wait), run_of(wait_for_ever)
    executor.may_start = lambda run: run is started
    executor.submit(dropped)
    executor.submit(started)
    wait_until(lambda: has_started(started))
    assert list(executor.in_flight) == [started.id]
    assert not has_started(dropped)
    assert outcomes == []


def test_a_blocked_loop_is_replaced_for_other_runs(executor: LoopExecutor, outcomes: list[Outcome], run_of: RunOf) -> None:
    released = threading.Event()

    async def block() -> None:
        released.wait(20)

    async def work() -> None: ...

    blocking = run_of(block)
    executor.submit(blocking)
    wait_until(lambda: has_started(blocking))
    blocked = executor._loop
    waiting = run_of(work)
    executor.submit(waiting)
    _age_ping(executor)
    executor.check()
    assert executor.stuck == 1
    wait_until(lambda: outcomes)
    assert statuses(outcomes) == {waiting.id: "succeeded"}

    released.set()
    wait_until(lambda: len(outcomes) == 2)
    assert statuses(outcomes) == {waiting.id: "succeeded", blocking.id: "succeeded"}

    def is_unblocked() -> bool:
        executor.check()
        return executor.stuck == 0

    wait_until(is_unblocked)
    wait_until(lambda: not blocked._thread.is_alive(), message="the loop that was replaced never ends")


def _age_ping(executor: LoopExecutor) -> None:
    """Make the executor ping its loop, and let the ping be older than BLOCKED_AFTER."""
    loop = executor._loop
    loop._answered_at -= PING_SECONDS + 0.1
    executor.check()
    assert loop._pinged_at is not None
    loop._pinged_at -= BLOCKED_AFTER + 0.1
