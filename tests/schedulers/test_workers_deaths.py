"""A worker process that dies takes the runs that it had started with it, and nothing else."""

from __future__ import annotations

import os
import signal
from typing import Any

import psutil
import pytest

from jobs.models import Author, JobDefinition, JobRun
from tests.chaos.accounting import contradictions, executed_twice
from tests.support.sample.schedulers import Schedulers, alive, workers_of
from tests.support.waiting import wait_until

MIRA = Author(name="mira", source="admin")
ENDED_WITHIN = 1.0

DEATHS: dict[str, tuple[str, dict[str, Any], str]] = {
    "segfault": ("sample_segfault", {}, "signal SIGSEGV"),
    "exit": ("sample_die", {"code": 3}, "exit code 3"),
    "abort": ("sample_signal_itself", {"number": signal.SIGABRT}, "signal SIGABRT"),
    "real-time-signal": ("sample_signal_itself", {"number": 40}, "signal 40"),
    "closed": ("sample_close_descriptors", {}, "exit code 1"),
}


def seconds_to_end(schedulers: Schedulers, run: JobRun) -> float:
    """From the start of the function to the outcome, by the machine's clock."""
    [entry] = [entry for entry in schedulers.execution_log("start", run.job_id) if entry.run == run.pk]
    assert run.finished_at
    return run.finished_at.timestamp() - entry.at


def test_a_run_that_kills_its_worker_is_abandoned_within_a_second_and_says_how(schedulers: Schedulers) -> None:
    schedulers.job("witness")
    process = schedulers.start_workers(2)
    schedulers.wait_for_runs("witness", 1, "succeeded")
    complaints = []
    for name, (function, kwargs, ending) in DEATHS.items():
        before = set(workers_of(process))
        definition = schedulers.job(name, function, 0, trigger="manual", kwargs=kwargs)
        run = schedulers.wait_for_end(definition.request_run(MIRA))
        if run.status != "abandoned" or run.reason != f"its worker process ended with {ending}":
            complaints.append(f"{name}: {run.status} {run.reason!r} {run.error!r}")
        elif (took := seconds_to_end(schedulers, run)) > ENDED_WITHIN:
            complaints.append(f"{name}: ended after {took:.1f} s")
        wait_until(lambda before=before: len(workers_of(process)) == 2 and set(workers_of(process)) != before, 10, f"{name}: the worker was not replaced")  # type: ignore[misc]  # a default binds the loop's value
    assert complaints == []
    schedulers.wait_for_runs("witness", len(schedulers.runs("witness")) + 3, "succeeded")
    assert len(schedulers.site.events(process, "scheduler_worker_died")) >= len(DEATHS)
    assert schedulers.site.events(process, "scheduler_workers_failed") == []


def test_a_run_whose_worker_was_killed_is_repeated_only_where_the_definition_allows_it(schedulers: Schedulers) -> None:
    fields: dict[str, Any] = {"seconds": 0, "trigger": "manual", "kwargs": {"seconds": 60}, "retry_backoff_seconds": 1}
    once = schedulers.job("once", **fields).request_run(MIRA)
    again = schedulers.job("again", **fields, retry_abandoned=True, max_retries=1).request_run(MIRA)
    process = schedulers.start_workers(1, "--drain-seconds", "0")
    for run in (once, again):
        schedulers.wait_for_entry("start", run.job_id)
    [worker] = workers_of(process)
    os.kill(worker, signal.SIGKILL)
    for run in (once, again):
        ended = schedulers.wait_for_end(run, timeout=3)
        assert (ended.status, ended.reason) == ("abandoned", "its worker process ended with signal SIGKILL")
    wait_until(lambda: [run.attempt for run in schedulers.runs("again", "running")] == [2], 10, "no second attempt")
    assert [run.attempt for run in schedulers.runs("once")] == [1]


def check_books(rows: list[JobRun], schedulers: Schedulers) -> None:
    """No attempt was executed twice, rows and execution log agree, and a run that had not started was not given up."""
    entries = schedulers.execution_log()
    started = {entry.run for entry in entries if entry.event == "start"}
    complaints = executed_twice(entries) + contradictions(rows, [entry for entry in entries if entry.run in {row.pk for row in rows}])
    complaints += [f"run {row.pk} of {row.job_id} is {row.status} and never started: {row.reason}" for row in rows if row.status != "succeeded" and row.pk not in started]
    assert complaints == []


def test_runs_that_had_not_started_in_a_dead_worker_are_executed_once_by_another(schedulers: Schedulers) -> None:
    """Each worker has one thread and up to twenty runs that wait for it, and two of three workers die each second."""
    JobDefinition.objects.bulk_create([JobDefinition(id=f"quick_{number:02}", function="sample_work", interval_seconds=1) for number in range(60)])
    process = schedulers.start_workers(2, VS_SCHEDULER_THREADS="2")
    schedulers.wait_for_runs("quick_00", 2, "succeeded")
    for number in range(2):
        schedulers.job(f"killer_{number}", "sample_die")
    schedulers.wait_for_runs("killer_0", 4, "abandoned", timeout=30)
    JobDefinition.objects.filter(pk__startswith="killer").update(archived_at=JobRun.objects.latest("queued_at").queued_at)
    schedulers.wait_for_runs("quick_59", len(schedulers.runs("quick_59")) + 2, "succeeded")
    assert schedulers.site.stop(process) == 0
    rows = list(JobRun.objects.filter(job__in=JobDefinition.objects.filter(pk__startswith="quick")).exclude(status__in=["missed", "skipped"]))
    check_books([row for row in rows if row.instance or row.status != "queued"], schedulers)
    assert schedulers.site.events(process, "scheduler_workers_failed") == []


def test_the_death_of_the_fork_server_ends_its_workers_and_another_takes_its_place(schedulers: Schedulers) -> None:
    long = schedulers.job("long", seconds=0, trigger="manual", kwargs={"seconds": 60})
    schedulers.job("witness")
    process = schedulers.start_workers(2)
    run = long.request_run(MIRA)
    schedulers.wait_for_entry("start", "long")
    workers = workers_of(process)
    [server] = {psutil.Process(pid).ppid() for pid in workers}
    os.kill(server, signal.SIGKILL)
    assert schedulers.wait_for_end(run).status == "abandoned"
    wait_until(lambda: not any(alive(pid) for pid in workers), message="a worker outlives the fork server")
    wait_until(lambda: len(workers_of(process)) == 2, 15, "no new workers")
    schedulers.wait_for_runs("witness", len(schedulers.runs("witness")) + 2, "succeeded")


@pytest.mark.parametrize("workers", ["2", "0"])
def test_a_process_of_a_run_that_is_killed_fails_within_two_seconds_though_a_child_has_its_pipe(schedulers: Schedulers, workers: str) -> None:
    process = schedulers.start("--workers", workers)
    definition = schedulers.job("orphan", "sample_orphan", 0, trigger="manual", executor="process")
    run = schedulers.wait_for_end(definition.request_run(MIRA), timeout=20)
    assert (run.status, run.error) == ("failed", "its process ended without an outcome, with signal SIGKILL")
    assert seconds_to_end(schedulers, run) < 2
    wait_until(lambda: len(workers_of(process)) == int(workers), 5, "the child is left behind")
