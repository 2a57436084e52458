"""A signal ends a scheduler as a service manager expects: running jobs complete, no run starts, no process is left behind."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, connections
from django.utils.timezone import now

from jobs.engine.signals import GRACE_SECONDS
from jobs.models import Author, JobDefinition, JobRun
from tests.chaos.accounting import unexplained
from tests.support.sample.schedulers import Schedulers, alive, children_of, descendants, seconds_between
from tests.support.waiting import wait_until

MIRA = Author(name="mira", source="admin")
NOTICED_WITHIN = 0.5
"""Seconds: a claim that was going on at the signal still commits, by a clock that is not ours; the witness is due once a second for as long as runs go on."""

CLAIM_IS_TRIED_AFTER = timedelta(seconds=0.5)

LOADED_MACHINE = 10.0
"""Seconds that a process may take to end when other tests keep the cores busy."""


def start_runs(schedulers: Schedulers, count: int, seconds: float, **fields: Any) -> list[JobRun]:
    """`count` runs that are going on, of as many jobs."""
    definitions = [schedulers.job(f"going_{number}", seconds=0, trigger="manual", kwargs={"seconds": seconds}, **fields) for number in range(count)]
    runs = [definition.request_run(MIRA) for definition in definitions]
    wait_until(lambda: len(schedulers.execution_log("start")) >= count, 20, "the runs never started")
    return runs


def test_ten_runs_complete_after_sigterm_while_another_scheduler_takes_over_without_a_gap(schedulers: Schedulers) -> None:
    first = schedulers.start()
    runs = start_runs(schedulers, 10, seconds=6)
    second = schedulers.start()
    witness = schedulers.job("witness")
    schedulers.wait_for_runs("witness", 2, "succeeded")
    owner = schedulers.instance(first).pk
    signalled_at = datetime.now(UTC)
    assert schedulers.site.stop(first) == 0
    assert [JobRun.objects.get(pk=run.pk).status for run in runs] == ["succeeded"] * 10
    late = [run.pk for run in JobRun.objects.filter(instance=owner) if seconds_between(signalled_at, run.queued_at) > NOTICED_WITHIN]
    assert late == []
    [stopped] = schedulers.site.events(first, "scheduler_stopped")
    assert stopped["abandoned"] == 0
    schedulers.wait_for_runs("witness", len(schedulers.runs("witness")) + 2, "succeeded")
    until = now()
    schedulers.site.stop(second)
    after = schedulers.runs("witness")
    assert unexplained(witness, after, until) == []
    assert [run.slots for run in after] == [1] * len(after)


def test_runs_that_outlast_the_drain_time_are_abandoned_and_say_why(schedulers: Schedulers) -> None:
    process = schedulers.start("--drain-seconds", "1")
    runs = start_runs(schedulers, 3, seconds=60)
    signalled_at = datetime.now(UTC)
    assert schedulers.site.stop(process, timeout=10) == 0
    rows = [JobRun.objects.get(pk=run.pk) for run in runs]
    assert [row.status for row in rows] == ["abandoned"] * 3
    assert {row.reason for row in rows} == {"it was still running 1 s after its scheduler was told to stop"}
    assert max(seconds_between(signalled_at, row.finished_at) for row in rows if row.finished_at) < 4
    [stopped] = schedulers.site.events(process, "scheduler_stopped")
    assert stopped["abandoned"] == 3


@contextmanager
def locked_database(schedulers: Schedulers) -> Iterator[None]:
    """Another connection holds a lock, so that no run can be written."""
    if connection.vendor == "sqlite":
        with closing(sqlite3.connect(schedulers.database_file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
    else:
        with closing(connections.create_connection("default")) as other:
            other.cursor().execute("BEGIN; LOCK TABLE jobs_jobrun IN ACCESS EXCLUSIVE MODE")
            yield


def test_a_scheduler_ends_in_time_while_its_database_stays_locked(schedulers: Schedulers) -> None:
    """SQLite waits 20 s for a lock, PostgreSQL for ever, and each step of stopping writes rows."""
    schedulers.job("witness")
    process = schedulers.start("--drain-seconds", "1")
    start_runs(schedulers, 2, seconds=60)
    schedulers.wait_for_runs("witness", 1, "succeeded")
    with locked_database(schedulers):
        definitions = JobDefinition.objects.filter(pk="witness")
        wait_until(lambda: definitions.filter(scheduled__next_run_time__lt=now() - CLAIM_IS_TRIED_AFTER).exists(), 10, "no slot of the witness came")
        signalled_at = time.monotonic()
        assert schedulers.site.stop(process) == 0
        took = time.monotonic() - signalled_at
    print(f"ended {took:.1f} s after the signal")  # noqa: T201 -- pytest shows it on failure
    assert took < 1 + GRACE_SECONDS + LOADED_MACHINE


def test_no_process_of_a_job_outlives_its_scheduler(schedulers: Schedulers) -> None:
    process = schedulers.start("--drain-seconds", "1")
    schedulers.job("deaf", function="sample_deaf", seconds=0, trigger="manual", executor="process").request_run(MIRA)
    [entry] = schedulers.wait_for_entry("start", "deaf", timeout=30)
    children = children_of(process)
    assert {entry.pid, *descendants(entry.pid)} < set(children)
    assert descendants(entry.pid)
    assert schedulers.site.stop(process, timeout=10) == 0
    wait_until(lambda: not any(alive(child) for child in children), 3, f"left behind: {children}")
    assert [run.status for run in schedulers.runs("deaf")] == ["abandoned"]


def test_a_second_signal_ends_the_scheduler_at_once_and_leaves_no_process(schedulers: Schedulers) -> None:
    process = schedulers.start()
    schedulers.job("deaf", function="sample_deaf", seconds=0, trigger="manual", executor="process").request_run(MIRA)
    start_runs(schedulers, 2, seconds=60)
    schedulers.wait_for_entry("start", "deaf", timeout=30)
    children = children_of(process)
    process.send_signal(signal.SIGTERM)
    wait_until(lambda: schedulers.instance(process).stopping, 10, "it never began to stop")
    assert process.poll() is None
    assert schedulers.site.stop(process, timeout=2) == 1
    wait_until(lambda: not any(alive(child) for child in children), 3, f"left behind: {children}")


def test_a_killed_scheduler_takes_its_jobs_processes_with_it(schedulers: Schedulers) -> None:
    process = schedulers.start()
    schedulers.job("talks", seconds=0, trigger="manual", executor="process", kwargs={"seconds": 60}).request_run(MIRA)
    [entry] = schedulers.wait_for_entry("start", "talks", timeout=30)
    children = children_of(process)
    assert entry.pid in children
    schedulers.kill(process)
    wait_until(lambda: not any(alive(child) for child in children), 2, "a process outlives its scheduler")
    assert JobDefinition.objects.filter(pk="talks").exists()
