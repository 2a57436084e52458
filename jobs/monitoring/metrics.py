"""Prometheus' text, read from the tables, so that every process tells the same."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from platform import python_version

from django.conf import settings
from django.db import connection
from django.utils.timezone import now

from jobs.models import JobDefinition, RunTotal, Status
from jobs.models.run_stats import DELAY_BOUNDS, DURATION_BOUNDS, Histogram, Totals
from jobs.models.scheduled import is_overdue
from jobs.monitoring.status import SchedulerStatus, read_status

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
FRESH_FOR_SECONDS = 5.0

Sample = tuple[str, dict[str, str], float]


class CachedText:
    """A text that is made at most every few seconds, by one thread at a time."""

    def __init__(self, make: Callable[[], str], fresh_for_seconds: float) -> None:
        self._make = make
        self._fresh_for = fresh_for_seconds
        self._lock = threading.Lock()
        self._text = ""
        self._made_at = float("-inf")

    def get(self) -> str:
        with self._lock:
            if time.monotonic() - self._made_at > self._fresh_for:
                self._text, self._made_at = self._make(), time.monotonic()
            return self._text

    def forget(self) -> None:
        self._made_at = float("-inf")


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _line(name: str, labels: dict[str, str], value: float) -> str:
    inside = ",".join(f'{label}="{_escape(text)}"' for label, text in labels.items())
    return f"{name}{{{inside}}} {value:.17g}" if inside else f"{name} {value:.17g}"


def _family(name: str, kind: str, explanation: str, samples: Iterable[Sample]) -> Iterator[str]:
    """One metric: its two comment lines and its samples, whose names may have a suffix."""
    yield f"# HELP {name} {explanation}"
    yield f"# TYPE {name} {kind}"
    for suffix, labels, value in samples:
        yield _line(name + suffix, labels, value)


def _histogram(labels: dict[str, str], bounds: tuple[float, ...], histogram: Histogram) -> Iterator[Sample]:
    total = 0
    for bound, count in zip((*map("{:g}".format, bounds), "+Inf"), histogram.counts, strict=True):
        total += count
        yield "_bucket", {**labels, "le": bound}, total
    yield "_sum", labels, histogram.sum
    yield "_count", labels, total


def _timestamp(moment: datetime | None) -> float:
    return moment.timestamp() if moment else 0.0


def _queued() -> int:
    with connection.cursor() as cursor:
        # SQLite uses the index of active runs only when it reads the very words of its condition.
        cursor.execute("SELECT COUNT(*) FROM jobs_jobrun WHERE status IN ('queued', 'running') AND status = 'queued'")
        (count,) = cursor.fetchone()
    return int(count)


def _scheduler(status: SchedulerStatus, moment: datetime) -> Iterator[str]:
    last_tick = None if status.last_tick_age_seconds is None else moment - timedelta(seconds=status.last_tick_age_seconds)
    build = {"version": getattr(settings, "VERSION", ""), "python": python_version()}
    yield from _family("vsadmin_build_info", "gauge", "What is running; always 1.", [("", build, 1)])
    yield from _family("vsadmin_scheduler_up", "gauge", "1 while some scheduler completed a tick within the last 10 s.", [("", {}, status.status == "running")])
    yield from _family("vsadmin_scheduler_instances", "gauge", "Schedulers that completed a tick within the last 10 s.", [("", {}, status.instances)])
    yield from _family("vsadmin_scheduler_last_tick_timestamp_seconds", "gauge", "When a scheduler last completed a tick; 0: never.", [("", {}, _timestamp(last_tick))])
    yield from _family("vsadmin_runs_queued", "gauge", "Runs that wait for their start.", [("", {}, _queued())])


def _jobs() -> Iterator[str]:
    rows = list(JobDefinition.objects.current().values_list("id", "title", "function", "trigger", "enabled", "paused_until", "scheduled__next_run_time").order_by("id"))
    moment = now()
    info = (("", {"job": row[0], "title": row[1], "function": row[2], "trigger": row[3]}, 1) for row in rows)
    enabled = (("", {"job": row[0]}, row[4] and not (row[5] and row[5] > moment)) for row in rows)
    upcoming = (("", {"job": row[0]}, _timestamp(row[6])) for row in rows if row[6])
    overdue = (("", {"job": row[0]}, is_overdue(row[6], moment)) for row in rows)
    yield from _family("vsadmin_job_info", "gauge", "What a job is; always 1.", info)
    yield from _family("vsadmin_job_enabled", "gauge", "1 while a job is enabled and not paused.", enabled)
    yield from _family("vsadmin_job_next_run_timestamp_seconds", "gauge", "When a job fires next; absent when it does not.", upcoming)
    yield from _family("vsadmin_job_overdue", "gauge", "1 while a slot of the job should have been claimed more than 10 s ago.", overdue)


def _runs(totals: Totals) -> Iterator[str]:
    keys = sorted(totals)
    delays, durations = Histogram([0] * (len(DELAY_BOUNDS) + 1)), dict[str, Histogram]()
    for job, status in keys:
        sums = totals[job, status]
        delays.add(sums.delays)
        durations.setdefault(job, Histogram([0] * (len(DURATION_BOUNDS) + 1))).add(sums.durations)
    counts = (("", {"job": job, "status": status}, totals[job, status].runs) for job, status in keys)
    successes = (("", {"job": job}, _timestamp(totals[job, status].last_finished_at)) for job, status in keys if status == Status.SUCCEEDED)
    yield from _family("vsadmin_job_runs_total", "counter", "Finished runs.", counts)
    yield from _family("vsadmin_job_last_success_timestamp_seconds", "gauge", "When a run of the job last succeeded.", successes)
    samples = (sample for job, histogram in durations.items() for sample in _histogram({"job": job}, DURATION_BOUNDS, histogram))
    yield from _family("vsadmin_job_run_duration_seconds", "histogram", "How long runs took.", samples)
    delay_samples = _histogram({}, DELAY_BOUNDS, delays)
    yield from _family("vsadmin_job_start_delay_seconds", "histogram", "How long after their slots runs started.", delay_samples)


def make_exposition() -> str:
    """The whole text, from the tables as they are now.  Raises DatabaseError."""
    RunTotal.objects.roll_up()
    lines = [*_scheduler(read_status(), now()), *_jobs(), *_runs(RunTotal.objects.current())]
    return "\n".join(lines) + "\n"


_text = CachedText(make_exposition, FRESH_FOR_SECONDS)


def exposition() -> str:
    """Prometheus' text, at most five seconds old."""
    return _text.get()


def forget() -> None:
    """Make the text anew when it is next asked for."""
    _text.forget()
