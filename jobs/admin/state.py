"""How the schedulers are: what the line at the top of the lists says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from jobs.models import DatabaseEnvironment, JobDefinition, JobRun, SchedulerInstance


@dataclass(frozen=True, slots=True)
class SchedulerState:
    instances: list[SchedulerInstance]
    queued: int
    overdue: int
    mismatch: str | None = None
    last_tick_at: datetime | None = None

    @property
    def is_running(self) -> bool:
        return bool(self.instances)


def scheduler_state(now: datetime) -> SchedulerState:
    """One query while a scheduler runs; what is wrong is only looked for when none does."""
    queued, overdue = JobRun.objects.unclaimed(), JobDefinition.objects.overdue(now)
    instances: list[Any] = list(SchedulerInstance.objects.running(now).order_by("id").annotate(queued=_count(queued), overdue=_count(overdue)))
    if instances:
        return SchedulerState(instances, instances[0].queued, instances[0].overdue, last_tick_at=max(instance.last_tick_at for instance in instances))
    last_tick_at = SchedulerInstance.objects.aggregate(last=Max("last_tick_at"))["last"]
    return SchedulerState([], queued.count(), overdue.count(), DatabaseEnvironment.objects.mismatch(), last_tick_at)


def _count(rows: QuerySet[Any]) -> Coalesce:
    """How many rows there are, as a part of another query."""
    return Coalesce(Subquery(rows.order_by().annotate(group=Value(1)).values("group").annotate(size=Count("pk")).values("size")), 0)
