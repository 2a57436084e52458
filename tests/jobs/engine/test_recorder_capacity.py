"""What the recorder schedulers over when runs have got slower than they were."""

from __future__ import annotations

from datetime import datetime

from jobs.engine.executors import RunExecutor, ThreadExecutor
from jobs.engine.recorder import Recorder
from jobs.engine.run import ClaimedRun
from jobs.engine.statements import FinishedRun
from tests.jobs.engine.manual_scheduler import START


def now() -> datetime:
    return START


def report(run: ClaimedRun, outcome: FinishedRun) -> None:
    raise AssertionError(f"run {run.id} was never started")


def run(run_id: int) -> ClaimedRun:
    return ClaimedRun(run_id, "job", START, "tests_nothing", {})


def pool(in_flight: int, buffered: int) -> RunExecutor:
    executor = ThreadExecutor(2, now, report)
    executor.in_flight = {run_id: run(run_id) for run_id in range(in_flight)}
    executor.buffered.extend(run(100 + number) for number in range(buffered))
    return executor


def test_nothing_is_submitted_to_a_pool_with_more_runs_than_room() -> None:
    executor = pool(in_flight=5, buffered=3)
    assert executor.free() < 0
    recorder = Recorder("one", now, lambda: [executor], lambda retries: None)
    assert recorder._take_buffered(executor) == []
    assert len(executor.buffered) == 3


def test_a_pool_with_room_gets_the_run_that_was_buffered_first() -> None:
    executor = pool(in_flight=1, buffered=3)
    recorder = Recorder("one", now, lambda: [executor], lambda retries: None)
    assert [run.id for run in recorder._take_buffered(executor)] == [100]
    assert recorder.in_hand == {100}
