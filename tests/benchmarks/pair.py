"""Two schedulers against one, on one PostgreSQL."""

from __future__ import annotations

import time
from contextlib import ExitStack

from tests.benchmarks.finding import Finding, at_least, plain
from tests.benchmarks.rows import make_jobs, remove_jobs
from tests.benchmarks.stage import Stage, watch


def measure(stage: Stage) -> list[Finding]:
    if stage.vendor != "postgresql":
        return []
    holding = [_rate(stage, schedulers, "bench_ten_milliseconds", stage.count(4_000, 300)) for schedulers in (1, 2)]
    empty = [_rate(stage, schedulers, "bench_nothing", stage.count(20_000, 300)) for schedulers in (1, 2)]
    return [
        at_least(
            "two schedulers against one, jobs that hold a thread for 10 ms", holding[1] / max(holding[0], 1), 1.3, " ×", f"{holding[0]:,.0f}/s, {holding[1]:,.0f}/s"
        ),
        plain("two schedulers against one, jobs that do nothing, more than the cores can do", empty[1] / max(empty[0], 1), " ×", f"{empty[0]:,.0f}/s, {empty[1]:,.0f}/s"),
    ]


def _rate(stage: Stage, schedulers: int, function: str, jobs: int) -> float:
    remove_jobs()
    make_jobs(jobs, 1, function, applied=False)
    with ExitStack() as stack:
        running = [stack.enter_context(stage.scheduler()) for _ in range(schedulers)]
        time.sleep(stage.seconds(3, 1))
        window = watch(running, stage.seconds(10))
    return window.recorded / window.seconds
