"""Whether pruning keeps schedulers waiting."""

from __future__ import annotations

import time

from jobs.models import JobDefinition, JobRun
from tests.benchmarks.result import Result, at_most, milliseconds, percentile, plain
from tests.benchmarks.rows import make_history, make_jobs
from tests.benchmarks.setup import Setup, Window, last_run, watch


def measure(setup: Setup) -> list[Result]:
    jobs, runs = 200, setup.count(300_000, 5000)
    make_jobs(jobs, 1, applied=False)
    JobDefinition.objects.update(keep_runs=20)
    make_history(runs, jobs)
    with setup.scheduler() as scheduler:
        time.sleep(1)
        before = watch([scheduler], setup.seconds(8)).lateness()
        first, started = last_run(), time.monotonic()
        with setup.started("manage.py", "prunejobruns") as pruner:
            pruner.process.wait(300)
        seconds = time.monotonic() - started
        during = Window(first, last_run(), seconds, 0).lateness()
    pruned = runs - JobRun.objects.filter(instance="gone").count()
    held_up = percentile(during, 0.99) - percentile(before, 0.5)
    return [
        at_most("a claim is held up by pruning, p99", held_up * 1000, 50, " ms", f"lateness meanwhile: {milliseconds(during)}; before: {milliseconds(before)}"),
        plain("runs pruned a second meanwhile", pruned / seconds, "/s", f"{pruned:,} runs in {seconds:.1f} s, process start included"),
    ]
