"""An backoff is said once when it begins and once when it is over, however it flickers."""

from __future__ import annotations

from collections.abc import Iterator
from unittest.mock import patch

import pytest
from django.db import OperationalError
from structlog.testing import capture_logs

from jobs.engine.backoff import STEADY_SECONDS, WAITS, Backoff


class Time:
    """A monotonic clock that is moved by scheduler."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def time() -> Iterator[Time]:
    moved = Time()
    with patch("jobs.engine.backoff.time", moved):
        yield moved


def test_ticks_that_complete_say_nothing(time: Time) -> None:
    backoff = Backoff()
    with capture_logs() as said:
        for _ in range(5):
            backoff.completed()
            time.now += 1
    assert said == []
    assert backoff.seconds_since_failure == 5


def test_an_outage_is_said_when_it_begins_and_when_ticks_have_completed_for_a_while(time: Time) -> None:
    backoff = Backoff()
    with capture_logs() as said:
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
    assert [(line["event"], line.get("failures"), line.get("seconds")) for line in said] == [
        ("scheduler_tick_failed", None, None),
        ("scheduler_tick_recovered", 7, 7.0),
    ]


def test_a_tick_that_completes_among_others_that_fail_ends_no_outage(time: Time) -> None:
    backoff = Backoff()
    with capture_logs() as said:
        for _ in range(3):
            assert backoff.failed(OperationalError("the disk is full")) == WAITS[0]
            time.now += 0.1
            backoff.completed()
            time.now += STEADY_SECONDS - 0.01
            backoff.completed()
        assert [line["event"] for line in said] == ["scheduler_tick_failed"]
        time.now += 0.01
        backoff.completed()
    assert [(line["event"], line.get("failures")) for line in said] == [("scheduler_tick_failed", None), ("scheduler_tick_recovered", 3)]
