"""What the recorder hands over when runs have got slower than they were."""

from __future__ import annotations

from datetime import datetime

from jobs.engine.execute import Run
from jobs.engine.executors import RunExecutor, ThreadExecutor
from jobs.engine.recorder import Recorder
from jobs.engine.statements import FinishedRun
from tests.jobs.engine.manual_scheduler import START


def now() -> datetime:
    return START


def report(run: Run, outcome: FinishedRun) -> None:
    raise AssertionError(f"run {run.id} was never started")


def run(run_id: int) -> Run:
    return Run(run_id, "job", START, "tests_nothing", {})


def lane(handed: int, waiting: int) -> RunExecutor:
    executor = ThreadExecutor(2, now, report)
    executor.handed = {run_id: run(run_id) for run_id in range(handed)}
    executor.waiting.extend(run(100 + number) for number in range(waiting))
    return executor


def test_a_lane_that_holds_more_than_it_has_room_for_is_handed_nothing() -> None:
    executor = lane(handed=5, waiting=3)
    assert executor.free() < 0
    recorder = Recorder("one", now, lambda: [executor], lambda retries: None)
    assert recorder._take_waiting(executor) == []
    assert len(executor.waiting) == 3


def test_a_lane_with_room_is_handed_what_waited_longest() -> None:
    executor = lane(handed=1, waiting=3)
    recorder = Recorder("one", now, lambda: [executor], lambda retries: None)
    assert [run.id for run in recorder._take_waiting(executor)] == [100]
    assert recorder.in_hand == {100}
