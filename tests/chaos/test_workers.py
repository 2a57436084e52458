"""What takes more than ten seconds to see: held and stopped workers, and a stopped scheduler."""

from __future__ import annotations

import os
import signal

import pytest

from jobs.models import Author
from tests.chaos.accounting import wrong_in_books
from tests.support.sample.schedulers import Schedulers, workers_of
from tests.support.sample.witnesses import late_starts, make_witnesses
from tests.support.waiting import let_pass, wait_until

pytestmark = pytest.mark.chaos

MIRA = Author(name="mira", source="admin")


def check_witnesses(schedulers: Schedulers, since: float) -> None:
    """None was late since then, lost or executed twice."""
    assert wrong_in_books("witness", schedulers.execution_log()) == []
    assert late_starts(schedulers, since) == []


def test_a_hold_of_more_than_ten_seconds_writes_the_stacks_and_costs_the_worker_its_place(schedulers: Schedulers) -> None:
    make_witnesses(10)
    holding = schedulers.job("holding", "sample_hold_noted", 0, trigger="manual", kwargs={"seconds": 13})
    process = schedulers.start_workers(2)
    schedulers.wait_for_runs("witness_09", 2, "succeeded")
    run = holding.request_run(MIRA)
    [start] = schedulers.wait_for_entry("start", "holding")
    [held, *_] = wait_until(lambda: schedulers.site.events(process, "scheduler_worker_held"), 14, "the stacks were never written")
    assert held["functions"] == "sample_hold_noted"
    assert "misdeeds.py" in "".join(str(line["stacks"]) for line in schedulers.site.events(process, "scheduler_worker_held"))
    assert schedulers.wait_for_end(run, timeout=20).status == "succeeded"
    wait_until(lambda: start.pid not in workers_of(process) and len(workers_of(process)) == 2, 15, "the worker was not replaced")
    assert schedulers.site.stop(process) == 0
    check_witnesses(schedulers, start.at)


def test_a_worker_that_stays_stopped_is_killed_and_its_runs_are_abandoned(schedulers: Schedulers) -> None:
    make_witnesses(10)
    going = schedulers.job("going", seconds=0, trigger="manual", kwargs={"seconds": 300})
    process = schedulers.start_workers(2)
    run = going.request_run(MIRA)
    [start] = schedulers.wait_for_entry("start", "going")
    os.kill(start.pid, signal.SIGSTOP)
    let_pass(10, because="a worker is drained when it has not answered for 10 s")
    ended = schedulers.wait_for_end(run, timeout=45)
    assert ended.status == "abandoned"
    assert ended.reason == "its worker process ended with signal SIGKILL, because it does not answer"
    wait_until(lambda: len(workers_of(process)) == 2, 10, "the worker was not replaced")
    assert schedulers.site.stop(process) == 0
    check_witnesses(schedulers, start.at)


def test_a_worker_that_is_to_be_replaced_and_is_held_is_killed_like_any_other(schedulers: Schedulers) -> None:
    make_witnesses(20)
    holding = schedulers.job("holding", "sample_work_then_hold", 0, trigger="manual", kwargs={"work_seconds": 6, "hold_seconds": 200})
    process = schedulers.start_workers(2, VS_SCHEDULER_WORKER_RUNS="20")
    run = holding.request_run(MIRA)
    ended = schedulers.wait_for_end(run, timeout=60)
    assert (ended.status, ended.reason) == ("abandoned", "its worker process ended with signal SIGKILL, because it does not answer")
    assert schedulers.site.stop(process) == 0


def test_a_scheduler_that_was_stopped_for_15_seconds_goes_on_with_its_workers_and_their_runs(schedulers: Schedulers) -> None:
    process = schedulers.start_workers(2)
    going = schedulers.start_run("going", kwargs={"seconds": 20})
    short = schedulers.start_run("short", kwargs={"seconds": 5})
    limited = schedulers.start_run("limited", executor="process", kwargs={"seconds": 60}, timeout_seconds=5)
    workers = workers_of(process)
    process.send_signal(signal.SIGSTOP)
    let_pass(15, because="the time for which the scheduler is stopped is the subject")
    process.send_signal(signal.SIGCONT)
    assert schedulers.wait_for_end(going).status == "succeeded"
    assert schedulers.wait_for_end(short).status == "succeeded"
    assert schedulers.wait_for_end(limited).status == "timed_out"
    assert set(workers_of(process)) <= set(workers)
    assert len(workers_of(process)) == 2
    assert len(schedulers.execution_log("end", "short")) == 1
