"""The worker: executes claimed runs on threads and an event loop, wherever they come from.

A scheduler feeds it by a pipe.  Whoever feeds it reads `running` for output, and calls `check` a few times a second.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from jobs.engine.executors import LoopExecutor, RunExecutor, ThreadExecutor
from jobs.engine.executors.base import LOOP_SLOTS, Report
from jobs.engine.pools import LOOP, THREADS
from jobs.engine.run import ClaimedRun
from jobs.models import Status
from jobs.run_log import capture_logs


class Worker:
    """Threads for sync functions and one event loop for async ones.  Each run's outcome is reported once, from any thread."""

    def __init__(self, threads: int, now: Callable[[], datetime], report: Report, may_start: Callable[[ClaimedRun], bool] | None = None) -> None:
        self._executors: dict[str, RunExecutor] = {THREADS: ThreadExecutor(threads, now, report), LOOP: LoopExecutor(LOOP_SLOTS, now, report)}
        for executor in self._executors.values():
            executor.may_start = may_start

    def open(self) -> None:
        capture_logs()
        for executor in self._executors.values():
            executor.open()

    def close(self) -> None:
        for executor in self._executors.values():
            executor.shutdown()

    def submit(self, run: ClaimedRun) -> None:
        self._executors[run.pool].submit(run)

    def stop(self, run_id: int, reason: Status) -> None:
        """Ask a run to stop; does nothing when it has ended."""
        for executor in self._executors.values():
            executor.stop(run_id, reason)

    def check(self) -> None:
        """Stop runs that have reached their time limit, and give up those that do not stop."""
        for executor in self._executors.values():
            executor.check()

    @property
    def running(self) -> list[ClaimedRun]:
        return [run for executor in self._executors.values() for run in list(executor.in_flight.values())]

    @property
    def is_busy(self) -> bool:
        return any(executor.in_flight for executor in self._executors.values())

    @property
    def stuck(self) -> int:
        """Threads that a run which was given up still holds."""
        return sum(executor.stuck for executor in self._executors.values())

    @property
    def finished(self) -> int:
        return sum(executor.finished for executor in self._executors.values())
