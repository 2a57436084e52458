"""The statements of the hot path, one implementation for each database.

Everything here works on many rows at once.  Callers open the transaction.
"""

from __future__ import annotations

from django.db import connection

from jobs.engine.statements.base import Duties, Entry, FinishedRun, Guess, NewRun, Peek, Statements
from jobs.engine.statements.postgresql import PostgreSQLStatements
from jobs.engine.statements.sqlite import SQLiteStatements

__all__ = ["Duties", "Entry", "FinishedRun", "Guess", "NewRun", "Peek", "Statements", "for_connection"]


def for_connection() -> Statements:
    """The statements for the database of this process."""
    return PostgreSQLStatements() if connection.vendor == "postgresql" else SQLiteStatements()
