"""Retries: the row that queues the next attempt of a run, and the time at which it may start."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

from jobs.models.run import Cause, JobRun
from jobs.schedule.kinds import Status

LONGEST_WAIT = 3600
"""Seconds: doubling stops here, because a retry a day later is of little use."""


def retry_at(attempt: int, backoff_seconds: int, finished_at: datetime) -> datetime:
    """When the attempt after `attempt` may start: the backoff doubles each time (up to an hour, or the backoff itself) and varies by up to a tenth."""
    wait = min(backoff_seconds * 2 ** min(attempt - 1, 20), max(LONGEST_WAIT, backoff_seconds))
    return finished_at + timedelta(seconds=wait * random.uniform(1.0, 1.1))  # noqa: S311 -- spreads retries, guards nothing


def next_attempt(
    *, job_id: str, scheduled_for: datetime, attempt: int, status: Status, finished_at: datetime, backoff_seconds: int, kwargs: dict[str, Any] | None
) -> JobRun:
    """The unsaved row of the attempt after `attempt`, which ended with `status`."""
    return JobRun(
        job_id=job_id,
        scheduled_for=scheduled_for,
        attempt=attempt + 1,
        cause=Cause.RETRY,
        queued_at=finished_at,
        not_before=retry_at(attempt, backoff_seconds, finished_at),
        kwargs=kwargs,
        reason=f"attempt {attempt} {status.value.replace('_', ' ')}",
    )
