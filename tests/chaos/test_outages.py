"""Nothing that the database does hurts the scheduler: it says so once, keeps what it knows, and goes on within two seconds."""

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
from tests.support.sample.fleet import Fleet, pause_for, seconds_between
from tests.support.waiting import wait_until

MIRA = Author(name="mira", source="admin")
RECOVERED_WITHIN = 2.0


@dataclass
class Watch:
    """A scheduler with work to do, before, during and after an outage."""

    fleet: Fleet
    jobs: list[JobDefinition] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.jobs = [self.fleet.job("witness"), self.fleet.job("async_witness", "sample_work_async")]
        self.process = self.fleet.start()
        self.fleet.wait_for_runs("witness", 1, "succeeded")
        # It goes on when the outage of 3 s or more begins, and ends in the middle of it.
        self.sleeper = self.fleet.job("sleeper", seconds=0, trigger="manual", kwargs={"seconds": 2}).request_run(MIRA)
        self.fleet.wait_for_ledger("start", "sleeper")
        self.began = datetime.now(UTC)

    def recovered(self) -> float:
        """Call when the outage is over; seconds until the first slot was claimed again."""
        over = datetime.now(UTC)
        self.fleet.reconnect()
        fresh = JobRun.objects.filter(job="witness", queued_at__gte=over).order_by("id")
        run = wait_until(lambda: quietly(fresh.first), 15, "it never fired again")
        seconds = seconds_between(over, run.queued_at)
        print(f"fired again after {seconds:.2f} s")  # noqa: T201 -- pytest shows it on failure
        return seconds

    def check(self, failures: int) -> None:
        """Nothing was lost, and the outage was said `failures` times."""
        sleeper = self.fleet.wait_for_end(self.sleeper)
        assert sleeper.status == "succeeded"
        assert sleeper.duration_seconds
        assert 1.9 < sleeper.duration_seconds < 4
        assert sleeper.finished_at
        assert sleeper.started_at
        # Kept with the time at which it was over, not that at which it could be written.
        assert abs(seconds_between(sleeper.started_at, sleeper.finished_at) - sleeper.duration_seconds) < 1
        assert len(self.fleet.site.events(self.process, "scheduler_tick_failed")) == failures
        # A run may be over before the tick that has claimed it is.
        wait_until(lambda: len(self.fleet.site.events(self.process, "scheduler_tick_recovered")) == failures, 5, "the recovery was never said")
        count = len(self.fleet.runs("witness"))
        self.fleet.wait_for_runs("witness", count + 2)
        assert self.process.poll() is None
        assert self.fleet.site.stop(self.process) == 0
        self.check_the_books()

    def check_the_books(self) -> None:
        rows, entries = list(JobRun.objects.filter(job__in=[job.pk for job in self.jobs])), self.fleet.ledger()
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
def test_a_locked_database_is_waited_for(fleet: Fleet, seconds: float, failures: int) -> None:
    """Up to 20 s a write waits its turn; after that the tick has failed."""
    watch = Watch(fleet)
    with closing(sqlite3.connect(fleet.database_file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        pause_for(seconds)
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
        watch = Watch(Fleet(site))
        for number in range(20):  # rows fit in as long as the pages that are there have room
            watch.fleet.job(f"crowd_{number}")
        connection.close()
        filler = folder / "filler"
        fill(filler)
        [failed] = wait_until(lambda: site.events(watch.process, "scheduler_tick_failed"), 30, "the disk was never full")
        assert failed["error"].startswith("OperationalError")
        assert says in failed["error"]
        pause_for(3)
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
def test_a_database_that_is_restarted_is_found_again(own_fleet: Fleet, cluster: Cluster, seconds: float) -> None:
    watch = Watch(own_fleet)
    cluster.stop(signal.SIGQUIT)
    pause_for(seconds)
    cluster.start()
    assert watch.recovered() < RECOVERED_WITHIN
    watch.check(failures=1)


@pytest.mark.postgresql
def test_terminated_connections_are_opened_again(own_fleet: Fleet, cluster: Cluster) -> None:
    watch = Watch(own_fleet)
    own_fleet.reconnect()
    for _ in range(3):
        cluster.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'own_%'")
        own_fleet.reconnect()
        assert watch.recovered() < RECOVERED_WITHIN
    failures = len(own_fleet.site.events(watch.process, "scheduler_tick_failed"))
    assert 1 <= failures <= 3
    watch.check(failures)


@pytest.mark.postgresql
@pytest.mark.parametrize("seconds", [3, pytest.param(30, marks=pytest.mark.chaos)])
def test_a_table_that_somebody_locks_is_waited_for(own_fleet: Fleet, cluster: Cluster, seconds: float) -> None:
    watch = Watch(own_fleet)
    with connection.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE jobs_jobrun IN ACCESS EXCLUSIVE MODE")
        pause_for(seconds)
        cursor.execute("ROLLBACK")
    assert watch.recovered() < RECOVERED_WITHIN
    watch.check(failures=0)
