"""From the start of `manage.py runscheduler` to its first completed tick."""

from __future__ import annotations

import time

from jobs.models import JobDefinition
from tests.benchmarks.result import Result, at_most, plain
from tests.benchmarks.rows import make_jobs
from tests.benchmarks.setup import START_SECONDS, Setup, ticked
from tests.support.waiting import wait_until


def measure(setup: Setup) -> list[Result]:
    jobs = setup.count(10_000, 500)
    make_jobs(jobs, 60, applied=True)
    times = [_first_tick(setup)[0] for _ in range(setup.count(3, 1))]
    JobDefinition.objects.update(applied_revision=0)
    first, applied = _first_tick(setup)
    return [
        at_most(f"start of runscheduler to first tick, {jobs:,} jobs", sorted(times)[len(times) // 2], 1.5, " s", f"median of {len(times)} restarts"),
        plain(f"the same when all {jobs:,} definitions are new: to first tick", first, " s", f"{applied:.1f} s until the last is applied"),
    ]


def _first_tick(setup: Setup) -> tuple[float, float]:
    started = time.monotonic()
    with setup.started("manage.py", "runscheduler") as scheduler:
        wait_until(lambda: ticked(scheduler), START_SECONDS)
        first = time.monotonic() - started
        wait_until(lambda: not JobDefinition.objects.unapplied().exists(), START_SECONDS)
        return first, time.monotonic() - started
