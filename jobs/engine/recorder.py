"""The recorder: one thread that writes the outcomes of runs, many in one commit."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import islice
from queue import Empty, SimpleQueue

import structlog
from django.db import DatabaseError, InterfaceError, connection, transaction

from jobs.engine.executors import RunExecutor
from jobs.engine.instance import Instance
from jobs.engine.retries import queue_retries
from jobs.engine.run import ClaimedRun, Outcome
from jobs.engine.statements import UNSTORABLE, FinishedRun, for_connection
from jobs.models import JobRun, Status

log = structlog.get_logger()

GROUP = 2000
"""With this number of outcomes a commit waits for no more."""

SHORTEST_PAUSE = 0.004
PAUSE_PER_OUTCOME = 0.0002
LONGEST_PAUSE = 0.02
"""Seconds.  Commits have a fixed cost, so the batching delay grows with the size of the last batch."""

OUTPUT_SECONDS = 0.5
"""Seconds between two writes of the log and progress of running jobs; the thread sleeps as long when no outcome comes."""

Promotion = tuple[RunExecutor, list[ClaimedRun]]
"""Buffered runs of an executor that now has room for them."""


class Recorder(threading.Thread):
    """Writes outcomes in groups: latency is one commit, and throughput is many runs a commit.

    The commit that records outcomes also starts buffered runs in the room that they have made.
    """

    def __init__(self, instance: Instance, now: Callable[[], datetime], executors: Callable[[], Sequence[RunExecutor]], after: Callable[[bool], None]) -> None:
        super().__init__(name="jobs-record", daemon=True)
        self._instance = instance
        self._now = now
        self._executors = executors
        self._after = after
        self._outcomes: SimpleQueue[Sequence[Outcome]] = SimpleQueue()
        self._pending: list[Outcome] = []
        self._last_group = 0
        self.in_hand: set[int] = set()
        """Ids of runs that have ended and are not recorded, or are about to be submitted."""
        self._closing = threading.Event()
        self._given_up = False
        self._next_output = 0.0
        self.promoting = True
        self.adopt_connection: Callable[[], None] | None = None
        """Makes the tick's connection this thread's; see `ConnectionUse.shared_connection`."""

    def put(self, outcomes: Sequence[Outcome]) -> None:
        """Take outcomes of runs that have ended, from any thread."""
        self.in_hand.update([outcome.run.id for outcome in outcomes])
        self._outcomes.put(outcomes)

    def wake(self) -> None:
        """Look at once whether there is room for buffered runs, from any thread."""
        self._outcomes.put(())

    @property
    def idle(self) -> bool:
        return not self._pending and self._outcomes.empty()

    def close(self, timeout: float) -> list[Outcome]:
        """Write the remaining outcomes within `timeout` seconds and end the thread; returns those that could not be written."""
        self._closing.set()
        self.wake()
        self.join(timeout)
        self._given_up = True
        return self._pending

    def run(self) -> None:
        self._statements = for_connection()
        if self.adopt_connection:
            self.adopt_connection()
        with self._statements.guarded():
            self._record_until_closed()

    def _record_until_closed(self) -> None:
        pause = 0.05
        try:
            while not (self._closing.is_set() and (self.idle or self._given_up)):
                self._collect()
                try:
                    self._write()
                except (DatabaseError, InterfaceError) as error:
                    # The scheduler's tick meets the same outage and logs it; outcomes are kept until it is over.
                    log.debug("job_outcomes_kept", count=len(self._pending), error=str(error))
                    self._statements.drop_connection(error)
                    self._closing.wait(pause)
                    pause = min(pause * 2, 1.0)
                except Exception as error:
                    log.exception("job_outcomes_kept", count=len(self._pending), error=f"{type(error).__name__}: {error}")
                    self._closing.wait(pause)
                    pause = min(pause * 2, 1.0)
                else:
                    pause = 0.05
        finally:
            if not self.adopt_connection:
                connection.close()

    def _collect(self) -> None:
        """Wait for outcomes and add them to the pending group."""
        if not self._pending:
            try:
                first = self._outcomes.get(timeout=0.001 if self._can_promote() else OUTPUT_SECONDS)
            except Empty:
                return
            self._pending += first
            if self._last_group > 1 and not self._can_promote():
                self._closing.wait(min(SHORTEST_PAUSE + PAUSE_PER_OUTCOME * self._last_group, LONGEST_PAUSE))
        while len(self._pending) < GROUP:
            try:
                self._pending += self._outcomes.get_nowait()
            except Empty:
                return

    def _write(self) -> None:
        """Write the pending group in one transaction, and submit the runs that it has started."""
        output = self._unsaved_output()
        if not (self._pending or output or self._can_promote()):
            return
        promotions = self._take_promotions()
        try:
            with self._statements.transaction():
                recorded = self._record(self._pending)
                retries = queue_retries([outcome for outcome in self._pending if outcome.finished.status != Status.SUCCEEDED and outcome.run.id in recorded])
                self._flush_output(output)
                started = self._start(promotions)
        except BaseException:
            self._return_promotions(promotions)
            raise
        self._forget_pending(recorded)
        self._submit(promotions, started)
        self._after(retries > 0)

    # -- outcomes -----------------------------------------------------------------------------------

    def _record(self, outcomes: Sequence[Outcome]) -> set[int]:
        """Record outcomes; returns the ids of the runs that still belonged to this instance."""
        if not outcomes:
            return set()
        try:
            with transaction.atomic():
                return self._statements.finish_runs(outcomes, self._instance.id)
        except UNSTORABLE as error:
            log.warning("job_outcomes_written_singly", count=len(outcomes), error=str(error))
        return set().union(*(self._record_one(*outcome) for outcome in outcomes))

    def _record_one(self, run: ClaimedRun, finished: FinishedRun) -> set[int]:
        """Record one outcome; without its texts if the database refuses them, so that it does not hold up the others."""
        try:
            with transaction.atomic():
                return self._statements.finish_runs([(run, finished)], self._instance.id)
        except UNSTORABLE as error:
            problem = f"the outcome ({finished.status}) could not be stored: {type(error).__name__}"
            now = self._now()  # its own times may be what cannot be stored
            bare = FinishedRun(finished.id, Status.FAILED.value, now, now, 0.0, error=problem)
            return self._statements.finish_runs([(run, bare)], self._instance.id)

    def _forget_pending(self, recorded: set[int]) -> None:
        for outcome in self._pending if len(recorded) < len(self._pending) else ():
            if outcome.run.id not in recorded:  # another instance has settled the run: this outcome changes nothing
                log.warning("job_outcome_too_late", job=outcome.run.job_id, run_id=outcome.run.id, status=outcome.finished.status)
        self._last_group = len(self._pending)
        self.in_hand.difference_update([outcome.run.id for outcome in self._pending])
        self._pending.clear()

    # -- output of running jobs ---------------------------------------------------------------------

    def _unsaved_output(self) -> list[tuple[ClaimedRun, tuple[int, str | None]]]:
        if time.monotonic() < self._next_output:
            return []
        self._next_output = time.monotonic() + OUTPUT_SECONDS
        running = [run for executor in self._executors() for run in list(executor.in_flight.values())]
        return [(run, output) for run in running if (output := run.unsaved_output()) != run.saved]

    @staticmethod
    def _flush_output(changed: Sequence[tuple[ClaimedRun, tuple[int, str | None]]]) -> None:
        """Store the output of each run that has written some; what the database refuses is left to the outcome."""
        if not changed:
            return
        try:
            with transaction.atomic():
                for run, _output in changed:
                    JobRun.objects.filter(pk=run.id).save_output(log=str(run.log or ""), progress=json.loads(run.progress_json or "null"))
        except UNSTORABLE as error:
            for one in changed if len(changed) > 1 else ():
                Recorder._flush_output([one])
            log.debug("job_output_kept", runs=len(changed), error=f"{type(error).__name__}: {error}")
        for run, output in changed:
            run.saved = output

    # -- buffered runs ------------------------------------------------------------------------------

    def _can_promote(self) -> bool:
        return self.promoting and any(executor.buffered and executor.free() > 0 for executor in self._executors())

    def _take_promotions(self) -> list[Promotion]:
        return [(executor, self._take_buffered(executor)) for executor in self._executors()] if self.promoting else []

    def _take_buffered(self, executor: RunExecutor) -> list[ClaimedRun]:
        count = max(min(executor.free(), len(executor.buffered)), 0)  # when runs get slower, more are in flight than there is room for
        self.in_hand.update([run.id for run in islice(executor.buffered, count)])
        return [executor.buffered.popleft() for _ in range(count)]

    def _return_promotions(self, promotions: Sequence[Promotion]) -> None:
        for executor, runs in promotions:
            executor.buffered.extendleft(reversed(runs))
            self.in_hand.difference_update([run.id for run in runs])

    def _start(self, promotions: Sequence[Promotion]) -> set[int]:
        """Move the runs to running; returns the ids of those that still belonged to this instance."""
        run_ids = [run.id for _executor, runs in promotions for run in runs]
        return self._statements.start_runs(run_ids, self._instance.id, self._now()) if run_ids else set()

    def _submit(self, promotions: Sequence[Promotion], started: set[int]) -> None:
        for executor, runs in promotions:
            for run in runs:
                if run.id in started:
                    executor.submit(run)
                self.in_hand.discard(run.id)
            executor.flush()
