"""The work of a tick: poll, reconcile, claim, and dispatch each claimed run to its pool."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from jobs.engine.claim_result import ClaimResult
from jobs.engine.claims import Capacities, Claims
from jobs.engine.executors import RunExecutor
from jobs.engine.instance import Instance
from jobs.engine.notifier import Notifier
from jobs.engine.plans import Plans
from jobs.engine.poller import Poller, is_due
from jobs.engine.reconcile import reconcile
from jobs.engine.requested import claim_requested
from jobs.engine.statements import PendingWork, Statements
from jobs.models import JobRun, Status

TICK_SECONDS = 0.2
BUSY_PAUSE = 0.002
"""Seconds between two claims while slots keep coming due, so that each claim finds several."""

PAUSE_PER_RUN = 0.0001
LONGEST_BUSY_PAUSE = 0.02
"""Seconds.  Claims have a fixed cost, so the batching delay grows with the number of runs that the last one started."""

CLAIM_LIMIT = 2000


class Dispatcher:
    """Finds work for one scheduler instance and gives it to the pools.  Only the scheduler's loop calls it."""

    def __init__(
        self, statements: Statements, notifier: Notifier, instance: Instance, now: Callable[[], datetime], wake_recorder: Callable[[], None], *, always_poll: bool
    ) -> None:
        self._statements = statements
        self._instance = instance
        self._now = now
        self._wake_recorder = wake_recorder
        self.plans = Plans()
        self._claims = Claims(self.plans, statements, instance)
        self._poller = Poller(statements, notifier, self.plans.due_queue, always=always_poll)
        self.pools: dict[str, RunExecutor] = {}
        self.pools_full: set[str] = set()
        """Pools that had no room for a due job at the last claim."""
        self.worked = False
        """Whether the last tick found work."""
        self._pause = BUSY_PAUSE

    def poll_again(self) -> None:
        """Make the next tick poll."""
        self._poller.again = True

    def work(self, now: datetime) -> float:
        """Do what there is to do; returns the seconds until there may be more."""
        pending = self._poller.poll(now, self._instance.id)
        self.worked = self._claim_known(now) if pending is None else self._do(pending, now)
        return self._pause if self.worked else self._until_next(now)

    def _do(self, pending: PendingWork, now: datetime) -> bool:
        """Do the work that the tables announce; returns whether there was any."""
        if pending.cancelled:
            self._cancel_runs()
        # A fresh look at the clock: what the poll saw may have been committed after this tick began.
        applied = pending.unapplied and reconcile(self.plans, self._instance.id, self._now()) > 0
        claimed = self._claim_polled(now, from_rows=applied or self._poller.must_claim_rows(pending, now))
        requested = (applied or is_due(pending.next_request, now)) and self._claim_requested(now)
        self._poller.again |= applied or requested
        return applied or claimed or requested

    # -- claims -------------------------------------------------------------------------------------

    def _claim_known(self, now: datetime) -> bool:
        """Claim between two polls: the jobs that this process knows, and rows only where it was wrong."""
        result = self._claim_expected(now, self._capacities(now))
        self.pools_full |= result.pools_full
        return self._note(result)

    def _claim_polled(self, now: datetime, *, from_rows: bool) -> bool:
        """Claim after a poll; with `from_rows`, the due rows of the store first."""
        capacities = self._capacities(now)
        if from_rows:
            result = self._dispatch(self._claims.claim_rows(now, capacities, CLAIM_LIMIT))
            result += self._dispatch(self._claims.claim_expected(now, capacities, CLAIM_LIMIT))
        else:
            result = self._claim_expected(now, capacities)
        self.pools_full = result.pools_full
        return self._note(result)

    def _claim_expected(self, now: datetime, capacities: Capacities) -> ClaimResult:
        result = self._dispatch(self._claims.claim_expected(now, capacities, CLAIM_LIMIT))
        if result.needs_rows or any(capacities[pool].buffered > 0 for pool in result.pools_full):
            result += self._dispatch(self._claims.claim_rows(now, capacities, CLAIM_LIMIT))
        return result

    def _note(self, result: ClaimResult) -> bool:
        self._poller.again |= result.more
        self._pause = BUSY_PAUSE if result.more or result.pools_full else min(BUSY_PAUSE + PAUSE_PER_RUN * result.answered, LONGEST_BUSY_PAUSE)
        return result.answered > 0

    def _claim_requested(self, now: datetime) -> bool:
        return self._dispatch(claim_requested(self._statements, self.plans, now, self._instance.id, self._capacities(now), CLAIM_LIMIT)).answered > 0

    def _capacities(self, now: datetime) -> Capacities:
        return {pool: executor.capacity(now, left_over=pool in self.pools_full) for pool, executor in self.pools.items()}

    # -- runs ---------------------------------------------------------------------------------------

    def _dispatch(self, result: ClaimResult) -> ClaimResult:
        for run in result.start:
            self.pools[run.pool].submit(run)
        if result.start:
            for executor in self.pools.values():
                executor.flush()
        for run in result.buffer:
            self.pools[run.pool].buffered.append(run)
        # The runs that these wait for may have ended, and been recorded, before these were buffered.
        if any(self.pools[run.pool].free() > 0 for run in result.buffer):
            self._wake_recorder()
        return result

    def _cancel_runs(self) -> None:
        asked = JobRun.objects.filter(instance=self._instance.id, cancel_requested_at__isnull=False).active().order_by()
        for run_id in asked.values_list("pk", flat=True):
            for executor in self.pools.values():
                executor.stop(run_id, Status.CANCELLED)

    def _until_next(self, now: datetime) -> float:
        times = [at for at in (self.plans.due_queue.next_at, self._poller.next_at) if at is not None and at > now]
        longest = LONGEST_BUSY_PAUSE if any(executor.backlog for executor in self.pools.values()) else TICK_SECONDS
        return min([longest, *((at - now).total_seconds() for at in times)])
