from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from jobs.engine.executors import ThreadExecutor
from jobs.engine.instance import Instance
from jobs.engine.reaper import reap
from jobs.engine.run import ClaimedRun
from jobs.models import JobRun, SchedulerInstance
from jobs.models.instance import ALIVE_FOR
from tests.jobs.engine.manual_scheduler import START, ManualScheduler, define, outcome, seconds

NOW = START + seconds(120)
pytestmark = pytest.mark.django_db


def instance(name: str, heartbeat_age: timedelta) -> ManualScheduler:
    """A scheduler whose last heartbeat was `heartbeat_age` before NOW."""
    SchedulerInstance.objects.create(id=name, hostname="h", pid=1, version="", started_at=START, heartbeat_at=NOW - heartbeat_age)
    return ManualScheduler(name)


def claimed(scheduler: ManualScheduler, **fields: Any) -> tuple[ClaimedRun, ClaimedRun]:
    """A run that the scheduler has started, and one that it has buffered."""
    define("started", **fields)
    define("buffered", **fields)
    scheduler.reconcile(START)
    claim = scheduler.claim(START + seconds(60), immediate=1, buffered=1)
    return claim.start[0], claim.buffer[0]


def reap_as_another() -> None:
    other = Instance("")
    other.register(NOW)
    reap(NOW, NOW, except_for=other.id)


def test_a_buffered_run_of_a_silent_scheduler_is_released() -> None:
    _started, buffered = claimed(instance("silent", ALIVE_FOR + seconds(1)))
    reap_as_another()
    row = JobRun.objects.get(pk=buffered.id)
    assert (row.status, row.instance, row.not_before) == ("queued", "", NOW)
    assert [run.id for run in ManualScheduler("other").claim_requested(NOW).start] == [buffered.id]


def test_a_running_run_of_a_silent_scheduler_is_abandoned_and_not_retried() -> None:
    started, _buffered = claimed(instance("silent", ALIVE_FOR + seconds(1)))
    reap_as_another()
    row = JobRun.objects.get(pk=started.id)
    assert (row.status, row.finished_at, row.reason) == ("abandoned", NOW, "its scheduler process died")
    assert not JobRun.objects.filter(attempt=2).exists()
    assert not SchedulerInstance.objects.filter(pk="silent").exists()


def test_an_abandoned_run_is_retried_with_retry_abandoned() -> None:
    started, _buffered = claimed(instance("silent", ALIVE_FOR + seconds(1)), retry_abandoned=True, retry_backoff_seconds=10)
    reap_as_another()
    retry = JobRun.objects.get(attempt=2)
    assert (retry.job_id, retry.scheduled_for, retry.cause, retry.reason) == (started.job_id, started.scheduled_for, "retry", "attempt 1 abandoned")
    assert retry.not_before is not None
    assert seconds(10) <= retry.not_before - NOW <= seconds(11)


def test_a_retry_that_is_abandoned_too_is_not_retried() -> None:
    scheduler = instance("silent", ALIVE_FOR + seconds(1))
    started, _buffered = claimed(scheduler, retry_abandoned=True)
    JobRun.objects.filter(pk=started.id).update(attempt=2)
    reap_as_another()
    assert not JobRun.objects.filter(attempt=3).exists()


@pytest.mark.parametrize("age", [seconds(0), ALIVE_FOR, seconds(-3)])
def test_the_runs_of_a_live_scheduler_are_left_alone(age: timedelta) -> None:
    """An instance is alive with a heartbeat of exactly the limit, and with one in the future."""
    started, buffered = claimed(instance("alive", age))
    reap_as_another()
    assert dict(JobRun.objects.values_list("pk", "status")) == {started.id: "running", buffered.id: "queued"}
    assert JobRun.objects.filter(instance="alive").count() == 2


def test_the_runs_of_a_scheduler_without_a_row_are_settled() -> None:
    started, buffered = claimed(ManualScheduler("unknown"))
    reap_as_another()
    assert dict(JobRun.objects.values_list("pk", "status")) == {started.id: "abandoned", buffered.id: "queued"}


def test_a_scheduler_does_not_reap_itself() -> None:
    own = Instance("")
    own.register(NOW - timedelta(hours=1))
    started, _buffered = claimed(ManualScheduler(own.id))
    reap(NOW, NOW, except_for=own.id)
    assert JobRun.objects.get(pk=started.id).status == "running"


def test_an_outcome_after_the_reaper_changes_no_run() -> None:
    scheduler = instance("silent", ALIVE_FOR + seconds(1))
    started, buffered = claimed(scheduler)
    reap_as_another()
    assert scheduler.statements.finish_runs([outcome(started.id, NOW)], "silent") == set()
    assert scheduler.statements.start_runs([buffered.id], "silent", NOW) == set()
    assert JobRun.objects.get(pk=started.id).status == "abandoned"


def test_reaping_again_changes_no_run() -> None:
    claimed(instance("silent", ALIVE_FOR + seconds(1)), retry_abandoned=True)
    reap_as_another()
    before = list(JobRun.objects.order_by("pk").values())
    reap_as_another()
    assert list(JobRun.objects.order_by("pk").values()) == before


def test_a_heartbeat_makes_a_deleted_row_again() -> None:
    own = Instance("1.2")
    own.register(START)
    SchedulerInstance.objects.all().delete()
    own.beat(NOW, [ThreadExecutor(4, lambda: NOW, lambda outcomes: None)])
    row = SchedulerInstance.objects.get(pk=own.id)
    assert (row.heartbeat_at, row.last_tick_at, row.threads, row.version) == (NOW, NOW, 4, "1.2")


def test_rows_of_instances_that_died_days_ago_are_deleted() -> None:
    instance("old", timedelta(days=2))
    Instance("").register(NOW)
    assert not SchedulerInstance.objects.filter(pk="old").exists()
