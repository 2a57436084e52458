"""Sync functions, on threads."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextvars import Context
from datetime import datetime
from queue import SimpleQueue

import structlog
from django.db import close_old_connections, connections

from jobs.engine.execute import failed, run_sync
from jobs.engine.executors.base import Report, RunExecutor
from jobs.engine.executors.leftovers import clean_connections, watch_this_thread
from jobs.engine.run import ClaimedRun
from jobs.engine.statements import FinishedRun
from jobs.models import Status

log = structlog.get_logger()

QUICK_SECONDS = 0.001
"""Runs shorter than this share one wake-up of a thread."""

WORK, END = "work", "end"
"""The calls that wake a thread."""


class ThreadExecutor(RunExecutor):
    """Sync functions, on `slots` threads.  A thread that does not return from a job function is replaced, and counted as stuck.

    Threads take runs from one deque until it is empty, and then wait for a call.  Waking a thread costs more than a
    trivial run and causes contention for the interpreter lock, so short runs share one wake-up: 5,500 thread switches
    a second instead of 19,000 at 10,000 runs a second.
    """

    def __init__(self, slots: int, now: Callable[[], datetime], report: Report) -> None:
        super().__init__(slots, now, report)
        self._ready: deque[ClaimedRun] = deque()
        self._calls: SimpleQueue[str] = SimpleQueue()

    def open(self) -> None:
        for _ in range(self.slots):
            self._add_thread()

    def _add_thread(self) -> None:
        threading.Thread(target=self._work, name="jobs-run", daemon=True).start()

    def _work(self) -> None:
        watch_this_thread()
        used_at = 0.0
        while (run := self._next()) is not None:
            if not self._begins(run):
                continue
            try:
                outcome = self._execute(run, used_at)
            except Exception as error:
                log.exception("job_run_unexecuted", job=run.job_id, run_id=run.id, error=f"{type(error).__name__}: {error}")
                outcome = failed(run, self._now(), f"it could not be executed: {type(error).__name__}: {error}")
            used_at = time.monotonic()
            if not self.ended(run, outcome) and run.given_up:
                self.stuck -= 1
                return  # another thread has taken this one's place
        connections.close_all()

    def _execute(self, run: ClaimedRun, used_at: float) -> FinishedRun:
        # A connection that the database has dropped meanwhile would fail this run; one that the last run left broken, too.
        if time.monotonic() - used_at > 1.0:
            close_old_connections()
        outcome = Context().run(run_sync, run, self._now)
        if clean_connections(run):
            outcome.log = str(run.log)
        return outcome

    def _next(self) -> ClaimedRun | None:
        """Wait for the next run; None at the end."""
        while True:
            try:
                return self._ready.popleft()
            except IndexError:
                if self._calls.get() == END:
                    return None

    def _start_run(self, run: ClaimedRun) -> None:
        self._ready.append(run)
        if self._typical_seconds > QUICK_SECONDS or self._calls.empty():
            self._calls.put(WORK)

    @property
    def backlog(self) -> bool:
        return bool(self._ready)

    def check(self) -> None:
        super().check()
        if self._ready and self._calls.empty():
            self._calls.put(WORK)  # the runs in progress take longer than expected

    def _stop_run(self, run: ClaimedRun) -> None:
        """A thread cannot be stopped; the function may check `current_run().cancelled`.  A time limit does not wait for it."""
        if run.stop_reason == Status.TIMED_OUT:
            self._give_up(run)

    def _give_up(self, run: ClaimedRun) -> None:
        if run.started_monotonic is not None:
            super()._give_up(run)

    def _replace(self) -> None:
        self.stuck += 1
        self._add_thread()

    def shutdown(self, wait: bool = True) -> None:  # noqa: FBT001, FBT002 -- APScheduler's signature
        for _ in range(self.slots + self.stuck):
            self._calls.put(END)
