"""Which runs are followed by another attempt, and the rows of those attempts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Protocol

import structlog
from django.db import transaction

from jobs.engine.run import Outcome
from jobs.engine.statements import UNSTORABLE
from jobs.models import JobRun, Status
from jobs.models.retry import next_attempt

log = structlog.get_logger()

RETRIED = {Status.FAILED.value, Status.TIMED_OUT.value}


class RetryRules(Protocol):
    """What a definition says of retries."""

    max_retries: int
    retry_backoff_seconds: int
    retry_abandoned: bool


def queue_retries(outcomes: Sequence[Outcome]) -> int:
    """Queue the next attempts of runs that have ended; returns how many."""
    return _store(
        _row_of_next(run.id, run.job_id, run.scheduled_for, run.attempt, run.override, run, finished.status, finished.finished_at) for run, finished in outcomes
    )


def queue_retries_of_abandoned(runs: Iterable[JobRun], now: datetime) -> int:
    """Queue the next attempts of rows that were abandoned `now`, with their jobs; returns how many."""
    return _store(_row_of_next(run.pk, run.job_id, run.scheduled_for, run.attempt, run.kwargs, run.job, Status.ABANDONED, now) for run in runs)


def _row_of_next(
    run_id: int, job_id: str, scheduled_for: datetime, attempt: int, kwargs: dict[str, Any] | None, rules: RetryRules, status: str, ended_at: datetime
) -> JobRun | None:
    """The row of the next attempt, or None when the run is not to be repeated; rules that were damaged by SQL are logged and repeat nothing."""
    try:
        if not _has_attempts_left(rules, attempt, status):
            return None
        return next_attempt(
            job_id=job_id,
            scheduled_for=scheduled_for,
            attempt=attempt,
            status=Status(status),
            finished_at=ended_at,
            backoff_seconds=rules.retry_backoff_seconds,
            kwargs=kwargs,
        )
    except (OverflowError, TypeError, ValueError) as error:
        _log_impossible(job_id, run_id, error)
        return None


def _has_attempts_left(rules: RetryRules, attempt: int, status: str) -> bool:
    if status == Status.ABANDONED:  # it may have done its work: only the definition knows whether it may be repeated
        return rules.retry_abandoned and attempt <= max(rules.max_retries, 1)
    return status in RETRIED and attempt <= rules.max_retries


def _store(rows: Iterable[JobRun | None]) -> int:
    """Insert the rows that there are; one that the database refuses is logged and holds up no other.  Returns how many were inserted."""
    retries = [row for row in rows if row is not None]
    if not retries:
        return 0
    try:
        with transaction.atomic():
            JobRun.objects.bulk_create(retries, ignore_conflicts=True)
    except UNSTORABLE as error:
        if len(retries) == 1:
            _log_impossible(retries[0].job_id, None, error)
            return 0
        return sum(_store([row]) for row in retries)
    return len(retries)


def _log_impossible(job_id: str, run_id: int | None, error: Exception) -> None:
    log.error("job_retry_impossible", job=job_id, run_id=run_id, error=f"{type(error).__name__}: {error}")
