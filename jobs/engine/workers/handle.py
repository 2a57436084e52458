"""One worker process as its scheduler sees it."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from multiprocessing.process import BaseProcess
from typing import Any

from jobs.engine.executors.base import exit_text
from jobs.engine.pools import LOOP, PROCESSES, THREADS
from jobs.engine.run import ClaimedRun
from jobs.engine.workers.starts import SLOTS, StartTable
from jobs.engine.workers.wire import BadMessage, Frames, encode_odd_run, encode_run, frame

PROMPT_SECONDS = 0.02
"""A worker that takes longer to confirm a message is the second choice for new runs."""

WAIT_SECONDS = 0.05
"""A run that has waited for a thread of its worker for this long goes to a worker that has a free one."""

UNRESPONSIVE_SECONDS = 0.05
"""A worker that has not confirmed a message for this long gets no new runs: a job function holds its interpreter."""


@dataclass(eq=False)
class WorkerHandle:
    """The process, its connection, and the runs that it has."""

    process: BaseProcess
    connection: socket.socket
    stacks: socket.socket
    threads: int
    loop_slots: int
    starts: StartTable | None = None
    dedicated: bool = False
    """Whether the process exists for one run."""
    started_at: float = field(default_factory=time.monotonic)
    ready: bool = False
    dead: bool = False
    drain_until: float | None = None
    """The worker gets no new runs; when it is not idle by then, it is killed."""
    drain_reason: str = ""
    asked_to_end: bool = False
    in_flight: dict[str, dict[int, ClaimedRun]] = field(default_factory=lambda: {THREADS: {}, LOOP: {}, PROCESSES: {}})
    finished: int = 0
    stuck: int = 0
    memory: int = 0
    held_stacks: str = ""
    sent_anchor: tuple[datetime, float] | None = None
    frames: Frames = field(default_factory=Frames)
    _free_slots: list[int] = field(default_factory=lambda: list(range(SLOTS)))
    _outbox: deque[bytes] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _numbers: int = 0
    _seen: int = 0
    _unconfirmed_since: float | None = None

    # -- room ---------------------------------------------------------------------------------------

    @property
    def is_available(self) -> bool:
        """Whether it may get new runs."""
        return self.ready and not self.dead and self.drain_until is None and self.silent_seconds < UNRESPONSIVE_SECONDS

    @property
    def silent_seconds(self) -> float:
        """How long the oldest message has not been confirmed."""
        since = self._unconfirmed_since
        return 0.0 if since is None else time.monotonic() - since

    @property
    def is_idle(self) -> bool:
        return not any(self.in_flight.values())

    @property
    def runs(self) -> list[ClaimedRun]:
        return [run for runs in self.in_flight.values() for run in list(runs.values())]

    @property
    def has_free_thread(self) -> bool:
        return len(self.in_flight[THREADS]) < self.threads

    @property
    def has_waiting_runs(self) -> bool:
        """Whether a run has waited for a thread for WAIT_SECONDS, because those before it take longer than was expected."""
        with self._lock:
            waiting = next(islice(self.in_flight[THREADS].values(), self.threads, None), None)
        return waiting is not None and time.monotonic() - waiting.submitted_monotonic > WAIT_SECONDS

    def slots(self, pool: str) -> int:
        return self.threads if pool == THREADS else self.loop_slots

    def drain(self, seconds: float, reason: str) -> None:
        """Give it no new runs, and `seconds` to end those that it has."""
        until = time.monotonic() + seconds
        if self.drain_until is None or until < self.drain_until - seconds / 2:  # a later reason may leave it less time
            self.drain_until, self.drain_reason = until, reason

    # -- runs ---------------------------------------------------------------------------------------

    def send_runs(self, runs: list[ClaimedRun]) -> list[ClaimedRun]:
        """Send runs in one message; returns those that it cannot take: all of them when the process ends."""
        with self._lock:
            if self.dead or self.asked_to_end or self.starts is None:
                return runs
            room = len(self._free_slots)
            taken, left = runs[:room], runs[room:]
            at = time.monotonic()
            for run in taken:
                run.submitted_monotonic = at
                run.slot = self._free_slots.pop()
                self.starts.offer(run.slot, run.id)
                self.in_flight[run.pool][run.id] = run
            if taken:
                try:
                    self._post({"runs": [encode_run(run) for run in taken]})
                except (TypeError, BadMessage):
                    for run in taken:
                        self._post({"runs": [encode_odd_run(run)]})
            return left

    def pop(self, run_id: int) -> ClaimedRun | None:
        """Remove a run that has ended; None when it was given up before."""
        for runs in self.in_flight.values():
            if (run := runs.pop(run_id, None)) is not None:
                self._free_slots.append(run.slot)
                return run
        return None

    def started_monotonic(self, run: ClaimedRun) -> float | None:
        """When the function of a run was called, or when that was first seen here: a worker without its interpreter cannot say so.

        Not when the run was sent: it may have waited behind a run that held the worker for longer than its own time limit.
        """
        if run.seen_started_monotonic is None and (self.starts is None or self.starts.has_started(run.slot, run.id)):
            run.seen_started_monotonic = time.monotonic()
        return run.started_monotonic or run.seen_started_monotonic

    def take_back(self) -> list[ClaimedRun]:
        """Remove and return the runs that have not started."""
        if self.starts is None:
            return []
        with self._lock:
            if self.dead:
                return self._take_back(self.starts)
            with self.starts.taking_back() as is_certain:
                return self._take_back(self.starts) if is_certain else []

    def _take_back(self, starts: StartTable) -> list[ClaimedRun]:
        taken = [run for run in self.runs if starts.take_back(run.slot, run.id)]
        for run in taken:
            self.pop(run.id)
        return taken

    def die(self) -> list[ClaimedRun]:
        """Take note that the process has ended; returns the runs that it had started."""
        with self._lock:
            runs = self.runs
            for pool in self.in_flight.values():
                pool.clear()
            return runs

    # -- messages -----------------------------------------------------------------------------------

    def post(self, message: dict[str, Any]) -> None:
        """Send a message without waiting: what the socket does not take now is sent by `flush`."""
        with self._lock:
            self._post(message)

    def _post(self, message: dict[str, Any]) -> None:
        self._numbers += 1
        if self._unconfirmed_since is None:
            self._unconfirmed_since = time.monotonic()
        self._outbox.append(frame(message | {"number": self._numbers}))
        self._flush()

    def ping(self) -> None:
        """Ask whether the worker answers, unless a question is out."""
        if self._unconfirmed_since is None:
            self.post({})

    def flush(self) -> None:
        if self._outbox:
            with self._lock:
                self._flush()

    def _flush(self) -> None:
        while self._outbox:
            data = self._outbox[0]
            try:
                sent = self.connection.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            except OSError:
                return  # full, or the process is gone, which its sentinel tells
            if sent < len(data):
                self._outbox[0] = data[sent:]
                return
            self._outbox.popleft()

    def confirm(self, number: int) -> None:
        """The worker has read all messages up to `number`."""
        with self._lock:
            self._seen = number
            self._unconfirmed_since = None if self._seen >= self._numbers else time.monotonic()

    # -- the end ------------------------------------------------------------------------------------

    def ask_to_end(self) -> None:
        """Ask the worker to end, unless a run has come meanwhile; it gets none after this."""
        with self._lock:
            if self.is_idle and not self.asked_to_end:
                self.asked_to_end = True
                self._post({"end": True})

    def terminate(self) -> None:
        """Ask a process for one run to stop it: it sends SIGTERM to its group."""
        self.post({"stop": True})

    def kill(self) -> None:
        """Kill the process and what it has left in its group."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if (pid := self.process.pid) is not None:
            for send in (os.killpg, os.kill):  # the group, and a process that has not made its own yet
                with suppress(ProcessLookupError, PermissionError):
                    send(pid, number)

    def close(self) -> None:
        self.connection.close()
        self.stacks.close()
        if self.starts is not None:
            self.starts.close()

    @property
    def exit_text(self) -> str:
        """How the process ended."""
        code = self.process.exitcode
        if code is None:
            return "no exit code"
        return exit_text(code)
