"""The heartbeat: its duties, and its two queries when there are none."""

from __future__ import annotations

from datetime import datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.clock import Clock
from jobs.engine.executors import ThreadExecutor
from jobs.engine.heartbeat import CALM_BEFORE_REAPING, Heartbeat
from jobs.engine.instance import Instance
from jobs.engine.statements import Housekeeping, PendingWork, Statements, for_connection
from jobs.models import DatabaseEnvironment, JobRun, SchedulerInstance
from jobs.models.instance import ALIVE_FOR
from tests.jobs.engine.manual_scheduler import START, ManualScheduler, at, define, seconds

NOW = START + seconds(61)
POOLS = [ThreadExecutor(4, lambda: NOW, lambda outcomes: None)]
pytestmark = pytest.mark.django_db


@pytest.fixture
def instance() -> Instance:
    instance = Instance("1.2")
    instance.register(NOW)
    return instance


def beat(instance: Instance, known: set[int] | None = None, seconds_since_failure: float = 60) -> bool:
    with at(NOW):
        return heartbeat(instance).beat(POOLS, lambda: known or set(), seconds_since_failure)


def heartbeat(instance: Instance, now: datetime = NOW) -> Heartbeat:
    return Heartbeat(instance, Clock(now), for_connection())


def claimed(owner: str) -> int:
    define("job")
    scheduler = ManualScheduler(owner)
    scheduler.reconcile(START)
    return scheduler.claim(START + seconds(60)).start[0].id


def test_a_heartbeat_without_duties_takes_two_queries(instance: Instance) -> None:
    DatabaseEnvironment.objects.claim()
    beat(instance)
    with CaptureQueriesContext(connection) as captured:
        assert not beat(instance)
    statements = [query["sql"] for query in captured if not query["sql"].startswith("PRAGMA")]
    assert len(statements) == 2, statements
    row = SchedulerInstance.objects.get(pk=instance.id)
    assert (row.heartbeat_at, row.last_tick_at, row.threads) == (NOW, NOW, 4)


@pytest.mark.parametrize(("seconds_since_failure", "reaped"), [(CALM_BEFORE_REAPING, False), (CALM_BEFORE_REAPING + 1, True)])
def test_no_instance_is_reaped_until_four_seconds_after_an_outage(instance: Instance, seconds_since_failure: float, reaped: bool) -> None:
    run_id = claimed("gone")
    assert beat(instance, seconds_since_failure=seconds_since_failure) is reaped
    assert JobRun.objects.get(pk=run_id).status == ("abandoned" if reaped else "running")


def test_an_unknown_run_of_this_instance_is_released_at_the_second_heartbeat(instance: Instance) -> None:
    run_id = claimed(instance.id)
    regular = heartbeat(instance)
    with at(NOW):
        assert not regular.beat(POOLS, set, 60)
        assert regular.beat(POOLS, set, 60)
    row = JobRun.objects.get(pk=run_id)
    assert (row.status, row.instance) == ("queued", "")


def test_a_run_that_ended_between_two_heartbeats_is_not_released(instance: Instance) -> None:
    run_id = claimed(instance.id)
    regular = heartbeat(instance)
    with at(NOW):
        regular.beat(POOLS, set, 60)
        JobRun.objects.filter(pk=run_id).update(status="succeeded", finished_at=NOW)
        assert not regular.beat(POOLS, set, 60)
    assert not instance.has_suspects


def test_another_environment_is_noticed_at_the_next_heartbeat(instance: Instance) -> None:
    regular = heartbeat(instance)
    row = DatabaseEnvironment.objects.claim()
    own = row.name
    foreign = []
    for name in (own, "elsewhere", own):
        DatabaseEnvironment.objects.update(name=name)
        with at(NOW):
            regular.beat(POOLS, set, 60)
        foreign.append(regular.foreign)
    assert foreign == [None, "elsewhere", None]


def test_housekeeping_finds_active_runs_and_silent_instances(instance: Instance) -> None:
    statements = for_connection()
    assert statements.housekeeping(instance.id, NOW) == Housekeeping(None, silent=False, active=False)
    claimed(instance.id)
    assert statements.housekeeping(instance.id, NOW) == Housekeeping(None, silent=False, active=True)
    assert statements.housekeeping("another", NOW) == Housekeeping(None, silent=False, active=False)
    assert statements.housekeeping(instance.id, NOW + ALIVE_FOR + seconds(1)) == Housekeeping(None, silent=True, active=True)
    SchedulerInstance.objects.all().delete()
    assert statements.housekeeping(instance.id, NOW) == Housekeeping(None, silent=True, active=True)


def test_pending_work_of_each_database_equals_that_of_the_shared_statement() -> None:
    statements = for_connection()

    def pending() -> PendingWork:
        work = statements.pending_work("one")
        assert work == Statements.pending_work(statements, "one")
        return work

    assert pending() == PendingWork(unapplied=False, next_run_time=None, next_request=None, cancelled=False)
    job = define("job")
    assert pending().unapplied
    scheduler = ManualScheduler("one")
    scheduler.reconcile(START)
    assert pending() == PendingWork(unapplied=False, next_run_time=START + seconds(60), next_request=None, cancelled=False)
    with at(START + seconds(0.123456)):
        request = JobRun.objects.request(job.pk, "ada")
    assert pending() == PendingWork(unapplied=False, next_run_time=START + seconds(60), next_request=START + seconds(0.123456), cancelled=False)
    scheduler.claim_requested(START + seconds(1))
    JobRun.objects.filter(pk=request.pk).update(cancel_requested_at=START)
    assert pending() == PendingWork(unapplied=False, next_run_time=START + seconds(60), next_request=None, cancelled=True)
