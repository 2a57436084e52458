"""A scheduler starts beside others, without tables, on a locked database, and on a database of another environment."""

from __future__ import annotations

import signal
import sqlite3
import threading
from pathlib import Path

import pytest

from jobs.engine.scheduler import Scheduler
from jobs.models import JobDefinition
from tests.support.sample.schedulers import Schedulers
from tests.support.waiting import let_pass, wait_until

DEFAULTS_ON = {"VS_MOD_LIST_REFRESH_INTERVAL": "3600", "VS_SERVER_VERSIONS_REFRESH_INTERVAL": "3600", "VS_GAME_SERVER_WATCH_INTERVAL": "3600"}


def test_three_schedulers_that_start_at_once_make_the_default_jobs_once(schedulers: Schedulers) -> None:
    processes = schedulers.start_many(3, **DEFAULTS_ON)
    made = [line["job"] for process in processes for line in schedulers.site.events(process, "job_registered")]
    assert {"game_server_watch", "mod_cache_refresh", "server_versions_check"} <= set(made)
    assert sorted(made) == sorted(JobDefinition.objects.values_list("pk", flat=True))
    assert [line for process in processes for line in schedulers.site.events(process, "scheduler_tick_failed")] == []


@pytest.mark.once
def test_without_its_tables_a_scheduler_says_what_to_do_in_one_line(schedulers: Schedulers, tmp_path: Path) -> None:
    schedulers.site.env["VS_DATABASE_URL"] = f"sqlite:///{tmp_path}/empty.sqlite3"
    done = schedulers.site.manage("runscheduler", check=False)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "manage.py migrate" in line


@pytest.mark.sqlite
def test_a_scheduler_that_starts_while_the_database_is_locked_goes_on_when_it_is_free(schedulers: Schedulers) -> None:
    definition = schedulers.job("later")
    lock = sqlite3.connect(schedulers.database_file, isolation_level=None, check_same_thread=False)
    lock.execute("BEGIN EXCLUSIVE")
    process = schedulers.start(wait=False)
    let_pass(4, because="a process that waits for a lock shows no sign of it")
    assert process.poll() is None
    lock.execute("ROLLBACK")
    lock.close()
    schedulers.wait_for_runs(definition.pk, 1, "succeeded")


def test_a_copied_database_fires_nothing_until_it_is_adopted(schedulers: Schedulers) -> None:
    schedulers.job("copied")
    first = schedulers.start(VS_ENVIRONMENT="production")
    schedulers.wait_for_runs("copied", 1, "succeeded")
    schedulers.site.stop(first)
    count = len(schedulers.runs("copied"))
    staging = schedulers.start("--drain-seconds", "1", wait=True, VS_ENVIRONMENT="staging", **DEFAULTS_ON)
    [line] = schedulers.site.events(staging, "scheduler_tick_failed")
    assert "'production'" in line["error"]
    assert "manage.py jobs adopt" in line["error"]
    schedulers.wait_for_heartbeats(staging, 1)
    assert len(schedulers.runs("copied")) == count
    assert not JobDefinition.objects.filter(pk="mod_cache_refresh").exists()
    schedulers.site.env["VS_ENVIRONMENT"] = "staging"
    schedulers.site.manage("jobs", "adopt")
    schedulers.wait_for_runs("copied", count + 1, "succeeded")
    wait_until(lambda: JobDefinition.objects.filter(pk="mod_cache_refresh").exists(), 5, "the jobs of the code were never registered")
    assert schedulers.site.stop(staging) == 0


@pytest.mark.once
def test_a_signal_may_come_at_any_instruction_of_the_loop() -> None:
    """A handler runs in the loop's own thread; if it waited for a lock that the loop holds, neither would ever go on."""
    scheduler = Scheduler()

    def interrupted_while_it_holds_the_event() -> None:
        with scheduler._event._cond:  # type: ignore[attr-defined]  # where Event.wait() and clear() are for a moment in each tick
            scheduler.stop()

    loop = threading.Thread(target=interrupted_while_it_holds_the_event, daemon=True)
    loop.start()
    loop.join(2)
    assert not loop.is_alive()
    assert scheduler.closing


def test_sigint_ends_a_scheduler_as_sigterm_does(schedulers: Schedulers) -> None:
    process = schedulers.start()
    assert schedulers.site.stop(process, signal.SIGINT, timeout=10) == 0
    [line] = schedulers.site.events(process, "scheduler_stopped")
    assert line["abandoned"] == 0
