from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, connection, transaction

from jobs.exceptions import RunFinished, RunNotFound
from jobs.models import JobRun
from tests.jobs.engine.manual_scheduler import STAFF, START, ManualScheduler, define, seconds

pytestmark = pytest.mark.django_db


def test_a_requested_run_waits_for_any_scheduler_and_says_who_asked() -> None:
    run = define("a").request_run(STAFF, kwargs={"limit": 3})
    assert (run.status, run.cause, run.instance, run.requested_by, run.kwargs) == ("queued", "manual", "", "ada", {"limit": 3})


def test_arguments_of_a_request_replace_single_ones_of_the_definition() -> None:
    definition = define("a", kwargs={"limit": 1})
    run = definition.request_run(STAFF)
    (claimed,) = ManualScheduler().claim_requested(run.queued_at).start
    assert (run.kwargs, claimed.kwargs, claimed.override) == (None, {"limit": 1}, None)


@pytest.mark.parametrize("kwargs", [{"speed": 1}, [1], "limit"])
def test_arguments_that_do_not_fit_make_no_run(kwargs: Any) -> None:
    with pytest.raises(ValidationError, match="kwargs"):
        define("a").request_run(STAFF, kwargs=kwargs)
    assert not JobRun.objects.exists()


def test_a_slot_and_attempt_has_one_row() -> None:
    definition = define("a")
    JobRun.objects.create(job=definition, scheduled_for=START)
    JobRun.objects.create(job=definition, scheduled_for=START, attempt=2)
    with pytest.raises(IntegrityError), transaction.atomic():
        JobRun.objects.create(job=definition, scheduled_for=START)


def test_a_run_that_nobody_has_taken_is_cancelled_at_once() -> None:
    run = define("a").request_run(STAFF)
    cancelled = run.request_cancel("ada")
    assert (cancelled.status, cancelled.reason) == ("cancelled", "cancelled by ada")
    assert cancelled.finished_at == cancelled.cancel_requested_at
    assert ManualScheduler().claim_requested(run.queued_at).start == []


def test_a_run_that_goes_on_is_asked_to_end() -> None:
    scheduler = ManualScheduler()
    define("a")
    (run,) = scheduler.tick(START + seconds(60))
    row = JobRun.objects.get(pk=run.id).request_cancel("ada")
    assert (row.status, row.cancel_requested_at is not None) == ("running", True)
    assert scheduler.statements.pending_work("one").cancelled
    assert not scheduler.statements.pending_work("two").cancelled


def test_a_run_that_has_ended_cannot_be_cancelled() -> None:
    scheduler = ManualScheduler()
    define("a")
    (run,) = scheduler.tick(START + seconds(60))
    scheduler.finish([run], START + seconds(61))
    with pytest.raises(RunFinished, match=r"run \d+ has already ended \(succeeded\)"):
        JobRun.objects.get(pk=run.id).request_cancel("ada")


def test_lateness_counts_from_the_slot_and_for_a_retry_from_its_time() -> None:
    slot, start = START, START + seconds(100)
    assert JobRun(scheduled_for=slot, started_at=start).lateness == 100
    assert JobRun(scheduled_for=slot, started_at=start, cause="retry", not_before=START + seconds(90)).lateness == 10
    assert JobRun(scheduled_for=slot).lateness is None


def test_only_one_of_those_who_take_a_run_gets_it() -> None:
    run = define("a").request_run(STAFF)
    assert [run.start(START, "one"), run.start(START, "two"), run.skip(START, "late")] == [True, False, False]
    assert JobRun.objects.get().instance == "one"


@pytest.mark.parametrize("run_id", [0, -1, 10**30])
def test_a_run_that_is_not_there_is_not_found(run_id: int) -> None:
    with pytest.raises(RunNotFound, match="old runs are pruned"):
        JobRun.objects.find(run_id)


def test_a_job_that_has_runs_cannot_be_deleted() -> None:
    definition = define("a")
    definition.request_run(STAFF)
    with pytest.raises(IntegrityError):
        definition.delete()


@pytest.mark.parametrize(
    "change",
    [
        "status = 'odd'",
        "slots = 0",
        "attempt = 0",
        "status = 'succeeded', finished_at = NULL",
        "status = 'running', started_at = NULL, instance = 'one'",
        "status = 'running', started_at = queued_at, instance = ''",
    ],
)
def test_the_database_refuses_a_run_that_makes_no_sense(change: str) -> None:
    define("a").request_run(STAFF)
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE jobs_jobrun SET {change}")
