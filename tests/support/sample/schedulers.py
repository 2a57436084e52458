"""Scheduler processes that know the sample functions, and what a test asks of them, of their rows and of the execution log."""

from __future__ import annotations

import signal
import subprocess
import time
from contextlib import suppress
from datetime import datetime
from typing import Any

import psutil
from django.db import connection
from django.utils.timezone import now

from jobs.models import Author, JobDefinition, JobRun, SchedulerInstance
from tests.support.processes import Site
from tests.support.sample.execution_log import VARIABLE, Entry, read
from tests.support.waiting import wait_until

ENDED = ("succeeded", "failed", "timed_out", "cancelled", "abandoned", "missed", "skipped")


class Schedulers:
    def __init__(self, site: Site) -> None:
        self.site = site
        self.path = site.folder / "execution_log"
        site.env |= {"DJANGO_SETTINGS_MODULE": "tests.support.sample.settings", VARIABLE: str(self.path)}

    # -- processes ----------------------------------------------------------------------------------

    def start(self, *args: str, wait: bool = True, **env: str) -> subprocess.Popen[bytes]:
        return self.site.start_scheduler(*args, wait=wait, **env)

    def start_many(self, count: int, *args: str, **env: str) -> list[subprocess.Popen[bytes]]:
        """Start several at the same time, and return when each has completed a tick."""
        processes = [self.start(*args, wait=False, **env) for _ in range(count)]
        for process in processes:
            self.wait_for_tick(process)
        return processes

    def wait_for_tick(self, process: subprocess.Popen[bytes], timeout: float = 40) -> None:
        wait_until(
            lambda: SchedulerInstance.objects.filter(pid=process.pid, last_tick_at__isnull=False).exists(),
            timeout,
            f"scheduler {process.pid} never ticked",
        )

    def wait_for_heartbeats(self, process: subprocess.Popen[bytes], count: int) -> None:
        """Return when the scheduler has written `count` more heartbeats."""
        for _ in range(count):
            seen = self.instance(process).heartbeat_at
            wait_until(lambda seen=seen: self.instance(process).heartbeat_at > seen, 10, f"scheduler {process.pid} wrote no heartbeat")  # type: ignore[misc]  # a default binds the loop's value

    def start_workers(self, count: int, *args: str, **env: str) -> subprocess.Popen[bytes]:
        """Start a scheduler, and return when all of its workers are there."""
        process = self.start("--workers", str(count), *args, wait=True, **env)
        wait_until(lambda: len(workers_of(process)) == count, 20, "the workers never started")
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> float:
        """Send SIGKILL; the time (seconds since 1970) at which the process had ended."""
        self.site.stop(process, signal.SIGKILL)
        return time.time()

    def instance(self, process: subprocess.Popen[bytes]) -> SchedulerInstance:
        return SchedulerInstance.objects.get(pid=process.pid)

    @staticmethod
    def reconnect() -> None:
        """Close this process's own connection, which an outage has broken."""
        connection.close()

    @property
    def database_file(self) -> str:
        """The path of the SQLite database."""
        return str(connection.settings_dict["NAME"])

    def seconds_since_tick(self, process: subprocess.Popen[bytes]) -> float:
        """The age of the last tick that the scheduler has reported; it reports every 2 s."""
        last = self.instance(process).last_tick_at
        return seconds_between(last, now()) if last else 0.0

    # -- jobs and runs ------------------------------------------------------------------------------

    @staticmethod
    def job(job_id: str, function: str = "sample_work", seconds: int = 1, **fields: Any) -> JobDefinition:
        """A definition as a fixture or a shell would make it; `seconds` 0 with another trigger is left alone."""
        return JobDefinition.objects.create(id=job_id, function=function, **{"trigger": "interval", "interval_seconds": seconds} | fields)

    def start_run(self, job_id: str, function: str = "sample_work", **fields: Any) -> JobRun:
        """Request a run of a new job, and return when its function has been called."""
        run: JobRun = self.job(job_id, function, 0, trigger="manual", **fields).request_run(Author(name="mira", source="admin"))
        self.wait_for_entry("start", job_id)
        return run

    @staticmethod
    def runs(job_id: str, *statuses: str) -> list[JobRun]:
        """The job's runs, oldest first; with `statuses` only those."""
        rows = JobRun.objects.filter(job=job_id).order_by("scheduled_for", "attempt")
        return list(rows.filter(status__in=statuses) if statuses else rows)

    def wait_for_runs(self, job_id: str, count: int, *statuses: str, timeout: float = 15) -> list[JobRun]:
        """At least `count` runs of the job, ended ones unless `statuses` says otherwise."""
        return wait_until(
            lambda: rows if len(rows := self.runs(job_id, *(statuses or ENDED))) >= count else None,
            timeout,
            f"{job_id} never had {count} runs {statuses or 'that ended'}",
        )

    @staticmethod
    def wait_for_end(run: JobRun, timeout: float = 15) -> JobRun:
        return wait_until(lambda: JobRun.objects.filter(pk=run.pk, status__in=ENDED).first(), timeout, f"run {run.pk} of {run.job_id} never ended")

    @staticmethod
    def wait_for_applied(definition: JobDefinition, timeout: float = 10) -> JobDefinition:
        """The definition, once a scheduler has applied the revision that it has in the database."""

        def applied() -> JobDefinition | None:
            row = JobDefinition.objects.get(pk=definition.pk)
            return row if row.applied_revision == row.revision else None

        return wait_until(applied, timeout, f"{definition.pk} was never applied")

    # -- the execution log --------------------------------------------------------------------------

    def execution_log(self, event: str | None = None, job: str | None = None) -> list[Entry]:
        return read(self.path, event, job)

    def wait_for_entry(self, event: str, job: str, count: int = 1, timeout: float = 15) -> list[Entry]:
        return wait_until(
            lambda: entries if len(entries := self.execution_log(event, job)) >= count else None,
            timeout,
            f"{job} never logged {event!r} {count} times",
        )


def alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def children_of(process: subprocess.Popen[bytes]) -> list[int]:
    """The pids of all processes below this one."""
    return descendants(process.pid)


def descendants(pid: int) -> list[int]:
    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


def workers_of(process: subprocess.Popen[bytes]) -> list[int]:
    """The pids of the processes that the scheduler's fork server has started: its workers, and the processes of single runs."""
    with suppress(psutil.NoSuchProcess):
        servers = [child for child in psutil.Process(process.pid).children() if "forkserver" in " ".join(child.cmdline())]
        return [worker.pid for server in servers for worker in server.children() if alive(worker.pid)]
    return []


def seconds_between(earlier: datetime, later: datetime) -> float:
    return (later - earlier).total_seconds()
