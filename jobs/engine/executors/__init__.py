"""Executors: threads for sync functions, an asyncio loop for async ones, a process for each run of the rest.

An executor executes claimed runs.  Two places remove a run from `in_flight`: the run itself when it ends, and `check`
when its time is up.  The one that removes it reports the outcome, so every run is reported once.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from jobs.engine.executors.base import LOOP_SLOTS, Report, RunExecutor
from jobs.engine.executors.loop import LoopExecutor
from jobs.engine.executors.process import ProcessExecutor
from jobs.engine.executors.threads import ThreadExecutor
from jobs.engine.pools import LOOP, PROCESSES, THREADS

__all__ = ["LoopExecutor", "ProcessExecutor", "RunExecutor", "ThreadExecutor", "make_executors"]


def make_executors(threads: int, now: Callable[[], datetime], report: Report) -> dict[str, RunExecutor]:
    """One executor for each pool."""
    return {
        THREADS: ThreadExecutor(threads, now, report),
        LOOP: LoopExecutor(LOOP_SLOTS, now, report),
        PROCESSES: ProcessExecutor(threads, now, report),
    }
