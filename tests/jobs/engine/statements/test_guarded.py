"""On PostgreSQL a frozen scheduler, or one whose host has vanished, does not keep its row locks."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from jobs.engine.statements import connection_use, for_connection
from jobs.models import JobDefinition
from jobs.registry import job, unregister
from tests.jobs.engine.concurrently import at_the_same_time
from tests.jobs.engine.manual_scheduler import define
from tests.jobs.engine.running_scheduler import running_scheduler
from tests.support.rows import make_job
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

SHOW = "SELECT current_setting('idle_in_transaction_session_timeout'), current_setting('tcp_keepalives_idle'), current_setting('tcp_user_timeout')"


@pytest.fixture(autouse=True)
def _on_postgresql() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no sessions: the lock of a frozen process holds up everybody until it goes on or ends")


def settings() -> tuple[str, ...]:
    with connection.cursor() as cursor:
        cursor.execute(SHOW)
        return tuple(cursor.fetchone())


def test_the_locks_of_a_frozen_transaction_are_released(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection_use.GUARDS, "idle_in_transaction_session_timeout", "200ms")
    define("locked")
    is_locked, was_edited = threading.Event(), threading.Event()
    seen: list[Any] = []

    def frozen() -> None:
        statements = for_connection()
        with statements.guarded():
            try:
                with transaction.atomic():
                    JobDefinition.objects.select_for_update().get(pk="locked")
                    is_locked.set()
                    was_edited.wait(30)
                    JobDefinition.objects.update(title="overwritten by a scheduler that came back")
            except DatabaseError as error:
                statements.drop_connection(error)
                seen.append(settings()[0])

    def edits() -> None:
        is_locked.wait(30)
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '30s'")
        JobDefinition.objects.filter(pk="locked").update(title="edited")
        was_edited.set()

    at_the_same_time(frozen, edits)
    assert JobDefinition.objects.get().title == "edited"
    assert seen == ["200ms"], "the connection after the one that was ended is guarded as well"


def test_a_thread_is_guarded_for_the_length_of_the_block_only() -> None:
    unguarded = settings()
    with for_connection().guarded():
        assert settings()[0] == "10s"
        assert settings() != unguarded
    connection.close()
    assert settings() == unguarded


def test_the_scheduler_guards_its_own_connections_and_not_those_of_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job may leave its transaction idle as long as it likes."""
    guarded: set[str] = set()
    guard = connection_use._guard

    def note(of: Any) -> None:
        guarded.add(threading.current_thread().name)
        guard(of)

    monkeypatch.setattr(connection_use, "_guard", note)
    in_job: list[tuple[str, ...]] = []

    @job("tests_show_settings")
    def show_settings() -> None:
        in_job.append(settings())

    try:
        make_job("shows", function="tests_show_settings", interval_seconds=1)
        with running_scheduler():
            wait_until(lambda: in_job and "jobs-record" in guarded)
    finally:
        unregister("tests_show_settings")
    assert len(guarded) == 2, "the tick and the recorder"
    assert in_job[0] == settings()
