"""What a run leaves on its thread's connection is undone, and named when it is something."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Group
from django.db import DatabaseError, connection, connections, transaction

from jobs.engine.executors.leftovers import ConnectionClosingPool, clean_connections, watch_this_thread
from jobs.engine.run import ClaimedRun

Step = Callable[[], object]


def sql(*statements: str) -> Step:
    def execute() -> None:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    return execute


def in_atomic(*statements: str) -> Step:
    def execute() -> None:
        with transaction.atomic():
            sql(*statements)()

    return execute


def close_raw() -> None:
    connection.ensure_connection()
    connection.connection.close()


def close() -> None:
    connection.close()


def fail() -> None:
    with pytest.raises(DatabaseError):
        sql("SELECT no_such_column")()


def end_backend() -> None:
    """As a database that restarts: the server ends the session."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    other = connections.create_connection("default")
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    finally:
        other.close()


def log_of(*steps: Step) -> str:
    """Do the steps of one run on a thread that executes runs, clean its connection, and use it; the run's log."""
    run = ClaimedRun(1, "job", datetime.now(UTC), "function", {})
    failures: list[BaseException] = []
    committed = uuid.uuid4().hex

    def work() -> None:
        try:
            watch_this_thread()
            for step in steps:
                step()
            clean_connections(run)
            Group.objects.create(name=committed)
        except BaseException as error:  # noqa: BLE001 -- the next line of the test raises it
            failures.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(20)
    for failure in failures:
        raise failure
    assert Group.objects.filter(name=committed).exists()
    return str(run.log or "")


@pytest.fixture(autouse=True)
def _database(transactional_db: None) -> Iterator[None]:
    yield
    Group.objects.all().delete()


LEAVES_NOTHING: dict[str, Step] = {
    "a query": sql("SELECT 1"),
    "an atomic block": in_atomic("SELECT 1"),
    "begin and commit": sql("BEGIN", "SELECT 1", "COMMIT"),
    "a table that is named like a lock's function": sql("CREATE TABLE security_advisory (id int)", "DROP TABLE security_advisory"),
    "looking at a table": lambda: connection.introspection.get_table_description(connection.cursor(), "auth_group"),
    "a failed query": fail,
    "a closed connection": close,
}

ON_POSTGRESQL: dict[str, Step] = {
    "a setting of the transaction": in_atomic("SET LOCAL statement_timeout = '5s'"),
    "a lock of the transaction": in_atomic("LOCK TABLE auth_group IN SHARE MODE"),
    "an advisory lock of the transaction": in_atomic("SELECT pg_advisory_xact_lock(1)"),
    "a setting by function, of the transaction": in_atomic("SELECT set_config('statement_timeout', '5s', true)"),
    "a server-side cursor": lambda: list(Group.objects.iterator()),
}


@pytest.mark.parametrize("name", LEAVES_NOTHING)
def test_a_run_that_leaves_nothing_is_not_warned_of(name: str) -> None:
    assert log_of(LEAVES_NOTHING[name]) == ""


@pytest.mark.postgresql
@pytest.mark.parametrize("name", ON_POSTGRESQL)
def test_what_ends_with_its_transaction_is_not_warned_of(name: str) -> None:
    assert log_of(ON_POSTGRESQL[name]) == ""


def test_a_run_that_closed_or_lost_its_connection_costs_the_next_one_nothing() -> None:
    log_of(close_raw)
    log_of(sql("SELECT 1"), close_raw)


@pytest.mark.postgresql
def test_a_session_that_the_server_has_ended_is_not_called_an_open_transaction() -> None:
    assert log_of(end_backend) == ""


def test_an_open_transaction_is_named_and_rolled_back() -> None:
    assert "left an open transaction on the connection 'default'" in log_of(sql("BEGIN"), lambda: Group.objects.create(name="lost"))
    assert not Group.objects.filter(name="lost").exists()


def test_an_entered_atomic_block_is_named_and_rolled_back() -> None:
    assert "an atomic block that was entered and not left" in log_of(lambda: transaction.atomic().__enter__(), lambda: Group.objects.create(name="lost"))
    assert not Group.objects.filter(name="lost").exists()


def test_a_job_that_turned_autocommit_off_does_not_lose_the_rows_of_the_next() -> None:
    log_of(lambda: transaction.set_autocommit(False))
    log_of(lambda: transaction.set_autocommit(False), lambda: Group.objects.create(name="lost"))
    assert not Group.objects.filter(name="lost").exists()


@pytest.mark.postgresql
def test_a_statement_timeout_is_named_and_undone() -> None:
    assert "SET statement_timeout" in log_of(sql("SET statement_timeout = '1ms'"))


def test_a_call_on_a_pool_thread_closes_the_connections_that_it_opened() -> None:
    opened = []

    def query() -> None:
        Group.objects.count()
        opened.append(connection.connection)

    pool = ConnectionClosingPool(1)
    try:
        pool.submit(query).result(10)
        assert pool.submit(lambda: connections.all(initialized_only=True)).result(10) == []
        assert opened
    finally:
        pool.shutdown()
