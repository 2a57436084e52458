"""Claims: answer the slots that are due, so that only one scheduler answers each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from jobs.engine.claim_result import ClaimResult
from jobs.engine.due_queue import LATEST_SHARE
from jobs.engine.instance import Instance
from jobs.engine.plan import Plan
from jobs.engine.plans import UNREAD, Plans
from jobs.engine.pools import Capacity
from jobs.engine.run import ClaimedRun
from jobs.engine.statements import DueEntry, ExpectedClaim, NewRun, Statements, for_connection
from jobs.models import JobRun, Status
from jobs.schedule.policy import Answer, decide
from jobs.schedule.schedule import UNSCHEDULABLE

log = structlog.get_logger()

Capacities = dict[str, Capacity]
"""The room that each pool has left.  A claim uses it up."""

ALL_POOLS_SECONDS = 0.2
"""Seconds between two claims that consider pools without a known job; the others skip the table while the known pools are full."""

BORN_FINAL = {Status.MISSED.value: "job_run_missed", Status.SKIPPED.value: "job_run_skipped"}


@dataclass(slots=True)
class _Answers:
    """What one transaction writes: the new rows, and the next fire time of each job."""

    rows: list[NewRun] = field(default_factory=list)
    next_times: list[tuple[str, datetime | None]] = field(default_factory=list)
    pools_full: set[str] = field(default_factory=set)


class Claims:
    """The claims of one scheduler instance."""

    def __init__(self, plans: Plans, statements: Statements, instance: Instance) -> None:
        self._plans = plans
        self._statements = statements
        self._instance = instance
        self._next_all_pools = 0.0
        self._served = 0

    # -- what this process expects to be due ---------------------------------------------------------

    def claim_expected(self, now: datetime, capacities: Capacities, limit: int) -> ClaimResult:
        """Claim due jobs of the due queue whose answer is one run that starts now.

        The rows are not read first: the statement compares them with what this process expects.  What it cannot
        claim that way is left to `claim_rows`, and `needs_rows` says so.
        """
        queue = self._plans.due_queue
        needs_rows = bool(queue.take(UNREAD, now, limit))
        pools_full: set[str] = set()
        expected: list[tuple[ExpectedClaim, Plan]] = []
        for pool, capacity in capacities.items():
            for at, job_id in queue.take(pool, now, min(capacity.immediate, limit - len(expected))):
                if (claim := self._expect(job_id, at, now, pool, capacity)) is not None:
                    expected.append(claim)
                else:
                    needs_rows = True
            if queue.is_due(pool):
                pools_full.add(pool)
        start = self._start_expected(expected, now, capacities) if expected else []
        return ClaimResult(start, pools_full=pools_full, answered=len(start), needs_rows=needs_rows or len(start) < len(expected))

    def _expect(self, job_id: str, at: datetime, now: datetime, pool: str, capacity: Capacity) -> tuple[ExpectedClaim, Plan] | None:
        state, plan = self._plans.get(job_id) or (b"", None)
        if plan is None or plan.pool != pool:
            return None
        try:
            due = plan.schedule.due(at, now)
            [answer, *more] = decide(plan.schedule, plan.policy, due, capacity.judged_at, occupied=0)
        except UNSCHEDULABLE:
            return None
        if more or answer.status != Status.RUNNING:
            return None
        return ExpectedClaim(job_id, at, state, answer.slot, answer.slots, answer.reason, due.following), plan

    def _start_expected(self, expected: Sequence[tuple[ExpectedClaim, Plan]], now: datetime, capacities: Capacities) -> list[ClaimedRun]:
        try:
            run_ids = self._statements.claim([claim for claim, _plan in expected], now, self._instance.id)
        except BaseException:
            for claim, plan in expected:  # still due: the next tick must find them
                self._plans.due_queue.put(plan.pool, claim.job_id, claim.fire_time)
            raise
        start = []
        for claim, plan in expected:
            if (run_id := run_ids.get(claim.job_id)) is None:
                continue
            self._plans.due_queue.put(plan.pool, claim.job_id, claim.following)
            capacities[plan.pool].take()
            start.append(ClaimedRun.of(plan.call, run_id, claim.slot, pool=plan.pool, claimed_at=now))
        return start

    # -- what the table says is due ------------------------------------------------------------------

    def claim_rows(self, now: datetime, capacities: Capacities, limit: int) -> ClaimResult:
        """Lock due rows of the store and answer every slot that there is room for, in one transaction.

        Two schedulers never answer the same slot: each takes the rows that it can lock.
        """
        full = {pool for pool, capacity in capacities.items() if capacity.total <= 0}
        considered = capacities.keys() if self._is_time_for_all_pools() or not self._plans.pools else self._plans.pools
        if considered <= full:
            return ClaimResult(pools_full=full)
        asked = min(limit, sum(capacities[pool].total for pool in considered - full))
        with self._statements.transaction():
            entries = self._lock_due(now, asked, full)
            if not entries:
                return ClaimResult(pools_full=full)
            more = len(entries) >= asked and any(job_id not in self._plans for job_id, _at, _state in entries)
            plans = self._plans.read(entries)
            answers = self._answer(entries, plans, now, capacities)
            start, buffer = self._write(answers, plans, now)
        return ClaimResult(start, buffer, full | answers.pools_full, len(answers.rows), more)

    def _is_time_for_all_pools(self) -> bool:
        if time.monotonic() < self._next_all_pools:
            return False
        self._next_all_pools = time.monotonic() + ALL_POOLS_SECONDS
        return True

    def _lock_due(self, now: datetime, count: int, full: set[str]) -> list[DueEntry]:
        """Due entries in the order in which they get their places: mostly the longest due, with every fourth the latest.

        The turn is counted across claims, because there may be room for a single run at a time.
        """
        longest, latest = self._statements.lock_due(now, count, max(count // LATEST_SHARE, 1), self._plans.of_pools(full) if full else ())
        entries = longest.copy()
        first = LATEST_SHARE - 1 - self._served % LATEST_SHARE
        for number, entry in enumerate(latest):
            entries.insert(first + number * LATEST_SHARE, entry)
        return entries

    def _answer(self, entries: Sequence[DueEntry], plans: dict[str, Plan], now: datetime, capacities: Capacities) -> _Answers:
        """Decide the due slots of each entry, as long as its pool has room."""
        occupied = self._statements.occupied([job_id for job_id, _at, _state in entries])
        answers = _Answers()
        for job_id, at, _state in entries:
            if (plan := plans.get(job_id)) is None:
                continue
            capacity = capacities[plan.pool]
            if capacity.total <= 0:
                answers.pools_full.add(plan.pool)
                continue
            try:
                due = plan.schedule.due(at, now)
                decided = decide(plan.schedule, plan.policy, due, capacity.judged_at, *occupied.get(job_id, (0, None)))
            except UNSCHEDULABLE as error:
                self._plans.quarantine(job_id, f"its schedule cannot be followed: {type(error).__name__}: {error}")
                continue
            answers.next_times.append((job_id, due.following))
            answers.rows += [self._row(job_id, answer, capacity) for answer in decided]
        return answers

    def _row(self, job_id: str, answer: Answer, capacity: Capacity) -> NewRun:
        status, owner = answer.status, self._instance.id
        if status == Status.QUEUED:
            owner = ""  # any scheduler may start it later
        elif status == Status.RUNNING:
            status = capacity.take()
        return NewRun(job_id, answer.slot, answer.slots, status.value, answer.reason, owner)

    def _write(self, answers: _Answers, plans: dict[str, Plan], now: datetime) -> tuple[list[ClaimedRun], list[ClaimedRun]]:
        """Write the rows and the next fire times; returns the runs to start and the runs to buffer."""
        runs: list[tuple[NewRun, ClaimedRun]] = []
        if answers.rows:
            ids = insert_answers(answers.rows, now)
            runs = [(row, self._run_of(row, run_id, plans, now)) for row, run_id in zip(answers.rows, ids, strict=True) if self._is_ours(row, run_id)]
        if answers.next_times:
            self._statements.advance(answers.next_times)
            self._served += len(answers.next_times)
        for job_id, following in answers.next_times:
            self._plans.due_queue.put(plans[job_id].pool, job_id, following)
        return [run for row, run in runs if row.status == Status.RUNNING], [run for row, run in runs if row.status == Status.QUEUED]

    @staticmethod
    def _is_ours(row: NewRun, run_id: int | None) -> bool:
        """Whether this instance will execute the row; a row that was born final is logged."""
        if run_id is None:
            return False  # the slot had its answer already
        if event := BORN_FINAL.get(row.status):
            log.info(event, job=row.job_id, run_id=run_id, slot=row.slot.isoformat(), slots=row.slots, reason=row.reason)
            return False
        return bool(row.instance)

    @staticmethod
    def _run_of(row: NewRun, run_id: int | None, plans: dict[str, Plan], now: datetime) -> ClaimedRun:
        plan = plans[row.job_id]
        return ClaimedRun.of(plan.call, run_id or 0, row.slot, pool=plan.pool, claimed_at=now)


def insert_answers(rows: Sequence[NewRun], now: datetime) -> list[int | None]:
    """Insert the rows; returns their ids, None for a slot that had its answer already.

    A requested run at the very microsecond of a slot does not answer it, and is moved by a microsecond.
    """
    ids = for_connection().insert_runs(rows, now)
    for index, row in enumerate(rows):
        if ids[index] is None and JobRun.objects.shift_requests_off_slot(row.job_id, row.slot):
            [ids[index]] = for_connection().insert_runs([row], now)
    return ids
