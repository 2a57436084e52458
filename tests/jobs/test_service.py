"""SchedulerService: what programs may do, with a real scheduler in a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from jobs.exceptions import JobExists, JobNotFound, UnknownFunction
from jobs.models import JobRun, Status
from jobs.registry import current_run, job, unregister
from jobs.service import AlreadyRunning, NotRunning, SchedulerService
from tests.support.waiting import wait_until

ENTERED, LEAVE = threading.Event(), threading.Event()


@pytest.fixture
def slow() -> Iterator[Any]:
    """A job function that runs until the test lets it end."""
    ENTERED.clear()
    LEAVE.clear()

    @job("tests_slow")
    def slow() -> str:
        ENTERED.set()
        LEAVE.wait(20)
        return "completed"

    yield slow
    LEAVE.set()
    unregister("tests_slow")


@pytest.fixture
def service(transactional_db: None, settings: Any) -> Iterator[SchedulerService]:
    settings.MOD_LIST_REFRESH_INTERVAL = settings.SERVER_VERSIONS_REFRESH_INTERVAL = settings.GAME_SERVER_WATCH_INTERVAL = 0
    service = SchedulerService(threads=2)
    yield service
    LEAVE.set()
    if service.is_running:
        service.shutdown()
    if service._thread is not None:
        service._thread.join(20)  # one that its own job has told to stop may still be about it, and would miss the database


@pytest.mark.django_db
def test_an_interval_job_is_a_definition_like_any_other() -> None:
    added = SchedulerService().add_interval_job("tests_nothing", 90, "every_ninety", kwargs={"limit": 2}, max_instances=3)
    assert (added.trigger, added.interval_seconds, added.kwargs, added.max_instances) == ("interval", 90, {"limit": 2}, 3)
    assert [row.pk for row in SchedulerService().get_jobs()] == ["every_ninety"]


@pytest.mark.django_db
def test_a_cron_job_takes_its_zone_as_an_option() -> None:
    added = SchedulerService().add_cron_job("tests_nothing", "30 2 * * 1-5", "weekdays", timezone="Europe/Vienna")
    assert (added.trigger, added.cron, added.timezone) == ("cron", "30 2 * * 1-5", "Europe/Vienna")


@pytest.mark.django_db
def test_the_registered_function_itself_may_be_given(slow: Any) -> None:
    assert SchedulerService().add_interval_job(slow, 60, "by_function").function == "tests_slow"


@pytest.mark.django_db
def test_a_function_that_is_not_registered_is_refused_by_name() -> None:
    with pytest.raises(UnknownFunction, match="lambda"):
        SchedulerService().add_interval_job(lambda: None, 60, "nobody_knows_it")


@pytest.mark.django_db
def test_an_id_is_taken_once() -> None:
    SchedulerService().add_interval_job("tests_nothing", 60, "once")
    with pytest.raises(JobExists, match="once"):
        SchedulerService().add_cron_job("tests_nothing", "@daily", "once")


@pytest.mark.django_db
@pytest.mark.parametrize("interval", [-1, 1.5, 10**13, "soon"])
def test_a_bad_interval_names_its_field_and_stores_nothing(interval: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        SchedulerService().add_interval_job("tests_nothing", interval, "bad")
    assert "interval_seconds" in caught.value.message_dict
    assert SchedulerService().get_jobs() == []


@pytest.mark.django_db
def test_a_removed_job_is_archived_and_keeps_its_history() -> None:
    service = SchedulerService()
    added = service.add_interval_job("tests_nothing", 60, "going")
    added.runs.create(scheduled_for=added.created_at)
    service.remove_job("going")
    assert service.get_jobs() == []
    assert service.get_job("going").archived_at is not None
    assert JobRun.objects.filter(job="going").count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("verb", ["get_job", "remove_job"])
def test_an_unknown_job_is_named(verb: str) -> None:
    with pytest.raises(JobNotFound, match="nowhere"):
        getattr(SchedulerService(), verb)("nowhere")


def test_a_running_job_completes_before_shutdown_returns(service: SchedulerService, slow: Any) -> None:
    service.add_interval_job(slow, 1, "slow")
    service.start()
    assert ENTERED.wait(10)
    threading.Timer(0.5, LEAVE.set).start()
    service.shutdown(wait=True)
    runs = list(JobRun.objects.filter(job="slow", status=Status.SUCCEEDED))
    assert [run.result for run in runs] == ["completed"]
    assert not JobRun.objects.filter(job="slow").active().exists()


def test_started_twice_says_so(service: SchedulerService) -> None:
    service.start()
    with pytest.raises(AlreadyRunning, match="shutdown"):
        service.start()
    assert service.is_running


def test_stopped_without_a_start_or_twice_says_so(service: SchedulerService) -> None:
    with pytest.raises(NotRunning, match="start"):
        service.shutdown()
    service.start()
    service.shutdown()
    assert not service.is_running
    with pytest.raises(NotRunning):
        service.shutdown()


def test_a_stopped_service_can_be_started_again(service: SchedulerService) -> None:
    service.start()
    service.shutdown()
    service.start()
    definition = service.add_interval_job("tests_nothing", 3600, "later")
    run = definition.request_run(service._author)
    wait_until(lambda: JobRun.objects.find(run.pk).status == Status.SUCCEEDED, message="the second life runs nothing")


def test_a_job_function_that_shuts_its_own_scheduler_down_does_not_wait_for_itself(service: SchedulerService) -> None:
    @job("tests_shutdown")
    def shut_down() -> int:
        service.shutdown(wait=True)
        return current_run().id

    try:
        service.start()
        definition = service.add_interval_job("tests_shutdown", 3600, "ends_it")
        run = definition.request_run(service._author)
        wait_until(lambda: JobRun.objects.find(run.pk).status == Status.SUCCEEDED, timeout=15, message="it waited for itself")
        wait_until(lambda: not service.is_running)
    finally:
        unregister("tests_shutdown")
