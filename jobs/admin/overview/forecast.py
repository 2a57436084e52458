"""The number of runs that start in each of the next hours.  Jobs that would take too long to count are left out and counted as such."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice, pairwise
from typing import Any

from django.db.models import Q, QuerySet

from jobs.models import JobDefinition, Trigger
from jobs.schedule.schedule import UNSCHEDULABLE, Schedule
from jobs.schedule.triggers import TICK

STEADY = Q(trigger=Trigger.INTERVAL, interval_seconds__gt=0, jitter_seconds=0)
MAX_STEADY = 20_000
"""Interval jobs without jitter: counted by arithmetic, 5 µs each."""
MAX_OTHERS = 500
MAX_TIMES_PER_JOB = 1_500
"""A cron job that fires every minute has 1,440 a day."""
MAX_TIMES = 10_000
"""Fire times of all other jobs together, 25 µs each."""
JITTERED_COST = 100
"""The cost of counting one interval job with jitter, in fire times."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Runs for each hour, and the number of jobs that were counted."""

    hours: list[int]
    jobs: int


def forecast(due: QuerySet[JobDefinition], now: datetime, edges: Sequence[datetime]) -> Forecast:
    """The runs of `due` between each two `edges`; the first edge is not after `now`.  Every job in `due` has a row in the store."""
    soonest, starts = due.order_by("scheduled__next_run_time"), [max(edges[0], now), *edges[1:]]
    steady = list(soonest.filter(STEADY).values_list("interval_seconds", "scheduled__next_run_time", "ends_at")[:MAX_STEADY])
    counts = [_count_steady(steady, starts), *_count_others(soonest.exclude(STEADY)[:MAX_OTHERS], starts)]
    return Forecast([sum(hour) for hour in zip(*counts, strict=True)], len(steady) + len(counts) - 1)


def _count_steady(rows: Sequence[tuple[int, Any, datetime | None]], starts: Sequence[datetime]) -> list[int]:
    """Slots have equal distances from the next one on, so the number before an edge is a division."""
    before, origin = [0] * len(starts), starts[0]
    whole = [_microseconds(start - origin) for start in starts]
    for seconds, following, ends_at in rows:
        first, interval = _microseconds(following - origin), seconds * 1_000_000
        edges = whole if ends_at is None else [min(edge, _microseconds(ends_at - origin) + 1) for edge in whole]
        for index, edge in enumerate(edges):
            if edge > first:
                before[index] += (edge - 1 - first) // interval + 1
    return [after - count for count, after in pairwise(before)]


def _microseconds(span: timedelta) -> int:
    return span // TICK


def _count_others(jobs: QuerySet[JobDefinition], starts: Sequence[datetime]) -> Iterator[list[int]]:
    """The counts of each job until `MAX_TIMES` fire times are listed.  Jobs that share a cron expression are listed once."""
    budget, known = MAX_TIMES, dict[Any, list[int] | None]()
    for job in jobs:
        if budget <= 0:
            return
        schedule = job.schedule
        key = _cache_key(schedule, starts)
        if key not in known:
            known[key], cost = _count_one(schedule, starts)
            budget -= cost
        if (found := known[key]) is not None:
            yield found


def _cache_key(schedule: Schedule, starts: Sequence[datetime]) -> Any:
    """Equal for schedules with the same fire times: the same cron expression, without jitter, start or end within these hours."""
    begins = max(filter(None, (schedule.starts_at, schedule.fires_after)), default=starts[0])
    endless = begins < starts[0] and (schedule.ends_at is None or schedule.ends_at >= starts[-1])
    shared = schedule.trigger == Trigger.CRON and endless and not schedule.jitter_seconds and schedule.enabled
    return (schedule.cron, schedule.timezone) if shared else schedule.job_id


def _count_one(schedule: Schedule, starts: Sequence[datetime]) -> tuple[list[int] | None, int]:
    """The counts of one job, or None when it fires too often to list; and the cost in fire times."""
    if schedule.trigger == Trigger.INTERVAL:
        return [_fires(schedule, start, end) for start, end in pairwise(starts)], JITTERED_COST
    try:
        times = list(islice(schedule.fire_times(starts[0] - TICK, starts[-1] - TICK), MAX_TIMES_PER_JOB + 1))
    except UNSCHEDULABLE:  # a damaged row does not fire
        times = []
    if len(times) > MAX_TIMES_PER_JOB:
        return None, len(times)
    return [sum(start <= time < end for time in times) for start, end in pairwise(starts)], len(times)


def _fires(schedule: Schedule, start: datetime, end: datetime) -> int:
    """The number of fire times from `start` up to, not including, `end`, without listing them."""
    first, last = schedule.next_fire_time(start - TICK), end - TICK
    return schedule.due(first, last).count if first is not None and first <= last else 0
