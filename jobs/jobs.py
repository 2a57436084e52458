"""The registry's own job functions."""

from __future__ import annotations

from django.utils.timezone import now

from jobs.maintenance.prune import prune
from jobs.registry import job


@job("prune_job_runs", cron="17 3 * * *", title="Prune old runs")
def prune_job_runs() -> dict[str, int]:
    """Delete runs that are older or more than their jobs want to keep."""
    deleted = prune(now())
    return {"runs": sum(deleted.values()), "jobs": len(deleted)}
