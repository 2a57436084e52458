"""The drain of a scheduler: release, let runs complete, abandon the rest."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from django.utils.timezone import now
from structlog.testing import capture_logs

from jobs.models import JobRun, SchedulerInstance
from jobs.registry import job, unregister
from tests.jobs.engine.manual_scheduler import define
from tests.jobs.engine.running_scheduler import running_scheduler
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass
class HeldFunction:
    """A job function that ends when the test releases it."""

    started: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    released: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> None:
        self.started.release()
        self.released.wait(20)


@pytest.fixture
def held() -> Iterator[HeldFunction]:
    held = HeldFunction()

    @job("tests_held")
    def run_held() -> None:
        held()

    yield held
    held.released.set()
    unregister("tests_held")


def request(job_id: str, function: str = "tests_held") -> JobRun:
    return JobRun.objects.request(define(job_id, function=function, trigger="manual").pk, "ada")


def test_a_run_in_progress_completes_and_is_recorded(held: HeldFunction) -> None:
    run = request("a")
    with running_scheduler() as scheduler:
        assert held.started.acquire(timeout=10)
        scheduler.stop()
        wait_until(lambda: SchedulerInstance.objects.filter(stopping=True).exists())
        held.released.set()
        assert scheduler.ended.wait(10)
    run.refresh_from_db()
    assert run.status == "succeeded"
    assert not SchedulerInstance.objects.exists()


def test_no_run_starts_after_the_begin_of_the_drain(held: HeldFunction) -> None:
    request("a")
    with running_scheduler() as scheduler:
        assert held.started.acquire(timeout=10)
        scheduler.stop()
        wait_until(lambda: SchedulerInstance.objects.filter(stopping=True).exists())
        late = request("b", function="tests_nothing")
        held.released.set()
        assert scheduler.ended.wait(10)
    late.refresh_from_db()
    assert (late.status, late.instance) == ("queued", "")


def test_a_run_that_does_not_complete_in_time_is_abandoned(held: HeldFunction) -> None:
    run = request("a")
    with capture_logs() as events, running_scheduler(drain_seconds=0.1) as scheduler:
        assert held.started.acquire(timeout=10)
        scheduler.stop()
        assert scheduler.ended.wait(10)
        held.released.set()
    run.refresh_from_db()
    assert run.status == "abandoned"
    assert "0.1 s after" in run.reason
    assert [event["abandoned"] for event in events if event["event"] == "scheduler_stopped"] == [1]


def test_a_buffered_run_is_released_for_other_schedulers(held: HeldFunction) -> None:
    with running_scheduler(threads=1) as scheduler:
        for job_id in ("a", "b"):
            define(job_id, created_at=now(), function="tests_held", interval_seconds=1, misfire_grace_seconds=None)
        wait_until(lambda: JobRun.objects.filter(status="queued").exclude(instance="").exists())
        scheduler.stop()
        wait_until(lambda: not JobRun.objects.filter(status="queued").exclude(instance="").exists())
        held.released.set()
        assert scheduler.ended.wait(10)
    assert min(JobRun.objects.values_list("status", "instance")) == ("queued", "")
