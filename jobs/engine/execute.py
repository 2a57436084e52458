"""Run one JobRun: start it, call its function safely, say what came of it.

Nothing that a job function does gets past here: whatever it raises becomes an outcome.
"""

from __future__ import annotations

import asyncio
import inspect
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

import structlog

from jobs.engine.pools import THREADS
from jobs.engine.statements import FinishedRun
from jobs.models import JobDefinition, Status
from jobs.registry import enter_run, get_function, leave_run
from jobs.run_log import ReceivedLog, RunLog, cut_middle, to_json
from jobs.runner import format_error

log = structlog.get_logger()


class UnusableArguments(TypeError):
    """A definition's arguments are not an object of names and values."""

    def __init__(self, kwargs: object) -> None:
        super().__init__(f"the arguments are {type(kwargs).__name__}, expected an object of names and values; correct them in the job")


class NotJSON(TypeError):
    """A job function returned something that cannot be kept as its result."""

    def __init__(self, result: object, why: Exception) -> None:
        super().__init__(f"the result ({type(result).__name__}) is not JSON: {why}; return numbers, text, lists, dicts or None")


@dataclass(frozen=True, slots=True)
class Call:
    """What a run needs of its definition.  The row itself takes five times the memory, and a scheduler keeps one for each job."""

    pk: str
    title: str
    function: str
    kwargs: dict[str, Any]
    timeout_seconds: int | None
    max_retries: int
    retry_backoff_seconds: int

    @classmethod
    def of(cls, definition: JobDefinition) -> Self:
        return cls(*[getattr(definition, name) for name in cls.__slots__])


@dataclass(slots=True, eq=False)
class Run:
    """A claimed run in this process; what `current_run()` returns inside a job function."""

    id: int
    job_id: str
    scheduled_for: datetime
    function: str
    kwargs: dict[str, Any]
    attempt: int = 1
    cause: str = "schedule"
    lane: str = THREADS
    timeout_seconds: int | None = None
    max_retries: int = 0
    retry_backoff_seconds: int = 30
    claimed_at: datetime | None = None
    override: dict[str, Any] | None = None

    started_at: datetime | None = None
    started_monotonic: float | None = None
    verdict: Status | None = None
    """Why it is being stopped: TIMED_OUT or CANCELLED."""
    verdict_monotonic: float = 0.0
    log: RunLog | ReceivedLog | None = None
    progress_json: str | None = None
    told: tuple[int, str | None] = field(default=(0, None))
    """How much of log and progress the database has."""

    @classmethod
    def of(cls, definition: JobDefinition | Call, run_id: int, slot: datetime, *, kwargs: dict[str, Any] | None = None, **more: Any) -> Self:
        """The run `run_id` of `definition`, with its own kwargs if it has any."""
        return cls(
            id=run_id,
            job_id=definition.pk,
            scheduled_for=slot,
            function=definition.function,
            kwargs=definition.kwargs if kwargs is None else kwargs,
            override=kwargs,
            timeout_seconds=definition.timeout_seconds,
            max_retries=definition.max_retries,
            retry_backoff_seconds=definition.retry_backoff_seconds,
            **more,
        )

    @property
    def cancelled(self) -> bool:
        return self.verdict is not None

    def progress(self, done: float, total: float, text: str = "") -> None:
        self.progress_json = to_json({"done": done, "total": total, "text": cut_middle(str(text), 500)})

    def write_log(self, line: str) -> None:
        if not isinstance(self.log, RunLog):
            self.log = RunLog()
        self.log.write(line)

    def news(self) -> tuple[int, str | None]:
        """What has been said so far; compare with `told`."""
        return (self.log.size if self.log else 0, self.progress_json)

    def finish(self, status: Status, now: datetime, error: str = "", trace: str = "", result: str | None = None, reason: str = "") -> FinishedRun:
        """The row's last words; `now` is only its end's time, the duration comes from a monotonic clock."""
        duration = time.monotonic() - self.started_monotonic if self.started_monotonic is not None else 0.0
        return FinishedRun(
            id=self.id,
            status=status.value,
            started_at=self.started_at or now,
            finished_at=now,
            duration_seconds=duration,
            reason=reason,
            result=result,
            error=error,
            traceback=trace,
            log=str(self.log) if self.log else "",
            progress=self.progress_json,
        )


Now = Callable[[], datetime]


def run_sync(run: Run, now: Now) -> FinishedRun:
    """Run a sync job function in this thread."""
    _begin(run, now)
    kept, error = None, None
    token = enter_run(run)
    try:
        result = _callable(run)(**run.kwargs)
        if inspect.iscoroutine(result):
            result.close()  # a sync function that returns a coroutine; nobody here could await it
        kept = _keep(result)
    except BaseException as caught:  # noqa: BLE001 -- SystemExit too: it is stored, and no job function may end the scheduler
        error = caught
    finally:
        leave_run(token)
    return _succeeded(run, kept, now()) if error is None else _failed(run, error, now())


async def run_async(run: Run, now: Now) -> FinishedRun:
    """Run an async job function in this task."""
    _begin(run, now)
    kept, error = None, None
    token = enter_run(run)
    try:
        kept = _keep(await _callable(run)(**run.kwargs))
    except BaseException as caught:  # noqa: BLE001 -- as above
        error = caught
    finally:
        leave_run(token)
    if isinstance(error, asyncio.CancelledError):
        return stopped(run, now(), run.verdict or Status.CANCELLED)
    return _succeeded(run, kept, now()) if error is None else _failed(run, error, now())


def _callable(run: Run) -> Callable[..., Any]:
    function = get_function(run.function)
    if not isinstance(run.kwargs, dict):
        raise UnusableArguments(run.kwargs)
    return function.function


def _keep(result: object) -> str | None:
    if result is None:
        return None
    try:
        return to_json(result)
    except (TypeError, ValueError, RecursionError) as error:
        raise NotJSON(result, error) from None


def _begin(run: Run, now: Now) -> None:
    run.started_at = now()
    run.started_monotonic = time.monotonic()
    log.info("job_run_started", job=run.job_id, run_id=run.id, attempt=run.attempt)


def _succeeded(run: Run, result: str | None, now: datetime) -> FinishedRun:
    finished = run.finish(Status.SUCCEEDED, now, result=result)
    log.info("job_run_succeeded", job=run.job_id, run_id=run.id, attempt=run.attempt, duration=round(finished.duration_seconds, 6))
    return finished


def _failed(run: Run, error: BaseException, now: datetime) -> FinishedRun:
    return failed(run, now, format_error(error), _trace(error))


def _trace(error: BaseException) -> str:
    own = error.__traceback__.tb_next if error.__traceback__ else None  # without our own frame on top
    return cut_middle("".join(traceback.format_exception(type(error), error, own)))


def failed(run: Run, now: datetime, error: str, trace: str = "") -> FinishedRun:
    """A failed run, said and ready to be recorded; after a request to stop, it is what was asked for."""
    if run.verdict is not None:
        return stopped(run, now, run.verdict)
    finished = run.finish(Status.FAILED, now, error=cut_middle(error), trace=trace)
    log.warning("job_run_failed", job=run.job_id, run_id=run.id, attempt=run.attempt, error=cut_middle(error, 1000), duration=round(finished.duration_seconds, 6))
    return finished


def stopped(run: Run, now: datetime, verdict: Status, note: str = "") -> FinishedRun:
    """A run that was stopped: its time was up, or somebody cancelled it."""
    limit = f"it ran longer than its time limit of {run.timeout_seconds} s"
    error = (limit if verdict == Status.TIMED_OUT else "") + (f"; {note}" if note else "")
    finished = run.finish(verdict, now, error=error.removeprefix("; "))
    log.warning("job_run_failed", job=run.job_id, run_id=run.id, attempt=run.attempt, status=verdict.value, error=error, duration=round(finished.duration_seconds, 6))
    return finished
