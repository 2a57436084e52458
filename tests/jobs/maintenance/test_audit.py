"""The audit finds every slot without a row, and none that has one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.maintenance.audit import audit_job
from jobs.maintenance.prune import delete
from jobs.models import JobRun
from tests.jobs.engine.manual_scheduler import STAFF, START, ManualScheduler, define, seconds

pytestmark = pytest.mark.django_db

ONE_HOUR = timedelta(hours=1)


def missing(job_id: str, until_seconds: float) -> list[float]:
    from jobs.models import JobDefinition

    found = audit_job(JobDefinition.objects.find(job_id), START - ONE_HOUR, START + seconds(until_seconds))
    assert found.missing == len(found.unanswered)
    return [(slot - START).total_seconds() for slot in found.unanswered]


def run_minutes(scheduler: ManualScheduler, count: int) -> None:
    for minute in range(1, count + 1):
        moment = START + seconds(60 * minute + 0.01)
        scheduler.finish(scheduler.tick(moment), moment)


def test_a_job_that_answered_every_slot_has_nothing_missing() -> None:
    define("steady")
    run_minutes(ManualScheduler(), 5)
    assert missing("steady", 301) == []


def test_a_row_that_disappears_is_named() -> None:
    define("robbed")
    run_minutes(ManualScheduler(), 5)
    JobRun.objects.filter(job="robbed", scheduled_for=START + seconds(120)).delete()
    assert missing("robbed", 301) == [120.0]


def test_a_row_that_answers_several_slots_counts_for_each() -> None:
    define("caught_up")
    scheduler = ManualScheduler()
    scheduler.reconcile(START)
    scheduler.claim(START + seconds(601))
    assert missing("caught_up", 602) == []
    JobRun.objects.filter(job="caught_up").update(slots=8)
    assert len(missing("caught_up", 602)) == 2


def test_slots_that_the_store_still_has_to_catch_up_with_are_not_missing() -> None:
    define("waiting")
    ManualScheduler().reconcile(START)
    assert missing("waiting", 3000) == []


def test_each_schedule_answers_for_its_own_time() -> None:
    definition = define("edited")
    scheduler = ManualScheduler()
    run_minutes(scheduler, 2)
    changed = definition.edit(STAFF, interval_seconds=30)
    JobRun.objects.filter(job="edited").delete()
    assert changed.revision == 2
    assert missing("edited", 125) == [60.0, 120.0]


def test_slots_of_pruned_runs_are_not_looked_for() -> None:
    definition = define("pruned")
    run_minutes(ManualScheduler(), 5)
    doomed = JobRun.objects.filter(job="pruned", scheduled_for__lte=START + seconds(180))
    delete(list(doomed))
    definition.refresh_from_db()
    assert definition.pruned_until == START + seconds(180)
    assert missing("pruned", 301) == []
