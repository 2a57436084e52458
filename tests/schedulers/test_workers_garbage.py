"""What job code writes into its worker's socket harms the runs of that worker, and nothing else."""

from __future__ import annotations

import pytest

from jobs.models import Author, JobRun
from tests.support.sample.schedulers import Schedulers
from tests.support.waiting import wait_until

MIRA = Author(name="mira", source="admin")

KINDS = [
    "noise",
    "no JSON",
    "list",
    "text as outcomes",
    "list as output",
    "outcome beside a bad one",
    "outcome of the year 1",
    "outcome with an unknown status",
    "number as left open",
    "number as confirmation",
    "start without a zone",
    "start that is not a number",
]


@pytest.mark.parametrize("executor", ["local", "process"])
def test_garbage_in_a_workers_socket_ends_runs_of_that_worker_and_stops_no_other_job(schedulers: Schedulers, executor: str) -> None:
    schedulers.job("witness")
    process = schedulers.start("--workers", "2")
    schedulers.wait_for_runs("witness", 1, "succeeded")
    unended = []
    for number, kind in enumerate(KINDS):
        definition = schedulers.job(f"garbage_{number}", "sample_garbage", 0, trigger="manual", executor=executor, kwargs={"kind": kind, "seconds": 0.5})
        run = definition.request_run(MIRA)
        try:
            schedulers.wait_for_end(run, timeout=8)
        except AssertionError:
            unended.append(kind)
    assert unended == []
    schedulers.wait_for_runs("witness", len(schedulers.runs("witness")) + 2, "succeeded")
    assert schedulers.site.events(process, "scheduler_tick_failed") == []
    assert schedulers.site.events(process, "scheduler_workers_failed") == []
    assert schedulers.site.stop(process) == 0
    wait_until(lambda: not JobRun.objects.occupying().exists(), 2, "runs are left")
