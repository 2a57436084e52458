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
    """A scheduler that was last heard of so long before NOW."""
    SchedulerInstance.objects.create(id=name, hostname="h", pid=1, version="", started_at=START, heartbeat_at=NOW - heartbeat_age)
    return ManualScheduler(name)


def claimed(scheduler: ManualScheduler, **fields: Any) -> tuple[ClaimedRun, ClaimedRun]:
    """A run that the scheduler has started, and one that it keeps until there is room."""
    define("started", **fields)
    define("kept", **fields)
    scheduler.reconcile(START)
    claim = scheduler.claim(START + seconds(60), immediate=1, buffered=1)
    return claim.start[0], claim.buffer[0]


def reap_as_another() -> None:
    other = Instance("")
    other.register(NOW)
    reap(NOW, NOW, except_for=other.id)


def test_what_a_silent_scheduler_never_started_is_for_others_to_start() -> None:
    _started, kept = claimed(instance("silent", ALIVE_FOR + seconds(1)))
    reap_as_another()
    row = JobRun.objects.get(pk=kept.id)
    assert (row.status, row.instance, row.not_before) == ("queued", "", NOW)
    assert [run.id for run in ManualScheduler("other").claim_requested(NOW).start] == [kept.id]


def test_what_a_silent_scheduler_may_have_started_is_abandoned_and_not_repeated() -> None:
    started, _kept = claimed(instance("silent", ALIVE_FOR + seconds(1)))
    reap_as_another()
    row = JobRun.objects.get(pk=started.id)
    assert (row.status, row.finished_at, row.reason) == ("abandoned", NOW, "its scheduler process died")
    assert not JobRun.objects.filter(attempt=2).exists()
    assert not SchedulerInstance.objects.filter(pk="silent").exists()


def test_an_abandoned_run_is_retried_where_the_definition_says_so() -> None:
    started, _kept = claimed(instance("silent", ALIVE_FOR + seconds(1)), retry_abandoned=True, retry_backoff_seconds=10)
    reap_as_another()
    retry = JobRun.objects.get(attempt=2)
    assert (retry.job_id, retry.scheduled_for, retry.cause, retry.reason) == (started.job_id, started.scheduled_for, "retry", "attempt 1 abandoned")
    assert retry.not_before is not None
    assert seconds(10) <= retry.not_before - NOW <= seconds(11)


def test_a_run_that_is_abandoned_each_time_is_not_retried_for_ever() -> None:
    scheduler = instance("silent", ALIVE_FOR + seconds(1))
    started, _kept = claimed(scheduler, retry_abandoned=True)
    JobRun.objects.filter(pk=started.id).update(attempt=2)
    reap_as_another()
    assert not JobRun.objects.filter(attempt=3).exists()


@pytest.mark.parametrize("age", [seconds(0), ALIVE_FOR, seconds(-3)])
def test_the_runs_of_a_living_scheduler_are_its_own(age: timedelta) -> None:
    """A heartbeat of exactly the limit is still alive, and so is one a little ahead."""
    started, kept = claimed(instance("alive", age))
    reap_as_another()
    assert dict(JobRun.objects.values_list("pk", "status")) == {started.id: "running", kept.id: "queued"}
    assert JobRun.objects.filter(instance="alive").count() == 2


def test_the_runs_of_a_scheduler_that_left_no_row_are_settled_as_well() -> None:
    started, kept = claimed(ManualScheduler("unknown"))
    reap_as_another()
    assert dict(JobRun.objects.values_list("pk", "status")) == {started.id: "abandoned", kept.id: "queued"}


def test_a_scheduler_does_not_reap_itself() -> None:
    me = Instance("")
    me.register(NOW - timedelta(hours=1))
    started, _kept = claimed(ManualScheduler(me.id))
    reap(NOW, NOW, except_for=me.id)
    assert JobRun.objects.get(pk=started.id).status == "running"


def test_an_outcome_that_comes_after_the_reaper_changes_nothing() -> None:
    scheduler = instance("silent", ALIVE_FOR + seconds(1))
    started, kept = claimed(scheduler)
    reap_as_another()
    assert scheduler.statements.finish_runs([outcome(started.id, NOW)], "silent") == set()
    assert scheduler.statements.start_runs([kept.id], "silent", NOW) == set()
    assert JobRun.objects.get(pk=started.id).status == "abandoned"


def test_reaping_twice_changes_nothing_more() -> None:
    claimed(instance("silent", ALIVE_FOR + seconds(1)), retry_abandoned=True)
    reap_as_another()
    before = list(JobRun.objects.order_by("pk").values())
    reap_as_another()
    assert list(JobRun.objects.order_by("pk").values()) == before


def test_a_heartbeat_brings_back_a_row_that_somebody_took_away() -> None:
    me = Instance("1.2")
    me.register(START)
    SchedulerInstance.objects.all().delete()
    me.beat(NOW, [ThreadExecutor(4, lambda: NOW, lambda run, finished: None)])
    row = SchedulerInstance.objects.get(pk=me.id)
    assert (row.heartbeat_at, row.last_tick_at, row.threads, row.version) == (NOW, NOW, 4, "1.2")


def test_rows_of_schedulers_that_died_days_ago_are_forgotten() -> None:
    instance("old", timedelta(days=2))
    Instance("").register(NOW)
    assert not SchedulerInstance.objects.filter(pk="old").exists()
