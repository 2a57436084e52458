from __future__ import annotations

import asyncio
import inspect
import json
import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs as captured_events

from jobs.engine.execute import run_async, run_sync
from jobs.engine.run import ClaimedRun
from jobs.engine.statements import FinishedRun
from jobs.exceptions import NoCurrentRun
from jobs.models import Status
from jobs.registry import current_run, find_current_run, job, unregister
from jobs.run_log import LIMIT
from jobs.runner import safe_job

NOW = datetime(2030, 1, 1, tzinfo=UTC)
pytestmark = pytest.mark.once


@pytest.fixture
def finish() -> Iterator[Callable[..., FinishedRun]]:
    """Run a function, sync or async, as a job and return what would be recorded."""

    def finish(function: Callable[..., Any], **kwargs: Any) -> FinishedRun:
        entry = job("tests_function")(function)
        run = ClaimedRun(1, "a", NOW, "tests_function", kwargs)
        try:
            return asyncio.run(run_async(run, lambda: NOW)) if asyncio.iscoroutinefunction(entry) else run_sync(run, lambda: NOW)
        finally:
            unregister("tests_function")

    yield finish
    assert find_current_run() is None


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_a_job_that_returns_json_has_succeeded(finish: Callable[..., FinishedRun]) -> None:
    done = finish(lambda a, b: {"sum": a + b, "list": [1.5, None, True]}, a=1, b=2)
    assert (done.status, done.error, done.traceback) == ("succeeded", "", "")
    assert json.loads(done.result or "") == {"sum": 3, "list": [1.5, None, True]}


def test_nothing_returned_is_no_result(finish: Callable[..., FinishedRun]) -> None:
    assert finish(lambda: None).result is None


@pytest.mark.parametrize(
    "error",
    [ValueError("too hot"), SystemExit(3), KeyboardInterrupt(), GeneratorExit(), BaseException("bare"), Unspeakable(), ExceptionGroup("two", [OSError("x")])],
)
@pytest.mark.parametrize("is_async", [False, True])
def test_whatever_a_job_raises_is_a_failed_run_that_names_it(finish: Callable[..., FinishedRun], error: BaseException, is_async: bool) -> None:
    def break_down() -> None:
        raise error

    async def break_down_later() -> None:
        await asyncio.sleep(0)
        raise error

    done = finish(break_down_later if is_async else break_down)
    assert done.status == Status.FAILED
    assert done.error.startswith(type(error).__name__)
    assert type(error).__name__ in done.traceback


def test_the_traceback_begins_in_the_job_function_and_shows_no_values(finish: Callable[..., FinishedRun]) -> None:
    def inner(password: str) -> None:
        raise ValueError("wrong")

    def outer() -> None:
        password = "hunter" + "2"
        inner(password)

    lines = finish(outer).traceback.splitlines()
    assert "in outer" in lines[1]
    assert not any("/jobs/runner.py" in line or "hunter2" in line for line in lines)


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (object(), "the result (object) is not JSON"),
        ({1, 2}, "the result (set) is not JSON"),
        (math.nan, "the result (float) is not JSON"),
        ({"x": math.inf}, "the result (dict) is not JSON"),
        (b"bytes", "the result (bytes) is not JSON"),
        (lambda: 1, "the result (function) is not JSON"),
        ({(1, 2): 3}, "the result (dict) is not JSON"),
        ([10**5000], "the result (list) is not JSON"),
    ],
)
def test_a_result_that_is_not_json_fails_the_run_and_says_what_to_return(finish: Callable[..., FinishedRun], result: Any, words: str) -> None:
    done = finish(lambda: result)
    assert (done.status, done.result) == ("failed", None)
    assert words in done.error
    assert "return numbers, text, lists, dicts or None" in done.error


def test_a_result_that_contains_itself_fails_the_run(finish: Callable[..., FinishedRun]) -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert finish(lambda: endless).status == "failed"


def test_a_coroutine_that_a_sync_function_returns_fails_the_run_and_is_closed(finish: Callable[..., FinishedRun]) -> None:
    async def later() -> None: ...

    coroutine = later()
    done = finish(lambda: coroutine)
    assert "the result (coroutine) is not JSON" in done.error
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED


def test_what_a_database_refuses_is_taken_out_of_results_and_errors(finish: Callable[..., FinishedRun]) -> None:
    done = finish(lambda: {"a\0b": ["x\0y", "half \ud83d pair", "whole 😀"]})
    assert json.loads(done.result or "") == {"ab": ["xy", "half ? pair", "whole 😀"]}

    def break_down() -> None:
        raise ValueError("a\0b \udcff")

    done = finish(break_down)
    assert done.error == "ValueError: ab ?"
    assert "\0" not in done.traceback
    done.traceback.encode()


def test_a_huge_result_is_replaced_by_its_beginning_and_its_size(finish: Callable[..., FinishedRun]) -> None:
    kept = json.loads(finish(lambda: "x" * 10_000_000).result or "")
    assert kept["truncated"] is True
    assert kept["characters"] == 10_000_002
    assert len(kept["beginning"]) <= LIMIT


def test_a_huge_error_is_cut_in_the_middle(finish: Callable[..., FinishedRun]) -> None:
    def break_down() -> None:
        raise ValueError("begin" + "x" * 1_000_000 + "end")

    done = finish(break_down)
    assert len(done.error) <= LIMIT
    assert len(done.traceback) <= LIMIT
    assert done.error.startswith("ValueError: begin")
    assert done.error.endswith("end")
    assert "characters cut" in done.error


def test_arguments_that_do_not_fit_fail_the_run(finish: Callable[..., FinishedRun]) -> None:
    assert "unexpected keyword argument 'b'" in finish(lambda a: a, b=1).error


def test_arguments_that_are_a_list_fail_the_run() -> None:
    job("tests_function")(lambda: None)
    kwargs: Any = [1, 2]
    done = run_sync(ClaimedRun(1, "a", NOW, "tests_function", kwargs), lambda: NOW)
    unregister("tests_function")
    assert done.error == "UnusableArguments: the arguments are list, expected an object of names and values; correct them in the job"


def test_a_function_that_is_gone_fails_the_run_and_names_the_nearest() -> None:
    job("refresh_things")(lambda: None)
    done = run_sync(ClaimedRun(1, "a", NOW, "refresh_thinks", {}), lambda: NOW)
    unregister("refresh_things")
    assert done.error == "UnknownFunction: no job function is registered as 'refresh_thinks'; the nearest registered name is 'refresh_things'"


@pytest.mark.parametrize("is_async", [False, True])
def test_a_job_knows_its_run_and_nobody_else_does(finish: Callable[..., FinishedRun], is_async: bool) -> None:
    def tell() -> dict[str, Any]:
        run = current_run()
        run.progress(1, 4, "a quarter\0")
        return {"id": run.id, "job": run.job_id, "slot": run.scheduled_for.isoformat(), "attempt": run.attempt, "cancelled": run.cancelled}

    async def tell_later() -> dict[str, Any]:
        return tell()

    done = finish(tell_later if is_async else tell)
    assert json.loads(done.result or "") == {"id": 1, "job": "a", "slot": NOW.isoformat(), "attempt": 1, "cancelled": False}
    assert json.loads(done.progress or "") == {"done": 1, "total": 4, "text": "a quarter"}
    with pytest.raises(NoCurrentRun, match="only works inside a job function"):
        current_run()


def test_a_run_tells_its_story_in_two_lines(finish: Callable[..., FinishedRun]) -> None:
    with captured_events() as events:
        finish(lambda: None)
        finish(lambda: 1 / 0)
    told = [(event["event"], event["log_level"], event["job"], event["run_id"], event["attempt"]) for event in events]
    assert told == [
        ("job_run_started", "info", "a", 1, 1),
        ("job_run_succeeded", "info", "a", 1, 1),
        ("job_run_started", "info", "a", 1, 1),
        ("job_run_failed", "warning", "a", 1, 1),
    ]
    assert "run_id" not in structlog.contextvars.get_contextvars()


def test_a_run_that_was_told_to_stop_ends_as_that_and_not_as_failed() -> None:
    run = ClaimedRun(1, "a", NOW, "tests_function", {}, timeout_seconds=5)

    def notice() -> None:
        run.stop_reason = Status.TIMED_OUT
        raise ValueError("interrupted")

    job("tests_function")(notice)
    done = run_sync(run, lambda: NOW)
    unregister("tests_function")
    assert (done.status, done.error) == ("timed_out", "it ran longer than its time limit of 5 s")


@pytest.mark.parametrize("error", [ValueError("x"), ValueError("half \ud83d"), SystemExit(1), KeyboardInterrupt(), Unspeakable()], ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("is_async", [False, True])
def test_a_safe_job_logs_its_failure_and_never_raises(error: BaseException, is_async: bool) -> None:
    @safe_job("careful")
    def break_down() -> int:
        raise error

    @safe_job("careful")
    async def break_down_later() -> int:
        raise error

    with captured_events() as events:
        assert (asyncio.run(break_down_later()) if is_async else break_down()) is None
    assert [(event["event"], event["log_level"], event["job"]) for event in events] == [("job_run_started", "info", "careful"), ("job_run_failed", "error", "careful")]
    assert events[1]["error"].startswith(type(error).__name__)
    assert events[1]["exc_info"] is error


@pytest.mark.parametrize("is_async", [False, True])
def test_a_safe_job_that_works_returns_its_result_and_logs_its_completion(is_async: bool) -> None:
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


def test_a_safe_job_lets_its_task_be_cancelled() -> None:
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
