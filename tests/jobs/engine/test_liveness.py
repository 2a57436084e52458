"""A scheduler without one of its threads says so, and one that was taken for dead starts anew."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
from structlog.testing import capture_logs

from jobs.engine.recorder import Recorder
from jobs.models import JobRun, SchedulerInstance
from jobs.registry import current_run, job, unregister
from tests.jobs.engine.manual_scheduler import define
from tests.jobs.engine.running_scheduler import running_scheduler
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def started() -> Iterator[threading.Event]:
    begun = threading.Event()

    @job("tests_wait_for_cancel")
    def wait_for_cancel() -> None:
        begun.set()
        wait_until(lambda: current_run().cancelled, 30)

    yield begun
    unregister("tests_wait_for_cancel")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_tick_without_the_recorder_is_a_failed_one_and_no_sign_of_life() -> None:
    def die(_self: Recorder) -> None:
        raise SystemExit

    with capture_logs() as events, running_scheduler(drain_seconds=0.1) as scheduler:
        with patch.object(Recorder, "_collect", die):
            scheduler.recorder.wake()
            wait_until(lambda: not scheduler.recorder.is_alive())
        wait_until(lambda: scheduler.backoff.failures >= 2)
        assert scheduler.backoff.problem.endswith("ThreadEnded: the thread jobs-record has ended; only a restart helps")
        before = SchedulerInstance.objects.get().heartbeat_at
        wait_until(lambda: scheduler.backoff.failures >= 6)
        assert SchedulerInstance.objects.get().heartbeat_at == before
    assert [event["event"] for event in events if event["event"] == "scheduler_tick_failed"] == ["scheduler_tick_failed"]


def test_a_scheduler_whose_row_was_deleted_goes_on_under_another_name_and_stops_what_it_ran(started: threading.Event) -> None:
    define("long", function="tests_wait_for_cancel", trigger="manual")
    run = JobRun.objects.request("long", "ada")
    with capture_logs() as events, running_scheduler() as scheduler:
        assert started.wait(10)
        old = scheduler.instance.id
        SchedulerInstance.objects.all().delete()
        wait_until(lambda: SchedulerInstance.objects.exclude(pk=old).exists(), message="it never started anew")
        wait_until(lambda: not scheduler.running_runs, message="its run goes on")
        ended = wait_until(lambda: JobRun.objects.filter(pk=run.pk, status="abandoned").first(), 20, "the run was never abandoned")
        assert ended.instance == old
        again = JobRun.objects.request(define("other", trigger="manual", function="tests_wait_for_cancel").pk, "ada")
        wait_until(lambda: JobRun.objects.filter(pk=again.pk, status="running", instance=scheduler.instance.id).exists())
        again.request_cancel("ada")
        wait_until(lambda: JobRun.objects.filter(pk=again.pk, finished_at__isnull=False).exists())
    assert [event["before"] for event in events if event["event"] == "scheduler_started_anew"] == [old]


@pytest.mark.parametrize("error", [ValueError("odd"), TypeError("odd")])
def test_the_recorder_goes_on_after_any_exception(error: Exception) -> None:
    original = Recorder._write
    failures = iter([error, error])

    def fail_twice(self: Recorder) -> Any:
        if self._pending and (failure := next(failures, None)) is not None:
            raise failure
        return original(self)

    define("job", trigger="manual")
    with patch.object(Recorder, "_write", fail_twice), running_scheduler():
        run = JobRun.objects.request("job", "ada")
        wait_until(lambda: JobRun.objects.filter(pk=run.pk, finished_at__isnull=False).exists())
