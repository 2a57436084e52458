"""Prune: delete old runs, in slices so small that no claim has to wait for them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta

import structlog
from django.db import transaction

from jobs.models import JobDefinition, JobRun

log = structlog.get_logger()

SLICE = 100
"""Rows in one transaction: a few milliseconds on either database."""

PAUSE = 2.0
"""Times as long as a slice took: SQLite gives its lock to whoever asks at the right moment, so most moments must be free."""


def prune(now: datetime) -> dict[str, int]:
    """Delete the finished runs that each definition no longer wants to keep; returns how many, by job."""
    deleted = {}
    for definition in JobDefinition.objects.only("id", "keep_runs", "keep_days").iterator(chunk_size=500):
        if count := sum(_slices(definition, now)):
            deleted[definition.pk] = count
    if deleted:
        log.info("job_runs_pruned", runs=sum(deleted.values()), jobs=len(deleted))
    return deleted


def _slices(definition: JobDefinition, now: datetime) -> Iterator[int]:
    until = _keep_from(definition, now)
    while until is not None:
        started = time.monotonic()
        with transaction.atomic():
            doomed = JobRun.objects.filter(job=definition, scheduled_for__lte=until).finished().order_by("scheduled_for")[:SLICE]
            count = JobRun.objects.delete_pruned(list(doomed.only("id", "job_id", "status", "scheduled_for")))
        yield count
        if count < SLICE:
            return
        time.sleep(PAUSE * (time.monotonic() - started))


def _keep_from(definition: JobDefinition, now: datetime) -> datetime | None:
    """Runs of slots up to this time go; None: all stay."""
    limits = []
    if definition.keep_days is not None:
        limits.append(now - timedelta(days=definition.keep_days))
    if definition.keep_runs is not None:
        newest_first = JobRun.objects.filter(job=definition).order_by("-scheduled_for", "-attempt").values_list("scheduled_for", flat=True)
        limits += newest_first[definition.keep_runs : definition.keep_runs + 1]
    return max(limits, default=None)
