"""A process for one run, with `executor="process"`."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from datetime import datetime
from select import select
from typing import Any

from jobs.clock import Clock
from jobs.engine.execute import run_async, run_sync
from jobs.engine.run import ClaimedRun
from jobs.engine.statements import FinishedRun
from jobs.engine.workers.process import detach, end_group, end_with
from jobs.engine.workers.wire import OUTPUT_SECONDS, Frames, decode_run, encode_outcome, encode_output, frame
from jobs.exceptions import UnknownFunction
from jobs.registry import get_function
from jobs.run_log import capture_logs


def main(connection: socket.socket, stacks: socket.socket, message: bytes, at: datetime, monotonic: float) -> None:
    """Execute one run in this process's main thread, where a job function may handle signals.  The target of the process."""
    detach()
    clock = Clock(at, monotonic)
    run = decode_run(next(Frames().feed(message))["run"])
    capture_logs()
    reporter = Reporter(connection, run)
    signal.signal(signal.SIGTERM, lambda _number, _frame: _die_of_sigterm() if reporter.is_stopping else None)
    reporter.start()
    end_with(lambda: reporter.finish(asyncio.run(run_async(run, clock.now)) if _is_async(run) else run_sync(run, clock.now)))


def _die_of_sigterm() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)


def _is_async(run: ClaimedRun) -> bool:
    try:
        return get_function(run.function).is_async
    except UnknownFunction:
        return False  # run_sync reports it


class Reporter(threading.Thread):
    """Sends the start and the output of one run, stops it when its scheduler says so, and ends with the scheduler.

    SIGTERM alone stops nothing: systemd sends it to every process, and a run may complete while its scheduler drains.
    """

    def __init__(self, connection: socket.socket, run: ClaimedRun) -> None:
        super().__init__(name="jobs-report", daemon=True)
        self._connection = connection
        self._run = run
        self._done = threading.Event()
        self._sending = threading.Lock()
        self.is_stopping = False

    def run(self) -> None:
        announced = False
        while not self._done.is_set():
            readable, _, _ = select([self._connection], [], [], 0.02 if not announced else OUTPUT_SECONDS)
            if readable:
                self._obey(self._connection.recv(4096))
            if not announced and self._run.started_at is not None:
                announced = self._send({"started": [[self._run.id, self._run.started_at, self._run.started_monotonic]]})
            if self._run.unsaved_output() != self._run.saved:
                self._send({"output": [encode_output(self._run)]})

    def _obey(self, data: bytes) -> None:
        if not data:
            end_group()  # the scheduler is gone
        self.is_stopping = True
        os.killpg(0, signal.SIGTERM)  # the function may handle it, and so may the programs that it has started

    def finish(self, finished: FinishedRun) -> None:
        self._done.set()
        self._send({"ended": [encode_outcome(finished)]})

    def _send(self, message: dict[str, Any]) -> bool:
        with self._sending:
            self._connection.sendall(frame(message))
        return True
