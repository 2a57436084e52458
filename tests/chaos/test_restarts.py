"""Deploys and restarts: no slot moves, nothing starves, and a function that is gone takes nothing with it."""

from __future__ import annotations

import pytest
from django.utils.timezone import now

from jobs.models import Author, JobDefinition
from tests.chaos.accounting import unexplained
from tests.support.sample.schedulers import Schedulers
from tests.support.waiting import let_pass, wait_until

FIXER = Author(name="mira", source="admin")


@pytest.mark.parametrize("restarts", [2, pytest.param(8, marks=pytest.mark.chaos)])
def test_a_scheduler_that_is_restarted_every_two_seconds_starves_no_job_and_moves_no_slot(schedulers: Schedulers, restarts: int) -> None:
    definition = schedulers.job("every_three", seconds=3)
    stopped_at = now()
    for _ in range(restarts):
        process = schedulers.start()
        let_pass(2, because="each scheduler lives for less than the interval of the job")
        stopped_at = now()
        assert schedulers.site.stop(process) == 0
    definition.refresh_from_db()
    process = schedulers.start()  # a slot that came due at the last stop, and a run that was claimed and had not started, are for the next scheduler
    wait_until(lambda: not unexplained(definition, schedulers.runs("every_three"), stopped_at), message="a slot is lost")
    runs = schedulers.runs("every_three")
    for run in runs:
        ended = schedulers.wait_for_end(run)
        # A run that a scheduler left queued may still wait for its successor's workers at the next slot.
        assert ended.status == "succeeded" or (ended.status == "skipped" and ended.reason.endswith("was still in progress"))
    assert schedulers.site.stop(process) == 0
    assert len(schedulers.execution_log("end")) == len(schedulers.runs("every_three", "succeeded"))
    assert len(runs) >= restarts - 1  # more than two seconds of each round find a slot every three


def test_a_function_that_is_renamed_away_fails_its_next_run_and_loses_nothing(schedulers: Schedulers) -> None:
    definition = schedulers.job("renamed")
    process = schedulers.start()
    schedulers.wait_for_runs("renamed", 1, "succeeded")
    schedulers.site.stop(process)
    history = [run.pk for run in schedulers.runs("renamed", "succeeded")]
    # The code of another release: what was sample_wrok when the job was made is sample_work there.
    JobDefinition.objects.filter(pk="renamed").update(function="sample_wrok")
    schedulers.start()
    [run, *_] = schedulers.wait_for_runs("renamed", 1, "failed")
    assert run.error == "UnknownFunction: no job function is registered as 'sample_wrok'; the nearest registered name is 'sample_work'"
    assert [run.pk for run in schedulers.runs("renamed", "succeeded")] == history
    definition.refresh_from_db()
    assert definition.archived_at is None
    definition.edit(FIXER, function="sample_work")
    schedulers.wait_for_runs("renamed", len(history) + 1, "succeeded")
