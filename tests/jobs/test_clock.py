from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jobs.clock import SET_BACK, Clock, database_now
from tests.waiting import wait_until

START = datetime(2030, 1, 1, tzinfo=UTC)
CLOSE = timedelta(seconds=0.5)


def test_a_clock_goes_on_by_itself() -> None:
    clock = Clock(START)
    wait_until(lambda: clock.now() > START + timedelta(milliseconds=50), timeout=5)
    assert clock.now() < START + timedelta(seconds=5)


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(milliseconds=10), timedelta(days=400)])
def test_a_database_that_is_ahead_is_followed(ahead: timedelta) -> None:
    clock = Clock(START)
    assert clock.follow(START + ahead) is None
    assert START + ahead <= clock.now() < START + ahead + CLOSE


def test_a_database_that_is_a_little_behind_is_followed() -> None:
    """Two machines drift apart by milliseconds; that is no clock set back."""
    clock = Clock(START)
    assert clock.follow(START - SET_BACK / 2) is None
    assert clock.now() < START


def test_a_database_that_was_set_back_is_not_followed_but_said() -> None:
    clock = Clock(START)
    set_back = clock.follow(START - timedelta(hours=1))
    assert set_back is not None
    assert timedelta(hours=1) <= set_back < timedelta(hours=1) + CLOSE
    assert START <= clock.now() < START + CLOSE


def test_after_the_repeated_hour_the_database_is_followed_again() -> None:
    clock = Clock(START)
    clock.follow(START - timedelta(hours=1))
    assert clock.follow(START + timedelta(seconds=30)) is None
    assert clock.now() >= START + timedelta(seconds=30)


@pytest.mark.django_db
def test_the_databases_time_is_aware_and_now() -> None:
    moment = database_now()
    assert moment.utcoffset() == timedelta()
    assert abs(moment - datetime.now(UTC)) < timedelta(seconds=5)
