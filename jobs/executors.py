"""Where runs go on: threads for sync functions, an asyncio loop for async ones, a process of its own for the rest.

An executor is given claimed runs.  Whoever takes a run out of `handed` — the run itself when it ends, or `check`
when its time is up — reports its outcome; so every run is reported once.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
import time
from abc import abstractmethod
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from queue import SimpleQueue
from typing import Any

from apscheduler.executors.base import BaseExecutor
from asgiref.sync import SyncToAsync, ThreadSensitiveContext, sync_to_async
from django.conf import settings
from django.db import close_old_connections, connections
from django.db.backends.signals import connection_created
from django.dispatch import receiver

from jobs.capture import ReceivedLog
from jobs.lanes import LOOP, PROCESSES, THREADS, Room
from jobs.loops import Loop
from jobs.models import Status
from jobs.runner import Run, failed, run_async, run_sync, stopped
from jobs.statements import FinishedRun

LOOK_AHEAD = 0.02
"""A lane is handed what it will start within so many seconds, by how long its runs have lately taken; at most LOOK_AHEAD_RUNS."""

LOOK_AHEAD_RUNS = 500

KEEP_AHEAD = 1
"""A lane keeps so many claimed runs for each of its threads; the rest stays due, for another scheduler to take."""

QUICK_SECONDS = 0.001
"""Runs that take less are not worth waking a thread for each: one that is awake anyway takes them sooner."""

STOP_GRACE = 5.0
"""Seconds that a run gets to end after it was asked to."""

WORK, END = "work", "end"
"""What a thread that waits can be called for."""

LINE_LIMIT = 1024 * 1024

Report = Callable[[Run, FinishedRun], None]


_this_thread = threading.local()
"""`has_connected`: whether a job function has ever made this thread connect to a database; to look for connections takes longer than many a run."""


@receiver(connection_created)
def _note_connection(**_: Any) -> None:
    _this_thread.has_connected = True


class RunExecutor(BaseExecutor):  # type: ignore[misc]  # APScheduler has no types
    """What all lanes have in common: room, bookkeeping, time limits."""

    def __init__(self, slots: int, now: Callable[[], datetime], report: Report) -> None:
        super().__init__()
        self.slots = slots
        self.handed: dict[int, Run] = {}
        self.waiting: deque[Run] = deque()
        self.stuck = 0
        self.finished = 0
        self._now = now
        self._report = report
        self._typical_seconds = 1.0
        self._full_since: datetime | None = None

    # -- room ---------------------------------------------------------------------------------------

    def room(self, now: datetime, *, left_over: bool) -> Room:
        """How many runs to claim.

        A slot that had to wait for room is judged by the time at which the lane became full: waiting for a thread is
        not lateness.
        """
        self._full_since = (self._full_since or now) if left_over else None
        soon = max(KEEP_AHEAD * self.slots - self._ahead, 0) - len(self.waiting) if self.slots < LOOP_SLOTS else 0
        return Room(0 if self.waiting else self.free(), soon, self._full_since or now)

    @property
    def _ahead(self) -> int:
        """How many runs more than there are threads may be handed over, because they will not wait for long."""
        return min(int(self.slots * LOOK_AHEAD / self._typical_seconds), LOOK_AHEAD_RUNS)

    def free(self) -> int:
        """How many runs can be handed over now."""
        return self.slots + self._ahead - len(self.handed)

    @property
    def backlog(self) -> bool:
        """Whether a run that was handed over waits for a thread."""
        return False

    # -- runs ---------------------------------------------------------------------------------------

    def hand_over(self, run: Run) -> None:
        """Start a run that the database knows to be running."""
        self.handed[run.id] = run
        self._start_run(run)

    def ended(self, run: Run, outcome: FinishedRun) -> bool:
        """Report the outcome, unless the run was given up before; whether it was reported."""
        if self.handed.pop(run.id, None) is None:
            return False
        self.finished += 1
        self._typical_seconds += 0.05 * (max(outcome.duration_seconds, 1e-4) - self._typical_seconds)
        self._report(run, outcome)
        return True

    def check(self) -> None:
        """Stop what has run into its time limit, and give up what did not stop."""
        moment = time.monotonic()
        for run in list(self.handed.values()):
            if run.verdict is not None:
                if moment - run.verdict_monotonic > STOP_GRACE:
                    self._give_up(run)
            elif run.timeout_seconds is not None and run.started_monotonic is not None and moment - run.started_monotonic > run.timeout_seconds:
                self.stop(run.id, Status.TIMED_OUT)

    def stop(self, run_id: int, verdict: Status) -> None:
        """Ask a run to end; harmless when it has ended."""
        run = self.handed.get(run_id)
        if run is not None and run.verdict is None:
            run.verdict, run.verdict_monotonic = verdict, time.monotonic()
            self._stop_run(run)

    def _give_up(self, run: Run) -> None:
        if self.ended(run, stopped(run, self._now(), run.verdict or Status.CANCELLED, "it did not stop when it was asked to")):
            self._replace()

    def _replace(self) -> None:
        """Make up for what a run that was given up still holds."""

    @abstractmethod
    def _start_run(self, run: Run) -> None: ...

    @abstractmethod
    def _stop_run(self, run: Run) -> None: ...

    def kill(self) -> None:
        """Leave no process behind."""

    def _do_submit_job(self, job: Any, run_times: list[datetime]) -> None:
        raise TypeError(f"job {job.id!r} was submitted without a run; the scheduler claims runs and hands those over")


class ThreadExecutor(RunExecutor):
    """Sync functions, on `slots` threads.  A thread that does not come back is replaced, and counted as stuck.

    Threads take runs from one deque until it is empty, and then wait for a call.  To wake one costs more than a run
    that does nothing, and those awake take the interpreter from each other: quick runs get one call and not one each.
    """

    def __init__(self, slots: int, now: Callable[[], datetime], report: Report) -> None:
        super().__init__(slots, now, report)
        self._ready: deque[Run] = deque()
        self._calls: SimpleQueue[str] = SimpleQueue()

    def start(self, scheduler: Any, alias: str) -> None:
        super().start(scheduler, alias)
        for _ in range(self.slots):
            self._add_thread()

    def _add_thread(self) -> None:
        threading.Thread(target=self._work, name="jobs-run", daemon=True).start()

    def _work(self) -> None:
        used_at = 0.0
        while (run := self._next()) is not None:
            if run.id not in self.handed:
                continue  # given up while it waited
            # A connection that the database has dropped meanwhile would fail the run; one that is left broken would fail the next.
            if time.monotonic() - used_at > 1.0:
                close_old_connections()
            outcome = run_sync(run, self._now)
            if hasattr(_this_thread, "has_connected"):
                close_old_connections()
            used_at = time.monotonic()
            if not self.ended(run, outcome):
                self.stuck -= 1
                return  # another thread has taken this one's place
        connections.close_all()

    def _next(self) -> Run | None:
        """The next run, waited for; None at the end."""
        while True:
            try:
                return self._ready.popleft()
            except IndexError:
                if self._calls.get() == END:
                    return None

    def _start_run(self, run: Run) -> None:
        self._ready.append(run)
        if self._typical_seconds > QUICK_SECONDS or self._calls.empty():
            self._calls.put(WORK)

    @property
    def backlog(self) -> bool:
        return bool(self._ready)

    def check(self) -> None:
        super().check()
        if self._ready and self._calls.empty():
            self._calls.put(WORK)  # those that are awake are not as quick as was expected

    def _stop_run(self, run: Run) -> None:
        """A thread cannot be stopped; the function may look at `current_run().cancelled`.  A time limit does not wait for it."""
        if run.verdict == Status.TIMED_OUT:
            self._give_up(run)

    def _give_up(self, run: Run) -> None:
        if run.started_monotonic is not None:
            super()._give_up(run)

    def _replace(self) -> None:
        self.stuck += 1
        self._add_thread()

    def shutdown(self, wait: bool = True) -> None:  # noqa: FBT001, FBT002 -- APScheduler's signature
        for _ in range(self.slots + self.stuck):
            self._calls.put(END)


LOOP_SLOTS = 1000
"""An asyncio loop takes so many runs at a time."""


class LoopExecutor(RunExecutor):
    """Async functions, on one long-lived event loop in a thread of its own.

    A loop that a function keeps for itself is left to it, and a fresh one takes what comes; it counts as a stuck
    thread until it comes round again.
    """

    def __init__(self, slots: int, now: Callable[[], datetime], report: Report) -> None:
        super().__init__(slots, now, report)
        self._loop = Loop()
        self._blocked: list[Loop] = []
        self._unstarted: dict[int, Run] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def start(self, scheduler: Any, alias: str) -> None:
        super().start(scheduler, alias)
        self._loop.start("jobs-loop")

    def check(self) -> None:
        super().check()
        if not (self.handed or self._blocked or self._loop.is_asked):
            return  # nobody waits for it
        self._blocked = [loop for loop in self._blocked if loop.is_blocked]
        if self._loop.is_blocked:
            self._blocked.append(self._loop)
            self._loop = Loop()
            self._loop.start("jobs-loop")
            for run in list(self._unstarted.values()):
                self._loop.call(self._create_task, run)
        self.stuck = len(self._blocked)

    def _start_run(self, run: Run) -> None:
        self._unstarted[run.id] = run
        self._loop.call(self._create_task, run)

    def _create_task(self, run: Run) -> None:
        # A blocked loop that comes round and the one that has replaced it may both get here: one of them takes the run.
        if self._unstarted.pop(run.id, None) is not None and run.id in self.handed:
            task = asyncio.get_running_loop().create_task(self._go(run))
            self._tasks[run.id] = task
            task.add_done_callback(lambda _task: self._tasks.pop(run.id, None))

    async def _go(self, run: Run) -> None:
        try:
            outcome = await self._run(run)
        except asyncio.CancelledError:
            outcome = stopped(run, self._now(), run.verdict or Status.CANCELLED)
        except Exception as error:  # noqa: BLE001 -- a run that nobody reports would be running for ever
            outcome = failed(run, self._now(), f"it could not be started: {type(error).__name__}: {error}")
        self.ended(run, outcome)

    async def _run(self, run: Run) -> FinishedRun:
        # Outside ASGI, sync_to_async shares one thread between all tasks unless each has a context of its own.
        async with ThreadSensitiveContext() as context:
            outcome = await run_async(run, self._now)
            if context in SyncToAsync.context_to_thread_executor:
                await sync_to_async(connections.close_all)()
        return outcome

    def _stop_run(self, run: Run) -> None:
        for loop in (*self._blocked, self._loop):
            loop.call(self._cancel_task, run.id)

    def _cancel_task(self, run_id: int) -> None:
        task = self._tasks.get(run_id)
        if task is not None and task.get_loop() is asyncio.get_running_loop():
            task.cancel()

    def shutdown(self, wait: bool = True) -> None:  # noqa: FBT001, FBT002 -- APScheduler's signature
        self._loop.stop()


class ProcessExecutor(LoopExecutor):
    """Functions in a process of their own: `manage.py runjob <run id>`, in its own process group, so that it can be killed."""

    def __init__(self, slots: int, now: Callable[[], datetime], report: Report) -> None:
        super().__init__(slots, now, report)
        self._processes: set[asyncio.subprocess.Process] = set()

    def kill(self) -> None:
        for process in list(self._processes):
            self._signal(process, signal.SIGKILL)

    async def _run(self, run: Run) -> FinishedRun:
        run.started_at, run.started_monotonic = self._now(), time.monotonic()
        reader, writer_fd = await self._pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "django", "runjob", str(run.id), "--outcome-fd", str(writer_fd)),
                cwd=settings.BASE_DIR,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=(writer_fd,),
            )
        finally:
            os.close(writer_fd)
        self._processes.add(process)
        try:
            outcome = await self._listen(run, reader)
            code = await process.wait()
        except asyncio.CancelledError:
            await self._end(process)
            return stopped(run, self._now(), run.verdict or Status.CANCELLED)
        finally:
            self._signal(process, signal.SIGKILL)  # what the function left behind in its group
            self._processes.discard(process)
        return outcome or failed(run, self._now(), f"its process ended without an outcome, with {_exit(code)}")

    async def _pipe(self) -> tuple[asyncio.StreamReader, int]:
        read_fd, write_fd = os.pipe()
        reader = asyncio.StreamReader(limit=4 * LINE_LIMIT)
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_fd, "rb"))
        return reader, write_fd

    @staticmethod
    async def _listen(run: Run, reader: asyncio.StreamReader) -> FinishedRun | None:
        """Take over log and progress as they come, until the outcome has come or the pipe has closed."""
        async for line in reader:
            message = json.loads(line)
            if "finished" in message:
                return FinishedRun.from_json(message["finished"])
            run.log, run.progress_json = ReceivedLog(message["log"], message["size"]), message["progress"]
        return None

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        self._signal(process, signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), STOP_GRACE / 2)
        except TimeoutError:
            self._signal(process, signal.SIGKILL)
            await process.wait()

    @staticmethod
    def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)


def _exit(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


def make_executors(threads: int, now: Callable[[], datetime], report: Report) -> dict[str, RunExecutor]:
    """One executor for each lane."""
    return {
        THREADS: ThreadExecutor(threads, now, report),
        LOOP: LoopExecutor(LOOP_SLOTS, now, report),
        PROCESSES: ProcessExecutor(threads, now, report),
    }
