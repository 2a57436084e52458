"""Job functions that leave something behind, and one that looks for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Any

from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.utils import timezone, translation

from jobs.registry import current_run, job
from tests.support.sample.execution_log import note

LEFT: ContextVar[str] = ContextVar("LEFT", default="nothing")

STATEMENTS = {
    "a transaction": "BEGIN",
    "a statement timeout": "SET statement_timeout = '77s'",
    "a time zone": "SET TIME ZONE 'Asia/Tokyo'",
    "a temporary table": "CREATE TEMP TABLE left_over (id int)",
    "an advisory lock": "SELECT pg_advisory_lock(4711)",
    "a listener": "LISTEN left_over",
    "a prepared statement": "PREPARE left_over AS SELECT 1",
    "foreign keys off": "PRAGMA foreign_keys = OFF",
}


def _in_transaction(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in ("BEGIN", *statements):
            cursor.execute(statement)


def _by_a_raw_cursor() -> None:
    connection.ensure_connection()
    connection.connection.cursor().execute("SET statement_timeout = '77s'" if connection.vendor == "postgresql" else "PRAGMA foreign_keys = OFF")


def _close_raw_connection() -> None:
    connection.connection.close()


LEAKS: dict[str, Callable[[], object]] = {
    "rows of a transaction": lambda: _in_transaction("INSERT INTO auth_group (name) VALUES ('never committed')"),
    "a locked table": lambda: _in_transaction("LOCK TABLE auth_group IN ACCESS EXCLUSIVE MODE"),
    "an atomic block": transaction.atomic().__enter__,
    "no autocommit": lambda: transaction.set_autocommit(False),
    "a setting by a raw cursor": _by_a_raw_cursor,
    "a language": lambda: translation.activate("fr"),
    "a zone of Django": partial(timezone.activate, "Asia/Tokyo"),
    "a context variable": lambda: LEFT.set("something"),
    "a broken connection": _close_raw_connection,
}


def _leave(what: str) -> None:
    if what in STATEMENTS:
        with connection.cursor() as cursor:
            cursor.execute(STATEMENTS[what])
    elif what in LEAKS:
        LEAKS[what]()


@job("sample_leave")
def leave(what: str, raises: bool = True) -> None:
    note("start")
    Group.objects.exists()
    _leave(what)
    if raises:
        raise RuntimeError("it raised after it had left something")


def _session() -> dict[str, Any]:
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA foreign_keys")
            return {"foreign_keys": cursor.fetchone()[0]}
        cursor.execute(
            "SELECT current_setting('statement_timeout'), current_setting('TimeZone'), to_regclass('pg_temp.left_over')::text,"
            " (SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database"
            " WHERE datname = current_database() AND locktype = 'advisory' AND objid = 4711),"
            " (SELECT count(*) FROM pg_listening_channels()),"
            " (SELECT count(*) FROM pg_prepared_statements WHERE name = 'left_over')"
        )
        return dict(zip(("timeout", "zone", "table", "locks", "listeners", "prepared"), cursor.fetchone(), strict=True))


@job("sample_look")
def look() -> dict[str, Any]:
    """Commit a row, and return what this thread has of the runs before."""
    note("start")
    Group.objects.create(name=f"made by {current_run().id}")
    return {
        "atomic": connection.in_atomic_block,
        "language": translation.get_language(),
        "zone of Django": timezone.get_current_timezone_name(),
        "context": LEFT.get(),
        **_session(),
    }


@job("sample_to_thread")
async def use_pool_threads(count: int) -> int:
    """Query the database on threads of the loop's pool."""
    note("start")
    found = await asyncio.gather(*(asyncio.to_thread(Group.objects.count) for _ in range(count)))
    return len(found)
