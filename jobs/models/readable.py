"""Reading rows that may be damaged: one that cannot be read takes no other with it.

Somebody at a SQL prompt can store what Django cannot turn into a value: `infinity` as a time on PostgreSQL; text, bytes
that are no UTF-8 or an impossible date in any column on SQLite, which does not enforce types.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

from django.db import DataError, connection, models
from django.db.utils import OperationalError

Row = TypeVar("Row")
Model = TypeVar("Model", bound=models.Model)

UNREADABLE = (DataError, ValueError, TypeError, OverflowError, OperationalError)
"""What reading a damaged row raises; see `is_damage`."""


@dataclass(frozen=True, slots=True)
class Rows(Generic[Row]):
    """The rows that can be read, in order, and what is wrong with each of the others, by primary key."""

    readable: list[Row]
    unreadable: dict[Any, str] = field(default_factory=dict)


def is_damage(error: Exception) -> bool:
    """Whether the error tells of a value that cannot be read, and not of the database: SQLite's driver says both by OperationalError."""
    return not isinstance(error, OperationalError) or "decode" in str(error)


def read_rows(queryset: models.QuerySet[Model]) -> Rows[Model]:
    """The rows of `queryset`: all at once, or one by one when that fails by their data."""
    try:
        return Rows(list(queryset))
    except UNREADABLE as error:
        if not is_damage(error):
            raise
    with _any_text():
        primary_keys = list(queryset.values_list("pk", flat=True))
    unlimited = queryset.all()
    unlimited.query.clear_limits()
    readable: list[Model] = []
    unreadable: dict[Any, str] = {}
    for primary_key in primary_keys:
        row, problem = attempt(unlimited.filter(pk=primary_key).first)
        if problem:
            unreadable[primary_key] = problem
        elif row is not None:
            readable.append(row)
        else:
            unreadable[primary_key] = f"its id cannot be read: {primary_key!r}"
    return Rows(readable, unreadable)


@contextmanager
def _any_text() -> Iterator[None]:
    """Let SQLite's driver replace what is no UTF-8 instead of failing.  Not always: a function of Python's for each text is slow."""
    if connection.vendor != "sqlite":
        yield
        return
    connection.ensure_connection()
    connection.connection.text_factory = partial(str, encoding="utf-8", errors="replace")
    try:
        yield
    finally:
        connection.connection.text_factory = str


def attempt(read: Callable[[], Row]) -> tuple[Row | None, str]:
    """What `read` returns and an empty text; or None, and what is wrong with the row that it reads."""
    try:
        return read(), ""
    except UNREADABLE as error:
        if not is_damage(error):
            raise
        return None, f"its row cannot be read: {type(error).__name__}: {str(error)[:200]}"
