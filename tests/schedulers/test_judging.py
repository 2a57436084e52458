"""Schedulers that were all held up take none of each other for dead; one that lost its row starts anew."""

from __future__ import annotations

import signal
import sqlite3

import pytest
from django.db import connection

from jobs.models import Author, JobRun, SchedulerInstance
from tests.support.sample.schedulers import Schedulers
from tests.support.waiting import let_pass, wait_until

MIRA = Author(name="mira", source="admin")
HELD_UP = 13
"""Seconds: more than the ten for which an instance without heartbeats is alive."""


def running(schedulers: Schedulers) -> JobRun:
    """A run that takes longer than the schedulers are held up."""
    run = schedulers.job("long", seconds=0, trigger="manual", kwargs={"seconds": HELD_UP + 12}).request_run(MIRA)
    schedulers.wait_for_entry("start", "long")
    return run


def test_schedulers_that_were_all_stopped_abandon_nothing(schedulers: Schedulers) -> None:
    """As when the machine sleeps.  Their workers go on."""
    processes = schedulers.start_many(2)
    run = running(schedulers)
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    let_pass(HELD_UP, because="silence is told by time alone")
    for process in processes:
        process.send_signal(signal.SIGCONT)
    assert schedulers.wait_for_end(run, timeout=30).status == "succeeded"
    assert {process.pid for process in processes} == set(SchedulerInstance.objects.values_list("pid", flat=True))


@pytest.mark.sqlite
def test_schedulers_that_all_wait_for_a_lock_abandon_nothing(schedulers: Schedulers) -> None:
    schedulers.start_many(2)
    run = running(schedulers)
    lock = sqlite3.connect(schedulers.database_file, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    let_pass(HELD_UP, because="silence is told by time alone")
    lock.execute("ROLLBACK")
    lock.close()
    assert schedulers.wait_for_end(run, timeout=30).status == "succeeded"


def test_a_scheduler_whose_row_was_deleted_kills_what_it_ran_and_goes_on(schedulers: Schedulers) -> None:
    process = schedulers.start_workers(2)
    run = running(schedulers)
    [old] = SchedulerInstance.objects.values_list("pk", flat=True)
    SchedulerInstance.objects.all().delete()
    assert schedulers.wait_for_end(run).status == "abandoned"
    assert schedulers.execution_log("end", "long") == []
    [new] = SchedulerInstance.objects.values_list("pk", flat=True)
    assert new != old
    [event] = wait_until(lambda: schedulers.site.events(process, "scheduler_started_anew"))
    assert (event["before"], event["instance"]) == (old, new)
    schedulers.job("witness")
    schedulers.wait_for_runs("witness", 2, "succeeded")
    assert schedulers.site.stop(process) == 0


def test_after_a_backup_was_restored_no_outcome_lands_in_another_run(schedulers: Schedulers) -> None:
    """The ids of runs are given out again: that of a run in progress goes to a run of another job."""
    process = schedulers.start_workers(2)
    other = schedulers.job("other", seconds=0, trigger="manual")
    run = running(schedulers)
    JobRun.objects.filter(pk=run.pk).delete()
    set_next_id(run.pk)
    again = other.request_run(MIRA)
    assert again.pk == run.pk
    # It was claimed and cannot be executed beside the first, which is killed: what the database says is right.
    ended = schedulers.wait_for_end(again)
    assert (ended.job_id, ended.status) == ("other", "abandoned")
    assert schedulers.site.events(process, "scheduler_started_anew")
    assert schedulers.wait_for_end(other.request_run(MIRA)).status == "succeeded"
    assert schedulers.execution_log("end", "long") == []
    assert len(schedulers.execution_log("end", "other")) == 1
    assert SchedulerInstance.objects.get().threads_stuck == 0
    assert schedulers.site.stop(process) == 0


def set_next_id(run_id: int) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("UPDATE sqlite_sequence SET seq = %s WHERE name = 'jobs_jobrun'", [run_id - 1])
        else:
            cursor.execute("SELECT setval(pg_get_serial_sequence('jobs_jobrun', 'id'), %s, false)", [run_id])
