"""Whatever a job function is given, writes, raises or returns: its run ends, and so do those of others."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from django.db import connection

from jobs.models import Author, JobDefinition, JobRun
from tests.support.sample.schedulers import ENDED, Schedulers
from tests.support.waiting import wait_until

MIRA = Author(name="mira", source="admin")

OUTPUT = [
    "surrogates in an error",
    "surrogates in a log",
    "surrogates in progress",
    "surrogates in a result",
    "surrogates in a key",
    "a big number",
    "a number in progress",
    "no number",
    "NUL",
    "depth",
]


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


ARGUMENTS = {
    "a big number": json.dumps({"number": 10**30}),
    "a big negative number": json.dumps({"number": -(10**30)}),
    "half a pair": '{"what": "\\ud800"}',
    "300 levels": json.dumps({"nested": nested(300)}),
    "800 levels": json.dumps({"nested": nested(800)}),
}
"""As they come in rows that were written by hand or by an older version."""


@pytest.mark.parametrize("executor", ["local", "process"])
@pytest.mark.parametrize("workers", ["2", "0"])
def test_each_run_ends_though_its_output_or_its_arguments_are_hard_to_send(schedulers: Schedulers, executor: str, workers: str) -> None:
    process = schedulers.start("--workers", workers)
    for number, what in enumerate(OUTPUT):
        schedulers.job(f"output_{number}", "sample_say", 0, trigger="manual", executor=executor, kwargs={"what": what})
    names = {}
    for number, (name, text) in enumerate(ARGUMENTS.items()):
        if connection.vendor == "postgresql" and name == "half a pair":
            continue  # jsonb refuses it
        names[f"given_{number}"] = name
        schedulers.job(f"given_{number}", "sample_say", 0, trigger="manual", executor=executor)
        with connection.cursor() as cursor:
            cursor.execute("UPDATE jobs_jobdefinition SET kwargs = %s WHERE id = %s", [text, f"given_{number}"])
    names |= {f"output_{number}": what for number, what in enumerate(OUTPUT)}
    schedulers.job("witness")
    runs = [JobDefinition.objects.get(pk=name).request_run(MIRA) for name in names]
    wait_for_all(runs, names)
    schedulers.wait_for_runs("witness", len(schedulers.runs("witness")) + 2, "succeeded")
    rows = JobRun.objects.filter(pk__in=[run.pk for run in runs])
    assert {names[row.job_id]: row.status for row in rows if row.status == "abandoned"} == {}
    assert schedulers.site.events(process, "scheduler_tick_failed") == []
    assert schedulers.site.events(process, "scheduler_workers_failed") == []
    assert schedulers.site.stop(process) == 0


def request_many(count: int, **kwargs: Any) -> list[JobRun]:
    """Make `count` async jobs, and request a run of each."""
    fields: dict[str, Any] = {"function": "sample_say_async", "kwargs": kwargs, "trigger": "manual", "interval_seconds": 0}
    JobDefinition.objects.bulk_create([JobDefinition(id=f"much_{number:03}", **fields) for number in range(count)])
    return [definition.request_run(MIRA) for definition in JobDefinition.objects.filter(pk__startswith="much")]


def wait_for_all(runs: list[JobRun], names: dict[str, str], timeout: float = 60) -> None:
    def left() -> list[str]:
        return [names[row.job_id] for row in JobRun.objects.filter(pk__in=[run.pk for run in runs]).exclude(status__in=ENDED)]

    try:
        wait_until(lambda: not left(), timeout)
    except AssertionError:
        raise AssertionError(f"never ended: {left()}") from None


def test_hundreds_of_runs_that_end_at_once_with_large_logs_all_succeed(schedulers: Schedulers) -> None:
    """Their outcomes are 20 MB, more than a socket takes at a time."""
    process = schedulers.start_workers(1)
    at = time.time() + 6
    runs = request_many(350, seconds=at, size=65_000)
    wait_for_all(runs, {run.job_id: run.job_id for run in runs}, timeout=60)
    assert {run.status for run in JobRun.objects.filter(pk__in=[run.pk for run in runs])} == {"succeeded"}
    assert schedulers.site.events(process, "scheduler_worker_killed") == []


def test_hundreds_of_runs_with_large_arguments_all_succeed(schedulers: Schedulers) -> None:
    """Together they are 90 MB, more than one message may have."""
    process = schedulers.start_workers(1)
    runs = request_many(150, padding="x" * 600_000)
    wait_for_all(runs, {run.job_id: run.job_id for run in runs}, timeout=60)
    assert {run.status for run in JobRun.objects.filter(pk__in=[run.pk for run in runs])} == {"succeeded"}
    assert schedulers.site.events(process, "scheduler_worker_died") == []
