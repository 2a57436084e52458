from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core import serializers
from django.db import connection
from django_apscheduler.models import DjangoJob

from jobs.engine.reconcile import restore_entries
from jobs.engine.statements import for_connection
from jobs.models import FOREVER, JobDefinition, JobRun, ScheduledJob
from tests.jobs.engine.manual_scheduler import STAFF, START, ManualScheduler, answers, at, define, seconds

pytestmark = pytest.mark.django_db


def next_run(job_id: str) -> datetime | None:
    return ScheduledJob.objects.get(pk=job_id).next_run_time


def change(definition: JobDefinition, moment: datetime, **changes: Any) -> JobDefinition:
    with at(moment):
        return definition.edit(STAFF, **changes)


def test_a_new_definition_gets_an_entry_that_fires_after_it_was_made() -> None:
    define("a", interval_seconds=60)
    assert ManualScheduler().reconcile(START + seconds(30)) == 1
    assert next_run("a") == START + seconds(60)
    applied = JobDefinition.objects.get(pk="a")
    assert (applied.applied_revision, applied.applied_at, applied.applied_by) == (applied.revision, START + seconds(30), "one")


def test_that_nothing_has_to_be_applied_is_one_query(django_assert_num_queries: Any) -> None:
    scheduler = ManualScheduler()
    define("a")
    scheduler.reconcile(START)
    # PostgreSQL's goes past Django, which cannot count it: it is one round trip.
    with django_assert_num_queries(1 if connection.vendor == "sqlite" else 0):
        assert not for_connection().pending_work("one").unapplied


def test_an_edit_that_does_not_touch_the_schedule_leaves_the_next_run_where_it_was() -> None:
    scheduler, definition = ManualScheduler(), define("a", interval_seconds=3600)
    scheduler.tick(START)
    DjangoJob.objects.update(next_run_time=START + seconds(17))
    change(definition, START + seconds(10), title="Another title", misfire_grace_seconds=5)
    scheduler.reconcile(START + seconds(11))
    assert next_run("a") == START + seconds(17)


def test_an_edit_that_does_not_touch_the_schedule_is_part_of_the_next_claim() -> None:
    scheduler, definition = ManualScheduler(), define("a")
    scheduler.tick(START)
    change(definition, START + seconds(10), kwargs={"limit": 7})
    (run,) = scheduler.tick(START + seconds(60))
    assert run.kwargs == {"limit": 7}


def test_a_shorter_interval_counts_from_the_same_anchor() -> None:
    scheduler, definition = ManualScheduler(), define("a", interval_seconds=3600)
    scheduler.tick(START)
    change(definition, START + seconds(95), interval_seconds=60)
    scheduler.reconcile(START + seconds(96))
    assert next_run("a") == START + seconds(120)


@pytest.mark.parametrize("changes", [{"interval_seconds": 0}, {"archived_at": START}])
def test_a_job_off_the_schedule_has_no_entry(changes: dict[str, Any]) -> None:
    scheduler, definition = ManualScheduler(), define("a")
    scheduler.tick(START)
    change(definition, START + seconds(1), **changes)
    scheduler.reconcile(START + seconds(2))
    assert not DjangoJob.objects.filter(pk="a").exists()
    assert not scheduler.tick(START + seconds(600))


@pytest.mark.parametrize("changes", [{"enabled": False}, {"trigger": "manual"}, {"paused_until": FOREVER}])
def test_a_job_that_rests_keeps_its_entry_without_a_next_run(changes: dict[str, Any]) -> None:
    scheduler, definition = ManualScheduler(), define("a", interval_seconds=604_800)
    scheduler.tick(START)
    change(definition, START + seconds(1), **changes)
    scheduler.reconcile(START + seconds(2))
    assert next_run("a") is None


def test_slots_that_passed_before_the_edit_get_the_answer_of_the_old_schedule() -> None:
    scheduler, definition = ManualScheduler(), define("a", interval_seconds=60, misfire_grace_seconds=None)
    scheduler.tick(START)
    change(definition, START + seconds(150), interval_seconds=1000)
    scheduler.reconcile(START + seconds(151))
    assert answers("a") == [(START + seconds(120), "queued", 2)]
    assert next_run("a") == START + seconds(1000)
    (run,) = scheduler.claim_requested(START + seconds(152)).start
    assert run.scheduled_for == START + seconds(120)


def test_slots_that_passed_too_long_before_an_edit_are_missed() -> None:
    scheduler, definition = ManualScheduler(), define("a", interval_seconds=60, misfire_grace_seconds=20)
    scheduler.tick(START)
    change(definition, START + seconds(150), interval_seconds=1000)
    scheduler.reconcile(START + seconds(200))
    assert answers("a") == [(START + seconds(120), "missed", 2)]


def test_slots_that_pass_during_a_pause_that_nobody_applied_do_not_fire() -> None:
    scheduler, definition = ManualScheduler(), define("a", interval_seconds=60, misfire_grace_seconds=None)
    scheduler.tick(START)
    change(definition, START + seconds(90), paused_until=FOREVER)
    change(definition, START + seconds(310), paused_until=None)
    assert not scheduler.claim(START + seconds(50)).start
    scheduler.tick(START + seconds(320))
    assert answers("a") == [(START + seconds(60), "running", 1)]
    assert next_run("a") == START + seconds(360)


def test_each_of_several_edits_while_nobody_looked_is_owed_its_own_slots() -> None:
    scheduler, definition = ManualScheduler(), define("a", interval_seconds=60, misfire_grace_seconds=None)
    scheduler.tick(START)
    change(definition, START + seconds(130), interval_seconds=100)
    change(definition, START + seconds(310), interval_seconds=7)
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
def test_whoever_writes_a_single_field_makes_an_edit(by: str) -> None:
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


def test_a_definition_from_a_fixture_is_scheduled() -> None:
    scheduler = ManualScheduler()
    define("a")
    scheduler.tick(START)
    dump = serializers.serialize("json", JobDefinition.objects.all())
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM jobs_jobdefinition")
        cursor.execute("DELETE FROM django_apscheduler_djangojob")
    for loaded in serializers.deserialize("json", dump):
        loaded.save()
    restore_entries(START)
    scheduler.reconcile(START + seconds(1))
    assert next_run("a") == START + seconds(60)


def test_a_fixture_over_a_definition_that_is_there_takes_effect() -> None:
    scheduler = ManualScheduler()
    definition = define("a", interval_seconds=3600)
    scheduler.tick(START)
    dump = serializers.serialize("json", JobDefinition.objects.all())
    change(definition, START + seconds(5), interval_seconds=60)
    scheduler.tick(START + seconds(10))
    for loaded in serializers.deserialize("json", dump):
        loaded.save()
    scheduler.reconcile(START + seconds(11))
    assert next_run("a") == START + seconds(3600)


def test_an_entry_that_was_lost_is_made_again_and_repeats_no_slot() -> None:
    scheduler = ManualScheduler()
    define("a", interval_seconds=60, misfire_grace_seconds=None)
    scheduler.tick(START)
    scheduler.finish(scheduler.tick(START + seconds(300)), START + seconds(301))
    DjangoJob.objects.all().delete()
    assert restore_entries(START) == 1
    scheduler.finish(scheduler.tick(START + seconds(430)), START + seconds(431))
    assert answers("a") == [(START + seconds(300), "succeeded", 5), (START + seconds(420), "succeeded", 2)]


def test_an_entry_that_nobody_can_read_is_made_again_and_repeats_no_slot() -> None:
    scheduler = ManualScheduler()
    define("a", interval_seconds=60)
    scheduler.tick(START)
    scheduler.finish(scheduler.tick(START + seconds(300)), START + seconds(301))
    DjangoJob.objects.update(job_state=b"\x80\x04garbage")
    scheduler.claim(START + seconds(360))
    scheduler.finish(scheduler.tick(START + seconds(361)), START + seconds(362))
    assert answers("a") == [(START + seconds(300), "succeeded", 5), (START + seconds(360), "succeeded", 1)]


def test_an_entry_that_is_damaged_when_an_edit_comes_still_owes_its_slots() -> None:
    scheduler, definition = ManualScheduler(), define("a", interval_seconds=60, misfire_grace_seconds=None)
    scheduler.tick(START)
    DjangoJob.objects.update(job_state=b"{}")
    change(definition, START + seconds(130), interval_seconds=100)
    scheduler.tick(START + seconds(131))
    assert [(slot, slots) for slot, _status, slots in answers("a")] == [(START + seconds(120), 2)]
    assert next_run("a") == START + seconds(200)


def test_a_clock_that_was_set_back_lets_no_edit_repeat_slots() -> None:
    scheduler, definition = ManualScheduler(), define("a", interval_seconds=60)
    scheduler.tick(START)
    scheduler.finish(scheduler.tick(START + seconds(3600)), START + seconds(3600))
    change(definition, START + seconds(1805), interval_seconds=45)
    scheduler.reconcile(START + seconds(3601))
    assert next_run("a") == START + seconds(3645)


def test_an_edit_that_is_dated_after_our_own_clock_loses_no_slot_between_the_two() -> None:
    """Ours is a few milliseconds late: what was committed before we looked is dated after it."""
    scheduler, definition = ManualScheduler(), define("a", interval_seconds=60)
    scheduler.tick(START)
    change(definition, START + seconds(60.004), interval_seconds=45)
    scheduler.reconcile(START + seconds(59.999))
    assert answers("a") == [(START + seconds(60), "queued", 1)]
    assert next_run("a") == START + seconds(90)


def test_moving_a_once_job_into_the_past_fires_nothing() -> None:
    scheduler, definition = ManualScheduler(), define("a", trigger="once", run_at=START + timedelta(hours=1))
    scheduler.tick(START)
    change(definition, START + seconds(60), run_at=START + seconds(30))
    assert not scheduler.tick(START + seconds(61))
    assert not JobRun.objects.exists()
