"""What all executors have in common: room, bookkeeping, time limits."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any

from apscheduler.executors.base import BaseExecutor

from jobs.engine.execute import Run, stopped
from jobs.engine.pools import Room
from jobs.engine.statements import FinishedRun
from jobs.models import Status

LOOK_AHEAD = 0.02
"""A lane is handed what it will start within so many seconds, by how long its runs have lately taken; at most LOOK_AHEAD_RUNS."""

LOOK_AHEAD_RUNS = 500

KEEP_AHEAD = 1
"""A lane keeps so many claimed runs for each of its threads; the rest stays due, for another scheduler to take."""

STOP_GRACE = 5.0
"""Seconds that a run gets to end after it was asked to."""

LOOP_SLOTS = 1000
"""An asyncio loop takes so many runs at a time."""

Report = Callable[[Run, FinishedRun], None]


class RunExecutor(BaseExecutor):  # type: ignore[misc]  # APScheduler has no types
    """What all lanes have in common: room, bookkeeping, time limits."""

    def __init__(self, slots: int, now: Callable[[], datetime], report: Report) -> None:
        super().__init__()
        self.slots = slots
        self.handed: dict[int, Run] = {}
        self.waiting: deque[Run] = deque()
        self.stuck = 0
        self.finished = 0
        self._now = now
        self._report = report
        self._typical_seconds = 1.0
        self._full_since: datetime | None = None

    # -- room ---------------------------------------------------------------------------------------

    def room(self, now: datetime, *, left_over: bool) -> Room:
        """How many runs to claim.

        A slot that had to wait for room is judged by the time at which the lane became full: waiting for a thread is
        not lateness.
        """
        self._full_since = (self._full_since or now) if left_over else None
        soon = max(KEEP_AHEAD * self.slots - self._ahead, 0) - len(self.waiting) if self.slots < LOOP_SLOTS else 0
        return Room(0 if self.waiting else self.free(), soon, self._full_since or now)

    @property
    def _ahead(self) -> int:
        """How many runs more than there are threads may be handed over, because they will not wait for long."""
        return min(int(self.slots * LOOK_AHEAD / self._typical_seconds), LOOK_AHEAD_RUNS)

    def free(self) -> int:
        """How many runs can be handed over now."""
        return self.slots + self._ahead - len(self.handed)

    @property
    def backlog(self) -> bool:
        """Whether a run that was handed over waits for a thread."""
        return False

    # -- runs ---------------------------------------------------------------------------------------

    def hand_over(self, run: Run) -> None:
        """Start a run that the database knows to be running."""
        self.handed[run.id] = run
        self._start_run(run)

    def ended(self, run: Run, outcome: FinishedRun) -> bool:
        """Report the outcome, unless the run was given up before; whether it was reported."""
        if self.handed.pop(run.id, None) is None:
            return False
        self.finished += 1
        self._typical_seconds += 0.05 * (max(outcome.duration_seconds, 1e-4) - self._typical_seconds)
        self._report(run, outcome)
        return True

    def check(self) -> None:
        """Stop what has run into its time limit, and give up what did not stop."""
        moment = time.monotonic()
        for run in list(self.handed.values()):
            if run.verdict is not None:
                if moment - run.verdict_monotonic > STOP_GRACE:
                    self._give_up(run)
            elif run.timeout_seconds is not None and run.started_monotonic is not None and moment - run.started_monotonic > run.timeout_seconds:
                self.stop(run.id, Status.TIMED_OUT)

    def stop(self, run_id: int, verdict: Status) -> None:
        """Ask a run to end; harmless when it has ended."""
        run = self.handed.get(run_id)
        if run is not None and run.verdict is None:
            run.verdict, run.verdict_monotonic = verdict, time.monotonic()
            self._stop_run(run)

    def _give_up(self, run: Run) -> None:
        if self.ended(run, stopped(run, self._now(), run.verdict or Status.CANCELLED, "it did not stop when it was asked to")):
            self._replace()

    def _replace(self) -> None:
        """Make up for what a run that was given up still holds."""

    @abstractmethod
    def _start_run(self, run: Run) -> None: ...

    @abstractmethod
    def _stop_run(self, run: Run) -> None: ...

    def kill(self) -> None:
        """Leave no process behind."""

    def _do_submit_job(self, job: Any, run_times: list[datetime]) -> None:
        raise TypeError(f"job {job.id!r} was submitted without a run; the scheduler claims runs and hands those over")
