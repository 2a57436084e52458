"""Sums over finished runs: how many, how long they took, how late they started."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Case, Count, F, Func, Max, Sum, Value, When

from jobs.models.run import Cause, JobRun

DURATION_BOUNDS = (0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0)
DELAY_BOUNDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0)


class Seconds(Func):
    """Seconds from the second time to the first."""

    output_field = models.FloatField()
    arity = 2

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return super().as_sql(compiler, connection, template="EXTRACT(EPOCH FROM (%(expressions)s))::float8", arg_joiner=" - ", **context)

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        # Django's own subtraction calls Python for every row.
        template = "((%(expressions)s) * 86400.0)"
        first, second = self.source_expressions
        days = [Func(first, function="julianday"), Func(second, function="julianday")]
        copy = self.copy()
        copy.set_source_expressions(days)
        return super(Seconds, copy).as_sql(compiler, connection, template=template, arg_joiner=" - ", **context)


def _bucket(value: Any, bounds: Sequence[float]) -> Case:
    """The index of the first bound that is no less than the value; null when there is no value."""
    within = [When(**{f"{value}__lte": bound}, then=Value(index)) for index, bound in enumerate(bounds)]
    return Case(When(**{f"{value}__isnull": True}, then=Value(None)), *within, default=Value(len(bounds)), output_field=models.IntegerField(null=True))


@dataclass(slots=True)
class Histogram:
    """How many values fell under each bound (the last one: above all), and their sum."""

    counts: list[int]
    sum: float = 0.0

    def add(self, other: Histogram) -> None:
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.sum += other.sum


def no_durations() -> Histogram:
    return Histogram([0] * (len(DURATION_BOUNDS) + 1))


def no_delays() -> Histogram:
    return Histogram([0] * (len(DELAY_BOUNDS) + 1))


@dataclass(slots=True)
class RunStats:
    """What is known of the finished runs of one job with one status."""

    runs: int = 0
    durations: Histogram = field(default_factory=no_durations)
    delays: Histogram = field(default_factory=no_delays)
    last_finished_at: datetime | None = None

    def add(self, other: RunStats) -> None:
        self.runs += other.runs
        self.durations.add(other.durations)
        self.delays.add(other.delays)
        self.last_finished_at = max(filter(None, (self.last_finished_at, other.last_finished_at)), default=None)


Totals = dict[tuple[str, str], RunStats]


def merge(*parts: Totals) -> Totals:
    """The sum of all parts."""
    merged: Totals = defaultdict(RunStats)
    for part in parts:
        for key, sums in part.items():
            merged[key].add(sums)
    return merged


def sum_up(runs: models.QuerySet[JobRun]) -> Totals:
    """The sums of finished runs, from one query."""
    due = Case(When(cause=Cause.RETRY, not_before__isnull=False, then=F("not_before")), default=F("scheduled_for"))
    groups = (
        runs.order_by()
        .annotate(delay=Seconds(F("started_at"), due))
        .annotate(duration_bucket=_bucket("duration_seconds", DURATION_BOUNDS), delay_bucket=_bucket("delay", DELAY_BOUNDS))
        .values_list("job_id", "status", "duration_bucket", "delay_bucket")
        .annotate(Count("pk"), Sum("duration_seconds"), Sum("delay"), Max("finished_at"))
    )
    totals: Totals = defaultdict(RunStats)
    for job_id, status, duration_bucket, delay_bucket, count, duration, delay, finished_at in groups:
        part = RunStats(count, last_finished_at=finished_at)
        if duration_bucket is not None:
            part.durations.counts[duration_bucket], part.durations.sum = count, duration
        if delay_bucket is not None:
            part.delays.counts[delay_bucket], part.delays.sum = count, max(delay, 0.0)
        totals[job_id, status].add(part)
    return totals
