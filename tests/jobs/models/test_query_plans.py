"""The queries that schedulers and lists repeat use their indexes, so that they cost the same however many rows there are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import QuerySet
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django_apscheduler.models import DjangoJob

from jobs.api.pages import last_runs, page_of_runs
from jobs.engine import reaper, requested
from jobs.engine.instance import Instance
from jobs.engine.plan import Plan
from jobs.engine.statements import Statements, for_connection
from jobs.models import JobDefinition, JobRun, Status
from tests.jobs.engine.manual_scheduler import ManualScheduler, capacities, outcome

JOBS, RUNS = 20_000, 20_000
NOW = datetime(2030, 1, 1, tzinfo=UTC)

FILL = """
    INSERT INTO jobs_jobdefinition (id, title, function, kwargs, trigger, interval_seconds, cron, timezone, jitter_seconds, enabled, pause_reason,
        max_instances, coalesce, misfire_grace_seconds, max_retries, retry_backoff_seconds, retry_abandoned, executor, revision, applied_revision,
        applied_by, origin, overridden, created_at, updated_at, scheduled_from)
    SELECT 'job' || n, '', 'tests_nothing', '{{}}', 'interval', 3600, '', 'UTC', 0, true, '', 1, true, 60, 0, 30, false, 'local', 1, 1, '', 'staff', '[]',
        '{start}', '{start}', '{start}' FROM {numbers};
    INSERT INTO django_apscheduler_djangojob (id, next_run_time, job_state)
    SELECT 'job' || n, {next_run_time}, '' FROM {numbers};
    INSERT INTO jobs_jobrun (job_id, scheduled_for, slots, cause, attempt, status, reason, queued_at, started_at, finished_at, instance, requested_by,
        error, traceback, log)
    SELECT 'job' || (1 + n % 200), {slot}, 1, 'schedule', 1, 'succeeded', '', '{start}', '{start}', '{start}', 'one',
        '', '', '', '' FROM {numbers};
    ANALYZE
"""
TIME_AFTER = {"postgresql": "timestamptz '{moment}' + n * interval '1 second'", "sqlite": "datetime('{moment}', '+' || n || ' seconds')"}
"""The time `n` seconds after a moment."""

NUMBERS = {
    "postgresql": f"generate_series(1, {JOBS}) AS n",
    "sqlite": f"(WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {JOBS}) SELECT n FROM s)",
}


@pytest.fixture
def many_rows(db: None) -> Iterator[None]:
    """20,000 jobs that are not due, and as many runs that have ended."""
    start, later = (f"{moment:%Y-%m-%d %H:%M:%S}" for moment in (NOW - timedelta(days=1), NOW + timedelta(hours=1)))
    after = TIME_AFTER[connection.vendor]
    with connection.cursor() as cursor:
        for statement in FILL.split(";"):
            cursor.execute(statement.format(start=start, slot=after.format(moment=start), next_run_time=after.format(moment=later), numbers=NUMBERS[connection.vendor]))
    yield
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM sqlite_stat1")  # rolled back with the rest, but cached by the connection
            cursor.execute("ANALYZE sqlite_schema")


def plans_of(call: Callable[[], Any]) -> str:
    """The plans of every SELECT, UPDATE and DELETE that `call` makes, as text."""
    with CaptureQueriesContext(connection) as captured:
        call()
    texts = [query["sql"] for query in captured if re.match(r"\s*(SELECT|UPDATE|DELETE|WITH)", query["sql"])]
    assert texts, "nothing was asked"
    return "\n".join(_explained(text) for text in texts)


def _explained(sql: str) -> str:
    explain = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
    with connection.cursor() as cursor:
        cursor.execute(f"{explain} {sql}".replace("%", "%%"), [])
        return "\n".join(str(row[-1]) for row in cursor.fetchall())


def scans(plan: str) -> list[str]:
    """The lines of a plan that read a whole table that grows with jobs or runs."""
    whole = r"Seq Scan on (jobs_job|django_apscheduler)" if connection.vendor == "postgresql" else r"^SCAN (jobs_job|django_apscheduler)\w+\b(?! USING (COVERING )?INDEX)"
    return [line for line in plan.splitlines() if re.search(whole, line.strip())]


def rows_of(queryset: QuerySet[Any]) -> Callable[[], Any]:
    return lambda: list(queryset)


@pytest.mark.usefixtures("many_rows")
def test_a_tick_with_nothing_to_do_reads_no_table_from_end_to_end() -> None:
    # PostgreSQL's own way past Django asks the same, and is not captured.
    plan = plans_of(lambda: Statements.pending_work(for_connection(), "one"))
    assert scans(plan) == []
    for index in ("jobs_unapplied", "jobs_run_unclaimed", "jobs_run_to_cancel"):
        assert index in plan


@pytest.mark.usefixtures("many_rows")
def test_due_jobs_are_found_by_their_time() -> None:
    def claim() -> None:
        with transaction.atomic():
            assert for_connection().lock_due(NOW, 100, 50, ()) == ([], [])
            assert for_connection().lock_due(NOW, 100, 50, ["job1", "job2"]) == ([], [])
            assert for_connection().lock_due(NOW, 0, 100, ()) == ([], [])

    plan = plans_of(claim)
    assert scans(plan) == []
    assert "next_run_time" in plan


@pytest.mark.usefixtures("many_rows")
def test_the_runs_that_are_going_on_are_counted_without_those_that_have_ended() -> None:
    plan = plans_of(lambda: for_connection().occupied([f"job{number}" for number in range(500)]))
    assert scans(plan) == []
    assert "jobs_run_active" in plan


@pytest.mark.usefixtures("many_rows")
def test_definitions_to_apply_are_found_among_those_that_are_applied() -> None:
    plan = plans_of(rows_of(JobDefinition.objects.unapplied().order_by("pk")[:500]))
    assert scans(plan) == []
    assert "jobs_unapplied" in plan


@pytest.mark.usefixtures("many_rows")
def test_requested_runs_are_found_by_their_time() -> None:
    plan = plans_of(rows_of(requested._due(NOW)[:100]))
    assert scans(plan) == []
    assert "jobs_run_unclaimed" in plan


@pytest.mark.usefixtures("many_rows")
def test_a_heartbeat_finds_runs_that_nobody_owns_among_those_that_go_on() -> None:
    plan = plans_of(lambda: for_connection().housekeeping("1", NOW))
    assert scans(plan) == []
    assert "jobs_run_active" in plan
    plan = plans_of(reaper.owners_without_row)
    assert scans(plan) == []
    assert "jobs_run_active" in plan
    plan = plans_of(lambda: Instance("1").release_lost(set(), NOW))
    assert scans(plan) == []
    assert "jobs_run_active" in plan


@pytest.mark.usefixtures("many_rows")
def test_outcomes_are_written_by_id() -> None:
    last = JobRun.objects.latest("pk")
    plan = plans_of(lambda: for_connection().finish_runs([(last, outcome(last.pk, NOW, status=Status.SUCCEEDED.value))], "one"))
    assert scans(plan) == []


@pytest.mark.usefixtures("many_rows")
@pytest.mark.parametrize("job_id", ["", "job7"])
def test_a_page_of_runs_starts_at_its_cursor(job_id: str) -> None:
    _runs, cursor = page_of_runs(job_id, None, "", 20)
    plan = plans_of(lambda: page_of_runs(job_id, None, cursor, 20))
    assert scans(plan) == []
    assert "Sort" not in plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.usefixtures("many_rows")
def test_the_last_run_of_a_job_is_the_end_of_an_index() -> None:
    plan = plans_of(rows_of(last_runs("job7")[:1]))
    assert scans(plan) == []
    assert ("jobs_run_one_answer_a_slot" if connection.vendor == "postgresql" else "sqlite_autoindex_jobs_jobrun") in plan
    assert "Sort" not in plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.usefixtures("many_rows")
def test_the_first_page_finds_what_runs_and_what_failed_without_reading_the_history(admin_client: Client) -> None:
    plan = plans_of(lambda: admin_client.get("/admin/"))
    assert [line for line in scans(plan) if "jobs_jobrun" in line] == []
    assert "jobs_run_bad" in plan
    assert "jobs_run_active" in plan


@pytest.mark.usefixtures("many_rows")
@pytest.mark.parametrize("status", ["bad", "failed"])
def test_the_list_of_what_went_wrong_has_an_index(admin_client: Client, status: str) -> None:
    assert "jobs_run_bad" in plans_of(lambda: admin_client.get(f"/admin/jobs/jobrun/?status={status}"))


@pytest.mark.usefixtures("many_rows")
def test_a_claim_asks_as_often_for_a_hundred_due_jobs_as_for_one() -> None:
    assert _queries_of_a_claim(NOW - timedelta(minutes=30), 100) == _queries_of_a_claim(NOW + timedelta(minutes=30), 1)


def _queries_of_a_claim(now: datetime, count: int) -> int:
    for row in JobDefinition.objects.in_bulk([f"job{number}" for number in range(1, count + 1)]).values():
        DjangoJob.objects.filter(pk=row.pk).update(next_run_time=now, job_state=Plan.of(row).state)
    with CaptureQueriesContext(connection) as captured:
        claim = ManualScheduler().claims.claim_rows(now, capacities(now), 1000)
    assert len(claim.start) == count
    JobRun.objects.filter(status=Status.RUNNING).update(status=Status.SUCCEEDED, finished_at=now)
    return len(captured)
