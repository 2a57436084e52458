"""This process as others see it: its heartbeat, and what it does with the runs of instances that have fallen silent."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from django.db import transaction

from jobs.engine.executors import RunExecutor
from jobs.models import JobRun, SchedulerInstance, Status
from jobs.models.retry import next_attempt

log = structlog.get_logger()

FORGET_AFTER = timedelta(days=1)


class Instance:
    """One row of SchedulerInstance, and the two duties that come with it."""

    def __init__(self, version: str) -> None:
        self.hostname = socket.gethostname()
        self.id = f"{self.hostname[:60]}-{os.getpid()}-{secrets.token_hex(2)}"
        self._version = version
        self._suspects: set[int] = set()

    def appear(self, now: datetime) -> None:
        """Make this process known before it claims anything; again, if the database failed before the first tick was over."""
        SchedulerInstance.objects.filter(heartbeat_at__lt=now - FORGET_AFTER).delete()
        SchedulerInstance.objects.update_or_create(
            id=self.id, defaults={"hostname": self.hostname, "pid": os.getpid(), "version": self._version, "started_at": now, "heartbeat_at": now}
        )

    def beat(self, database_now: datetime, executors: Sequence[RunExecutor]) -> None:
        """Say that a tick has just completed.  The row is made anew if somebody took this process for dead meanwhile."""
        news = {
            "heartbeat_at": database_now,
            "last_tick_at": database_now,
            "runs_active": sum(len(executor.handed) for executor in executors),
            "runs_finished": sum(executor.finished for executor in executors),
            "threads": executors[0].slots,
            "threads_stuck": sum(executor.stuck for executor in executors),
        }
        if not SchedulerInstance.objects.filter(pk=self.id).update(**news):
            who = {"hostname": self.hostname, "pid": os.getpid(), "version": self._version, "started_at": database_now}
            SchedulerInstance.objects.create(id=self.id, **who, **news)

    def stopping(self) -> None:
        """Claim nothing any more, and say so."""
        SchedulerInstance.objects.filter(pk=self.id).update(stopping=True)

    def vanish(self) -> None:
        """A clean end leaves no row behind."""
        SchedulerInstance.objects.filter(pk=self.id).delete()

    def release(self, now: datetime) -> int:
        """Give back what was claimed and never started, for another scheduler to start."""
        return release_queued([self.id], now)

    @property
    def has_suspects(self) -> bool:
        """Whether the last `take_back` met runs that may be lost."""
        return bool(self._suspects)

    def take_back(self, known: set[int], now: datetime) -> int:
        """Give back runs that the database says are ours and we know nothing of; returns how many.

        A commit whose answer was lost with the connection leaves such runs: they were claimed and never handed over.
        A run counts as lost when two heartbeats in a row do not know it, so that one on its way from hand to hand does not.
        """
        ours = set(JobRun.objects.filter(instance=self.id).active().order_by().values_list("pk", flat=True))
        lost, self._suspects = self._suspects & ours - known, ours - known
        if not lost:
            return 0
        return JobRun.objects.filter(pk__in=lost, instance=self.id).release(now)

    def reap(self, database_now: datetime, now: datetime) -> None:
        """Settle the runs of instances whose heartbeat has stopped, and of instances that left no row."""
        with transaction.atomic():
            silent = SchedulerInstance.objects.silent(database_now).exclude(pk=self.id)
            dead = list(silent.select_for_update(skip_locked=True).values_list("pk", flat=True))
            dead += self._unknown_owners()
            if dead:
                settle_runs_of(dead, now)
                SchedulerInstance.objects.filter(pk__in=dead).delete()

    @staticmethod
    def _unknown_owners() -> list[str]:
        known = SchedulerInstance.objects.values("pk")
        return list(JobRun.objects.occupying().exclude(instance__in=known).order_by().values_list("instance", flat=True).distinct())


def release_queued(instances: Sequence[str], now: datetime) -> int:
    """Runs that certainly never started are for any scheduler to claim again."""
    return JobRun.objects.queued().filter(instance__in=instances).release(now)


def settle_runs_of(instances: Sequence[str], now: datetime, reason: str = "its scheduler process died") -> None:
    """Dispatch again what never started; abandon what may have, and retry that only where the definition says so."""
    with transaction.atomic():
        released = release_queued(instances, now)
        running = JobRun.objects.running().filter(instance__in=instances)
        lost = list(running.select_for_update(of=("self",)).select_related("job"))
        abandon(lost, now, reason)
    if lost or released:
        log.warning("job_runs_abandoned", instances=list(instances), abandoned=len(lost), released=released, runs=[run.pk for run in lost[:20]], reason=reason)


def abandon(runs: Sequence[JobRun], now: datetime, reason: str) -> None:
    """End runs whose process is gone, and queue the retries that their definitions ask for."""
    JobRun.objects.filter(pk__in=[run.pk for run in runs]).abandon(now, reason)
    JobRun.objects.bulk_create(
        [
            next_attempt(
                job_id=run.job_id,
                scheduled_for=run.scheduled_for,
                attempt=run.attempt,
                status=Status.ABANDONED,
                finished_at=now,
                backoff_seconds=run.job.retry_backoff_seconds,
                kwargs=run.kwargs,
            )
            for run in runs
            if run.job.retry_abandoned and run.attempt <= max(run.job.max_retries, 1)
        ],
        ignore_conflicts=True,
    )
