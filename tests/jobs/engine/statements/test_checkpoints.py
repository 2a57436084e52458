"""A background thread checkpoints the WAL and excludes writers only for the last pages."""

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
def sqlite_itself_does_not_checkpoint() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_autocheckpoint = 0")
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    yield
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_autocheckpoint = 1000")


def is_checkpointed(job_id: str) -> bool:
    """Whether the database's file holds the definition, without its WAL."""
    file = sqlite3.connect(f"file:{connection.settings_dict['NAME']}?mode=ro&immutable=1", uri=True)
    try:
        return file.execute("SELECT 1 FROM jobs_jobdefinition WHERE id = ?", [job_id]).fetchone() is not None
    finally:
        file.close()


@contextmanager
def without_exclusion() -> Iterator[None]:
    yield


def fill(checkpoints: Checkpoints) -> None:
    checkpoints.count(PAGES * ROWS_PER_PAGE)


def test_the_wal_is_checkpointed_once_enough_rows_were_written() -> None:
    with Checkpoints(without_exclusion) as checkpoints:
        define("a")
        checkpoints.count(10)
        assert not is_checkpointed("a")
        fill(checkpoints)
        wait_until(lambda: is_checkpointed("a"), 5, "the WAL was not checkpointed")
    assert not checkpoints.is_alive()


def test_writers_are_excluded_only_for_pages_written_during_the_checkpoint() -> None:
    checkpointed: list[tuple[bool, bool]] = []

    @contextmanager
    def exclusive() -> Iterator[None]:
        define("b")  # another writer, before writers are excluded
        checkpointed.append((is_checkpointed("a"), is_checkpointed("b")))
        yield

    with Checkpoints(exclusive) as checkpoints:
        define("a")
        fill(checkpoints)
        wait_until(lambda: is_checkpointed("b"), 5, "the second half was not checkpointed")
    assert checkpointed == [(True, False)]


def test_the_thread_continues_after_a_failed_checkpoint() -> None:
    attempts = threading.Semaphore(0)

    def exclusive() -> AbstractContextManager[None]:
        attempts.release()
        raise OperationalError("another thread has used the connection for too long")

    with Checkpoints(exclusive) as checkpoints:
        for _ in range(2):
            fill(checkpoints)
            assert attempts.acquire(timeout=5)
        assert checkpoints.is_alive()


def test_a_scheduler_that_shares_its_connection_counts_the_rows_that_it_writes() -> None:
    for number in range(100):
        define(f"job{number}")
    scheduler = ManualScheduler()
    scheduler.reconcile(START)
    with for_connection().shared_connection():
        assert SQLiteStatements._checkpoints is not None
        SQLiteStatements._checkpoints.count((PAGES - 20) * ROWS_PER_PAGE)  # nearly enough for a checkpoint
        assert len(scheduler.claim(START + seconds(60)).start) == 100
        wait_until(lambda: is_checkpointed("job99"), 5, "a claim of 100 jobs was not counted")
    assert SQLiteStatements._checkpoints is None
