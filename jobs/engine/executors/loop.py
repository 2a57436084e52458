"""Async functions, on one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from datetime import datetime

from asgiref.sync import SyncToAsync, ThreadSensitiveContext, sync_to_async

from jobs.engine.execute import failed, run_async, stopped
from jobs.engine.executors.base import Report, RunExecutor
from jobs.engine.executors.event_loop import EventLoop
from jobs.engine.executors.leftovers import discard_all
from jobs.engine.run import ClaimedRun
from jobs.engine.statements import FinishedRun
from jobs.models import Status


class LoopExecutor(RunExecutor):
    """Async functions, on one long-lived event loop in a thread of its own.

    A blocked loop is replaced by a new one for the runs to come.  It counts as a stuck thread until it answers again,
    and ends when its tasks have.
    """

    def __init__(self, slots: int, now: Callable[[], datetime], report: Report) -> None:
        super().__init__(slots, now, report)
        self._loop = EventLoop()
        self._replaced: list[EventLoop] = []
        self._unstarted: dict[int, ClaimedRun] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def open(self) -> None:
        self._loop.start("jobs-loop")

    def check(self) -> None:
        super().check()
        if not (self.in_flight or self._replaced or self._loop.is_pinged):
            return  # idle: no need to ping the loop
        self._end_replaced()
        if self._loop.is_blocked:
            self._replaced.append(self._loop)
            self._loop = EventLoop()
            self._loop.start("jobs-loop")
            for run in list(self._unstarted.values()):
                self._loop.call(self._create_task, run)
        self.stuck = sum(loop.is_blocked for loop in self._replaced)

    def _end_replaced(self) -> None:
        """End the replaced loops that answer again and have no tasks left."""
        for loop in list(self._replaced):
            if not loop.is_blocked and not any(loop.has(task) for task in list(self._tasks.values())):
                self._replaced.remove(loop)
                loop.stop()

    def _start_run(self, run: ClaimedRun) -> None:
        self._unstarted[run.id] = run
        self._loop.call(self._create_task, run)

    def _create_task(self, run: ClaimedRun) -> None:
        # A blocked loop that goes on and its replacement may both call this: one of them takes the run.
        if self._unstarted.pop(run.id, None) is not None and self._begins(run):
            task = asyncio.get_running_loop().create_task(self._go(run), context=Context())
            self._tasks[run.id] = task
            task.add_done_callback(lambda _task: self._tasks.pop(run.id, None))

    async def _go(self, run: ClaimedRun) -> None:
        try:
            outcome = await self._run(run)
        except asyncio.CancelledError:
            outcome = stopped(run, self._now(), run.stop_reason or Status.CANCELLED)
        except Exception as error:  # noqa: BLE001 -- a run without an outcome would be running for ever
            outcome = failed(run, self._now(), f"it could not be started: {type(error).__name__}: {error}")
        self.ended(run, outcome)

    async def _run(self, run: ClaimedRun) -> FinishedRun:
        # Outside ASGI, sync_to_async shares one thread between all tasks unless each has a context of its own.
        async with ThreadSensitiveContext() as context:
            outcome = await run_async(run, self._now)
            if context in SyncToAsync.context_to_thread_executor:
                await sync_to_async(discard_all)()
        return outcome

    def _stop_run(self, run: ClaimedRun) -> None:
        for loop in (*self._replaced, self._loop):
            loop.call(self._cancel_task, run.id)

    def _cancel_task(self, run_id: int) -> None:
        task = self._tasks.get(run_id)
        if task is not None and task.get_loop() is asyncio.get_running_loop():
            task.cancel()

    def shutdown(self, wait: bool = True) -> None:  # noqa: FBT001, FBT002 -- APScheduler's signature
        self._loop.stop()
