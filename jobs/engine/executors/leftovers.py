"""What a run must not leave for the next one on its thread: an open transaction, locks, settings of the session.

Context variables, and with them Django's active language and time zone, need no care: each run has a context of its own.
"""

from __future__ import annotations

import re
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from django.db import DatabaseError, InterfaceError, close_old_connections, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.dispatch import receiver

from jobs.engine.run import ClaimedRun

SESSION_STATEMENT = re.compile(
    r"\s*(?:SET\s+(?!LOCAL\b|TRANSACTION\b|CONSTRAINTS\b)|LISTEN\b|PREPARE\s|CREATE\s+(?:LOCAL\s+|GLOBAL\s+)?TEMP|ATTACH\b|PRAGMA\s+[\w.]+\s*=)"
    r"|.*\bpg_(?:try_)?advisory_lock(?:_shared)?\s*\(|.*\bset_config\s*\((?!.*,\s*true\s*\))",
    re.IGNORECASE | re.DOTALL,
)
"""A statement whose effect outlives its transaction."""

IN_TRANSACTION = (1, 2, 3)
"""libpq's ACTIVE, INTRANS and INERROR; a lost connection is neither idle nor in a transaction."""

LOOKED_AT = 500
"""Characters of a statement."""

_this_thread = threading.local()
"""`connected`: whether a job function has connected this thread to a database; looking at its connections takes 2.6 µs.
`executes_runs`: whether job functions are called on this thread.
"""


@receiver(connection_created)
def _watch(connection: BaseDatabaseWrapper, **_: Any) -> None:
    _this_thread.connected = True
    if getattr(_this_thread, "executes_runs", False) and _note_statement not in connection.execute_wrappers:
        connection.execute_wrappers.append(_note_statement)


def _note_statement(execute: Any, sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:  # noqa: FBT001 -- Django's signature
    """A wrapper of Django's cursors that remembers the first statement of a run which changes the session."""
    if isinstance(sql, str) and SESSION_STATEMENT.match(sql, 0, LOOKED_AT):  # psycopg may be given a composed one
        context["connection"].session_statement = sql
    return execute(sql, params, many, context)


def watch_this_thread() -> None:
    """Note what job functions do to the sessions of this thread's connections."""
    _this_thread.executes_runs = True


def clean_connections(run: ClaimedRun) -> bool:
    """Leave this thread's connections as a run expects them: what the run left open is named in its log and undone.  Returns whether there was any."""
    if not hasattr(_this_thread, "connected"):
        return False
    found = False
    for connection in connections.all(initialized_only=True):
        if connection.connection is None:
            continue
        try:
            leftover = _leftover(connection)
            usable = leftover is None and _reset(connection)
        except Exception as error:  # noqa: BLE001 -- a job function may have done anything to it, and the thread must go on
            leftover, usable = f"something broken ({type(error).__name__}: {error})", False
        if leftover is not None:
            run.write_log(f"warning: this run left {leftover} on the connection {connection.alias!r}; it was undone")
            found = True
        if not usable:
            discard(connection)
    close_old_connections()
    return found


def _leftover(connection: BaseDatabaseWrapper) -> str | None:
    """What a run has left open, in words."""
    if connection.in_atomic_block:
        return "an atomic block that was entered and not left"
    if _is_in_transaction(connection):
        return "an open transaction"
    statement = getattr(connection, "session_statement", None)
    return f"what this statement changed: {statement[:100]}" if statement else None


def _is_in_transaction(connection: BaseDatabaseWrapper) -> bool:
    if connection.vendor == "postgresql":
        return connection.connection.info.transaction_status in IN_TRANSACTION
    return bool(getattr(connection.connection, "in_transaction", False))


def _reset(connection: BaseDatabaseWrapper) -> bool:
    """Undo what the session may hold all the same, such as a setting made by a raw cursor; False when the connection is of no use any more."""
    if connection.vendor != "postgresql":
        return True
    if "assume_role" in connection.settings_dict["OPTIONS"]:
        return False  # DISCARD ALL would undo it
    with suppress(DatabaseError, InterfaceError):
        with connection.cursor() as cursor:
            cursor.execute("DISCARD ALL")
        connection.ensure_timezone()
        return True
    return False


def discard(connection: BaseDatabaseWrapper) -> None:
    """Close a connection, whatever state Django believes it to be in; the next query opens a new one."""
    with suppress(Exception):  # a connection that cannot even be closed is forgotten
        connection.connection.close()
    with suppress(AttributeError):
        del connections[connection.alias]


def discard_all() -> None:
    """Close every connection of this thread."""
    for connection in connections.all(initialized_only=True):
        discard(connection)


class ConnectionClosingPool(ThreadPoolExecutor):
    """Threads for `asyncio.to_thread` and `run_in_executor`: each call closes the connections that it has opened."""

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        return super().submit(_call_and_discard, function, *args, **kwargs)


def _call_and_discard(function: Any, *args: Any, **kwargs: Any) -> Any:
    try:
        return function(*args, **kwargs)
    finally:
        discard_all()
