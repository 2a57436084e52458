"""What job functions do to each other: 100 jobs of one second that do nothing, beside functions that compute, hold the interpreter or crash."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil

from jobs.models import JobDefinition, JobRun
from tests.benchmarks.result import Result, at_least, at_most, milliseconds, percentile
from tests.benchmarks.rows import make_jobs, remove_jobs
from tests.benchmarks.setup import Setup

OFFENDERS: dict[str, list[tuple[str, int]]] = {
    "nothing else": [],
    "two jobs that compute for 5 s": [("bench_compute", 2)],
    "six of them": [("bench_compute", 6)],
    "a big power each second": [("bench_big_power", 1)],
    "a catastrophic regular expression": [("bench_regex", 1)],
    "a sleep in C of a second": [("bench_sleep_in_c", 1)],
    "a segmentation fault each second": [("bench_segfault", 1)],
    "2 GB allocated each second": [("bench_allocate", 1)],
}
"""By name: functions, and how many jobs of one second call each."""

QUIET_JOBS = 100


def measure(setup: Setup) -> list[Result]:
    beside = [result for name, functions in OFFENDERS.items() for result in _beside(setup, name, functions)]
    return [*beside, *measure_processes(setup), measure_cores(setup)]


def _beside(setup: Setup, name: str, functions: list[tuple[str, int]]) -> list[Result]:
    remove_jobs()
    make_jobs(QUIET_JOBS, 1, applied=False)
    names = [function for function, count in functions for _ in range(count)]
    JobDefinition.objects.bulk_create(
        [JobDefinition(id=f"offender{number}", function=function, trigger="interval", interval_seconds=1) for number, function in enumerate(names)]
    )
    late = _lateness(setup, "job")
    seconds = setup.seconds(15, 3)
    return [
        at_least(f"100 jobs of 1 s beside {name}: runs a second", len(late) / seconds, 99, "/s"),
        at_most("their lateness, p99", percentile(late, 0.99) * 1000, 50, " ms", milliseconds(late)),
    ]


def measure_processes(setup: Setup) -> list[Result]:
    """Jobs that get a process for each run."""
    jobs = setup.count(60, 5)
    remove_jobs()
    created = [datetime.now(UTC) + timedelta(seconds=number / jobs) for number in range(jobs)]
    fields: dict[str, Any] = {"function": "bench_nothing", "trigger": "interval", "interval_seconds": 1, "executor": "process"}
    rows = [JobDefinition(id=f"process{number}", created_at=created_at, **fields) for number, created_at in enumerate(created)]
    JobDefinition.objects.bulk_create(rows)
    late = _lateness(setup, "process")
    return [
        at_least(f'{jobs} jobs of 1 s with executor="process": runs a second', len(late) / setup.seconds(15, 3), 50, "/s"),
        at_most("their start after the slot, p50", percentile(late, 0.5) * 1000, 30, " ms", milliseconds(late)),
    ]


def measure_cores(setup: Setup) -> Result:
    """Eight workers of eight threads, which compute all the time."""
    remove_jobs()
    make_jobs(64, 1, "bench_compute", applied=False)
    with setup.scheduler("--workers", "8", VS_SCHEDULER_THREADS="64"):
        time.sleep(setup.seconds(6, 3))
        psutil.cpu_percent()
        time.sleep(setup.seconds(10, 2))
        return at_least("eight workers of eight threads that compute: all cores in use", psutil.cpu_percent(), 95, " %", f"{psutil.cpu_count()} cores")


def _lateness(setup: Setup, prefix: str) -> list[float]:
    """Seconds from slot to start of the runs whose slot was in the window."""
    with setup.scheduler():
        time.sleep(setup.seconds(4, 2))
        start = datetime.now(UTC)
        time.sleep(setup.seconds(15, 3))
        end = datetime.now(UTC)
        time.sleep(1.0)
        runs = JobRun.objects.filter(job__id__startswith=prefix, scheduled_for__gt=start, scheduled_for__lte=end, status="succeeded")
        values = list(runs.values_list("started_at", "scheduled_for"))
    return [(started - slot).total_seconds() for started, slot in values if started] or [float("inf")]
