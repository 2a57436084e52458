"""What all executors have in common: capacity, bookkeeping, time limits."""

from __future__ import annotations

import signal
import time
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from apscheduler.executors.base import BaseExecutor

from jobs.engine.exceptions import RowLost
from jobs.engine.execute import stopped
from jobs.engine.pools import Capacity
from jobs.engine.run import ClaimedRun, Outcome
from jobs.engine.statements import FinishedRun
from jobs.models import Status

LOOK_AHEAD = 0.02
"""Seconds.  A pool takes as many runs as it will start within this time, by the duration of its recent runs; at most LOOK_AHEAD_RUNS more than it has threads."""

LOOK_AHEAD_RUNS = 500

KEEP_AHEAD = 1
"""Claimed runs that a pool buffers for each of its threads.  Other due jobs stay in the store, for another scheduler to claim."""

STOP_GRACE = 5.0
"""Seconds that a run has to end after it was asked to stop."""

LOOP_SLOTS = 1000
"""Runs that an asyncio loop takes at a time."""

Report = Callable[[Sequence[Outcome]], None]


class RunExecutor(BaseExecutor):  # type: ignore[misc]  # APScheduler has no types
    """Keeps the runs of one pool: `in_flight` ones are submitted, `buffered` ones wait in this process."""

    def __init__(self, slots: int, now: Callable[[], datetime], report: Report) -> None:
        super().__init__()
        self.slots = slots
        self.in_flight: dict[int, ClaimedRun] = {}
        self.buffered: deque[ClaimedRun] = deque()
        self.stuck = 0
        self.finished = 0
        self._now = now
        self._report = report
        self._typical_seconds = 1.0
        self._full_since: datetime | None = None
        self.may_start: Callable[[ClaimedRun], bool] | None = None
        """Asked right before a run's function is called; a run that may not start any more is dropped."""

    def start(self, scheduler: Any, alias: str) -> None:
        super().start(scheduler, alias)
        self.open()

    def open(self) -> None:
        """Start the threads; a worker process calls this, and a scheduler's life cycle."""

    # -- capacity -----------------------------------------------------------------------------------

    def capacity(self, now: datetime, *, left_over: bool) -> Capacity:
        """How many runs to claim; `left_over` says that the last claim left due jobs for want of room.

        A slot that waited for room is judged by the time at which the pool became full: waiting for a thread is not
        lateness.
        """
        self._full_since = (self._full_since or now) if left_over else None
        buffered = max(KEEP_AHEAD * self.slots - self._ahead, 0) - len(self.buffered) if self.slots < LOOP_SLOTS else 0
        return Capacity(0 if self.buffered else self.free(), buffered, self._full_since or now)

    @property
    def _ahead(self) -> int:
        """Runs that may be submitted beyond the number of threads, because they will not wait for long."""
        return min(int(self.slots * LOOK_AHEAD / self._typical_seconds), LOOK_AHEAD_RUNS)

    def free(self) -> int:
        """How many runs can be submitted now."""
        return self.slots + self._ahead - len(self.in_flight)

    @property
    def has_room(self) -> bool:
        """Whether a third of the pool is free."""
        return self.free() * 3 >= self.slots + self._ahead

    @property
    def backlog(self) -> bool:
        """Whether a submitted run waits for a thread."""
        return False

    # -- runs ---------------------------------------------------------------------------------------

    def submit(self, run: ClaimedRun) -> None:
        """Start a run whose row says running.  Raises RowLost when a run that is in progress has its id: the database went back in time."""
        if self.in_flight.setdefault(run.id, run) is not run:
            raise RowLost
        self._start_run(run)

    def flush(self) -> None:
        """Called after a group of runs was submitted."""

    def _begins(self, run: ClaimedRun) -> bool:
        """Whether the function of a submitted run is to be called now."""
        if run.id not in self.in_flight:
            return False  # given up while it waited
        if self.may_start is not None and not self.may_start(run):
            self.in_flight.pop(run.id, None)
            return False
        return True

    def ended(self, run: ClaimedRun, outcome: FinishedRun) -> bool:
        """Report the outcome; returns False when the run was given up before."""
        if not self._forget(run):
            return False
        self.finished += 1
        self._typical_seconds += 0.05 * (max(outcome.duration_seconds, 1e-4) - self._typical_seconds)
        self._report((Outcome(run, outcome),))
        return True

    def _forget(self, run: ClaimedRun) -> bool:
        """Remove a run that has ended; False when it was given up before, also when another run has got its id since."""
        found = self.in_flight.pop(run.id, None)
        if found is not None and found is not run:
            self.in_flight[run.id] = found
        return found is run

    def ended_together(self, outcomes: Sequence[Outcome]) -> None:
        """Report several outcomes, without those whose runs were given up before."""
        reported = [outcome for outcome in outcomes if self._forget(outcome.run)]
        if reported:
            self.finished += len(reported)
            average = sum(outcome.finished.duration_seconds for outcome in reported) / len(reported)
            self._typical_seconds += (1 - 0.95 ** len(reported)) * (max(average, 1e-4) - self._typical_seconds)
            self._report(reported)

    def check(self) -> None:
        """Stop runs that have reached their time limit, and give up those that did not stop."""
        at = time.monotonic()
        for run in list(self.in_flight.values()):
            if run.stop_reason is not None:
                if at - run.stop_requested_monotonic > STOP_GRACE:
                    self._give_up(run)
            elif run.timeout_seconds is not None and run.started_monotonic is not None and at - run.started_monotonic > run.timeout_seconds:
                self.stop(run.id, Status.TIMED_OUT)

    def stop(self, run_id: int, reason: Status) -> None:
        """Ask a run to stop; does nothing when it has ended."""
        run = self.in_flight.get(run_id)
        if run is not None and run.stop_reason is None:
            run.stop_reason, run.stop_requested_monotonic = reason, time.monotonic()
            self._stop_run(run)

    def stop_all(self) -> None:
        """Ask every run to stop, and drop those that wait in this process: they belong to this instance no more."""
        self.buffered.clear()
        for run_id in list(self.in_flight):
            self.stop(run_id, Status.CANCELLED)

    def _give_up(self, run: ClaimedRun) -> None:
        run.given_up = True
        if self.ended(run, stopped(run, self._now(), run.stop_reason or Status.CANCELLED, "it did not stop when it was asked to")):
            self._replace()
        else:
            run.given_up = False

    def _replace(self) -> None:
        """Replace the thread that a run which was given up still holds."""

    @abstractmethod
    def _start_run(self, run: ClaimedRun) -> None: ...

    @abstractmethod
    def _stop_run(self, run: ClaimedRun) -> None: ...

    def kill(self) -> None:
        """Kill the processes of this pool's runs."""

    def _do_submit_job(self, job: Any, run_times: list[datetime]) -> None:
        raise TypeError(f"job {job.id!r} was submitted without a run; the scheduler claims runs and submits those")


def exit_text(code: int) -> str:
    """How a process ended, in words: its exit code, or the signal that killed it."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal has no name
        return f"signal {-code}"
