"""From the start of `manage.py runscheduler` to its first completed tick."""

from __future__ import annotations

import time

from jobs.models import JobDefinition
from tests.benchmarks.finding import Finding, at_most, plain
from tests.benchmarks.rows import make_jobs
from tests.benchmarks.stage import START_SECONDS, Stage, ticked
from tests.support.waiting import wait_until


def measure(stage: Stage) -> list[Finding]:
    jobs = stage.count(10_000, 500)
    make_jobs(jobs, 60, applied=True)
    times = [_first_tick(stage)[0] for _ in range(stage.count(3, 1))]
    JobDefinition.objects.update(applied_revision=0)
    first, applied = _first_tick(stage)
    return [
        at_most(f"start of runscheduler to first tick, {jobs:,} jobs", sorted(times)[len(times) // 2], 1.5, " s", f"median of {len(times)} restarts"),
        plain(f"the same when all {jobs:,} definitions are new: to first tick", first, " s", f"{applied:.1f} s until the last is applied"),
    ]


def _first_tick(stage: Stage) -> tuple[float, float]:
    started = time.monotonic()
    with stage.started("manage.py", "runscheduler") as scheduler:
        wait_until(lambda: ticked(scheduler), START_SECONDS)
        first = time.monotonic() - started
        wait_until(lambda: not JobDefinition.objects.unapplied().exists(), START_SECONDS)
        return first, time.monotonic() - started
