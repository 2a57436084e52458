from __future__ import annotations

from typing import Any

import pytest
from django.utils.timezone import now

from jobs.models import DatabaseEnvironment, SchedulerInstance
from jobs.monitoring.status import read_status
from tests.jobs.engine.manual_scheduler import seconds

pytestmark = pytest.mark.django_db


def instance(tick_age: float, **fields: Any) -> None:
    moment = now() - seconds(tick_age)
    SchedulerInstance.objects.create(id=f"one-{tick_age}", hostname="here", pid=1, version="1", started_at=moment, heartbeat_at=moment, last_tick_at=moment, **fields)


def test_a_recent_tick_is_running() -> None:
    instance(1)
    assert (read_status().status, read_status().instances, read_status().problem) == ("running", 1, None)


@pytest.mark.parametrize("tick_age", [11, -3600])
def test_an_old_tick_and_one_from_before_the_clock_was_set_back_are_stopped(tick_age: float) -> None:
    instance(tick_age)
    assert (read_status().status, read_status().instances) == ("stopped", 0)
    assert list(SchedulerInstance.objects.silent(now())) == list(SchedulerInstance.objects.all())
    assert not SchedulerInstance.objects.running(now()).exists()


def test_a_scheduler_that_is_stopping_does_not_count() -> None:
    instance(1, stopping=True)
    assert read_status().status == "stopped"


def test_a_stuck_thread_is_said_and_the_scheduler_still_runs() -> None:
    instance(1, threads_stuck=2)
    assert read_status().status == "running"
    assert "threads stuck in a job function: 2" in str(read_status().problem)


def test_a_copied_database_is_stopped_and_says_how_to_adopt_it() -> None:
    instance(1)
    DatabaseEnvironment.objects.create(name="production")
    assert read_status().status == "stopped"
    assert "jobs adopt" in str(read_status().problem)
