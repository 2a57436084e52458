"""SchedulerService: the registry and the engine, for programs.

Jobs that are added here are definitions like any other: staff see and edit them, and any scheduler runs them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.db import connections

from jobs.exceptions import JobsError, UnknownFunction
from jobs.models import Author, JobDefinition
from jobs.registry import all_functions, find_current_run

if TYPE_CHECKING:
    from jobs.engine.scheduler import Scheduler

PROGRAM = Author(name="program", source="code")

START_SECONDS = 30.0


class AlreadyRunning(JobsError):
    """The service was started twice."""

    def __init__(self) -> None:
        super().__init__("this scheduler is running already; call shutdown() before start()")


class NotRunning(JobsError):
    """The service was stopped without having been started."""

    def __init__(self) -> None:
        super().__init__("this scheduler is not running; call start() first")


class SchedulerService:
    """Add, list and remove jobs, and run a scheduler inside this process.

    Nothing but `start()` needs a scheduler here: a job that is added is run by whichever scheduler is alive.
    """

    def __init__(self, author: Author = PROGRAM, threads: int | None = None, drain_seconds: float = 30.0) -> None:
        self._author = author
        self._threads = threads
        self._drain_seconds = drain_seconds
        self._scheduler: Scheduler | None = None
        self._thread: threading.Thread | None = None

    def add_interval_job(self, func: Callable[..., Any] | str, seconds: int, job_id: str, **options: Any) -> JobDefinition:
        """Define a job that runs every `seconds` (1 to 31,622,400; 0 keeps it off the schedule).

        `func` is a registered function or its name; `options` are further fields of JobDefinition.
        Raises UnknownFunction, JobExists or ValidationError (by field).
        """
        return self._add(func, job_id, trigger="interval", interval_seconds=seconds, **options)

    def add_cron_job(self, func: Callable[..., Any] | str, cron_expression: str, job_id: str, **options: Any) -> JobDefinition:
        """Define a job that runs by a cron expression, in the zone `timezone` (an option, default UTC); raises as above."""
        return self._add(func, job_id, trigger="cron", cron=cron_expression, **options)

    def _add(self, func: Callable[..., Any] | str, job_id: str, **fields: Any) -> JobDefinition:
        return JobDefinition.objects.add(self._author, id=job_id, function=_name_of(func), **fields)

    def remove_job(self, job_id: str) -> JobDefinition:
        """Archive a job: it is unscheduled for good, its history stays.  Raises JobNotFound."""
        return JobDefinition.objects.find(job_id).archive(self._author)

    def get_jobs(self) -> list[JobDefinition]:
        """All jobs that are not archived, by id."""
        return list(JobDefinition.objects.current().select_related("scheduled"))

    def get_job(self, job_id: str) -> JobDefinition:
        """One job, archived or not; raises JobNotFound."""
        return JobDefinition.objects.find(job_id)

    def start(self) -> None:
        """Run a scheduler in a thread of this process; returns after its first tick.  Raises AlreadyRunning.

        Do not call this in a web process: requests would share its life and its interpreter.
        """
        if self.is_running:
            raise AlreadyRunning
        from jobs.engine.scheduler import Scheduler

        self._scheduler = Scheduler(threads=self._threads, drain_seconds=self._drain_seconds)
        self._thread = threading.Thread(target=_run, args=[self._scheduler], name="jobs-scheduler", daemon=True)
        self._thread.start()
        self._scheduler.ticked.wait(START_SECONDS)

    def shutdown(self, wait: bool = True) -> None:  # noqa: FBT001, FBT002 -- as APScheduler's
        """Stop claiming; with `wait`, return once running jobs have completed and are recorded.  Raises NotRunning."""
        if self._scheduler is None or self._thread is None or not self.is_running:
            raise NotRunning
        self._scheduler.shutdown(wait=wait)
        if wait and find_current_run() is None:  # a job function cannot wait for itself to end
            self._thread.join(self._drain_seconds + START_SECONDS)

    @property
    def is_running(self) -> bool:
        """Whether the scheduler of this service is alive: read from its thread and its ticks, not from a flag."""
        return self._thread is not None and self._thread.is_alive() and self._scheduler is not None and not self._scheduler.closing


def _run(scheduler: Scheduler) -> None:
    try:
        scheduler.start()
    finally:
        connections.close_all()  # this thread's own


def _name_of(func: Callable[..., Any] | str) -> str:
    if isinstance(func, str):
        return func
    for entry in all_functions():
        if entry.function is func:
            return entry.name
    raise UnknownFunction(getattr(func, "__qualname__", repr(func)), (entry.name for entry in all_functions()))
