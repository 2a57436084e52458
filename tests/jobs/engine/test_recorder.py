from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from structlog.testing import CapturingLogger, capture_logs

from jobs.engine.executors import RunExecutor, ThreadExecutor
from jobs.engine.reaper import settle_runs_of
from jobs.engine.recorder import Recorder
from jobs.engine.run import ClaimedRun, Outcome
from jobs.models import JobRun
from tests.jobs.engine.manual_scheduler import START, ManualScheduler, define, instance_named, outcome, seconds
from tests.support.waiting import wait_until

NOW = START + seconds(61)
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def executors() -> list[RunExecutor]:
    return []


@pytest.fixture
def recorder(executors: list[RunExecutor]) -> Iterator[Recorder]:
    recorder = Recorder(instance_named("one"), lambda: NOW, lambda: executors, lambda retries: None)
    yield recorder
    if recorder.is_alive():
        recorder.close(10)
    connections.close_all()


def started(number: int, **fields: Any) -> list[ClaimedRun]:
    """Started runs of `number` jobs, one each."""
    scheduler = ManualScheduler("one")
    for index in range(number):
        define(f"job-{index}", **fields)
    return scheduler.tick(START + seconds(60))


def write(recorder: Recorder, *outcomes: tuple[ClaimedRun, Any]) -> list[JobRun]:
    """Let the recorder write these outcomes and end; returns the rows, in the order of their ids."""
    for run, finished in outcomes:
        recorder.put([Outcome(run, finished)])
    recorder.start()
    assert recorder.close(20) == []
    return list(JobRun.objects.filter(pk__in=[run.id for run, _finished in outcomes]).order_by("pk"))


def test_many_outcomes_are_written_in_one_commit(recorder: Recorder) -> None:
    runs = started(200)
    for run in runs:
        recorder.put([Outcome(run, outcome(run.id, NOW, result="1", log="a line"))])
    recorder._statements = ManualScheduler().statements
    recorder._collect()
    with CaptureQueriesContext(connection) as queries:
        recorder._write()
    assert recorder.idle
    assert len(queries) <= 12
    assert set(JobRun.objects.values_list("status", "result", "log")) == {("succeeded", 1, "a line")}


@pytest.mark.parametrize("damage", [{"result": "{not json"}, {"error": "a\0b"}, {"status": "confused"}, {"progress": "["}])
def test_an_outcome_that_cannot_be_stored_does_not_hold_up_the_others(recorder: Recorder, damage: dict[str, Any]) -> None:
    if connection.vendor == "sqlite" and "error" in damage:
        pytest.skip("SQLite stores this")
    good, bad, good_too = started(3)
    rows = write(recorder, (good, outcome(good.id, NOW)), (bad, outcome(bad.id, NOW, **damage)), (good_too, outcome(good_too.id, NOW)))
    assert [row.status for row in rows] == ["succeeded", "failed", "succeeded"]
    assert rows[1].error.startswith("the outcome (")
    assert "could not be stored" in rows[1].error


def test_an_outcome_of_a_reaped_run_changes_no_row_and_is_logged(recorder: Recorder) -> None:
    late, good = started(2)
    settle_runs_of(["one"], NOW)
    JobRun.objects.filter(pk=good.id).update(status="running", finished_at=None)
    with capture_logs() as events:
        rows = write(recorder, (late, outcome(late.id, NOW, result="1")), (good, outcome(good.id, NOW)))
    assert [(row.status, row.result) for row in rows] == [("abandoned", None), ("succeeded", None)]
    assert [(event["event"], event["run_id"]) for event in events if event["event"] == "job_outcome_too_late"] == [("job_outcome_too_late", late.id)]


def test_an_outcome_that_is_reported_twice_is_written_once(recorder: Recorder) -> None:
    (run,) = started(1, max_retries=3)
    (row,) = write(recorder, (run, outcome(run.id, NOW)), (run, outcome(run.id, NOW)))
    assert row.status == "succeeded"
    assert JobRun.objects.count() == 1


@pytest.mark.parametrize("status", ["failed", "timed_out"])
def test_a_failed_run_is_retried_as_the_next_attempt_for_the_same_slot(recorder: Recorder, status: str) -> None:
    (run,) = started(1, max_retries=2, retry_backoff_seconds=100)
    run.override = {"limit": 5}
    write(recorder, (run, outcome(run.id, NOW, status=status)))
    retry = JobRun.objects.get(attempt=2)
    assert (retry.job_id, retry.scheduled_for, retry.cause, retry.status) == (run.job_id, run.scheduled_for, "retry", "queued")
    assert (retry.kwargs, retry.reason, retry.instance) == ({"limit": 5}, f"attempt 1 {status.replace('_', ' ')}", "")
    assert retry.not_before is not None
    assert seconds(100) <= retry.not_before - NOW <= seconds(110)


@pytest.mark.parametrize(("status", "attempt"), [("succeeded", 1), ("cancelled", 1), ("failed", 3)])
def test_succeeded_cancelled_and_last_attempts_are_not_retried(recorder: Recorder, status: str, attempt: int) -> None:
    (run,) = started(1, max_retries=2)
    run.attempt = attempt
    write(recorder, (run, outcome(run.id, NOW, status=status)))
    assert JobRun.objects.count() == 1


def test_a_retry_starts_at_its_time_and_not_before() -> None:
    scheduler, definition = ManualScheduler(), define("a", max_retries=1)
    (run,) = scheduler.tick(START + seconds(60))
    scheduler.finish([run], NOW)
    JobRun.objects.create(job=definition, scheduled_for=run.scheduled_for, attempt=2, cause="retry", not_before=NOW + seconds(30))
    assert scheduler.claim_requested(NOW + seconds(29)).start == []
    (retry,) = scheduler.claim_requested(NOW + seconds(30)).start
    assert (retry.attempt, retry.cause, retry.scheduled_for) == (2, "retry", run.scheduled_for)


def start_outage() -> Callable[[], None]:
    """Make the database refuse every write from now on; returns the function that ends the outage."""
    if connection.vendor == "sqlite":
        blocker = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")

        def release() -> None:
            blocker.execute("ROLLBACK")
            blocker.close()

        return release
    parameters = {name: value for name, value in connection.get_connection_params().items() if name not in {"cursor_factory", "context"}}
    holder = psycopg.connect(**parameters)
    holder.execute("LOCK TABLE jobs_jobrun IN ACCESS EXCLUSIVE MODE")

    def end() -> None:
        # Sessions that wait for the lock lose their connection, as in a restart of the server.
        holder.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
        holder.rollback()
        holder.close()

    return end


def test_outcomes_are_kept_during_an_outage_and_written_after_it(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = started(5)
    if connection.vendor == "sqlite":
        monkeypatch.setitem(connection.settings_dict["OPTIONS"], "timeout", 0.1)  # for connections that are opened from now on
    logger = CapturingLogger()
    monkeypatch.setattr("jobs.engine.recorder.log", logger)  # capture_logs leaves out events of level DEBUG
    end = start_outage()
    try:
        for run in runs:
            recorder.put([Outcome(run, outcome(run.id, NOW))])
        recorder.start()
        wait_until(lambda: _is_a_lock_awaited() or logger.calls)
    finally:
        end()
    wait_until(lambda: recorder.idle)
    assert {call.args for call in logger.calls} == {("job_outcomes_kept",)}
    assert set(JobRun.objects.values_list("status", flat=True)) == {"succeeded"}


def _is_a_lock_awaited() -> bool:
    if connection.vendor == "sqlite":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
        return bool(cursor.fetchone()[0])


def test_a_buffered_run_starts_in_the_room_of_a_recorded_one(recorder: Recorder, executors: list[RunExecutor]) -> None:
    scheduler = ManualScheduler("one")
    for index in range(2):
        define(f"job-{index}")
    scheduler.reconcile(START)
    claim = scheduler.claim(START + seconds(60), immediate=1, buffered=1)
    (first,), (second,) = claim.start, claim.buffer
    pool = ThreadExecutor(1, lambda: NOW, recorder.put)
    pool.in_flight[first.id] = first
    pool.buffered.append(second)
    executors.append(pool)
    recorder.start()
    assert JobRun.objects.get(pk=second.id).status == "queued"
    pool.ended(first, outcome(first.id, NOW))
    wait_until(lambda: second.id in pool.in_flight)
    row = JobRun.objects.get(pk=second.id)
    assert (row.status, row.started_at) == ("running", NOW)


def test_a_buffered_run_that_belongs_to_another_scheduler_is_not_started(recorder: Recorder, executors: list[RunExecutor]) -> None:
    (run,) = started(1)
    JobRun.objects.filter(pk=run.id).update(status="queued", instance="two", started_at=None)
    pool = ThreadExecutor(1, lambda: NOW, recorder.put)
    pool.buffered.append(run)
    executors.append(pool)
    recorder.start()
    wait_until(lambda: not pool.buffered)
    recorder.close(10)
    assert pool.in_flight == {}
    assert JobRun.objects.get(pk=run.id).instance == "two"


def test_log_and_progress_of_a_running_run_are_saved(recorder: Recorder, executors: list[RunExecutor]) -> None:
    (run,) = started(1)
    pool = ThreadExecutor(1, lambda: NOW, recorder.put)
    pool.in_flight[run.id] = run
    executors.append(pool)
    recorder.start()
    run.write_log("half way")
    run.progress(1, 2)
    wait_until(lambda: JobRun.objects.filter(pk=run.id, progress__isnull=False).exists())
    row = JobRun.objects.get(pk=run.id)
    assert (row.log, row.progress, row.status) == ("half way", {"done": 1, "total": 2, "text": ""}, "running")
