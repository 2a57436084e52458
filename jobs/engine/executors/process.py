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
from jobs.engine.executors.base import STOP_GRACE, Report
from jobs.engine.executors.loop import LoopExecutor
from jobs.engine.run import ClaimedRun
from jobs.engine.statements import FinishedRun
from jobs.models import Status
from jobs.run_log import ReceivedLog

LINE_LIMIT = 1024 * 1024


class ProcessExecutor(LoopExecutor):
    """Each run in a process of its own: `manage.py runjob <run id>`, in its own process group, so that it can be killed."""

    def __init__(self, slots: int, now: Callable[[], datetime], report: Report) -> None:
        super().__init__(slots, now, report)
        self._processes: set[asyncio.subprocess.Process] = set()

    def kill(self) -> None:
        for process in list(self._processes):
            self._signal(process, signal.SIGKILL)

    async def _run(self, run: ClaimedRun) -> FinishedRun:
        run.started_at, run.started_monotonic = self._now(), time.monotonic()
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
            outcome = await self._listen(run, reader)
            code = await process.wait()
        except asyncio.CancelledError:
            await self._end(process)
            return stopped(run, self._now(), run.stop_reason or Status.CANCELLED)
        finally:
            self._signal(process, signal.SIGKILL)  # processes that the function has left in its group
            self._processes.discard(process)
        return outcome or failed(run, self._now(), f"its process ended without an outcome, with {_exit(code)}")

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
