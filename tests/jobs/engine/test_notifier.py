"""The notifiers notice the commits of other connections."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from django.db import connection

from jobs.engine.notifier import Notifier, PostgreSQLNotifier, SQLiteNotifier, notifier_for_connection
from jobs.models import JobDefinition, JobRun
from tests.jobs.engine.concurrently import at_the_same_time
from tests.jobs.engine.manual_scheduler import STAFF, define
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def event() -> threading.Event:
    return threading.Event()


@pytest.fixture
def notifier(event: threading.Event) -> Iterator[Notifier]:
    """A started notifier that has reported the changes so far."""
    notifier = notifier_for_connection(event)
    notifier.start()
    wait_until(notifier.has_changes)
    event.clear()
    yield notifier
    notifier.stop()
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name == "jobs-listen"])


def elsewhere(step: Callable[[], object]) -> None:
    """Call `step` with another connection."""
    at_the_same_time(step)


def test_each_database_has_its_notifier(event: threading.Event) -> None:
    expected = PostgreSQLNotifier if connection.vendor == "postgresql" else SQLiteNotifier
    assert type(notifier_for_connection(event)) is expected


def test_a_change_is_reported_once(notifier: Notifier) -> None:
    elsewhere(lambda: define("a"))
    wait_until(notifier.has_changes)
    assert not notifier.has_changes()


@pytest.mark.parametrize(
    "change",
    [
        lambda: JobDefinition.objects.get(pk="a").edit(STAFF, interval_seconds=30),
        lambda: JobDefinition.objects.filter(pk="a").update(interval_seconds=30),
        lambda: JobRun.objects.request("a", "ada"),
        lambda: JobRun.objects.get(requested_by="eve").request_cancel("ada"),
    ],
    ids=["an edit", "a bulk update", "a requested run", "a cancellation"],
)
def test_each_kind_of_work_is_noticed(notifier: Notifier, change: Callable[[], object]) -> None:
    define("a")
    run = JobRun.objects.request("a", "eve")
    JobRun.objects.filter(pk=run.pk).update(status="running", instance="one", started_at=run.queued_at)
    wait_until(notifier.has_changes) if connection.vendor == "postgresql" else notifier.has_changes()
    elsewhere(change)
    wait_until(notifier.has_changes)


def test_wait_returns_at_a_change_of_another_connection(notifier: Notifier) -> None:
    writer = threading.Timer(0.05, lambda: elsewhere(lambda: define("a")))
    writer.start()
    before = time.monotonic()
    notifier.wait(20)
    waited = time.monotonic() - before
    writer.join()
    assert waited < 10
    assert JobDefinition.objects.filter(pk="a").exists()


def test_wait_returns_when_the_event_is_set(notifier: Notifier, event: threading.Event) -> None:
    event.set()
    before = time.monotonic()
    notifier.wait(20)
    assert time.monotonic() - before < 10


def test_wait_returns_after_its_time(notifier: Notifier) -> None:
    before = time.monotonic()
    notifier.wait(0.05)
    assert time.monotonic() - before >= 0.05


@pytest.mark.postgresql
def test_a_notifier_whose_connection_is_lost_listens_again(notifier: Notifier) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN jobs_changed' AND datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert cursor.rowcount == 1
    wait_until(notifier.has_changes)  # reported when it listens again: it may have missed a change
    elsewhere(lambda: define("a"))
    wait_until(notifier.has_changes)


@pytest.mark.sqlite
def test_writes_of_the_same_connection_are_not_changes(notifier: Notifier) -> None:
    define("a")
    notifier.wait(0.2)  # longer than the interval of its polls
    assert not notifier.has_changes()
