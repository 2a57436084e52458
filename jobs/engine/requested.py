"""Claims of requested runs: those asked for by hand or at a start, retries, and slots that are being caught up with."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Count, F, Q, QuerySet

from jobs.engine.claim_result import Claim
from jobs.engine.execute import Run
from jobs.engine.pools import Room, lane_of
from jobs.engine.statements import Statements
from jobs.models import Cause, JobDefinition, JobRun, ScheduledJob

ASKED_FOR = (Cause.MANUAL, Cause.START)


def claim_requested(statements: Statements, now: datetime, instance: str, rooms: dict[str, Room], limit: int) -> Claim:
    """Claim requested runs, and retries whose time has come.

    A run asked for by hand that meets a full house is skipped; a retry or a slot that is being caught up waits.
    """
    claim = Claim()
    with statements.transaction():
        runs = list(requested(now)[:limit])
        definitions = _lock({run.job_id for run in runs})
        occupied = statements.occupied(list(definitions)) if definitions else {}
        for run in JobRun.objects.unclaimed().select_for_update(skip_locked=True).filter(pk__in=[run.pk for run in runs], job__in=definitions).order_by("id"):
            _take(run, definitions[run.job_id], now, instance, rooms, occupied, claim)
    return claim


def requested(now: datetime) -> QuerySet[JobRun]:
    """Runs whose time has come, without those that wait for a full house to empty; the longest due first."""
    going = JobRun.objects.occupying().order_by().values("job").annotate(going=Count("id"))
    full_houses = list(going.filter(going__gte=F("job__max_instances")).values_list("job", flat=True))
    due = JobRun.objects.unclaimed().filter(not_before__lte=now)
    return due.exclude(~Q(cause__in=ASKED_FOR), job__in=full_houses).order_by("not_before", "id").only("job")


def _lock(job_ids: set[str]) -> dict[str, JobDefinition]:
    """Lock the definitions and their store entries, so that nobody else counts or claims runs of these jobs meanwhile."""
    rows = JobDefinition.objects.select_for_update(skip_locked=True, no_key=True).filter(pk__in=job_ids)
    definitions = {row.pk: row for row in rows}
    entries = ScheduledJob.objects.filter(pk__in=definitions)
    locked = set(entries.select_for_update(skip_locked=True).values_list("pk", flat=True))
    for job_id in set(entries.values_list("pk", flat=True)) - locked:
        del definitions[job_id]
    return definitions


def _take(
    run: JobRun,
    definition: JobDefinition,
    now: datetime,
    instance: str,
    rooms: dict[str, Room],
    occupied: dict[str, tuple[int, int]],
    claim: Claim,
) -> None:
    """Start the run, skip it, or leave it for when there is room."""
    count, oldest = occupied.get(definition.pk, (0, run.pk))
    lane = lane_of(definition)
    room = rooms[lane]
    if definition.archived_at is not None:
        run.skip(now, "the job was archived")
    elif count >= definition.max_instances:
        if run.cause in ASKED_FOR:
            run.skip(now, f"run {oldest} was still going")
        return
    elif room.now <= 0:
        claim.left.add(lane)
        return
    elif run.start(now, instance):
        room.now -= 1
        occupied[definition.pk] = (count + 1, oldest)
        claim.start.append(Run.of(definition, run.pk, run.scheduled_for, lane=lane, attempt=run.attempt, cause=run.cause, kwargs=run.kwargs, claimed_at=now))
    claim.answered += 1
