"""Whether SQLite's file is still the one that is open: somebody may delete it, or put another in its place."""

from __future__ import annotations

import os

from django.db import OperationalError, connection

from jobs.engine.exceptions import RowLost


class FileReplaced(RowLost, OperationalError):
    """The scheduler's row, and all that it has claimed, is in a file that has no name any more."""


class DatabaseFile:
    """The file that the scheduler's connection has open.

    SQLite goes on writing to a file that has no name any more, where nobody will find what it has written.
    """

    def __init__(self) -> None:
        self._path = ""
        self._identity: tuple[int, int] | None = None

    def check(self) -> None:
        """Raise OperationalError while there is no file, and FileReplaced when there is another; the first call notes which one it is."""
        if self._identity is None:
            self._note()
            return
        if (found := self._look()) is None:
            raise OperationalError(f"the database file {self._path} is gone; nothing fires until it is back")
        if found != self._identity:
            raise FileReplaced(f"the database file {self._path} was replaced by another")

    def _note(self) -> None:
        if connection.connection is not None:
            _number, _name, self._path = connection.connection.execute("PRAGMA database_list").fetchone()
            self._identity = self._look()

    def _look(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)  # noqa: PTH116 -- at each tick and transaction; making a Path costs more than asking
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino
