"""The jobs that this process knows: the plan of each, cached by the state that it was read from, and when each comes due."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import structlog
from django.db.models import F

from jobs.engine.due_queue import DueQueue
from jobs.engine.plan import Plan
from jobs.models import JobDefinition, ScheduledJob
from jobs.models.readable import attempt, read_rows
from jobs.schedule.schedule import UNSCHEDULABLE

log = structlog.get_logger()

UNREAD = ""
"""The pool, in the due queue, of jobs whose plan this process has not read yet: it knows when they come due and nothing else."""

PRELOADED = 20_000
"""Jobs that are known from the start, the first due first.  A later one is found by reading the table."""

Entry = tuple[str, Any, bytes]
"""A row of the store: id, next_run_time, job_state."""


class Plans:
    """One plan for each job that this process has read."""

    def __init__(self) -> None:
        self._plans: dict[str, tuple[bytes, Plan]] = {}
        self.due_queue = DueQueue()
        self.pools: set[str] = set()
        """The pools of all known jobs."""
        self.unreadable: dict[str, str] = {}
        """Definitions that cannot be read, and why."""

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._plans

    def __getitem__(self, job_id: str) -> Plan:
        return self._plans[job_id][1]

    def get(self, job_id: str) -> tuple[bytes, Plan] | None:
        """The state and the plan of a known job."""
        return self._plans.get(job_id)

    def of_pools(self, pools: set[str]) -> list[str]:
        """The known jobs whose runs go to one of `pools`."""
        return [job_id for job_id, (_state, plan) in self._plans.items() if plan.pool in pools]

    def clear(self) -> None:
        """Forget all jobs."""
        self._plans.clear()
        self.pools.clear()
        self.due_queue.clear()

    def preload(self) -> None:
        """Read from the store when its jobs come due."""
        entries = ScheduledJob.objects.filter(next_run_time__isnull=False).order_by("next_run_time").values_list("pk", "next_run_time")
        known: list[tuple[Any, datetime | None]] | None
        known, _problem = attempt(lambda: list(entries[:PRELOADED]))  # with a damaged entry in it, claims read the table until it is mended
        for job_id, at in known or ():
            if isinstance(job_id, str) and job_id not in self._plans:
                self.due_queue.put(UNREAD, job_id, at)

    def read(self, entries: Sequence[Entry]) -> dict[str, Plan]:
        """The plans of store entries, by job; an unreadable entry is quarantined and left out."""
        stale = [(job_id, state) for job_id, _at, state in entries if job_id not in self._plans or self._plans[job_id][0] != state]
        if stale:
            rows = read_rows(JobDefinition.objects.filter(pk__in=[job_id for job_id, _state in stale]))
            definitions = {row.pk: row for row in rows.readable}
            for job_id, state in stale:
                if job_id in rows.unreadable:
                    self.set_aside(job_id, rows.unreadable[job_id])
                else:
                    self._read_one(job_id, state, definitions.get(job_id))
        return {job_id: self._plans[job_id][1] for job_id, _at, _state in entries if job_id in self._plans}

    def _read_one(self, job_id: str, state: bytes, definition: JobDefinition | None) -> None:
        self._plans.pop(job_id, None)
        if definition is None:
            self.quarantine(job_id, "no definition has this id")
            return
        try:
            self._cache(state, Plan.of(definition).applied_as(state))
        except UNSCHEDULABLE as error:
            self.quarantine(job_id, f"its state cannot be read: {error}")

    def cache(self, plan: Plan, next_run_time: datetime | None) -> None:
        """Keep what has just been written to the store, so that the next claim need not read it."""
        self._cache(plan.state, plan)
        self.due_queue.put(plan.pool, plan.call.pk, next_run_time)

    def _cache(self, state: bytes, plan: Plan) -> None:
        self._plans[plan.call.pk] = (state, plan)
        self.pools.add(plan.pool)

    def quarantine(self, job_id: str, problem: str) -> None:
        """Take the entry off the schedule, and mark its definition, if any, as unapplied: the next reconcile makes a new entry."""
        log.warning("job_set_aside", job=job_id, problem=problem)
        self._plans.pop(job_id, None)
        self.due_queue.put(UNREAD, job_id, None)
        ScheduledJob.objects.filter(pk=job_id).update(next_run_time=None)
        JobDefinition.objects.filter(pk=job_id).update(applied_revision=0)

    def set_aside(self, job_id: str, problem: str) -> None:
        """Take a definition that cannot be read off the schedule, by statements that do not read it, until it was mended.

        Without an entry in the store it is applied again by the next scheduler that starts, or when this one tries again.
        """
        if self.unreadable.get(job_id) != problem:
            log.warning("job_set_aside", job=job_id, problem=problem)
        self.unreadable[job_id] = problem
        self._plans.pop(job_id, None)
        self.due_queue.put(UNREAD, job_id, None)
        ScheduledJob.objects.filter(pk=job_id)._raw_delete(ScheduledJob.objects.db)
        JobDefinition.objects.filter(pk=job_id).update(applied_revision=F("revision"))

    def try_again(self) -> bool:
        """Let the definitions that could not be read be applied if they can be read now; returns whether there are any."""
        mended = read_rows(JobDefinition.objects.filter(pk__in=list(self.unreadable))).readable
        for row in mended:
            del self.unreadable[row.pk]
        return bool(mended and JobDefinition.objects.filter(pk__in=[row.pk for row in mended]).update(applied_revision=0))

    @property
    def problem(self) -> str:
        """Which definitions cannot be read, in words."""
        if not self.unreadable:
            return ""
        job_id, problem = next(iter(self.unreadable.items()))
        others = f", and {len(self.unreadable) - 1} more" if len(self.unreadable) > 1 else ""
        return f"set aside: the job {job_id!r}{others}: {problem}"
