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

NOW = datetime(2030, 1, 1, tzinfo=UTC)
pytestmark = pytest.mark.once


@pytest.fixture
def finish() -> Iterator[Callable[..., FinishedRun]]:
    """Execute a function, sync or async, as a job function; returns its outcome."""

    def finish(function: Callable[..., Any], **kwargs: Any) -> FinishedRun:
        entry = job("tests_function")(function)
        run = ClaimedRun(1, "a", NOW, "tests_function", kwargs)
        try:
            return asyncio.run(run_async(run, lambda: NOW)) if asyncio.iscoroutinefunction(entry) else run_sync(run, lambda: NOW)
        finally:
            unregister("tests_function")

    yield finish
    assert find_current_run() is None


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_a_function_that_returns_json_has_succeeded(finish: Callable[..., FinishedRun]) -> None:
    finished = finish(lambda a, b: {"sum": a + b, "list": [1.5, None, True]}, a=1, b=2)
    assert (finished.status, finished.error, finished.traceback) == ("succeeded", "", "")
    assert json.loads(finished.result or "") == {"sum": 3, "list": [1.5, None, True]}


def test_a_function_that_returns_none_has_no_result(finish: Callable[..., FinishedRun]) -> None:
    assert finish(lambda: None).result is None


@pytest.mark.parametrize(
    "error",
    [ValueError("too hot"), SystemExit(3), KeyboardInterrupt(), GeneratorExit(), BaseException("bare"), Unprintable(), ExceptionGroup("two", [OSError("x")])],
)
@pytest.mark.parametrize("is_async", [False, True])
def test_every_exception_is_a_failed_run_that_names_it(finish: Callable[..., FinishedRun], error: BaseException, is_async: bool) -> None:
    def fail() -> None:
        raise error

    async def fail_later() -> None:
        await asyncio.sleep(0)
        raise error

    finished = finish(fail_later if is_async else fail)
    assert finished.status == Status.FAILED
    assert finished.error.startswith(type(error).__name__)
    assert type(error).__name__ in finished.traceback


def test_the_traceback_begins_in_the_job_function_and_shows_no_variables(finish: Callable[..., FinishedRun]) -> None:
    def inner(password: str) -> None:
        raise ValueError("wrong")

    def outer() -> None:
        password = "hunter" + "2"
        inner(password)

    lines = finish(outer).traceback.splitlines()
    assert "in outer" in lines[1]
    assert not any("/jobs/runner.py" in line or "hunter2" in line for line in lines)


@pytest.mark.parametrize(
    ("result", "message"),
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
def test_a_result_that_is_not_json_fails_the_run_with_advice(finish: Callable[..., FinishedRun], result: Any, message: str) -> None:
    finished = finish(lambda: result)
    assert (finished.status, finished.result) == ("failed", None)
    assert message in finished.error
    assert "return numbers, text, lists, dicts or None" in finished.error


def test_a_result_that_contains_itself_fails_the_run(finish: Callable[..., FinishedRun]) -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert finish(lambda: endless).status == "failed"


def test_a_coroutine_that_a_sync_function_returns_fails_the_run_and_is_closed(finish: Callable[..., FinishedRun]) -> None:
    async def later() -> None: ...

    coroutine = later()
    finished = finish(lambda: coroutine)
    assert "the result (coroutine) is not JSON" in finished.error
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED


def test_characters_that_a_database_refuses_are_removed_from_results_and_errors(finish: Callable[..., FinishedRun]) -> None:
    finished = finish(lambda: {"a\0b": ["x\0y", "half \ud83d pair", "whole 😀"]})
    assert json.loads(finished.result or "") == {"ab": ["xy", "half ? pair", "whole 😀"]}

    def fail() -> None:
        raise ValueError("a\0b \udcff")

    finished = finish(fail)
    assert finished.error == "ValueError: ab ?"
    assert "\0" not in finished.traceback
    finished.traceback.encode()


def test_a_huge_result_is_replaced_by_its_beginning_and_its_size(finish: Callable[..., FinishedRun]) -> None:
    kept = json.loads(finish(lambda: "x" * 10_000_000).result or "")
    assert kept["truncated"] is True
    assert kept["characters"] == 10_000_002
    assert len(kept["beginning"]) <= LIMIT


def test_a_huge_error_is_cut_in_the_middle(finish: Callable[..., FinishedRun]) -> None:
    def fail() -> None:
        raise ValueError("begin" + "x" * 1_000_000 + "end")

    finished = finish(fail)
    assert len(finished.error) <= LIMIT
    assert len(finished.traceback) <= LIMIT
    assert finished.error.startswith("ValueError: begin")
    assert finished.error.endswith("end")
    assert "characters cut" in finished.error


def test_arguments_that_do_not_fit_fail_the_run(finish: Callable[..., FinishedRun]) -> None:
    assert "unexpected keyword argument 'b'" in finish(lambda a: a, b=1).error


def test_arguments_that_are_a_list_fail_the_run() -> None:
    job("tests_function")(lambda: None)
    kwargs: Any = [1, 2]
    finished = run_sync(ClaimedRun(1, "a", NOW, "tests_function", kwargs), lambda: NOW)
    unregister("tests_function")
    assert finished.error == "UnusableArguments: the arguments are list, expected an object of names and values; correct them in the job"


def test_an_unknown_function_fails_the_run_and_the_nearest_name_is_suggested() -> None:
    job("refresh_things")(lambda: None)
    finished = run_sync(ClaimedRun(1, "a", NOW, "refresh_thinks", {}), lambda: NOW)
    unregister("refresh_things")
    assert finished.error == "UnknownFunction: no job function is registered as 'refresh_thinks'; the nearest registered name is 'refresh_things'"


@pytest.mark.parametrize("is_async", [False, True])
def test_current_run_works_only_inside_the_job_function(finish: Callable[..., FinishedRun], is_async: bool) -> None:
    def describe() -> dict[str, Any]:
        run = current_run()
        run.progress(1, 4, "a quarter\0")
        return {"id": run.id, "job": run.job_id, "slot": run.scheduled_for.isoformat(), "attempt": run.attempt, "cancelled": run.cancelled}

    async def describe_later() -> dict[str, Any]:
        return describe()

    finished = finish(describe_later if is_async else describe)
    assert json.loads(finished.result or "") == {"id": 1, "job": "a", "slot": NOW.isoformat(), "attempt": 1, "cancelled": False}
    assert json.loads(finished.progress or "") == {"done": 1, "total": 4, "text": "a quarter"}
    with pytest.raises(NoCurrentRun, match="only works inside a job function"):
        current_run()


def test_a_run_logs_its_start_and_its_end(finish: Callable[..., FinishedRun]) -> None:
    with captured_events() as events:
        finish(lambda: None)
        finish(lambda: 1 / 0)
    logged = [(event["event"], event["log_level"], event["job"], event["run_id"], event["attempt"]) for event in events]
    assert logged == [
        ("job_run_started", "info", "a", 1, 1),
        ("job_run_succeeded", "info", "a", 1, 1),
        ("job_run_started", "info", "a", 1, 1),
        ("job_run_failed", "warning", "a", 1, 1),
    ]
    assert "run_id" not in structlog.contextvars.get_contextvars()


def test_a_run_that_fails_after_its_time_limit_is_timed_out_and_not_failed() -> None:
    run = ClaimedRun(1, "a", NOW, "tests_function", {}, timeout_seconds=5)

    def interrupted() -> None:
        run.stop_reason = Status.TIMED_OUT
        raise ValueError("interrupted")

    job("tests_function")(interrupted)
    finished = run_sync(run, lambda: NOW)
    unregister("tests_function")
    assert (finished.status, finished.error) == ("timed_out", "it ran longer than its time limit of 5 s")
