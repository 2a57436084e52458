"""Prune: delete old runs and idempotency keys, in slices that are too small for a claim to wait for."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import chain

import structlog
from django.db import transaction
from django.db.models.functions import Coalesce, Greatest

from jobs.models import IdempotencyKey, JobDefinition, JobRun, RunTotal
from jobs.models.readable import in_pages

log = structlog.get_logger()

SLICE = 100
"""Rows in one transaction: a few milliseconds on either database."""

JOBS_AT_ONCE = 20
"""The last slices of this many jobs share a transaction."""

PAUSE = 0.025
"""Seconds between two slices: a claim that finds SQLite locked tries again after 1, 3, 8 and 18 ms, and must not meet the next slice."""

SHARE = 2.0
"""The pause after a slice is at least this many times as long as the slice took, so that the database is free most of the time."""


def prune(now: datetime) -> dict[str, int]:
    """Delete the finished runs that each definition no longer wants to keep; returns how many, by job."""
    deleted = Counter[str]()
    started = time.thread_time()
    for runs in _slices(now):
        delete(runs)
        deleted.update(run.job_id for run in runs)
        time.sleep(max(PAUSE, SHARE * (time.thread_time() - started)))
        started = time.thread_time()
    if deleted:
        log.info("job_runs_pruned", runs=deleted.total(), jobs=len(deleted))
    _delete_keys(now)
    return dict(deleted)


def _delete_keys(now: datetime) -> None:
    """Delete the idempotency keys that are no longer known."""
    expired = IdempotencyKey.objects.expired(now).order_by("created_at").values_list("pk", flat=True)
    while keys := list(expired[:SLICE]):
        IdempotencyKey.objects.filter(pk__in=keys)._raw_delete(IdempotencyKey.objects.db)
        time.sleep(PAUSE)


def delete(runs: Sequence[JobRun]) -> int:
    """Delete finished runs for good, count them in the totals, and note on their jobs how far back an audit can look.

    Every scheduler on SQLite waits for this transaction, so all reading is done before it.
    """
    latest = {run.job_id: run.scheduled_for for run in sorted(runs, key=lambda run: run.scheduled_for)}
    doomed = [run.pk for run in runs]
    while doomed:
        fresh = RunTotal.objects.fresh_among(doomed)
        with transaction.atomic():
            if RunTotal.objects.add_pruned(fresh):
                for job_id, slot in latest.items():
                    JobDefinition.objects.filter(pk=job_id).update(pruned_until=Greatest(Coalesce("pruned_until", slot), slot))
                return JobRun.objects.filter(pk__in=doomed)._raw_delete(JobRun.objects.db)
    return 0


def _slices(now: datetime) -> Iterator[list[JobRun]]:
    rests: list[list[JobRun]] = []
    for definition in in_pages(JobDefinition.objects.only("id", "keep_runs", "keep_days")):
        until = None if definition.unreadable else _keep_from_or_none(definition, now)
        while until is not None:
            doomed = JobRun.objects.filter(job=definition, scheduled_for__lte=until).finished().order_by("scheduled_for")[:SLICE]
            runs = list(doomed.only("id", "job_id", "status", "scheduled_for"))
            if len(runs) < SLICE:
                rests += [runs] if runs else []
                break
            yield runs
        if len(rests) >= JOBS_AT_ONCE or sum(map(len, rests)) >= SLICE:
            yield list(chain.from_iterable(rests))
            rests = []
    if rests:
        yield list(chain.from_iterable(rests))


def _keep_from_or_none(definition: JobDefinition, now: datetime) -> datetime | None:
    """As `_keep_from`; None for a row whose retention was damaged by hand, which keeps no other job from being pruned."""
    try:
        return _keep_from(definition, now)
    except (OverflowError, TypeError, ValueError) as error:
        log.warning("job_set_aside", job=definition.pk, problem=f"its runs are not pruned, because its retention cannot be read: {error}")
        return None


def _keep_from(definition: JobDefinition, now: datetime) -> datetime | None:
    """Runs of slots up to this time go; None: all stay."""
    limits = []
    if definition.keep_days is not None:
        limits.append(now - timedelta(days=definition.keep_days))
    if definition.keep_runs is not None:
        newest_first = JobRun.objects.filter(job=definition).newest_first().values_list("scheduled_for", flat=True)
        limits += newest_first[definition.keep_runs : definition.keep_runs + 1]
    return max(limits, default=None)
