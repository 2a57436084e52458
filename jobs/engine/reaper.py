"""The reaper: settle the runs of schedulers that are gone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

import structlog
from django.db import transaction

from jobs.engine.retries import queue_retries_of_abandoned
from jobs.models import JobRun, SchedulerInstance
from jobs.models.readable import read_rows

log = structlog.get_logger()


def reap(suspects: Collection[str], database_now: datetime, now: datetime) -> bool:
    """Settle the runs of those suspects whose heartbeat has stopped, or that have no row; returns whether there were any."""
    with transaction.atomic():
        silent = SchedulerInstance.objects.silent(database_now).filter(pk__in=suspects)
        dead = list(silent.select_for_update(skip_locked=True).values_list("pk", flat=True))
        dead += set(owners_without_row()).intersection(suspects)
        if dead:
            settle_runs_of(dead, now)
            SchedulerInstance.objects.filter(pk__in=dead).delete()
    return bool(dead)


def relieve(database_now: datetime, now: datetime) -> bool:
    """Release what live instances have claimed and cannot start because no tick of theirs completes; returns whether there was any.

    Runs in progress stay: the threads and processes that execute and record them need no tick.
    """
    failing = SchedulerInstance.objects.failing(database_now).values("pk")
    released = JobRun.objects.filter(instance__in=failing).queued().release(now)
    if released:
        log.warning("job_runs_relieved", runs=released, reason="no tick of their scheduler completes")
    return released > 0


def owners_without_row() -> list[str]:
    """The instances that have unfinished runs and no row."""
    known = SchedulerInstance.objects.values("pk")
    return list(JobRun.objects.occupying().exclude(instance__in=known).order_by().values_list("instance", flat=True).distinct())


def settle_runs_of(instances: Sequence[str], now: datetime, reason: str = "its scheduler process died") -> None:
    """Release the runs that certainly never started; abandon those that may have, and retry them only where the definition says so."""
    with transaction.atomic():
        released = JobRun.objects.filter(instance__in=instances).queued().release(now)
        running = JobRun.objects.filter(instance__in=instances).running()
        rows = read_rows(running.select_for_update(of=("self",)).select_related("job"))
        lost = [*(run.pk for run in rows.readable), *rows.unreadable]
        JobRun.objects.filter(pk__in=lost).abandon(now, reason)
        queue_retries_of_abandoned(rows.readable, now)
    if lost or released:
        log.warning("job_runs_abandoned", instances=list(instances), abandoned=len(lost), released=released, runs=lost[:20], reason=reason)
