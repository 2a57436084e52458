"""Nothing that the database does hurts the scheduler: it says so once, keeps what it knows, and goes on within two seconds."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.db import OperationalError, connection

from jobs.models import Author, JobDefinition, JobRun
from tests.chaos.accounting import contradictions, executed_twice, unexplained
from tests.cluster import Cluster
from tests.processes import Site
from tests.sample.fleet import Fleet, pause_for, seconds_between
from tests.waiting import wait_until

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
        # It goes on when the outage begins, and ends in the middle of it.
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
        assert len(self.fleet.site.events(self.process, "scheduler_tick_recovered")) == failures
        count = len(self.fleet.runs("witness"))
        self.fleet.wait_for_runs("witness", count + 2)
        assert self.process.poll() is None
        assert self.fleet.site.stop(self.process) == 0
        self.check_the_books()

    def check_the_books(self) -> None:
        rows, entries = list(JobRun.objects.filter(job__in=[job.pk for job in self.jobs])), self.fleet.ledger()
        ours = [entry for entry in entries if entry.job != "sleeper"]
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
@pytest.mark.parametrize(("seconds", "failures"), [(4, 0), pytest.param(30, 1, marks=pytest.mark.chaos)])
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
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no small file system: {mounted.stderr.strip()}")
    original = connection.settings_dict["NAME"]
    try:
        with closing(sqlite3.connect(original)) as source, closing(sqlite3.connect(folder / "vsadmin.sqlite3")) as copy:
            source.backup(copy)
        connection.close()
        connection.settings_dict["NAME"] = str(folder / "vsadmin.sqlite3")
        yield folder
    finally:
        connection.close()
        connection.settings_dict["NAME"] = original
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


@pytest.mark.sqlite
def test_a_full_disk_stops_nothing_for_good(small_disk: Path, tmp_path: Path, sample_functions: None) -> None:
    site = Site(tmp_path)
    try:
        watch = Watch(Fleet(site))
        connection.close()
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"x" * 4096)
        wait_until(lambda: site.events(watch.process, "scheduler_tick_failed"), 20, "the disk was never full")
        pause_for(3)
        filler.unlink()
        assert watch.recovered() < RECOVERED_WITHIN
        watch.check(failures=1)
    finally:
        site.close()


# -- PostgreSQL -------------------------------------------------------------------------------------


@pytest.mark.postgresql
@pytest.mark.parametrize("seconds", [4, pytest.param(30, marks=pytest.mark.chaos)])
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
@pytest.mark.parametrize("seconds", [4, pytest.param(30, marks=pytest.mark.chaos)])
def test_a_table_that_somebody_locks_is_waited_for(own_fleet: Fleet, cluster: Cluster, seconds: float) -> None:
    watch = Watch(own_fleet)
    with connection.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE jobs_jobrun IN ACCESS EXCLUSIVE MODE")
        pause_for(seconds)
        cursor.execute("ROLLBACK")
    assert watch.recovered() < RECOVERED_WITHIN
    watch.check(failures=0)
