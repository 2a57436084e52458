"""An outage is logged once when it begins and once when it is over, even if ticks complete in between."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
from django.db import OperationalError
from structlog.testing import capture_logs

from jobs.engine.backoff import STEADY_SECONDS, WAITS, Backoff

NOON = datetime(2030, 1, 1, 12, 0, 3, tzinfo=UTC)


class Time:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def time() -> Iterator[Time]:
    moved = Time()
    with patch("jobs.engine.backoff.time", moved):
        yield moved


def test_completed_ticks_are_not_logged(time: Time) -> None:
    backoff = Backoff(lambda: NOON)
    with capture_logs() as events:
        for _ in range(5):
            backoff.completed()
            time.now += 1
    assert events == []
    assert backoff.seconds_since_failure == 5


def test_an_outage_is_logged_at_its_first_failed_tick_and_after_two_seconds_of_completed_ticks(time: Time) -> None:
    backoff = Backoff(lambda: NOON)
    with capture_logs() as events:
        waits = []
        for _ in range(7):
            waits.append(backoff.failed(OperationalError("gone")))
            time.now += 1
        assert backoff.failures == 7
        backoff.completed()
        assert backoff.failures == 0
        time.now += STEADY_SECONDS
        backoff.completed()
        backoff.completed()
    assert waits == [*WAITS, WAITS[-1], WAITS[-1]]
    assert [(event["event"], event.get("failures"), event.get("seconds")) for event in events] == [
        ("scheduler_tick_failed", None, None),
        ("scheduler_tick_recovered", 7, 7.0),
    ]


def test_a_completed_tick_between_failed_ones_does_not_end_an_outage(time: Time) -> None:
    backoff = Backoff(lambda: NOON)
    with capture_logs() as events:
        for _ in range(3):
            assert backoff.failed(OperationalError("the disk is full")) == WAITS[0]
            time.now += 0.1
            backoff.completed()
            time.now += STEADY_SECONDS - 0.01
            backoff.completed()
        assert [event["event"] for event in events] == ["scheduler_tick_failed"]
        time.now += 0.01
        backoff.completed()
    assert [(event["event"], event.get("failures")) for event in events] == [("scheduler_tick_failed", None), ("scheduler_tick_recovered", 3)]


def test_the_problem_says_since_when_ticks_fail_and_of_what_until_one_completes(time: Time) -> None:
    clock = iter([NOON, NOON + timedelta(hours=1)])
    backoff = Backoff(lambda: next(clock))
    assert backoff.problem == ""
    backoff.failed(OperationalError("gone\nwith a second line"))
    backoff.failed(ValueError("odd"))
    assert backoff.problem == "ticks fail since 12:00:03 UTC: ValueError: odd"
    backoff.completed()
    assert backoff.problem == ""
    backoff.failed(OperationalError("gone\nwith a second line"))
    assert backoff.problem == "ticks fail since 13:00:03 UTC: OperationalError: gone"
