"""SQLite's file is deleted or replaced under a running scheduler: it does not work on in a file that has no name."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from django.db import connection

from jobs.models import SchedulerInstance
from tests.health.asking import ask, scheduler
from tests.support.sample.schedulers import Schedulers
from tests.support.waiting import wait_until

pytestmark = pytest.mark.sqlite

SUFFIXES = ("-wal", "-shm", "")
"""In the order in which they may go: a log without its database does no harm."""


def move(path: Path, folder: Path) -> None:
    """Move the database and its log to `folder`."""
    connection.close()
    for file in [path.with_name(path.name + suffix) for suffix in SUFFIXES]:
        if file.exists():
            file.rename(folder / file.name)


def test_nothing_fires_and_no_file_is_made_while_the_file_is_gone(schedulers: Schedulers, tmp_path: Path) -> None:
    path, elsewhere = Path(schedulers.database_file), tmp_path / "elsewhere"
    elsewhere.mkdir()
    schedulers.site.start_web()
    process = schedulers.start_workers(1)
    schedulers.job("witness")
    schedulers.wait_for_runs("witness", 2, "succeeded")
    [before] = SchedulerInstance.objects.values_list("pk", flat=True)
    move(path, elsewhere)
    try:
        [failed] = wait_until(lambda: schedulers.site.events(process, "scheduler_tick_failed"))
        assert f"the database file {path} is gone" in failed["error"]
        started = len(schedulers.execution_log("start", "witness"))
        wait_until(lambda: ask(schedulers.site, "/readyz").status_code == 503)
        wait_until(lambda: scheduler(schedulers.site).get("problem") == "the database does not answer")
        assert len(schedulers.execution_log("start", "witness")) <= started + 1, "one may have been claimed before the file was gone"
        assert not path.exists()
    finally:
        move(elsewhere / path.name, path.parent)
    wait_until(lambda: schedulers.site.events(process, "scheduler_tick_recovered"))
    assert list(SchedulerInstance.objects.values_list("pk", flat=True)) == [before], "it goes on as the instance that it was"
    schedulers.wait_for_runs("witness", len(schedulers.runs("witness")) + 2, "succeeded")
    wait_until(lambda: scheduler(schedulers.site)["status"] == "running")


def test_a_scheduler_starts_anew_in_the_file_that_has_replaced_its_own(schedulers: Schedulers, tmp_path: Path) -> None:
    path, copy = Path(schedulers.database_file), tmp_path / "copy.sqlite3"
    process = schedulers.start_workers(1)
    schedulers.job("witness")
    schedulers.wait_for_runs("witness", 2, "succeeded")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    run = schedulers.start_run("lost", kwargs={"seconds": 60})  # not in the copy
    connection.close()
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink()
    copy.replace(path)
    [anew] = wait_until(lambda: schedulers.site.events(process, "scheduler_started_anew"))
    [failed] = schedulers.site.events(process, "scheduler_tick_failed")
    assert f"the database file {path} was replaced" in failed["error"]
    wait_until(lambda: list(SchedulerInstance.objects.filter(pid=process.pid).values_list("pk", flat=True)) == [anew["instance"]])
    known = len(schedulers.runs("witness"))
    schedulers.wait_for_runs("witness", known + 2, "succeeded")
    assert schedulers.runs("lost") == []
    assert schedulers.execution_log("end", "lost") == [], f"run {run.pk} was killed"
    assert schedulers.site.stop(process) == 0
