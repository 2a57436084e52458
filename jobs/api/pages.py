"""Pages of jobs and of runs, at a cost that does not grow with the tables."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.core.exceptions import ValidationError
from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from django.db.models.expressions import Combinable
from django.utils.timezone import now

from jobs.api.inputs import JobsQuery
from jobs.models import JobDefinition, JobRun

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HEAVY = ("result", "traceback", "log", "idempotency_key")


def last_runs(job: OuterRef | str) -> QuerySet[JobRun]:
    """Runs of one job, the last first, along the index that makes each slot's answer unique."""
    return JobRun.objects.filter(job=job).order_by("-scheduled_for", "-attempt")


@dataclass(frozen=True, slots=True)
class JobPage:
    """Some jobs, each with its last run, and how many there are in all."""

    rows: list[tuple[JobDefinition, JobRun | None]]
    total: int


def page_of_jobs(query: JobsQuery) -> JobPage:
    """The jobs that `query` asks for: three queries, whatever the number of jobs and runs."""
    found = _filtered(query)
    rows = found.select_related("scheduled").defer("scheduled__job_state").order_by(*_order(query.order))
    return JobPage(with_last_runs(rows[query.offset : query.offset + query.limit]), found.count())


def with_last_runs(jobs: QuerySet[JobDefinition]) -> list[tuple[JobDefinition, JobRun | None]]:
    """Each job with its last run, in two queries."""
    rows = list(jobs.annotate(last_run_id=Subquery(last_runs(OuterRef("pk")).values("pk")[:1])))
    runs = JobRun.objects.only("status", "started_at", "duration_seconds").in_bulk([row.last_run_id for row in rows])
    return [(row, runs.get(row.last_run_id)) for row in rows]


def find_with_last_run(job_id: str) -> tuple[JobDefinition, JobRun | None]:
    """One job; raises JobNotFound."""
    return JobDefinition.objects.select_related("scheduled").find(job_id), last_runs(job_id).first()


def _filtered(query: JobsQuery) -> QuerySet[JobDefinition]:
    moment = now()
    found = JobDefinition.objects.filter(archived_at__isnull=not query.archived)
    exact = {name: getattr(query, name) for name in ("function", "trigger", "enabled") if getattr(query, name) not in {None, ""}}
    found = found.filter(**exact)
    if query.search:
        found = found.filter(Q(id__icontains=query.search) | Q(title__icontains=query.search) | Q(function__icontains=query.search))
    if query.overdue is not None:
        late = JobDefinition.objects.overdue(moment).values("pk")
        found = found.filter(pk__in=late) if query.overdue else found.exclude(pk__in=late)
    if query.last_status is not None:
        found = found.annotate(last_status=Subquery(last_runs(OuterRef("pk")).values("status")[:1])).filter(last_status=query.last_status)
    return found


def _order(order: str) -> list[str | Combinable]:
    name = order.removeprefix("-")
    field = F("scheduled__next_run_time" if name == "next_run_time" else name)
    first = field.desc(nulls_last=True) if order.startswith("-") else field.asc(nulls_last=True)
    return [first, "id"]


@dataclass(frozen=True, slots=True)
class RunPage:
    """Some runs, and the cursor of the page after them; empty when there is none."""

    runs: list[JobRun]
    cursor: str


def page_of_runs(job_id: str, status: str | None, cursor: str, limit: int) -> RunPage:
    """Runs from new to old; of one job by slot, of all jobs by id.

    A cursor names the last run that was shown, so that runs which arrive meanwhile shift nothing.
    """
    runs = JobRun.objects.defer(*HEAVY)
    runs = runs.filter(status=status) if status else runs
    if job_id:
        runs = runs.filter(job=job_id).order_by("-scheduled_for", "-attempt")
    rows = list((runs.filter(_after(cursor, by_slot=bool(job_id))) if cursor else runs)[: limit + 1])
    more = len(rows) > limit
    return RunPage(rows[:limit], _cursor(rows[limit - 1], by_slot=bool(job_id)) if more else "")


def _cursor(run: JobRun, *, by_slot: bool) -> str:
    numbers: Sequence[int] = ((run.scheduled_for - EPOCH) // timedelta(microseconds=1), run.attempt) if by_slot else (run.pk,)
    return base64.urlsafe_b64encode(".".join(map(str, numbers)).encode()).decode().rstrip("=")


def _after(cursor: str, *, by_slot: bool) -> Q:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        numbers = [int(part) for part in text.split(".")]
        if not by_slot:
            (run_id,) = numbers
            return Q(pk__lt=run_id)
        slot, attempt = numbers
        moment = EPOCH + timedelta(microseconds=slot)
    except (ValueError, OverflowError):
        raise ValidationError({"cursor": "Expected a cursor from `next` of a page before, of the same list."}) from None
    # The first comparison is implied by the second; it is the one that an index serves.
    return Q(scheduled_for__lte=moment) & (Q(scheduled_for__lt=moment) | Q(attempt__lt=attempt))
