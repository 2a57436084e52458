"""Claims of requested runs: manual runs, runs at a scheduler's start, retries, and slots that are caught up with."""

from __future__ import annotations

from datetime import datetime

import structlog
from django.db.models import Count, F, Q, QuerySet

from jobs.engine.claim_result import ClaimResult
from jobs.engine.plans import Plans
from jobs.engine.pools import Capacity, pool_of
from jobs.engine.run import ClaimedRun
from jobs.engine.statements import Statements
from jobs.models import Cause, JobDefinition, JobRun, ScheduledJob, Status
from jobs.models.readable import read_rows

log = structlog.get_logger()

SKIPPABLE = (Cause.MANUAL, Cause.START)
"""A run of these causes is skipped when `max_instances` is reached; any other waits."""


def claim_requested(statements: Statements, plans: Plans, now: datetime, instance: str, capacities: dict[str, Capacity], limit: int) -> ClaimResult:
    """Claim requested runs whose time has come, in one transaction."""
    start: list[ClaimedRun] = []
    pools_full: set[str] = set()
    answered = 0
    with statements.transaction():
        run_ids = list(_due(now).values_list("pk", "job_id")[:limit])
        definitions = _lock_definitions({job_id for _run_id, job_id in run_ids}, plans)
        occupied = statements.occupied(list(definitions)) if definitions else {}
        due = JobRun.objects.unclaimed().filter(pk__in=[run_id for run_id, _job_id in run_ids], job__in=definitions)
        rows = read_rows(due.select_for_update(skip_locked=True).order_by("id"))
        for run_id, problem in rows.unreadable.items():
            log.warning("job_run_unreadable", run_id=run_id, problem=problem)
            answered += JobRun.objects.filter(pk=run_id).unclaimed().update(status=Status.FAILED, started_at=None, finished_at=now, error=problem)
        for run in rows.readable:
            definition = definitions[run.job_id]
            pool = pool_of(definition)
            count, oldest = occupied.get(definition.pk, (0, run.pk))
            if definition.archived_at is not None:
                answered += run.skip(now, "the job was archived")
            elif count >= definition.max_instances:
                answered += run.cause in SKIPPABLE and run.skip(now, f"run {oldest} was still in progress")
            elif capacities[pool].immediate <= 0:
                pools_full.add(pool)
            elif run.start(now, instance):
                capacities[pool].take()
                occupied[definition.pk] = (count + 1, oldest)
                start.append(ClaimedRun.of(definition, run.pk, run.scheduled_for, pool=pool, attempt=run.attempt, cause=run.cause, kwargs=run.kwargs, claimed_at=now))
    return ClaimResult(start, pools_full=pools_full, answered=answered + len(start))


def _due(now: datetime) -> QuerySet[JobRun]:
    """Requested runs whose time has come, the longest due first, without those that wait because `max_instances` is reached."""
    in_progress = JobRun.objects.occupying().order_by().values("job").annotate(in_progress=Count("id"))
    full = list(in_progress.filter(in_progress__gte=F("job__max_instances")).values_list("job", flat=True))
    due = JobRun.objects.unclaimed().filter(not_before__lte=now)
    return due.exclude(~Q(cause__in=SKIPPABLE), job__in=full).order_by("not_before", "id")


def _lock_definitions(job_ids: set[str], plans: Plans) -> dict[str, JobDefinition]:
    """Lock the definitions and their store entries, so that no other scheduler counts or claims runs of these jobs meanwhile."""
    rows = read_rows(JobDefinition.objects.select_for_update(skip_locked=True, no_key=True).filter(pk__in=job_ids))
    for job_id, problem in rows.unreadable.items():
        plans.set_aside(job_id, problem)
    definitions = {row.pk: row for row in rows.readable}
    entries = ScheduledJob.objects.filter(pk__in=definitions)
    locked = set(entries.select_for_update(skip_locked=True).values_list("pk", flat=True))
    for job_id in set(entries.values_list("pk", flat=True)) - locked:
        del definitions[job_id]
    return definitions
