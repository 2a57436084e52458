"""The supervisor: starts workers, reads what they send, replaces those that die, and ends those that do not answer."""

from __future__ import annotations

import selectors
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import structlog

from jobs.clock import Clock
from jobs.engine.execute import stopped
from jobs.engine.executors.base import LOOP_SLOTS
from jobs.engine.pools import PROCESSES
from jobs.engine.run import ClaimedRun, Outcome
from jobs.engine.workers.ends import abandoned, given_up
from jobs.engine.workers.handle import PROMPT_SECONDS, UNRESPONSIVE_SECONDS, WorkerHandle
from jobs.engine.workers.limits import Limits, functions_of, reasons_to_drain
from jobs.engine.workers.messages import note_stacks, receive, warn_of_left_open
from jobs.engine.workers.spawn import start_dedicated, start_worker
from jobs.engine.workers.watch import end_drained, enforce_limits, keep_in_touch
from jobs.engine.workers.wire import BadMessage
from jobs.engine.workers.worker_set import WorkerSet

log = structlog.get_logger()

BUSY_SECONDS = 0.05
"""Seconds between two looks at workers that have runs; each is asked that often whether it answers."""

IDLE_SECONDS = 1.0
END_SECONDS = 1.0

START_PATIENCE = 10.0
"""A process that is just being started when the scheduler ends would find nothing left to open; its start is waited for."""


class Supervisor(WorkerSet, threading.Thread):
    """The thread that starts, reads, watches and buries the worker processes of one scheduler."""

    def __init__(self, workers: int, threads: int, clock: Clock, wake: Callable[[], None], limits: Limits | None = None) -> None:
        WorkerSet.__init__(self)
        threading.Thread.__init__(self, name="jobs-workers", daemon=True)
        self._wanted = workers
        self._threads = threads
        self._clock = clock
        self._wake_scheduler = wake
        self._limits = limits or Limits()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        self._next_watch = 0.0

    def close(self) -> None:
        """End the idle workers, kill the others, and end the thread."""
        self._closing = True
        for handle in self._all_handles():
            handle.post({"end": True})
        self._wake()
        self.join(2 * END_SECONDS + START_PATIENCE)

    # -- the thread -------------------------------------------------------------------------------------

    def run(self) -> None:
        ended_by = float("inf")
        while not self._closing or (self._all_handles() and time.monotonic() < ended_by):
            if self._closing and ended_by == float("inf"):
                ended_by = time.monotonic() + END_SECONDS
            try:
                self._step()
            except Exception as error:
                log.exception("scheduler_workers_failed", error=f"{type(error).__name__}: {error}")
                time.sleep(BUSY_SECONDS)
        for handle in self._all_handles():
            handle.kill()
            self._bury(handle)

    def _step(self) -> None:
        self._start_processes()
        for key, _events in self._selector.select(self._patience()):
            if key.data is None:
                with suppress(BlockingIOError):
                    self._wake_reader.recv(4096)
            else:
                key.data()
        self._watch_all()

    def _watch_all(self) -> None:
        is_due = time.monotonic() >= self._next_watch
        for handle in self._all_handles():
            handle.flush()
            if is_due:
                self._watch(handle)
        if is_due:
            self._next_watch = time.monotonic() + PROMPT_SECONDS / 2

    def _patience(self) -> float:
        """Seconds until the next look, when nothing is to be read."""
        if self._to_spawn or any(handle.silent_seconds > PROMPT_SECONDS for handle in self.handles):
            return PROMPT_SECONDS / 2
        return BUSY_SECONDS if any(not handle.is_idle or handle.drain_until is not None for handle in self._all_handles()) else IDLE_SECONDS

    def _start_processes(self) -> None:
        """Start what is missing, one process at a time, so that reading never waits for long."""
        if self._closing:
            return
        if self._to_spawn:
            self._start_dedicated(self._to_spawn.popleft())
        elif self.serving < self._wanted and self._restarts.is_due:
            self._start_worker()

    def _start_worker(self) -> None:
        try:
            handle = start_worker((self._threads + self.serving) // self._wanted or 1, max(LOOP_SLOTS // self._wanted, 1))
        except OSError as error:
            self._restarts.note_failed_start(error)
            return
        self._register(handle)
        self.handles = (*self.handles, handle)

    def _start_dedicated(self, run: ClaimedRun) -> None:
        if run.stop_reason is not None:
            self.pools[PROCESSES].ended(run, given_up(run, self._clock.now()))
            return
        try:
            handle = start_dedicated(run, self._clock)
        except OSError as error:
            self.pools[PROCESSES].ended(run, given_up(run, self._clock.now(), f"its process could not be started: {error}"))
            return
        self._register(handle)
        self._dedicated[run.id] = handle

    def _register(self, handle: WorkerHandle) -> None:
        self._selector.register(handle.connection, selectors.EVENT_READ, lambda: self._read(handle))
        self._selector.register(handle.stacks, selectors.EVENT_READ, lambda: self._read_stacks(handle))
        self._selector.register(handle.process.sentinel, selectors.EVENT_READ, lambda: self._bury(handle))

    # -- reading ----------------------------------------------------------------------------------------

    def _read(self, handle: WorkerHandle) -> None:
        try:
            data = handle.connection.recv(1 << 20)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._unregister(handle.connection)  # its sentinel tells the rest
            return
        try:
            for message in handle.frames.feed(data):
                self._end_runs(receive(handle, message))
                if "ready" in message and not handle.dedicated:
                    self._greet(handle, message)
        except BadMessage as error:
            log.warning("scheduler_worker_killed", pid=handle.process.pid, error=f"it sent {error}")
            handle.drain(0.0, f"it sent {error}")
            handle.kill()

    def _end_runs(self, outcomes: Sequence[Outcome]) -> None:
        for name, pool in self.pools.items() if outcomes else ():
            if ended := [outcome for outcome in outcomes if outcome.run.pool == name]:
                pool.ended_together(ended)
        if outcomes:
            self._wake_scheduler()

    def _greet(self, handle: WorkerHandle, message: dict[str, Any]) -> None:
        handle.post({"clock": self._clock.anchor})
        warn_of_left_open(handle, message)
        handle.ready = True
        for pool in self.pools.values():
            pool.flush()
        self._wake_scheduler()

    def _read_stacks(self, handle: WorkerHandle) -> None:
        """The stacks of a worker's threads, which faulthandler writes without the interpreter."""
        try:
            data = handle.stacks.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            self._unregister(handle.stacks)
            return
        note_stacks(handle, data)

    def _unregister(self, channel: Any) -> None:
        with suppress(KeyError, ValueError):
            self._selector.unregister(channel)

    # -- watching ---------------------------------------------------------------------------------------

    def _watch(self, handle: WorkerHandle) -> None:
        if handle.dead:
            return
        enforce_limits(handle, self.pools, self._clock.now())
        if handle.dedicated:
            return
        keep_in_touch(handle, self._clock.anchor)
        others = [each for each in self.handles if each is not handle and each.is_available]
        if (others and handle.silent_seconds > UNRESPONSIVE_SECONDS) or (handle.has_waiting_runs and any(each.has_free_thread for each in others)):
            self._submit_again(handle.take_back())
        for reason, seconds in reasons_to_drain(handle, self._limits):
            handle.drain(seconds, reason)
        end_drained(handle)

    def _bury(self, handle: WorkerHandle) -> None:
        """Take note that a process has ended: its runs end with it, and another takes its place."""
        if handle.dead:
            return
        self._read_rest(handle)
        handle.process.join(END_SECONDS)
        for channel in (handle.connection, handle.stacks, handle.process.sentinel):
            self._unregister(channel)
        handle.dead = True
        unstarted = handle.take_back()
        runs = handle.die()
        self.handles = tuple(each for each in self.handles if each is not handle)
        for run_id in [run_id for run_id, each in self._dedicated.items() if each is handle]:
            del self._dedicated[run_id]
        handle.kill()  # what a job function has left behind in its group
        handle.close()
        for run in runs:
            self.pools[run.pool].ended(run, abandoned(run, self._clock.now(), handle))
        if not handle.dedicated and not self._closing:
            self._restarts.note(handle, runs, functions_of(runs))
        self._submit_again(unstarted)
        self._wake_scheduler()

    def _submit_again(self, runs: Sequence[ClaimedRun]) -> None:
        """Give runs that have not started to other workers."""
        for run in runs:
            if run.stop_reason is None:
                self.pools[run.pool].submit(run)
            else:
                self.pools[run.pool].ended(run, stopped(run, self._clock.now(), run.stop_reason))
        for pool in self.pools.values() if runs else ():
            pool.flush()

    def _read_rest(self, handle: WorkerHandle) -> None:
        """Read the outcomes that it had sent before it ended."""
        with suppress(OSError, BadMessage):
            while data := handle.connection.recv(1 << 20):
                for message in handle.frames.feed(data):
                    self._end_runs(receive(handle, message))
