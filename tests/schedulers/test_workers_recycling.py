"""A worker is replaced after a number of runs or above an amount of memory, and no run is lost or executed twice."""

from __future__ import annotations

import psutil
from django.utils.timezone import now

from jobs.models import Author, JobDefinition
from tests.chaos.accounting import wrong_in_books
from tests.support.sample.schedulers import Schedulers, workers_of
from tests.support.waiting import wait_until

MIRA = Author(name="mira", source="admin")


def test_workers_are_replaced_after_a_number_of_runs_and_no_run_is_lost(schedulers: Schedulers) -> None:
    kinds = ["sample_work", "sample_work_async"]
    JobDefinition.objects.bulk_create([JobDefinition(id=f"quick_{number:02}", function=kinds[number % 2], interval_seconds=1) for number in range(60)])
    process = schedulers.start("--workers", "2", VS_SCHEDULER_WORKER_RUNS="50", VS_SCHEDULER_THREADS="4")
    wait_until(lambda: len({entry.pid for entry in schedulers.execution_log("start")}) >= 6, 30, "no worker was replaced")
    assert schedulers.site.stop(process) == 0
    assert wrong_in_books("quick", schedulers.execution_log()) == []
    assert schedulers.site.events(process, "scheduler_worker_died") == []
    assert schedulers.site.events(process, "scheduler_workers_failed") == []


def test_a_worker_that_has_swollen_is_replaced_when_its_runs_have_ended(schedulers: Schedulers) -> None:
    JobDefinition.objects.bulk_create([JobDefinition(id=f"quick_{number:02}", function="sample_work", interval_seconds=1) for number in range(10)])
    swelling = schedulers.job("swelling", "sample_swell", 0, trigger="manual", kwargs={"megabytes": 300})
    process = schedulers.start_workers(2, VS_SCHEDULER_WORKER_MEGABYTES="250")
    run = swelling.request_run(MIRA)
    assert schedulers.wait_for_end(run).status == "succeeded"
    [entry] = schedulers.execution_log("start", "swelling")
    wait_until(lambda: entry.pid not in workers_of(process) and len(workers_of(process)) == 2, 10, "the worker was not replaced")
    schedulers.wait_for_runs("quick_09", len(schedulers.runs("quick_09")) + 2, "succeeded")
    assert schedulers.site.stop(process) == 0
    assert wrong_in_books("quick", schedulers.execution_log()) == []
    assert schedulers.site.events(process, "scheduler_worker_died") == []


def test_no_descriptor_of_processes_that_have_ended_stays_open(schedulers: Schedulers) -> None:
    for number in range(10):
        schedulers.job(f"quick_{number}", executor="process")
    process = schedulers.start_workers(2)
    schedulers.wait_for_runs("quick_9", 2, "succeeded")
    before = psutil.Process(process.pid).num_fds()
    schedulers.wait_for_runs("quick_9", 7, "succeeded")
    JobDefinition.objects.update(archived_at=now())
    wait_until(lambda: psutil.Process(process.pid).num_fds() < before + 4 and len(workers_of(process)) == 2, 10, f"more than {before} descriptors")
    assert schedulers.site.stop(process) == 0
    assert wrong_in_books("quick", schedulers.execution_log()) == []
