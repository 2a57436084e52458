"""The pools whose runs execute in worker processes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from math import ceil
from typing import Protocol

from jobs.engine.execute import stopped
from jobs.engine.executors.base import LOOP_SLOTS, Report, RunExecutor
from jobs.engine.pools import LOOP, PROCESSES, THREADS
from jobs.engine.run import ClaimedRun
from jobs.engine.workers.handle import PROMPT_SECONDS, WorkerHandle


class Workers(Protocol):
    """What a pool needs of the supervisor."""

    @property
    def handles(self) -> Sequence[WorkerHandle]:
        """The workers that serve many runs."""

    def spawn_for(self, run: ClaimedRun) -> None:
        """Start a process for one run."""

    def stop_run(self, run: ClaimedRun) -> None:
        """Ask the worker of a run to stop it."""


class WorkerPool(RunExecutor):
    """The executor of one pool: each run goes to the available worker with the most room."""

    def __init__(self, name: str, slots: int, now: Callable[[], datetime], report: Report, workers: Workers) -> None:
        super().__init__(slots, now, report)
        self._name = name
        self._workers = workers
        self._unsent: deque[ClaimedRun] = deque()
        """Submitted, and not given to a worker yet."""

    def free(self) -> int:
        """Room in the workers that answer; none in a pool whose workers are all held, starting or draining."""
        available = [handle for handle in self._workers.handles if handle.is_available]
        if not available:
            return 0
        return sum(handle.slots(self._name) - len(handle.in_flight[self._name]) for handle in available) + len(available) * self._ahead

    @property
    def backlog(self) -> bool:
        return bool(self._unsent)

    def check(self) -> None:
        """Leave time limits to the workers, and to the supervisor."""

    def _start_run(self, run: ClaimedRun) -> None:
        self._unsent.append(run)

    def flush(self) -> None:
        """Distribute the submitted runs, one message for each worker: first to those that answer promptly, then by load."""
        runs = []
        for run in self._take_unsent():
            if run.stop_reason is None:
                runs.append(run)
            else:
                self.ended(run, stopped(run, self._now(), run.stop_reason))
        if not runs:
            return
        handles = self._workers.handles
        handles = [each for each in handles if each.is_available] or [each for each in handles if each.drain_until is None and not each.dead]
        prompt = [each for each in handles if each.silent_seconds <= PROMPT_SECONDS] or handles
        for handle, count in self._shares(len(runs), prompt):
            self._unsent.extend(handle.send_runs(runs[:count]))
            runs = runs[count:]
        self._unsent.extend(runs)

    def _take_unsent(self) -> list[ClaimedRun]:
        runs = []
        with suppress(IndexError):  # another thread may take from it as well
            while True:
                runs.append(self._unsent.popleft())
        return runs

    def _shares(self, count: int, handles: Sequence[WorkerHandle]) -> list[tuple[WorkerHandle, int]]:
        """How many of `count` runs each worker gets, so that all are equally loaded afterwards."""
        loads = {handle: len(handle.in_flight[self._name]) for handle in handles}
        slots = {handle: handle.slots(self._name) for handle in handles}
        level = (count + sum(loads.values())) / max(sum(slots.values()), 1)
        shares = []
        for handle in sorted(handles, key=lambda each: loads[each] / slots[each]):
            share = min(max(ceil(level * slots[handle]) - loads[handle], 0), count)
            count -= share
            shares.append((handle, share))
        if count and shares:
            shares[0] = (shares[0][0], shares[0][1] + count)
        return shares

    def _stop_run(self, run: ClaimedRun) -> None:
        self._workers.stop_run(run)


class ProcessPool(RunExecutor):
    """The executor of runs that get a process each."""

    def __init__(self, slots: int, now: Callable[[], datetime], report: Report, workers: Workers) -> None:
        super().__init__(slots, now, report)
        self._workers = workers

    def check(self) -> None:
        """Leave time limits to the supervisor."""

    def _start_run(self, run: ClaimedRun) -> None:
        self._workers.spawn_for(run)

    def _stop_run(self, run: ClaimedRun) -> None:
        self._workers.stop_run(run)


def make_worker_pools(threads: int, now: Callable[[], datetime], report: Report, workers: Workers) -> dict[str, RunExecutor]:
    """One executor for each pool."""
    return {
        THREADS: WorkerPool(THREADS, threads, now, report, workers),
        LOOP: WorkerPool(LOOP, LOOP_SLOTS, now, report, workers),
        PROCESSES: ProcessPool(threads, now, report, workers),
    }
