from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from jobs import clock as clocks
from jobs.clock import CLOSE_ENOUGH, MAX_READINGS, SET_BACK, Clock, Reading, database_now, read_database_clock
from tests.support.waiting import wait_until

START = datetime(2030, 1, 1, tzinfo=UTC)
CLOSE = timedelta(seconds=0.5)


def seen(at: datetime, took: float = 0.0) -> Reading:
    """A reading that ends now."""
    now = time.monotonic()
    return Reading(at, now - took, now)


def test_a_clock_goes_on_by_itself() -> None:
    clock = Clock(START)
    wait_until(lambda: clock.now() > START + timedelta(milliseconds=50), timeout=5)
    assert clock.now() < START + timedelta(seconds=5)


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(milliseconds=10), timedelta(days=400)])
def test_a_database_that_is_ahead_is_followed(ahead: timedelta) -> None:
    clock = Clock(START)
    assert clock.follow(seen(START + ahead)) is None
    assert START + ahead <= clock.now() < START + ahead + CLOSE


def test_a_database_that_is_a_little_behind_is_followed() -> None:
    """Two machines drift apart by milliseconds; that is no clock set back."""
    clock = Clock(START)
    assert clock.follow(seen(START - SET_BACK / 2)) is None
    assert clock.now() < START


def test_a_database_that_was_set_back_is_not_followed_but_said() -> None:
    clock = Clock(START)
    set_back = clock.follow(seen(START - timedelta(hours=1)))
    assert set_back is not None
    assert timedelta(hours=1) <= set_back < timedelta(hours=1) + CLOSE
    assert START <= clock.now() < START + CLOSE


def test_after_the_repeated_hour_the_database_is_followed_again() -> None:
    clock = Clock(START)
    clock.follow(seen(START - timedelta(hours=1)))
    assert clock.follow(seen(START + timedelta(seconds=30))) is None
    assert clock.now() >= START + timedelta(seconds=30)


@pytest.mark.parametrize("asked_at", [0.0, 2.0, 5.0])
def test_a_slow_reading_that_agrees_with_the_clock_leaves_it_alone(asked_at: float) -> None:
    """The database read its clock at an unknown point of these 5 s; to assume the end would make the clock up to 5 s late."""
    clock = Clock(START)
    clock.restart(START, 100.0)
    clock.follow(Reading(START + timedelta(seconds=100 + asked_at), before=200.0, after=205.0))
    assert clock._at(205.0) == START + timedelta(seconds=105)


@pytest.mark.parametrize(("says", "becomes"), [(108.0, 108.0), (99.5, 104.5)])
def test_a_slow_reading_that_disagrees_moves_the_clock_no_further_than_it_takes(says: float, becomes: float) -> None:
    clock = Clock(START)
    clock.restart(START, 100.0)
    assert clock.follow(Reading(START + timedelta(seconds=says), before=200.0, after=205.0)) is None
    assert clock._at(205.0) == START + timedelta(seconds=becomes)


def test_a_slow_reading_does_not_pass_for_a_clock_that_was_set_back() -> None:
    clock = Clock(START)
    clock.restart(START, 100.0)
    assert clock.follow(Reading(START + timedelta(seconds=98), before=200.0, after=205.0)) == timedelta(seconds=2)
    assert clock.follow(Reading(START + timedelta(seconds=100), before=200.0, after=205.0)) is None


class Database:
    """A slow database: `delays` are the seconds that its answers take, by a fake monotonic clock."""

    def __init__(self, *delays: float) -> None:
        self._delays = iter(delays)
        self.monotonic = 1000.0
        self.asked = 0

    def answer(self) -> datetime:
        delay = next(self._delays)
        self.asked += 1
        self.monotonic += delay / 2
        at = START + timedelta(seconds=self.monotonic)
        self.monotonic += delay / 2
        return at


@pytest.fixture
def database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    made = Database(*request.param)
    monkeypatch.setattr(clocks, "database_now", made.answer)
    monkeypatch.setattr(time, "monotonic", lambda: made.monotonic)
    yield made
    monkeypatch.undo()


@pytest.mark.parametrize("database", [[0.001]], indirect=True)
def test_a_quick_answer_is_enough(database: Database) -> None:
    reading = read_database_clock()
    assert database.asked == 1
    assert reading.took == pytest.approx(0.001)
    assert reading.at == START + timedelta(seconds=reading.middle)


@pytest.mark.parametrize("database", [[0.3, CLOSE_ENOUGH / 2, 0.1]], indirect=True)
def test_a_slow_answer_is_asked_for_again(database: Database) -> None:
    assert read_database_clock().took == pytest.approx(CLOSE_ENOUGH / 2)
    assert database.asked == 2


@pytest.mark.parametrize("database", [[0.3, 0.1, 0.2, 0.0]], indirect=True)
def test_a_database_that_is_always_slow_is_not_asked_for_ever(database: Database) -> None:
    assert read_database_clock().took == pytest.approx(0.1)
    assert database.asked == MAX_READINGS


@pytest.mark.django_db
def test_the_databases_time_is_aware_and_now() -> None:
    at = database_now()
    assert at.utcoffset() == timedelta()
    assert abs(at - datetime.now(UTC)) < timedelta(seconds=5)
