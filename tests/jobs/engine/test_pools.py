"""Which pool a run belongs to, and how a claim uses up the capacity of a pool."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobs.engine.pools import LOOP, PROCESSES, THREADS, Capacity, pool_of
from jobs.models import JobDefinition, Status
from jobs.registry import job, unregister
from tests.jobs.engine.manual_scheduler import START

pytestmark = pytest.mark.once


@pytest.fixture
def tests_async() -> Iterator[str]:
    """A registered async job function."""

    @job("tests_async")
    async def nothing() -> None: ...

    yield "tests_async"
    unregister("tests_async")


def test_runs_of_a_sync_function_go_to_the_threads(tests_nothing: str) -> None:
    assert pool_of(JobDefinition(function=tests_nothing)) == THREADS


def test_runs_of_an_async_function_go_to_the_event_loop(tests_async: str) -> None:
    assert pool_of(JobDefinition(function=tests_async)) == LOOP


def test_runs_of_a_job_with_executor_process_get_processes(tests_nothing: str, tests_async: str) -> None:
    assert [pool_of(JobDefinition(function=function, executor="process")) for function in (tests_nothing, tests_async)] == [PROCESSES, PROCESSES]


def test_runs_of_an_unknown_function_go_to_the_threads_to_fail_there() -> None:
    assert pool_of(JobDefinition(function="tests_unknown")) == THREADS


def test_runs_start_while_there_is_immediate_room_and_are_buffered_after_that() -> None:
    capacity = Capacity(immediate=2, buffered=1, judged_at=START)
    assert capacity.total == 3
    assert [capacity.take() for _ in range(3)] == [Status.RUNNING, Status.RUNNING, Status.QUEUED]
    assert capacity.total == 0
