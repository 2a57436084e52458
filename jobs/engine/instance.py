"""This scheduler process in the tables: its row, and the runs that it owns."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Sequence
from datetime import datetime, timedelta

from jobs.engine.executors import RunExecutor
from jobs.models import JobRun, SchedulerInstance

FORGET_AFTER = timedelta(days=1)
"""Rows of instances that have been silent for this long are deleted when another one registers."""


class Instance:
    """One row of SchedulerInstance."""

    def __init__(self, version: str) -> None:
        self.hostname = socket.gethostname()
        self.id = f"{self.hostname[:60]}-{os.getpid()}-{secrets.token_hex(2)}"
        self._version = version
        self._suspects: set[int] = set()

    def register(self, now: datetime) -> None:
        """Make the row, before the first claim.  Repeated when the database failed during the first tick."""
        SchedulerInstance.objects.filter(heartbeat_at__lt=now - FORGET_AFTER).delete()
        SchedulerInstance.objects.update_or_create(id=self.id, defaults=self._identity(now) | {"heartbeat_at": now})

    def beat(self, database_now: datetime, executors: Sequence[RunExecutor], workers: int = 0, problem: str = "") -> None:
        """Update the row after a completed tick.  It is made again when another instance has reaped this one."""
        values = {
            "heartbeat_at": database_now,
            "last_tick_at": database_now,
            "runs_active": sum(len(executor.in_flight) for executor in executors),
            "runs_finished": sum(executor.finished for executor in executors),
            "threads": executors[0].slots,
            "workers": workers,
            "problem": problem[:1000],
            "threads_stuck": sum(executor.stuck for executor in executors),
        }
        if not SchedulerInstance.objects.filter(pk=self.id).update(**values):
            SchedulerInstance.objects.create(id=self.id, **self._identity(database_now), **values)

    def _identity(self, started_at: datetime) -> dict[str, object]:
        return {"hostname": self.hostname, "pid": os.getpid(), "version": self._version, "started_at": started_at}

    def mark_stopping(self) -> None:
        """Say that this instance claims nothing any more."""
        SchedulerInstance.objects.filter(pk=self.id).update(stopping=True)

    def deregister(self) -> None:
        """Delete the row, at a clean end."""
        SchedulerInstance.objects.filter(pk=self.id).delete()

    def release_queued(self, now: datetime) -> int:
        """Release the runs that were claimed and never started, for another scheduler to claim."""
        return JobRun.objects.filter(instance=self.id).queued().release(now)

    @property
    def has_suspects(self) -> bool:
        """Whether the last `release_lost` found runs that may be lost."""
        return bool(self._suspects)

    def release_lost(self, known: set[int], now: datetime) -> int:
        """Release runs that belong to this instance by the database and that this process does not know; returns how many.

        A commit whose answer was lost with the connection leaves such runs: claimed, and never submitted to a pool.
        A run is lost when two heartbeats in a row do not know it: one heartbeat may fall between claim and submission.
        """
        ours = set(JobRun.objects.filter(instance=self.id).active().order_by().values_list("pk", flat=True))
        lost, self._suspects = self._suspects & ours - known, ours - known
        return JobRun.objects.filter(instance=self.id, pk__in=lost).release(now) if lost else 0
