"""A worker process: reads runs from its scheduler, executes them, and writes what became of them."""

from __future__ import annotations

import faulthandler
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Lock
from select import select
from typing import Any

import psutil
import structlog

from jobs import left_open
from jobs.clock import Clock
from jobs.engine.run import Outcome
from jobs.engine.statements import FinishedRun
from jobs.engine.workers.process import detach, end_group, end_with
from jobs.engine.workers.starts import StartTable
from jobs.engine.workers.wire import HELD_SECONDS, OUTCOMES_IN_A_MESSAGE, OUTPUT_SECONDS, Frames, decode_run, encode_outcome, encode_output, frame
from jobs.engine.workers.worker import Worker
from jobs.models import Status

log = structlog.get_logger()

BATCH_SECONDS = 0.003
"""Outcomes that come sooner than this after others were sent wait for company: each message wakes the scheduler."""


def main(connection: socket.socket, stacks: socket.socket, threads: int, memory: Connection, lock: Lock) -> None:
    """Serve runs until the scheduler says so or is gone.  The target of the process."""
    detach()
    worker = PipedWorker(connection, stacks, threads, StartTable(memory.fileno(), lock))
    end_with(worker.serve)


class PipedWorker:
    """A worker that is fed by a socket."""

    def __init__(self, connection: socket.socket, stacks: socket.socket, threads: int, starts: StartTable) -> None:
        self._connection = connection
        self._stacks = stacks
        self._frames = Frames()
        self._clock = Clock(datetime.now().astimezone())
        self._worker = Worker(threads, self._clock.now, self._report, lambda run: starts.start(run.slot, run.id))
        self._ended: deque[FinishedRun] = deque()
        self._messages: deque[dict[str, Any]] = deque()
        self._has_ended = threading.Event()
        self._sent_at = float("-inf")
        self._sending = threading.Lock()
        self._announced: set[int] = set()
        self._sent_stuck = 0
        self._is_watched = False
        self._process = psutil.Process()

    def serve(self) -> None:
        threading.Thread(target=self._send_batches, name="jobs-send", daemon=True).start()
        self._worker.open()
        self._send({"ready": os.getpid(), "left_open": left_open.before_fork})
        next_check = 0.0
        while True:
            timeout = max(next_check - time.monotonic(), 0.0) if self._is_watched or self._worker.is_busy else None
            readable, _, _ = select([self._connection], [], [], timeout)
            if readable:
                data = self._connection.recv(1 << 18)
                if not data:
                    end_group()  # the scheduler is gone
                for message in self._frames.feed(data):
                    if "end" in message:
                        self._send_all()
                        return
                    self._obey(message)
            if time.monotonic() >= next_check:
                next_check = time.monotonic() + OUTPUT_SECONDS
                self._check()

    def _obey(self, message: dict[str, Any]) -> None:
        if "clock" in message:
            at, monotonic = message["clock"]
            self._clock.restart(datetime.fromisoformat(at), monotonic)
        if "runs" in message and not self._is_watched:
            self._watch_for_hold()  # first: a function may hold the interpreter before this thread gets it back
        for values in message.get("runs", ()):
            self._worker.submit(decode_run(values))
        for run_id, reason in message.get("stop", ()):
            self._worker.stop(run_id, Status(reason))
        if "number" in message:
            self._send({"seen": message["number"]})

    # -- messages -----------------------------------------------------------------------------------

    def _report(self, outcomes: Sequence[Outcome]) -> None:
        """Send outcomes: the first at once, and those that follow soon together."""
        self._ended.extend([outcome.finished for outcome in outcomes])
        if time.monotonic() - self._sent_at > BATCH_SECONDS:
            self._send_all()
        elif not self._has_ended.is_set():
            self._has_ended.set()

    def _send_batches(self) -> None:
        while True:
            self._has_ended.wait()
            self._has_ended.clear()
            time.sleep(BATCH_SECONDS)
            self._send_all()

    def _send(self, message: dict[str, Any]) -> None:
        self._messages.append(message)
        self._send_all()

    def _send_all(self) -> None:
        """Send what waits, together with what other threads add meanwhile: the thread that holds the lock sends for all."""
        while (self._ended or self._messages) and self._sending.acquire(blocking=False):
            try:
                frames = [frame(self._messages.popleft()) for _ in range(len(self._messages))]
                if ended := [encode_outcome(self._ended.popleft()) for _ in range(min(len(self._ended), OUTCOMES_IN_A_MESSAGE))]:
                    self._sent_at = time.monotonic()
                    frames.append(frame({"ended": ended}))
                self._connection.sendall(b"".join(frames))
            finally:
                self._sending.release()

    # -- what is in progress ------------------------------------------------------------------------

    def _watch_for_hold(self) -> None:
        """Have the stacks written unless this thread comes back here in `HELD_SECONDS`."""
        faulthandler.dump_traceback_later(HELD_SECONDS, file=self._stacks.fileno())
        self._is_watched = True

    def _check(self) -> None:
        self._worker.check()
        running = self._worker.running
        if running:
            self._watch_for_hold()
        else:
            faulthandler.cancel_dump_traceback_later()
            self._is_watched = False
        message: dict[str, Any] = {}
        if started := [run for run in running if run.started_at is not None and run.id not in self._announced]:
            message["started"] = [[run.id, run.started_at, run.started_monotonic] for run in started]
        if output := [run for run in running if run.unsaved_output() != run.saved]:
            message["output"] = [encode_output(run) for run in output]
        if self._worker.stuck != self._sent_stuck:
            message["stuck"] = self._sent_stuck = self._worker.stuck
        self._announced = {run.id for run in running if run.started_at is not None}
        message["memory"] = self._process.memory_info().rss
        self._send(message)
