"""The metrics, read from the tables, so that every process gives the same numbers.

Prometheus adds the labels `job` and `instance` to what it scrapes, and renames exposed ones of the same name.

Samples are made lazily: `prometheus_client` reads each once, and 190,000 of them at a time (10,000 jobs) would keep the garbage
collector busy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from platform import python_version

from django.db import connection
from django.utils.timezone import now
from prometheus_client import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from jobs import conf
from jobs.models import JobDefinition, RunTotal, Status
from jobs.models.run_stats import DELAY_BOUNDS, DURATION_BOUNDS, Histogram, Totals
from jobs.models.scheduled import is_overdue
from jobs.monitoring.status import SchedulerStatus, read_status
from jobs.schedule.gaps import longest_gap

NO_SUCCESS = frozenset({Status.FAILED, Status.TIMED_OUT, Status.ABANDONED, Status.MISSED, Status.SKIPPED})
"""Endings that nobody asked for."""

Part = tuple[str, dict[str, str], float]
"""A sample before its metric's name is known: suffix, labels, value."""


class JobsCollector(Collector):
    """Every metric of the jobs and their schedulers.  Collecting raises DatabaseError."""

    def collect(self) -> Iterator[Metric]:
        RunTotal.objects.roll_up()
        yield from _scheduler(read_status(), now())
        yield from _jobs(now())
        yield from _runs(RunTotal.objects.current())


def _family(name: str, kind: str, documentation: str, parts: Iterable[Part]) -> Metric:
    family = Metric(name, documentation, kind)
    family.samples = (Sample(name + suffix, labels, value) for suffix, labels, value in parts)  # type: ignore[assignment]  # the encoders only iterate, once
    return family


def _gauge(name: str, documentation: str, value: float, **labels: str) -> Metric:
    return _family(name, "gauge", documentation, [("", labels, value)])


def _histogram(labels: dict[str, str], bounds: tuple[float, ...], histogram: Histogram) -> Iterator[Part]:
    total = 0
    for bound, count in zip((*map("{:g}".format, bounds), "+Inf"), histogram.counts, strict=True):
        total += count
        yield "_bucket", {**labels, "le": bound}, total
    yield "_sum", labels, histogram.sum
    yield "_count", labels, total


def _timestamp(at: datetime | None) -> float:
    return at.timestamp() if at else 0.0


def _queued() -> int:
    with connection.cursor() as cursor:
        # SQLite uses the partial index of active runs only when the query repeats the index's condition literally.
        cursor.execute("SELECT COUNT(*) FROM jobs_jobrun WHERE status IN ('queued', 'running') AND status = 'queued'")
        (count,) = cursor.fetchone()
    return int(count)


def _scheduler(status: SchedulerStatus, now: datetime) -> Iterator[Metric]:
    last_tick = None if status.last_tick_age_seconds is None else now - timedelta(seconds=status.last_tick_age_seconds)
    build = {"version": conf.version(), "python": python_version(), "vsadmin_environment": conf.environment()}
    yield _gauge("vsadmin_build_info", "The versions of this process, and its environment; always 1.", 1, **build)
    yield _gauge("vsadmin_scheduler_up", "1 while a scheduler completed a tick within the last 10 s.", status.status == "running")
    yield _gauge("vsadmin_scheduler_instances", "Schedulers that completed a tick within the last 10 s.", status.instances)
    yield _gauge("vsadmin_scheduler_last_tick_timestamp_seconds", "When a scheduler last completed a tick; 0: never.", _timestamp(last_tick))
    yield _gauge("vsadmin_runs_queued", "Runs that have not started yet.", _queued())


JOB_COLUMNS = ("id", "title", "function", "trigger", "enabled", "paused_until", "scheduled__next_run_time", "interval_seconds", "cron", "ends_at")


def _jobs(now: datetime) -> Iterator[Metric]:
    rows = list(JobDefinition.objects.current().values_list(*JOB_COLUMNS, named=True).order_by("id"))
    info = (("", {"job_id": row.id, "title": row.title, "function": row.function, "trigger": row.trigger}, 1) for row in rows)
    enabled = (("", {"job_id": row.id}, row.enabled and not (row.paused_until and row.paused_until > now)) for row in rows)
    upcoming = (("", {"job_id": row.id}, _timestamp(row.scheduled__next_run_time)) for row in rows if row.scheduled__next_run_time)
    overdue = (("", {"job_id": row.id}, is_overdue(row.scheduled__next_run_time, now)) for row in rows)
    going_on = (row for row in rows if not (row.ends_at and row.ends_at < now))
    intervals = (("", {"job_id": row.id}, gap) for row in going_on if (gap := longest_gap(row.trigger, row.interval_seconds, row.cron)))
    yield _family("vsadmin_job_info", "gauge", "The title, function and trigger of a job; always 1.", info)
    yield _family("vsadmin_job_enabled", "gauge", "1 while a job is enabled and not paused.", enabled)
    yield _family("vsadmin_job_interval_seconds", "gauge", "The longest time between two slots of a job; absent when it does not repeat.", intervals)
    yield _family("vsadmin_job_next_run_timestamp_seconds", "gauge", "When a job fires next; absent when it does not.", upcoming)
    yield _family("vsadmin_job_overdue", "gauge", "1 while a slot of the job should have been claimed more than 10 s ago.", overdue)


def _runs(totals: Totals) -> Iterator[Metric]:
    keys = sorted(totals)
    delays, durations = Histogram([0] * (len(DELAY_BOUNDS) + 1)), dict[str, Histogram]()
    for job, status in keys:
        sums = totals[job, status]
        delays.add(sums.delays)
        durations.setdefault(job, Histogram([0] * (len(DURATION_BOUNDS) + 1))).add(sums.durations)
    counts = (("_total", {"job_id": job, "status": status}, totals[job, status].runs) for job, status in keys)
    successes = (("", {"job_id": job}, _timestamp(totals[job, status].last_finished_at)) for job, status in keys if status == Status.SUCCEEDED)
    failures = (("", {"job_id": job, "status": status}, _timestamp(totals[job, status].last_finished_at)) for job, status in keys if status in NO_SUCCESS)
    duration_parts = (part for job, histogram in durations.items() for part in _histogram({"job_id": job}, DURATION_BOUNDS, histogram))
    yield _family("vsadmin_job_runs", "counter", "Finished runs.", counts)
    yield _family("vsadmin_job_last_success_timestamp_seconds", "gauge", "When a run of the job last succeeded.", successes)
    yield _family("vsadmin_job_last_failure_timestamp_seconds", "gauge", "When a run of the job last ended so, or was not started.", failures)
    yield _family("vsadmin_job_run_duration_seconds", "histogram", "The durations of runs.", duration_parts)
    yield _family("vsadmin_job_start_delay_seconds", "histogram", "The time from a slot to the start of its run.", _histogram({}, DELAY_BOUNDS, delays))
