"""The geometry of the overview's charts; the templates draw them as SVG."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from jobs.admin.overview.forecast import count_by_hour
from jobs.models import JobDefinition

HOURS = 24
WIDTH, LABELS, ROW, TOP = 960, 240, 26, 26
PLOT, MARK = WIDTH - LABELS, 5
MARKS = 48
"""A job that fires more often than this in a day is drawn as a band."""


@dataclass(frozen=True, slots=True)
class TimelineRow:
    job: JobDefinition
    words: str
    y: int
    marks: list[dict[str, Any]]
    count: int

    @property
    def is_band(self) -> bool:
        return self.count > MARKS


@dataclass(frozen=True, slots=True)
class Timeline:
    rows: list[TimelineRow]
    ticks: list[dict[str, Any]]
    width: int
    height: int
    labels: int


@dataclass(frozen=True, slots=True)
class Load:
    bars: list[dict[str, Any]]
    width: int
    height: int
    total: int
    top: int
    left_out: int


def timeline(jobs: Iterable[JobDefinition], now: datetime) -> Timeline:
    """One row a job, one mark a run, for the next 24 hours."""
    rows = [_row(job, index, now) for index, job in enumerate(jobs)]
    return Timeline(rows, _ticks(now), WIDTH, TOP + ROW * len(rows) + 4, LABELS)


def _row(job: JobDefinition, index: int, now: datetime) -> TimelineRow:
    until = now + timedelta(hours=HOURS)
    times: list[datetime] = []
    for fire in job.schedule.fire_times(now, until):
        times.append(fire)
        if len(times) > MARKS:
            break
    count = len(times) if len(times) <= MARKS else MARKS + 1
    marks = [{"x": _x(fire, now), "text": f"{localtime(fire):%H:%M:%S %Z}"} for fire in times[:MARKS]]
    return TimelineRow(job, job.schedule.describe(), TOP + ROW * index, marks, count)


def _x(moment: datetime, now: datetime) -> float:
    return round(LABELS + (PLOT - MARK) * ((moment - now).total_seconds() / (HOURS * 3600)), 1)


def _hours(now: datetime, count: int) -> list[datetime]:
    first = localtime(now).replace(minute=0, second=0, microsecond=0)
    return [localtime(first + timedelta(hours=n)) for n in range(count)]


def _ticks(now: datetime) -> list[dict[str, Any]]:
    hours = [hour for hour in _hours(now, HOURS + 1) if hour > now and hour.hour % 3 == 0]
    return [{"x": _x(hour, now), "label": f"{hour:%H:%M}", "edge": _x(hour, now) > WIDTH - 40} for hour in hours]


def load_by_hour(due: QuerySet[JobDefinition], jobs: int, now: datetime) -> Load:
    """How many runs of jobs that are due, `jobs` of them, start in each of the next 24 hours."""
    hours = _hours(now, HOURS + 1)
    count = count_by_hour(due, now, hours)
    top, step = max([*count.hours, 1]), WIDTH // HOURS
    bars = []
    for index, runs in enumerate(count.hours):
        height = round(80 * runs / top) if runs else 0
        span = f"{hours[index]:%H:%M}-{hours[index + 1]:%H:%M %Z}"
        label = f"{hours[index]:%H}" if index % 3 == 0 else ""
        text = _("%(span)s: %(count)d runs") % {"span": span, "count": runs}
        bars.append({"x": index * step, "y": 100 - height, "height": height, "width": step - 6, "count": runs, "span": span, "label": label, "text": text})
    return Load(bars, WIDTH, 124, sum(count.hours), top, jobs - count.jobs)
