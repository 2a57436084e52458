"""The template context of a job's page around its form: state, verbs and last runs."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import available_timezones

from django.http import HttpRequest

from jobs.admin.access import may
from jobs.admin.job.latest import SHOWN, STRIP_LENGTH
from jobs.admin.job.verbs import available_verbs
from jobs.admin.scheduler_state import scheduler_state
from jobs.models import JobDefinition, JobRun


def job_context(request: HttpRequest, job_id: str | None, now: datetime) -> dict[str, Any]:
    """State of the job with id `job_id`; without one (the add page), only what the form needs."""
    context: dict[str, Any] = {"timezones": sorted(available_timezones()), "now": now}
    row = JobDefinition.objects.select_related("scheduled").filter(pk=job_id).first() if job_id else None
    if row is None or not may(request, "view_jobdefinition"):
        return context
    runs = list(JobRun.objects.filter(job=row).newest_first().only(*SHOWN, "error", "reason")[:STRIP_LENGTH])
    problem = row.problem
    return context | {
        "row": row,
        "problem": problem,
        "words": problem or row.schedule.describe(),
        "next_run_time": row.scheduled.next_run_time if hasattr(row, "scheduled") else None,
        "paused": row.is_paused(now),
        "runs": runs,
        "latest": runs[:6],
        "verbs": [verb for verb in available_verbs(row, now) if may(request, verb.permission)],
        "defaults": row.code_defaults(),
        "scheduler": scheduler_state(now),
    }
