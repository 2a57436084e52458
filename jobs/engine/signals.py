"""SIGTERM and SIGINT on a thread of their own: the main thread may be waiting for the database."""

from __future__ import annotations

import os
import select
import signal
import threading
import time

import structlog

from jobs.engine.scheduler import Scheduler

log = structlog.get_logger()

SIGNALS = (signal.SIGTERM, signal.SIGINT)
GRACE_SECONDS = 5.0
"""Seconds that a scheduler may take to end beyond its drain time."""


class SignalWatch(threading.Thread):
    """The first signal stops the scheduler, and a second one ends the process at once.

    Python runs a signal handler in the main thread, between two of its instructions: not while SQLite waits up to
    20 s for a lock, or a server does not answer.  The signal's number comes through a pipe at once.
    A scheduler that has not ended in time is ended with its process; the reaper of another settles its runs.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__(name="jobs-signals", daemon=True)
        self._scheduler = scheduler
        self._pipe, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer)
        for number in SIGNALS:
            signal.signal(number, lambda _number, _frame: None)  # without a handler, nothing comes through the pipe

    def run(self) -> None:
        self._next_signal()
        self._scheduler.stop()
        if self._next_signal(self._scheduler.drain_seconds + GRACE_SECONDS):
            self._end(1)
        log.error("scheduler_end_incomplete", step="end", error=f"the database kept it for {GRACE_SECONDS:g} s longer than the runs may take")
        self._end(0)

    def _next_signal(self, timeout: float | None = None) -> bool:
        """Wait for SIGTERM or SIGINT; False when `timeout` seconds have passed first."""
        deadline = time.monotonic() + timeout if timeout is not None else None
        while deadline is None or deadline > time.monotonic():
            readable, _, _ = select.select([self._pipe], [], [], None if deadline is None else max(deadline - time.monotonic(), 0))
            if readable and os.read(self._pipe, 1)[0] in SIGNALS:
                return True
        return False

    def _end(self, code: int) -> None:
        self._scheduler.kill_processes()
        os._exit(code)
