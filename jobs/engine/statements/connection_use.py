"""How the threads of a scheduler use their database connections."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, ClassVar

from django.db import DEFAULT_DB_ALIAS, OperationalError, connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.dispatch import receiver

from jobs.engine.statements.checkpoints import PAGES, Checkpoints
from jobs.engine.statements.database_file import DatabaseFile

TUNING = ("PRAGMA cache_size = -32000", f"PRAGMA wal_autocheckpoint = {4 * PAGES}")
"""32 MB of cached pages: runs of many jobs touch one page each.  SQLite's own checkpoints come late: `Checkpoints` does them first.  81 µs a run without, 74 with."""


GUARDS = {
    "idle_in_transaction_session_timeout": "10s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10s",
}
"""Settings of a PostgreSQL session that hold row locks of a frozen process, or of a vanished host, for 10 s and not for hours."""

_this_thread = threading.local()


class ConnectionUse(ABC):
    """The connection of the tick and of the recorder."""

    keeps_connection: bool
    """Whether the tick keeps its connection for good, because a new one has an empty page cache."""

    @property
    def threads(self) -> Sequence[threading.Thread]:
        """Threads without which the connections cannot be used for long."""
        return ()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction of the tick or the recorder; never nested."""
        with self.exclusive():
            self.check_file()
            with transaction.atomic():
                yield

    @abstractmethod
    def check_file(self) -> None:
        """Raise OperationalError when the database's file is gone, FileReplaced when it is another one."""

    @abstractmethod
    def follow_file(self) -> None:
        """Take the file that is there now for the database."""

    @abstractmethod
    def shared_connection(self) -> AbstractContextManager[Callable[[], None] | None]:
        """A function by which another thread adopts this thread's connection, for the length of the block; None where each thread has its own."""

    @abstractmethod
    def exclusive(self, seconds: float = -1) -> AbstractContextManager[object]:
        """Keep other threads off a shared connection for the length of the block.

        Raises OperationalError when another thread has not released it after `seconds`; a negative number waits for ever.
        """

    def guarded(self) -> AbstractContextManager[None]:
        """Let the database end what this thread has begun, for the length of the block, when the thread freezes or its host vanishes."""
        return nullcontext()

    @abstractmethod
    def tune(self) -> None:
        """Tune this thread's connection for write-heavy use.  Idempotent; call again after a reconnect."""

    def drop_connection(self, error: Exception) -> None:
        """Close this thread's connection after `error`, so that the next statement opens another."""
        with self.exclusive():
            connection.close()

    @abstractmethod
    def wait_at_most(self, seconds: float) -> None:
        """Let each statement of this thread's connection fail when it has waited for a lock for `seconds`."""


class SQLiteConnectionUse(ConnectionUse):
    """One connection for tick and recorder.

    SQLite has one writer at a time, lets the next one sleep for up to 100 ms, and empties a connection's page cache
    when another connection writes.  With two connections a run cost 124 to 180 µs, with one 95 to 137.
    """

    keeps_connection = True
    _lock = threading.RLock()
    """Held by the thread that uses the shared connection."""
    _checkpoints: ClassVar[Checkpoints | None] = None
    _file: ClassVar[DatabaseFile | None] = None
    """Of the process that shares its connection."""

    @property
    def threads(self) -> Sequence[threading.Thread]:
        return () if self._checkpoints is None else (self._checkpoints,)

    @contextmanager
    def shared_connection(self) -> Iterator[Callable[[], None]]:
        ours = connections[DEFAULT_DB_ALIAS]
        ours.inc_thread_sharing()
        try:
            SQLiteConnectionUse._file = DatabaseFile()
            with Checkpoints(self.exclusive) as SQLiteConnectionUse._checkpoints:
                yield lambda: connections.__setitem__(DEFAULT_DB_ALIAS, ours)
        finally:
            SQLiteConnectionUse._checkpoints = SQLiteConnectionUse._file = None
            ours.dec_thread_sharing()

    @contextmanager
    def exclusive(self, seconds: float = -1) -> Iterator[None]:
        if not self._lock.acquire(timeout=seconds):
            raise OperationalError(f"another thread has used the connection for {seconds:g} s")
        try:
            yield
        finally:
            self._lock.release()

    def tune(self) -> None:
        with connection.cursor() as cursor:
            for pragma in TUNING:
                cursor.execute(pragma)

    def check_file(self) -> None:
        if self._file is not None:
            self._file.check()

    def follow_file(self) -> None:
        if self._checkpoints is not None:
            SQLiteConnectionUse._file = DatabaseFile()
            self._checkpoints.reconnect()

    def drop_connection(self, error: Exception) -> None:
        """Not when the file is locked or the disk full: closing the last connection truncates the WAL, and the next few claims would just fit."""
        if getattr(error.__cause__, "sqlite_errorname", "") not in {"SQLITE_BUSY", "SQLITE_FULL"}:
            super().drop_connection(error)

    def wait_at_most(self, seconds: float) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA busy_timeout = {seconds * 1000:.0f}")


class PostgreSQLConnectionUse(ConnectionUse):
    """A connection for each thread."""

    keeps_connection = False

    def shared_connection(self) -> AbstractContextManager[None]:
        return nullcontext()

    def check_file(self) -> None:
        """The server knows its files."""

    def follow_file(self) -> None:
        """The server knows its files."""

    def exclusive(self, seconds: float = -1) -> AbstractContextManager[object]:
        return nullcontext()

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Also after each reconnect.  Not for connections of job functions, whose transactions may idle as they like."""
        _this_thread.guarded = True
        try:
            if connection.connection is not None:
                _guard(connection)
            yield
        finally:
            _this_thread.guarded = False

    def tune(self) -> None:
        """Leave the server's settings."""

    def wait_at_most(self, seconds: float) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [f"{seconds * 1000:.0f}ms"])


def _guard(guarded: BaseDatabaseWrapper) -> None:
    with guarded.cursor() as cursor:
        cursor.execute("SELECT " + ", ".join(["set_config(%s, %s, false)"] * len(GUARDS)), [text for setting in GUARDS.items() for text in setting])


@receiver(connection_created)
def _guard_new_connection(connection: BaseDatabaseWrapper, **_signal: Any) -> None:
    if connection.vendor == "postgresql" and getattr(_this_thread, "guarded", False):
        _guard(connection)
