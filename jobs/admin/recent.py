"""The last runs of many jobs at once, in two index probes a job instead of a scan of the history."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import or_

from django.db.models import OuterRef, Q, QuerySet, Subquery

from jobs.models import JobDefinition, JobRun

STRIP_LENGTH = 30
SHOWN = ("job_id", "scheduled_for", "attempt", "status", "duration_seconds", "started_at", "finished_at", "queued_at", "slots")


def newest_first(job_id: str | OuterRef) -> QuerySet[JobRun]:
    """The runs of a job in the order of its unique index, read backwards."""
    return JobRun.objects.filter(job=job_id).order_by("-scheduled_for", "-attempt")


def with_latest(definitions: QuerySet[JobDefinition]) -> QuerySet[JobDefinition]:
    """Add who changed each definition last, and the slot at which its last `STRIP_LENGTH` runs begin."""
    changes = JobDefinition.history.filter(id=OuterRef("pk")).order_by("-history_id")
    return definitions.annotate(
        strip_from=Subquery(newest_first(OuterRef("pk")).values("scheduled_for")[STRIP_LENGTH - 1 : STRIP_LENGTH]),
        changed_by=Subquery(changes.values("author")[:1]),
        changed_from=Subquery(changes.values("source")[:1]),
    )


def recent_runs(definitions: Iterable[JobDefinition]) -> dict[str, list[JobRun]]:
    """The last runs of each definition that `with_latest` prepared, newest first."""
    wanted = [Q(job=row.pk) & (Q(scheduled_for__gte=row.strip_from) if row.strip_from else Q()) for row in definitions]  # type: ignore[attr-defined]
    runs: dict[str, list[JobRun]] = {}
    if wanted:
        for run in JobRun.objects.filter(reduce(or_, wanted)).order_by("job", "-scheduled_for", "-attempt").only(*SHOWN):
            runs.setdefault(run.job_id, []).append(run)
    return {job_id: found[:STRIP_LENGTH] for job_id, found in runs.items()}
