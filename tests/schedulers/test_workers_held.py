"""A worker that does not answer gets no runs, and those that it has not started are executed by another."""

from __future__ import annotations

import os
import signal

import pytest

from jobs.models import Author
from tests.chaos.accounting import wrong_in_books
from tests.support.sample.schedulers import Schedulers, workers_of
from tests.support.sample.witnesses import late_starts, make_witnesses
from tests.support.waiting import wait_until

MIRA = Author(name="mira", source="admin")


@pytest.mark.alone
def test_other_jobs_start_in_time_while_a_function_holds_the_interpreter(schedulers: Schedulers) -> None:
    make_witnesses(30)
    holding = schedulers.job("holding", "sample_hold_noted", 0, trigger="manual", kwargs={"seconds": 4})
    process = schedulers.start_workers(2, VS_SCHEDULER_THREADS="4")
    schedulers.wait_for_runs("witness_29", 2, "succeeded")
    run = holding.request_run(MIRA)
    [start] = schedulers.wait_for_entry("start", "holding")
    ended = schedulers.wait_for_end(run)
    assert ended.status == "succeeded"
    assert late_starts(schedulers, start.at) == []
    assert len([entry for entry in schedulers.execution_log("start") if 0.2 < entry.at - start.at < 4]) > 60
    assert schedulers.site.stop(process) == 0
    assert wrong_in_books("witness", schedulers.execution_log()) == []


def executors(schedulers: Schedulers, number: int) -> list[int]:
    """The processes of the latest starts."""
    return [entry.pid for entry in schedulers.execution_log("start")[-number:]]


def test_a_stopped_worker_gets_nothing_and_executes_nothing_twice_when_it_goes_on(schedulers: Schedulers) -> None:
    make_witnesses(30)
    process = schedulers.start_workers(2, VS_SCHEDULER_THREADS="4")
    schedulers.wait_for_runs("witness_29", 2, "succeeded")
    [stopped, other] = workers_of(process)
    for _ in range(3):
        os.kill(stopped, signal.SIGSTOP)
        wait_until(lambda: set(executors(schedulers, 60)) == {other}, 10, "the other worker does not go on alone")
        os.kill(stopped, signal.SIGCONT)
        wait_until(lambda: stopped in executors(schedulers, 30), 10, "it gets no runs any more")
    assert schedulers.site.stop(process) == 0
    assert wrong_in_books("witness", schedulers.execution_log()) == []
    assert schedulers.site.events(process, "scheduler_worker_died") == []


def test_a_run_that_waits_in_the_only_worker_is_executed_after_a_hold_though_that_is_longer_than_its_limit(schedulers: Schedulers) -> None:
    make_witnesses(60)  # after many quick runs the only thread is given runs in advance
    holding = schedulers.job("holding", "sample_hold_noted", 0, trigger="manual", kwargs={"seconds": 9.0})
    short = schedulers.job("short", seconds=0, trigger="manual", timeout_seconds=1)
    process = schedulers.start_workers(1, VS_SCHEDULER_THREADS="1")
    schedulers.wait_for_runs("witness_59", 3, "succeeded")
    run = holding.request_run(MIRA)
    waiting = short.request_run(MIRA)
    assert schedulers.wait_for_end(waiting, timeout=30).status == "succeeded"
    assert schedulers.wait_for_end(run).status == "succeeded"
    assert schedulers.site.stop(process) == 0
