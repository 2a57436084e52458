"""The newest runs and the newest change of many jobs, with a few index probes for each job instead of a scan of the history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any, NamedTuple

from django.db.models import OuterRef, Q, QuerySet, Subquery

from jobs.models import JobDefinition, JobRun
from jobs.models.run import NEWEST_FIRST

STRIP_LENGTH = 30
SHOWN = ("job_id", "scheduled_for", "attempt", "status", "duration_seconds", "started_at", "finished_at", "queued_at", "slots")


@dataclass(frozen=True, slots=True)
class Latest:
    """Data of one row in the jobs list that other tables hold.  `runs` has the newest first, one for each bar of the strip."""

    changed_by: str = ""
    changed_from: str = ""
    slot: datetime | None = None
    runs: list[StripRun] = field(default_factory=list)


class StripRun(NamedTuple):
    """The columns of a run that a bar and a badge need.  A page has 1,500 of them, and model instances take four times as long."""

    job_id: str
    pk: int
    status: str
    duration: float | None


def latest_of(job_ids: Sequence[str]) -> dict[str, Latest]:
    """The newest change and the newest runs of each job, in two queries."""
    ends = {job_id: rest for job_id, *rest in _ends(job_ids)}
    runs: dict[str, list[StripRun]] = {job_id: [] for job_id in ends}
    for run in _runs_since({job_id: first for job_id, (_last, first, _by, _from) in ends.items()}):
        runs[run.job_id].append(run)
    return {job_id: Latest(by or "", source or "", last, runs[job_id][:STRIP_LENGTH]) for job_id, (last, _first, by, source) in ends.items()}


def _ends(job_ids: Sequence[str]) -> QuerySet[JobDefinition, tuple[Any, ...]]:
    """For each job: the slots of its newest run and of the oldest run in its strip, and the author and source of its newest change."""
    slots = JobRun.objects.filter(job=OuterRef("pk")).newest_first().values("scheduled_for")
    changes = JobDefinition.history.filter(id=OuterRef("pk")).order_by("-history_id")
    return JobDefinition.objects.filter(pk__in=job_ids).values_list(
        "pk", Subquery(slots[:1]), Subquery(slots[STRIP_LENGTH - 1 : STRIP_LENGTH]), Subquery(changes.values("author")[:1]), Subquery(changes.values("source")[:1])
    )


def _runs_since(first_slots: dict[str, datetime | None]) -> Iterator[StripRun]:
    """The runs of each job since a slot (None: all), newest first: one index range for each job instead of a scan of the history."""
    if not first_slots:
        return
    wanted = [Q(job=job_id) & (Q(scheduled_for__gte=first) if first else Q()) for job_id, first in first_slots.items()]
    runs = JobRun.objects.filter(reduce(or_, wanted)).order_by("job", *NEWEST_FIRST)
    yield from map(StripRun._make, runs.values_list("job_id", "pk", "status", "duration_seconds"))
