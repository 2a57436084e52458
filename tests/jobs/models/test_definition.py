from __future__ import annotations

import threading
from itertools import accumulate
from typing import Any
from unittest.mock import patch

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import DatabaseError, connection, connections, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.exceptions import JobArchived, JobExists, JobNotFound, RevisionMismatch
from jobs.models import CODE, FOREVER, JobDefinition, JobRun
from tests.jobs.engine.manual_scheduler import STAFF, START, at, define, seconds

pytestmark = pytest.mark.django_db


def stored(job_id: str = "a") -> JobDefinition:
    return JobDefinition.objects.get(pk=job_id)


BAD = [
    ("interval_seconds", -1, "greater than or equal to 0"),
    ("interval_seconds", 1.5, "1.5 is not a whole number"),
    ("interval_seconds", 10**13, "less than or equal to 31622400"),
    ("interval_seconds", 31_622_401, "less than or equal to 31622400"),
    ("interval_seconds", "soon", "must be an integer"),
    ("interval_seconds", True, "is not a whole number"),
    ("cron", "61 * * * *", "The minute field cannot be 61"),
    ("cron", "0 0 31 2 *", "on dates that exist"),
    ("cron", "0 0 1--100000000 * *", "The day-of-month field cannot be"),
    ("cron", "", "Expected five fields"),
    ("timezone", "Mars/Olympus", 'Unknown time zone "Mars/Olympus". Example: Europe/Vienna.'),
    ("kwargs", {"speed": 1}, "unexpected keyword argument 'speed'; tests_nothing takes (limit: 'int' = 1)"),
    ("kwargs", [1], "Expected an object of names and values"),
    ("function", "gone_away", "is not a valid choice"),
    ("max_instances", 0, "greater than or equal to 1"),
    ("timeout_seconds", 0, "greater than or equal to 1"),
    ("misfire_grace_seconds", -1, "greater than or equal to 0"),
    ("jitter_seconds", 60, "The jitter must be shorter than the interval"),
    ("ends_at", START, "The end must be later than the start"),
    ("run_at", None, "A job that runs once needs a time"),
    ("colour", "red", "There is no such field"),
    ("revision", 7, "This field cannot be changed"),
    ("id", "b", "This field cannot be changed"),
]


# What has to be set as well before the field matters.
TOGETHER: dict[str, dict[str, Any]] = {"cron": {"trigger": "cron"}, "ends_at": {"starts_at": START}, "run_at": {"trigger": "once"}}


def test_jitter_is_shorter_than_the_shortest_time_between_two_runs() -> None:
    definition = define("a")
    definition.edit(STAFF, trigger="cron", cron="0,30 1 * * *", jitter_seconds=1799)
    with pytest.raises(ValidationError) as refused:
        definition.edit(STAFF, jitter_seconds=1800)
    assert refused.value.message_dict == {"jitter_seconds": ["The jitter must be shorter than the shortest time between two runs, 1800 s."]}


@pytest.mark.parametrize(("field", "value", "words"), BAD)
def test_bad_input_is_refused_at_its_field_and_nothing_is_stored(field: str, value: Any, words: str) -> None:
    definition = define("a")
    before = JobDefinition.objects.values().get()
    with pytest.raises(ValidationError) as refused:
        definition.edit(STAFF, **{"title": "never stored", field: value} | TOGETHER.get(field, {}))
    assert words in " ".join(refused.value.message_dict[field])
    assert JobDefinition.objects.values().get() == before
    assert definition.history.count() == 1


@pytest.mark.parametrize(("field", "value"), [case[:2] for case in BAD if case[0] not in {"colour", "revision", "id"}])
def test_bad_input_makes_no_definition(field: str, value: Any) -> None:
    fields: dict[str, Any] = {"id": "new", "function": "tests_nothing", "trigger": "interval", "interval_seconds": 60}
    fields |= TOGETHER.get(field, {})
    with pytest.raises(ValidationError) as refused:
        JobDefinition.objects.add(STAFF, **fields | {field: value})
    assert field in refused.value.message_dict
    assert not JobDefinition.objects.exists()


@pytest.mark.parametrize("job_id", ["", "with space", "ümlaut", "a/b", "x" * 101])
def test_an_id_is_a_slug(job_id: str) -> None:
    with pytest.raises(ValidationError, match="id"):
        JobDefinition.objects.add(STAFF, id=job_id, function="tests_nothing")


def test_an_id_is_taken_once_even_by_an_archived_job() -> None:
    define("a").archive(STAFF)
    with pytest.raises(JobExists, match="it is archived: restore it, or choose another id"):
        JobDefinition.objects.add(STAFF, id="a", function="tests_nothing")


def test_an_edit_makes_the_next_revision_and_returns_the_new_row() -> None:
    definition = define("a")
    edited = definition.edit(STAFF, interval_seconds=5)
    assert (edited.revision, edited.interval_seconds, stored().revision, stored().interval_seconds) == (2, 5, 2, 5)


def test_an_edit_of_another_revision_is_refused_with_both_numbers() -> None:
    definition = define("a")
    definition.edit(STAFF, expected_revision=1, interval_seconds=5)
    with pytest.raises(RevisionMismatch, match="job 'a' is at revision 2, not 1: it was changed in between"):
        definition.edit(STAFF, expected_revision=1, interval_seconds=6)
    assert stored().interval_seconds == 5


@pytest.mark.django_db(transaction=True)
def test_of_two_who_edit_the_same_revision_at_once_one_is_told() -> None:
    define("a")
    barrier, outcomes = threading.Barrier(2), list[str]()

    def edit(interval: int) -> None:
        definition = stored()
        barrier.wait(10)
        try:
            definition.edit(STAFF, expected_revision=1, interval_seconds=interval)
            outcomes.append("stored")
        except RevisionMismatch:
            outcomes.append("refused")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=edit, args=[interval]) for interval in (5, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(outcomes) == ["refused", "stored"]
    assert stored().revision == 2


def test_only_a_change_of_the_schedule_moves_where_it_starts_from() -> None:
    definition = define("a")
    assert definition.edit(STAFF, title="x", misfire_grace_seconds=None, max_retries=3).scheduled_from == START
    with at(START + seconds(30)):
        moved = definition.edit(STAFF, interval_seconds=61)
    assert moved.scheduled_from == moved.updated_at == START + seconds(30)


@pytest.mark.parametrize("in_bulk", [False, True])
@given(walls=st.lists(st.integers(-3600, 3600), min_size=2, max_size=6))
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_schedules_follow_each_other_although_the_clock_is_set_back_between_two_edits(walls: list[int], in_bulk: bool) -> None:
    with transaction.atomic():
        definition = define("a")
        JobRun.objects.create(job=definition, scheduled_for=START + seconds(1800), status="queued")
        for number, wall in enumerate(walls):
            with at(START + seconds(wall)):
                if in_bulk:
                    JobDefinition.objects.filter(pk="a").update(interval_seconds=100 + number)
                else:
                    stored().edit(STAFF, interval_seconds=100 + number)
        starts = list(definition.history.order_by("revision").values_list("scheduled_from", flat=True))
        assert starts == [START, *accumulate((START + seconds(max(wall, 1800)) for wall in walls), max)]
        transaction.set_rollback(True)


def test_a_stale_copy_that_is_saved_does_not_take_the_schedules_start_back() -> None:
    definition = define("a")
    stale = stored()
    with at(START + seconds(30)):
        definition.edit(STAFF, interval_seconds=61)
    with at(START + seconds(40)):
        changed = stored().edit(STAFF, interval_seconds=stale.interval_seconds)
    stale.title = "stale"
    stale.save()
    assert stored().scheduled_from == changed.scheduled_from == START + seconds(40)


def test_a_definition_is_dated_by_the_databases_clock_unless_somebody_says_when() -> None:
    """A web server whose clock is ahead would let the first slot wait; one that is behind would have slots missed from the start."""
    with time_machine.travel(START, tick=False), patch("jobs.clock._ask_postgresql", lambda: START + seconds(10)):
        made = JobDefinition.objects.add(STAFF, id="made", function="tests_nothing", interval_seconds=60)
        backdated = JobDefinition.objects.add(STAFF, id="backdated", function="tests_nothing", interval_seconds=60, created_at=START - seconds(5))
    ahead = 10 if connection.vendor == "postgresql" else 0  # SQLite has no clock but this machine's
    assert (made.created_at, made.scheduled_from, made.updated_at) == (START + seconds(ahead),) * 3
    assert (backdated.created_at, backdated.scheduled_from) == (START - seconds(5),) * 2


def test_a_pause_lasts_until_its_time_or_until_somebody_resumes_the_job() -> None:
    definition = define("a")
    paused = definition.pause(STAFF, until=START + seconds(60), reason="maintenance")
    assert (paused.paused_until, paused.pause_reason) == (START + seconds(60), "maintenance")
    assert paused.is_paused(START + seconds(59))
    assert not paused.is_paused(START + seconds(60))
    assert definition.pause(STAFF).paused_until == FOREVER
    resumed = definition.resume(STAFF)
    assert (resumed.paused_until, resumed.pause_reason) == (None, "")


def test_an_archived_job_keeps_its_row_cannot_run_and_can_be_restored() -> None:
    definition = define("a")
    archived = definition.archive(STAFF)
    assert not archived.is_registered
    assert not JobDefinition.objects.current().exists()
    with pytest.raises(JobArchived, match="job 'a' is archived; restore it first"):
        archived.request_run(STAFF)
    assert archived.archive(STAFF).archived_at == archived.archived_at
    assert definition.restore(STAFF).is_registered


def test_a_job_that_is_not_there_is_not_found() -> None:
    with pytest.raises(JobNotFound, match="no job has the id 'nowhere'"):
        JobDefinition.objects.find("nowhere")


# -- the database itself --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        "interval_seconds = -1",
        "interval_seconds = 31622401",
        "\"trigger\" = 'sometimes'",
        "\"trigger\" = 'cron', cron = ''",
        "\"trigger\" = 'once', run_at = NULL",
        "starts_at = '2030-01-02 00:00:00', ends_at = '2030-01-01 00:00:00'",
        "max_instances = 0",
        "misfire_grace_seconds = -5",
        "title = NULL",
    ],
)
def test_the_database_refuses_a_definition_that_makes_no_sense(change: str) -> None:
    define("a")
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE jobs_jobdefinition SET {change} WHERE id = 'a'")


def test_code_is_an_author_like_others() -> None:
    definition = define("a").edit(CODE, title="x", reason="because")
    assert definition.history.get(revision=2).source == "code"


@pytest.mark.parametrize("change", [{"title": "Old"}, {"enabled": False}, {"paused_until": None}, {"archived_at": START}, {"jitter_seconds": 30}])
def test_a_stored_cron_job_with_too_much_jitter_can_be_edited(change: dict[str, Any]) -> None:
    definition = define("old", trigger="cron", cron="* * * * *", interval_seconds=0)
    JobDefinition.objects.filter(pk="old").update(jitter_seconds=86_400)
    definition.refresh_from_db()
    assert JobDefinition.objects.get(pk="old").problem is None
    definition.edit(STAFF, **change)
    with pytest.raises(ValidationError):
        definition.edit(STAFF, jitter_seconds=7200)
