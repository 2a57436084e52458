"""This scheduler process in the tables: its row, and the runs that it owns."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from jobs.engine.executors import RunExecutor
from jobs.models import JobRun, SchedulerInstance

FORGET_AFTER = timedelta(days=1)
"""Rows of instances that have been silent for this long are deleted when another one registers."""


class Instance:
    """One row of SchedulerInstance."""

    def __init__(self, version: str) -> None:
        self.hostname = socket.gethostname()
        self._version = version
        self.renew()

    def renew(self) -> None:
        """Take a new id: what belongs to the old one is not ours any more."""
        self.id = f"{self.hostname[:60]}-{os.getpid()}-{secrets.token_hex(2)}"
        self._heartbeat_at: datetime | None = None
        self._suspects: set[int] = set()

    def register(self, now: datetime) -> None:
        """Make the row, before the first claim.  Repeated when the database failed during the first tick."""
        SchedulerInstance.objects.filter(heartbeat_at__lt=now - FORGET_AFTER).delete()
        SchedulerInstance.objects.update_or_create(id=self.id, defaults=self._identity(now) | {"heartbeat_at": now})
        self._heartbeat_at = now

    def beat(self, database_now: datetime, executors: Sequence[RunExecutor], workers: int = 0, problem: str = "") -> bool:
        """Update the row at the end of a tick; False when it is not this instance's any more."""
        values = {
            "last_tick_at": database_now,
            "runs_active": sum(len(executor.in_flight) for executor in executors),
            "runs_finished": sum(executor.finished for executor in executors),
            "threads": executors[0].slots,
            "workers": workers,
            "threads_stuck": max(sum(executor.stuck for executor in executors), 0),
        }
        return self._write(database_now, problem, values)

    def report(self, database_now: datetime, problem: str) -> bool:
        """Write a heartbeat and why no tick completes; False when the row is not this instance's any more."""
        return self._write(database_now, problem, {})

    def _write(self, database_now: datetime, problem: str, values: dict[str, Any]) -> bool:
        """Not when the row is gone, because another instance has reaped this one; nor when it is older than what this one wrote.

        Then the database went back to an earlier time: a backup was restored, or a replica took over that lagged behind.
        """
        ours = SchedulerInstance.objects.filter(pk=self.id, **({"heartbeat_at__gte": self._heartbeat_at} if self._heartbeat_at else {}))
        if not ours.update(heartbeat_at=database_now, problem=problem[:1000], **values):
            return False
        self._heartbeat_at = database_now
        return True

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
