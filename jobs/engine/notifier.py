"""Notice changes of the tables: PostgreSQL notifies, SQLite is polled."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence

import structlog
from django.db import connection

from jobs.engine.statements import for_connection

log = structlog.get_logger()

POLL_SECONDS = 0.1
CHANNEL = "jobs_changed"
RETRY_SECONDS = 0.5


class Notifier(ABC):
    """Waits for a change, with a time limit."""

    is_reliable: bool
    """Whether every commit of another connection is noticed."""

    def __init__(self, event: threading.Event) -> None:
        self._event = event
        self._changed = False
        self.threads: Sequence[threading.Thread] = ()
        """Those without which no change is noticed."""

    def has_changes(self) -> bool:
        """Whether there was a change since the last call."""
        changed, self._changed = self._changed, False
        return changed

    @abstractmethod
    def start(self) -> None:
        """Start listening."""

    @abstractmethod
    def stop(self) -> None:
        """Stop listening."""

    @abstractmethod
    def wait(self, seconds: float) -> None:
        """Return after `seconds`, when the event is set, or at a change."""


class SQLiteNotifier(Notifier):
    """`PRAGMA data_version` changes when another connection has committed; reading it touches no table."""

    is_reliable = True

    def __init__(self, event: threading.Event) -> None:
        super().__init__(event)
        self._statements = for_connection()
        self._seen: int | None = None
        self._next_poll = 0.0

    def has_changes(self) -> bool:
        """A tick between two polls does the next one."""
        if time.monotonic() >= self._next_poll:
            self._poll()
        return super().has_changes()

    def start(self) -> None:
        """Nothing to start: `wait` polls."""

    def stop(self) -> None:
        """Nothing to stop."""

    def wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not self._event.wait(min(left, POLL_SECONDS)) and not self._poll():
            pass

    def _poll(self) -> bool:
        self._next_poll = time.monotonic() + POLL_SECONDS
        with self._statements.exclusive(), connection.wrap_database_errors:
            connection.ensure_connection()
            [version] = connection.connection.execute("PRAGMA data_version").fetchone()  # Django's cursor takes longer than SQLite itself
        self._changed |= version != self._seen
        self._seen = version
        return self._changed


class PostgreSQLNotifier(Notifier):
    """LISTEN, on a connection and a thread of its own; triggers on the tables NOTIFY."""

    is_reliable = False  # a dead connection may go undetected for minutes

    def __init__(self, event: threading.Event) -> None:
        super().__init__(event)
        self._stopped = threading.Event()

    def start(self) -> None:
        self.threads = [threading.Thread(target=self._listen, name="jobs-listen", daemon=True)]
        self.threads[0].start()

    def stop(self) -> None:
        self._stopped.set()

    def wait(self, seconds: float) -> None:
        self._event.wait(seconds)

    def _listen(self) -> None:
        import psycopg  # on SQLite nothing needs it, and importing it takes a tenth of a scheduler's start

        while not self._stopped.is_set():
            try:
                self._listen_once()
            except psycopg.Error as error:
                # The tick meets the same outage and logs it; until this thread listens again, the tick polls every 200 ms.
                log.debug("job_listen_failed", error=str(error))
                self._stopped.wait(RETRY_SECONDS)
            except Exception as error:
                log.exception("job_listen_failed", error=f"{type(error).__name__}: {error}")
                self._stopped.wait(RETRY_SECONDS)

    def _listen_once(self) -> None:
        import psycopg

        parameters = {name: value for name, value in connection.get_connection_params().items() if name not in {"cursor_factory", "context"}}
        with psycopg.connect(**parameters, autocommit=True) as listener:
            listener.execute(f"LISTEN {CHANNEL}")
            self._notify()  # there may have been changes before LISTEN
            while not self._stopped.is_set():
                for _notification in listener.notifies(timeout=1.0, stop_after=1):
                    self._notify()

    def _notify(self) -> None:
        self._changed = True
        self._event.set()


def notifier_for_connection(event: threading.Event) -> Notifier:
    """The notifier for the database of this process; it sets `event` at a change."""
    return PostgreSQLNotifier(event) if connection.vendor == "postgresql" else SQLiteNotifier(event)
