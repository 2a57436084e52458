"""Notice that somebody changed something: PostgreSQL tells, SQLite is asked."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod

import structlog
from django.db import connection

from jobs.engine.statements import for_connection

log = structlog.get_logger()

POLL_SECONDS = 0.1
CHANNEL = "jobs_changed"


class Changes(ABC):
    """Waits for time to pass or for a change, whichever comes first."""

    tells_all: bool
    """Whether nothing that another connection commits goes unnoticed, so that the rows need not be asked just in case."""

    def __init__(self, event: threading.Event) -> None:
        self._event = event
        self._noticed = False

    def noticed(self) -> bool:
        """Whether a change has been noticed since this was asked the last time."""
        noticed, self._noticed = self._noticed, False
        return noticed

    @abstractmethod
    def start(self) -> None:
        """Begin to notice."""

    @abstractmethod
    def stop(self) -> None:
        """Stop noticing."""

    @abstractmethod
    def wait(self, seconds: float) -> None:
        """Return after `seconds`, or as soon as the event is set or a change is noticed."""


class SQLiteChanges(Changes):
    """`PRAGMA data_version` changes when another connection has committed; reading it touches no table."""

    tells_all = True

    def __init__(self, event: threading.Event) -> None:
        super().__init__(event)
        self._statements = for_connection()
        self._seen: int | None = None
        self._next_poll = 0.0

    def noticed(self) -> bool:
        """A tick that comes sooner than the next poll would be counts as one."""
        if time.monotonic() >= self._next_poll:
            self._poll()
        return super().noticed()

    def start(self) -> None:
        """Nothing to begin: every wait asks."""

    def stop(self) -> None:
        """Nothing to end."""

    def wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not self._event.wait(min(left, POLL_SECONDS)) and not self._poll():
            pass

    def _poll(self) -> bool:
        self._next_poll = time.monotonic() + POLL_SECONDS
        with self._statements.alone(), connection.wrap_database_errors:
            connection.ensure_connection()
            [version] = connection.connection.execute("PRAGMA data_version").fetchone()  # not by way of Django, which takes longer than SQLite
        self._noticed |= version != self._seen
        self._seen = version
        return self._noticed


class PostgreSQLChanges(Changes):
    """LISTEN, on a connection and a thread of its own; triggers on the tables NOTIFY."""

    tells_all = False  # a connection may be dead for minutes before anybody finds out

    def __init__(self, event: threading.Event) -> None:
        super().__init__(event)
        self._stopped = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._listen, name="jobs-listen", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def wait(self, seconds: float) -> None:
        self._event.wait(seconds)

    def _listen(self) -> None:
        import psycopg  # on SQLite nobody needs it, and it takes a tenth of a scheduler's start

        while not self._stopped.is_set():
            try:
                self._listen_once()
            except psycopg.Error as error:
                # The tick meets the same outage and says so; until this is back it still comes every 200 ms.
                log.debug("job_listen_failed", error=str(error))
                self._stopped.wait(0.5)

    def _listen_once(self) -> None:
        import psycopg

        parameters = {name: value for name, value in connection.get_connection_params().items() if name not in {"cursor_factory", "context"}}
        with psycopg.connect(**parameters, autocommit=True) as listener:
            listener.execute(f"LISTEN {CHANNEL}")
            self._notice()  # whatever changed while nobody listened
            while not self._stopped.is_set():
                for _notification in listener.notifies(timeout=1.0, stop_after=1):
                    self._notice()

    def _notice(self) -> None:
        self._noticed = True
        self._event.set()


def changes_for_connection(event: threading.Event) -> Changes:
    """What notices changes in the database of this process."""
    return PostgreSQLChanges(event) if connection.vendor == "postgresql" else SQLiteChanges(event)
