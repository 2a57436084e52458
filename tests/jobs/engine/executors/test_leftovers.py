"""A run leaves its database connection to the next run on its thread as it found it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from django.db import connection, transaction

from jobs.engine.executors import ThreadExecutor
from jobs.engine.run import ClaimedRun, Outcome
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def execute(outcomes: list[Outcome], run_of: Callable[..., ClaimedRun]) -> Iterator[Callable[[Callable[..., object]], ClaimedRun]]:
    """Executes functions one after the other, on the same thread."""
    executor = ThreadExecutor(1, lambda: datetime.now(UTC), outcomes.extend)
    executor.open()

    def execute(function: Callable[..., object]) -> ClaimedRun:
        run = run_of(function)
        number = len(outcomes)
        executor.submit(run)
        wait_until(lambda: len(outcomes) > number)
        return run

    yield execute
    executor.shutdown()


def enter_atomic() -> None:
    transaction.atomic().__enter__()


def begin() -> None:
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")


def change_session() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 1" if connection.vendor == "postgresql" else "PRAGMA query_only = 1")


@pytest.mark.parametrize(
    ("function", "leftover"),
    [(enter_atomic, "an atomic block"), (begin, "an open transaction"), (change_session, "what this statement changed")],
    ids=["an atomic block", "a transaction", "a session setting"],
)
def test_a_leftover_is_undone_and_named(execute: Callable[..., ClaimedRun], function: Callable[[], None], leftover: str) -> None:
    run = execute(function)
    assert f"warning: this run left {leftover}" in str(run.log)
    found: dict[str, object] = {}

    def inspect() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SHOW statement_timeout" if connection.vendor == "postgresql" else "PRAGMA query_only")
            found.update(setting=cursor.fetchone()[0], in_atomic_block=connection.in_atomic_block)

    execute(inspect)
    assert found == {"setting": "0" if connection.vendor == "postgresql" else 0, "in_atomic_block": False}


@pytest.mark.postgresql  # on SQLite each run opens a connection: CONN_MAX_AGE is 0
def test_a_connection_without_leftovers_is_used_again(execute: Callable[..., ClaimedRun]) -> None:
    used: list[object] = []

    def query() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        used.append(connection.connection)

    runs = [execute(query), execute(query)]
    assert [run.log for run in runs] == [None, None]
    assert used[0] is used[1]
