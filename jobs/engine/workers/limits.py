"""When a worker gets no new runs, and when it is killed.  Pure functions of what its scheduler knows of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jobs.engine.executors.base import STOP_GRACE
from jobs.engine.run import ClaimedRun
from jobs.engine.workers.handle import WorkerHandle
from jobs.engine.workers.wire import HELD_SECONDS

DRAIN_SECONDS = 30.0
"""A worker that is to be replaced has this long for the runs that it has."""

START_SECONDS = 60.0
"""A process for one run that has not called its function after this long is killed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Runs and resident memory after which a worker is replaced, so that leaks do not pile up; 0 means no limit."""

    max_runs: int = 0
    max_megabytes: int = 0

    def reached_by(self, handle: WorkerHandle) -> str | None:
        """The limit that a worker has reached, in words."""
        if self.max_runs and handle.finished >= self.max_runs:
            return f"it has executed {handle.finished} runs"
        if self.max_megabytes and handle.memory >= self.max_megabytes * 1024 * 1024:
            return f"it uses {handle.memory // (1024 * 1024)} MB of memory"
        return None


def reasons_to_drain(handle: WorkerHandle, limits: Limits) -> Iterator[tuple[str, float]]:
    """Why a worker gets no new runs, and how many seconds it has for those that it has."""
    if handle.silent_seconds > HELD_SECONDS:
        yield "it does not answer", DRAIN_SECONDS
    if handle.stuck:
        yield "a job function in it does not return", DRAIN_SECONDS
    if (reason := limits.reached_by(handle)) is not None:
        yield reason, float("inf")


def is_over_time(run: ClaimedRun) -> bool:
    """Whether a run has reached its time limit, which counts from the call of its function."""
    return run.timeout_seconds is not None and run.started_monotonic is not None and time.monotonic() > run.started_monotonic + run.timeout_seconds


def kill_at(handle: WorkerHandle, run: ClaimedRun) -> float | None:
    """The monotonic time at which a process is killed because a run in it did not end.

    A worker that has its interpreter ends runs by itself; it gets the time that it gives them, and a second.
    """
    if run.stop_reason is not None:
        return run.stop_requested_monotonic + (STOP_GRACE / 2 if handle.dedicated else STOP_GRACE + 1.0)
    if run.started_monotonic is None and handle.dedicated:
        return run.submitted_monotonic + START_SECONDS
    if run.timeout_seconds is None or handle.dedicated or (started := handle.started_monotonic(run)) is None:
        return None
    return started + run.timeout_seconds + STOP_GRACE + 1.0


def functions_of(runs: Sequence[ClaimedRun]) -> str:
    """The functions of the runs that have started, or of all."""
    started = [run for run in runs if run.started_at is not None] or runs
    return ", ".join(sorted({run.function for run in started})[:5]) or "nothing"
