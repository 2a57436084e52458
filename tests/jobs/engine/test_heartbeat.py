"""The heartbeat: its duties, and its two queries when there are none."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.clock import Clock
from jobs.engine.exceptions import RowLost
from jobs.engine.executors import ThreadExecutor
from jobs.engine.heartbeat import Heartbeat
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


def beat(instance: Instance, known: set[int] | None = None) -> bool:
    with at(NOW):
        return heartbeat(instance).beat(POOLS, lambda: known or set())


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


def test_an_instance_without_a_row_is_reaped_at_the_third_heartbeat(instance: Instance) -> None:
    run_id = claimed("gone")
    regular = heartbeat(instance)
    with at(NOW):
        assert [regular.beat(POOLS, set) for _ in range(3)] == [False, False, True]
    assert JobRun.objects.get(pk=run_id).status == "abandoned"


def test_a_row_that_was_reaped_is_not_made_again(instance: Instance) -> None:
    SchedulerInstance.objects.all().delete()
    with pytest.raises(RowLost):
        beat(instance)
    assert not SchedulerInstance.objects.exists()


def test_an_unknown_run_of_this_instance_is_released_at_the_second_heartbeat(instance: Instance) -> None:
    run_id = claimed(instance.id)
    regular = heartbeat(instance)
    with at(NOW):
        assert not regular.beat(POOLS, set)
        assert regular.beat(POOLS, set)
    row = JobRun.objects.get(pk=run_id)
    assert (row.status, row.instance) == ("queued", "")


def test_a_run_that_ended_between_two_heartbeats_is_not_released(instance: Instance) -> None:
    run_id = claimed(instance.id)
    regular = heartbeat(instance)
    with at(NOW):
        regular.beat(POOLS, set)
        JobRun.objects.filter(pk=run_id).update(status="succeeded", finished_at=NOW)
        assert not regular.beat(POOLS, set)
    assert not instance.has_suspects


def test_another_environment_is_noticed_at_the_next_heartbeat(instance: Instance) -> None:
    regular = heartbeat(instance)
    row = DatabaseEnvironment.objects.claim()
    own = row.name
    foreign = []
    for name in (own, "elsewhere", own):
        DatabaseEnvironment.objects.update(name=name)
        with at(NOW):
            regular.beat(POOLS, set)
        foreign.append(regular.foreign)
    assert foreign == [None, "elsewhere", None]


def test_housekeeping_finds_what_is_to_be_done(instance: Instance) -> None:
    statements = for_connection()
    nothing = Housekeeping(None, {}, ownerless=False, failing=False, active=False)
    assert statements.housekeeping(instance.id, NOW) == nothing
    claimed(instance.id)
    assert statements.housekeeping(instance.id, NOW) == replace(nothing, active=True)
    seen = statements.housekeeping("another", NOW)
    assert seen.others.keys() == {instance.id}
    assert replace(seen, others={}) == nothing
    instance.beat(NOW, POOLS)
    assert statements.housekeeping(instance.id, NOW + ALIVE_FOR) == replace(nothing, active=True)
    assert statements.housekeeping(instance.id, NOW + ALIVE_FOR + seconds(1)) == replace(nothing, failing=True, active=True)
    SchedulerInstance.objects.all().delete()
    assert statements.housekeeping(instance.id, NOW) == replace(nothing, ownerless=True, active=True)


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
