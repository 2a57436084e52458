"""How many buffered runs the recorder starts, also when runs have become slower."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from jobs.engine.executors import RunExecutor, ThreadExecutor
from jobs.engine.instance import Instance
from jobs.engine.recorder import Recorder
from jobs.engine.run import ClaimedRun, Outcome
from tests.jobs.engine.manual_scheduler import START


def now() -> datetime:
    return START


def report(outcomes: Sequence[Outcome]) -> None:
    raise AssertionError(f"no run was started, but {outcomes} were reported")


def run(run_id: int) -> ClaimedRun:
    return ClaimedRun(run_id, "job", START, "tests_nothing", {})


def pool(in_flight: int, buffered: int) -> RunExecutor:
    executor = ThreadExecutor(2, now, report)
    executor.in_flight = {run_id: run(run_id) for run_id in range(in_flight)}
    executor.buffered.extend(run(100 + number) for number in range(buffered))
    return executor


def test_no_run_is_taken_for_a_pool_with_more_runs_than_room() -> None:
    executor = pool(in_flight=5, buffered=3)
    assert executor.free() < 0
    recorder = Recorder(Instance(""), now, lambda: [executor], lambda retries: None)
    assert recorder._take_buffered(executor) == []
    assert len(executor.buffered) == 3


def test_the_run_that_was_buffered_first_is_taken_for_a_pool_with_room() -> None:
    executor = pool(in_flight=1, buffered=3)
    recorder = Recorder(Instance(""), now, lambda: [executor], lambda retries: None)
    assert [run.id for run in recorder._take_buffered(executor)] == [100]
    assert recorder.in_hand == {100}
