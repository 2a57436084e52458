from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from threading import Event
from typing import Any

import pytest
from django.db import connection
from structlog.testing import capture_logs

from jobs.monitoring.deadline import DeadlineCheck

LONG = 10.0
"""Seconds that a deadline lies ahead where the result is expected to come first."""


def soon(check: DeadlineCheck[Any]) -> Any:
    return check.result(time.monotonic() + LONG)


def age(check: DeadlineCheck[Any]) -> None:
    """Make the last result too old to be used again."""
    check._finished_at -= 60


def test_the_result_is_that_of_the_function() -> None:
    assert soon(DeadlineCheck("answer", lambda: 42)) == 42


def test_a_fresh_result_is_used_again_and_an_old_one_is_not() -> None:
    numbers = count(1)
    check = DeadlineCheck("count", lambda: next(numbers), fresh_for_seconds=30)
    assert [soon(check), soon(check)] == [1, 1]
    age(check)
    assert soon(check) == 2


def test_a_check_that_hangs_gives_no_result_at_the_deadline_and_is_not_started_twice() -> None:
    calls: list[None] = []
    release = Event()

    def hang() -> str:
        calls.append(None)
        release.wait(LONG)
        return "late"

    check = DeadlineCheck("hanging", hang)
    assert [check.result(time.monotonic()) for _again in range(3)] == [None, None, None]
    assert len(calls) == 1
    release.set()
    assert soon(check) == "late"


def failing(problems: list[Exception]) -> Callable[[], str]:
    def check() -> str:
        if problems:
            raise problems.pop()
        return "well"

    return check


def test_a_check_that_raises_gives_no_result_and_is_logged_once_for_each_series() -> None:
    problems: list[Exception] = [ValueError("second"), ValueError("first")]
    check = DeadlineCheck("shaky", failing(problems))
    with capture_logs() as logs:
        for expected in (None, None, "well"):
            assert soon(check) == expected
            age(check)
        problems.append(ValueError("third"))
        assert soon(check) is None
    assert [(line["event"], line["probe"], line["problem"]) for line in logs] == [
        ("probe_failed", "shaky", "ValueError: first"),
        ("probe_failed", "shaky", "ValueError: third"),
    ]


@pytest.mark.django_db(transaction=True)
def test_the_thread_closes_its_database_connection() -> None:
    used: list[Any] = []

    def query() -> bool:
        connection.ensure_connection()
        used.append(connection._connections[connection._alias])  # type: ignore[attr-defined]  # the thread's own, behind Django's proxy
        return used[0].connection is not None

    assert soon(DeadlineCheck("query", query)) is True
    assert used[0].connection is None
