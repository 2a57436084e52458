"""The processes of one scheduler, as its other threads see them."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from jobs.engine.executors.base import RunExecutor
from jobs.engine.run import ClaimedRun
from jobs.engine.workers.handle import WorkerHandle
from jobs.engine.workers.limits import functions_of
from jobs.engine.workers.restarts import Restarts
from jobs.engine.workers.wire import HELD_SECONDS


class WorkerSet:
    """Requests of the tick, the recorder and the end, which the supervisor's thread carries out.  Nothing here waits."""

    def __init__(self) -> None:
        self.pools: dict[str, RunExecutor] = {}
        self.handles: Sequence[WorkerHandle] = ()
        """The workers that serve many runs.  Replaced as a whole, because other threads read it."""
        self._dedicated: dict[int, WorkerHandle] = {}
        self._to_spawn: deque[ClaimedRun] = deque()
        self._restarts = Restarts()
        self._closing = False
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)  # noqa: FBT003 -- its only parameter

    def spawn_for(self, run: ClaimedRun) -> None:
        self._to_spawn.append(run)
        self._wake()

    def stop_run(self, run: ClaimedRun) -> None:
        reason = run.stop_reason
        for handle in self.handles:
            if run.id in handle.in_flight[run.pool] and reason is not None:
                handle.post({"stop": [[run.id, reason.value]]})
        if (dedicated := self._dedicated.get(run.id)) is not None:
            dedicated.terminate()
            self._wake()

    def kill_all(self) -> None:
        """Kill every process of this scheduler, and start none."""
        self._closing = True
        for handle in self._all_handles():
            handle.kill()
        self._wake()

    def kill_busy(self) -> None:
        """Kill the processes that have runs; others take their places."""
        for handle in self._all_handles():
            if not handle.is_idle:
                handle.kill()
        self._wake()

    @property
    def serving(self) -> int:
        """Workers that are not about to end."""
        return sum(handle.drain_until is None for handle in self.handles)

    @property
    def problem(self) -> str:
        """Why the workers are not what they should be, or nothing."""
        held = next((handle for handle in self.handles if handle.silent_seconds > HELD_SECONDS), None)
        if held is not None:
            return f"a worker does not answer for {held.silent_seconds:.0f} s; it runs {functions_of(held.runs)}"
        return self._restarts.problem

    def _wake(self) -> None:
        with suppress(BlockingIOError, OSError):
            self._wake_writer.send(b"x", socket.MSG_DONTWAIT)

    def _all_handles(self) -> list[WorkerHandle]:
        return [*self.handles, *list(self._dedicated.values())]
