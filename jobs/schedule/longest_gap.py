"""The longest time between two slots of a schedule, which is how long a healthy job may go without a run."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any

from cronsim import CronSimError

from jobs.schedule.cron import Cron
from jobs.schedule.kinds import Trigger
from jobs.schedule.validators import expand_cron

DAY_SECONDS = 86_400
FIRST_DAY = date(2024, 1, 1)
HORIZONS = (366, 9 * 366)
"""Days to look through; the second finds 29 February, and rarer dates."""


def longest_gap(trigger: str, interval_seconds: Any, cron: Any) -> float | None:
    """Seconds, give or take a change of clocks; None for a schedule that does not repeat, or that was damaged by hand."""
    if trigger == Trigger.INTERVAL:
        return interval_seconds if isinstance(interval_seconds, int) and interval_seconds > 0 else None
    return _cron_gap(cron) if trigger == Trigger.CRON and isinstance(cron, str) else None


@lru_cache(maxsize=20_000)
def _cron_gap(cron: str) -> float | None:
    try:
        fields = Cron(expand_cron(cron), datetime(2024, 1, 1, tzinfo=UTC))
        days = _longest_days(*expand_cron(cron).split(" ")[2:])
    except (CronSimError, TypeError, ValueError):
        return None
    times = sorted(3600 * hour + 60 * minute for hour in fields.hours for minute in fields.minutes)
    over_night = days * DAY_SECONDS - times[-1] + times[0]
    return max([over_night, *(later - earlier for earlier, later in pairwise(times))])


@lru_cache(maxsize=4096)
def _longest_days(day: str, month: str, weekday: str) -> int:
    """Days between two dates with slots, at most."""
    fields = Cron(f"0 0 {day} {month} {weekday}", datetime(2024, 1, 1, tzinfo=UTC))
    matching: list[int] = []
    for horizon in HORIZONS:
        dates = ((number, FIRST_DAY + timedelta(number)) for number in range(horizon))
        matching = [number for number, at in dates if at.month in fields.months and fields.match_day(at)]
        if len(matching) > 2:
            break
    return max((later - earlier for earlier, later in pairwise(matching)), default=HORIZONS[-1])
