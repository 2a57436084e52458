"""Time limits and cancels end runs, whatever their functions do, and leave no thread behind."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.models import Author, JobRun
from tests.support.sample.schedulers import Schedulers, alive, children_of, workers_of
from tests.support.waiting import wait_until

MIRA = Author(name="mira", source="admin")
FOREVER = {"seconds": 3600}

CASES: dict[str, dict[str, Any]] = {
    "async": {"function": "sample_work_async"},
    "sync": {"function": "sample_work"},
    "process": {"function": "sample_work", "executor": "process"},
    "async-process": {"function": "sample_work_async", "executor": "process"},
    "deaf": {"function": "sample_deaf", "executor": "process", "kwargs": {}},
}

GRACE = {"async": 0.7, "sync": 0.7, "process": 0.7, "async-process": 0.7, "deaf": 3.5}
"""Seconds that a run may take to end when it is stopped: a process that ignores SIGTERM is killed 2.5 s later."""


def define(schedulers: Schedulers, name: str, **fields: Any) -> Any:
    values: dict[str, Any] = {"seconds": 0, "trigger": "manual", "kwargs": FOREVER} | CASES[name] | fields
    return schedulers.job(name, **values)


def check_left(schedulers: Schedulers, process: Any, pids: list[int]) -> None:
    """No stuck thread is reported, and the processes that executed the runs are gone."""
    wait_until(lambda: not any(alive(pid) for pid in pids), 10, f"alive: {[pid for pid in pids if alive(pid)]}")
    wait_until(lambda: len(workers_of(process)) == 2, 10, "a worker was not replaced")
    schedulers.wait_for_heartbeats(process, 2)
    assert schedulers.instance(process).threads_stuck == 0


def test_a_time_limit_ends_each_kind_of_run_and_counts_from_the_start_of_its_function(schedulers: Schedulers) -> None:
    process = schedulers.start_workers(2)
    definitions = {name: define(schedulers, name, timeout_seconds=1) for name in CASES}
    runs = {name: definition.request_run(MIRA) for name, definition in definitions.items()}
    complaints = []
    for name, run in runs.items():
        ended = schedulers.wait_for_end(run)
        if ended.status != "timed_out" or not 0.95 <= (ended.duration_seconds or 0) <= 1 + GRACE[name]:
            complaints.append(f"{name}: {ended.status} {ended.error!r} after {ended.duration_seconds:.2f} s")
    assert complaints == []
    pids = [entry.pid for name in ("sync", "process", "async-process", "deaf") for entry in schedulers.execution_log("start", name)]
    assert len(pids) == 4
    check_left(schedulers, process, pids)
    assert schedulers.site.stop(process) == 0


def test_a_worker_with_a_run_that_does_not_return_is_replaced_after_its_other_runs_have_ended(schedulers: Schedulers) -> None:
    process = schedulers.start_workers(2)
    neighbours = [schedulers.job(f"neighbour_{number}", seconds=0, trigger="manual", kwargs={"seconds": 3}).request_run(MIRA) for number in range(6)]
    for run in neighbours:
        schedulers.wait_for_entry("start", run.job_id)
    schedulers.wait_for_end(define(schedulers, "sync", timeout_seconds=1).request_run(MIRA))
    [start] = schedulers.execution_log("start", "sync")
    assert [schedulers.wait_for_end(run).status for run in neighbours] == ["succeeded"] * 6
    check_left(schedulers, process, [start.pid])


def test_a_cancel_ends_each_kind_of_run(schedulers: Schedulers) -> None:
    process = schedulers.start_workers(2)
    runs = {name: define(schedulers, name).request_run(MIRA) for name in CASES}
    for name in CASES:
        schedulers.wait_for_entry("start", name)
    children = children_of(process)
    for run in runs.values():
        JobRun.objects.get(pk=run.pk).request_cancel("mira")
    ended = {name: schedulers.wait_for_end(run) for name, run in runs.items()}
    assert {name: run.status for name, run in ended.items()} == dict.fromkeys(CASES, "cancelled")
    assert {run.reason for run in ended.values()} == {"cancelled by mira"}
    pids = [entry.pid for name in ("sync", "process", "async-process", "deaf") for entry in schedulers.execution_log("start", name)]
    check_left(schedulers, process, pids)
    kept = set(workers_of(process))
    left = [pid for pid in children if alive(pid) and pid not in kept]
    assert len(left) <= 2, left  # the fork server and multiprocessing's resource tracker


@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_start_of_a_process_does_not_count_towards_the_time_limit(schedulers: Schedulers, workers: str) -> None:
    schedulers.start("--workers", workers)
    fields = CASES["process"] | {"seconds": 0, "trigger": "manual", "timeout_seconds": 2, "kwargs": {"seconds": 1.5}}
    runs = [schedulers.job(f"limited_{number}", **fields).request_run(MIRA) for number in range(8)]
    assert [schedulers.wait_for_end(run, timeout=40).status for run in runs] == ["succeeded"] * 8
