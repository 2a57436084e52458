"""The SQL of the hot path, one implementation for each database.

Every statement works on many rows.  The caller opens the transaction.
"""

from __future__ import annotations

from django.db import connection

from jobs.engine.statements.base import Statements
from jobs.engine.statements.postgresql import PostgreSQLStatements
from jobs.engine.statements.rows import UNSTORABLE, DueEntry, ExpectedClaim, FinishedRun, Housekeeping, NewRun, PendingWork, state_bytes
from jobs.engine.statements.sqlite import SQLiteStatements

__all__ = ["UNSTORABLE", "DueEntry", "ExpectedClaim", "FinishedRun", "Housekeeping", "NewRun", "PendingWork", "Statements", "for_connection", "state_bytes"]


def for_connection() -> Statements:
    """The statements for the database of this process."""
    return PostgreSQLStatements() if connection.vendor == "postgresql" else SQLiteStatements()
