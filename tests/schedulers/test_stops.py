"""A signal ends a scheduler as a service manager expects: running jobs complete, nothing new begins, nobody is left behind."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any

from django.db import connection, connections
from django.utils.timezone import now

from jobs.engine.signals import GRACE_SECONDS
from jobs.models import Author, JobDefinition, JobRun
from tests.chaos.accounting import unexplained
from tests.support.sample.fleet import Fleet, alive, children_of, pause_for, seconds_between
from tests.support.waiting import wait_until

MIRA = Author(name="mira", source="admin")
NOTICED_WITHIN = 0.5
"""Seconds: a claim that was going on at the signal still commits, by a clock that is not ours; the witness is due once a second for as long as runs go on."""

BUSY_MACHINE = 3.0
"""Seconds that a process may take to end when other tests keep the cores busy."""


def start_runs(fleet: Fleet, count: int, seconds: float, **fields: Any) -> list[JobRun]:
    """`count` runs that are going on, of as many jobs."""
    definitions = [fleet.job(f"going_{number}", seconds=0, trigger="manual", kwargs={"seconds": seconds}, **fields) for number in range(count)]
    runs = [definition.request_run(MIRA) for definition in definitions]
    wait_until(lambda: len(fleet.ledger("start")) >= count, 20, "the runs never started")
    return runs


def test_ten_runs_complete_after_sigterm_while_another_scheduler_takes_over_without_a_gap(fleet: Fleet) -> None:
    first = fleet.start()
    runs = start_runs(fleet, 10, seconds=6)
    second = fleet.start()
    witness = fleet.job("witness")
    fleet.wait_for_runs("witness", 2, "succeeded")
    owner = fleet.instance(first).pk
    signalled_at = datetime.now(UTC)
    assert fleet.site.stop(first) == 0
    assert [JobRun.objects.get(pk=run.pk).status for run in runs] == ["succeeded"] * 10
    late = [run.pk for run in JobRun.objects.filter(instance=owner) if seconds_between(signalled_at, run.queued_at) > NOTICED_WITHIN]
    assert late == []
    [stopped] = fleet.site.events(first, "scheduler_stopped")
    assert stopped["abandoned"] == 0
    fleet.wait_for_runs("witness", len(fleet.runs("witness")) + 2, "succeeded")
    until = now()
    fleet.site.stop(second)
    after = fleet.runs("witness")
    assert unexplained(witness, after, until) == []
    assert [run.slots for run in after] == [1] * len(after)


def test_runs_that_outlast_the_drain_time_are_abandoned_and_say_why(fleet: Fleet) -> None:
    process = fleet.start("--drain-seconds", "1")
    runs = start_runs(fleet, 3, seconds=60)
    signalled_at = datetime.now(UTC)
    assert fleet.site.stop(process, timeout=10) == 0
    rows = [JobRun.objects.get(pk=run.pk) for run in runs]
    assert [row.status for row in rows] == ["abandoned"] * 3
    assert {row.reason for row in rows} == {"it was still running 1 s after its scheduler was told to stop"}
    assert max(seconds_between(signalled_at, row.finished_at) for row in rows if row.finished_at) < 4
    [stopped] = fleet.site.events(process, "scheduler_stopped")
    assert stopped["abandoned"] == 3


@contextmanager
def locked_by_somebody_else(fleet: Fleet) -> Iterator[None]:
    """Nobody can write a run, and nobody knows for how long."""
    if connection.vendor == "sqlite":
        with closing(sqlite3.connect(fleet.database_file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
    else:
        with closing(connections.create_connection("default")) as other:
            other.cursor().execute("BEGIN; LOCK TABLE jobs_jobrun IN ACCESS EXCLUSIVE MODE")
            yield


def test_a_database_that_somebody_keeps_locked_does_not_keep_a_scheduler_from_ending(fleet: Fleet) -> None:
    """SQLite waits 20 s for a lock, PostgreSQL for ever, and each step of the end has something to write."""
    fleet.job("witness")
    process = fleet.start("--drain-seconds", "1")
    start_runs(fleet, 2, seconds=60)
    fleet.wait_for_runs("witness", 1, "succeeded")
    with locked_by_somebody_else(fleet):
        pause_for(1.5)  # a slot of the witness is due, and its claim waits
        signalled_at = time.monotonic()
        assert fleet.site.stop(process) == 0
        took = time.monotonic() - signalled_at
    print(f"ended {took:.1f} s after the signal")  # noqa: T201 -- pytest shows it on failure
    assert took < 1 + GRACE_SECONDS + BUSY_MACHINE


def test_no_process_of_a_job_outlives_its_scheduler(fleet: Fleet) -> None:
    process = fleet.start("--drain-seconds", "1")
    fleet.job("deaf", function="sample_deaf", seconds=0, trigger="manual", executor="process").request_run(MIRA)
    fleet.wait_for_ledger("start", "deaf", timeout=30)
    children = children_of(process)
    assert len(children) == 2
    assert fleet.site.stop(process, timeout=10) == 0
    wait_until(lambda: not any(alive(child) for child in children), 3, f"left behind: {children}")
    assert [run.status for run in fleet.runs("deaf")] == ["abandoned"]


def test_a_second_signal_ends_the_scheduler_at_once_and_leaves_no_process(fleet: Fleet) -> None:
    process = fleet.start()
    fleet.job("deaf", function="sample_deaf", seconds=0, trigger="manual", executor="process").request_run(MIRA)
    start_runs(fleet, 2, seconds=60)
    fleet.wait_for_ledger("start", "deaf", timeout=30)
    children = children_of(process)
    process.send_signal(signal.SIGTERM)
    wait_until(lambda: fleet.instance(process).stopping, 10, "it never began to stop")
    pause_for(0.5)
    assert process.poll() is None
    assert fleet.site.stop(process, timeout=2) == 1
    wait_until(lambda: not any(alive(child) for child in children), 3, f"left behind: {children}")


def test_a_killed_scheduler_takes_its_jobs_processes_with_it(fleet: Fleet) -> None:
    process = fleet.start()
    fleet.job("talks", seconds=0, trigger="manual", executor="process", kwargs={"seconds": 60}).request_run(MIRA)
    fleet.wait_for_ledger("start", "talks", timeout=30)
    [child] = children_of(process)
    fleet.kill(process)
    wait_until(lambda: not alive(child), 5, "the job's process goes on without anybody to tell")
    assert JobDefinition.objects.filter(pk="talks").exists()
