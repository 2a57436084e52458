from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django_apscheduler.models import DjangoJob

from jobs.engine.statements import for_connection
from jobs.models import FOREVER, JobDefinition, JobRun
from tests.jobs.engine.manual_scheduler import START, ManualScheduler, answers, at, define, edit_at, next_run, seconds

pytestmark = pytest.mark.django_db


def test_a_new_definition_gets_an_entry_with_the_first_slot_after_its_creation() -> None:
    define("a", interval_seconds=60)
    assert ManualScheduler().reconcile(START + seconds(30)) == 1
    assert next_run("a") == START + seconds(60)
    applied = JobDefinition.objects.get(pk="a")
    assert (applied.applied_revision, applied.applied_at, applied.applied_by) == (applied.revision, START + seconds(30), "one")


def test_one_query_finds_that_no_definition_is_unapplied(django_assert_num_queries: Any) -> None:
    scheduler = ManualScheduler()
    define("a")
    scheduler.reconcile(START)
    # The query for PostgreSQL bypasses Django's cursors, so Django does not count it.
    with django_assert_num_queries(1 if connection.vendor == "sqlite" else 0):
        assert not for_connection().pending_work("one").unapplied


def test_an_edit_outside_the_schedule_keeps_the_next_run_time() -> None:
    scheduler, definition = ManualScheduler(), define("a", interval_seconds=3600)
    scheduler.tick(START)
    DjangoJob.objects.update(next_run_time=START + seconds(17))
    edit_at(definition, START + seconds(10), title="Another title", misfire_grace_seconds=5)
    scheduler.reconcile(START + seconds(11))
    assert next_run("a") == START + seconds(17)


def test_an_edit_outside_the_schedule_takes_effect_at_the_next_claim() -> None:
    scheduler, definition = ManualScheduler(), define("a")
    scheduler.tick(START)
    edit_at(definition, START + seconds(10), kwargs={"limit": 7})
    (run,) = scheduler.tick(START + seconds(60))
    assert run.kwargs == {"limit": 7}


def test_a_shorter_interval_counts_from_the_same_anchor() -> None:
    scheduler, definition = ManualScheduler(), define("a", interval_seconds=3600)
    scheduler.tick(START)
    edit_at(definition, START + seconds(95), interval_seconds=60)
    scheduler.reconcile(START + seconds(96))
    assert next_run("a") == START + seconds(120)


@pytest.mark.parametrize("changes", [{"interval_seconds": 0}, {"archived_at": START}])
def test_a_job_off_the_schedule_has_no_entry(changes: dict[str, Any]) -> None:
    scheduler, definition = ManualScheduler(), define("a")
    scheduler.tick(START)
    edit_at(definition, START + seconds(1), **changes)
    scheduler.reconcile(START + seconds(2))
    assert not DjangoJob.objects.filter(pk="a").exists()
    assert not scheduler.tick(START + seconds(600))


@pytest.mark.parametrize("changes", [{"enabled": False}, {"trigger": "manual"}, {"paused_until": FOREVER}])
def test_a_disabled_paused_or_manual_job_keeps_its_entry_without_a_next_run_time(changes: dict[str, Any]) -> None:
    scheduler, definition = ManualScheduler(), define("a", interval_seconds=604_800)
    scheduler.tick(START)
    edit_at(definition, START + seconds(1), **changes)
    scheduler.reconcile(START + seconds(2))
    assert next_run("a") is None


def test_slots_before_an_edit_are_answered_by_the_old_schedule() -> None:
    scheduler, definition = ManualScheduler(), define("a", interval_seconds=60, misfire_grace_seconds=None)
    scheduler.tick(START)
    edit_at(definition, START + seconds(150), interval_seconds=1000)
    scheduler.reconcile(START + seconds(151))
    assert answers("a") == [(START + seconds(120), "queued", 2)]
    assert next_run("a") == START + seconds(1000)
    (run,) = scheduler.claim_requested(START + seconds(152)).start
    assert run.scheduled_for == START + seconds(120)


def test_slots_before_an_edit_that_are_later_than_their_grace_are_missed() -> None:
    scheduler, definition = ManualScheduler(), define("a", interval_seconds=60, misfire_grace_seconds=20)
    scheduler.tick(START)
    edit_at(definition, START + seconds(150), interval_seconds=1000)
    scheduler.reconcile(START + seconds(200))
    assert answers("a") == [(START + seconds(120), "missed", 2)]


def test_slots_during_a_pause_that_no_scheduler_applied_do_not_fire() -> None:
    scheduler, definition = ManualScheduler(), define("a", interval_seconds=60, misfire_grace_seconds=None)
    scheduler.tick(START)
    edit_at(definition, START + seconds(90), paused_until=FOREVER)
    edit_at(definition, START + seconds(310), paused_until=None)
    assert not scheduler.claim(START + seconds(50)).start
    scheduler.tick(START + seconds(320))
    assert answers("a") == [(START + seconds(60), "running", 1)]
    assert next_run("a") == START + seconds(360)


def test_each_of_several_edits_between_two_ticks_gets_its_own_slots() -> None:
    scheduler, definition = ManualScheduler(), define("a", interval_seconds=60, misfire_grace_seconds=None)
    scheduler.tick(START)
    edit_at(definition, START + seconds(130), interval_seconds=100)
    edit_at(definition, START + seconds(310), interval_seconds=7)
    scheduler.reconcile(START + seconds(311))
    assert answers("a") == [(START + seconds(120), "queued", 2), (START + seconds(300), "queued", 2)]
    assert next_run("a") == START + seconds(315)


def test_edits_that_commit_out_of_order_are_all_applied() -> None:
    scheduler = ManualScheduler()
    for job_id in ("first", "second"):
        define(job_id)
    JobDefinition.objects.filter(pk="second").update(interval_seconds=10)
    scheduler.reconcile(START)
    JobDefinition.objects.filter(pk="first").update(interval_seconds=10)
    assert scheduler.reconcile(START) == 1
    assert not JobDefinition.objects.unapplied().exists()


def test_a_bulk_update_is_an_edit_with_revision_history_and_effect() -> None:
    scheduler, definition = ManualScheduler(), define("a", interval_seconds=3600)
    scheduler.tick(START)
    with at(START + seconds(30)):
        JobDefinition.objects.filter(pk="a").update(interval_seconds=60)
    assert scheduler.reconcile(START + seconds(31)) == 1
    assert next_run("a") == START + seconds(60)
    assert list(definition.history.order_by("revision").values_list("revision", "interval_seconds")) == [(1, 3600), (2, 60)]


@pytest.mark.parametrize("by", ["update_fields", "update_or_create", "bulk_update"])
def test_each_way_of_writing_a_single_field_is_an_edit(by: str) -> None:
    scheduler, definition = ManualScheduler(), define("a", interval_seconds=3600)
    scheduler.tick(START)
    definition.interval_seconds = 60
    with at(START + seconds(30)):
        match by:
            case "update_fields":
                definition.save(update_fields=["interval_seconds"])
            case "update_or_create":
                JobDefinition.objects.update_or_create(id="a", defaults={"interval_seconds": 60})
            case _:
                JobDefinition.objects.bulk_update([definition], ["interval_seconds"])
    scheduler.reconcile(START + seconds(31))
    assert next_run("a") == START + seconds(60)


def test_an_edit_after_the_clock_was_set_back_repeats_no_slot() -> None:
    scheduler, definition = ManualScheduler(), define("a", interval_seconds=60)
    scheduler.tick(START)
    scheduler.finish(scheduler.tick(START + seconds(3600)), START + seconds(3600))
    edit_at(definition, START + seconds(1805), interval_seconds=45)
    scheduler.reconcile(START + seconds(3601))
    assert next_run("a") == START + seconds(3645)


def test_an_edit_dated_after_the_schedulers_clock_loses_no_slot_in_between() -> None:
    """The scheduler's clock is some milliseconds late, so an edit that it reads may be dated after it."""
    scheduler, definition = ManualScheduler(), define("a", interval_seconds=60)
    scheduler.tick(START)
    edit_at(definition, START + seconds(60.004), interval_seconds=45)
    scheduler.reconcile(START + seconds(59.999))
    assert answers("a") == [(START + seconds(60), "queued", 1)]
    assert next_run("a") == START + seconds(90)


def test_moving_a_once_job_into_the_past_starts_no_run() -> None:
    scheduler, definition = ManualScheduler(), define("a", trigger="once", run_at=START + timedelta(hours=1))
    scheduler.tick(START)
    edit_at(definition, START + seconds(60), run_at=START + seconds(30))
    assert not scheduler.tick(START + seconds(61))
    assert not JobRun.objects.exists()
