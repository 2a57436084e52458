"""The recorder: one thread that writes what became of runs, many in one commit, and never loses an outcome."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from queue import Empty, SimpleQueue

import structlog
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, ProgrammingError, connection, transaction

from jobs.engine.execute import Run
from jobs.engine.executors import RunExecutor
from jobs.engine.statements import FinishedRun, for_connection
from jobs.models import JobRun, Status
from jobs.models.retry import next_attempt

log = structlog.get_logger()

GROUP = 2000
"""At most so many outcomes go into one commit."""

SHORTEST_PAUSE = 0.004
PAUSE_PER_OUTCOME = 0.0002
LONGEST_PAUSE = 0.02
"""Seconds: a commit has its price, whatever it holds: the more outcomes come, the longer the next one waits for company."""

NEWS_EVERY = 0.5
"""Seconds between two looks at the log and progress of runs that are going on; the recorder sleeps as long when no outcome comes."""

UNSTORABLE = (DataError, IntegrityError, ProgrammingError, ValueError, OverflowError)
"""What a database says of an outcome that it will never take, as opposed to an outage."""

RETRIED = {Status.FAILED.value, Status.TIMED_OUT.value}


@dataclass(frozen=True, slots=True)
class Outcome:
    run: Run
    finished: FinishedRun


def _retry(run: Run, finished: FinishedRun) -> JobRun:
    return next_attempt(
        job_id=run.job_id,
        scheduled_for=run.scheduled_for,
        attempt=run.attempt,
        status=Status(finished.status),
        finished_at=finished.finished_at,
        backoff_seconds=run.retry_backoff_seconds,
        kwargs=run.override,
    )


class Recorder(threading.Thread):
    """Writes outcomes in groups: latency is one commit, and throughput is not one commit a run.

    After each group it hands over runs that were waiting for the room which that group has made.
    """

    def __init__(self, instance: str, now: Callable[[], datetime], executors: Callable[[], Sequence[RunExecutor]], after: Callable[[bool], None]) -> None:
        super().__init__(name="jobs-record", daemon=True)
        self._instance = instance
        self._now = now
        self._executors = executors
        self._after = after
        self._outcomes: SimpleQueue[Outcome | None] = SimpleQueue()
        self._pending: list[Outcome] = []
        self._last_group = 0
        self.in_hand: set[int] = set()
        """Ids of runs that have ended and are not written, or are about to be handed over."""
        self._closing = threading.Event()
        self._given_up = False
        self._next_news = 0.0
        self.promoting = True
        self.borrow: Callable[[], None] | None = None
        """Makes the tick's connection this thread's, see `Statements.lent`."""

    def put(self, run: Run, finished: FinishedRun) -> None:
        self.in_hand.add(run.id)
        self._outcomes.put(Outcome(run, finished))

    @property
    def idle(self) -> bool:
        return not self._pending and self._outcomes.empty()

    def close(self, timeout: float) -> list[Outcome]:
        """Write what there is, within `timeout` seconds, and end; returns what could not be written."""
        self._closing.set()
        self._outcomes.put(None)
        self.join(timeout)
        self._given_up = True
        return self._pending

    def run(self) -> None:
        self._statements = for_connection()
        if self.borrow:
            self.borrow()
        pause = 0.05
        try:
            while not (self._closing.is_set() and (self.idle or self._given_up)):
                self._collect()
                try:
                    self._write()
                except (DatabaseError, InterfaceError) as error:
                    # The scheduler's tick meets the same outage and says so; outcomes are kept until it is over.
                    log.debug("job_outcomes_kept", count=len(self._pending), error=str(error))
                    self._statements.drop_connection(error)
                    self._closing.wait(pause)
                    pause = min(pause * 2, 1.0)
                else:
                    pause = 0.05
        finally:
            if not self.borrow:
                connection.close()

    def _collect(self) -> None:
        if not self._pending:
            try:
                first = self._outcomes.get(timeout=0.001 if self._any_promotable() else NEWS_EVERY)
            except Empty:
                return
            self._pending += [first] if first else []
            if self._last_group > 1 and not self._any_promotable():
                self._closing.wait(min(SHORTEST_PAUSE + PAUSE_PER_OUTCOME * self._last_group, LONGEST_PAUSE))
        while len(self._pending) < GROUP:
            try:
                outcome = self._outcomes.get_nowait()
            except Empty:
                return
            self._pending += [outcome] if outcome else []

    def _write(self) -> None:
        news = self._news()
        if not (self._pending or news or self._any_promotable()):
            return
        promoted = [(executor, self._take_waiting(executor)) for executor in self._executors()] if self.promoting else []
        try:
            with self._statements.transaction():
                kept = self._finish(self._pending)
                retries = self._request_retries([outcome for outcome in self._pending if outcome.finished.id in kept])
                self._tell(news)
                mine = self._start([run.id for _executor, runs in promoted for run in runs])
        except BaseException:
            for executor, runs in promoted:
                executor.waiting.extendleft(reversed(runs))
                self.in_hand.difference_update([run.id for run in runs])
            raise
        self._say_lost(kept)
        self._last_group = len(self._pending)
        self.in_hand.difference_update([outcome.run.id for outcome in self._pending])
        self._pending.clear()
        for executor, runs in promoted:
            for run in runs:
                if run.id in mine:
                    executor.hand_over(run)
                self.in_hand.discard(run.id)
        self._after(retries > 0)

    def _any_promotable(self) -> bool:
        return self.promoting and any(executor.waiting and executor.free() > 0 for executor in self._executors())

    def _finish(self, outcomes: Sequence[Outcome]) -> set[int]:
        if not outcomes:
            return set()
        try:
            with transaction.atomic():
                return self._statements.finish_runs([outcome.finished for outcome in outcomes], self._instance)
        except UNSTORABLE as error:
            log.warning("job_outcomes_written_singly", count=len(outcomes), error=str(error))
        return set().union(*(self._finish_one(outcome) for outcome in outcomes))

    def _finish_one(self, outcome: Outcome) -> set[int]:
        """One that the database refuses must not keep the others from being written."""
        try:
            with transaction.atomic():
                return self._statements.finish_runs([outcome.finished], self._instance)
        except UNSTORABLE as error:
            bare = FinishedRun(
                outcome.finished.id,
                Status.FAILED.value,
                outcome.finished.started_at,
                outcome.finished.finished_at,
                outcome.finished.duration_seconds,
                error=f"the outcome ({outcome.finished.status}) could not be stored: {type(error).__name__}",
            )
            return self._statements.finish_runs([bare], self._instance)

    @staticmethod
    def _request_retries(outcomes: Sequence[Outcome]) -> int:
        """Queue the attempts that are left; returns how many."""
        retries = [_retry(outcome.run, outcome.finished) for outcome in outcomes if outcome.finished.status in RETRIED and outcome.run.attempt <= outcome.run.max_retries]
        JobRun.objects.bulk_create(retries, ignore_conflicts=True)
        return len(retries)

    def _news(self) -> list[tuple[Run, tuple[int, str | None]]]:
        if time.monotonic() < self._next_news:
            return []
        self._next_news = time.monotonic() + NEWS_EVERY
        going = [run for executor in self._executors() for run in list(executor.handed.values())]
        return [(run, news) for run in going if (news := run.news()) != run.told]

    @staticmethod
    def _tell(news: Sequence[tuple[Run, tuple[int, str | None]]]) -> None:
        for run, said in news:
            JobRun.objects.filter(pk=run.id).save_output(log=str(run.log or ""), progress=json.loads(run.progress_json or "null"))
            run.told = said

    def _take_waiting(self, executor: RunExecutor) -> list[Run]:
        count = max(min(executor.free(), len(executor.waiting)), 0)  # runs that got slower leave more handed over than there is room for
        self.in_hand.update([run.id for run in islice(executor.waiting, count)])
        return [executor.waiting.popleft() for _ in range(count)]

    def _start(self, run_ids: Sequence[int]) -> set[int]:
        return self._statements.start_runs(run_ids, self._instance, self._now()) if run_ids else set()

    def _say_lost(self, kept: set[int]) -> None:
        """An outcome that comes after its run was given to somebody else changes nothing, but is said."""
        for outcome in self._pending:
            if outcome.finished.id not in kept:
                log.warning("job_outcome_too_late", job=outcome.run.job_id, run_id=outcome.run.id, status=outcome.finished.status)
