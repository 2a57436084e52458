"""The shortest and the longest time between two slots of a schedule, on a clock that never changes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any

from cronsim import CronSimError

from jobs.schedule.cron import Cron
from jobs.schedule.kinds import Trigger
from jobs.schedule.triggers import CALENDAR_BEGINS
from jobs.schedule.validators import expand_cron

ALL_DATES = 28 * 1461 // 4
"""Days: after 28 years dates fall on the same days of the week again."""

HORIZONS = (366, 9 * 366)
"""Days to look through for the longest gap; the second finds 29 February, and rarer dates."""


def shortest_gap(cron: str) -> timedelta | None:
    """None when the expression has only one slot.  Raises CronSimError."""
    fields = Cron(expand_cron(cron), CALENDAR_BEGINS)
    minutes = _minutes(fields)
    gaps = [timedelta(minutes=later - earlier) for earlier, later in pairwise(minutes)]
    fewest: int | None = None
    for earlier, later in pairwise(_days(fields, ALL_DATES)):
        fewest = min(fewest or ALL_DATES, later - earlier)
        if fewest == 1:
            break
    if fewest is not None:
        gaps.append(timedelta(days=fewest, minutes=minutes[0] - minutes[-1]))
    return min(gaps, default=None)


def longest_gap(trigger: str, interval_seconds: Any, cron: Any) -> float | None:
    """Seconds that a healthy job may go without a run; None for a schedule that does not repeat, or that was damaged by hand."""
    if trigger == Trigger.INTERVAL:
        return interval_seconds if isinstance(interval_seconds, int) and interval_seconds > 0 else None
    return _longest_cron_gap(cron) if trigger == Trigger.CRON and isinstance(cron, str) else None


@lru_cache(maxsize=20_000)
def _longest_cron_gap(cron: str) -> float | None:
    try:
        minutes = _minutes(Cron(expand_cron(cron), CALENDAR_BEGINS))
        days = _most_days(*expand_cron(cron).split(" ")[2:])
    except (CronSimError, TypeError, ValueError):
        return None
    over_night = timedelta(days=days, minutes=minutes[0] - minutes[-1])
    return max([over_night, *(timedelta(minutes=later - earlier) for earlier, later in pairwise(minutes))]).total_seconds()


@lru_cache(maxsize=4096)
def _most_days(day: str, month: str, weekday: str) -> int:
    """Days between two dates with slots, at most."""
    fields = Cron(f"0 0 {day} {month} {weekday}", CALENDAR_BEGINS)
    matching: list[int] = []
    for horizon in HORIZONS:
        matching = list(_days(fields, horizon))
        if len(matching) > 2:
            break
    return max((later - earlier for earlier, later in pairwise(matching)), default=HORIZONS[-1])


def _minutes(fields: Cron) -> list[int]:
    """The slots of a day, in minutes after midnight."""
    return sorted(60 * hour + minute for hour in fields.hours for minute in fields.minutes)


def _days(fields: Cron, count: int) -> Iterator[int]:
    """Which of the first `count` days of the calendar have slots."""
    for number in range(count):
        date = (CALENDAR_BEGINS + timedelta(days=number)).date()
        if date.month in fields.months and fields.match_day(date):
            yield number
