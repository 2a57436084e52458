"""Expected claims: the statement claims a job only if its row is still as the scheduler expects it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django_apscheduler.models import DjangoJob

from jobs.engine.claim_result import ClaimResult
from jobs.engine.pools import THREADS
from jobs.models import JobDefinition, JobRun
from tests.jobs.engine.concurrently import at_the_same_time, while_held
from tests.jobs.engine.manual_scheduler import STAFF, START, ManualScheduler, answers, capacities, define, edit_at, seconds

pytestmark = pytest.mark.django_db


def claim_expected(scheduler: ManualScheduler, now: datetime, **capacity: Any) -> ClaimResult:
    return scheduler.claims.claim_expected(now, capacities(now, **capacity), 1000)


def applied(*job_ids: str, **fields: Any) -> ManualScheduler:
    scheduler = ManualScheduler()
    for job_id in job_ids:
        define(job_id, **fields)
    scheduler.reconcile(START)
    return scheduler


def test_jobs_that_this_scheduler_applied_or_claimed_are_claimed_without_reading_rows() -> None:
    scheduler = applied("a", "b")
    for minute in (1, 2, 3):
        claim = claim_expected(scheduler, START + seconds(60 * minute))
        assert sorted(run.job_id for run in claim.start) == ["a", "b"]
        assert not claim.needs_rows
        assert claim.answered == 2
        scheduler.finish(claim.start, START + seconds(60 * minute + 1))
    assert answers("a") == [(START + seconds(60 * minute), "succeeded", 1) for minute in (1, 2, 3)]


@pytest.mark.parametrize(("count", "on_sqlite"), [(1, 6), (100, 10)])
def test_an_expected_claim_takes_few_queries(count: int, on_sqlite: int) -> None:
    """On SQLite: two for the savepoint, one for the runs in progress, one for the next id, and some for the rows, in groups of a power of two."""
    scheduler = applied(*[f"job-{number}" for number in range(count)])
    with CaptureQueriesContext(connection) as captured:
        assert len(claim_expected(scheduler, START + seconds(60)).start) == count
    assert len(captured) == (1 if connection.vendor == "postgresql" else on_sqlite)


@pytest.mark.parametrize("changes", [{"enabled": False}, {"interval_seconds": 3600}, {"archived_at": START}])
def test_a_claim_starts_only_what_is_applied(changes: dict[str, Any]) -> None:
    """A scheduler that was frozen while a job was edited goes on with a claim, and has not seen the edit."""
    scheduler = applied("edited", "untouched")
    edit_at(JobDefinition.objects.get(pk="edited"), START + seconds(30), **changes)
    now = START + seconds(61)
    started = claim_expected(scheduler, now).start + scheduler.claims.claim_rows(now, capacities(now), 1000).start
    assert [run.job_id for run in started] == ["untouched"]
    scheduler.reconcile(now)
    assert not claim_expected(scheduler, now).start
    assert answers("edited") == []


def test_late_slots_share_one_run_whose_reason_says_so() -> None:
    scheduler = applied("a", misfire_grace_seconds=None)
    (run,) = claim_expected(scheduler, START + seconds(200)).start
    row = JobRun.objects.get()
    assert (run.id, row.scheduled_for, row.slots) == (row.pk, START + seconds(180), 3)
    assert row.reason.startswith("covers 3 scheduled times since")
    assert (row.status, row.instance, row.started_at, row.queued_at) == ("running", "one", START + seconds(200), START + seconds(200))


def _move() -> None:
    DjangoJob.objects.filter(pk="a").update(next_run_time=START + seconds(600))


def _edit() -> None:
    JobDefinition.objects.get(pk="a").edit(STAFF, misfire_grace_seconds=5)
    ManualScheduler("two").reconcile(START + seconds(30))
    DjangoJob.objects.filter(pk="a").update(next_run_time=START + seconds(60))  # the same fire time, another policy


def _remove() -> None:
    DjangoJob.objects.filter(pk="a").delete()


def _start_elsewhere() -> None:
    JobRun.objects.create(job_id="a", scheduled_for=START, status="running", started_at=START, instance="two")


def _answer() -> None:
    JobRun.objects.create(job_id="a", scheduled_for=START + seconds(60), status="skipped", finished_at=START, reason="another scheduler answered it")


@pytest.mark.parametrize("change", [_move, _edit, _remove, _start_elsewhere, _answer], ids=["moved", "edited", "removed", "in progress elsewhere", "answered"])
def test_a_job_whose_row_differs_is_left_to_the_claim_of_rows_and_other_jobs_are_claimed(change: Callable[[], None]) -> None:
    scheduler = applied("a", "b")
    change()
    before = list(JobRun.objects.filter(job="a"))
    claim = claim_expected(scheduler, START + seconds(60))
    assert claim.needs_rows
    assert list(JobRun.objects.filter(job="a")) == before
    rest = scheduler.claims.claim_rows(START + seconds(60), capacities(START + seconds(60)), 1000)
    assert [run.job_id for run in claim.start + rest.start if run.job_id == "b"] == ["b"]
    assert answers("b") == [(START + seconds(60), "running", 1)]


@pytest.mark.parametrize("other", ["0", "b"])
def test_a_claim_of_an_answered_slot_starts_only_runs_that_it_has_stored(other: str) -> None:
    """A PL/pgSQL function that fails keeps the rows that it has returned, although its changes are rolled back."""
    scheduler = applied("a", other)
    _answer()
    claim = scheduler.claim(START + seconds(60))
    assert [run.job_id for run in claim.start] == [other]
    assert [run.id for run in claim.start] == list(JobRun.objects.filter(status="running").values_list("pk", flat=True))


def test_a_slot_of_a_job_with_a_run_in_progress_is_skipped_by_the_claim_of_rows() -> None:
    scheduler = applied("a")
    (run,) = claim_expected(scheduler, START + seconds(60)).start
    assert claim_expected(scheduler, START + seconds(120)).needs_rows
    scheduler.claim(START + seconds(120))
    assert [(status, slots) for _slot, status, slots in answers("a")] == [("running", 1), ("skipped", 1)]
    scheduler.finish([run], START + seconds(130))
    assert [run.job_id for run in claim_expected(scheduler, START + seconds(180)).start] == ["a"]  # the claim of rows has put it into the due queue


def test_a_slot_later_than_its_grace_is_left_to_the_claim_of_rows() -> None:
    scheduler = applied("a", misfire_grace_seconds=10)
    claim = claim_expected(scheduler, START + seconds(71))
    assert (claim.start, claim.needs_rows) == ([], True)
    scheduler.claim(START + seconds(71))
    assert answers("a") == [(START + seconds(60), "missed", 1)]


def test_states_without_a_digest_differ_by_their_revision() -> None:
    """Earlier versions of the store wrote such states."""
    applied("a")
    entry = DjangoJob.objects.get(pk="a")
    values = json.loads(bytes(entry.job_state))
    del values["digest"]
    DjangoJob.objects.update(job_state=json.dumps(values, separators=(",", ":")).encode())
    scheduler = ManualScheduler()
    for minute in (1, 2):
        claim = claim_expected(scheduler, START + seconds(60 * minute)) if minute == 2 else scheduler.claim(START + seconds(60))
        assert [run.job_id for run in claim.start] == ["a"]
        scheduler.finish(claim.start, START + seconds(60 * minute))
    values["revision"] += 1
    DjangoJob.objects.update(job_state=json.dumps(values, separators=(",", ":")).encode())
    assert claim_expected(scheduler, START + seconds(180)).needs_rows
    assert JobRun.objects.count() == 2


def test_due_jobs_without_room_stay_in_the_due_queue() -> None:
    scheduler = applied(*[f"job-{number}" for number in range(5)])
    now = START + seconds(60)
    first = claim_expected(scheduler, now, immediate=2)
    assert (len(first.start), first.pools_full, first.needs_rows) == (2, {THREADS}, False)
    second = claim_expected(scheduler, now)
    assert (len(second.start), second.pools_full) == (3, set())
    assert len({run.job_id for run in first.start + second.start}) == 5


def test_due_jobs_of_a_failed_claim_stay_in_the_due_queue() -> None:
    scheduler = applied("a", "b")
    now = START + seconds(60)
    with failing_writes(), pytest.raises(OperationalError):
        claim_expected(scheduler, now)
    assert scheduler.plans.due_queue.earliest == now
    assert sorted(run.job_id for run in claim_expected(scheduler, now).start) == ["a", "b"]


@contextmanager
def failing_writes() -> Iterator[None]:
    """Let this connection refuse to write."""
    if connection.vendor == "postgresql":
        with connection.execute_wrapper(_fail):
            yield
        return
    connection.cursor().execute("PRAGMA query_only = ON")
    yield
    connection.cursor().execute("PRAGMA query_only = OFF")


def _fail(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    if "jobs_claim" in sql or "INSERT" in sql:
        raise OperationalError("the disk is full")
    return execute(sql, params, many, context)


def test_preloaded_jobs_are_claimed_by_the_claim_of_rows_first() -> None:
    applied("a")
    fresh = ManualScheduler("two")
    fresh.plans.preload()
    assert fresh.plans.due_queue.next_at == START + seconds(60)
    assert claim_expected(fresh, START + seconds(60)).needs_rows
    assert [run.job_id for run in fresh.claim(START + seconds(60)).start] == ["a"]
    fresh.finish(fresh.claim(START + seconds(60)).start, START)
    assert fresh.plans.due_queue.next_at == START + seconds(120)


def test_jobs_with_the_same_fire_time_are_looked_up_by_id() -> None:
    """PostgreSQL counts the rows that a transaction reads: no sequential scan, and not all 300 rows for each of 300 jobs."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite does not count them")
    scheduler = applied(*[f"job-{number}" for number in range(300)])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE django_apscheduler_djangojob, jobs_jobrun")
        before = _read(cursor)
        assert len(claim_expected(scheduler, START + seconds(60)).start) == 300
        scans, rows = (after - earlier for after, earlier in zip(_read(cursor), before, strict=True))
    assert scans == 0
    assert rows <= 5 * 300


def _read(cursor: Any) -> tuple[int, int]:
    cursor.execute("SELECT SUM(seq_scan), SUM(idx_tup_fetch) FROM pg_stat_xact_user_tables WHERE relname IN ('django_apscheduler_djangojob', 'jobs_jobrun')")
    return cursor.fetchone()  # type: ignore[no-any-return]  # two numbers


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_claim_does_not_wait_for_a_locked_row() -> None:
    scheduler = applied("held", "free")
    claimed = while_held("held", lambda: claim_expected(scheduler, START + seconds(60)))
    assert ([run.job_id for run in claimed.start], claimed.needs_rows) == (["free"], True)
    assert [run.job_id for run in scheduler.claim(START + seconds(60)).start] == ["held"]


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_claim_counts_a_run_that_started_while_its_job_was_locked() -> None:
    """The claim counts the runs in progress after it has the lock; a count from its begin would be outdated."""
    scheduler = applied("a")
    JobRun.objects.request("a", "ada")
    now = JobRun.objects.get().queued_at
    claims = at_the_same_time(*[lambda: scheduler.claim_requested(now), lambda: claim_expected(scheduler, START + seconds(60))])
    scheduler.claim(START + seconds(60))
    assert sum(len(claim.start) for claim in claims) == 1
    assert JobRun.objects.filter(status="running").count() == 1
