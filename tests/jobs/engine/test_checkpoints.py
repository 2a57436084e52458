"""SQLite's log is put in its place by a thread that keeps nobody waiting for long."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from django.db import OperationalError, connection

from jobs.engine.statements import for_connection
from jobs.engine.statements.checkpoints import PAGES, ROWS_PER_PAGE, Checkpoints
from jobs.engine.statements.sqlite import SQLiteStatements
from tests.jobs.engine.manual_scheduler import START, ManualScheduler, define, seconds
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.sqlite, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def nobody_else_checkpoints() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_autocheckpoint = 0")
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    yield
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_autocheckpoint = 1000")


def in_place(job_id: str) -> bool:
    """Whether the database's file holds the definition, without its log."""
    file = sqlite3.connect(f"file:{connection.settings_dict['NAME']}?mode=ro&immutable=1", uri=True)
    try:
        return file.execute("SELECT 1 FROM jobs_jobdefinition WHERE id = ?", [job_id]).fetchone() is not None
    finally:
        file.close()


@contextmanager
def nobody_waits() -> Iterator[None]:
    yield


def fill(checkpoints: Checkpoints) -> None:
    checkpoints.count(PAGES * ROWS_PER_PAGE)


def test_what_was_logged_is_in_place_soon_after_much_was_written() -> None:
    with Checkpoints(nobody_waits) as checkpoints:
        define("a")
        checkpoints.count(10)
        assert not in_place("a")
        fill(checkpoints)
        wait_until(lambda: in_place("a"), 5, "nothing was checkpointed")
    assert not checkpoints.is_alive()


def test_others_are_kept_out_only_for_what_they_have_written_meanwhile() -> None:
    found: list[tuple[bool, bool]] = []

    @contextmanager
    def alone() -> Iterator[None]:
        define("b")  # somebody who was quicker
        found.append((in_place("a"), in_place("b")))
        yield

    with Checkpoints(alone) as checkpoints:
        define("a")
        fill(checkpoints)
        wait_until(lambda: in_place("b"), 5, "the rest was not checkpointed")
    assert found == [(True, False)]


def test_a_checkpoint_that_fails_is_not_the_last() -> None:
    attempts = threading.Semaphore(0)

    def alone() -> AbstractContextManager[None]:
        attempts.release()
        raise OperationalError("another thread has used the connection for too long")

    with Checkpoints(alone) as checkpoints:
        for _ in range(2):
            fill(checkpoints)
            assert attempts.acquire(timeout=5)
        assert checkpoints.is_alive()


def test_the_scheduler_that_lends_its_connection_counts_what_it_writes() -> None:
    for number in range(100):
        define(f"job{number}")
    scheduler = ManualScheduler()
    scheduler.reconcile(START)
    with for_connection().shared_connection():
        assert SQLiteStatements._checkpoints is not None
        SQLiteStatements._checkpoints.count((PAGES - 20) * ROWS_PER_PAGE)  # nearly enough
        assert len(scheduler.claim(START + seconds(60)).start) == 100
        wait_until(lambda: in_place("job99"), 5, "a claim of 100 jobs was not counted")
    assert SQLiteStatements._checkpoints is None
