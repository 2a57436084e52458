"""Jitter: how long it may be, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.schedule.gaps import shortest_gap
from jobs.schedule.schedule import Schedule
from jobs.schedule.triggers import CronSimTrigger

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY_OF_JITTER = Schedule("minutely", "cron", cron="* * * * *", timezone="Europe/Vienna", jitter_seconds=86_400)
"""As earlier versions have stored it."""


@pytest.fixture
def walked(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """The slots that a cron trigger was asked for, one after the other."""
    found: list[datetime] = []
    walk = CronSimTrigger.walk

    def note(self: CronSimTrigger, after: datetime) -> Iterator[datetime]:
        for slot in walk(self, after):
            found.append(slot)
            yield slot

    monkeypatch.setattr(CronSimTrigger, "walk", note)
    return found


@pytest.mark.parametrize("count", [1, 50, 100])
def test_a_preview_walks_once_over_the_slots(walked: list[datetime], count: int) -> None:
    assert len(DAY_OF_JITTER.upcoming(START, count)) == count
    assert len(walked) <= 1440 + count + 20, "the slots whose jitter reaches the start, and those of the preview"


def test_a_claim_walks_once_over_the_slots_in_reach(walked: list[datetime]) -> None:
    first = DAY_OF_JITTER.upcoming(START, 1)[0]
    walked.clear()
    DAY_OF_JITTER.due(first, first + timedelta(seconds=1))
    assert len(walked) <= 1460


@pytest.mark.parametrize(
    ("cron", "seconds"),
    [
        ("* * * * *", 60),
        ("*/7 * * * *", 240),  # from :56 to the full hour
        ("17 * * * *", 3600),
        ("0 1,3 * * *", 7200),
        ("0 23,1 * * *", 7200),
        ("30 4 * * *", 86_400),
        ("0 0 1 * 1", 86_400),  # the first of the month, or a Monday: they may be neighbours
        ("0 0,12 * * 1", 43_200),
        ("0 0 * * 1", 7 * 86_400),
        ("0 0 31 * *", 31 * 86_400),
        ("0 0 29 2 *", 1461 * 86_400),
        ("0 9-17 * * MON-FRI", 3600),
    ],
)
def test_the_shortest_gap_of_a_cron_expression(cron: str, seconds: int) -> None:
    assert shortest_gap(cron) == timedelta(seconds=seconds)


@given(
    st.sampled_from(["*", "0", "*/17", "5,50"]),
    st.sampled_from(["*", "3", "1,22", "*/5"]),
    st.sampled_from(["*", "1", "L", "14,15", "31"]),
    st.sampled_from(["*", "MON", "5#3", "1,4"]),
)
@settings(max_examples=60, deadline=None)
def test_no_two_slots_of_three_years_are_closer_than_the_shortest_gap(minute: str, hour: str, day: str, weekday: str) -> None:
    trigger = CronSimTrigger(f"{minute} {hour} {day} * {weekday}")
    gap = shortest_gap(trigger.expression)
    assert gap is not None
    slots = [slot for slot, _number in zip(trigger.walk(START), range(2000), strict=False) if slot < START + timedelta(days=1095)]
    assert all(later - earlier >= gap for earlier, later in pairwise(slots))
