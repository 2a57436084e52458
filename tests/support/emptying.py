"""Empty the tables after a test that commits: Django's `flush` truncates all of them and fills the permissions again, which takes ten times as long."""

from __future__ import annotations

from functools import cache

from django.db import connection, transaction
from django.test import TransactionTestCase

FILLED_BY_MIGRATE = {"django_content_type", "auth_permission"}
"""Tables that `migrate` fills and that no test changes."""
SMALL_BYTES = 1_000_000


def empty_tables() -> None:
    """Delete all rows of all models but content types and permissions."""
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # A killed process may still be committing; wait for it, or its rows would turn up in the next test.
            cursor.execute(f"LOCK TABLE {', '.join(_tables())} IN EXCLUSIVE MODE")
        cursor.execute(" UNION ALL ".join(f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {table})" for table in _tables()))
        filled = [table for (table,) in cursor.fetchall()]
        if connection.vendor == "postgresql" and _bytes(filled) > SMALL_BYTES:
            cursor.execute(f"TRUNCATE {', '.join(_tables())}")
            return
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA defer_foreign_keys = ON")
        for table in filled:
            cursor.execute(f"DELETE FROM {table}")


def _bytes(tables: list[str]) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(sum(pg_relation_size(name::regclass)), 0) FROM unnest(%s::text[]) AS name", [tables])
        return int(cursor.fetchone()[0])


@cache
def _tables() -> list[str]:
    with connection.cursor() as cursor:
        existing = connection.introspection.table_names(cursor)
    models = connection.introspection.django_table_names(only_existing=False, include_views=False)
    return sorted(set(models) & set(existing) - FILLED_BY_MIGRATE)


def use_for_every_test() -> None:
    """Replace what TransactionTestCase does after each test."""
    TransactionTestCase._fixture_teardown = lambda self: empty_tables()  # type: ignore[attr-defined]  # not in django-stubs
