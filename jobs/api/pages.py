"""Pages of jobs and of runs; their cost does not grow with the tables."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from django.db.models.expressions import Combinable
from django.utils.timezone import now

from jobs.api.inputs import JobsQuery
from jobs.api.job_cursor import after, cursor_of
from jobs.models import JobDefinition, JobRun
from jobs.models.run_pages import older_than_id, older_than_slot, take_page

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HEAVY = ("result", "traceback", "log")


def last_runs(job: OuterRef | str) -> QuerySet[JobRun]:
    """Runs of one job, newest first, by the unique index of job, slot and attempt."""
    return JobRun.objects.filter(job=job).newest_first()


@dataclass(frozen=True, slots=True)
class JobPage:
    """One page of jobs, each with its last run, the number of jobs on all pages, and the parameters of the next page."""

    rows: list[tuple[JobDefinition, JobRun | None]]
    total: int
    next: dict[str, Any]


def page_of_jobs(query: JobsQuery) -> JobPage:
    """The jobs that match `query`, in three database queries."""
    if query.cursor and query.offset is not None:
        raise ValidationError({"offset": "Expected either a cursor or an offset."})
    found = _filtered(query)
    rows = found.filter(after(query.cursor, query.order)) if query.cursor else found
    rows = rows.select_related("scheduled").defer("scheduled__job_state").order_by(*_order(query.order))
    start = query.offset or 0
    page = with_last_runs(rows[start : start + query.limit + 1])  # one more, to know whether there is a next page
    more: dict[str, Any] = {}
    if len(page) > query.limit:
        more = {"cursor": cursor_of(page[query.limit - 1][0], query.order)} if query.offset is None else {"offset": start + query.limit}
    return JobPage(page[: query.limit], found.count(), more)


def with_last_runs(jobs: QuerySet[JobDefinition]) -> list[tuple[JobDefinition, JobRun | None]]:
    """Each job with its last run, in two queries."""
    rows = list(jobs.annotate(last_run_id=Subquery(last_runs(OuterRef("pk")).values("pk")[:1])))
    runs = JobRun.objects.only("status", "started_at", "duration_seconds").in_bulk([row.last_run_id for row in rows])
    return [(row, runs.get(row.last_run_id)) for row in rows]


def find_with_last_run(job_id: str) -> tuple[JobDefinition, JobRun | None]:
    """Raises JobNotFound."""
    return JobDefinition.objects.select_related("scheduled").find(job_id), last_runs(job_id).first()


def _filtered(query: JobsQuery) -> QuerySet[JobDefinition]:
    found = JobDefinition.objects.filter(archived_at__isnull=not query.archived)
    exact = {name: getattr(query, name) for name in ("function", "trigger", "enabled") if getattr(query, name) not in {None, ""}}
    found = found.filter(**exact)
    if query.search:
        found = found.filter(Q(id__icontains=query.search) | Q(title__icontains=query.search) | Q(function__icontains=query.search))
    if query.overdue is not None:
        late = JobDefinition.objects.overdue(now()).values("pk")
        found = found.filter(pk__in=late) if query.overdue else found.exclude(pk__in=late)
    if query.last_status is not None:
        found = found.annotate(last_status=Subquery(last_runs(OuterRef("pk")).values("status")[:1])).filter(last_status=query.last_status)
    return found


def _order(order: str) -> list[str | Combinable]:
    name = order.removeprefix("-")
    field = F("scheduled__next_run_time" if name == "next_run_time" else name)
    first = field.desc(nulls_last=True) if order.startswith("-") else field.asc(nulls_last=True)
    return [first, "id"]


def page_of_runs(job_id: str, status: str | None, cursor: str, limit: int) -> tuple[list[JobRun], str]:
    """Runs from new to old, and the cursor of the next page ("" on the last one).  A cursor names the last run that was shown."""
    runs = JobRun.objects.defer(*HEAVY)
    runs = runs.filter(status=status) if status else runs
    if job_id:
        runs = runs.filter(job=job_id).newest_first()
    page = take_page(runs.filter(_after(cursor, by_slot=bool(job_id))) if cursor else runs, limit)
    return page.runs, _cursor(page.runs[-1], by_slot=bool(job_id)) if page.has_older else ""


def _cursor(run: JobRun, *, by_slot: bool) -> str:
    numbers: Sequence[int] = ((run.scheduled_for - EPOCH) // timedelta(microseconds=1), run.attempt) if by_slot else (run.pk,)
    return base64.urlsafe_b64encode(".".join(map(str, numbers)).encode()).decode().rstrip("=")


def _after(cursor: str, *, by_slot: bool) -> Q:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        numbers = [int(part) for part in text.split(".")]
        if not by_slot:
            (run_id,) = numbers
            return older_than_id(run_id)
        slot, attempt = numbers
        return older_than_slot(EPOCH + timedelta(microseconds=slot), attempt)
    except (ValueError, OverflowError):
        raise ValidationError({"cursor": "Expected the cursor from `next` of a previous page of the same list."}) from None
