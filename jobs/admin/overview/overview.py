"""The data of the overview: active and failed runs, the next 24 hours, and the schedulers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.db.models import QuerySet

from jobs.admin.overview.charts import LoadChart, Timeline, load_chart, timeline
from jobs.admin.scheduler_state import SchedulerState, scheduler_state
from jobs.models import JobDefinition, JobRun, Status

DAY = timedelta(days=1)
RUNS_SHOWN = 6
TIMELINE_ROWS = 20
CANDIDATES = 3 * TIMELINE_ROWS
"""The timeline takes its rows from this many of the jobs due soonest, because jobs with a problem get no row."""


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
    load: LoadChart | None
    now: datetime

    @property
    def running_count(self) -> str:
        """The number of running runs, with "+" when there may be more than are shown."""
        return f"{len(self.running)}+" if len(self.running) == RUNS_SHOWN else str(len(self.running))

    @property
    def hidden(self) -> int:
        """The number of jobs due within a day that have no row in the timeline."""
        return max(self.due - len(self.next_jobs), 0)


def overview(now: datetime) -> Overview:
    current = JobDefinition.objects.current()
    due = current.filter(scheduled__next_run_time__lt=now + DAY)
    jobs_due = due.count()
    soonest = due.select_related("scheduled").defer("scheduled__job_state").order_by("scheduled__next_run_time")
    healthy = list(islice((job for job in soonest[:CANDIDATES] if job.problem is None), TIMELINE_ROWS))
    return Overview(
        scheduler=scheduler_state(now),
        running=list(_without_large_columns(JobRun.objects.active().filter(status=Status.RUNNING).order_by("-started_at"))[:RUNS_SHOWN]),
        failed=list(_without_large_columns(JobRun.objects.bad().order_by("-id"))[:RUNS_SHOWN]),
        next_jobs=healthy,
        jobs=current.count(),
        due=jobs_due,
        paused=current.filter(paused_until__gt=now).count(),
        timeline=timeline(healthy, now) if healthy else None,
        load=load_chart(due, jobs_due, now) if healthy else None,
        now=now,
    )


def _without_large_columns(runs: QuerySet[JobRun]) -> Any:
    return runs.select_related("job").defer("log", "traceback", "result", "kwargs")
