"""Shared by the tests of the engine: definitions at a fixed time, and a scheduler that a test drives step by step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import time_machine

from jobs.engine.claim_result import ClaimResult
from jobs.engine.claims import Capacities, Claims
from jobs.engine.instance import Instance
from jobs.engine.plans import Plans
from jobs.engine.pools import LOOP, PROCESSES, THREADS, Capacity
from jobs.engine.reconcile import reconcile
from jobs.engine.requested import claim_requested
from jobs.engine.run import ClaimedRun
from jobs.engine.statements import FinishedRun, Statements, for_connection
from jobs.models import Author, JobDefinition, JobRun, ScheduledJob, Status

START = datetime(2030, 1, 1, tzinfo=UTC)
STAFF = Author(name="ada", source="admin")


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


@contextmanager
def at(now: datetime) -> Iterator[None]:
    """Set this machine's clock and the database's to `now`."""
    with time_machine.travel(now, tick=False), patch("jobs.clock._ask_postgresql", lambda: datetime.now(UTC)):
        yield


def define(job_id: str, created_at: datetime = START, **fields: Any) -> JobDefinition:
    """A stored definition, created at `created_at`; its interval is 60 s unless `fields` override it."""
    values = {"function": "tests_nothing", "trigger": "interval", "interval_seconds": 60} | fields
    definition = JobDefinition(id=job_id, created_at=created_at, **values)
    definition.save()
    return definition


def edit_at(definition: JobDefinition, now: datetime, **changes: Any) -> JobDefinition:
    """Edit the definition as staff, dated `now`."""
    with at(now):
        return definition.edit(STAFF, **changes)


def next_run(job_id: str) -> datetime | None:
    """The next fire time in the store."""
    return ScheduledJob.objects.get(pk=job_id).next_run_time


def capacities(now: datetime, immediate: int = 1000, buffered: int = 0, judged_at: datetime | None = None) -> Capacities:
    return {pool: Capacity(immediate, buffered, judged_at or now) for pool in (THREADS, LOOP, PROCESSES)}


def instance_named(name: str) -> Instance:
    instance = Instance("")
    instance.id = name
    return instance


@dataclass
class ManualScheduler:
    """A scheduler without its loop: a test calls each step with the time as an argument."""

    instance: str = "one"
    plans: Plans = field(default_factory=Plans)
    statements: Statements = field(default_factory=for_connection)

    def __post_init__(self) -> None:
        self.claims = Claims(self.plans, self.statements, instance_named(self.instance))

    def reconcile(self, now: datetime) -> int:
        return reconcile(self.plans, self.instance, now)

    def claim(self, now: datetime, limit: int = 1000, **capacity: Any) -> ClaimResult:
        """Claim the expected jobs and then the rows."""
        left = capacities(now, **capacity)
        return self.claims.claim_expected(now, left, limit) + self.claims.claim_rows(now, left, limit)

    def claim_requested(self, now: datetime, limit: int = 1000, **capacity: Any) -> ClaimResult:
        return claim_requested(self.statements, self.plans, now, self.instance, capacities(now, **capacity), limit)

    def tick(self, now: datetime) -> list[ClaimedRun]:
        """Reconcile and claim; returns the runs that start."""
        self.reconcile(now)
        return self.claim(now).start + self.claim_requested(now).start

    def finish(self, runs: Sequence[ClaimedRun], now: datetime, status: Status = Status.SUCCEEDED) -> set[int]:
        return self.statements.finish_runs([(run, outcome(run.id, now, status=status.value)) for run in runs], self.instance)


def outcome(run_id: int, now: datetime, **fields: Any) -> FinishedRun:
    values: dict[str, Any] = {"status": "succeeded", "started_at": now, "finished_at": now, "duration_seconds": 0.5} | fields
    return FinishedRun(id=run_id, **values)


def answers(job_id: str) -> list[tuple[datetime, str, int]]:
    """(slot, status, slots) of every first attempt for a slot of the job, oldest first."""
    rows = JobRun.objects.filter(job=job_id, cause="schedule", attempt=1).order_by("scheduled_for")
    return list(rows.values_list("scheduled_for", "status", "slots"))
