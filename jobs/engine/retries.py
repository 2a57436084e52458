"""Which outcomes are followed by another attempt."""

from __future__ import annotations

import structlog

from jobs.engine.run import ClaimedRun
from jobs.engine.statements import FinishedRun
from jobs.models import JobRun, Status
from jobs.models.retry import next_attempt

log = structlog.get_logger()

RETRIED = {Status.FAILED.value, Status.TIMED_OUT.value}


def _has_attempts_left(run: ClaimedRun, status: str) -> bool:
    if status == Status.ABANDONED:  # it may have done its work: only the definition knows whether it may be repeated
        return run.retry_abandoned and run.attempt <= max(run.max_retries, 1)
    return status in RETRIED and run.attempt <= run.max_retries


def retry_of(run: ClaimedRun, finished: FinishedRun) -> JobRun | None:
    """The row of the next attempt, or None when the run is not to be repeated."""
    if not _has_attempts_left(run, finished.status):
        return None
    try:
        return next_attempt(
            job_id=run.job_id,
            scheduled_for=run.scheduled_for,
            attempt=run.attempt,
            status=Status(finished.status),
            finished_at=finished.finished_at,
            backoff_seconds=run.retry_backoff_seconds,
            kwargs=run.override,
        )
    except (OverflowError, TypeError, ValueError) as error:  # a backoff that was damaged by hand must not keep the outcome from being recorded
        log.error("job_retry_impossible", job=run.job_id, run_id=run.id, error=f"{type(error).__name__}: {error}")  # noqa: TRY400 -- the text says it all
        return None
