"""Whether this process can serve: the database answers and takes writes, and no migration is missing."""

from __future__ import annotations

from functools import cache

from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder


@cache
def _known_migrations() -> frozenset[tuple[str, str]]:
    """The migrations of the installed apps, read once: the files do not change while the process lives."""
    return frozenset(MigrationLoader(None).disk_migrations or ())


def missing_migrations() -> list[str]:
    """The migrations that the database lacks, such as `jobs.0001_initial`.  Raises DatabaseError."""
    applied = MigrationRecorder(connection).applied_migrations()
    return sorted(f"{app}.{name}" for app, name in _known_migrations() - applied.keys())


def is_read_only() -> bool:
    """Whether the database takes no writes, as a replica and a primary that is being replaced.  Raises DatabaseError."""
    if connection.vendor != "postgresql":
        return False  # a SQLite file that cannot be written says so at each write
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('transaction_read_only') = 'on'")
        return bool(cursor.fetchone()[0])


def check_database() -> dict[str, str]:
    """By condition, why it does not hold, or an empty text.  Raises DatabaseError."""
    missing = missing_migrations()
    shown = ", ".join(missing[:3]) + (f", … ({len(missing)} in all)" if len(missing) > 3 else "")
    return {
        "writable": "the database is read-only" if is_read_only() else "",
        "migrations": f"the database lacks migrations: {shown}; run `manage.py migrate`" if missing else "",
    }


def why_not_ready() -> str | None:
    """The reason why this process should get no requests, or None.  Raises DatabaseError."""
    return next(filter(None, check_database().values()), None)
