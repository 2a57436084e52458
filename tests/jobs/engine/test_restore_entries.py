"""Entries of the store that are missing, unreadable or made from a fixture."""

from __future__ import annotations

import pytest
from django.core import serializers
from django.db import connection
from django_apscheduler.models import DjangoJob

from jobs.engine.reconcile import restore_entries
from jobs.models import JobDefinition
from tests.jobs.engine.manual_scheduler import START, ManualScheduler, answers, define, edit_at, next_run, seconds

pytestmark = pytest.mark.django_db


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


def test_a_fixture_that_overwrites_a_definition_takes_effect() -> None:
    scheduler = ManualScheduler()
    definition = define("a", interval_seconds=3600)
    scheduler.tick(START)
    dump = serializers.serialize("json", JobDefinition.objects.all())
    edit_at(definition, START + seconds(5), interval_seconds=60)
    scheduler.tick(START + seconds(10))
    for loaded in serializers.deserialize("json", dump):
        loaded.save()
    scheduler.reconcile(START + seconds(11))
    assert next_run("a") == START + seconds(3600)


def test_a_lost_entry_is_made_again_and_repeats_no_slot() -> None:
    scheduler = ManualScheduler()
    define("a", interval_seconds=60, misfire_grace_seconds=None)
    scheduler.tick(START)
    scheduler.finish(scheduler.tick(START + seconds(300)), START + seconds(301))
    DjangoJob.objects.all().delete()
    assert restore_entries(START) == 1
    scheduler.finish(scheduler.tick(START + seconds(430)), START + seconds(431))
    assert answers("a") == [(START + seconds(300), "succeeded", 5), (START + seconds(420), "succeeded", 2)]


def test_an_unreadable_entry_is_made_again_and_repeats_no_slot() -> None:
    scheduler = ManualScheduler()
    define("a", interval_seconds=60)
    scheduler.tick(START)
    scheduler.finish(scheduler.tick(START + seconds(300)), START + seconds(301))
    DjangoJob.objects.update(job_state=b"\x80\x04garbage")
    scheduler.claim(START + seconds(360))
    scheduler.finish(scheduler.tick(START + seconds(361)), START + seconds(362))
    assert answers("a") == [(START + seconds(300), "succeeded", 5), (START + seconds(360), "succeeded", 1)]


def test_an_edit_of_a_job_with_a_damaged_entry_answers_the_slots_before_it() -> None:
    scheduler, definition = ManualScheduler(), define("a", interval_seconds=60, misfire_grace_seconds=None)
    scheduler.tick(START)
    DjangoJob.objects.update(job_state=b"{}")
    edit_at(definition, START + seconds(130), interval_seconds=100)
    scheduler.tick(START + seconds(131))
    assert [(slot, slots) for slot, _status, slots in answers("a")] == [(START + seconds(120), 2)]
    assert next_run("a") == START + seconds(200)
