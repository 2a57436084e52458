"""Many rows quickly: definitions with or without their place in the store, and histories of a million runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from django.db import connection
from django.db.models import Model, QuerySet
from django_apscheduler.models import DjangoJob, DjangoJobExecution

from jobs.engine.plan import Plan
from jobs.models import JobDefinition, JobRun

BATCH = 5000

HISTORY = {
    "postgresql": """
        INSERT INTO jobs_jobrun (job_id, scheduled_for, slots, cause, attempt, status, reason, queued_at, started_at, finished_at, duration_seconds,
                                 instance, requested_by, error, traceback, log)
        SELECT 'job' || (n %% %(jobs)s), %(start)s::timestamptz + n * interval '1 second', 1, 'schedule', 1,
               CASE WHEN n %% 50 = 0 THEN 'failed' ELSE 'succeeded' END, '', %(start)s::timestamptz + n * interval '1 second',
               %(start)s::timestamptz + n * interval '1 second', %(start)s::timestamptz + n * interval '1 second', 0.01, 'gone', '', '', '', ''
        FROM generate_series(1, %(runs)s) AS n
    """,
    "sqlite": """
        WITH RECURSIVE series (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < %(runs)s),
                       times (n, at) AS (SELECT n, datetime(%(start)s, '+' || n || ' seconds') FROM series)
        INSERT INTO jobs_jobrun (job_id, scheduled_for, slots, cause, attempt, status, reason, queued_at, started_at, finished_at, duration_seconds,
                                 instance, requested_by, error, traceback, log)
        SELECT 'job' || (n %% %(jobs)s), at, 1, 'schedule', 1, CASE WHEN n %% 50 = 0 THEN 'failed' ELSE 'succeeded' END, '', at,
               at, at, 0.01, 'gone', '', '', '', ''
        FROM times
    """,
}


def make_jobs(count: int, interval: int, function: str = "bench_nothing", *, applied: bool, spread: bool = True) -> None:
    """Jobs `job0` to `job<count-1>`, due from now on; `applied` ones are in the store already, as after a restart."""
    base = datetime.now(UTC)
    for definitions in _batches(count, interval, function, base, spread=spread):
        if applied:
            entries = [(Plan.of(row), row) for row in definitions]
            DjangoJob.objects.bulk_create(
                [DjangoJob(id=row.pk, next_run_time=plan.schedule.next_fire_time(row.scheduled_from), job_state=plan.state) for plan, row in entries],
                batch_size=BATCH,
            )
            for row in definitions:
                row.applied_revision, row.applied_at = row.revision, base
        JobDefinition.objects.bulk_create(definitions, batch_size=BATCH)
    analyze()


def remove_jobs() -> None:
    """Empty the tables that grow with jobs, those of the stock store as well; the long way would write a record of history for each."""
    tables: tuple[type[Model], ...] = (JobRun, DjangoJobExecution, DjangoJob, JobDefinition.history.model, JobDefinition)
    for table in tables:
        QuerySet(table)._raw_delete(connection.alias)


def _batches(count: int, interval: int, function: str, base: datetime, *, spread: bool) -> Iterator[list[JobDefinition]]:
    for first in range(0, count, BATCH):
        yield [
            JobDefinition(
                id=f"job{number}",
                function=function,
                trigger="interval",
                interval_seconds=interval,
                created_at=base + timedelta(seconds=interval * number / count if spread else 0),
                scheduled_from=base,
            )
            for number in range(first, min(first + BATCH, count))
        ]


def make_history(runs: int, jobs: int) -> None:
    """Finished runs of `job0` to `job<jobs-1>`, one a second, the last of them a minute ago."""
    start = datetime.now(UTC) - timedelta(seconds=runs + 60)
    with connection.cursor() as cursor:
        first = start if connection.vendor == "postgresql" else f"{start:%Y-%m-%d %H:%M:%S}"
        cursor.execute(HISTORY[connection.vendor], {"runs": runs, "jobs": jobs, "start": first})
    analyze()


def analyze() -> None:
    """What autovacuum would do a minute later."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")
