"""Workers end with their scheduler, however it ends, and complete their runs when it is told to stop."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

import pytest

from jobs.models import Author, JobRun
from tests.support.sample.schedulers import Schedulers, alive, children_of
from tests.support.waiting import wait_until

MIRA = Author(name="mira", source="admin")


def test_nothing_is_left_of_a_killed_scheduler_even_while_a_job_holds_the_interpreter(schedulers: Schedulers) -> None:
    process = schedulers.start_workers(2)
    runs = [
        schedulers.start_run("holding", "sample_hold_noted", kwargs={"seconds": 30}),
        schedulers.start_run("going", kwargs={"seconds": 60}),
        schedulers.start_run("task", "sample_work_async", kwargs={"seconds": 60}),
        schedulers.start_run("process", executor="process", kwargs={"seconds": 60}),
        schedulers.start_run("holding_process", "sample_hold_noted", executor="process", kwargs={"seconds": 30}),
    ]
    children = children_of(process)
    assert len(children) >= 6
    schedulers.kill(process)
    wait_until(lambda: not any(alive(pid) for pid in children), 2, f"left behind: {[pid for pid in children if alive(pid)]} of {children}")
    second = schedulers.start("--workers", "1")
    assert {schedulers.wait_for_end(run, timeout=30).status for run in runs} == {"abandoned"}
    assert {run.reason for run in JobRun.objects.filter(pk__in=[run.pk for run in runs])} == {"its scheduler process died"}
    assert schedulers.site.stop(second) == 0


@pytest.mark.parametrize("everybody", [False, True], ids=["scheduler", "everybody"])
def test_sigterm_lets_the_runs_in_workers_complete_also_when_every_process_gets_it(schedulers: Schedulers, everybody: bool) -> None:
    """Ctrl-C signals the group of a process, and a service manager may signal all processes of a service.

    A process of a single run may handle SIGTERM, so that one ends it, and docs/operations.md asks for `KillMode=mixed`.
    """
    process = schedulers.start_workers(2)
    runs = [schedulers.start_run("going", kwargs={"seconds": 3}), schedulers.start_run("task", "sample_work_async", kwargs={"seconds": 3})]
    children = children_of(process)
    if everybody:
        for pid in children:
            os.kill(pid, signal.SIGTERM)
        os.killpg(process.pid, signal.SIGTERM)
    else:
        runs.append(schedulers.start_run("process", executor="process", kwargs={"seconds": 3}))
    assert schedulers.site.stop(process, 0 if everybody else signal.SIGTERM, timeout=8) == 0
    assert {run.job_id: JobRun.objects.get(pk=run.pk).status for run in runs} == dict.fromkeys((run.job_id for run in runs), "succeeded")
    [stopped] = schedulers.site.events(process, "scheduler_stopped")
    assert (stopped["abandoned"], stopped["unwritten"]) == (0, 0)
    assert schedulers.site.events(process, "scheduler_worker_died") == []
    wait_until(lambda: not any(alive(pid) for pid in children), 2, "a process is left behind")


def test_a_signal_to_every_process_of_a_starting_scheduler_ends_it(schedulers: Schedulers) -> None:
    process = schedulers.start("--workers", "2", wait=False)
    wait_until(lambda: children_of(process), 20, "no fork server was started")
    for pid in [*children_of(process), process.pid]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    assert schedulers.site.stop(process, timeout=8) in {0, 1, -signal.SIGTERM}
    assert "Traceback" not in schedulers.site.output(process)


def test_the_drain_time_ends_runs_in_workers(schedulers: Schedulers) -> None:
    process = schedulers.start_workers(2, "--drain-seconds", "1")
    runs = [
        schedulers.start_run("going", kwargs={"seconds": 60}),
        schedulers.start_run("holding", "sample_hold_noted", kwargs={"seconds": 30}),
        schedulers.start_run("task", "sample_work_async", kwargs={"seconds": 60}),
    ]
    children = children_of(process)
    assert schedulers.site.stop(process, timeout=5) == 0
    assert {JobRun.objects.get(pk=run.pk).reason for run in runs} == {"it was still running 1 s after its scheduler was told to stop"}
    wait_until(lambda: not any(alive(pid) for pid in children), 1, f"left behind: {[pid for pid in children if alive(pid)]}")
