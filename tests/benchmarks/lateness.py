"""Lateness: 1,000 runs a second spread over 10,000 jobs, and 10,000 jobs that are due in the same second."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from jobs.models import JobDefinition, JobRun
from tests.benchmarks.result import Result, at_most, milliseconds, percentile
from tests.benchmarks.rows import analyze, make_jobs
from tests.benchmarks.setup import Setup, Window, last_run, watch
from tests.support.waiting import wait_until


def measure(setup: Setup) -> list[Result]:
    jobs = setup.count(10_000, 500)
    make_jobs(jobs, 10, applied=False)
    with setup.scheduler() as scheduler:
        wait_until(last_run, 60, "nothing ran")
        time.sleep(setup.seconds(3, 1))
        window = watch([scheduler], setup.seconds(30))
    lateness = window.lateness()
    note = milliseconds(lateness) + f"; {window.recorded / window.seconds:,.0f} runs/s, {window.cpu_seconds / window.seconds * 100:.0f} % of a core"
    return [
        at_most(f"lateness p50, {jobs // 10:,} runs/s over {jobs:,} jobs", percentile(lateness, 0.5) * 1000, 5, " ms", note),
        at_most("lateness p99 of the same", percentile(lateness, 0.99) * 1000, 50, " ms"),
    ]


def measure_burst(setup: Setup) -> list[Result]:
    """All jobs are due in the same second, while 100 others run every second."""
    jobs, others = setup.count(10_000, 500), 100
    at = datetime.now(UTC) + timedelta(seconds=setup.seconds(25, 6))
    make_jobs(others, 1, applied=False)
    JobDefinition.objects.bulk_create([JobDefinition(id=f"burst{number}", function="bench_nothing", trigger="once", run_at=at) for number in range(jobs)])
    analyze()
    with setup.scheduler():
        wait_until(lambda: datetime.now(UTC) > at - timedelta(seconds=0.5), 60)
        first = last_run()
        wait_until(lambda: JobRun.objects.filter(job__trigger="once", status="succeeded").count() >= jobs, 120, "the burst never ended")
        last = last_run()
    burst = list(JobRun.objects.filter(job__trigger="once").values_list("started_at", "queued_at"))
    started = [(started_at - at).total_seconds() for started_at, _queued_at in burst if started_at]
    claims = sorted({queued for _started, queued in burst})
    gaps = [(after - before).total_seconds() for before, after in pairwise(claims)]
    rest = Window(first, last, 0, 0)
    other = [late for late, name in zip(rest.lateness(), _names(rest), strict=True) if not name.startswith("burst")]
    return [
        at_most(f"{jobs:,} jobs due in the same second: the last one starts after", max(started), 2, " s", f"p50 {percentile(started, 0.5):.2f} s"),
        at_most("longest time between two claims meanwhile", max(gaps, default=0) * 1000, 500, " ms", f"{len(claims)} claims"),
        at_most("lateness p99 of other jobs meanwhile", percentile(other, 0.99) * 1000, 250, " ms", f"{len(other)} runs: {milliseconds(other)}"),
    ]


def _names(window: Window) -> list[str]:
    runs = JobRun.objects.filter(pk__gt=window.first_id, pk__lte=window.last_id, started_at__isnull=False, cause="schedule").order_by("pk")
    return list(runs.values_list("job_id", flat=True))
