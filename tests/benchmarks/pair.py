"""Two schedulers against one, on one PostgreSQL: how much more they do, and whether they do anything twice."""

from __future__ import annotations

import re
import time
from contextlib import ExitStack
from dataclasses import dataclass

from jobs.models import JobRun
from tests.benchmarks.result import Result, at_least, at_most, plain
from tests.benchmarks.rows import make_jobs, remove_jobs
from tests.benchmarks.setup import Setup, watch

STARTED = re.compile(rb'"run_id":(\d+),[^{}]*"event":"job_run_started"')


@dataclass(frozen=True, slots=True)
class Work:
    """Recorded runs a second, started runs, and how many of those were started twice or have no row."""

    rate: float
    started: int
    wrong: int


def measure(setup: Setup) -> list[Result]:
    if setup.vendor != "postgresql":
        return []
    one, two = [_work(setup, schedulers, "bench_ten_milliseconds", setup.count(4_000, 300)) for schedulers in (1, 2)]
    lone, both = [_work(setup, schedulers, "bench_nothing", setup.count(20_000, 300)) for schedulers in (1, 2)]
    started, wrong = two.started + both.started, two.wrong + both.wrong
    return [
        at_least("two schedulers against one, jobs that hold a thread for 10 ms", two.rate / max(one.rate, 1), 1.3, " ×", _rates(one, two)),
        plain("two schedulers against one, jobs that do nothing, more than the cores can do", both.rate / max(lone.rate, 1), " ×", _rates(lone, both)),
        at_most("runs that two schedulers started twice, or without a row", wrong, 0, "", f"of {started:,}, by their logs"),
    ]


def _rates(one: Work, two: Work) -> str:
    return f"{one.rate:,.0f}/s, {two.rate:,.0f}/s"


def _work(setup: Setup, schedulers: int, function: str, jobs: int) -> Work:
    remove_jobs()
    make_jobs(jobs, 1, function, applied=False)
    with ExitStack() as stack:
        running = [stack.enter_context(setup.scheduler()) for _ in range(schedulers)]
        time.sleep(setup.seconds(3, 1))
        window = watch(running, setup.seconds(10))
        started = [int(run_id) for scheduler in running for run_id in STARTED.findall(scheduler.log.read_bytes())]
    stored = set(JobRun.objects.values_list("pk", flat=True))
    return Work(window.recorded / window.seconds, len(started), len(started) - len(stored.intersection(started)))
