"""The audit finds every slot without a row, and none that has one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.maintenance.audit import audit_job
from jobs.maintenance.prune import delete
from jobs.models import JobDefinition, JobRun
from tests.jobs.engine.manual_scheduler import STAFF, START, ManualScheduler, answers, define, edit_at, seconds

pytestmark = pytest.mark.django_db

ONE_HOUR = timedelta(hours=1)


def missing(job_id: str, until_seconds: float) -> list[float]:
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


def test_slots_that_were_answered_while_the_clock_was_ahead_are_not_missing() -> None:
    """Their row is one hour in the future again; it counts the slots before it."""
    define("ahead")
    scheduler = ManualScheduler()
    run_minutes(scheduler, 2)
    scheduler.finish(scheduler.tick(START + seconds(3601)), START + seconds(3602))
    assert missing("ahead", 300) == []
    assert missing("ahead", 4000) == []
    JobRun.objects.filter(job="ahead").latest("scheduled_for").delete()
    assert missing("ahead", 300)[:1] == [180.0]


def test_a_row_whose_slots_began_before_the_time_that_is_asked_for_is_no_surplus() -> None:
    define("asked")
    scheduler = ManualScheduler()
    scheduler.reconcile(START)
    scheduler.claim(START + seconds(601))
    found = audit_job(JobDefinition.objects.find("asked"), START + seconds(300), START + seconds(602))
    assert (found.slots, found.missing, found.surplus) == (5, 0, 0)


def test_a_slot_between_the_stamp_of_an_edit_and_its_commit_belongs_to_the_schedule_before_it() -> None:
    definition = define("raced")
    scheduler = ManualScheduler()
    run_minutes(scheduler, 1)
    runs = scheduler.tick(START + seconds(120.01))
    scheduler.finish(runs, START + seconds(120.02))
    edit_at(definition, START + seconds(119), interval_seconds=45)
    definition.refresh_from_db()
    stamped = START + seconds(119)  # as an edit that was stamped before the claim and committed after it
    JobDefinition.objects.filter(pk="raced").update(scheduled_from=stamped)
    definition.history.filter(revision=2).update(scheduled_from=stamped)
    scheduler.tick(START + seconds(136))
    assert [slot - START for slot, _status, _slots in answers("raced")] == [seconds(60), seconds(120), seconds(135)]
    found = audit_job(JobDefinition.objects.find("raced"), START - ONE_HOUR, START + seconds(137))
    assert found.is_silent, found


def test_a_row_beside_the_slots_is_named_and_answers_none() -> None:
    define("moved")
    run_minutes(ManualScheduler(), 3)
    JobRun.objects.filter(job="moved", scheduled_for=START + seconds(120)).update(scheduled_for=START + seconds(130))
    found = audit_job(JobDefinition.objects.find("moved"), START - ONE_HOUR, START + seconds(181))
    assert (found.missing, found.unanswered) == (1, [START + seconds(120)])
    assert (found.surplus, found.unexpected) == (1, [START + seconds(130)])


def test_a_row_beside_the_slots_of_a_coalesced_stretch_is_the_only_surplus() -> None:
    define("stretch")
    scheduler = ManualScheduler()
    run_minutes(scheduler, 1)
    scheduler.finish(scheduler.tick(START + seconds(241)), START + seconds(242))
    extra = START + seconds(120.5)
    JobRun.objects.create(job_id="stretch", scheduled_for=extra, status="missed", queued_at=extra, finished_at=extra)
    found = audit_job(JobDefinition.objects.find("stretch"), START - ONE_HOUR, START + seconds(243))
    assert (found.missing, found.surplus, found.unexpected) == (0, 1, [extra])


def test_runs_of_a_paused_job_are_surplus() -> None:
    definition = define("paused")
    scheduler = ManualScheduler()
    run_minutes(scheduler, 1)
    edit_at(definition, START + seconds(61), enabled=False)
    scheduler.reconcile(START + seconds(62))
    slot = START + seconds(120)
    JobRun.objects.create(job_id="paused", scheduled_for=slot, status="missed", queued_at=slot, finished_at=slot)
    found = audit_job(JobDefinition.objects.find("paused"), START - ONE_HOUR, START + seconds(181))
    assert (found.missing, found.surplus, found.unexpected) == (0, 1, [slot])


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
