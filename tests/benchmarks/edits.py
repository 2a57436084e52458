"""From the commit of an edit, or of a request, to what a scheduler in another process makes of it, as a third process sees it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from jobs.models import Author, JobDefinition, JobRun
from tests.benchmarks.result import Result, at_most, milliseconds, percentile
from tests.benchmarks.rows import make_jobs
from tests.benchmarks.setup import Setup

AUTHOR = Author(name="bench", source="admin")
LIMIT = {"sqlite": 150, "postgresql": 50}


def measure(setup: Setup) -> list[Result]:
    jobs, times = setup.count(10_000, 500), setup.count(150, 5)
    make_jobs(jobs, 86_400, applied=True)
    with setup.scheduler():
        edits = [_edit(number * jobs // times) for number in range(times)]
        requests = [_request(number * jobs // times) for number in range(times)]
    limit = LIMIT[setup.vendor]
    return [
        at_most(f"edit to applied p99, in another process, {jobs:,} jobs", percentile(edits, 0.99) * 1000, limit, " ms", milliseconds(edits)),
        at_most("run now to started p99, in another process", percentile(requests, 0.99) * 1000, limit, " ms", milliseconds(requests)),
    ]


def _edit(number: int) -> float:
    time.sleep(random.uniform(0.03, 0.13))
    revision = JobDefinition.objects.find(f"job{number}").edit(AUTHOR, interval_seconds=80_000 + number).revision
    return _until(lambda: JobDefinition.objects.filter(pk=f"job{number}", applied_revision=revision).exists())


def _request(number: int) -> float:
    time.sleep(random.uniform(0.03, 0.13))
    run = JobRun.objects.request(f"job{number}", "bench")
    return _until(lambda: JobRun.objects.filter(pk=run.pk, started_at__isnull=False).exists())


def _until(condition: Callable[[], bool]) -> float:
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > 10:
            raise AssertionError("nothing happened within 10 s")
        time.sleep(0.001)
    return time.monotonic() - started
