"""Reading rows that may be damaged: one that cannot be read takes no other with it, and shows what is wrong with it.

Somebody at a SQL prompt can store what Django cannot turn into a value: `infinity` as a time on PostgreSQL; text, bytes
that are no UTF-8 or an impossible date in any column on SQLite, which does not enforce types.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Generic, Self, TypeVar

from django.db import DataError, connection, models
from django.db.models.query import ModelIterable
from django.db.utils import OperationalError

Row = TypeVar("Row")
Model = TypeVar("Model", bound="ReadableModel")
AnyModel = TypeVar("AnyModel", bound=models.Model)

UNREADABLE = (DataError, ValueError, TypeError, OverflowError, RecursionError, OperationalError)
"""What reading a damaged row raises; see `is_damage`."""

TYPES: dict[type[models.Field[Any, Any]], type] = {
    models.BooleanField: bool,
    models.IntegerField: int,
    models.FloatField: float,
    models.CharField: str,
    models.TextField: str,
    models.DateTimeField: datetime,
}
"""What the columns hold that SQLite may return otherwise; a JSON column may hold anything."""

NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
"""What a time that cannot be read and may not be missing looks like."""


def is_damage(error: Exception) -> bool:
    """Whether the error tells of a value that cannot be read, and not of the database: SQLite's driver says both by OperationalError."""
    return not isinstance(error, OperationalError) or "decode" in str(error)


def attempt(read: Callable[[], Row]) -> tuple[Row | None, str]:
    """What `read` returns and an empty text; or None, and what is wrong with the row that it reads."""
    try:
        return read(), ""
    except UNREADABLE as error:
        if not is_damage(error):
            raise
        return None, f"{type(error).__name__}: {str(error)[:200]}"


class ReadableModel(models.Model):
    """A row of which some columns may be damaged: those have their defaults then, and `unreadable` names them."""

    unreadable = ""

    class Meta:
        abstract = True

    @classmethod
    def from_db(cls, db: str | None, field_names: Collection[str], values: Collection[Any], **more: Any) -> Self:
        row = super().from_db(db, field_names, values, **more)
        damaged = {name: f"it holds {value!r:.50}" for name, value in zip(field_names, values, strict=True) if not _fits(cls._meta.get_field(name), value)}
        if damaged:
            row.replace_damaged(damaged)
        return row

    def replace_damaged(self, problems: dict[str, str]) -> None:
        """Give the columns that cannot be read their defaults, and say what is wrong with each."""
        for name in problems:
            column: Any = self._meta.get_field(name)
            setattr(self, column.attname, _default_of(column))
        self.unreadable = "its row cannot be read: " + "; ".join(f"{name}: {problem}" for name, problem in problems.items())


def _fits(column: Any, value: Any) -> bool:
    if value is None:
        return column.null or isinstance(column, models.JSONField)  # JSON has a null of its own
    return all(isinstance(value, kind) for of, kind in TYPES.items() if isinstance(column, of))


def _default_of(column: Any) -> Any:
    if column.has_default() or column.null or not isinstance(column, models.DateTimeField):
        return column.get_default()
    return NO_TIME


class ReadableQuerySet(models.QuerySet[Model]):
    """Reads the rows one by one when reading them together fails by their data."""

    def _fetch_all(self) -> None:
        try:
            super()._fetch_all()
        except UNREADABLE as error:
            if not is_damage(error) or not issubclass(self._iterable_class, ModelIterable):
                raise
            self._result_cache = [row for primary_key in self._primary_keys() for row in self._read_one(primary_key)]
            super()._fetch_all()  # the related rows that are to be read too

    def _primary_keys(self) -> list[Any]:
        with _any_text():
            return list(self.values_list("pk", flat=True))

    def _read_one(self, primary_key: Any) -> list[Any]:
        """The row, with defaults for what cannot be read; none when it is gone."""
        one = self.all()
        one.query.clear_limits()
        one = one.filter(pk=primary_key)
        rows: list[Any] | None
        rows, _problem = attempt(lambda: list(ModelIterable(one)))
        if rows is not None:
            return rows
        row = self.model(pk=primary_key)
        row._state.adding, row._state.db = False, self.db
        problems: dict[str, str] = {}
        values: list[Any] | None
        for name in [*(column.attname for column in self.model._meta.concrete_fields), *self.query.annotation_select]:
            column = one.select_related(None).values_list(name, flat=True)
            values, problem = attempt(partial(list, column))
            setattr(row, name, values[0] if values else None)
            if problem and name not in self.query.annotation_select:
                problems[self.model._meta.get_field(name).name] = problem
        if problems:
            row.replace_damaged(problems)
        else:
            row.unreadable = "what belongs to its row cannot be read"
        return [row]


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


@dataclass(frozen=True, slots=True)
class Rows(Generic[Row]):
    """The rows that can be read, in order, and what is wrong with each of the others, by primary key."""

    readable: list[Row]
    unreadable: dict[Any, str] = field(default_factory=dict)


def in_pages(queryset: models.QuerySet[AnyModel], size: int = 500) -> Iterator[AnyModel]:
    """The rows by primary key, `size` at a time.

    `iterator()` would end at the first that cannot be read; and behind a connection pooler its cursor does not outlive a statement.
    """
    ordered = queryset.order_by("pk")
    page = list(ordered[:size])
    while page:
        yield from page
        page = list(ordered.filter(pk__gt=page[-1].pk)[:size])


def read_rows(queryset: models.QuerySet[Model]) -> Rows[Model]:
    """The rows of `queryset`, apart from those that are damaged."""
    rows = list(queryset)
    return Rows([row for row in rows if not row.unreadable], {row.pk: row.unreadable for row in rows if row.unreadable})
