"""What a scheduler does every two seconds, and how little that is when there is nothing to do."""

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
LANES = [ThreadExecutor(4, lambda: NOW, lambda run, finished: None)]
pytestmark = pytest.mark.django_db


@pytest.fixture
def instance() -> Instance:
    instance = Instance("1.2")
    instance.register(NOW)
    return instance


def beat(instance: Instance, known: set[int] | None = None, seconds_since_failure: float = 60) -> bool:
    with at(NOW):
        return heartbeat(instance).beat(LANES, lambda: known or set(), seconds_since_failure)


def heartbeat(instance: Instance, now: datetime = NOW) -> Heartbeat:
    return Heartbeat(instance, Clock(now), for_connection())


def claimed(owner: str) -> int:
    define("job")
    scheduler = ManualScheduler(owner)
    scheduler.reconcile(START)
    return scheduler.claim(START + seconds(60)).start[0].id


def test_a_heartbeat_without_duties_is_two_queries(instance: Instance) -> None:
    DatabaseEnvironment.objects.claim()
    beat(instance)
    with CaptureQueriesContext(connection) as captured:
        assert not beat(instance)
    asked = [query["sql"] for query in captured if not query["sql"].startswith("PRAGMA")]
    assert len(asked) == 2, asked
    row = SchedulerInstance.objects.get(pk=instance.id)
    assert (row.heartbeat_at, row.last_tick_at, row.threads) == (NOW, NOW, 4)


@pytest.mark.parametrize(("seconds_since_failure", "reaped"), [(CALM_BEFORE_REAPING, False), (CALM_BEFORE_REAPING + 1, True)])
def test_nobody_is_judged_right_after_an_outage(instance: Instance, seconds_since_failure: float, reaped: bool) -> None:
    run_id = claimed("gone")
    assert beat(instance, seconds_since_failure=seconds_since_failure) is reaped
    assert JobRun.objects.get(pk=run_id).status == ("abandoned" if reaped else "running")


def test_a_run_that_is_ours_and_unknown_is_given_back_at_the_second_heartbeat(instance: Instance) -> None:
    run_id = claimed(instance.id)
    one = heartbeat(instance)
    with at(NOW):
        assert not one.beat(LANES, set, 60)
        assert one.beat(LANES, set, 60)
    row = JobRun.objects.get(pk=run_id)
    assert (row.status, row.instance) == ("queued", "")


def test_a_run_that_ended_between_two_heartbeats_was_not_lost(instance: Instance) -> None:
    run_id = claimed(instance.id)
    one = heartbeat(instance)
    with at(NOW):
        one.beat(LANES, set, 60)
        JobRun.objects.filter(pk=run_id).update(status="succeeded", finished_at=NOW)
        assert not one.beat(LANES, set, 60)
    assert not instance.has_suspects


def test_another_environment_is_noticed_at_the_next_heartbeat(instance: Instance) -> None:
    one = heartbeat(instance)
    row = DatabaseEnvironment.objects.claim()
    ours = row.name
    seen = []
    for name in (ours, "elsewhere", ours):
        DatabaseEnvironment.objects.update(name=name)
        with at(NOW):
            one.beat(LANES, set, 60)
        seen.append(one.foreign)
    assert seen == [None, "elsewhere", None]


def test_the_rows_tell_what_an_instance_has_to_see_to(instance: Instance) -> None:
    statements = for_connection()
    assert statements.housekeeping(instance.id, NOW) == Housekeeping(None, silent=False, active=False)
    claimed(instance.id)
    assert statements.housekeeping(instance.id, NOW) == Housekeeping(None, silent=False, active=True)
    assert statements.housekeeping("another", NOW) == Housekeeping(None, silent=False, active=False)
    assert statements.housekeeping(instance.id, NOW + ALIVE_FOR + seconds(1)) == Housekeeping(None, silent=True, active=True)
    SchedulerInstance.objects.all().delete()
    assert statements.housekeeping(instance.id, NOW) == Housekeeping(None, silent=True, active=True)


def test_what_there_is_to_do_is_told_the_same_by_every_way_of_asking() -> None:
    statements = for_connection()

    def asked() -> PendingWork:
        peek = statements.pending_work("one")
        assert peek == Statements.pending_work(statements, "one")
        return peek

    assert asked() == PendingWork(unapplied=False, next_run_time=None, next_request=None, cancelled=False)
    job = define("job")
    assert asked().unapplied
    scheduler = ManualScheduler("one")
    scheduler.reconcile(START)
    assert asked() == PendingWork(unapplied=False, next_run_time=START + seconds(60), next_request=None, cancelled=False)
    with at(START + seconds(0.123456)):
        request = JobRun.objects.request(job.pk, "ada")
    assert asked() == PendingWork(unapplied=False, next_run_time=START + seconds(60), next_request=START + seconds(0.123456), cancelled=False)
    scheduler.claim_requested(START + seconds(1))
    JobRun.objects.filter(pk=request.pk).update(cancel_requested_at=START)
    assert asked() == PendingWork(unapplied=False, next_run_time=START + seconds(60), next_request=None, cancelled=True)
