from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from jobs.engine.executors import ThreadExecutor
from jobs.engine.instance import Instance
from jobs.engine.reaper import owners_without_row, reap, relieve
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
    """As an instance that takes everybody else for dead."""
    other = Instance("")
    other.register(NOW)
    names = {*SchedulerInstance.objects.values_list("pk", flat=True), *owners_without_row()}
    reap(names - {other.id}, NOW, NOW)


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


def test_a_silent_scheduler_that_is_no_suspect_is_left_alone() -> None:
    started, _buffered = claimed(instance("silent", ALIVE_FOR + seconds(1)))
    assert not reap({"another"}, NOW, NOW)
    assert JobRun.objects.get(pk=started.id).status == "running"


def test_what_a_scheduler_whose_ticks_fail_has_not_started_is_released() -> None:
    started, buffered = claimed(instance("failing", seconds(1)))
    SchedulerInstance.objects.update(last_tick_at=NOW - ALIVE_FOR)
    assert not relieve(NOW, NOW)
    SchedulerInstance.objects.update(last_tick_at=NOW - ALIVE_FOR - seconds(1))
    assert relieve(NOW, NOW)
    assert dict(JobRun.objects.values_list("pk", "status")) == {started.id: "running", buffered.id: "queued"}
    assert JobRun.objects.get(pk=buffered.id).instance == ""


def test_an_outcome_after_the_reaper_changes_no_run() -> None:
    scheduler = instance("silent", ALIVE_FOR + seconds(1))
    started, buffered = claimed(scheduler)
    reap_as_another()
    assert scheduler.statements.finish_runs([(started, outcome(started.id, NOW))], "silent") == set()
    assert scheduler.statements.start_runs([buffered.id], "silent", NOW) == set()
    assert JobRun.objects.get(pk=started.id).status == "abandoned"


def test_reaping_again_changes_no_run() -> None:
    claimed(instance("silent", ALIVE_FOR + seconds(1)), retry_abandoned=True)
    reap_as_another()
    before = list(JobRun.objects.order_by("pk").values())
    reap_as_another()
    assert list(JobRun.objects.order_by("pk").values()) == before


@pytest.mark.parametrize("report", [False, True])
def test_a_heartbeat_of_a_row_that_is_gone_or_older_than_the_last_one_is_none(report: bool) -> None:
    own = Instance("1.2")
    pools = [ThreadExecutor(4, lambda: NOW, lambda outcomes: None)]

    def beat(at: datetime) -> bool:
        return own.report(at, "odd") if report else own.beat(at, pools)

    own.register(START)
    assert beat(START + seconds(2))
    SchedulerInstance.objects.update(heartbeat_at=START)  # as a restored backup has it
    assert not beat(START + seconds(4))
    assert SchedulerInstance.objects.get(pk=own.id).heartbeat_at == START
    SchedulerInstance.objects.all().delete()
    assert not beat(START + seconds(6))
    assert not SchedulerInstance.objects.exists()


def test_a_heartbeat_whose_commit_was_not_answered_is_followed_by_the_next() -> None:
    own = Instance("")
    own.register(START)
    SchedulerInstance.objects.update(heartbeat_at=START + seconds(2))
    assert own.report(START + seconds(4), "")


def test_a_report_says_what_is_wrong_and_is_no_completed_tick() -> None:
    own = Instance("")
    own.register(START)
    own.report(NOW, "ticks fail")
    row = SchedulerInstance.objects.get(pk=own.id)
    assert (row.heartbeat_at, row.last_tick_at, row.problem) == (NOW, None, "ticks fail")


def test_rows_of_instances_that_died_days_ago_are_deleted() -> None:
    instance("old", timedelta(days=2))
    Instance("").register(NOW)
    assert not SchedulerInstance.objects.filter(pk="old").exists()
