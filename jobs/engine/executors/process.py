"""Functions in a process for each run, which can be killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from jobs import conf
from jobs.engine.execute import failed, stopped
from jobs.engine.executors.base import STOP_GRACE, Report, exit_text
from jobs.engine.executors.loop import LoopExecutor
from jobs.engine.run import ClaimedRun
from jobs.engine.statements import FinishedRun
from jobs.models import Status
from jobs.run_log import ReceivedLog

LINE_LIMIT = 1024 * 1024
START_SECONDS = 60.0
"""Seconds until the function is called; the time limit counts from then on."""

REST_SECONDS = 1.0
"""How long the rest of the output is waited for when the process has ended."""


class ProcessExecutor(LoopExecutor):
    """Each run in a process of its own: `manage.py runjob <run id>`, in its own process group, so that it can be killed."""

    def __init__(self, slots: int, now: Callable[[], datetime], report: Report) -> None:
        super().__init__(slots, now, report)
        self._processes: set[asyncio.subprocess.Process] = set()

    def kill(self) -> None:
        for process in list(self._processes):
            self._signal(process, signal.SIGKILL)

    async def _run(self, run: ClaimedRun) -> FinishedRun:
        run.submitted_monotonic = time.monotonic()
        reader, writer_fd = await self._pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "django", "runjob", str(run.id), "--outcome-fd", str(writer_fd)),
                cwd=conf.working_directory(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=(writer_fd,),
            )
        finally:
            os.close(writer_fd)
        self._processes.add(process)
        try:
            outcome = await self._outcome_of(run, reader, process)
            code = await process.wait()
        except asyncio.CancelledError:
            await self._end(process)
            return stopped(run, self._now(), run.stop_reason or Status.CANCELLED)
        finally:
            self._signal(process, signal.SIGKILL)  # processes that the function has left in its group
            self._processes.discard(process)
        return outcome or failed(run, self._now(), f"its process ended without an outcome, with {exit_text(code)}")

    def check(self) -> None:
        super().check()
        for run in list(self.in_flight.values()):
            if run.started_monotonic is None and run.submitted_monotonic and time.monotonic() > run.submitted_monotonic + START_SECONDS:
                self.stop(run.id, Status.TIMED_OUT)

    async def _outcome_of(self, run: ClaimedRun, reader: asyncio.StreamReader, process: asyncio.subprocess.Process) -> FinishedRun | None:
        """Read until the outcome has come or the process has ended; a child of the function may keep the pipe open for ever."""
        listening = asyncio.ensure_future(self._listen(run, reader))
        ending = asyncio.ensure_future(process.wait())
        try:
            await asyncio.wait({listening, ending}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({listening}, timeout=REST_SECONDS)
            return listening.result() if listening.done() else None
        finally:
            listening.cancel()
            ending.cancel()

    async def _pipe(self) -> tuple[asyncio.StreamReader, int]:
        read_fd, write_fd = os.pipe()
        reader = asyncio.StreamReader(limit=4 * LINE_LIMIT)
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_fd, "rb"))
        return reader, write_fd

    @staticmethod
    async def _listen(run: ClaimedRun, reader: asyncio.StreamReader) -> FinishedRun | None:
        """Read log and progress until the outcome has come or the pipe has closed."""
        async for line in reader:
            message = json.loads(line)
            if "started" in message:
                at, run.started_monotonic = message["started"]
                run.started_at = datetime.fromisoformat(at)
                continue
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
