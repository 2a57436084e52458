"""An outage of the database: the scheduler logs it once, keeps outcomes in memory, and goes on within two seconds of its end."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.db import OperationalError, connection

from jobs.models import Author, JobDefinition, JobRun
from tests.chaos.accounting import contradictions, executed_twice, unexplained
from tests.support.cluster import Cluster
from tests.support.databases import database_on
from tests.support.disk import fill, small_file_system
from tests.support.processes import Site
from tests.support.sample.schedulers import Schedulers, seconds_between
from tests.support.waiting import let_pass, wait_until

MIRA = Author(name="mira", source="admin")
RECOVERED_WITHIN = 2.0
LENGTH = "the length of the outage decides whether a tick fails or only waits"


@dataclass
class Watch:
    """A scheduler with work to do, before, during and after an outage."""

    schedulers: Schedulers
    jobs: list[JobDefinition] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.jobs = [self.schedulers.job("witness"), self.schedulers.job("async_witness", "sample_work_async")]
        self.process = self.schedulers.start()
        self.schedulers.wait_for_runs("witness", 1, "succeeded")
        # It is running when the outage (3 s or more) begins, and ends during it.
        self.sleeper = self.schedulers.job("sleeper", seconds=0, trigger="manual", kwargs={"seconds": 2}).request_run(MIRA)
        self.schedulers.wait_for_entry("start", "sleeper")
        self.began = datetime.now(UTC)

    def recovered(self) -> float:
        """Seconds from now, the end of the outage, until the first slot is claimed again."""
        over = datetime.now(UTC)
        self.schedulers.reconnect()
        fresh = JobRun.objects.filter(job="witness", queued_at__gte=over).order_by("id")
        run = wait_until(lambda: quietly(fresh.first), 15, "it never fired again")
        seconds = seconds_between(over, run.queued_at)
        print(f"fired again after {seconds:.2f} s")  # noqa: T201 -- pytest shows it on failure
        return seconds

    def check(self, failures: int) -> None:
        """Nothing was lost, and the outage was logged `failures` times."""
        sleeper = self.schedulers.wait_for_end(self.sleeper)
        assert sleeper.status == "succeeded"
        assert sleeper.duration_seconds
        assert 1.9 < sleeper.duration_seconds < 4
        assert sleeper.finished_at
        assert sleeper.started_at
        # The row has the time at which the run ended, not the time at which the outcome could be written.
        assert abs(seconds_between(sleeper.started_at, sleeper.finished_at) - sleeper.duration_seconds) < 1
        assert len(self.schedulers.site.events(self.process, "scheduler_tick_failed")) == failures
        # A run may end before the tick that claimed it does.
        wait_until(lambda: len(self.schedulers.site.events(self.process, "scheduler_tick_recovered")) == failures, 5, "the recovery was never logged")
        count = len(self.schedulers.runs("witness"))
        self.schedulers.wait_for_runs("witness", count + 2)
        assert self.process.poll() is None
        assert self.schedulers.site.stop(self.process) == 0
        self.check_rows()

    def check_rows(self) -> None:
        rows, entries = list(JobRun.objects.filter(job__in=[job.pk for job in self.jobs])), self.schedulers.execution_log()
        ours = [entry for entry in entries if entry.job in {job.pk for job in self.jobs}]
        complaints = executed_twice(entries) + contradictions(rows, ours)
        for job in self.jobs:
            of_job = [row for row in rows if row.job_id == job.pk]
            complaints += unexplained(job, of_job, max(row.scheduled_for for row in of_job))
        assert complaints == []


def quietly(ask: Callable[[], JobRun | None]) -> JobRun | None:
    try:
        return ask()
    except OperationalError:
        connection.close()
        return None


# -- SQLite -----------------------------------------------------------------------------------------


@pytest.mark.sqlite
@pytest.mark.parametrize(("seconds", "failures"), [(3, 0), pytest.param(30, 1, marks=pytest.mark.chaos)])
def test_a_locked_database_is_waited_for(schedulers: Schedulers, seconds: float, failures: int) -> None:
    """Up to 20 s a write waits its turn; after that the tick has failed."""
    watch = Watch(schedulers)
    with closing(sqlite3.connect(schedulers.database_file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        let_pass(seconds, because=LENGTH)
        other.execute("ROLLBACK")
    assert watch.recovered() < RECOVERED_WITHIN
    watch.check(failures)


@pytest.fixture
def small_disk(transactional_db: None, tmp_path: Path) -> Iterator[Path]:
    """The test database on a file system of 6 MB."""
    original = connection.settings_dict["NAME"]
    with small_file_system(6) as folder:
        try:
            with closing(sqlite3.connect(original)) as source, closing(sqlite3.connect(folder / "vsadmin.sqlite3")) as copy:
                source.backup(copy)
            connection.close()
            connection.settings_dict["NAME"] = str(folder / "vsadmin.sqlite3")
            yield folder
        finally:
            connection.close()
            connection.settings_dict["NAME"] = original


def live_through_a_full_disk(folder: Path, tmp_path: Path, says: str) -> None:
    site = Site(tmp_path)
    try:
        watch = Watch(Schedulers(site))
        for number in range(20):  # rows fit in as long as the pages that are there have room
            watch.schedulers.job(f"crowd_{number}")
        connection.close()
        filler = folder / "filler"
        fill(filler)
        [failed] = wait_until(lambda: site.events(watch.process, "scheduler_tick_failed"), 30, "the disk was never full")
        assert failed["error"].startswith("OperationalError")
        assert says in failed["error"]
        wait_until(lambda: watch.schedulers.execution_log("end", "sleeper"), 10, "the run did not end during the outage")
        filler.unlink()
        assert watch.recovered() < RECOVERED_WITHIN
        watch.check(failures=1)
    finally:
        site.close()


@pytest.mark.sqlite
def test_a_full_disk_stops_nothing_for_good(small_disk: Path, tmp_path: Path, sample_functions: None) -> None:
    live_through_a_full_disk(small_disk, tmp_path, "database or disk is full")


# -- PostgreSQL -------------------------------------------------------------------------------------


@pytest.fixture
def small_tablespace(transactional_db: None, migrated_cluster: Cluster) -> Iterator[Path]:
    """The test database in a tablespace on a file system of 32 MB."""
    with small_file_system(32) as folder:
        data = folder / "data"
        data.mkdir()
        if os.geteuid() == 0:
            shutil.chown(data, "postgres", "postgres")
        migrated_cluster.execute(f"CREATE TABLESPACE small LOCATION '{data}'")
        try:
            with database_on(migrated_cluster, "TABLESPACE small") as name:
                yield folder
            migrated_cluster.execute(f"DROP DATABASE {name} WITH (FORCE)")
        finally:
            migrated_cluster.execute("DROP TABLESPACE small")


@pytest.mark.postgresql
def test_a_full_disk_of_the_server_stops_nothing_for_good(small_tablespace: Path, tmp_path: Path, sample_functions: None) -> None:
    """The tables cannot grow.  A server that cannot write its log ends itself, which is the outage of the next tests."""
    live_through_a_full_disk(small_tablespace, tmp_path, "No space left on device")


@pytest.mark.postgresql
@pytest.mark.parametrize("seconds", [3, pytest.param(30, marks=pytest.mark.chaos)])
def test_a_database_that_is_restarted_is_found_again(own_schedulers: Schedulers, cluster: Cluster, seconds: float) -> None:
    watch = Watch(own_schedulers)
    cluster.stop(signal.SIGQUIT)
    let_pass(seconds, because=LENGTH)
    cluster.start()
    assert watch.recovered() < RECOVERED_WITHIN
    watch.check(failures=1)


@pytest.mark.postgresql
def test_terminated_connections_are_opened_again(own_schedulers: Schedulers, cluster: Cluster) -> None:
    watch = Watch(own_schedulers)
    own_schedulers.reconnect()
    for _ in range(3):
        cluster.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'own_%'")
        own_schedulers.reconnect()
        assert watch.recovered() < RECOVERED_WITHIN
    failures = len(own_schedulers.site.events(watch.process, "scheduler_tick_failed"))
    assert 1 <= failures <= 3
    watch.check(failures)


@pytest.mark.postgresql
@pytest.mark.parametrize("seconds", [3, pytest.param(30, marks=pytest.mark.chaos)])
def test_a_locked_table_is_waited_for(own_schedulers: Schedulers, cluster: Cluster, seconds: float) -> None:
    watch = Watch(own_schedulers)
    with connection.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE jobs_jobrun IN ACCESS EXCLUSIVE MODE")
        let_pass(seconds, because=LENGTH)
        cursor.execute("ROLLBACK")
    assert watch.recovered() < RECOVERED_WITHIN
    watch.check(failures=0)
