"""Puts what SQLite has logged in its place: beside those who write, and not in their way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Self

import structlog
from django.db import DatabaseError, InterfaceError, connection

log = structlog.get_logger()

PAGES = 4000
"""A log of about so many pages (16 MB) is worth a checkpoint: most of them hold what is there several times, and one of each is copied."""

PAGES_PER_STATEMENT = 4
ROWS_PER_PAGE = 8
"""How fast a log grows, roughly: Python's sqlite3 does not tell."""


class Checkpoints(threading.Thread):
    """Checkpoints on a thread and a connection of their own, from `with` on to the end of its block.

    SQLite itself leaves them to whoever commits the page that fills the log: that one waits for the disk, 50 ms on a
    good one, and meanwhile nothing is claimed.  Here most of it is done while others write.  They are kept out only at the
    end, for what they have written since: a log begins anew when all of it is in its place.
    """

    def __init__(self, alone: Callable[[], AbstractContextManager[object]]) -> None:
        super().__init__(name="jobs-checkpoints", daemon=True)
        self._alone = alone
        self._pages = 0
        self._wanted = threading.Event()
        self._closing = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        self._wanted.set()
        self.join(1.0)

    def count(self, rows: int) -> None:
        """Take note of a statement that has written `rows`, before its transaction ends or another thread's begins."""
        self._pages += PAGES_PER_STATEMENT + rows // ROWS_PER_PAGE
        if self._pages >= PAGES:
            self._pages = 0
            self._wanted.set()

    def run(self) -> None:
        while self._wanted.wait() and not self._closing:
            self._wanted.clear()
            try:
                self._checkpoint()
            except (DatabaseError, InterfaceError) as error:
                log.debug("job_checkpoint_failed", error=str(error))  # the tick meets the same outage and says so
                connection.close()
        connection.close()

    def _checkpoint(self) -> None:
        self._copy()
        with self._alone():
            self._copy()

    @staticmethod
    def _copy() -> None:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")
            cursor.fetchall()  # as long as there are rows to fetch, it has not ended
