"""Geometry of the overview's charts.  The templates draw them as SVG."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils.timezone import localtime
from django.utils.translation import ngettext

from jobs.admin.overview.forecast import forecast
from jobs.models import JobDefinition

HOURS = 24
WIDTH, LABELS, ROW, TOP = 960, 240, 26, 26
PLOT, MARK = WIDTH - LABELS, 5
MAX_MARKS = 48
"""A job with more fire times in a day is drawn as a band."""


@dataclass(frozen=True, slots=True)
class TimelineRow:
    job: JobDefinition
    words: str
    y: int
    marks: list[dict[str, Any]]
    count: int

    @property
    def is_band(self) -> bool:
        return self.count > MAX_MARKS


@dataclass(frozen=True, slots=True)
class Timeline:
    rows: list[TimelineRow]
    ticks: list[dict[str, Any]]
    width: int
    height: int
    labels: int


@dataclass(frozen=True, slots=True)
class LoadChart:
    bars: list[dict[str, Any]]
    width: int
    height: int
    total: int
    top: int
    left_out: int


def timeline(jobs: Iterable[JobDefinition], now: datetime) -> Timeline:
    """The next 24 hours: a row for each job, a mark for each fire time."""
    rows = [_row(job, index, now) for index, job in enumerate(jobs)]
    return Timeline(rows, _ticks(now), WIDTH, TOP + ROW * len(rows) + 4, LABELS)


def _row(job: JobDefinition, index: int, now: datetime) -> TimelineRow:
    until = now + timedelta(hours=HOURS)
    times: list[datetime] = []
    for fire in job.schedule.fire_times(now, until):
        times.append(fire)
        if len(times) > MAX_MARKS:
            break
    count = len(times) if len(times) <= MAX_MARKS else MAX_MARKS + 1
    marks = [{"x": _x(fire, now), "text": f"{localtime(fire):%H:%M:%S %Z}"} for fire in times[:MAX_MARKS]]
    return TimelineRow(job, job.schedule.describe(), TOP + ROW * index, marks, count)


def _x(at: datetime, now: datetime) -> float:
    return round(LABELS + (PLOT - MARK) * ((at - now).total_seconds() / (HOURS * 3600)), 1)


def _hours(now: datetime, count: int) -> list[datetime]:
    first = localtime(now).replace(minute=0, second=0, microsecond=0)
    return [localtime(first + timedelta(hours=n)) for n in range(count)]


def _ticks(now: datetime) -> list[dict[str, Any]]:
    hours = [hour for hour in _hours(now, HOURS + 1) if hour > now and hour.hour % 3 == 0]
    return [{"x": _x(hour, now), "label": f"{hour:%H:%M}", "edge": _x(hour, now) > WIDTH - 40} for hour in hours]


def load_chart(due: QuerySet[JobDefinition], jobs: int, now: datetime) -> LoadChart:
    """The number of runs that start in each of the next 24 hours; `jobs` is the number of jobs in `due`."""
    hours = _hours(now, HOURS + 1)
    expected = forecast(due, now, hours)
    top, step = max([*expected.hours, 1]), WIDTH // HOURS
    bars = []
    for index, runs in enumerate(expected.hours):
        height = round(80 * runs / top) if runs else 0
        span = f"{hours[index]:%H:%M}-{hours[index + 1]:%H:%M %Z}"
        label = f"{hours[index]:%H}" if index % 3 == 0 else ""
        text = ngettext("%(span)s: %(count)d run", "%(span)s: %(count)d runs", runs) % {"span": span, "count": runs}
        bars.append({"x": index * step, "y": 100 - height, "height": height, "width": step - 6, "count": runs, "span": span, "label": label, "text": text})
    return LoadChart(bars, WIDTH, 124, sum(expected.hours), top, jobs - expected.jobs)
