"""The reaper: settle the runs of schedulers that are gone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import structlog
from django.db import transaction

from jobs.models import JobRun, SchedulerInstance, Status
from jobs.models.retry import next_attempt

log = structlog.get_logger()


def reap(database_now: datetime, now: datetime, *, except_for: str) -> None:
    """Settle the runs of instances whose heartbeat has stopped, and of instances without a row; `except_for` is the caller's id."""
    with transaction.atomic():
        silent = SchedulerInstance.objects.silent(database_now).exclude(pk=except_for)
        dead = list(silent.select_for_update(skip_locked=True).values_list("pk", flat=True))
        dead += _owners_without_row()
        if dead:
            settle_runs_of(dead, now)
            SchedulerInstance.objects.filter(pk__in=dead).delete()


def _owners_without_row() -> list[str]:
    known = SchedulerInstance.objects.values("pk")
    return list(JobRun.objects.occupying().exclude(instance__in=known).order_by().values_list("instance", flat=True).distinct())


def settle_runs_of(instances: Sequence[str], now: datetime, reason: str = "its scheduler process died") -> None:
    """Release the runs that certainly never started; abandon those that may have, and retry them only where the definition says so."""
    with transaction.atomic():
        released = JobRun.objects.filter(instance__in=instances).queued().release(now)
        running = JobRun.objects.filter(instance__in=instances).running()
        lost = list(running.select_for_update(of=("self",)).select_related("job"))
        _abandon(lost, now, reason)
    if lost or released:
        log.warning("job_runs_abandoned", instances=list(instances), abandoned=len(lost), released=released, runs=[run.pk for run in lost[:20]], reason=reason)


def _abandon(runs: Sequence[JobRun], now: datetime, reason: str) -> None:
    """End runs whose process is gone, and queue the retries that their definitions ask for."""
    JobRun.objects.filter(pk__in=[run.pk for run in runs]).abandon(now, reason)
    retried = [run for run in runs if run.job.retry_abandoned and run.attempt <= max(run.job.max_retries, 1)]
    JobRun.objects.bulk_create(
        [
            next_attempt(
                job_id=run.job_id,
                scheduled_for=run.scheduled_for,
                attempt=run.attempt,
                status=Status.ABANDONED,
                finished_at=now,
                backoff_seconds=run.job.retry_backoff_seconds,
                kwargs=run.kwargs,
            )
            for run in retried
        ],
        ignore_conflicts=True,
    )
