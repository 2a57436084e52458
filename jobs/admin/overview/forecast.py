"""How many runs start in each of the next hours: exact where that is cheap, and with a number of what is left out where it is not."""

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
STEADY_AT_MOST = 20_000
"""Interval jobs that are counted by arithmetic, 5 µs each."""
OTHERS_AT_MOST = 500
LISTED_A_JOB = 1_500
"""A cron job may fire every minute of the day."""
LISTED_AT_MOST = 10_000
"""Fire times of all other jobs together, 25 µs each."""
JITTERED = 100
"""What counting a jittered interval costs, in fire times."""


@dataclass(frozen=True, slots=True)
class Count:
    """Runs by hour, and of how many jobs."""

    hours: list[int]
    jobs: int


def count_by_hour(due: QuerySet[JobDefinition], now: datetime, edges: Sequence[datetime]) -> Count:
    """The runs of `due`, jobs with an entry in the store, between each two of `edges`, of which the first is no later than `now`."""
    soonest, starts = due.order_by("scheduled__next_run_time"), [max(edges[0], now), *edges[1:]]
    steady = list(soonest.filter(STEADY).values_list("interval_seconds", "scheduled__next_run_time", "ends_at")[:STEADY_AT_MOST])
    counts = [_count_steady(steady, starts), *_count_others(soonest.exclude(STEADY)[:OTHERS_AT_MOST], starts)]
    return Count([sum(hour) for hour in zip(*counts, strict=True)], len(steady) + len(counts) - 1)


def _count_steady(rows: Sequence[tuple[int, Any, datetime | None]], starts: Sequence[datetime]) -> list[int]:
    """Slots follow each other evenly from the next one on, so a division says how many come before each edge."""
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
    """One list of counts for each job, as long as there is room for listing fire times; many jobs share a cron expression."""
    room, known = LISTED_AT_MOST, dict[Any, list[int] | None]()
    for job in jobs:
        if room <= 0:
            return
        schedule = job.schedule
        key = _what_decides(schedule, starts)
        if key not in known:
            known[key], cost = _count_one(schedule, starts)
            room -= cost
        if (found := known[key]) is not None:
            yield found


def _what_decides(schedule: Schedule, starts: Sequence[datetime]) -> Any:
    """Equal for two schedules that fire at the same times: cron expressions that neither begin, end nor jitter in these hours."""
    begins = max(filter(None, (schedule.starts_at, schedule.fires_after)), default=starts[0])
    endless = begins < starts[0] and (schedule.ends_at is None or schedule.ends_at >= starts[-1])
    shared = schedule.trigger == Trigger.CRON and endless and not schedule.jitter_seconds and schedule.enabled
    return (schedule.cron, schedule.timezone) if shared else schedule.job_id


def _count_one(schedule: Schedule, starts: Sequence[datetime]) -> tuple[list[int] | None, int]:
    """The counts of one job, or None when it fires too often to list; and what it cost."""
    if schedule.trigger == Trigger.INTERVAL:
        return [_fires(schedule, start, end) for start, end in pairwise(starts)], JITTERED
    try:
        times = list(islice(schedule.fire_times(starts[0] - TICK, starts[-1] - TICK), LISTED_A_JOB + 1))
    except UNSCHEDULABLE:  # damaged by hand: it does not fire
        times = []
    if len(times) > LISTED_A_JOB:
        return None, len(times)
    return [sum(start <= time < end for time in times) for start, end in pairwise(starts)], len(times)


def _fires(schedule: Schedule, start: datetime, end: datetime) -> int:
    """Fire times from `start` up to, not including, `end`, counted and not listed."""
    first, last = schedule.next_fire_time(start - TICK), end - TICK
    return schedule.due(first, last).count if first is not None and first <= last else 0
