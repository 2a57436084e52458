"""Rows that a test of the API starts from."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils.timezone import now

from jobs.models import Author, JobDefinition, JobRun, ScheduledJob

TESTER = Author(name="tester", source="shell")


def make_job(job_id: str = "backup", **fields: Any) -> JobDefinition:
    defaults: dict[str, Any] = {"function": "mod_cache_refresh", "interval_seconds": 3600}
    return JobDefinition.objects.add(TESTER, id=job_id, **defaults | fields)


def make_run(job: JobDefinition, slot: datetime | None = None, **fields: Any) -> JobRun:
    """A run that ended one second after its slot, unless `fields` say otherwise."""
    slot = slot or now()
    ended: dict[str, Any] = {"status": "succeeded", "started_at": slot, "finished_at": slot + timedelta(seconds=1), "duration_seconds": 1.0, "instance": "somewhere"}
    return JobRun.objects.create(job=job, scheduled_for=slot, **ended | fields)


def schedule(job: JobDefinition, next_run_time: datetime | None) -> None:
    """The store entry that a scheduler would have made."""
    ScheduledJob.objects.create(job=job, next_run_time=next_run_time, job_state=b"{}")


def make_many_jobs(count: int) -> None:
    """Jobs `job-00000`, `job-00001`, … without their histories."""
    JobDefinition.objects.bulk_create(JobDefinition(id=f"job-{number:05}", function="mod_cache_refresh", interval_seconds=60) for number in range(count))
