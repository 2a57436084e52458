"""`safe_job`: wrap any function so that its start, completion and failure are logged, and it never raises."""

from __future__ import annotations

import asyncio
import functools
import inspect
import time
from collections.abc import Callable
from typing import Any, ParamSpec, Self

import structlog

log = structlog.get_logger()

P = ParamSpec("P")


def safe_job(name: str) -> Callable[[Callable[P, Any]], Callable[P, Any]]:
    """Wrap a sync or async function: its start, completion and failure are logged, and it never raises.

    A failed call returns None.
    """

    def wrap(function: Callable[P, Any]) -> Callable[P, Any]:
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def call_async(*args: P.args, **kwargs: P.kwargs) -> Any:
                with _LoggedCall(name) as story:
                    story.result = await function(*args, **kwargs)
                return story.result

            return call_async

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> Any:
            with _LoggedCall(name) as story:
                story.result = function(*args, **kwargs)
            return story.result

        return call

    return wrap


class _LoggedCall:
    """The two log lines of a call that must not raise."""

    def __init__(self, name: str) -> None:
        self._log = log.bind(job=name)
        self.result: Any = None

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        self._log.info("job_run_started")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        duration = round(time.monotonic() - self._started, 6)
        if error is None:
            self._log.info("job_run_succeeded", duration=duration)
            return False
        if isinstance(error, asyncio.CancelledError):
            return False  # the task's owner asked for this, and has to see it
        self._log.error("job_run_failed", duration=duration, error=format_error(error), exc_info=error)
        return True


def format_error(error: BaseException) -> str:
    """The error's type and text; an error that cannot be printed is named by its type."""
    try:
        text = str(error)
    except BaseException as second:  # noqa: BLE001 -- __str__ of a job's own exception may raise anything
        text = f"(its text is not available: {type(second).__name__})"
    return f"{type(error).__name__}: {text}"
