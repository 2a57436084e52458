"""Slots are counted by arithmetic where the clock is regular; the count is that of a walk over all of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jobs.schedule.triggers import CronSimTrigger

ZONES = [
    "America/Nuuk",  # a gap that ends at midnight
    "America/Scoresbysund",
    "Pacific/Apia",  # a day that does not exist
    "Pacific/Kwajalein",
    "Australia/Lord_Howe",  # half an hour
    "Antarctica/Troll",  # two hours
    "Africa/Casablanca",
    "America/Santiago",  # a gap that begins at midnight
    "America/Asuncion",
    "America/Havana",
    "Asia/Beirut",
    "Asia/Tehran",
    "Europe/Vienna",
    "UTC",
]
MINUTES = st.sampled_from(["0", "30", "59", "0,30", "15,45", "*/20"])
HOURS = st.sampled_from(["*", "0", "23", "22,23", "0,23", "1-3", "12"])
DAYS = st.sampled_from(["*", "1", "28-31", "L"])
WEEKDAYS = st.sampled_from(["*", "SUN", "SAT,SUN", "1-5"])
MOMENTS = st.datetimes(datetime(1993, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 -- hypothesis adds the zone


@given(MINUTES, HOURS, DAYS, WEEKDAYS, st.sampled_from(ZONES), MOMENTS, st.integers(3, 200))
@settings(max_examples=150, deadline=None)
@example("30", "23", "*", "*", "America/Nuuk", datetime(2026, 3, 20, tzinfo=UTC), 30)
@example("30", "23", "*", "*", "America/Scoresbysund", datetime(2026, 3, 20, tzinfo=UTC), 30)
@example("30", "23", "*", "*", "Pacific/Apia", datetime(2011, 12, 20, tzinfo=UTC), 30)
def test_the_count_is_that_of_a_walk(minute: str, hour: str, day: str, weekday: str, zone: str, after: datetime, days: int) -> None:
    trigger = CronSimTrigger(f"{minute} {hour} {day} * {weekday}", zone)
    until = after + timedelta(days=days)
    assert trigger.count(after, until) == sum(1 for _slot in trigger._between(after, until))


@pytest.mark.parametrize("zone", ZONES)
def test_a_year_is_the_sum_of_its_days(zone: str) -> None:
    trigger = CronSimTrigger("0,30 23 * * *", zone)
    start = datetime(2026, 1, 1, 12, tzinfo=UTC)
    days = [trigger.count(start + timedelta(days=number), start + timedelta(days=number + 1)) for number in range(365)]
    assert trigger.count(start, start + timedelta(days=365)) == sum(days)
