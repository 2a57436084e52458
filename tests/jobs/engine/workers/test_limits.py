"""A worker is killed for a run only after that run has had its time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from django.utils.timezone import now

from jobs.engine.executors.base import STOP_GRACE
from jobs.engine.run import ClaimedRun
from jobs.engine.workers.handle import WorkerHandle
from jobs.engine.workers.limits import kill_at
from jobs.engine.workers.starts import StartTable, make_table

pytestmark = pytest.mark.once

LIMIT = 2


@pytest.fixture
def table() -> Iterator[StartTable]:
    starts, memory, _lock = make_table()
    yield starts
    starts.close()
    memory.close()


@pytest.fixture
def handle(table: StartTable) -> WorkerHandle:
    """A worker that has been sent a run, and has not said anything of it."""
    return WorkerHandle(None, None, None, 1, 1, table)  # type: ignore[arg-type]  # nothing is sent


@pytest.fixture
def run(table: StartTable) -> ClaimedRun:
    """Sent a minute ago."""
    sent = replace(ClaimedRun(41, "short", now(), "sample_work", {}), timeout_seconds=LIMIT)
    sent.submitted_monotonic = time.monotonic() - 60
    sent.slot = 3
    table.offer(sent.slot, sent.id)
    return sent


def test_a_run_that_waits_in_a_worker_is_no_reason_to_kill_it(handle: WorkerHandle, run: ClaimedRun) -> None:
    assert kill_at(handle, run) is None


def test_the_time_of_a_run_counts_from_the_moment_it_was_seen_to_have_started(handle: WorkerHandle, run: ClaimedRun, table: StartTable) -> None:
    """Not from when it was sent: the run before it may have held the worker for a minute."""
    table.start(run.slot, run.id)
    before = time.monotonic()
    limit = kill_at(handle, run)
    assert limit is not None
    assert before + LIMIT + STOP_GRACE < limit < time.monotonic() + LIMIT + STOP_GRACE + 2
    assert kill_at(handle, run) == limit


def test_the_worker_knows_better_when_a_run_started(handle: WorkerHandle, run: ClaimedRun, table: StartTable) -> None:
    table.start(run.slot, run.id)
    kill_at(handle, run)
    run.started_monotonic = 1000.0
    assert kill_at(handle, run) == 1000.0 + LIMIT + STOP_GRACE + 1.0
