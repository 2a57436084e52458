"""A process for each run, as a scheduler without workers starts it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from jobs.engine.executors import ProcessExecutor
from jobs.engine.executors.base import exit_text
from jobs.engine.run import ClaimedRun, Outcome
from jobs.engine.statements import FinishedRun
from tests.jobs.engine.manual_scheduler import START, ManualScheduler, define, outcome, seconds
from tests.support.waiting import wait_until


@pytest.fixture
def executor(outcomes: list[Outcome]) -> Iterator[ProcessExecutor]:
    executor = ProcessExecutor(2, lambda: datetime.now(UTC), outcomes.extend)
    executor.open()
    yield executor
    executor.kill()
    executor.shutdown()


@pytest.mark.django_db(transaction=True)
def test_a_run_executes_in_another_process_which_reports_its_outcome(executor: ProcessExecutor, outcomes: list[Outcome]) -> None:
    define("prune", function="prune_job_runs", executor="process")
    (run,) = ManualScheduler().tick(START + seconds(60))
    executor.submit(run)
    wait_until(lambda: outcomes, 30)
    assert [(reported.run, reported.finished.status) for reported in outcomes] == [(run, "succeeded")]
    assert isinstance(json.loads(outcomes[0].finished.result or ""), dict)


@pytest.mark.django_db(transaction=True)
def test_a_process_that_ends_without_an_outcome_fails_its_run(executor: ProcessExecutor, outcomes: list[Outcome]) -> None:
    executor.submit(ClaimedRun(999_999, "deleted", START, "prune_job_runs", {}))
    wait_until(lambda: outcomes, 30)
    assert outcomes[0].finished.status == "failed"
    assert outcomes[0].finished.error == "its process ended without an outcome, with exit code 3"


@pytest.mark.once
def test_log_and_progress_are_received_until_the_outcome() -> None:
    run = ClaimedRun(1, "job", START, "tests_nothing", {})
    finished = outcome(1, START, result="7")
    received = _listen(run, [{"log": "half way", "size": 8, "progress": '{"done": 1}'}, {"finished": finished.to_json()}])
    assert received == finished
    assert (str(run.log), run.unsaved_output()) == ("half way", (8, '{"done": 1}'))


@pytest.mark.once
def test_a_pipe_that_closes_early_has_no_outcome() -> None:
    assert _listen(ClaimedRun(1, "job", START, "tests_nothing", {}), []) is None


def _listen(run: ClaimedRun, messages: list[dict[str, object]]) -> FinishedRun | None:
    async def listen() -> FinishedRun | None:
        reader, descriptor = await ProcessExecutor(1, lambda: START, lambda outcomes: None)._pipe()
        with os.fdopen(descriptor, "w") as writer:
            writer.writelines(f"{json.dumps(message)}\n" for message in messages)
        return await ProcessExecutor._listen(run, reader)

    return asyncio.run(listen())


@pytest.mark.once
@pytest.mark.parametrize(("code", "text"), [(0, "exit code 0"), (3, "exit code 3"), (-9, "signal SIGKILL"), (-40, "signal 40")])
def test_the_end_of_a_process_is_described_by_its_exit_code_or_signal(code: int, text: str) -> None:
    assert exit_text(code) == text
