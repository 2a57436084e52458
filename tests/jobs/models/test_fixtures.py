"""`manage.py loaddata` goes past `save()`; what it brings has a history all the same, and the audit sees its slots."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from jobs.engine.reconcile import restore_entries
from jobs.maintenance.audit import audit_job
from jobs.models import JobDefinition, JobRun
from tests.jobs.engine.manual_scheduler import STAFF, START, ManualScheduler, answers, at, define, seconds

pytestmark = pytest.mark.django_db
FIELDS = {"function": "tests_nothing", "trigger": "interval", "interval_seconds": 60, "misfire_grace_seconds": None, "revision": 4, "applied_revision": 4}


def load(folder: Path, moment: datetime, **changes: Any) -> None:
    fixture = folder / "jobs.json"
    fixture.write_text(json.dumps([{"model": "jobs.jobdefinition", "pk": "a", "fields": FIELDS | changes}]))
    with at(moment):
        call_command("loaddata", str(fixture), verbosity=0)


def run_until(scheduler: ManualScheduler, second: int) -> None:
    scheduler.finish(scheduler.tick(START + seconds(second)), START + seconds(second))


def unanswered(until: int) -> list[float]:
    found = audit_job(JobDefinition.objects.find("a"), START, START + seconds(until))
    assert found.problem == ""
    return [(slot - START).total_seconds() for slot in found.unanswered]


def history() -> list[tuple[int, int, str, str]]:
    return list(JobDefinition.history.order_by("history_id").values_list("revision", "interval_seconds", "history_type", "source"))


def test_a_job_that_only_a_fixture_knows_is_audited(tmp_path: Path) -> None:
    scheduler = ManualScheduler()
    load(tmp_path, START)
    assert unanswered(30) == []
    for second in (1, 61, 121, 181):
        run_until(scheduler, second)
    assert history() == [(4, 60, "+", "fixture")]
    assert unanswered(182) == []
    JobRun.objects.get(scheduled_for=START + seconds(120)).delete()
    assert unanswered(182) == [120.0]


def test_a_fixture_over_a_job_that_is_there_is_an_edit(tmp_path: Path) -> None:
    scheduler = ManualScheduler()
    define("a", interval_seconds=45, misfire_grace_seconds=None)
    run_until(scheduler, 1)
    load(tmp_path, START + seconds(100), revision=1, created_at=START.isoformat())
    for second in (101, 121, 181):
        run_until(scheduler, second)
    assert history() == [(1, 45, "+", "shell"), (2, 60, "~", "fixture")]
    assert [(slot, slots) for slot, _status, slots in answers("a")] == [(START + seconds(90), 2), (START + seconds(120), 1), (START + seconds(180), 1)]
    assert unanswered(182) == []
    JobRun.objects.filter(scheduled_for=START + seconds(180)).delete()
    assert unanswered(182) == [180.0]


def test_the_same_fixture_twice_with_another_interval_is_two_edits(tmp_path: Path) -> None:
    scheduler = ManualScheduler()
    load(tmp_path, START, created_at=START.isoformat())
    run_until(scheduler, 61)
    load(tmp_path, START + seconds(65), interval_seconds=30, created_at=START.isoformat())
    run_until(scheduler, 91)
    assert history() == [(4, 60, "+", "fixture"), (5, 30, "~", "fixture")]
    assert [slot for slot, _status, _slots in answers("a")] == [START + seconds(60), START + seconds(90)]
    assert unanswered(92) == []


def test_an_edit_after_a_fixture_that_nobody_has_applied_yet_leaves_no_hole(tmp_path: Path) -> None:
    scheduler = ManualScheduler()
    load(tmp_path, START, created_at=START.isoformat())
    with at(START + seconds(70)):
        JobDefinition.objects.find("a").edit(STAFF, interval_seconds=20)
    run_until(scheduler, 81)
    run_until(scheduler, 82)
    assert unanswered(82) == []
    assert [(slot, slots) for slot, _status, slots in answers("a")] == [(START + seconds(60), 1), (START + seconds(80), 1)]


def test_a_whole_dump_brings_its_own_history(tmp_path: Path) -> None:
    """It is loaded into another database while the jobs have no runs there."""
    define("a", interval_seconds=60).edit(STAFF, title="x")
    dump = tmp_path / "dump.json"
    call_command("dumpdata", "jobs.jobdefinition", "jobs.historicaljobdefinition", output=str(dump), verbosity=0)
    before = history()
    JobDefinition.history.all().delete()
    JobDefinition.objects.all().delete()
    JobDefinition.history.all().delete()
    call_command("loaddata", str(dump), verbosity=0)
    ManualScheduler().reconcile(START + seconds(1))
    assert history() == before


def test_an_edit_at_a_database_prompt_begins_when_it_is_noticed() -> None:
    scheduler = ManualScheduler()
    define("a", interval_seconds=60, misfire_grace_seconds=None)
    run_until(scheduler, 130)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_jobdefinition SET interval_seconds = 7, revision = revision + 1")
    scheduler.reconcile(START + seconds(200))
    assert JobDefinition.objects.find("a").scheduled_from == START + seconds(200)
    scheduler.finish(scheduler.tick(START + seconds(204)), START + seconds(204))
    assert [(slot, slots) for slot, _status, slots in answers("a")] == [(START + seconds(60 * 2), 2), (START + seconds(180), 1), (START + seconds(203), 1)]
    assert history() == [(1, 60, "+", "shell"), (2, 7, "~", "fixture")]
    assert unanswered(204) == []


def test_jobs_that_were_applied_without_a_history_get_it_at_the_next_start() -> None:
    scheduler = ManualScheduler()
    define("a", interval_seconds=60)
    run_until(scheduler, 61)
    JobDefinition.history.all().delete()
    [found] = [audit_job(JobDefinition.objects.find("a"), START, START + seconds(61))]
    assert "the next scheduler that starts writes what is missing" in found.problem
    restore_entries(START + seconds(70))
    assert history() == [(1, 60, "+", "fixture")]
    assert unanswered(70) == []


def test_many_rows_of_a_bulk_insert_get_their_history_in_few_queries(django_assert_max_num_queries: Any) -> None:
    JobDefinition.objects.bulk_create([JobDefinition(id=f"bulk_{number}", function="tests_nothing", interval_seconds=60, created_at=START) for number in range(300)])
    with django_assert_max_num_queries(15):
        assert ManualScheduler().reconcile(START) == 300
    assert JobDefinition.history.count() == 300
