"""An outcome goes to the run that it is of, and to no other that has got its id."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.db import connection

from jobs.models import JobRun
from tests.jobs.engine.manual_scheduler import START, ManualScheduler, define, outcome, seconds

pytestmark = pytest.mark.django_db
NOW = START + seconds(61)


@pytest.mark.parametrize("output", [{}, {"result": "1"}])
@pytest.mark.parametrize("other", [{"job_id": "another"}, {"scheduled_for": START}])
def test_an_outcome_of_another_job_or_slot_changes_nothing(other: dict[str, Any], output: dict[str, str]) -> None:
    define("job")
    scheduler = ManualScheduler()
    [run] = scheduler.tick(START + seconds(60))
    finished = outcome(run.id, NOW, **output)
    assert scheduler.statements.finish_runs([(replace(run, **other), finished)], "one") == set()
    assert JobRun.objects.get().status == "running"
    assert scheduler.statements.finish_runs([(run, finished)], "one") == {run.id}
    assert JobRun.objects.get().status == "succeeded"


@pytest.mark.sqlite
@pytest.mark.parametrize("text", ["2030-01-01T00:01:00", "2030-01-01 00:01:00.000000", "2030-01-01 00:01:00+00:00"])
def test_the_slot_of_a_row_may_have_been_written_in_another_form(text: str) -> None:
    define("job")
    scheduler = ManualScheduler()
    [run] = scheduler.tick(START + seconds(60))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_jobrun SET scheduled_for = %s", [text])
    assert scheduler.statements.finish_runs([(run, outcome(run.id, NOW))], "one") == {run.id}
