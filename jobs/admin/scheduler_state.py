"""The schedulers that run, and the work that waits for them: the line at the top of the lists."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, QuerySet, Value

from jobs.models import DatabaseEnvironment, JobDefinition, JobRun, SchedulerInstance


@dataclass(frozen=True, slots=True)
class SchedulerState:
    instances: list[SchedulerInstance]
    queued: int
    overdue: int
    foreign_environment: str | None = None
    """The environment that the database belongs to, when it is not this site's and so no scheduler starts."""
    last_tick_at: datetime | None = None

    @property
    def is_running(self) -> bool:
        return bool(self.instances)


def scheduler_state(now: datetime) -> SchedulerState:
    """Two queries, whether a scheduler runs or not."""
    known = list(SchedulerInstance.objects.with_running(now).order_by("id"))
    running = [instance for instance in known if instance.is_running]
    found = {kind: (size, name) for kind, size, name in _backlog(now)}
    return SchedulerState(
        instances=running,
        queued=found["queued"][0],
        overdue=found["overdue"][0],
        foreign_environment=found["foreign"][1] if "foreign" in found and not running else None,
        last_tick_at=max((instance.last_tick_at for instance in running or known if instance.last_tick_at), default=None),
    )


def _backlog(now: datetime) -> Any:
    """Rows of kind, size and name: the number of queued runs, of overdue jobs, and a foreign environment's name, in one query."""
    queued, overdue = _counted("queued", JobRun.objects.unclaimed()), _counted("overdue", JobDefinition.objects.overdue(now))
    foreign = DatabaseEnvironment.objects.foreign().values_list(Value("foreign"), Value(0), "name")
    return queued.union(overdue, foreign, all=True).order_by()  # Django 6.1 would order by a column of the runs


def _counted(kind: str, rows: QuerySet[Any]) -> Any:
    return rows.order_by().values(kind=Value(kind)).annotate(size=Count("pk"), name=Value("")).values_list("kind", "size", "name")
