"""Values that somebody at a SQL prompt can store, and that are none of ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import DatabaseError, connection, transaction

ON_SQLITE: list[Any] = ["odd", "", "2026-13-45", "9999-99-99 00:00:00", "infinity", b"\xff\xfe", b"", 10**18, -1, 1.5, "x'y\\z\"", None]
"""For any column: SQLite does not enforce types."""

NOT_UTF8 = "CAST(x'fffe' AS TEXT)"

ON_POSTGRESQL: dict[str, list[Any]] = {
    "timestamp with time zone": ["infinity", "-infinity", "0044-03-15 BC", "20000-01-01", "0001-01-01"],
    "jsonb": ["[]", '"x"', "null", "1"],
    "text": ["", "odd", "x'y\\\"z"],
    "character varying": ["", "odd", "x'y\\\"z"],
    "integer": [2**31 - 1, -(2**31), -1, 0],
    "bigint": [2**63 - 1, -1, 0],
    "boolean": [True, False],
    "bytea": [b"", b"\xff"],
}


def columns_of(table: str) -> list[tuple[str, str]]:
    """The columns of a table and their types."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"PRAGMA table_info({table})")
            return [(name, kind) for _number, name, kind, *_ in cursor.fetchall()]
        cursor.execute("SELECT column_name, data_type FROM information_schema.columns WHERE table_name = %s", [table])
        return list(cursor.fetchall())


def values_for(kind: str) -> list[Any]:
    return [*ON_SQLITE, NOT_UTF8] if connection.vendor == "sqlite" else ON_POSTGRESQL.get(kind, [])


def damages(table: str) -> Iterator[tuple[str, Any]]:
    """Each column of a table with each value."""
    for column, kind in columns_of(table):
        for value in values_for(kind):
            yield column, value


def damage(table: str, column: str, value: Any, where: str, *arguments: Any) -> bool:
    """Store a value; False when the database refuses it."""
    text, values = (value, []) if value == NOT_UTF8 else ("%s", [value])
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"UPDATE {table} SET {column} = {text} WHERE {where}", [*values, *arguments])
            if connection.vendor == "postgresql":
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    except DatabaseError:
        return False
    return True
