"""`safe_job`: a function that logs its failure and never raises."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs as captured_events

from jobs.runner import safe_job

pytestmark = pytest.mark.once


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize("error", [ValueError("x"), ValueError("half \ud83d"), SystemExit(1), KeyboardInterrupt(), Unprintable()], ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("is_async", [False, True])
def test_a_safe_job_logs_its_failure_and_never_raises(error: BaseException, is_async: bool) -> None:
    @safe_job("careful")
    def fail() -> int:
        raise error

    @safe_job("careful")
    async def fail_later() -> int:
        raise error

    with captured_events() as events:
        assert (asyncio.run(fail_later()) if is_async else fail()) is None
    assert [(event["event"], event["log_level"], event["job"]) for event in events] == [("job_run_started", "info", "careful"), ("job_run_failed", "error", "careful")]
    assert events[1]["error"].startswith(type(error).__name__)
    assert events[1]["exc_info"] is error


@pytest.mark.parametrize("is_async", [False, True])
def test_a_safe_job_returns_its_result_and_logs_its_end(is_async: bool) -> None:
    @safe_job("careful")
    def add(a: int, b: int) -> int:
        return a + b

    @safe_job("careful")
    async def add_later(a: int, b: int) -> int:
        return a + b

    with captured_events() as events:
        assert (asyncio.run(add_later(1, b=2)) if is_async else add(1, b=2)) == 3
    assert [event["event"] for event in events] == ["job_run_started", "job_run_succeeded"]
    assert (add.__name__, asyncio.iscoroutinefunction(add_later)) == ("add", True)


def test_a_safe_job_can_be_cancelled() -> None:
    @safe_job("careful")
    async def wait() -> None:
        await asyncio.Event().wait()

    async def cancel() -> None:
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancel())
