"""`manage.py runjob <run id>`: run one claimed run in this process, and tell the scheduler how it goes.

The scheduler starts this for jobs with `executor="process"`.  Lines of JSON go to the pipe `--outcome-fd`: log and
progress as they come, the outcome at the end.  When the pipe breaks, the scheduler is gone, and so is this process.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobs.clock import Clock, read_database_clock
from jobs.engine.execute import run_async, run_sync
from jobs.engine.run import ClaimedRun
from jobs.engine.statements import FinishedRun
from jobs.exceptions import RunNotFound, UnknownFunction
from jobs.models import JobRun
from jobs.registry import get_function
from jobs.run_log import capture_logs

TELL_SECONDS = 0.5
START_POLL_SECONDS = 0.01


class Command(BaseCommand):
    help = "Run one claimed run in this process; the scheduler calls this."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("run_id", type=int)
        parser.add_argument("--outcome-fd", type=int, required=True)

    def handle(self, *args: Any, run_id: int, outcome_fd: int, **options: Any) -> None:
        try:
            row = JobRun.objects.find(run_id)
        except RunNotFound as error:
            raise CommandError(str(error), returncode=3) from None
        capture_logs()
        reading = read_database_clock()
        clock = Clock(reading.at, reading.middle)  # as its scheduler has it
        run = ClaimedRun.of(row.job, row.pk, row.scheduled_for, kwargs=row.kwargs, attempt=row.attempt, cause=row.cause)
        pipe = _Pipe(outcome_fd, run)
        pipe.start()
        pipe.finish(self._run(run, clock))
        logging.shutdown()  # writes the lines that wait
        os._exit(0)  # threads that the function has left behind do not keep the process

    @staticmethod
    def _run(run: ClaimedRun, clock: Clock) -> FinishedRun:
        try:
            is_async = get_function(run.function).is_async
        except UnknownFunction:
            is_async = False  # run_sync says it
        return asyncio.run(run_async(run, clock.now)) if is_async else run_sync(run, clock.now)


class _Pipe(threading.Thread):
    """Tells the scheduler what is new, and notices when there is none any more."""

    def __init__(self, fd: int, run: ClaimedRun) -> None:
        super().__init__(name="jobs-tell", daemon=True)
        self._fd = fd
        self._run = run
        self._done = threading.Event()

    def run(self) -> None:
        announced = False
        while not self._done.wait(TELL_SECONDS if announced else START_POLL_SECONDS):
            if not announced and self._run.started_at is not None:
                announced = True
                self._send({"started": [self._run.started_at, self._run.started_monotonic]})
            size, progress = self._run.unsaved_output()
            self._send({"log": str(self._run.log or ""), "size": size, "progress": progress})

    def finish(self, finished: FinishedRun) -> None:
        self._done.set()
        self.join()
        self._send({"finished": finished.to_json()})

    def _send(self, message: dict[str, Any]) -> None:
        data = memoryview(orjson.dumps(message) + b"\n")
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except BrokenPipeError:
            os._exit(1)
