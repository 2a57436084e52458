"""Every column of every row that the engine reads is damaged in a dozen ways: the other job runs on time, each minute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from jobs.engine.run import ClaimedRun
from jobs.models import JobDefinition, JobRun
from tests.jobs.damage import damage, damages
from tests.jobs.engine.manual_scheduler import START, ManualScheduler, define, seconds

pytestmark = pytest.mark.django_db

ROWS = {"jobs_jobdefinition": "id = 'bad'", "django_apscheduler_djangojob": "id = 'bad'", "jobs_jobrun": "job_id = 'bad'", "jobs_historicaljobdefinition": "id = 'bad'"}


def prepare(table: str) -> float:
    """Two jobs, for one of them runs in progress and requested if it is the runs that are damaged; returns the seconds after START."""
    define("good")
    define("bad")
    first = ManualScheduler("first")
    first.reconcile(START)
    if table != "jobs_jobrun":
        return 60
    started: list[ClaimedRun] = first.tick(START + seconds(60))
    first.finish([run for run in started if run.job_id == "good"], START + seconds(61))
    JobRun.objects.request("bad", "ada")
    return 120


def runs_of_good() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM jobs_jobrun WHERE job_id = 'good'")
        return int(cursor.fetchone()[0])


def live_on(after: float) -> None:
    """Three minutes of another scheduler, which has read nothing yet."""
    fresh = ManualScheduler("second")
    for minute in range(3):
        now = START + seconds(after + 60 * minute)
        steps: list[Callable[[], Any]] = [lambda: fresh.statements.pending_work("second"), fresh.plans.preload, fresh.plans.try_again]
        steps += [lambda now=now: fresh.reconcile(now), lambda now=now: fresh.claim(now), lambda now=now: fresh.claim_requested(now)]  # type: ignore[misc]  # a default binds the loop's value
        for step in steps:
            with transaction.atomic():
                step()


def problem_after(table: str, column: str, value: Any, *, applied: bool) -> str | None:
    """What is wrong when a column of the bad job has a value; empty if nothing is, None if the database refuses the value."""
    after = prepare(table)
    before = runs_of_good()
    if not applied:
        JobDefinition.objects.update(applied_revision=0)
    if not damage(table, column, value, ROWS[table]):
        return None
    try:
        live_on(after)
    except Exception as error:  # noqa: BLE001 -- all are reported together
        return f"{column} = {value!r}: {type(error).__name__}: {error}"
    return "" if (ran := runs_of_good() - before) >= 2 else f"{column} = {value!r}: the other job ran {ran} times"


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.chaos)])
@pytest.mark.parametrize("table", ROWS)
def test_no_value_in_any_column_of_one_job_stops_the_other(table: str, step: int) -> None:
    """Each of the values; with a step of 7 every seventh, which are all values and all columns in turn."""
    problems = []
    for number, (column, value) in enumerate(damages(table)):
        if number % step == 0:
            with transaction.atomic():
                problems.append(problem_after(table, column, value, applied=number % 2 == 0))
                transaction.set_rollback(True)
    assert [problem for problem in problems if problem] == []
    assert "" in problems
