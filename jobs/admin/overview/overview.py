"""What staff see first: what runs, what failed, what comes, and who does the work."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.db.models import QuerySet

from jobs.admin.overview.charts import Load, Timeline, load_by_hour, timeline
from jobs.admin.overview.state import SchedulerState, scheduler_state
from jobs.models import JobDefinition, JobRun, Status

DAY = timedelta(days=1)
ROWS = 6
TIMELINE_ROWS = 20
LOOKED_AT = 3 * TIMELINE_ROWS
"""Jobs that are due soonest; those of them that cannot run have no row."""


@dataclass(frozen=True, slots=True)
class Overview:
    scheduler: SchedulerState
    running: list[JobRun]
    failed: list[JobRun]
    next_jobs: list[JobDefinition]
    jobs: int
    due: int
    paused: int
    timeline: Timeline | None
    load: Load | None
    now: datetime

    @property
    def hidden(self) -> int:
        """Jobs due in a day that the timeline has no room for."""
        return max(self.due - len(self.next_jobs), 0)


def overview(now: datetime) -> Overview:
    current = JobDefinition.objects.current()
    due = current.filter(scheduled__next_run_time__lt=now + DAY)
    jobs_due = due.count()
    soonest = due.select_related("scheduled").defer("scheduled__job_state").order_by("scheduled__next_run_time")
    healthy = list(islice((job for job in soonest[:LOOKED_AT] if job.problem is None), TIMELINE_ROWS))
    return Overview(
        scheduler=scheduler_state(now),
        running=list(_light(JobRun.objects.active().filter(status=Status.RUNNING).order_by("-started_at"))[:ROWS]),
        failed=list(_light(JobRun.objects.bad().order_by("-id"))[:ROWS]),
        next_jobs=healthy,
        jobs=current.count(),
        due=jobs_due,
        paused=current.filter(paused_until__gt=now).count(),
        timeline=timeline(healthy, now) if healthy else None,
        load=load_by_hour(due, jobs_due, now) if healthy else None,
        now=now,
    )


def _light(runs: QuerySet[JobRun]) -> Any:
    return runs.select_related("job").defer("log", "traceback", "result", "kwargs")
