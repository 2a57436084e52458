"""Execute one claimed run: start it, call its function, return its outcome.

Every exception of a job function ends here, as an outcome.
"""

from __future__ import annotations

import asyncio
import inspect
import time
import traceback
from collections.abc import Callable
from datetime import datetime
from typing import Any

import structlog

from jobs.engine.run import ClaimedRun
from jobs.engine.statements import FinishedRun
from jobs.models import Status
from jobs.registry import enter_run, get_function, leave_run
from jobs.run_log import cut_middle, to_json
from jobs.runner import format_error

log = structlog.get_logger()

Now = Callable[[], datetime]


class UnusableArguments(TypeError):
    """A definition's arguments are not an object of names and values."""

    def __init__(self, kwargs: object) -> None:
        super().__init__(f"the arguments are {type(kwargs).__name__}, expected an object of names and values; correct them in the job")


class NotJSON(TypeError):
    """A job function returned a value that JSON cannot express."""

    def __init__(self, result: object, why: Exception) -> None:
        super().__init__(f"the result ({type(result).__name__}) is not JSON: {why}; return numbers, text, lists, dicts or None")


def run_sync(run: ClaimedRun, now: Now) -> FinishedRun:
    """Run a sync job function in this thread."""
    _start(run, now)
    result, error = None, None
    token = enter_run(run)
    try:
        returned = _function_of(run)(**run.kwargs)
        if inspect.iscoroutine(returned):
            returned.close()  # a sync function that returns a coroutine: this thread has no loop to await it
        result = _result_json(returned)
    except BaseException as caught:  # noqa: BLE001 -- SystemExit too: it is stored, and no job function may end the scheduler
        error = caught
    finally:
        leave_run(token)
    return _succeeded(run, result, now()) if error is None else _failed(run, error, now())


async def run_async(run: ClaimedRun, now: Now) -> FinishedRun:
    """Run an async job function in this task."""
    _start(run, now)
    result, error = None, None
    token = enter_run(run)
    try:
        result = _result_json(await _function_of(run)(**run.kwargs))
    except BaseException as caught:  # noqa: BLE001 -- as in run_sync
        error = caught
    finally:
        leave_run(token)
    if isinstance(error, asyncio.CancelledError):
        return stopped(run, now(), run.stop_reason or Status.CANCELLED)
    return _succeeded(run, result, now()) if error is None else _failed(run, error, now())


def _start(run: ClaimedRun, now: Now) -> None:
    run.started_at = now()
    run.started_monotonic = time.monotonic()
    log.info("job_run_started", job=run.job_id, run_id=run.id, attempt=run.attempt)


def _function_of(run: ClaimedRun) -> Callable[..., Any]:
    function = get_function(run.function)
    if not isinstance(run.kwargs, dict):
        raise UnusableArguments(run.kwargs)
    return function.function


def _result_json(result: object) -> str | None:
    if result is None:
        return None
    try:
        return to_json(result)
    except (TypeError, ValueError, RecursionError) as error:
        raise NotJSON(result, error) from None


def _succeeded(run: ClaimedRun, result: str | None, now: datetime) -> FinishedRun:
    finished = run.finish(Status.SUCCEEDED, now, result=result)
    log.info("job_run_succeeded", job=run.job_id, run_id=run.id, attempt=run.attempt, duration=round(finished.duration_seconds, 6))
    return finished


def _failed(run: ClaimedRun, error: BaseException, now: datetime) -> FinishedRun:
    own = error.__traceback__.tb_next if error.__traceback__ else None  # without the frame of this module
    trace = cut_middle("".join(traceback.format_exception(type(error), error, own)))
    return failed(run, now, format_error(error), trace)


def failed(run: ClaimedRun, now: datetime, error: str, trace: str = "") -> FinishedRun:
    """Log a failure and return the outcome; a run that was asked to stop gets that status instead."""
    if run.stop_reason is not None:
        return stopped(run, now, run.stop_reason)
    finished = run.finish(Status.FAILED, now, error=cut_middle(error), trace=trace)
    log.warning("job_run_failed", job=run.job_id, run_id=run.id, attempt=run.attempt, error=cut_middle(error, 1000), duration=round(finished.duration_seconds, 6))
    return finished


def stopped(run: ClaimedRun, now: datetime, reason: Status, note: str = "") -> FinishedRun:
    """Log and return the outcome of a run that reached its time limit or was cancelled."""
    limit = f"it ran longer than its time limit of {run.timeout_seconds} s"
    error = (limit if reason == Status.TIMED_OUT else "") + (f"; {note}" if note else "")
    finished = run.finish(reason, now, error=error.removeprefix("; "))
    log.warning("job_run_failed", job=run.job_id, run_id=run.id, attempt=run.attempt, status=reason.value, error=error, duration=round(finished.duration_seconds, 6))
    return finished
