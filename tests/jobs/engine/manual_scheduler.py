"""What the tests of the engine share: job functions, definitions at a fixed time, and one scheduler's claims by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import time_machine

from jobs.engine.claim_result import Claim
from jobs.engine.execute import Run
from jobs.engine.jobstore import JobStore
from jobs.engine.pools import LOOP, PROCESSES, THREADS, Room
from jobs.engine.reconcile import reconcile
from jobs.engine.requested import claim_requested
from jobs.engine.statements import FinishedRun, for_connection
from jobs.models import Author, JobDefinition, JobRun, Status

START = datetime(2030, 1, 1, tzinfo=UTC)
STAFF = Author(name="ada", source="admin")


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


@contextmanager
def at(moment: datetime) -> Iterator[None]:
    """It is `moment`, by this machine's clock and by the database's."""
    with time_machine.travel(moment, tick=False), patch("jobs.clock._ask_postgresql", lambda: datetime.now(UTC)):
        yield


def define(job_id: str, created_at: datetime = START, **fields: Any) -> JobDefinition:
    """A stored definition, a minute's interval unless `fields` say otherwise, made at `created_at`."""
    values = {"function": "tests_nothing", "trigger": "interval", "interval_seconds": 60} | fields
    definition = JobDefinition(id=job_id, created_at=created_at, **values)
    definition.save()
    return definition


def rooms(now: datetime, at_once: int = 1000, soon: int = 0, judged_at: datetime | None = None) -> dict[str, Room]:
    return {lane: Room(at_once, soon, judged_at or now) for lane in (THREADS, LOOP, PROCESSES)}


@dataclass
class Hand:
    """One scheduler without its loop: every step happens when it is asked for, at the time that it is given."""

    instance: str = "one"
    store: JobStore = field(default_factory=JobStore)

    def reconcile(self, now: datetime) -> int:
        return reconcile(self.store, self.instance, now)

    def claim(self, now: datetime, limit: int = 1000, **room: Any) -> Claim:
        """As a tick does that asks the rows: what this store knows to be due, and then whatever else is."""
        room_left = rooms(now, **room)
        claim = self.store.claim_known(now, self.instance, room_left, limit)
        claim.add(self.store.claim(now, self.instance, room_left, limit))
        return claim

    def claim_requested(self, now: datetime, limit: int = 1000, **room: Any) -> Claim:
        return claim_requested(for_connection(), now, self.instance, rooms(now, **room), limit)

    def tick(self, now: datetime) -> list[Run]:
        """Reconcile and claim; the runs that start."""
        self.reconcile(now)
        return self.claim(now).start + self.claim_requested(now).start

    def finish(self, runs: Sequence[Run], now: datetime, status: Status = Status.SUCCEEDED) -> set[int]:
        return for_connection().finish_runs([outcome(run.id, now, status=status.value) for run in runs], self.instance)


def outcome(run_id: int, now: datetime, **fields: Any) -> FinishedRun:
    values: dict[str, Any] = {"status": "succeeded", "started_at": now, "finished_at": now, "duration_seconds": 0.5} | fields
    return FinishedRun(id=run_id, **values)


def answers(job_id: str) -> list[tuple[datetime, str, int]]:
    """(slot, status, slots) of every first attempt for a slot of the job, oldest first."""
    rows = JobRun.objects.filter(job=job_id, cause="schedule", attempt=1).order_by("scheduled_for")
    return list(rows.values_list("scheduled_for", "status", "slots"))
